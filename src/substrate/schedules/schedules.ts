/**
 * Schedules: what is to be done when, as rows. When one is due next is reckoned elsewhere
 * (`mind/schedule`) and kept here, so that a restart neither forgets an occurrence nor repeats one.
 */
import { SeedError } from '../../errors.ts';
import { newId } from '../sources.ts';
import type { Sources } from '../sources.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Schedule, ScheduleDraft } from './model.ts';
import { SCHEDULES_MAX } from './model.ts';

const COLUMNS = 'id, name, cron, zone, job, draft, catch_up, added_at, next_due, next_zone, last_due';

/** All schedules, by name. */
export async function listSchedules(db: ReadHandle): Promise<Schedule[]> {
  return db.all<Schedule>(`SELECT ${COLUMNS} FROM substrate_schedules ORDER BY name LIMIT ?`, SCHEDULES_MAX);
}

export async function findSchedule(db: ReadHandle, name: string): Promise<Schedule | null> {
  return (await db.get<Schedule>(`SELECT ${COLUMNS} FROM substrate_schedules WHERE name = ?`, name)) ?? null;
}

/** @throws SeedError `not_found` */
export async function getSchedule(db: ReadHandle, name: string): Promise<Schedule> {
  const found = await findSchedule(db, name);
  if (found !== null) return found;
  throw new SeedError('not_found', `There is no schedule "${name}".`, {
    hint: '`seed schedule list` shows them.',
    data: { argument: 'name' },
  });
}

/**
 * Adds a schedule, in an operation that says so. Without `next` the clock reckons when it is due.
 *
 * @throws SeedError `conflict` where the name is taken, `too_many`
 */
export async function insertSchedule(
  op: Operation,
  { name, cron, zone, job, task, catchUp }: ScheduleDraft,
  { sources, next = null }: { sources: Sources; next?: { readonly due: number; readonly zone: string } | null },
): Promise<void> {
  if ((await findSchedule(op, name)) !== null) {
    throw new SeedError('conflict', `There is a schedule "${name}" already.`, {
      hint: `Choose another name, or remove that one first: \`seed schedule remove ${name}\`.`,
      data: { argument: 'name' },
    });
  }
  const { count } = (await op.get<CountRow>('SELECT count(*) AS count FROM substrate_schedules')) ?? { count: 0 };
  if (count >= SCHEDULES_MAX) {
    throw new SeedError('too_many', `There are ${SCHEDULES_MAX} schedules; that is the limit.`, {
      hint: 'Remove those that nobody needs.',
    });
  }
  await op.run(
    `INSERT INTO substrate_schedules (id, name, cron, zone, job, draft, catch_up, added_at, next_due, next_zone)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    newId(sources),
    name,
    cron,
    zone,
    job,
    task === null ? null : JSON.stringify(task),
    catchUp,
    op.now,
    next?.due ?? null,
    next?.zone ?? null,
  );
}

interface CountRow extends Row {
  readonly count: number;
}

/**
 * Removes a schedule with its occurrences; a run that is under way goes on, and what became of it is not kept.
 * @throws SeedError `not_found`
 */
export async function removeSchedule(op: Operation, name: string): Promise<void> {
  const { id } = await getSchedule(op, name);
  await op.run('DELETE FROM substrate_occurrences WHERE schedule = ?', id);
  await op.run('DELETE FROM substrate_schedules WHERE id = ?', id);
}

export interface Reckoning {
  /** ms since the epoch. */
  readonly nextDue: number;
  readonly zone: string;
  /** The newest time that was due, where that changed. */
  readonly lastDue?: number | null;
}

/**
 * Says when a schedule is due next.
 * @returns false where it is not as it was when that was reckoned: nothing changed then
 */
export async function setNextDue(
  op: Operation,
  { id, next_due: before }: Pick<Schedule, 'id' | 'next_due'>,
  { nextDue, zone, lastDue = null }: Reckoning,
): Promise<boolean> {
  const changed = await op.run(
    `UPDATE substrate_schedules SET next_due = ?, next_zone = ?, last_due = coalesce(?, last_due)
     WHERE id = ? AND next_due IS ?`,
    nextDue,
    zone,
    lastDue,
    id,
    before,
  );
  return changed === 1;
}
