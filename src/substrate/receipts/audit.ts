/**
 * Reads the newest part of the log back and holds it against the signed checkpoint.
 *
 * What lies before that part enters as the hashes that the store keeps of it. The root over both is
 * the signed one only if every byte read is what was signed, so a wrong kept hash hides nothing.
 */
import { CompactRange, leafHash } from '../../formats/merkle.ts';
import type { Receipt } from '../../formats/receipt.ts';
import { GENESIS_PREV, receiptHash } from '../../formats/receipt.ts';
import { SeedError } from '../../errors.ts';
import type { ReadHandle, Store } from '../store/store.ts';
import type { LogState } from './log.ts';
import type { ReceiptRow } from './query.ts';
import { findUnlisted, firstUnlisted, hasLists } from './lists.ts';
import { getReceiptLine, getReceiptRows, openReceiptRow } from './query.ts';
import { fastSha256 } from './sha256.ts';
import { rangeHash, TILE_LEAVES } from './tree.ts';

export interface AuditOptions {
  /** The log's head; it must be what its checkpoint signs. */
  readonly state: LogState;
  /** The first receipt that must be among those read. */
  readonly from: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Resolves to the number of the first receipt that was read, at most `from`.
 *
 * @throws SeedError `store_corrupt` naming the first receipt that is missing, altered, not listed as it
 *   should be or does not follow the one before it; `interrupted` when `signal` fires
 */
export async function auditLog(read: Store['read'], options: AuditOptions): Promise<number> {
  const { state, signal, onProgress } = options;
  const first = Math.max(0, Math.floor(options.from / TILE_LEAVES) * TILE_LEAVES);
  const walk = await read((db) => Walk.begin(db, first));
  const listed = (await read(hasLists)) ? firstUnlisted(state.size) : 0;
  while (walk.next < state.size) {
    if (signal.aborted) throw interrupted();
    const start = walk.next;
    // A tile a read: others have their turn in between.
    const end = Math.min(start + TILE_LEAVES, state.size);
    for (const row of await read((db) => getReceiptRows(db, start, end))) walk.take(row);
    if (walk.next < end) throw missing(walk.next);
    const left = end > listed ? null : await read((db) => findUnlisted(db, start, end));
    if (left !== null) throw unlisted(left);
    onProgress(walk.next - first, state.size - first);
  }
  if (!walk.endsIn(state)) throw rewritten(first);
  return first;
}

/** One pass from some receipt on to the end. */
class Walk {
  readonly #range: CompactRange;
  #prev: string;
  #time: string;

  private constructor(range: CompactRange, prev: string, time: string) {
    this.#range = range;
    this.#prev = prev;
    this.#time = time;
  }

  static async begin(db: ReadHandle, first: number): Promise<Walk> {
    const prev = first === 0 ? GENESIS_PREV : receiptHash(await getReceiptLine(db, first - 1), fastSha256);
    return new Walk(await keptRange(db, first), prev, '');
  }

  /** The number of the receipt that is due. */
  get next(): number {
    return this.#range.size;
  }

  take(row: ReceiptRow): void {
    if (row.seq !== this.next) throw missing(this.next);
    const receipt: Receipt = openReceiptRow(row);
    if (receipt.prev !== this.#prev || receipt.time < this.#time) throw misplaced(row.seq);
    const bytes = Buffer.from(row.bytes);
    this.#prev = receiptHash(bytes, fastSha256);
    this.#time = receipt.time;
    this.#range.append(leafHash(bytes, fastSha256));
  }

  endsIn({ prev, range }: LogState): boolean {
    return this.#prev === prev && Buffer.from(this.#range.root()).equals(range.root());
  }
}

/** The tree of the first `size` leaves, a multiple of a tile's, from the hashes that the store keeps. */
async function keptRange(db: ReadHandle, size: number): Promise<CompactRange> {
  const roots: Uint8Array[] = [];
  let start = 0;
  for (let width = 2 ** 52; width >= 1; width /= 2) {
    if (size - start < width) continue;
    roots.push(await rangeHash(db, start, start + width));
    start += width;
  }
  return new CompactRange(fastSha256, size, roots);
}

function broken(seq: number, message: string): SeedError {
  return new SeedError('store_corrupt', message, {
    hint: 'Restore the home from a backup; an export and `seed receipts verify` say what is wrong with the whole log.',
    data: { seq },
  });
}

const missing = (seq: number): SeedError => broken(seq, `Receipt ${seq} is missing from the database.`);
const unlisted = (seq: number): SeedError =>
  broken(seq, `Receipt ${seq} is missing from the lists of receipts by grant and by outcome.`);
const misplaced = (seq: number): SeedError => broken(seq, `Receipt ${seq} does not follow the one before it.`);
const rewritten = (seq: number): SeedError =>
  broken(seq, `The receipts from ${seq} on form a chain, but not the one that the checkpoint signs.`);

function interrupted(): SeedError {
  return new SeedError('interrupted', 'The log was not read to its end.', { hint: 'Start it again.' });
}
