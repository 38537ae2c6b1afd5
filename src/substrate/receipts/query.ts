/** Finds receipts: by number, by filter, a page at a time. */
import { SeedError } from '../../errors.ts';
import type { Outcome, Receipt } from '../../formats/receipt.ts';
import { parseReceipt } from '../../formats/receipt.ts';
import type { ReadHandle, Row, Value } from '../store/store.ts';
import type { List, Range } from './lists.ts';
import { BY_GRANT, BY_OUTCOME, readListed } from './lists.ts';

/** What to look for; everything given must hold. */
export interface ReceiptFilter {
  /** The grant acted under; unlike the actor's name it never changes. */
  readonly grant?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: Outcome | undefined;
  /** The lowest `seq`, or the earliest time (ISO 8601). */
  readonly from?: number | string | undefined;
  /** The highest `seq`, or the latest time (ISO 8601); a bare date means all of that day. */
  readonly to?: number | string | undefined;
}

export interface ReceiptPage {
  readonly receipts: Receipt[];
  /** Pass as `after` to go on; null at the end. */
  readonly next: number | null;
}

interface BytesRow extends Row {
  readonly bytes: string;
}

/** A receipt as it stands in its table: the bytes, and the columns that lists are filtered by. */
export interface ReceiptRow extends BytesRow {
  readonly seq: number;
  readonly actor: string;
  readonly grant_id: string | null;
  readonly action: string;
  readonly outcome: string;
  readonly of_seq: number | null;
}

const COLUMNS = 'seq, bytes, actor, grant_id, action, outcome, of_seq';

/**
 * The receipt of a row. Only the bytes are under a signature; the columns merely lead to them, and
 * must say the same.
 *
 * @throws SeedError `store_corrupt` naming the receipt
 */
export function openReceiptRow({ bytes, ...columns }: ReceiptRow): Receipt {
  const receipt = parseStored(bytes, columns.seq);
  const { seq, actor, action, outcome, of } = receipt;
  const said = { seq, actor: actor.id, grant_id: actor.grant, action, outcome, of_seq: of };
  const wrong = Object.entries(said).filter(([name, value]) => columns[name as keyof typeof columns] !== value);
  if (wrong.length === 0) return receipt;
  const names = wrong.map(([name]) => name).join(', ');
  throw altered(columns.seq, `its columns (${names}) do not say what its signed bytes say`);
}

/** @throws SeedError `store_corrupt` for bytes that this seed never wrote, naming their number where it is known */
export function parseStored(bytes: string, seq: number | null = null): Receipt {
  try {
    return parseReceipt(bytes);
  } catch (cause) {
    throw altered(seq, 'it cannot be read', cause);
  }
}

function altered(seq: number | null, how: string, cause?: unknown): SeedError {
  return new SeedError(
    'store_corrupt',
    `${seq === null ? 'A receipt' : `Receipt ${seq}`} was altered in the database: ${how}.`,
    {
      hint: 'Restore the home from a backup; `seed doctor` examines the log.',
      data: seq === null ? {} : { seq },
      cause,
    },
  );
}

/** A receipt, or null where there is none of that number. @throws SeedError `store_corrupt` */
export async function findReceipt(db: ReadHandle, seq: number): Promise<Receipt | null> {
  const row = await db.get<ReceiptRow>(`SELECT ${COLUMNS} FROM substrate_receipts WHERE seq = ?`, seq);
  return row === undefined ? null : openReceiptRow(row);
}

/** @throws SeedError `not_found`, `store_corrupt` */
export async function getReceipt(db: ReadHandle, seq: number): Promise<Receipt> {
  const receipt = await findReceipt(db, seq);
  if (receipt === null) throw notFound(seq);
  return receipt;
}

/** The rows from `start` to `end` (exclusive), as they are stored. */
export async function getReceiptRows(db: ReadHandle, start: number, end: number): Promise<ReceiptRow[]> {
  return db.all<ReceiptRow>(
    `SELECT ${COLUMNS} FROM substrate_receipts WHERE seq >= ? AND seq < ? ORDER BY seq`,
    start,
    end,
  );
}

function notFound(seq: number): SeedError {
  return new SeedError('not_found', `There is no receipt ${seq}.`, {
    hint: 'List the receipts to see the newest.',
    data: { seq },
  });
}

/** The stored bytes of one receipt, which are what is hashed. @throws SeedError `not_found` */
export async function getReceiptLine(db: ReadHandle, seq: number): Promise<string> {
  const row = await db.get<BytesRow>('SELECT bytes FROM substrate_receipts WHERE seq = ?', seq);
  if (row !== undefined) return row.bytes;
  throw notFound(seq);
}

/** Up to `limit` stored lines from `start` on. */
export async function getReceiptLines(db: ReadHandle, start: number, limit: number): Promise<string[]> {
  const rows = await db.all<BytesRow>(
    'SELECT bytes FROM substrate_receipts WHERE seq >= ? ORDER BY seq LIMIT ?',
    start,
    limit,
  );
  return rows.map(({ bytes }) => bytes);
}

