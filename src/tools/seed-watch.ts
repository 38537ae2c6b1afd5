import * as z from 'zod';
import { WAIT_MS_MAX } from '../substrate/bus/model.ts';
import { listReceipts } from '../substrate/receipts/query.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { defineTool } from './define.ts';
import { sayReceipt } from './receipt-words.ts';

/** Nobody has that inbox: whoever watches the log waits at it. */
const LOG = '*log';

const Event = z.object({
  receipt: z.int(),
  time: z.string(),
  who: z.string(),
  action: z.string(),
  outcome: z.string(),
  code: z.string().nullable(),
  subject: z.object({ type: z.string(), id: z.string() }),
  says: z.string(),
});

export const seedWatch = defineTool({
  name: 'seed_watch',
  title: 'Follow what happens',
  description:
    'Use when you want to see what happens as it happens: what is on record after a receipt, or the newest without one; wait_ms waits for more.',
  scope: 'seed.watch',
  surface: 'owner',
  // It changes nothing, but only the process that serves knows when to look again.
  access: 'write',
  input: z.strictObject({
    after: z.int().min(-1).optional(),
    limit: z.int().min(1).max(200).default(50),
    wait_ms: z.int().min(0).max(WAIT_MS_MAX).default(0),
  }),
  output: z.object({ events: z.array(Event), after: z.int().describe('To go on with') }),
  handler: async ({ after, limit, wait_ms: waitMs }, { substrate, signal }) => {
    if (after === undefined) return newest(substrate, limit);
    using waiter = substrate.mail.wait(LOG);
    const stopListening = substrate.onChange(() => substrate.mail.freed(LOG));
    try {
      const started = performance.now();
      for (;;) {
        const found = await since(substrate, after, limit);
        const leftMs = waitMs - (performance.now() - started);
        if (found.events.length > 0 || leftMs <= 0 || signal.aborted || substrate.mail.closed) return found;
        await waiter.next(leftMs, signal);
      }
    } finally {
      stopListening();
    }
  },
});

type Events = { events: z.infer<typeof Event>[]; after: number };

async function newest(substrate: Substrate, limit: number): Promise<Events> {
  const { receipts } = await substrate.read((db) => listReceipts(db, {}, { limit }));
  return { events: receipts.toReversed().map(viewEvent), after: receipts[0]?.seq ?? -1 };
}

async function since(substrate: Substrate, after: number, limit: number): Promise<Events> {
  const { receipts } = await substrate.read((db) => listReceipts(db, {}, { limit, after, order: 'oldest' }));
  return { events: receipts.map(viewEvent), after: receipts.at(-1)?.seq ?? after };
}

type Seen = Awaited<ReturnType<typeof listReceipts>>['receipts'][number];

function viewEvent(receipt: Seen): z.infer<typeof Event> {
  const { seq, time, actor, action, outcome, code, subject } = receipt;
  return { receipt: seq, time, who: actor.id, action, outcome, code, subject, says: sayReceipt(receipt) };
}
