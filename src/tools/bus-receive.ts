import * as z from 'zod';
import { receive } from '../substrate/bus/bus.ts';
import { senderNames } from '../substrate/bus/look.ts';
import { WAIT_MS_MAX } from '../substrate/bus/model.ts';
import { deliveryId, messageBlock, MessageView, viewMessage } from './bus-view.ts';
import { defineTool } from './define.ts';
import { counted, lines } from './text.ts';

const Delivery = MessageView.extend({
  attempt: z.int().describe('Above 1: it was given out before; look whether it is done already'),
});

export const busReceive = defineTool({
  name: 'bus_receive',
  title: 'Receive messages',
  description:
    'Use when you want your messages, or want to wait for one (wait_ms; do that instead of asking again and again). They are yours for lease_s: acknowledge each with bus_ack once you are done, or it comes again.',
  scope: 'bus.receive',
  surface: 'daily',
  access: 'write',
  input: z.strictObject({
    limit: z.int().min(1).max(100).default(10),
    wait_ms: z.int().min(0).max(WAIT_MS_MAX).default(0),
    lease_s: z.int().min(1).max(3_600).default(60),
  }),
  output: z.object({
    messages: z.array(Delivery),
    more: z.boolean().describe('More can be had at once'),
    lease_s: z.int(),
  }),
  text: ({ messages, more, lease_s: seconds }) =>
    lines(
      messages.length === 0 ? 'No messages.' : '',
      ...messages.map((message) => `${messageBlock(message)}${again(message.attempt)}\n`),
      messages.length === 0
        ? ''
        : `${counted(messages.length, 'message')}${more ? ', and more wait' : ''}. Done with them, within ${seconds} s: bus_ack {"ids":${JSON.stringify(messages.map(({ id }) => id))}}.`,
    ),
  handler: async ({ limit, wait_ms: waitMs, lease_s: seconds }, { actor, substrate, signal }) => {
    const want = { limit, waitMs, leaseMs: seconds * 1_000, signal };
    const { ready, more } = await receive(substrate, actor, want);
    const names = await substrate.read((db) => senderNames(db, ready));
    const messages = ready.map((row) => ({
      ...viewMessage({ ...row, id: deliveryId(row), from: names.get(row.sender) ?? row.sender_name }),
      attempt: row.lease,
    }));
    return { messages, more, lease_s: seconds };
  },
});

function again(attempt: number): string {
  return attempt === 1 ? '' : `\n(delivery ${attempt} of this message: look whether it is done already)`;
}
