/** Acknowledges messages, hands them back, and buries those that failed too often. */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import { countSettled } from './inbox.ts';
import type { SettledState, WaitingRow } from './model.ts';
import { ATTEMPTS_MAX, MESSAGE_COLUMNS } from './model.ts';
import { settleRow } from './settled.ts';

/** A message as it was given out: its place in the inbox, and the how-manieth time that was. */
export interface Handle {
  readonly seq: number;
  readonly lease: number;
}

/** What to do with it: it is done, or it is handed back to come again after `delayMs`. */
export type Verdict =
  | { readonly kind: 'ack' }
  | { readonly kind: 'nack'; readonly delayMs: number; readonly reason: string | null };

/**
 * What became of one handle. `late`: it was given out again since, and that later delivery decides.
 * `out_of_turn`: an earlier message of its thread is not settled. `already`: it was acknowledged before.
 */
export type Settled =
  | 'acked'
  | 'returned'
  | 'already'
  | 'late'
  | 'out_of_turn'
  | 'unknown'
  | Exclude<SettledState, 'acked'>;

const ROW = `SELECT ${MESSAGE_COLUMNS}, leased, not_before FROM substrate_messages WHERE inbox = ? AND seq = ?`;

/** Settles messages of one inbox, in its order; resolves to what became of each, in that order too. */
export async function settle(
  op: Operation,
  inbox: number,
  { handles, verdict }: { handles: readonly Handle[]; verdict: Verdict },
): Promise<{ handle: Handle; became: Settled }[]> {
  const results: { handle: Handle; became: Settled }[] = [];
  for (const handle of handles.toSorted((a, b) => a.seq - b.seq)) {
    results.push({ handle, became: await settleOne(op, inbox, handle, verdict) });
  }
  const gone = results.filter(({ became }) => became === 'acked' || became === 'dead');
  await countSettled(
    op,
    inbox,
    gone.map(({ handle }) => handle.seq),
  );
  return results;
}

async function settleOne(op: Operation, inbox: number, { seq, lease }: Handle, verdict: Verdict): Promise<Settled> {
  const row = await op.get<WaitingRow>(ROW, inbox, seq);
  if (row === undefined) return stateOf(op, inbox, seq);
  if (row.lease !== lease || row.leased === 0) return row.lease < lease ? 'unknown' : 'late';
  if (verdict.kind === 'nack') return giveBack(op, row, verdict);
  if (await isBehind(op, row, op.now)) return 'out_of_turn';
  await settleRow(op, row, { state: 'acked', now: op.now });
  return 'acked';
}

interface StateRow extends Row {
  readonly state: SettledState;
}

async function stateOf(db: ReadHandle, inbox: number, seq: number): Promise<Settled> {
  const row = await db.get<StateRow>(
    'SELECT state FROM substrate_settled_messages WHERE inbox = ? AND seq = ?',
    inbox,
    seq,
  );
  if (row === undefined) return 'unknown';
  return row.state === 'acked' ? 'already' : row.state;
}

/** Whether a message of the same thread comes before it; what has expired comes no more. */
async function isBehind(db: ReadHandle, { inbox, seq, thread }: WaitingRow, now: number): Promise<boolean> {
  const row = await db.get(
    `SELECT 1 AS found FROM substrate_messages
     WHERE inbox = ? AND seq < ? AND thread = ? AND (expires_at > ? OR (leased = 1 AND not_before > ?)) LIMIT 1`,
    inbox,
    seq,
    thread,
    now,
    now,
  );
  return row !== undefined;
}

/** Hands a message back. What its receiver has of the thread after it goes back too, without a failure. */
async function giveBack(
  op: Operation,
  { inbox, seq, thread, failed }: WaitingRow,
  { delayMs, reason }: Verdict & { kind: 'nack' },
): Promise<Settled> {
  await op.run(
    `UPDATE substrate_messages SET leased = 0, not_before = 0
     WHERE inbox = ? AND seq > ? AND thread = ? AND leased = 1`,
    inbox,
    seq,
    thread,
  );
  if (failed + 1 >= ATTEMPTS_MAX) {
    await settleRow(op, { inbox, seq }, { state: 'dead', now: op.now, reason: reasonOf(reason) });
    return 'dead';
  }
  await op.run(
    `UPDATE substrate_messages SET leased = 0, failed = failed + 1, not_before = ?, reason = coalesce(?, reason)
     WHERE inbox = ? AND seq = ?`,
    delayMs === 0 ? 0 : op.now + delayMs,
    reason,
    inbox,
    seq,
  );
  return 'returned';
}

/** Why a message is dead, when its last receiver did not say. */
function reasonOf(said: string | null): string | null {
  return said === null ? null : `handed back ${ATTEMPTS_MAX} times, last because: ${said}`;
}

interface DoomedRow extends Row {
  readonly seq: number;
  readonly reason: string | null;
}

/** Moves what failed too often to the dead letters; resolves to the places of the messages. */
export async function bury(op: Operation, inbox: number, limit: number): Promise<number[]> {
  const doomed = await op.all<DoomedRow>(
    `SELECT seq, reason FROM substrate_messages
     WHERE inbox = ? AND leased = 1 AND not_before <= ? AND failed + 1 >= ${ATTEMPTS_MAX} LIMIT ?`,
    inbox,
    op.now,
    limit,
  );
  for (const { seq, reason } of doomed) {
    const because = reason === null ? '' : `; handed back before because: ${reason}`;
    const why = `not acknowledged in time, given out ${ATTEMPTS_MAX} times${because}`;
    await settleRow(op, { inbox, seq }, { state: 'dead', now: op.now, reason: why });
  }
  const seqs = doomed.map(({ seq }) => seq);
  await countSettled(op, inbox, seqs);
  return seqs;
}

/** Everything that waits in the inbox of somebody who is gone becomes a dead letter. */
export async function buryAll(
  tx: WriteHandle & { readonly now: number },
  inbox: number,
  limit: number,
): Promise<number> {
  const rows = await tx.all<DoomedRow>(
    'SELECT seq, reason FROM substrate_messages WHERE inbox = ? ORDER BY seq LIMIT ?',
    inbox,
    limit,
  );
  for (const { seq } of rows) {
    await settleRow(tx, { inbox, seq }, { state: 'dead', now: tx.now, reason: 'its recipient was removed' });
  }
  await countSettled(
    tx,
    inbox,
    rows.map(({ seq }) => seq),
  );
  return rows.length;
}
