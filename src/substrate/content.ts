/**
 * What receipts speak of, kept apart from them by hash, so that it can be erased and they remain.
 *
 * hash = SHA-256(32 random bytes ‖ content). The salt is kept and erased with the content: without
 * it, a short erased text could be found again by trying.
 */
import { SeedError } from '../errors.ts';
import { fastSha256Hex } from './receipts/sha256.ts';
import type { Sources } from './sources.ts';
import type { ReadHandle, Row, WriteHandle } from './store/store.ts';

export const SALT_BYTES = 32;

/** The largest content that is kept, in bytes. */
export const CONTENT_BYTES_MAX = 4 * 1024 * 1024;

/** What stands for a content in receipts. */
export function contentHash(salt: Uint8Array, body: Uint8Array): string {
  return fastSha256Hex(Buffer.concat([salt, body]));
}

/** Keeps `body` and resolves to its salted hash; erased by retention after `eraseAt` (ms), if given. */
export async function putContent(
  tx: WriteHandle,
  body: Uint8Array,
  { sources, eraseAt = null }: { sources: Sources; eraseAt?: number | null },
): Promise<string> {
  if (body.length > CONTENT_BYTES_MAX) {
    throw new SeedError('too_large', `The content has ${body.length} bytes; the limit is ${CONTENT_BYTES_MAX}.`, {
      hint: 'Split it, or keep it in a file and note where it is.',
    });
  }
  const salt = sources.random(SALT_BYTES);
  const hash = contentHash(salt, body);
  await tx.run(
    'INSERT INTO substrate_content (hash, salt, body, erase_at) VALUES (?, ?, ?, ?)',
    hash,
    salt,
    body,
    eraseAt,
  );
  return hash;
}

/** The first of the newest pieces that stand on no shelf yet, at most 128 (`0020-shelves.ts`). */
export const FIRST_UNSHELVED = '(SELECT max(id) >> 7 << 7 FROM substrate_content)';

/** Among those, where most of what is asked for is. */
const UNSHELVED = `FROM substrate_content WHERE id >= ${FIRST_UNSHELVED} AND hash = ? LIMIT 1`;

/** On any shelf of 4,096 numbers, the newest first: about a microsecond for each. Both parameters are the hash. */
const SHELVED = `WITH RECURSIVE shelf (nth) AS (
    SELECT max(id) >> 12 FROM substrate_content
    UNION ALL SELECT nth - 1 FROM shelf WHERE nth > 0
  )
  SELECT c.id FROM shelf
    CROSS JOIN substrate_content_shelves s ON s.shelf = shelf.nth AND s.prefix = substr(?, 1, 12)
    CROSS JOIN substrate_content c ON c.id = s.id AND c.hash = ? LIMIT 1`;

/** The number of a piece, wherever it stands. */
const ANYWHERE = `coalesce((SELECT id ${UNSHELVED}), (${SHELVED}))`;

/** The parameters of {@link ANYWHERE}. */
function anywhere(hash: string): [string, string, string] {
  return [hash, hash, hash];
}

interface ContentRow extends Row {
  readonly salt: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * The content with that hash; null when it was erased or never kept.
 *
 * @throws SeedError `store_corrupt` when what is kept no longer has that hash
 */
export async function getContent(db: ReadHandle, hash: string): Promise<Uint8Array | null> {
  // One after the other: SQLite would look on all shelves before it saw that it need not.
  const row =
    (await db.get<ContentRow>(`SELECT salt, body ${UNSHELVED}`, hash)) ??
    (await db.get<ContentRow>(`SELECT salt, body FROM substrate_content WHERE id = (${SHELVED})`, hash, hash));
  if (row === undefined) return null;
  if (contentHash(row.salt, row.body) === hash) return row.body;
  throw new SeedError(
    'store_corrupt',
    'The content is not the one that the receipt stands for: it was altered in the database.',
    {
      hint: 'Restore the database from a backup; the receipt itself can be verified by an export.',
      data: { hash },
    },
  );
}

/**
 * Removes content and its salt; resolves to how many pieces there were.
 *
 * It is gone from the file only after `Substrate.scrub`, which the caller owes whoever asked.
 */
export async function eraseContent(tx: WriteHandle, hashes: readonly string[]): Promise<number> {
  let erased = 0;
  for (const hash of hashes) {
    erased += await tx.run(`DELETE FROM substrate_content WHERE id = ${ANYWHERE}`, ...anywhere(hash));
  }
  return erased;
}

/** Keeps content until `eraseAt` at least, where it would have gone earlier. */
export async function keepContent(tx: WriteHandle, hash: string, eraseAt: number): Promise<void> {
  // What is kept for ever has no time, and the greater of no time and any other is none.
  await tx.run(
    `UPDATE substrate_content SET erase_at = max(erase_at, ?) WHERE id = ${ANYWHERE}`,
    eraseAt,
    ...anywhere(hash),
  );
}
