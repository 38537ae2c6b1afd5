/**
 * What was found of each subsystem over time: each change of its status, and at most once a day its scores where
 * they differ from those before. Bounded; nothing is decided by it.
 */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';

export const STATUSES = ['stalled', 'drifting', 'healthy', 'unknown'] as const;
/** `healthy`: as it was, or nothing is owed. `unknown`: too little is known. */
export type Status = (typeof STATUSES)[number];

/** Kept of one subsystem, the newest: more than a year where its scores change every day. */
const ENTRIES_MAX = 400;

export interface Entry {
  /** ms since the epoch. */
  readonly at: number;
  /** `change`: the status became another one. `day`: the scores of a day. */
  readonly kind: 'change' | 'day';
  readonly status: Status;
  readonly provisional: boolean;
  readonly reason: string;
  /** Scores from 0 to 1 by the component's name; what is unknown is left out. */
  readonly scores: Readonly<Record<string, number>>;
}

interface EntryRow extends Row {
  readonly at: number;
  readonly kind: Entry['kind'];
  readonly status: Status;
  readonly provisional: number;
  readonly reason: string;
  readonly scores: string;
}

const COLUMNS = 'at, kind, status, provisional, reason, scores';

function fromRow({ provisional, scores, ...row }: EntryRow): Entry {
  return { ...row, provisional: provisional === 1, scores: JSON.parse(scores) as Entry['scores'] };
}

/** The newest first; of one kind alone where it says so. */
export async function listHistory(
  db: ReadHandle,
  subsystem: string,
  { limit, kind }: { limit: number; kind?: Entry['kind'] },
): Promise<Entry[]> {
  const rows = await db.all<EntryRow>(
    `SELECT ${COLUMNS} FROM substrate_coherence_history
     WHERE subsystem = ? AND coalesce(?, kind) = kind ORDER BY at DESC LIMIT ?`,
    subsystem,
    kind ?? null,
    limit,
  );
  return rows.map(fromRow);
}

/** When a subsystem was first looked at, as far as the history goes back; null where it never was. */
export async function observedSince(db: ReadHandle, subsystem: string): Promise<number | null> {
  const row = await db.get<{ readonly at: number | null }>(
    'SELECT min(at) AS at FROM substrate_coherence_history WHERE subsystem = ?',
    subsystem,
  );
  return row?.at ?? null;
}

export async function addEntry(tx: WriteHandle, subsystem: string, entry: Entry): Promise<void> {
  const { at, kind, status, provisional, reason, scores } = entry;
  await tx.run(
    `INSERT OR REPLACE INTO substrate_coherence_history (subsystem, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    subsystem,
    at,
    kind,
    status,
    provisional ? 1 : 0,
    reason,
    JSON.stringify(scores),
  );
  await tx.run(
    `DELETE FROM substrate_coherence_history WHERE subsystem = ? AND at <
       (SELECT at FROM substrate_coherence_history WHERE subsystem = ? ORDER BY at DESC LIMIT 1 OFFSET ?)`,
    subsystem,
    subsystem,
    ENTRIES_MAX - 1,
  );
}
