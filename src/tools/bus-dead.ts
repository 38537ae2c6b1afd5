import * as z from 'zod';
import type { DeadLetter } from '../substrate/bus/dead.ts';
import { listDead } from '../substrate/bus/dead.ts';
import { isoTime } from '../substrate/sources.ts';
import { parsePair } from './bus-view.ts';
import { defineTool } from './define.ts';

/** `INBOX.SEQ`, as the list shows it. */
export const DeadId = z
  .string()
  .max(32)
  .regex(/^\d{1,9}\.\d{1,15}$/, 'the id of a dead letter, such as 3.17');

export const DeadView = z.object({
  id: z.string(),
  recipient: z.string().nullable().describe('null: it was removed'),
  from: z.string(),
  thread: z.string(),
  sent: z.string(),
  died: z.string(),
  given_out: z.int(),
  reason: z.string(),
});
export type DeadView = z.infer<typeof DeadView>;

export function viewDead(letter: DeadLetter): DeadView {
  return {
    id: `${letter.inbox}.${letter.seq}`,
    recipient: letter.recipient,
    from: letter.sender_name,
    thread: letter.thread,
    sent: isoTime(letter.sent_at),
    died: isoTime(letter.settled_at),
    given_out: letter.lease,
    reason: letter.reason ?? `handed back too often, without a word why`,
  };
}

export const busDead = defineTool({
  name: 'bus_dead',
  title: 'List dead letters',
  description: 'Use when you want to see which messages nobody could deal with, and why.',
  scope: 'bus.dead',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ limit: z.int().min(1).max(200).default(50), cursor: DeadId.optional() }),
  output: z.object({ letters: z.array(DeadView), next_cursor: z.string().nullable() }),
  handler: async ({ limit, cursor }, { substrate }) => {
    const after = cursor === undefined ? undefined : asDeadId(cursor);
    const found = await substrate.read((db) => listDead(db, { limit: limit + 1, after }));
    const letters = found.slice(0, limit).map(viewDead);
    return { letters, next_cursor: found.length > limit ? (letters.at(-1)?.id ?? null) : null };
  },
});

export function asDeadId(id: string): { inbox: number; seq: number } {
  const [inbox, seq] = parsePair(id);
  return { inbox, seq };
}
