/** Finds receipts: by number, by filter, a page at a time. */
import { SeedError } from '../../errors.ts';
import type { Outcome, Receipt } from '../../formats/receipt.ts';
import { parseReceipt } from '../../formats/receipt.ts';
import type { ReadHandle, Row, Value } from '../store/store.ts';

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

/** The stored bytes of one receipt, which are what is hashed. @throws SeedError `not_found` */
export async function getReceiptLine(db: ReadHandle, seq: number): Promise<string> {
  const row = await db.get<BytesRow>('SELECT bytes FROM substrate_receipts WHERE seq = ?', seq);
  if (row !== undefined) return row.bytes;
  throw new SeedError('not_found', `There is no receipt ${seq}.`, {
    hint: 'The newest are shown by `seed receipts list`.',
    data: { seq },
  });
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
async function seqAtTime(db: ReadHandle, time: string): Promise<number> {
  const end = await db.get<{ size: number }>('SELECT size FROM substrate_log WHERE id = 1');
  let [low, high] = [0, end?.size ?? 0];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { time: found } = parseReceipt(await getReceiptLine(db, middle));
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

/** One page of receipts that match, newest first unless asked otherwise. */
export async function listReceipts(
  db: ReadHandle,
  filter: ReceiptFilter,
  { limit, after = null, order = 'newest' }: { limit: number; after?: number | null; order?: 'newest' | 'oldest' },
): Promise<ReceiptPage> {
  let [low, high] = [await lowest(db, filter.from), await highest(db, filter.to)];
  if (after !== null)
    [low, high] = order === 'newest' ? [low, Math.min(high, after - 1)] : [Math.max(low, after + 1), high];
  const terms = ['seq >= ?', 'seq <= ?'];
  const params: Value[] = [low, high];
  for (const column of ['actor', 'action', 'outcome'] as const) {
    const wanted = filter[column];
    if (wanted === undefined) continue;
    terms.push(`${column} = ?`);
    params.push(wanted);
  }
  if (filter.grant !== undefined) {
    terms.push('grant_id = ?');
    params.push(filter.grant);
  }
  // Said again in the words of the partial index, which the planner does not derive by itself.
  if (filter.outcome !== undefined && filter.outcome !== 'ok') terms.push("outcome <> 'ok'");
  const sql = `SELECT bytes FROM substrate_receipts WHERE ${terms.join(' AND ')} ORDER BY seq ${order === 'newest' ? 'DESC' : 'ASC'} LIMIT ?`;
  const rows = await db.all<BytesRow>(sql, ...params, limit + 1);
  const receipts = rows.slice(0, limit).map(({ bytes }) => parseReceipt(bytes));
  return { receipts, next: rows.length > limit ? (receipts.at(-1)?.seq ?? null) : null };
}
