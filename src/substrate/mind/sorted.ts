/** What became of the messages to the seed itself, under their places in its inbox. */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';

export const KINDS = ['task', 'note', 'question', 'alert', 'noise'] as const;
/** What a message to the seed is sorted into. */
export type MessageKind = (typeof KINDS)[number];

/** Who sorted it: a model, or the rules that take over where none answers. */
export type SortedBy = 'model' | 'rules';

/** Rows that are kept. */
const SORTED_ROWS_MAX = 10_000;

export interface Sorted {
  /** Its place in the seed's inbox. */
  readonly seq: number;
  readonly sender: string;
  readonly thread: string;
  readonly kind: MessageKind;
  readonly sortedBy: SortedBy;
  /** What came of it: a task's or a memory's id; null for the others. */
  readonly became: string | null;
  readonly replied: boolean;
  /** The hash of what the owner is told later, for want of room; null where nothing is left to be told. */
  readonly untold: string | null;
}

/** Writes down what became of a message: once, since a place has one row. */
export async function noteSorted(op: Operation, sorted: Sorted): Promise<void> {
  const { seq, sender, thread, kind, sortedBy, became, replied, untold } = sorted;
  await op.run(
    `INSERT INTO substrate_mind_sorted (seq, at, receipt, sender, thread, kind, sorted_by, became, replied, untold)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    seq,
    op.now,
    op.seq,
    sender,
    thread,
    kind,
    sortedBy,
    became,
    replied ? 1 : 0,
    untold,
  );
  await op.run('DELETE FROM substrate_mind_sorted WHERE seq <= ?', seq - SORTED_ROWS_MAX);
}

/** How often the seed has answered in a thread. */
export async function countReplies(db: ReadHandle, thread: string): Promise<number> {
  const row = await db.get<{ count: number } & Row>(
    'SELECT count(*) AS count FROM substrate_mind_sorted WHERE thread = ? AND replied = 1',
    thread,
  );
  return row?.count ?? 0;
}

export interface SortedRow extends Row {
  readonly seq: number;
  readonly at: number;
  readonly receipt: number;
  readonly sender: string;
  readonly thread: string;
  readonly kind: MessageKind;
  readonly sorted_by: SortedBy;
  readonly became: string | null;
  readonly untold: string | null;
}

/** The newest first. */
export async function listSorted(db: ReadHandle, limit: number): Promise<SortedRow[]> {
  return db.all<SortedRow>(
    `SELECT seq, at, receipt, sender, thread, kind, sorted_by, became, untold FROM substrate_mind_sorted
     ORDER BY seq DESC LIMIT ?`,
    limit,
  );
}
