/** Syntheses of a period: each a call that waits for the drain, then a memory. */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';

export interface SynthesisRow extends Row {
  /** The id of the call. */
  readonly call: string;
  readonly first_seq: number;
  readonly last_seq: number;
  /** The numbers of the receipts that the model was shown, as JSON. */
  readonly shown: string;
  readonly created_at: number;
  readonly state: 'waiting' | 'written' | 'failed';
  /** The id of the memory. */
  readonly memory: string | null;
  readonly says: string | null;
}

const COLUMNS = 'call, first_seq, last_seq, shown, created_at, state, memory, says';
/** Those that are over and kept. */
const KEPT_MAX = 500;

/** Adds one; the same call again changes nothing. */
export async function insertSynthesis(
  op: Operation,
  { call, first, last, shown }: { call: string; first: number; last: number; shown: readonly number[] },
): Promise<void> {
  await op.run(
    `INSERT INTO substrate_mind_syntheses (call, first_seq, last_seq, shown, created_at, state)
     VALUES (?, ?, ?, ?, ?, 'waiting') ON CONFLICT (call) DO NOTHING`,
    call,
    first,
    last,
    JSON.stringify(shown),
    op.now,
  );
  await op.run(
    `DELETE FROM substrate_mind_syntheses WHERE state <> 'waiting' AND created_at <
       (SELECT created_at FROM substrate_mind_syntheses ORDER BY created_at DESC LIMIT 1 OFFSET ?)`,
    KEPT_MAX,
  );
}

/** Those whose call has ended and whose answer is not taken in yet, the oldest first. */
export async function listAnswered(db: ReadHandle, limit: number): Promise<SynthesisRow[]> {
  return db.all<SynthesisRow>(
    `SELECT ${COLUMNS} FROM substrate_mind_syntheses s WHERE state = 'waiting'
       AND NOT EXISTS (SELECT 1 FROM substrate_calls c WHERE c.id = s.call AND c.status IN ('queued', 'running'))
     ORDER BY created_at LIMIT ?`,
    limit,
  );
}

/** The newest receipt that a synthesis was about; null where there was none. */
export async function lastSynthesised(db: ReadHandle): Promise<number | null> {
  const row = await db.get<{ last: number | null } & Row>('SELECT max(last_seq) AS last FROM substrate_mind_syntheses');
  return row?.last ?? null;
}

/** Says what came of one; false where that was said before. */
export async function endSynthesis(
  op: Operation,
  call: string,
  { state, memory, says }: { state: 'written' | 'failed'; memory: string | null; says: string | null },
): Promise<boolean> {
  const changed = await op.run(
    `UPDATE substrate_mind_syntheses SET state = ?, memory = ?, says = ? WHERE call = ? AND state = 'waiting'`,
    state,
    memory,
    says,
    call,
  );
  return changed === 1;
}
