/** What can be seen of an inbox without taking anything out of it. */
import type { ReadHandle, Row } from '../store/store.ts';
import { findInbox, WAITING } from './inbox.ts';
import type { MessageRow, SettledState } from './model.ts';
import { MESSAGE_COLUMNS } from './model.ts';
import { lookAhead } from './take.ts';

/** What waits for somebody. */
export interface Unread {
  /** Messages that wait, those on a lease included. */
  readonly waiting: number;
  /** Who sent them, by name, each once. */
  readonly from: readonly string[];
}

const SENDERS_MAX = 10;

interface SenderRow extends Row {
  readonly name: string;
  readonly count: number;
}

/** What waits in an inbox: `holder` is a grant's id, or `owner`. */
export async function unread(db: ReadHandle, holder: string, now: number): Promise<Unread> {
  const inbox = await findInbox(db, holder);
  if (inbox === null) return { waiting: 0, from: [] };
  const rows = await db.all<SenderRow>(
    `SELECT coalesce(g.name, m.sender_name) AS name, count(*) AS count
     FROM substrate_messages m LEFT JOIN substrate_grants g ON g.id = m.sender
     WHERE m.inbox = ? AND m.expires_at > ? GROUP BY m.sender, 1 ORDER BY min(m.seq)`,
    inbox,
    now,
  );
  const names = [...new Set(rows.map(({ name }) => name))];
  return { waiting: rows.reduce((sum, { count }) => sum + count, 0), from: names.slice(0, SENDERS_MAX) };
}

interface NameRow extends Row {
  readonly id: string;
  readonly name: string;
}

/** What the senders of these messages are named now, by whose they are; without those that are gone. */
export async function senderNames(db: ReadHandle, messages: readonly MessageRow[]): Promise<Map<string, string>> {
  const senders = [...new Set(messages.map(({ sender }) => sender))];
  if (senders.length === 0) return new Map();
  const marks = senders.map(() => '?').join(', ');
  const rows = await db.all<NameRow>(`SELECT id, name FROM substrate_grants WHERE id IN (${marks})`, ...senders);
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** What an inbox has for its receiver at a moment. */
export interface Readiness {
  /** Messages that are not settled, those on a lease included. */
  readonly waiting: number;
  /** Something can be given out, or buried, now. */
  readonly ready: boolean;
  /** When the first that is held back may come, ms since the epoch; null when none is. */
  readonly nextAt: number | null;
}

export async function readiness(db: ReadHandle, holder: string, now: number): Promise<Readiness> {
  const row = await db.get<{ id: number; waiting: number } & Row>(
    `SELECT i.id, ${WAITING} AS waiting FROM substrate_inboxes i WHERE i.holder = ?`,
    holder,
  );
  if (row === undefined || row.waiting === 0) return { waiting: 0, ready: false, nextAt: null };
  const { ready, doomed, nextAt } = await lookAhead(db, row.id, { limit: 1, now });
  return { waiting: row.waiting, ready: ready.length + doomed.length > 0, nextAt };
}

/** A message as its recipient finds it later. */
export interface PastMessage extends MessageRow {
  readonly from: string;
  /** `waiting`: it is not settled. */
  readonly state: SettledState | 'waiting';
}

const FROM = 'coalesce((SELECT name FROM substrate_grants g WHERE g.id = m.sender), m.sender_name) AS "from"';

/** Messages of one inbox, newest first, before the place `before`; of one thread, if given. */
export async function listReceived(
  db: ReadHandle,
  holder: string,
  { limit, before, thread = null }: { limit: number; before: number | null; thread?: string | null },
): Promise<PastMessage[]> {
  const inbox = await findInbox(db, holder);
  if (inbox === null) return [];
  return db.all<PastMessage>(
    `SELECT m.*, ${FROM} FROM (
       SELECT ${MESSAGE_COLUMNS}, 'waiting' AS state FROM substrate_messages
       UNION ALL SELECT ${MESSAGE_COLUMNS}, state FROM substrate_settled_messages
     ) m WHERE inbox = ? AND seq < ? AND thread = coalesce(?, thread) ORDER BY seq DESC LIMIT ?`,
    inbox,
    before ?? Number.MAX_SAFE_INTEGER,
    thread,
    limit,
  );
}

/** What waits in an inbox from one sender. */
export interface Waiting extends Row {
  readonly from: string;
  readonly count: number;
  /** The first of them. */
  readonly thread: string;
  readonly sent_at: number;
}

/** Who wrote what waits in an inbox, given out or not, whoever waits longest first; but for one sender. */
export async function listSenders(
  db: ReadHandle,
  holder: string,
  { but, now }: { but: string; now: number },
): Promise<Waiting[]> {
  const inbox = await findInbox(db, holder);
  if (inbox === null) return [];
  // Beside a minimum the other columns are those of its row (sqlite.org/lang_select.html, "Bare columns").
  return db.all<Waiting>(
    `SELECT ${FROM}, count(*) AS count, thread, sent_at, min(seq) FROM substrate_messages m
     WHERE inbox = ? AND expires_at > ? AND sender <> ? GROUP BY sender ORDER BY min(seq)`,
    inbox,
    now,
    but,
  );
}

/** The first messages that wait in an inbox, given out or not. */
export async function peek(db: ReadHandle, holder: string, { limit, now }: { limit: number; now: number }) {
  const inbox = await findInbox(db, holder);
  if (inbox === null) return [];
  return db.all<MessageRow & { readonly from: string }>(
    `SELECT ${MESSAGE_COLUMNS}, ${FROM} FROM substrate_messages m
     WHERE inbox = ? AND expires_at > ? ORDER BY seq LIMIT ?`,
    inbox,
    now,
    limit,
  );
}
