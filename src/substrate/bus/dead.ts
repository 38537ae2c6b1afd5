/** Dead letters: what failed too often or lost its recipient, with the reason; the owner decides. */
import { SeedError } from '../../errors.ts';
import { getContent, keepContent } from '../content.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import { assertRoom, countBack, WAITING } from './inbox.ts';
import type { MessageRow } from './model.ts';
import { KEPT_MS, LIFE_MS_MAX, MESSAGE_COLUMNS } from './model.ts';

/** A dead letter; its id is `INBOX.SEQ`. */
export interface DeadLetter extends MessageRow {
  /** Whose inbox it was in; null when that one was removed. */
  readonly recipient: string | null;
  readonly settled_at: number;
}

const columns = MESSAGE_COLUMNS.split(', ').map((name) => `s.${name}`);

const DEAD = `SELECT ${columns.join(', ')}, s.settled_at,
    CASE WHEN i.holder IN ('owner', 'seed') THEN i.holder ELSE g.name END AS recipient
  FROM substrate_settled_messages s JOIN substrate_inboxes i ON i.id = s.inbox
    LEFT JOIN substrate_grants g ON g.id = i.holder
  WHERE s.state = 'dead'`;

export interface DeadId {
  readonly inbox: number;
  readonly seq: number;
}

/** Dead letters in the order of their ids, from after `after` on. */
export async function listDead(
  db: ReadHandle,
  { limit, after = { inbox: 0, seq: 0 } }: { limit: number; after?: DeadId | undefined },
): Promise<DeadLetter[]> {
  return db.all<DeadLetter>(
    `${DEAD} AND (s.inbox, s.seq) > (?, ?) ORDER BY s.inbox, s.seq LIMIT ?`,
    after.inbox,
    after.seq,
    limit,
  );
}

/** @throws SeedError `not_found` */
export async function getDead(db: ReadHandle, { inbox, seq }: DeadId): Promise<DeadLetter> {
  const row = await db.get<DeadLetter>(`${DEAD} AND s.inbox = ? AND s.seq = ?`, inbox, seq);
  if (row !== undefined) return row;
  throw new SeedError('not_found', `There is no dead letter ${inbox}.${seq}.`, {
    hint: 'They are listed by `seed bus dead list`.',
    data: { argument: 'id' },
  });
}

/** The one that died last; null where there is none. */
export async function newestDead(db: ReadHandle): Promise<DeadLetter | null> {
  return (await db.get<DeadLetter>(`${DEAD} ORDER BY s.settled_at DESC, s.inbox, s.seq LIMIT 1`)) ?? null;
}

/** How many there are. */
export async function countDead(db: ReadHandle): Promise<number> {
  const row = await db.get<{ count: number } & Row>(
    "SELECT count(*) AS count FROM substrate_settled_messages WHERE state = 'dead'",
  );
  return row?.count ?? 0;
}

interface InboxRow extends Row {
  readonly holder: string;
  readonly waiting: number;
}

/**
 * Puts a dead letter back where it was: before what waits in its thread, with its life and its attempts anew.
 *
 * @throws SeedError `not_found`, `conflict` when its recipient is gone, `content_erased`, `inbox_full`
 */
export async function retryDead(op: Operation, id: DeadId): Promise<{ holder: string; name: string }> {
  const letter = await getDead(op, id);
  const { inbox, seq, recipient, sender } = letter;
  if (recipient === null) {
    throw new SeedError('conflict', 'Its recipient was removed; there is nowhere to put it back.', {
      hint: 'Read it with `seed bus dead show`, send it anew to somebody else, and drop it.',
    });
  }
  if ((await getContent(op, letter.body)) === null) {
    throw new SeedError('content_erased', 'Its content was erased; there is nothing to put back.', {
      hint: 'Drop it with `seed bus dead drop`.',
    });
  }
  const box = await op.get<InboxRow>(
    `SELECT i.holder, ${WAITING} AS waiting FROM substrate_inboxes i WHERE i.id = ?`,
    inbox,
  );
  const { holder = '', waiting = 0 } = box ?? {};
  await assertRoom(op, { name: recipient, inbox, waiting }, sender);
  const lifeMs = Math.min(letter.expires_at - letter.sent_at, LIFE_MS_MAX);
  const expiresAt = Math.max(letter.expires_at, op.now + lifeMs);
  await op.run(
    `INSERT INTO substrate_messages (${MESSAGE_COLUMNS})
     SELECT inbox, seq, receipt, sender, sender_name, thread, format, body, sent_at, ?, lease, 0, reason
     FROM substrate_settled_messages WHERE inbox = ? AND seq = ?`,
    expiresAt,
    inbox,
    seq,
  );
  await op.run('DELETE FROM substrate_settled_messages WHERE inbox = ? AND seq = ?', inbox, seq);
  await countBack(op, inbox);
  await keepContent(op, letter.body, expiresAt + KEPT_MS);
  return { holder, name: recipient };
}

/** Lets a dead letter go; history keeps that it was dropped. */
export async function dropDead(op: Operation, id: DeadId): Promise<void> {
  const { inbox, seq } = await getDead(op, id);
  await op.run(
    "UPDATE substrate_settled_messages SET state = 'dropped', settled_at = ? WHERE inbox = ? AND seq = ?",
    op.now,
    inbox,
    seq,
  );
}
