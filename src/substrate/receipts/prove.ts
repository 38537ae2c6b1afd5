/** Self-contained proofs that one receipt stands in the log. */
import { SeedError } from '../../errors.ts';
import { inclusionRanges, leafHash, verifyInclusion } from '../../formats/merkle.ts';
import { formatProof } from '../../formats/proof.ts';
import type { ReadHandle } from '../store/store.ts';
import { readLogState } from './log.ts';
import { getReceiptLine } from './query.ts';
import { fastSha256 } from './sha256.ts';
import { rangeHash } from './tree.ts';

/** A C2SP tlog-proof of receipt `seq` against the newest checkpoint, the receipt's bytes included. */
export async function proveReceipt(db: ReadHandle, seq: number): Promise<string> {
  const log = await readLogState(db);
  if (log === null || seq >= log.size) {
    throw new SeedError('not_found', `There is no receipt ${seq}.`, {
      hint: 'List the receipts to see the newest.',
      data: { seq },
    });
  }
  const path: Uint8Array[] = [];
  for (const { start, end } of inclusionRanges(seq, log.size)) path.push(await rangeHash(db, start, end));
  const extra = Buffer.from(await getReceiptLine(db, seq));
  const leaf = leafHash(extra, fastSha256);
  if (!verifyInclusion({ leaf, index: seq, size: log.size, path, root: log.range.root(), sha: fastSha256 })) {
    throw new SeedError('store_corrupt', `Receipt ${seq}, or one beside it, was altered in the database.`, {
      hint: 'Export the log and run `seed receipts verify` on it, which names the first one that is wrong.',
      data: { seq },
    });
  }
  return formatProof({ extra, index: seq, path, checkpoint: log.checkpoint });
}
