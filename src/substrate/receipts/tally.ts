/** Who did what in a part of the log, counted. */
import type { ReadHandle, Row } from '../store/store.ts';

/** How often somebody did something, with what outcome, and the first and last receipt of it. */
export interface Tally extends Row {
  readonly actor: string;
  readonly action: string;
  readonly outcome: string;
  readonly count: number;
  readonly first: number;
  readonly last: number;
}

/** Receipts that one read counts: every read stays short. */
export const TALLY_RECEIPTS_MAX = 5_000;

/** Counts the receipts from `from` to `to`, both included; see {@link TALLY_RECEIPTS_MAX}. */
export async function tally(db: ReadHandle, from: number, to: number): Promise<Tally[]> {
  return db.all<Tally>(
    `SELECT actor, action, outcome, count(*) AS count, min(seq) AS first, max(seq) AS last
     FROM substrate_receipts WHERE seq BETWEEN ? AND ? GROUP BY actor, action, outcome ORDER BY min(seq)`,
    from,
    to,
  );
}

/** Counts of several parts as one. */
export function sumTallies(parts: readonly (readonly Tally[])[]): Tally[] {
  const sums = new Map<string, Tally>();
  for (const part of parts.flat()) {
    const key = JSON.stringify([part.actor, part.action, part.outcome]);
    const known = sums.get(key);
    sums.set(
      key,
      known === undefined
        ? part
        : {
            ...part,
            count: known.count + part.count,
            first: Math.min(known.first, part.first),
            last: Math.max(known.last, part.last),
          },
    );
  }
  return [...sums.values()];
}
