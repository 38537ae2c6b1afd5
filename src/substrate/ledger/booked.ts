/** What the attempts of a call were booked at, from the ledger alone: all that is left of one that a stop cut off. */
import type { ReadHandle, Row } from '../store/store.ts';

export interface Booked extends Row {
  readonly target: string;
  readonly model: string;
  readonly cost_micro_usd: number;
  /** The receipt of how it ended, and what that says; null where there is none. */
  readonly receipt: number | null;
  readonly outcome: 'ok' | 'failed' | 'incomplete' | null;
  readonly code: string | null;
}

/** Attempts are numbered within their call (`<call>.001`; the slash follows the full stop), oldest first. */
export async function listBooked(db: ReadHandle, call: string): Promise<Booked[]> {
  return db.all<Booked>(
    `SELECT l.target, l.model, coalesce(l.cost_micro_usd, l.bound_micro_usd) AS cost_micro_usd,
       r.seq AS receipt, r.outcome, json_extract(r.bytes, '$.code') AS code
     FROM substrate_ledger l LEFT JOIN substrate_receipts r ON r.of_seq = l.receipt
     WHERE l.id >= ? AND l.id < ? ORDER BY l.id`,
    `${call}.`,
    `${call}/`,
  );
}
