/** Schedules and their occurrences as they are kept, and the limits that hold for them. */
import * as z from 'zod';
import type { Row } from '../store/store.ts';
import {
  ACCEPTANCE_MAX,
  DEFAULT_SUBSYSTEM,
  PRIORITIES,
  StatedCheck,
  SubsystemName,
  TEXT_CHARS_MAX,
  TITLE_CHARS_MAX,
} from '../tasks/model.ts';

export const SCHEDULES_MAX = 200;
/** Occurrences of one schedule that may wait, or be made up for after downtime; older ones are skipped. */
export const WAITING_MAX = 100;
/** Occurrences of one schedule that are over and kept, the newest. */
export const KEPT_MAX = 100;
/** A run that was cut off this often is not begun again. */
export const ATTEMPTS_MAX = 3;

/** Who takes an occurrence: the organ of that name, or, for `task`, the clock itself, which adds the task. */
export const JOBS = ['drain', 'synthesizer', 'task'] as const;
export type Job = (typeof JOBS)[number];

/**
 * What becomes of times that passed while the seed did not run: nothing (`skip`), the newest alone (`once`),
 * each of them (`all`, up to {@link WAITING_MAX}).
 */
export const CATCH_UPS = ['skip', 'once', 'all'] as const;
export type CatchUp = (typeof CATCH_UPS)[number];

export const ScheduleName = z
  .string()
  .max(64)
  .refine((text) => /^[a-z0-9][a-z0-9._-]{0,63}$/.test(text), 'a name such as nightly-drain');

/** The task that a schedule of job `task` adds each time. */
export const ScheduledTask = z.strictObject({
  title: z.string().min(1).max(TITLE_CHARS_MAX),
  text: z.string().max(TEXT_CHARS_MAX).default(''),
  subsystem: SubsystemName.default(DEFAULT_SUBSYSTEM),
  acceptance: z.array(z.string().min(1).max(500)).max(ACCEPTANCE_MAX).default([]),
  check: StatedCheck.optional(),
  priority: z.int().min(PRIORITIES.first).max(PRIORITIES.last).default(PRIORITIES.usual),
  /** Seconds from the time that it was due. */
  deadline_s: z
    .int()
    .min(60)
    .max(366 * 86_400)
    .optional(),
});
export type ScheduledTask = z.infer<typeof ScheduledTask>;

export interface Schedule extends Row {
  /** Random, so that what waits for a schedule that was removed is never taken for one of another. */
  readonly id: string;
  readonly name: string;
  /** As `node-cron` reads it. */
  readonly cron: string;
  /** IANA; null for the policy's. */
  readonly zone: string | null;
  readonly job: Job;
  /** A {@link ScheduledTask} as JSON, for the job `task` alone. */
  readonly draft: string | null;
  readonly catch_up: CatchUp;
  readonly added_at: number;
  /** ms since the epoch, as all times here; null until it was reckoned. */
  readonly next_due: number | null;
  /** The zone that `next_due` was reckoned in. */
  readonly next_zone: string | null;
  /** The newest time that was due; null before the first. */
  readonly last_due: number | null;
}

/** What is to be scheduled. */
export interface ScheduleDraft {
  readonly name: string;
  readonly cron: string;
  /** null: the policy's. */
  readonly zone: string | null;
  readonly job: Job;
  readonly task: ScheduledTask | null;
  readonly catchUp: CatchUp;
}

export const OCCURRENCE_STATES = ['due', 'running', 'done', 'failed', 'skipped'] as const;
export type OccurrenceState = (typeof OCCURRENCE_STATES)[number];

/** One time of one schedule. `schedule` and `due` name it. */
export interface Occurrence extends Row {
  readonly schedule: string;
  readonly due: number;
  /** Of the schedule. */
  readonly name: string;
  readonly job: Job;
  readonly state: OccurrenceState;
  /** Counts how often it was begun, and fences off a run that was given up. */
  readonly attempts: number;
  readonly made_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  /** What came of it, such as the id of a task. */
  readonly result: string | null;
  /** In words. */
  readonly says: string | null;
  /** The receipt that says so. */
  readonly receipt: number;
}