/** The first `seq` whose time is at or after `time`: times never fall, so halving finds it. */
export async function seqAtTime(db: ReadHandle, time: string): Promise<number> {
  const end = await db.get<{ size: number }>('SELECT size FROM substrate_log WHERE id = 1');
  let [low, high] = [0, end?.size ?? 0];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { time: found } = await getReceipt(db, middle);
    if (found < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A moment as receipts write it, and whether it named a whole day. */
function parseMoment(text: string): { ms: number; day: boolean } {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const ms = Date.parse(text);
  if (!Number.isNaN(ms) && /^\d{4}-\d{2}-\d{2}/.test(text)) return { ms, day };
  throw new SeedError('invalid_input', `"${text.slice(0, 40)}" is neither a receipt number nor a time.`, {
    hint: 'Give a number such as 120, a date such as 2026-11-21, or a time such as 2026-11-21T07:00:00Z.',
  });
}

const DAY_MS = 86_400_000;

async function lowest(db: ReadHandle, from: number | string | undefined): Promise<number> {
  if (from === undefined) return 0;
  return typeof from === 'number' ? from : seqAtTime(db, new Date(parseMoment(from).ms).toISOString());
}

async function highest(db: ReadHandle, to: number | string | undefined): Promise<number> {
  if (to === undefined) return Number.MAX_SAFE_INTEGER;
  if (typeof to === 'number') return to;
  const { ms, day } = parseMoment(to);
  return (await seqAtTime(db, new Date(ms + (day ? DAY_MS : 1)).toISOString())) - 1;
}

/** Receipts looked at for one page where no index leads to just those wanted: every read stays short. */
const WINDOW_RECEIPTS = 20_000;

/** The list that has the receipts wanted and no others, and what it has them under; null where there is none. */
function listOf({ actor, action, outcome, grant }: ReceiptFilter): { list: List; value: string } | null {
  const given = [actor, action, outcome, grant].filter((wanted) => wanted !== undefined);
  if (given.length !== 1) return null;
  if (grant !== undefined) return { list: BY_GRANT, value: grant };
  return outcome === undefined || outcome === 'ok' || outcome === 'intent'
    ? null
    : { list: BY_OUTCOME, value: outcome };
}

/** The part of `low` to `high` that one page looks at, from the end where it begins. */
function windowOf(
  low: number,
  high: number,
  { newest, window }: { newest: boolean; window: number },
): [number, number] {
  return newest ? [Math.max(low, high - window + 1), high] : [low, Math.min(high, low + window - 1)];
}

export interface PageOptions {
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: number | null;
  readonly order?: 'newest' | 'oldest';
  /** Receipts looked at for one page where no index leads to those wanted. */
  readonly window?: number;
}

/** The terms of the WHERE clause for a filter, and their parameters. */
function whereOf(filter: ReceiptFilter): { terms: string[]; params: Value[] } {
  const wanted = { actor: filter.actor, action: filter.action, outcome: filter.outcome, grant_id: filter.grant };
  const given = Object.entries(wanted).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { terms: given.map(([column]) => `${column} = ?`), params: given.map(([, value]) => value) };
}

/** The rows between two receipts, both included, of which the terms hold. */
async function readRange(
  db: ReadHandle,
  { terms, params }: ReturnType<typeof whereOf>,
  { from, to, direction, limit }: Range,
): Promise<ReceiptRow[]> {
  const where = ['seq >= ?', 'seq <= ?', ...terms].join(' AND ');
  const sql = `SELECT ${COLUMNS} FROM substrate_receipts WHERE ${where} ORDER BY seq ${direction} LIMIT ?`;
  return db.all<ReceiptRow>(sql, from, to, ...params, limit);
}

/**
 * One page of receipts that match, newest first unless asked otherwise. A page can hold fewer than
 * `limit`, or none, and still not be the last: `next` says so.
 */
export async function listReceipts(
  db: ReadHandle,
  filter: ReceiptFilter,
  { limit, after = null, order = 'newest', window = WINDOW_RECEIPTS }: PageOptions,
): Promise<ReceiptPage> {
  const newest = order === 'newest';
  const size = (await db.get<{ size: number }>('SELECT size FROM substrate_log WHERE id = 1'))?.size ?? 0;
  let [low, high] = [await lowest(db, filter.from), Math.min(await highest(db, filter.to), size - 1)];
  if (after !== null) [low, high] = newest ? [low, Math.min(high, after - 1)] : [Math.max(low, after + 1), high];
  const listed = listOf(filter);
  const { terms, params } = whereOf(filter);
  const isWindow = listed === null && terms.length > 0;
  const [from, to] = isWindow ? windowOf(low, high, { newest, window }) : [low, high];
  const wanted = { from, to, direction: newest ? 'DESC' : 'ASC', limit: limit + 1 } as const;
  const rows = await (listed === null
    ? readRange(db, { terms, params }, wanted)
    : readListed<ReceiptRow>(db, listed.list, { ...wanted, value: listed.value, size }));
  const receipts = rows.slice(0, limit).map(openReceiptRow);
  if (rows.length > limit) return { receipts, next: receipts.at(-1)?.seq ?? null };
  if (newest) return { receipts, next: from > low ? from : null };
  return { receipts, next: to < high ? to : null };
}
