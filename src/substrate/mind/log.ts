/**
 * What the loop decided, and why: a ring of the newest decisions, and how far the receipts were perceived.
 *
 * Neither needs a receipt: what an organ does leaves its own, and a decision that is lost in a crash is
 * made again from what is durable.
 */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';

/** Decisions that are kept. */
export const LOG_ROWS_MAX = 2_000;
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
  /** When the run ended; null while it runs, and of what is no run. */
  readonly ended_at: number | null;
  /** Pieces done. */
  readonly done: number | null;
  readonly says: string | null;
}

/** Adds a decision and resolves to its number; the oldest goes when there are too many. */
export async function addDecision(
  tx: WriteHandle,
  { at, organ, act, because }: { at: number; organ: string; act: string; because: string },
): Promise<number> {
  const newest = await tx.get<{ n: number | null }>('SELECT max(n) AS n FROM substrate_mind_log');
  const n = (newest?.n ?? 0) + 1;
  await tx.run(
    'INSERT INTO substrate_mind_log (n, at, organ, act, because) VALUES (?, ?, ?, ?, ?)',
    n,
    at,
    organ,
    act,
    because.slice(0, WORDS_MAX),
  );
  await tx.run('DELETE FROM substrate_mind_log WHERE n <= ?', n - LOG_ROWS_MAX);
  return n;
}

/** Says of a run how it ended. */
export async function endDecision(
  tx: WriteHandle,
  n: number,
  { at, done, says }: { at: number; done: number | null; says: string | null },
): Promise<void> {
  await tx.run(
    'UPDATE substrate_mind_log SET ended_at = ?, done = ?, says = ? WHERE n = ?',
    at,
    done,
    says?.slice(0, WORDS_MAX) ?? null,
    n,
  );
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
