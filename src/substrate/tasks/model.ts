/** Tasks as they are kept, and the limits that hold for everyone. */
import * as z from 'zod';
import type { Row } from '../store/store.ts';

/** Tasks that may be live (neither done nor cancelled) at once, and how many of them one principal may have added. */
export const LIVE_TASKS_MAX = 2_000;
export const LIVE_TASKS_OF_ONE_MAX = 500;
export const NEEDS_MAX = 64;
/** What happened to one task; beyond that it can be ended, and nothing else. */
export const EVENTS_MAX = 1_000;
export const ACCEPTANCE_MAX = 64;
export const TITLE_CHARS_MAX = 200;
export const TEXT_CHARS_MAX = 8_000;
export const NOTE_CHARS_MAX = 4_000;

/** 1 is the most urgent. */
export const PRIORITIES = { first: 1, last: 5, usual: 3 } as const;
/** A lease unless said otherwise; whoever works longer tells of progress. */
export const LEASE_S = { min: 60, max: 86_400, usual: 1_800 } as const;

export const STATES = ['open', 'claimed', 'finished', 'done', 'cancelled'] as const;
export type TaskState = (typeof STATES)[number];

/**
 * A part of the work, by which tasks, schedules and probes belong together. A refinement and not a pattern:
 * whoever lists the tools pays for each word of a schema.
 */
export const SubsystemName = z
  .string()
  .max(64)
  .refine((text) => /^[a-z0-9][a-z0-9._-]{0,63}$/.test(text), 'a name such as website');

/** Whose a task is when nobody says. */
export const DEFAULT_SUBSYSTEM = 'general';

/** What a task is, in the words of whoever added it. */
export const TaskBody = z.object({ title: z.string(), text: z.string(), acceptance: z.array(z.string()) });
export type TaskBody = Readonly<z.infer<typeof TaskBody>>;

/** Stands in for words that were erased. */
export const ERASED: TaskBody = { title: '(its words were erased)', text: '', acceptance: [] };

/**
 * What the seed can find out by itself, without running or opening anything: that something was put on
 * record since the task was added, or that a file is there and has something in it.
 */
export const StatedCheck = z
  .strictObject({
    receipt: z
      .string()
      .max(100)
      .refine((text) => /^[a-z_]+\.[a-z_.]+$/.test(text), 'an action such as deploy.finished')
      .optional(),
    by: z.string().max(64).optional(),
    claimed: z.boolean().optional(),
    file: z
      .string()
      .max(1_024)
      .refine((text) => /^\/./.test(text), 'an absolute path')
      .optional(),
  })
  .refine(
    ({ receipt, by, claimed, file }) =>
      file === undefined ? receipt !== undefined : receipt === undefined && by === undefined && claimed === undefined,
    'either a receipt (by, claimed) or a file',
  );
export type StatedCheck = z.infer<typeof StatedCheck>;

export interface TaskRow extends Row {
  /** The receipt of its adding. */
  readonly seq: number;
  /** `t` and that receipt's number. */
  readonly id: string;
  readonly subsystem: string;
  /** As of `now`: a claim whose lease lapsed, or whose holder was removed, is `open`. */
  readonly state: TaskState;
  readonly priority: number;
  /** ms since the epoch, as all times here; null where there is none. */
  readonly deadline: number | null;
  /** Content hash of a {@link TaskBody}. */
  readonly body: string;
  /** A {@link StatedCheck} as JSON. */
  readonly stated_check: string | null;
  /** Whose it is: a grant's id, or `owner`; see `holderOf`. */
  readonly adder: string;
  readonly adder_name: string;
  readonly adder_principal: string;
  /** Who holds it, or held it when it was finished. */
  readonly holder: string | null;
  readonly holder_name: string | null;
  readonly holder_principal: string | null;
  /** Counts the claims: an act that names an earlier one is refused (fencing). */
  readonly lease: number;
  readonly lease_ms: number;
  readonly lease_until: number;
  /** Who said that it is done; `check` for the seed itself. */
  readonly verifier_name: string | null;
  readonly added_at: number;
  /** When it was first claimed. */
  readonly claimed_at: number | null;
  readonly finished_at: number | null;
  readonly verified_at: number | null;
  readonly changed_at: number;
  readonly events: number;
  /** 1: it is still `claimed` in its row, under a lease that lapsed. */
  readonly lapsed: number;
}

export interface TaskEvent extends Row {
  readonly n: number;
  readonly at: number;
  readonly receipt: number;
  readonly actor: string;
  readonly event: string;
  readonly state: TaskState;
  readonly lease: number;
  /** Content hash; null without a word. */
  readonly note: string | null;
}
