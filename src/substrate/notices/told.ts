/** What the owner was told, by which notifier, and what is to be tried again. */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { NoticeEvent } from '../policy/model.ts';

export type ToldState = 'told' | 'failed' | 'given_up';

/** One telling of one fact by one notifier. */
export interface ToldRow extends Row {
  /** Stands for the fact: the same fact is told once. */
  readonly fact: string;
  readonly notifier: string;
  readonly event: NoticeEvent;
  readonly says: string;
  readonly state: ToldState;
  readonly tries: number;
  /** ms since the epoch: of the last try. */
  readonly at: number;
  /** When it is tried again; null where it is not. */
  readonly retry_at: number | null;
}

const COLUMNS = 'fact, notifier, event, says, state, tries, at, retry_at';
/** How long it is remembered what was told; the facts themselves are long past by then. */
export const TOLD_KEPT_MS: number = 400 * 86_400_000;

export async function findTold(db: ReadHandle, fact: string, notifier: string): Promise<ToldRow | null> {
  const row = await db.get<ToldRow>(
    `SELECT ${COLUMNS} FROM substrate_told WHERE fact = ? AND notifier = ?`,
    fact,
    notifier,
  );
  return row ?? null;
}

/** The last tellings, the newest first. */
export async function listTold(db: ReadHandle, limit: number): Promise<ToldRow[]> {
  return db.all<ToldRow>(`SELECT ${COLUMNS} FROM substrate_told ORDER BY at DESC, fact, notifier LIMIT ?`, limit);
}

/** When an event was last told by a notifier, ms; null where it never was. */
export async function lastToldAt(db: ReadHandle, event: NoticeEvent, notifier: string): Promise<number | null> {
  const row = await db.get<{ at: number } & Row>(
    `SELECT at FROM substrate_told WHERE event = ? AND notifier = ? AND state = 'told' ORDER BY at DESC LIMIT 1`,
    event,
    notifier,
  );
  return row?.at ?? null;
}

export async function writeTold(tx: WriteHandle, told: ToldRow): Promise<void> {
  await tx.run(
    `REPLACE INTO substrate_told (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    told.fact,
    told.notifier,
    told.event,
    told.says,
    told.state,
    told.tries,
    told.at,
    told.retry_at,
  );
}

/** Forgets what is long past; resolves to how many there were. */
export async function forgetTold(tx: WriteHandle, before: number): Promise<number> {
  return tx.run('DELETE FROM substrate_told WHERE at < ?', before);
}
