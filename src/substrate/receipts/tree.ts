/**
 * The log's Merkle tree as it is kept in the store (RFC 6962 §2.1).
 *
 * Kept are the hashes of complete subtrees of 256 leaves, of 256 of those, and so on. Leaf hashes
 * are not kept: they are computed again from the stored receipts, at most 512 for any proof.
 */
import { SeedError } from '../../errors.ts';
import { leafHash, nodeHash } from '../../formats/merkle.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import { fastSha256 } from './sha256.ts';

/** Levels between two kept subtrees: 2^8 leaves to a tile, as in C2SP tlog-tiles. */
export const TILE_HEIGHT = 8;
export const TILE_LEAVES: number = 1 << TILE_HEIGHT;

/** The height of a complete subtree of `leaves` leaves, or null when it is not a power of two. */
function heightOf(leaves: number): number | null {
  const height = Math.log2(leaves);
  return Number.isInteger(height) ? height : null;
}

interface BytesRow extends Row {
  readonly bytes: string;
}

interface HashRow extends Row {
  readonly hash: Uint8Array;
}

async function leafHashes(db: ReadHandle, start: number, end: number): Promise<Uint8Array[]> {
  const rows = await db.all<BytesRow>(
    'SELECT bytes FROM substrate_receipts WHERE seq >= ? AND seq < ? ORDER BY seq',
    start,
    end,
  );
  assertAll(rows, end - start, start);
  return rows.map(({ bytes }) => leafHash(Buffer.from(bytes), fastSha256));
}

/** Hashes of the kept subtrees, or of the leaves, that tile `[start, end)` evenly. */
async function tiles(db: ReadHandle, start: number, end: number): Promise<Uint8Array[]> {
  const height = heightOf(end - start) ?? 0;
  const level = Math.floor(height / TILE_HEIGHT);
  if (level === 0) return leafHashes(db, start, end);
  const width = TILE_LEAVES ** level;
  const rows = await db.all<HashRow>(
    'SELECT hash FROM substrate_tree WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx',
    level,
    start / width,
    end / width,
  );
  assertAll(rows, (end - start) / width, start);
  return rows.map(({ hash }) => hash);
}

/** @throws SeedError `log_forked` when rows of the log are gone: nobody but an intruder takes them */
function assertAll(rows: readonly unknown[], wanted: number, start: number): void {
  if (rows.length === wanted) return;
  throw new SeedError('log_forked', `Some of the receipts from ${start} on are missing from the database.`, {
    hint: 'Restore the database from a backup; an export and `seed receipts verify` name the first one missing.',
    data: { from: start },
  });
}

function foldPairs(hashes: readonly Uint8Array[]): Uint8Array {
  let layer = hashes;
  while (layer.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i + 1 < layer.length; i += 2)
      next.push(nodeHash(layer[i] as Uint8Array, layer[i + 1] as Uint8Array, fastSha256));
    layer = next;
  }
  return layer[0] as Uint8Array;
}

/** The largest power of two below `leaves` (RFC 6962 §2.1, "k"). */
function split(leaves: number): number {
  let k = 1;
  while (k * 2 < leaves) k *= 2;
  return k;
}

/**
 * The Merkle tree hash of leaves `start` to `end` (exclusive), from what the store keeps.
 *
 * `start` must be a multiple of the smallest power of two that is at least `end - start`, which
 * every range of a proof is.
 */
export async function rangeHash(db: ReadHandle, start: number, end: number): Promise<Uint8Array> {
  if (heightOf(end - start) !== null) return foldPairs(await tiles(db, start, end));
  const middle = start + split(end - start);
  const [left, right] = [await rangeHash(db, start, middle), await rangeHash(db, middle, end)];
  return nodeHash(left, right, fastSha256);
}
