/** Where messages go that wait no longer: settled, each with what became of it. */
import type { Row, WriteHandle } from '../store/store.ts';
import { countSettled } from './inbox.ts';
import type { SettledState } from './model.ts';
import { MESSAGE_COLUMNS } from './model.ts';

/** What became of a message, and why where that needs saying. */
export interface Settlement {
  readonly state: SettledState;
  readonly now: number;
  readonly reason?: string | null;
}

/** Takes one message out of those that wait; the caller counts. */
export async function settleRow(
  tx: WriteHandle,
  { inbox, seq }: { inbox: number; seq: number },
  { state, now, reason = null }: Settlement,
): Promise<void> {
  await tx.run(
    `INSERT INTO substrate_settled_messages (${MESSAGE_COLUMNS}, state, settled_at)
     SELECT inbox, seq, receipt, sender, sender_name, thread, format, body, sent_at, expires_at, lease, failed,
       coalesce(?, reason), ?, ? FROM substrate_messages WHERE inbox = ? AND seq = ?`,
    reason,
    state,
    now,
    inbox,
    seq,
  );
  await tx.run('DELETE FROM substrate_messages WHERE inbox = ? AND seq = ?', inbox, seq);
}

interface SeqRow extends Row {
  readonly seq: number;
}

/** Settles what has expired in an inbox and is not in anybody's hands; resolves to how much that was. */
export async function expireDue(
  tx: WriteHandle,
  inbox: number,
  { now, limit }: { now: number; limit: number },
): Promise<number> {
  const due = await tx.all<SeqRow>(
    `SELECT seq FROM substrate_messages
     WHERE inbox = ? AND expires_at <= ? AND NOT (leased = 1 AND not_before > ?) LIMIT ?`,
    inbox,
    now,
    now,
    limit,
  );
  for (const { seq } of due) await settleRow(tx, { inbox, seq }, { state: 'expired', now });
  await countSettled(
    tx,
    inbox,
    due.map(({ seq }) => seq),
  );
  return due.length;
}
