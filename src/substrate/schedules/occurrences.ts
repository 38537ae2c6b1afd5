/**
 * Occurrences: each time of a schedule at most once, from the moment it is due until it is known what came of it.
 *
 * The clock makes them (`makeOccurrences`). Whoever does their job lists what waits (`dueOccurrences`), begins
 * one in an operation (`startOccurrence`), does the work, and says what came of it (`finishOccurrence`); where
 * the work is one operation itself, it says so in there and no beginning is needed.
 */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Job, Occurrence, Schedule } from './model.ts';
import { ATTEMPTS_MAX, KEPT_MAX, WAITING_MAX } from './model.ts';

const COLUMNS =
  'schedule, due, name, job, state, attempts, made_at, started_at, ended_at, result, says, receipt' as const;
/** The index on what waits is found by these very words. */
const WAITS = "state IN ('due', 'running')";

/** What names an occurrence. */
export type OccurrenceKey = Pick<Occurrence, 'schedule' | 'due'>;

/**
 * What waits for a job, the oldest first. What is `running` is among it: one organ does a job, one run at a
 * time, so at its look that is a run that was cut off, and is begun again.
 */
export async function dueOccurrences(db: ReadHandle, job: Job, limit: number = WAITING_MAX): Promise<Occurrence[]> {
  return db.all<Occurrence>(
    `SELECT ${COLUMNS} FROM substrate_occurrences WHERE job = ? AND ${WAITS} ORDER BY due LIMIT ?`,
    job,
    limit,
  );
}

/** The newest occurrences of a schedule, or of all, the newest first. */
export async function listOccurrences(
  db: ReadHandle,
  { schedule, limit }: { schedule: string; limit: number },
): Promise<Occurrence[]> {
  return db.all<Occurrence>(
    `SELECT ${COLUMNS} FROM substrate_occurrences WHERE schedule = ? ORDER BY due DESC LIMIT ?`,
    schedule,
    limit,
  );
}

async function findOccurrence(db: ReadHandle, { schedule, due }: OccurrenceKey): Promise<Occurrence | null> {
  const sql = `SELECT ${COLUMNS} FROM substrate_occurrences WHERE schedule = ? AND due = ?`;
  return (await db.get<Occurrence>(sql, schedule, due)) ?? null;
}

/** Puts a schedule's due times down; a time that is there already stays as it is. @returns how many are new */
export async function makeOccurrences(
  op: Operation,
  { id, name, job, catch_up: catchUp }: Pick<Schedule, 'id' | 'name' | 'job' | 'catch_up'>,
  times: readonly number[],
): Promise<number> {
  let made = 0;
  for (const due of times) {
    made += await op.run(
      `INSERT INTO substrate_occurrences (schedule, due, name, job, state, made_at, receipt)
       VALUES (?, ?, ?, ?, 'due', ?, ?) ON CONFLICT (schedule, due) DO NOTHING`,
      id,
      due,
      name,
      job,
      op.now,
      op.seq,
    );
  }
  await skipOlder(op, id, { waitingMax: catchUp === 'all' ? WAITING_MAX : 1 });
  await dropOld(op, id);
  return made;
}

/** What nobody took yet gives way to what came after it. */
async function skipOlder(op: Operation, schedule: string, { waitingMax }: { waitingMax: number }): Promise<void> {
  await op.run(
    `UPDATE substrate_occurrences SET state = 'skipped', ended_at = ?, receipt = ?, says = ?
     WHERE schedule = ? AND state = 'due' AND due NOT IN (
       SELECT due FROM substrate_occurrences WHERE schedule = ? AND state = 'due' ORDER BY due DESC LIMIT ?)`,
    op.now,
    op.seq,
    'Nobody had taken it when it was due again.',
    schedule,
    schedule,
    waitingMax,
  );
}

async function dropOld(op: Operation, schedule: string): Promise<void> {
  await op.run(
    `DELETE FROM substrate_occurrences WHERE schedule = ? AND NOT ${WAITS} AND due NOT IN (
       SELECT due FROM substrate_occurrences WHERE schedule = ? AND NOT ${WAITS} ORDER BY due DESC LIMIT ?)`,
    schedule,
    schedule,
    KEPT_MAX,
  );
}

