/** Money that an earlier boot held and never settled: nobody knows what those calls cost. */
import type { Receipt } from '../../formats/receipt.ts';
import { parseReceipt } from '../../formats/receipt.ts';
import { SEED } from '../actor.ts';
import { OPEN_INTENTS } from '../receipts/log.ts';
import type { Row, Substrate } from '../substrate.ts';
import { settle } from './ledger.ts';
import { readHeldMicroUsd } from './sums.ts';

interface LeftoverRow extends Row {
  readonly id: string;
  readonly target: string;
  readonly model: string;
  readonly price_version: string;
  readonly bound_micro_usd: number;
  /** The intent, as it was written. */
  readonly bytes: string;
  readonly has_outcome: 0 | 1;
}

/** Looked up at once. */
const PAGE_ROWS = 1_000;

const COLUMNS = `l.id, l.target, l.model, l.price_version, l.bound_micro_usd, r.bytes,
  EXISTS (SELECT 1 FROM substrate_receipts WHERE of_seq = r.seq) AS has_outcome`;

/**
 * By the open intents of calls, whose attempts are numbered within their call (`<call>.001`; the slash follows
 * the full stop). The plus keeps SQLite from an index of the whole ledger, made for this alone.
 */
const OF_OPEN_INTENTS = `SELECT ${COLUMNS} FROM ${OPEN_INTENTS} r CROSS JOIN substrate_ledger l
    ON l.id >= json_extract(r.bytes, '$.subject.id') || '.' AND l.id < json_extract(r.bytes, '$.subject.id') || '/'
  WHERE +l.receipt = r.seq AND l.cost_micro_usd IS NULL ORDER BY l.receipt LIMIT ?`;

/** Wherever it is: reads the whole ledger. */
const ANYWHERE = `SELECT ${COLUMNS} FROM substrate_ledger l JOIN substrate_receipts r ON r.seq = l.receipt
  WHERE l.cost_micro_usd IS NULL ORDER BY l.receipt LIMIT ?`;

/**
 * Settles every hold in full, each together with the outcome of its intent; resolves to how many there
 * were. To be called before any door opens, when whatever is held was held by a process that is gone, and
 * before what settles the intents that hold no money.
 */
export async function settleLeftovers(substrate: Substrate): Promise<number> {
  const settled = await settleAllOf(substrate, OF_OPEN_INTENTS);
  // The sums know whether that was all, and are a row a day: money outlives its intent where that was settled alone.
  const held = await substrate.read(readHeldMicroUsd);
  return held === 0 ? settled : settled + (await settleAllOf(substrate, ANYWHERE));
}

async function settleAllOf(substrate: Substrate, left: string): Promise<number> {
  let settled = 0;
  for (;;) {
    const rows = await substrate.read((db) => db.all<LeftoverRow>(left, PAGE_ROWS));
    if (rows.length === 0) return settled;
    await Promise.all(rows.map((row) => settleInFull(substrate, row, parseReceipt(row.bytes))));
    settled += rows.length;
  }
}

async function settleInFull(substrate: Substrate, row: LeftoverRow, intent: Receipt): Promise<void> {
  const { id, target, model, price_version: price, bound_micro_usd: costMicroUsd } = row;
  const { action, subject, input, seq } = intent;
  await substrate.operate({ action, actor: SEED }, async (op) => {
    await settle(op, { id, costMicroUsd, usage: null });
    op.receipt({
      // An intent has one outcome; money that outlived it is settled all the same.
      of: row.has_outcome === 1 ? null : seq,
      outcome: 'incomplete',
      code: 'interrupted',
      subject,
      input,
      detail: { target, model, price, cost_micro_usd: costMicroUsd },
    });
  });
}
