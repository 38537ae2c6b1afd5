/** From any receipt or content hash of a model call to every step of that call. */
import type { Receipt } from '../formats/receipt.ts';
import { parseReceipt } from '../formats/receipt.ts';
import type { StoredCall } from './calls.ts';
import { findCall } from './calls.ts';
import type { ReadHandle, Row } from './store/store.ts';
import type { SubstrateReader } from './substrate.ts';

export interface Trace {
  /** Null where the call was refused before it began. */
  readonly call: StoredCall | null;
  /** Intents, outcomes and refusals of the call, oldest first. */
  readonly receipts: readonly Receipt[];
}

interface LineRow extends Row {
  readonly bytes: string;
}

/** The id of the call that a receipt speaks of; null for a receipt of something else. */
function callOf({ subject }: Receipt): string | null {
  return subject.type === 'call' ? subject.id : null;
}

/** The receipts of a call: its intents by the ledger, their outcomes, and what refused it, by its own account. */
async function receiptsOf(db: ReadHandle, id: string, named: readonly number[]): Promise<Receipt[]> {
  const rows = await db.all<LineRow>(
    `SELECT bytes FROM substrate_receipts WHERE
       seq IN (SELECT receipt FROM substrate_ledger WHERE id >= ? AND id < ?)
       OR of_seq IN (SELECT receipt FROM substrate_ledger WHERE id >= ? AND id < ?)
       OR seq IN (SELECT value FROM json_each(?))
     ORDER BY seq`,
    // Attempts are numbered within their call: `<call>.001`; the slash follows the full stop.
    `${id}.`,
    `${id}/`,
    `${id}.`,
    `${id}/`,
    JSON.stringify(named),
  );
  return rows.map(({ bytes }) => parseReceipt(bytes));
}

interface Named {
  readonly receipt: number | null;
  readonly attempts: readonly { readonly receipt: number | null }[];
}

function receiptsNamedBy(call: StoredCall | null): number[] {
  if (call === null || call.outcome === null) return [];
  const { receipt, attempts } = JSON.parse(call.outcome) as Named;
  return [receipt, ...attempts.map((attempt) => attempt.receipt)].filter((seq) => seq !== null);
}

/** The call that a receipt belongs to, with all its steps; null where it belongs to none. */
export async function traceReceipt(db: ReadHandle, seq: number): Promise<Trace | null> {
  const row = await db.get<LineRow>('SELECT bytes FROM substrate_receipts WHERE seq = ?', seq);
  const id = row === undefined ? null : callOf(parseReceipt(row.bytes));
  if (id === null) return null;
  const call = await findCall(db, id);
  return { call, receipts: await receiptsOf(db, id, [seq, ...receiptsNamedBy(call)]) };
}

/** Receipts looked through in one read; a longer one would hold up whoever else reads. */
const PAGE_ROWS = 5_000;

/** The call that took in or gave out the content with this hash, looked for from the newest receipt back. */
export async function traceContent(
  substrate: SubstrateReader,
  hash: string,
  signal: AbortSignal,
): Promise<Trace | null> {
  const { size } = await substrate.log();
  for (let end = size; end > 0 && !signal.aborted; end -= PAGE_ROWS) {
    const trace = await substrate.read(async (db) => {
      const found = await db.get<{ seq: number } & Row>(
        `SELECT seq FROM substrate_receipts
          WHERE seq >= ? AND seq < ? AND action = 'route.attempt' AND (bytes LIKE ? OR bytes LIKE ?)
          ORDER BY seq DESC LIMIT 1`,
        end - PAGE_ROWS,
        end,
        `%"output":"${hash}"%`,
        `%"input":"${hash}"%`,
      );
      return found === undefined ? null : traceReceipt(db, found.seq);
    });
    if (trace !== null) return trace;
  }
  return null;
}
