import * as z from 'zod';
import { peek, unread } from '../substrate/bus/look.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const SHOWN_MAX = 20;

/** What stands behind `seed://bus/inbox`; whoever wants the messages themselves receives them. */
export const busInbox = defineTool({
  name: 'bus_inbox',
  title: 'What waits in the inbox',
  description: 'Use when you want to see whether messages wait, without taking them.',
  scope: 'bus.receive',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    waiting: z.int(),
    first: z.array(z.object({ seq: z.int(), from: z.string(), thread: z.string(), sent: z.string() })),
    receive_with: z.string(),
  }),
  handler: async (_input, { actor, substrate }) => {
    const now = substrate.sources.now();
    const holder = holderOf(actor);
    return substrate.read(async (db) => ({
      waiting: (await unread(db, holder, now)).waiting,
      first: (await peek(db, holder, { limit: SHOWN_MAX, now })).map(({ seq, from, thread, sent_at: sentAt }) => ({
        seq,
        from,
        thread,
        sent: isoTime(sentAt),
      })),
      receive_with: 'bus_receive',
    }));
  },
});
