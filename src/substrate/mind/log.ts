/**
 * What the loop decided, and why: a ring of the newest decisions, and how far the receipts were perceived.
 *
 * Neither needs a receipt: what an organ does leaves its own, and a decision that is lost in a crash is
 * made again from what is durable.
 */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';

/** Decisions that are kept. */
const LOG_ROWS_MAX = 2_000;
/** Of a reason, and of what an organ says of its run. */
const WORDS_MAX = 500;

export interface DecisionRow extends Row {
  /** Counts up; the newest has the highest. */
  readonly n: number;
  /** ms since the epoch. */
  readonly at: number;
  readonly organ: string;
  /** `run`, `stop`, or `rest`. */
  readonly act: string;
  readonly because: string;
  /** When the run ended; null of what is no run. */
  readonly ended_at: number | null;
  /** Pieces done. */
  readonly done: number | null;
  readonly says: string | null;
}

export interface NewDecision {
  readonly at: number;
  readonly organ: string;
  readonly act: string;
  readonly because: string;
  /** Of a run: when it ended, what it came to, and what is to be said of it. */
  readonly end?: { readonly at: number; readonly done: number; readonly says: string | null };
}

/** Adds a decision; the oldest goes when there are too many. */
export async function addDecision(tx: WriteHandle, { at, organ, act, because, end }: NewDecision): Promise<void> {
  const newest = await tx.get<{ n: number | null }>('SELECT max(n) AS n FROM substrate_mind_log');
  const n = (newest?.n ?? 0) + 1;
  await tx.run(
    'INSERT INTO substrate_mind_log (n, at, organ, act, because, ended_at, done, says) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    n,
    at,
    organ,
    act,
    because.slice(0, WORDS_MAX),
    end?.at ?? null,
    end?.done ?? null,
    end?.says?.slice(0, WORDS_MAX) ?? null,
  );
  await tx.run('DELETE FROM substrate_mind_log WHERE n <= ?', n - LOG_ROWS_MAX);
}

/** The newest decisions first, before the number `before`; of one organ, if named. */
export async function listDecisions(
  db: ReadHandle,
  { limit, before = null, organ = null }: { limit: number; before?: number | null; organ?: string | null },
): Promise<DecisionRow[]> {
  return db.all<DecisionRow>(
    `SELECT n, at, organ, act, because, ended_at, done, says FROM substrate_mind_log
     WHERE n < ? AND organ = coalesce(?, organ) ORDER BY n DESC LIMIT ?`,
    before ?? Number.MAX_SAFE_INTEGER,
    organ,
    limit,
  );
}

/** The first receipt that was not perceived yet; null in a home whose mind never looked. */
export async function readCursor(db: ReadHandle): Promise<number | null> {
  const row = await db.get<{ seq: number } & Row>('SELECT seq FROM substrate_mind_cursor WHERE id = 1');
  return row?.seq ?? null;
}

export async function moveCursor(tx: WriteHandle, seq: number): Promise<void> {
  await tx.run(
    `INSERT INTO substrate_mind_cursor (id, seq) VALUES (1, ?)
     ON CONFLICT (id) DO UPDATE SET seq = excluded.seq`,
    seq,
  );
}
