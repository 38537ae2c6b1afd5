import * as z from 'zod';
import { listReceived } from '../substrate/bus/look.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { getContent } from '../substrate/content.ts';
import { listReceipts } from '../substrate/receipts/query.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { bodyText, Thread, viewMessage } from './bus-view.ts';
import { defineTool } from './define.ts';
import { lines, more } from './text.ts';

/** A body longer than this is cut; receipt_get has the whole of it. */
const TEXT_CHARS_MAX = 2_000;

const PastMessage = z.object({
  seq: z.int().describe('Place in the inbox; for what you sent, its receipt'),
  with: z.string().describe('Who sent it; for what you sent, to whom'),
  thread: z.string(),
  at: z.string(),
  state: z.enum(['waiting', 'acked', 'expired', 'dead', 'dropped', 'sent']),
  text: z.string(),
});
type PastMessage = z.infer<typeof PastMessage>;

export const busHistory = defineTool({
  name: 'bus_history',
  title: 'Look at past messages',
  description:
    'Use when you want to read again what you received or sent, newest first. It takes nothing out of your inbox. What was settled is kept for 30 days.',
  scope: 'bus.receive',
  surface: 'full',
  access: 'read',
  input: z.strictObject({
    box: z.enum(['received', 'sent']).default('received'),
    thread: Thread.optional().describe('Of what you received, only this thread'),
    limit: z.int().min(1).max(50).default(20),
    cursor: z.int().min(0).optional().describe('next_cursor of the page before'),
  }),
  output: z.object({ messages: z.array(PastMessage), next_cursor: z.int().nullable() }),
  text: ({ messages, next_cursor: next }) =>
    lines(
      messages.length === 0 ? 'No messages on this page.' : '',
      ...messages.map(
        ({ seq, with: whom, thread, at, state, text }) => `${seq} ${state}, ${whom}, ${at}, thread ${thread}:\n${text}`,
      ),
      more(next),
    ),
  handler: async ({ box, thread, limit, cursor }, { actor, substrate }) =>
    substrate.read(async (db) => {
      if (box === 'sent') return sent(db, actor, { limit, cursor });
      const rows = await listReceived(db, holderOf(actor), {
        limit: limit + 1,
        before: cursor ?? null,
        thread: thread ?? null,
      });
      const page = rows.slice(0, limit);
      const messages: PastMessage[] = [];
      for (const row of page) {
        const { seq, from, state, ...view } = { ...row, content: await getContent(db, row.body) };
        const { thread: name, sent: at, ...body } = viewMessage({ ...view, id: '', from });
        messages.push({ seq, with: from, thread: name, at, state, text: cut(bodyText(body)) });
      }
      return { messages, next_cursor: rows.length > limit ? (page.at(-1)?.seq ?? null) : null };
    }),
});

/** What was sent stands in the receipts of the sending. */
async function sent(
  db: ReadHandle,
  actor: { readonly id: string; readonly grant: string | null },
  { limit, cursor }: { limit: number; cursor: number | undefined },
): Promise<{ messages: PastMessage[]; next_cursor: number | null }> {
  const who = actor.grant === null ? { actor: actor.id } : { grant: actor.grant };
  const filter = { ...who, action: 'bus.send', outcome: 'ok' } as const;
  const { receipts, next } = await listReceipts(db, filter, { limit, after: cursor ?? null });
  const messages: PastMessage[] = [];
  for (const { seq, subject, time, input, detail } of receipts) {
    const content = input === null ? null : await getContent(db, input);
    const text = content === null ? '(its content was erased)' : Buffer.from(content).toString('utf8');
    const to = Array.isArray(detail['to']) ? detail['to'].join(', ') : '';
    messages.push({ seq, with: to, thread: subject.id, at: time, state: 'sent', text: cut(text) });
  }
  return { messages, next_cursor: next };
}

function cut(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)} … (cut)`;
}
