/** Which task is the worker's next: read from durable state, whatever woke it. */
import type { Actor } from '../../../substrate/actor.ts';
import { holderOf } from '../../../substrate/bus/model.ts';
import type { WorkerRun, WorkerSettings } from '../../../substrate/mind/worker.ts';
import {
  findWorkerRun,
  limitReached,
  listOpenRuns,
  readWorkerSettings,
  servesSubsystem,
} from '../../../substrate/mind/worker.ts';
import type { ReadHandle } from '../../../substrate/substrate.ts';
import type { Place } from '../../../substrate/tasks/look.ts';
import { findTask, listTasks, placeOf } from '../../../substrate/tasks/look.ts';
import type { TaskRow } from '../../../substrate/tasks/model.ts';
import { authorityOf } from './authority.ts';

/** A subsystem whose intake is stopped for now. */
export interface Pause {
  readonly subsystem: string;
}

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
  readonly pauses: readonly Pause[];
  /** How many to find at most. */
  readonly limit: number;
}

const PAGE = 500;
/** Tasks that it has at once: one, but for what a crash or a lapse left. */
const OWN_MAX = 50;

/** What the worker could do now, the next first. */
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
  const paused = new Set(pauses.map(({ subsystem }) => subsystem));
  const picks: Found[] = [];
  for (let after: Place | null = null; picks.length < limit; ) {
    const page: TaskRow[] = await listTasks(db, { state: 'claimable' }, { now, limit: PAGE, after });
    for (const task of page) {
      if (picks.length === limit) break;
      const run = await findWorkerRun(db, task.id);
      if (paused.has(task.subsystem) || !isWanted(task, run, settings)) continue;
      const authority = await authorityOf(db, task, now);
      if (authority === null || (authority.kind === 'helper' && !settings.helpers)) continue;
      picks.push({ kind: 'claim', task, run });
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    after = placeOf(last);
  }
  return picks;
}

/** Whether a task is of those that it takes on, and has not been left for good. */
function isWanted(task: TaskRow, run: WorkerRun | null, settings: WorkerSettings): boolean {
  if (!servesSubsystem(settings, task.subsystem)) return false;
  if (run === null) return true;
  if (limitReached(run, settings) !== null) return false;
  // What it left for a reason it takes up again only when something has happened to it since.
  return run.state === 'working' || run.state === 'waiting' || task.events > run.events;
}
