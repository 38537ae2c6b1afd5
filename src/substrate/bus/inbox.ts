/** Inboxes: one for each grant, one for the owner and one for the seed itself, found by name, kept by id. */
import { SeedError } from '../../errors.ts';
import { isServiceName } from '../identity/names.ts';
import type { Reading, ReadHandle, Row, WriteHandle } from '../store/store.ts';
import { topicOf } from './address.ts';
import { INBOX_MESSAGES_MAX, SENDER_MESSAGES_MAX } from './model.ts';

const OWNER = 'owner';
/** What is written to the seed itself; its digestor sorts it (`mind/organs/digestor`). */
export const SEED_INBOX = 'seed';
/** Inboxes that belong to no grant go by these words. */
const WITHOUT_GRANT: ReadonlySet<string> = new Set([OWNER, SEED_INBOX]);

/** A recipient with the state of its inbox. */
export interface Recipient extends Row {
  /** A grant's id, `owner`, or `seed`. */
  readonly holder: string;
  readonly name: string;
  /** Null while nothing was ever sent there. */
  readonly inbox: number | null;
  /** The newest place that was given in it, and how many messages wait there. */
  readonly last_seq: number | null;
  readonly waiting: number | null;
}

interface GrantRow extends Row {
  readonly id: string;
  readonly expires_at: number | null;
}

interface StateRow extends Row {
  readonly inbox: number;
  readonly last_seq: number;
  readonly settled: number;
}

/**
 * The newest place of an inbox `i`, and how many messages wait in it. Places have no gap, and what is settled is
 * counted: so a send, which adds to both, changes no row but the message's own.
 */
const LAST_SEQ = `max(i.settled_seq,
  coalesce((SELECT max(m.seq) FROM substrate_messages m WHERE m.inbox = i.id), 0))`;
export const WAITING: string = `(${LAST_SEQ} - i.settled)`;

const NO_INBOX = { inbox: null, last_seq: null, waiting: null } as const;

// Looked up one by one: every send pays for it, and as one join it costs several times as much.
const GRANT = 'SELECT id, expires_at FROM substrate_grants WHERE door = ? AND name = ?';
const STATE = `SELECT i.id AS inbox, ${LAST_SEQ} AS last_seq, i.settled FROM substrate_inboxes i WHERE i.holder = ?`;

const OF_TOPIC = `SELECT i.holder, coalesce(g.name, i.holder) AS name, i.id AS inbox,
    ${LAST_SEQ} AS last_seq, ${WAITING} AS waiting
  FROM substrate_topics t JOIN substrate_inboxes i ON i.id = t.inbox LEFT JOIN substrate_grants g ON g.id = i.holder
  WHERE t.topic = ? AND (i.holder = '${OWNER}' OR (g.id IS NOT NULL AND coalesce(g.expires_at > ?, 1)))
  ORDER BY i.id`;

/** Whom an address means at this moment. A topic leaves out the sender itself, and may mean nobody. */
export async function resolveAddress(
  db: ReadHandle,
  address: string,
  { sender, now }: { sender: string; now: number },
): Promise<readonly Recipient[]> {
  const topic = topicOf(address);
  if (topic !== null) {
    const followers = await db.all<Recipient>(OF_TOPIC, topic, now);
    return followers.filter(({ holder }) => holder !== sender);
  }
  const holder = WITHOUT_GRANT.has(address) ? address : await holderNamed(db, address, now);
  const state = await db.get<StateRow>(STATE, holder);
  if (state === undefined) return [{ ...NO_INBOX, holder, name: address }];
  const { inbox, last_seq: last, settled } = state;
  return [{ holder, name: address, inbox, last_seq: last, waiting: last - settled }];
}

/** The grant that goes by a name; null where there is none. */
export const NAMED: Reading<GrantRow | null> = {
  tables: ['substrate_grants'],
  read: async (db, name) =>
    (await db.get<GrantRow>(GRANT, 'agent', name)) ?? (await db.get<GrantRow>(GRANT, 'http', name)) ?? null,
};

async function holderNamed(db: ReadHandle, name: string, now: number): Promise<string> {
  // Organs read no inbox of their own: what they are to know is told to the seed.
  if (isServiceName(name)) throw nobody(name, `There is nobody to write to named "${name}"`);
  const row = await db.recall(NAMED, name);
  if (row === null) throw nobody(name, `There is nobody named "${name}"`);
  if (row.expires_at !== null && row.expires_at <= now) throw nobody(name, `The key of "${name}" has expired`);
  return row.id;
}

function nobody(address: string, what: string): SeedError {
  return new SeedError('not_found', `to: ${what}; nothing was sent.`, {
    hint: 'bus_peers lists the names; topic:NAME is a topic.',
    data: { argument: 'to', recipient: address },
  });
}

/** The number of an inbox; null while it has none. */
export async function findInbox(db: ReadHandle, holder: string): Promise<number | null> {
  const row = await db.get<{ id: number } & Row>('SELECT id FROM substrate_inboxes WHERE holder = ?', holder);
  return row?.id ?? null;
}

/** The number of an inbox, made if it has none. */
export async function openInbox(tx: WriteHandle, holder: string): Promise<number> {
  const found = await findInbox(tx, holder);
  if (found !== null) return found;
  await tx.run('INSERT INTO substrate_inboxes (holder, settled, settled_seq) VALUES (?, 0, 0)', holder);
  return (await findInbox(tx, holder)) ?? 0;
}

/** Counts messages of an inbox that wait no longer, by their places. */
export async function countSettled(tx: WriteHandle, inbox: number, seqs: readonly number[]): Promise<void> {
  if (seqs.length === 0) return;
  await tx.run(
    'UPDATE substrate_inboxes SET settled = settled + ?, settled_seq = max(settled_seq, ?) WHERE id = ?',
    seqs.length,
    Math.max(...seqs),
    inbox,
  );
}

/** Counts one that was settled and waits again. */
export async function countBack(tx: WriteHandle, inbox: number): Promise<void> {
  await tx.run('UPDATE substrate_inboxes SET settled = settled - 1 WHERE id = ?', inbox);
}

interface CountRow extends Row {
  readonly count: number;
}

/**
 * Backpressure: the sender is told whose inbox is full, and nothing is sent to anybody.
 *
 * @throws SeedError `inbox_full`
 */
export async function assertRoom(
  db: ReadHandle,
  { name, inbox, waiting }: { name: string; inbox: number; waiting: number },
  sender: string,
): Promise<void> {
  if (waiting >= INBOX_MESSAGES_MAX) throw full(name, 'messages', waiting);
  // Below that many nobody can have too many in it, and most inboxes never get there.
  if (waiting < SENDER_MESSAGES_MAX) return;
  const own = await db.get<CountRow>(
    'SELECT count(*) AS count FROM substrate_messages WHERE inbox = ? AND sender = ?',
    inbox,
    sender,
  );
  if ((own?.count ?? 0) >= SENDER_MESSAGES_MAX) throw full(name, 'messages of yours', own?.count ?? 0);
}

function full(recipient: string, what: string, waiting: number): SeedError {
  return new SeedError('inbox_full', `The inbox of ${recipient} is full (${waiting} ${what} wait); nothing was sent.`, {
    hint: `Send again once ${recipient} has received some; bus_peers says whether it is there.`,
    data: { argument: 'to', recipient, waiting },
  });
}
