/** Reads tasks. Each read is bounded: live tasks are, and the others are paged. */
import { SeedError } from '../../errors.ts';
import { getContent } from '../content.ts';
import type { ReadHandle, Row, Value } from '../store/store.ts';
import type { TaskEventName } from './machine.ts';
import type { TaskEvent, TaskRow, TaskState } from './model.ts';
import { ERASED, TaskBody } from './model.ts';

const COLUMNS = `seq, id, subsystem, priority, deadline, body, stated_check, adder, adder_name, adder_principal,
  holder, holder_name, holder_principal, lease, lease_ms, lease_until, verifier_name,
  added_at, claimed_at, finished_at, verified_at, changed_at, events`;

/** A claim is over with its lease, and with the grant that holds it. */
const LAPSED = `(state = 'claimed' AND (lease_until <= ?
  OR (holder NOT IN ('owner', 'seed') AND NOT EXISTS (SELECT 1 FROM substrate_grants g WHERE g.id = holder))))`;

/** Tasks as of a moment, which is the first parameter. */
const TASKS = `SELECT ${COLUMNS}, kept, lapsed, CASE lapsed WHEN 1 THEN 'open' ELSE kept END AS state
  FROM (SELECT ${COLUMNS}, state AS kept, ${LAPSED} AS lapsed FROM substrate_tasks)`;

const LIVE = "kept IN ('open', 'claimed', 'finished')";

const UNMET = `SELECT n.needs FROM substrate_task_needs n LEFT JOIN substrate_tasks d ON d.id = n.needs
  WHERE n.task = ? AND coalesce(d.state <> 'done', 1) ORDER BY n.needs`;

const MET = `NOT EXISTS (SELECT 1 FROM substrate_task_needs n LEFT JOIN substrate_tasks d ON d.id = n.needs
  WHERE n.task = x.id AND coalesce(d.state <> 'done', 1))`;

export async function findTask(db: ReadHandle, id: string, now: number): Promise<TaskRow | null> {
  return (await db.get<TaskRow>(`${TASKS} WHERE id = ?`, now, id)) ?? null;
}

/** @throws SeedError `not_found` */
export async function getTask(db: ReadHandle, id: string, now: number): Promise<TaskRow> {
  const task = await findTask(db, id, now);
  if (task !== null) return task;
  throw new SeedError('not_found', `There is no task ${id}.`, {
    hint: 'task_list shows them.',
    data: { argument: 'id' },
  });
}

/** Its words; what stands in for them where they were erased. */
export async function bodyOf(db: ReadHandle, { body }: Pick<TaskRow, 'body'>): Promise<TaskBody> {
  const content = await getContent(db, body);
  return content === null ? ERASED : TaskBody.parse(JSON.parse(Buffer.from(content).toString('utf8')));
}

interface NeedsRow extends Row {
  readonly needs: string;
}

/** What it depends on that is not done. */
export async function unmetNeeds(db: ReadHandle, id: string): Promise<string[]> {
  return (await db.all<NeedsRow>(UNMET, id)).map(({ needs }) => needs);
}

/** All that it depends on. */
export async function needsOf(db: ReadHandle, id: string): Promise<string[]> {
  const rows = await db.all<NeedsRow>('SELECT needs FROM substrate_task_needs WHERE task = ? ORDER BY needs', id);
  return rows.map(({ needs }) => needs);
}

/** The tasks that depend on it and are live. */
export async function dependentsOf(db: ReadHandle, id: string, now: number): Promise<TaskRow[]> {
  return db.all<TaskRow>(
    `${TASKS} WHERE ${LIVE} AND id IN (SELECT task FROM substrate_task_needs WHERE needs = ?) ORDER BY seq`,
    now,
    id,
  );
}

/** What happened to it last, newest first. */
export async function lastEvents(db: ReadHandle, id: string, limit: number): Promise<TaskEvent[]> {
  return db.all<TaskEvent>(
    `SELECT n, at, receipt, actor, event, state, lease, note FROM substrate_task_events
     WHERE task = ? ORDER BY n DESC LIMIT ?`,
    id,
    limit,
  );
}

/** What happened to any task, by the receipts of a period, both ends included: these events, newest first. */
export async function listEventsBetween(
  db: ReadHandle,
  {
    first,
    last,
    events,
    limit,
  }: { first: number; last: number; events: readonly (TaskEventName | 'add')[]; limit: number },
): Promise<(TaskEvent & { readonly task: string })[]> {
  return db.all<TaskEvent & { readonly task: string }>(
    `SELECT task, n, at, receipt, actor, event, state, lease, note FROM substrate_task_events
     WHERE receipt BETWEEN ? AND ? AND event IN (${events.map(() => '?').join(', ')})
     ORDER BY receipt DESC LIMIT ?`,
    first,
    last,
    ...events,
    limit,
  );
}

