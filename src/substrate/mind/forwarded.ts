/**
 * Questions and alarms that the digestor sent on to the owner, as they stand in the owner's inbox; and those for
 * which there was no room in it, which stand with what became of their message until there is.
 */
import * as z from 'zod';
import { SEED } from '../actor.ts';
import { holderOf } from '../bus/model.ts';
import { peek } from '../bus/look.ts';
import { getContent } from '../content.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';

/** The body of such a message. */
export const Forwarded = z.object({
  kind: z.enum(['question', 'alert']),
  from: z.string(),
  title: z.string(),
  text: z.string(),
  /** Its place in the seed's inbox, and the receipt of its sending. */
  message: z.int(),
  receipt: z.int(),
});
export type Forwarded = z.infer<typeof Forwarded>;

export interface ForwardedMessage extends Forwarded {
  readonly thread: string;
  readonly sentAt: number;
  /** Whether it is in the owner's inbox; else there was no room in it. */
  readonly hasArrived: boolean;
}

/** Messages of the owner's inbox that are looked at. */
const LOOKED_AT_MAX = 200;

/** Those that the owner has not settled, the oldest first; what has not reached the inbox comes after. */
export async function listForwarded(
  db: ReadHandle,
  { now, limit }: { now: number; limit: number },
): Promise<ForwardedMessage[]> {
  const found: ForwardedMessage[] = [];
  for (const row of await peek(db, 'owner', { limit: LOOKED_AT_MAX, now })) {
    if (row.sender !== holderOf(SEED) || row.format !== 'json' || found.length === limit) continue;
    const told = await readForwarded(db, row.body);
    if (told !== null) found.push({ ...told, thread: row.thread, sentAt: row.sent_at, hasArrived: true });
  }
  const untold = found.length < limit ? await listUntold(db, limit - found.length) : [];
  for (const { body, thread, at } of untold) {
    const told = await readForwarded(db, body);
    if (told !== null) found.push({ ...told, thread, sentAt: at, hasArrived: false });
  }
  return found;
}

async function readForwarded(db: ReadHandle, hash: string): Promise<Forwarded | null> {
  const body = await getContent(db, hash);
  const told = body === null ? null : Forwarded.safeParse(JSON.parse(Buffer.from(body).toString('utf8')));
  return told?.success === true ? told.data : null;
}

/** What the owner has not been told yet for want of room. */
export interface Untold extends Row {
  /** The message's place in the seed's inbox. */
  readonly seq: number;
  readonly thread: string;
  /** The hash of what is to be told. */
  readonly body: string;
  readonly at: number;
}

/** The oldest first. */
export async function listUntold(db: ReadHandle, limit: number): Promise<Untold[]> {
  return db.all<Untold>(
    `SELECT seq, thread, untold AS body, at FROM substrate_mind_sorted
     WHERE untold IS NOT NULL ORDER BY seq LIMIT ?`,
    limit,
  );
}

/** The owner is told of that message now. */
export async function noteTold(op: Operation, seq: number): Promise<void> {
  await op.run('UPDATE substrate_mind_sorted SET untold = NULL WHERE seq = ?', seq);
}
