import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { send } from '../substrate/bus/bus.ts';
import type { Draft } from '../substrate/bus/bus.ts';
import { LIFE_MS_MAX, RECIPIENTS_MAX } from '../substrate/bus/model.ts';
import { Address, Thread } from './bus-view.ts';
import { defineTool } from './define.ts';
import { lines } from './text.ts';

const TEXT_CHARS_MAX = 64_000;
const DATA_BYTES_MAX = 256 * 1_024;
const DEPTH_MAX = 32;

export const busSend = defineTool({
  name: 'bus_send',
  title: 'Send a message',
  description:
    'Use when another agent, a helper or the owner should know or do something. It is kept until they receive it, and comes at least once. Messages of one thread come in order; answer in the thread you were written in.',
  scope: 'bus.send',
  surface: 'daily',
  access: 'write',
  annotations: { idempotent: false },
  input: z.strictObject({
    to: z.union([Address, z.array(Address).min(1).max(RECIPIENTS_MAX)]).describe('A name, several, or topic:NAME'),
    text: z.string().min(1).max(TEXT_CHARS_MAX).optional(),
    data: z.unknown().optional().describe('Any JSON, instead of text'),
    thread: Thread.optional().describe('Begins a new one if left out'),
    idempotency_key: z.string().min(1).max(128).optional().describe('The same key again sends nothing twice'),
    expires_in_s: z
      .int()
      .min(1)
      .max(LIFE_MS_MAX / 1_000)
      .optional(),
  }),
  output: z.object({
    receipt: z.int(),
    thread: z.string(),
    to: z.array(z.object({ name: z.string(), seq: z.int() })),
    repeated: z.boolean().describe('It had been sent before, under this key'),
  }),
  text: ({ receipt, thread, to, repeated }) =>
    lines(
      `${repeated ? 'Sent before' : 'Sent'} to ${to.map(({ name }) => name).join(', ')} in thread ${thread}.`,
      `Receipt ${receipt}.`,
    ),
  handler: async ({ to, text, data, thread, idempotency_key: key, expires_in_s: seconds }, { actor, substrate }) => {
    const { receipt, repeated, ...posted } = await send(substrate, actor, {
      to: typeof to === 'string' ? [to] : to,
      ...bodyOf(text, data),
      ...(thread === undefined ? {} : { thread }),
      ...(key === undefined ? {} : { key }),
      ...(seconds === undefined ? {} : { lifeMs: seconds * 1_000 }),
    });
    return { receipt, thread: posted.thread, to: posted.to.map(({ name, seq }) => ({ name, seq })), repeated };
  },
});

/** @throws SeedError `invalid_input` unless it is one of the two, `too_large` */
function bodyOf(text: string | undefined, data: unknown): Pick<Draft, 'format' | 'body'> {
  if ((text === undefined) === (data === undefined)) {
    const what = text === undefined ? 'Neither text nor data was given.' : 'Both text and data were given.';
    throw new SeedError('invalid_input', what, { hint: 'Give one of the two.', data: { argument: 'text' } });
  }
  if (text !== undefined) return { format: 'text', body: Buffer.from(text) };
  if (isDeeper(data, DEPTH_MAX)) throw tooLarge(`is more than ${DEPTH_MAX} deep`);
  const body = Buffer.from(JSON.stringify(data));
  if (body.length > DATA_BYTES_MAX) throw tooLarge(`has ${body.length} bytes; ${DATA_BYTES_MAX} is the limit`);
  return { format: 'json', body };
}

/** Whether lists and objects stand in each other more than `levels` deep; looked at no deeper than that. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

function tooLarge(what: string): SeedError {
  return new SeedError('too_large', `data ${what}.`, {
    hint: 'Keep it in a file and send where it is.',
    data: { argument: 'data' },
  });
}
