/**
 * Gives messages out on a lease, in the order of each thread.
 *
 * A thread is held up by its first message that cannot be given out now (on somebody's lease, or
 * delayed); other threads go on. Whoever has a lease settles it before it lapses, or the messages are
 * given out again: at least once, not exactly once.
 */
import { getContent } from '../content.ts';
import type { ReadHandle, WriteHandle } from '../store/store.ts';
import type { MessageRow, WaitingRow } from './model.ts';
import { ANSWER_BYTES_MAX, ATTEMPTS_MAX, MESSAGE_COLUMNS } from './model.ts';

/** A message in somebody's hands. */
export interface Delivery extends MessageRow {
  /** Null when it was erased while it waited. */
  readonly content: Uint8Array | null;
}

/** What an inbox has to give at a moment. */
export interface Outlook {
  /** To be given out, in this order. */
  readonly ready: readonly Delivery[];
  /** Failed once too often; they hold up their threads until they are with the dead letters. */
  readonly doomed: readonly MessageRow[];
  /** When the first message that is held back may come, ms since the epoch; null when none is. */
  readonly nextAt: number | null;
  /** There is more to be had at once. */
  readonly more: boolean;
}

const PAGE_ROWS = 128;

const PAGE = `SELECT ${MESSAGE_COLUMNS}, leased, not_before FROM substrate_messages
  WHERE inbox = ? AND seq > ? ORDER BY seq LIMIT ${PAGE_ROWS}`;

/** Looks through an inbox, from its first message on, until `limit` are found. */
export async function lookAhead(
  db: ReadHandle,
  inbox: number,
  { limit, now }: { limit: number; now: number },
): Promise<Outlook> {
  const ready: Delivery[] = [];
  const doomed: MessageRow[] = [];
  const held = new Set<string>();
  let nextAt: number | null = null;
  let bytes = 0;
  for await (const row of rowsOf(db, inbox)) {
    const { thread, not_before: notBefore, leased, failed } = row;
    const isHeld = notBefore > now;
    if (isHeld) nextAt = Math.min(nextAt ?? notBefore, notBefore);
    if (row.expires_at <= now && !(leased === 1 && isHeld)) continue;
    if (isHeld || held.has(thread)) {
      held.add(thread);
      continue;
    }
    if (failed + leased >= ATTEMPTS_MAX) {
      held.add(thread);
      doomed.push(row);
      continue;
    }
    if (ready.length === limit) return { ready, doomed, nextAt, more: true };
    const content = await getContent(db, row.body);
    bytes += content?.length ?? 0;
    if (bytes > ANSWER_BYTES_MAX && ready.length > 0) return { ready, doomed, nextAt, more: true };
    ready.push({ ...row, content });
  }
  return { ready, doomed, nextAt, more: false };
}

async function* rowsOf(db: ReadHandle, inbox: number): AsyncGenerator<WaitingRow> {
  let after = 0;
  for (;;) {
    const rows = await db.all<WaitingRow>(PAGE, inbox, after);
    yield* rows;
    if (rows.length < PAGE_ROWS) return;
    after = rows.at(-1)?.seq ?? after;
  }
}

/** Gives out what an inbox has, on leases that lapse at `until`. A lease that lapsed before counts as a failure. */
export async function take(
  tx: WriteHandle,
  inbox: number,
  { limit, now, until }: { limit: number; now: number; until: number },
): Promise<Outlook> {
  const outlook = await lookAhead(tx, inbox, { limit, now });
  return { ...outlook, ready: await lease(tx, outlook.ready, until) };
}

/** Leases what was found ready in the same transaction, until `until`; resolves to it as it is given out. */
export async function lease(tx: WriteHandle, ready: readonly Delivery[], until: number): Promise<Delivery[]> {
  for (const { inbox, seq } of ready) {
    await tx.run(
      `UPDATE substrate_messages SET lease = lease + 1, failed = failed + leased, leased = 1, not_before = ?
       WHERE inbox = ? AND seq = ?`,
      until,
      inbox,
      seq,
    );
  }
  return ready.map((row) => ({ ...row, lease: row.lease + 1 }));
}
