/**
 * Receipts by whose grant they were left under, and by an outcome that is not the usual one.
 *
 * An index takes each receipt in as it comes, which is a page more for a commit. So the receipts of a tile are
 * listed together when its last one has come; the newest, fewer than 256, stand in no list and are gone through.
 */
import type { ReadHandle, Row, Transaction } from '../store/store.ts';
import { TILE_LEAVES } from './tree.ts';

/** One list: its table, and the column of receipts that it goes by. */
export interface List {
  readonly table: 'substrate_receipts_by_grant' | 'substrate_receipts_by_outcome';
  readonly column: 'grant_id' | 'outcome';
  /** Which receipts stand in it. */
  readonly among: string;
}

export const BY_GRANT: List = {
  table: 'substrate_receipts_by_grant',
  column: 'grant_id',
  among: 'grant_id IS NOT NULL',
};

/** The usual outcomes are not worth a list. */
export const BY_OUTCOME: List = {
  table: 'substrate_receipts_by_outcome',
  column: 'outcome',
  among: "outcome NOT IN ('ok', 'intent')",
};

const LISTS = [BY_GRANT, BY_OUTCOME] as const;

/** The first receipt that stands in no list yet, of a log of that size. */
export function firstUnlisted(size: number): number {
  return size - (size % TILE_LEAVES);
}

/** Lists the receipts of a tile, all of which are in the log. */
export async function listTile(tx: Pick<Transaction, 'run'>, tile: number): Promise<void> {
  const start = tile * TILE_LEAVES;
  for (const { table, column, among } of LISTS) {
    await tx.run(
      `INSERT INTO ${table} (${column}, seq) SELECT ${column}, seq FROM substrate_receipts
        WHERE seq >= ? AND seq < ? AND ${among} ORDER BY ${column}, seq`,
      start,
      start + TILE_LEAVES,
    );
  }
}

/** A part of the log, in one direction. */
export interface Range {
  /** The first and the last receipt, both included. */
  readonly from: number;
  readonly to: number;
  readonly direction: 'ASC' | 'DESC';
  readonly limit: number;
}

/** A receipt’s but for its number, by which a list is in order already. */
const COLUMNS = 'r.bytes, r.actor, r.grant_id, r.action, r.outcome, r.of_seq';

/** Rows of receipts by a list, in a log of that `size`. What stands there without being that receipt's is left out. */
export async function readListed<R extends Row>(
  db: ReadHandle,
  { table, column }: List,
  { value, size, from, to, direction, limit }: Range & { readonly value: string; readonly size: number },
): Promise<R[]> {
  const border = firstUnlisted(size);
  return db.all<R>(
    `SELECT l.seq, ${COLUMNS} FROM ${table} l CROSS JOIN substrate_receipts r ON r.seq = l.seq AND r.${column} = l.${column}
        WHERE l.${column} = ? AND l.seq >= ? AND l.seq <= ?
      UNION ALL
      SELECT r.seq, ${COLUMNS} FROM substrate_receipts r WHERE r.seq >= ? AND r.seq <= ? AND r.${column} = ?
      ORDER BY seq ${direction} LIMIT ?`,
    value,
    from,
    Math.min(to, border - 1),
    Math.max(from, border),
    to,
    value,
    limit,
  );
}

/** Whether this database has them: one that was made before them has not, until the next start. */
export async function hasLists(db: ReadHandle): Promise<boolean> {
  const names = LISTS.map(({ table }) => table);
  const found = await db.all(`SELECT 1 FROM sqlite_schema WHERE name IN (?, ?)`, ...names);
  return found.length === names.length;
}

/** The first of the receipts from `start` to `end` (exclusive) that is missing in a list; null where none is. */
export async function findUnlisted(db: ReadHandle, start: number, end: number): Promise<number | null> {
  for (const { table, column, among } of LISTS) {
    const missing = await db.get<{ seq: number } & Row>(
      `SELECT seq FROM substrate_receipts r WHERE seq >= ? AND seq < ? AND ${among}
        AND NOT EXISTS (SELECT 1 FROM ${table} l WHERE l.${column} = r.${column} AND l.seq = r.seq) LIMIT 1`,
      start,
      end,
    );
    if (missing !== undefined) return missing.seq;
  }
  return null;
}