/**
 * Begins an occurrence; its `attempts` is then the number that `finishOccurrence` wants.
 * @returns null where it does not wait any more, or was cut off so often that it counts as failed now
 */
export async function startOccurrence(op: Operation, key: OccurrenceKey): Promise<Occurrence | null> {
  const { schedule, due } = key;
  const found = await findOccurrence(op, key);
  if (found === null || (found.state !== 'due' && found.state !== 'running')) return null;
  op.receipt({ subject: { type: 'schedule', id: found.name }, detail: { due, attempt: found.attempts + 1 } });
  if (found.attempts >= ATTEMPTS_MAX) {
    const says = `It was cut off ${ATTEMPTS_MAX} times.`;
    await finishOccurrence(op, key, { attempt: found.attempts, state: 'failed', says });
    return null;
  }
  await op.run(
    `UPDATE substrate_occurrences SET state = 'running', attempts = attempts + 1, started_at = ?, receipt = ?
     WHERE schedule = ? AND due = ?`,
    op.now,
    op.seq,
    schedule,
    due,
  );
  return findOccurrence(op, key);
}

export interface Ending {
  /** As `startOccurrence` gave it; 0 where it was never begun. */
  readonly attempt: number;
  readonly state: 'done' | 'failed' | 'skipped';
  /** In words, for the owner. */
  readonly says: string;
  /** What came of it, such as the id of a task. */
  readonly result?: string | null;
}

/**
 * Says what came of an occurrence.
 * @returns false where it is over already, was begun again by another run, or went with its schedule
 */
export async function finishOccurrence(
  op: Operation,
  { schedule, due }: OccurrenceKey,
  { attempt, state, says, result = null }: Ending,
): Promise<boolean> {
  const changed = await op.run(
    `UPDATE substrate_occurrences SET state = ?, ended_at = ?, says = ?, result = ?, receipt = ?
     WHERE schedule = ? AND due = ? AND attempts = ? AND ${WAITS}`,
    state,
    op.now,
    says.slice(0, SAYS_CHARS_MAX),
    result,
    op.seq,
    schedule,
    due,
    attempt,
  );
  return changed === 1;
}

const SAYS_CHARS_MAX = 1_000;

interface LiveRow extends Row {
  readonly id: string;
}

/** Tasks of a schedule that are not over yet, the newest first. */
export async function liveTasksOf(db: ReadHandle, schedule: string): Promise<string[]> {
  const rows = await db.all<LiveRow>(
    `SELECT t.id FROM substrate_occurrences o JOIN substrate_tasks t ON t.id = o.result
     WHERE o.schedule = ? AND o.state = 'done' AND t.state IN ('open', 'claimed', 'finished') ORDER BY o.due DESC`,
    schedule,
  );
  return rows.map(({ id }) => id);
}

interface LookRow extends Row {
  readonly waiting: number;
  readonly next: number | null;
}

/** What the clock has to do now, and when there is more. */
export async function lookAtClock(
  db: ReadHandle,
  { now, policyZone }: { now: number; policyZone: string | null },
): Promise<{ readonly waiting: number; readonly nextAt: number | null }> {
  const row = await db.get<LookRow>(
    `SELECT count(*) FILTER (WHERE next_due IS NULL OR next_due <= ? OR (zone IS NULL AND next_zone IS NOT coalesce(?, next_zone)))
         AS waiting, min(next_due) FILTER (WHERE next_due > ?) AS next
     FROM substrate_schedules`,
    now,
    policyZone,
    now,
  );
  const tasks = await db.get<CountRow>(
    `SELECT count(*) AS count FROM substrate_occurrences WHERE job = 'task' AND ${WAITS}`,
  );
  return { waiting: (row?.waiting ?? 0) + (tasks?.count ?? 0), nextAt: row?.next ?? null };
}

interface CountRow extends Row {
  readonly count: number;
}
