/**
 * Which task is the worker's next: read from durable state, whatever woke it. The loop asks at every wake, so
 * what is read does not grow with what waits, but where none of it is the worker's.
 */
import type { Actor } from '../../../substrate/actor.ts';
import { holderOf } from '../../../substrate/bus/model.ts';
import type { Pause } from '../../../substrate/coherence/alarms.ts';
import type { WorkerRun, WorkerSettings } from '../../../substrate/mind/worker.ts';
import {
  findWorkerRun,
  findWorkerRuns,
  limitReached,
  listOpenRuns,
  readWorkerSettings,
} from '../../../substrate/mind/worker.ts';
import type { ReadHandle } from '../../../substrate/substrate.ts';
import type { Place } from '../../../substrate/tasks/look.ts';
import { findTask, listTasks, placeOf } from '../../../substrate/tasks/look.ts';
import type { TaskRow } from '../../../substrate/tasks/model.ts';
import type { Authority } from './authority.ts';
import { authorityOf } from './authority.ts';

/**
 * `settle`: it is over, and only the record does not say so. `go on`: the worker holds it. `claim`: it is
 * open, and the worker may have it.
 */
export interface Found {
  readonly kind: 'settle' | 'go on' | 'claim';
  readonly task: TaskRow;
  readonly run: WorkerRun | null;
}

export interface PickOptions {
  readonly actor: Actor;
  readonly now: number;
  /** Subsystems whose intake is stopped for now. */
  readonly pauses: readonly Pick<Pause, 'subsystem'>[];
  /** How many to find at most. */
  readonly limit: number;
}

/** Tasks that are read at once: a few, and where the worker wants none of them, many. */
const PAGE = { first: 20, more: 500 } as const;
/** Tasks that it has at once: one, but for what a crash or a lapse left. */
const OWN_MAX = 50;

/** What the worker could do now, the next first: all that it holds, and at least one that it may claim. */
export async function pickWork(db: ReadHandle, options: PickOptions): Promise<Found[]> {
  const settings = await readWorkerSettings(db);
  const own = await pickOwn(db, options, settings);
  if (own.length >= options.limit) return own.slice(0, options.limit);
  const claimable = await pickClaimable(db, { ...options, limit: options.limit - own.length }, settings);
  return [...own, ...claimable];
}

/** What it holds, and what it held until it was over or somebody else's. */
async function pickOwn(db: ReadHandle, { actor, now }: PickOptions, settings: WorkerSettings): Promise<Found[]> {
  const holder = holderOf(actor);
  const picks: Found[] = [];
  for (const run of await listOpenRuns(db, OWN_MAX)) {
    const task = await findTask(db, run.task, now);
    if (task === null || (task.state === 'claimed' && task.holder === holder)) continue;
    // What is open it takes up again, unless there is no room for more.
    if (task.state === 'open' && limitReached(run, settings) === null) continue;
    picks.push({ kind: 'settle', task, run });
  }
  for (const task of await listTasks(db, { state: 'claimed', holder }, { now, limit: OWN_MAX })) {
    picks.push({ kind: 'go on', task, run: await findWorkerRun(db, task.id) });
  }
  return picks;
}

async function pickClaimable(
  db: ReadHandle,
  { now, pauses, limit }: PickOptions,
  settings: WorkerSettings,
): Promise<Found[]> {
  const filter = {
    state: 'claimable',
    subsystems: settings.subsystems ?? undefined,
    notOf: pauses.map(({ subsystem }) => subsystem),
  } as const;
  const standsBehind = authorities(db, now);
  let size: number = PAGE.first;
  for (let after: Place | null = null; ; size = PAGE.more) {
    const page: TaskRow[] = await listTasks(db, filter, { now, limit: size, after });
    const picks = await wantedOf(db, page, { settings, now, standsBehind });
    if (picks.length > 0) return picks.slice(0, limit);
    const last = page.at(-1);
    if (last === undefined || page.length < size) return [];
    after = placeOf(last);
  }
}

type StandsBehind = (task: TaskRow) => Promise<Authority | null>;

/** Who stands behind tasks, each adder looked up once. */
function authorities(db: ReadHandle, now: number): StandsBehind {
  const known = new Map<string, Authority | null>();
  return async (task) => {
    const { adder } = task;
    if (!known.has(adder)) known.set(adder, await authorityOf(db, task, now));
    return known.get(adder) ?? null;
  };
}

async function wantedOf(
  db: ReadHandle,
  page: readonly TaskRow[],
  { settings, now, standsBehind }: { settings: WorkerSettings; now: number; standsBehind: StandsBehind },
): Promise<Found[]> {
  const runs = await findWorkerRuns(
    db,
    page.map(({ id }) => id),
  );
  const picks: Found[] = [];
  for (const task of page) {
    const run = runs.get(task.id) ?? null;
    if (!isWanted(task, run, { settings, now })) continue;
    const authority = await standsBehind(task);
    if (authority === null || (authority.kind === 'helper' && !settings.helpers)) continue;
    picks.push({ kind: 'claim', task, run });
  }
  return picks;
}

/** Whether a task has not been left for good, nor for now. */
function isWanted(
  task: TaskRow,
  run: WorkerRun | null,
  { settings, now }: { settings: WorkerSettings; now: number },
): boolean {
  if (run === null) return true;
  if (run.nextAt !== null && run.nextAt > now) return false;
  if (limitReached(run, settings) !== null) return false;
  // What it left for a reason it takes up again only when something has happened to it since.
  return run.state === 'working' || run.state === 'waiting' || task.events > run.events;
}
