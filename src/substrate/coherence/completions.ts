/**
 * Completions that probes saw outside the seed: when something of a subsystem was done.
 *
 * They are written by `maintain`, without a receipt: they are observations of a world that keeps its own
 * record (a repository, a log), can be read again from there, and decide nothing by themselves. That a
 * subsystem is probed at all, and what coherence does about it in a stage where it may act, is receipted
 * (`subsystems.ts`, `alarms.ts`).
 */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';

/** Kept of one subsystem, the newest; coherence looks at the last few hundred. */
export const COMPLETIONS_MAX = 1_000;

export interface Seen {
  readonly subsystem: string;
  /** What kind of probe saw them, such as `git`. */
  readonly source: string;
  /** ms since the epoch, in any order; two of one moment count as one completion. */
  readonly times: readonly number[];
  /** The moment of the look: what is later is kept, and not counted yet. */
  readonly now?: number;
}

/**
 * Adds what was not known yet, so that reading the same past again changes nothing; of a subsystem only the
 * newest {@link COMPLETIONS_MAX} are kept. Times to come may be among them (a clock elsewhere may be ahead);
 * they count once they have come.
 *
 * @returns how many were new, are kept and have come
 */
export async function addCompletions(
  tx: WriteHandle,
  { subsystem, source, times, now = Infinity }: Seen,
): Promise<number> {
  const oldest = await nthNewest(tx, subsystem, COMPLETIONS_MAX);
  const newest = [...new Set(times.map(Math.trunc))].toSorted((a, b) => b - a).slice(0, COMPLETIONS_MAX);
  let added = 0;
  for (const at of newest) {
    if (oldest !== null && at < oldest) break;
    const changed = await tx.run(
      'INSERT OR IGNORE INTO substrate_completions (subsystem, at, source) VALUES (?, ?, ?)',
      subsystem,
      at,
      source,
    );
    if (at <= now) added += changed;
  }
  const kept = await nthNewest(tx, subsystem, COMPLETIONS_MAX);
  if (kept !== null) await tx.run('DELETE FROM substrate_completions WHERE subsystem = ? AND at < ?', subsystem, kept);
  return added;
}

interface AtRow extends Row {
  readonly at: number;
}

/** When the n-th completion from the end was; null where there are fewer. */
async function nthNewest(db: ReadHandle, subsystem: string, n: number): Promise<number | null> {
  const sql = 'SELECT at FROM substrate_completions WHERE subsystem = ? ORDER BY at DESC LIMIT 1 OFFSET ?';
  return (await db.get<AtRow>(sql, subsystem, n - 1))?.at ?? null;
}

/** The newest completions from `since` until `until` (ms since the epoch, both inclusive), oldest first. */
export async function listCompletions(
  db: ReadHandle,
  subsystem: string,
  { since = 0, until, limit }: { since?: number; until: number; limit: number },
): Promise<number[]> {
  const rows = await db.all<AtRow>(
    'SELECT at FROM substrate_completions WHERE subsystem = ? AND at BETWEEN ? AND ? ORDER BY at DESC LIMIT ?',
    subsystem,
    since,
    until,
    limit,
  );
  return rows.map(({ at }) => at).toReversed();
}

/** Forgets what was seen of a subsystem, with the probe that saw it. */
export async function removeCompletions(tx: WriteHandle, subsystem: string): Promise<void> {
  await tx.run('DELETE FROM substrate_completions WHERE subsystem = ?', subsystem);
}
