import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { settleAll } from '../substrate/bus/bus.ts';
import type { Settled } from '../substrate/bus/settle.ts';
import { DeliveryId, deliveryId, parsePair } from './bus-view.ts';
import { defineTool } from './define.ts';
import { lines } from './text.ts';

const DONE: readonly Settled[] = ['acked', 'already', 'returned'];

const WHY: Readonly<Record<Settled, string>> = {
  acked: 'it is acknowledged',
  already: 'it was acknowledged before',
  returned: 'it comes again',
  dead: 'it failed too often and is a dead letter now; the owner decides',
  late: 'it was given out again since, and that newer delivery decides; or you handed it back',
  out_of_turn: 'an earlier message of its thread is not acknowledged yet; acknowledge that one first',
  unknown: 'it is no message that you were given',
  expired: 'it has expired',
  dropped: 'it was dropped by the owner',
};

export const busAck = defineTool({
  name: 'bus_ack',
  title: 'Acknowledge messages',
  description:
    'Use when you are done with messages that bus_receive gave you, so that they do not come again. Or with nack: true, when you cannot do them now: then they come again after delay_s, and after five failures go to the owner as dead letters.',
  scope: 'bus.receive',
  surface: 'daily',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    ids: z.array(DeliveryId).min(1).max(100).describe('As bus_receive gave them'),
    nack: z.boolean().default(false),
    delay_s: z.int().min(0).max(86_400).optional(),
    reason: z.string().min(1).max(500).optional().describe('With nack: why'),
  }),
  output: z.object({
    settled: z.array(z.string()),
    not_settled: z.array(z.object({ id: z.string(), why: z.string() })),
    receipt: z.int(),
  }),
  text: ({ settled, not_settled: others, receipt }) =>
    lines(
      settled.length === 0 ? '' : `Settled: ${settled.join(', ')}.`,
      ...others.map(({ id, why }) => `Not ${id}: ${why}.`),
      `Receipt ${receipt}.`,
    ),
  handler: async ({ ids, nack, delay_s: delay = 0, reason = null }, { actor, substrate }) => {
    if (!nack && (delay > 0 || reason !== null)) throw onlyWithNack(delay > 0 ? 'delay_s' : 'reason');
    const handles = [...new Set(ids)].map((id) => {
      const [seq, lease] = parsePair(id);
      return { seq, lease };
    });
    const verdict = nack ? ({ kind: 'nack', delayMs: delay * 1_000, reason } as const) : ({ kind: 'ack' } as const);
    const { value, seq } = await settleAll(substrate, actor, { handles, verdict });
    const named = value.map(({ handle, became }) => ({ id: deliveryId(handle), became }));
    return {
      settled: named.filter(({ became }) => DONE.includes(became)).map(({ id }) => id),
      not_settled: named
        .filter(({ became }) => !DONE.includes(became))
        .map(({ id, became }) => ({ id, why: WHY[became] })),
      receipt: seq,
    };
  },
});

function onlyWithNack(argument: string): SeedError {
  return new SeedError('invalid_input', `${argument} goes with nack: true alone.`, {
    hint: 'Leave it out to acknowledge, or say nack: true to have the message come again.',
    data: { argument },
  });
}
