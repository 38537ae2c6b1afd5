/** What is known of a subsystem's work: its tasks with their times, and what probes saw outside. Bounded reads. */
import type { ProbeReason } from '../probes/model.ts';
import { findProbe } from '../probes/probes.ts';
import { ScheduledTask } from '../schedules/model.ts';
import { listSchedules } from '../schedules/schedules.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import { listOfSubsystem, listTasks } from '../tasks/look.ts';
import type { TaskRow } from '../tasks/model.ts';
import { LIVE_TASKS_MAX } from '../tasks/model.ts';
import { listCompletions } from './completions.ts';

/** Tasks of one subsystem that are looked at, the newest; those that are live count whatever their age. */
export const ITEMS_MAX = 500;

/** A task in the times that work is measured by, ms since the epoch. */
export interface WorkItem {
  readonly id: string;
  /** When the seed took it on: whoever waits for it waits from then, whether or not somebody has claimed it. */
  readonly acceptedAt: number;
  readonly deadline: number | null;
  readonly verifiedAt: number | null;
  readonly cancelledAt: number | null;
}

export interface Work {
  /** In the order in which they were accepted. */
  readonly items: readonly WorkItem[];
  /** What a probe saw, oldest first. */
  readonly seen: readonly number[];
  /** Since when a schedule owes it a task that was not added, ms since the epoch; null where none does. */
  readonly scheduledSince: number | null;
  /** Why what is done outside cannot be seen, and since when; null where it can, or no probe looks. */
  readonly unseen: Unseen | null;
}

export interface Unseen {
  readonly reason: ProbeReason;
  /** ms since the epoch. */
  readonly since: number;
}

function itemOf({ id, state, added_at, deadline, verified_at, changed_at }: TaskRow): WorkItem {
  return {
    id,
    acceptedAt: added_at,
    deadline,
    verifiedAt: state === 'done' ? verified_at : null,
    // Nothing but a reopening follows it.
    cancelledAt: state === 'cancelled' ? changed_at : null,
  };
}

export async function readWork(db: ReadHandle, subsystem: string, now: number): Promise<Work> {
  const newest = await listOfSubsystem(db, subsystem, { now, limit: ITEMS_MAX });
  const older = newest.length < ITEMS_MAX ? [] : await olderLive(db, subsystem, { now, newest });
  const tasks = [...newest, ...older].toSorted((a, b) => a.seq - b.seq);
  return {
    items: tasks.map(itemOf),
    seen: await listCompletions(db, subsystem, { until: now, limit: ITEMS_MAX }),
    scheduledSince: await scheduledSince(db, subsystem, now),
    unseen: (await findProbe(db, subsystem))?.problem ?? null,
  };
}

async function scheduledSince(db: ReadHandle, subsystem: string, now: number): Promise<number | null> {
  const dues = (await listSchedules(db)).flatMap(({ draft, next_due: due }) => {
    if (draft === null || due === null || due > now) return [];
    return ScheduledTask.parse(JSON.parse(draft)).subsystem === subsystem ? [due] : [];
  });
  return dues.length === 0 ? null : Math.min(...dues);
}

async function olderLive(
  db: ReadHandle,
  subsystem: string,
  { now, newest }: { now: number; newest: readonly TaskRow[] },
): Promise<TaskRow[]> {
  const known = new Set(newest.map(({ seq }) => seq));
  const live = await listTasks(db, { state: 'live', subsystem }, { now, limit: LIVE_TASKS_MAX });
  return live.filter(({ seq }) => !known.has(seq));
}

interface MarkRow extends Row {
  readonly mark: string;
}

/**
 * A text that is another one after anything happened that coherence measures: to a task, to a subsystem, or
 * outside where a probe saw it, or sees no longer. Reads the ends of three indexes, and the few probes.
 */
export async function workMark(db: ReadHandle): Promise<string> {
  const row = await db.get<MarkRow>(
    `SELECT coalesce((SELECT max(receipt) FROM substrate_task_events), 0) || '.' ||
            coalesce((SELECT max(n) FROM substrate_completions), 0) || '.' ||
            coalesce((SELECT max(receipt) || '.' || count(*) FROM substrate_subsystems), 0) || '.' ||
            (SELECT count(problem_since) || '.' || coalesce(sum(problem_since), 0) FROM substrate_probes) AS mark`,
  );
  return row?.mark ?? '';
}

interface CountRow extends Row {
  readonly count: number;
}

/** How much was completed since then: tasks that were verified, and what probes saw. */
export async function countCompleted(db: ReadHandle, subsystem: string, since: number): Promise<number> {
  const row = await db.get<CountRow>(
    `SELECT (SELECT count(*) FROM substrate_tasks WHERE subsystem = ? AND state = 'done' AND verified_at >= ?)
          + (SELECT count(*) FROM substrate_completions WHERE subsystem = ? AND at >= ?) AS count`,
    subsystem,
    since,
    subsystem,
    since,
  );
  return row?.count ?? 0;
}