/** `live`: neither done nor cancelled. `claimable`: open, and all that it needs is done. */
export type Wanted = TaskState | 'live' | 'claimable';

export interface TaskFilter {
  readonly state: Wanted;
  /** Held or added by this one: a grant's id, or `owner`. */
  readonly mine?: string | undefined;
  readonly holder?: string | undefined;
  readonly subsystem?: string | undefined;
  /** Of one of these. */
  readonly subsystems?: readonly string[] | undefined;
  /** Of none of these subsystems. */
  readonly notOf?: readonly string[] | undefined;
  /** Due by then, ms since the epoch. */
  readonly dueBy?: number | undefined;
  /** Finished, and by another principal than this one. */
  readonly notDoneBy?: string | undefined;
}

/** Where a page ended: priority, deadline and number of its last task. */
export type Place = readonly [priority: number, deadline: number, seq: number];

const NEVER = Number.MAX_SAFE_INTEGER;

export function placeOf({ priority, deadline, seq }: TaskRow): Place {
  return [priority, deadline ?? NEVER, seq];
}

interface Terms {
  readonly terms: readonly string[];
  readonly params: readonly Value[];
}

function termsOf({ state, mine, holder, subsystem, subsystems, notOf = [], dueBy, notDoneBy }: TaskFilter): Terms {
  const terms: string[] = [];
  const params: Value[] = [];
  const add = (term: string, ...values: readonly Value[]): void => {
    terms.push(term);
    params.push(...values);
  };
  if (state === 'done' || state === 'cancelled') add('kept = ?', state);
  else add(LIVE);
  if (state === 'claimable') add(`state = 'open' AND ${MET}`);
  else if (state !== 'live') add('state = ?', state);
  if (mine !== undefined) add("(adder = ? OR (holder = ? AND state <> 'open'))", mine, mine);
  if (holder !== undefined) add('holder = ?', holder);
  if (subsystem !== undefined) add('subsystem = ?', subsystem);
  if (subsystems !== undefined) add(`subsystem IN (${subsystems.map(() => '?').join(', ')})`, ...subsystems);
  if (notOf.length > 0) add(`subsystem NOT IN (${notOf.map(() => '?').join(', ')})`, ...notOf);
  if (dueBy !== undefined) add('deadline <= ?', dueBy);
  if (notDoneBy !== undefined) add('holder_principal <> ?', notDoneBy);
  return { terms, params };
}

/** Tasks that fit: the live by urgency (priority, deadline, age), what is over with the newest first. */
export async function listTasks(
  db: ReadHandle,
  filter: TaskFilter,
  { now, limit, after = null }: { now: number; limit: number; after?: Place | null },
): Promise<TaskRow[]> {
  const { terms, params } = termsOf(filter);
  const isOver = filter.state === 'done' || filter.state === 'cancelled';
  const due = `coalesce(deadline, ${NEVER})`;
  const paging = isOver ? 'seq < ?' : `(priority, ${due}, seq) > (?, ?, ?)`;
  const where = after === null ? terms : [...terms, paging];
  const place = after === null ? [] : isOver ? [after[2]] : after;
  return db.all<TaskRow>(
    `SELECT * FROM (${TASKS}) x WHERE ${where.join(' AND ')}
     ORDER BY ${isOver ? 'seq DESC' : `priority, ${due}, seq`} LIMIT ?`,
    now,
    ...params,
    ...place,
    limit,
  );
}

interface CountRow extends Row {
  readonly count: number;
}

/** How many fit. */
export async function countTasks(db: ReadHandle, filter: TaskFilter, now: number): Promise<number> {
  const { terms, params } = termsOf(filter);
  const sql = `SELECT count(*) AS count FROM (${TASKS}) x WHERE ${terms.join(' AND ')}`;
  return (await db.get<CountRow>(sql, now, ...params))?.count ?? 0;
}

/** Claims that are over and still stand in their rows. */
export async function listLapsed(db: ReadHandle, now: number, limit: number): Promise<TaskRow[]> {
  return db.all<TaskRow>(`${TASKS} WHERE ${LIVE} AND lapsed = 1 ORDER BY seq LIMIT ?`, now, limit);
}

/** The newest tasks of a subsystem, whatever became of them, with the times that coherence measures by. */
export async function listOfSubsystem(
  db: ReadHandle,
  subsystem: string,
  { now, limit }: { now: number; limit: number },
): Promise<TaskRow[]> {
  return db.all<TaskRow>(`${TASKS} WHERE subsystem = ? ORDER BY seq DESC LIMIT ?`, now, subsystem, limit);
}
