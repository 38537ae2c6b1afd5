/** Intents that a process left open: it said what it would do, and was killed before it said how it went. */
import { parseReceipt } from '../../formats/receipt.ts';
import { SEED } from '../actor.ts';
import type { Row, Substrate } from '../substrate.ts';

interface OpenRow extends Row {
  readonly bytes: string;
}

/** Settled in one go at most; the next start goes on. */
const SETTLE_MAX = 10_000;

/**
 * Settles what the boot before this one left open, as `incomplete`; resolves to how much that was.
 *
 * Looked for since the newest `seed.start` only: whatever stood open before that one was settled then.
 */
export async function settleOpenIntents(substrate: Substrate): Promise<number> {
  const rows = await substrate.read((db) =>
    db.all<OpenRow>(
      `SELECT bytes FROM substrate_receipts r
       WHERE outcome = 'intent' AND outcome <> 'ok'
         AND seq > coalesce((SELECT max(seq) FROM substrate_receipts WHERE action = 'seed.start'), -1)
         AND NOT EXISTS (SELECT 1 FROM substrate_receipts WHERE of_seq = r.seq)
       ORDER BY seq LIMIT ?`,
      SETTLE_MAX,
    ),
  );
  for (const { bytes } of rows) {
    const { seq, action, subject } = parseReceipt(bytes);
    await substrate.operate({ action, actor: SEED }, async (op) => {
      op.receipt({ of: seq, outcome: 'incomplete', code: 'interrupted', subject });
    });
  }
  return rows.length;
}
