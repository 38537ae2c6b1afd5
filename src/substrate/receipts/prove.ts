/** Self-contained proofs that one receipt stands in the log. */
import { SeedError } from '../../errors.ts';
import { inclusionRanges } from '../../formats/merkle.ts';
import { formatProof } from '../../formats/proof.ts';
import type { ReadHandle } from '../store/store.ts';
import { readLogState } from './log.ts';
import { getReceiptLine } from './query.ts';
import { rangeHash } from './tree.ts';

/** A C2SP tlog-proof of receipt `seq` against the newest checkpoint, the receipt's bytes included. */
export async function proveReceipt(db: ReadHandle, seq: number): Promise<string> {
  const log = await readLogState(db);
  if (log === null || seq >= log.size) {
    throw new SeedError('not_found', `There is no receipt ${seq}.`, {
      hint: 'The newest are shown by `seed receipts list`.',
      data: { seq },
    });
  }
  const path: Uint8Array[] = [];
  for (const { start, end } of inclusionRanges(seq, log.size)) path.push(await rangeHash(db, start, end));
  return formatProof({
    extra: Buffer.from(await getReceiptLine(db, seq)),
    index: seq,
    path,
    checkpoint: log.checkpoint,
  });
}
