/**
 * What the worker keeps: the tasks that it took on, why it waits, and what the owner set for it.
 *
 * Limits are a task's, over all tries: whoever sends a result back does not begin the count anew.
 */
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { benchOf, listBenched, whyBenched } from '../benched.ts';
import { findGrant } from '../identity/grants.ts';
import { findService } from '../identity/service.ts';
import type { Target } from '../policy/model.ts';
import { resolveRouting } from '../policy/policy.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { TaskRow } from '../tasks/model.ts';
import { SubsystemName } from '../tasks/model.ts';
import { listOrganRows } from './organs.ts';

/** The role of the policy whose models it works with. */
export const WORKER_ROLE = 'worker';

const SUBSYSTEMS_MAX = 64;

/** What the owner can set. */
export const WorkerSettings = z.strictObject({
  /** Answers of a model, for one task. */
  steps: z.int().min(1).max(200),
  /** What those may cost, whole micro-dollars. */
  budget_micro_usd: z.int().min(1).max(1_000_000_000),
  /** How long it may work on one task; waiting does not count. */
  minutes: z.int().min(1).max(1_440),
  /** Whose tasks it takes on; null for all. */
  subsystems: z.array(SubsystemName).min(1).max(SUBSYSTEMS_MAX).nullable(),
  /** Whether it takes on what helpers from outside added. */
  helpers: z.boolean(),
});
export type WorkerSettings = Readonly<z.infer<typeof WorkerSettings>>;

/** What holds until the owner says otherwise. */
const WORKER_DEFAULTS: WorkerSettings = {
  steps: 20,
  budget_micro_usd: 500_000,
  minutes: 30,
  subsystems: null,
  helpers: false,
};

/** Those of them that a task can be left at. */
const LIMITS = ['steps', 'budget_micro_usd', 'minutes'] as const;

interface SettingRow extends Row {
  readonly name: string;
  readonly value: string;
}

/** @throws SeedError `policy_invalid` for a row that is none of ours */
export async function readWorkerSettings(db: ReadHandle): Promise<WorkerSettings> {
  const rows = await db.all<SettingRow>('SELECT name, value FROM substrate_worker_settings ORDER BY name');
  if (rows.length === 0) return WORKER_DEFAULTS;
  const parsed = WorkerSettings.safeParse({ ...WORKER_DEFAULTS, ...Object.fromEntries(rows.map(valueOf)) });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SeedError('policy_invalid', `The worker’s setting ${String(issue?.path[0] ?? '')} cannot be read.`, {
    hint: 'Set it anew with `seed worker set`.',
  });
}

function valueOf({ name, value }: SettingRow): readonly [string, unknown] {
  try {
    return [name, JSON.parse(value) as unknown];
  } catch {
    // Not JSON, so not ours: no setting has a symbol for its value, and the schema says so.
    return [name, Symbol(value)];
  }
}

/** Some of them; what is undefined stays as it was. */
export type WorkerChanges = { readonly [Name in keyof WorkerSettings]?: WorkerSettings[Name] | undefined };

/**
 * Writes what the owner set. That a limit was set has happened to every task that was left at its limit: where there
 * is room for more now, the worker looks at it again.
 */
export async function writeWorkerSettings(tx: WriteHandle, changes: WorkerChanges): Promise<void> {
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue;
    await tx.run('REPLACE INTO substrate_worker_settings (name, value) VALUES (?, ?)', name, JSON.stringify(value));
  }
  if (LIMITS.every((limit) => changes[limit] === undefined)) return;
  await tx.run("UPDATE substrate_worker_runs SET events = 0 WHERE state = 'spent'");
}

/**
 * `working`: it has the task. `waiting`: it will go on in the same session. `handed_in`: others verify it.
 * `gave_up`: it could not do it. `spent`: a limit was reached. `lost`: the task was cancelled or is somebody
 * else's.
 */
export const RUN_STATES = ['working', 'waiting', 'handed_in', 'gave_up', 'spent', 'lost'] as const;
export type RunState = (typeof RUN_STATES)[number];

/** A task that it took on. */
export interface WorkerRun {
  readonly task: string;
  /** The session of the newest try. */
  readonly session: string;
  readonly state: RunState;
  /** In words; empty where there is nothing to say. */
  readonly why: string;
  /** Answers asked for, over all tries. */
  readonly steps: number;
  readonly workedMs: number;
  /** What the sessions of earlier tries cost. */
  readonly spentMicroUsd: number;
  /** How much had happened to the task when it was left: what happens later is a reason to look again. */
  readonly events: number;
  /** How often in a row models failed at this task, and not at others. */
  readonly failures: number;
  /** It is not tried again before, ms since the epoch; null where nothing puts it off. */
  readonly nextAt: number | null;
  readonly changedAt: number;
}

interface RunRow extends Row {
  readonly task: string;
  readonly session: string;
  readonly state: RunState;
  readonly why: string;
  readonly steps: number;
  readonly worked_ms: number;
  readonly spent_micro_usd: number;
  readonly events: number;
  readonly failures: number;
  readonly next_at: number | null;
  readonly changed_at: number;
}

const RUNS = `SELECT task, session, state, why, steps, worked_ms, spent_micro_usd, events, failures, next_at, changed_at
  FROM substrate_worker_runs`;

function toRun({
  worked_ms: workedMs,
  spent_micro_usd: spentMicroUsd,
  next_at: nextAt,
  changed_at: changedAt,
  ...row
}: RunRow): WorkerRun {
  return { ...row, workedMs, spentMicroUsd, nextAt, changedAt };
}

export async function findWorkerRun(db: ReadHandle, task: string): Promise<WorkerRun | null> {
  const row = await db.get<RunRow>(`${RUNS} WHERE task = ?`, task);
  return row === undefined ? null : toRun(row);
}

/** Of these tasks, by task; one that it never took on has none. */
export async function findWorkerRuns(db: ReadHandle, tasks: readonly string[]): Promise<Map<string, WorkerRun>> {
  if (tasks.length === 0) return new Map();
  const rows = await db.all<RunRow>(`${RUNS} WHERE task IN (${tasks.map(() => '?').join(', ')})`, ...tasks);
  return new Map(rows.map((row) => [row.task, toRun(row)]));
}

/** Those that are not over, the oldest first. */
export async function listOpenRuns(db: ReadHandle, limit: number): Promise<WorkerRun[]> {
  const rows = await db.all<RunRow>(
    `${RUNS} WHERE state IN ('working', 'waiting') ORDER BY changed_at, task LIMIT ?`,
    limit,
  );
  return rows.map(toRun);
}

/** All of them, the one changed last first. */
export async function listWorkerRuns(db: ReadHandle, limit: number): Promise<WorkerRun[]> {
  return (await db.all<RunRow>(`${RUNS} ORDER BY changed_at DESC, task LIMIT ?`, limit)).map(toRun);
}

/** Writes a run as it stands from now on. */
export async function saveWorkerRun(tx: WriteHandle, run: WorkerRun): Promise<void> {
  await tx.run(
    `REPLACE INTO substrate_worker_runs
       (task, session, state, why, steps, worked_ms, spent_micro_usd, events, failures, next_at, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    run.task,
    run.session,
    run.state,
    run.why,
    run.steps,
    run.workedMs,
    run.spentMicroUsd,
    run.events,
    run.failures,
    run.nextAt,
    run.changedAt,
  );
}

/** Which limit of a task is used up by what its tries have cost so far; null where there is room for more. */
export function limitReached(
  { steps, workedMs, spentMicroUsd }: Pick<WorkerRun, 'steps' | 'workedMs' | 'spentMicroUsd'>,
  settings: WorkerSettings,
): string | null {
  if (steps >= settings.steps) return `${settings.steps} steps`;
  if (workedMs >= settings.minutes * 60_000) return `${settings.minutes} minutes`;
  if (spentMicroUsd >= settings.budget_micro_usd) return 'its budget';
  return null;
}

/** The model call that a step's key stands for; null where there was no such step. */
export async function findStepCall(db: ReadHandle, session: string, key: string): Promise<string | null> {
  const row = await db.get<{ call: string | null } & Row>(
    'SELECT call FROM substrate_session_keys WHERE session = ? AND key = ?',
    session,
    key,
  );
  return row?.call ?? null;
}

/** Until when it asks no model. */
export interface WorkerHold {
  /** ms since the epoch; null where only a change of the policy ends it. */
  readonly until: number | null;
  readonly why: string;
}

interface HoldRow extends Row {
  readonly until: number;
  readonly why: string;
  readonly failures: number;
  readonly answered_at: number;
}

async function readHold(db: ReadHandle): Promise<HoldRow | null> {
  const row = await db.get<HoldRow>('SELECT until, why, failures, answered_at FROM substrate_worker_hold WHERE id = 1');
  return row ?? null;
}

async function writeHold(tx: WriteHandle, { until, why, failures, answered_at: answeredAt }: HoldRow): Promise<void> {
  await tx.run(
    'REPLACE INTO substrate_worker_hold (id, until, why, failures, answered_at) VALUES (1, ?, ?, ?, ?)',
    until,
    why,
    failures,
    answeredAt,
  );
}

/** The first wait after a failure, and the longest, in milliseconds; each is twice the one before. */
const BACK_OFF_MS = { first: 30_000, most: 3_600_000 } as const;

function backOffMs(failures: number): number {
  return Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(failures, 20));
}

/** Puts off the next question to a model; without a time, for longer after each failure in a row. */
export async function holdWorker(
  tx: WriteHandle,
  { why, until, now }: { why: string; until: number | null; now: number },
): Promise<number> {
  const { failures = 0, answered_at = 0 } = (await readHold(tx)) ?? {};
  const later = until ?? now + backOffMs(failures);
  await writeHold(tx, { until: later, why, failures: failures + 1, answered_at });
  return later;
}

/** So many others at which models failed since one answered, and it is not for the tasks that they do. */
const OTHERS_FAILED_MAX = 2;

/**
 * Puts off one task at which models failed, so that it keeps no other waiting. Where they failed at others
 * too and answered none in between, that is nobody's fault but theirs: then it holds the worker, and does
 * not count against the task.
 */
export async function putOffRun(
  tx: WriteHandle,
  run: WorkerRun,
  { why, now }: { why: string; now: number },
): Promise<Pick<WorkerRun, 'failures' | 'nextAt'>> {
  const since = (await readHold(tx))?.answered_at ?? 0;
  const others = await tx.get<{ count: number } & Row>(
    `SELECT count(*) AS count FROM substrate_worker_runs
      WHERE state IN ('working', 'waiting') AND next_at IS NOT NULL AND changed_at > ? AND task <> ?`,
    since,
    run.task,
  );
  const isOfAll = (others?.count ?? 0) >= OTHERS_FAILED_MAX;
  if (isOfAll) await holdWorker(tx, { why, until: null, now });
  return { failures: isOfAll ? run.failures : run.failures + 1, nextAt: now + backOffMs(run.failures) };
}

/** When the first of the tasks that are put off is tried again, ms since the epoch; null where none is. */
export async function nextPutOff(db: ReadHandle, now: number): Promise<number | null> {
  const row = await db.get<{ next: number | null } & Row>(
    `SELECT min(next_at) AS next FROM substrate_worker_runs
      WHERE state IN ('working', 'waiting') AND next_at > ?`,
    now,
  );
  return row?.next ?? null;
}

/** A model has answered: nothing holds it, and the next wait is a short one. */
export async function releaseWorker(tx: WriteHandle, now: number): Promise<void> {
  await writeHold(tx, { until: 0, why: '', failures: 0, answered_at: now });
}

export const NO_MODEL = 'no usable model';

/** Models that sit out and are named in a line. */
const NAMED_MAX = 3;

/** Whether a target could be called, as far as can be told without calling it. */
export type CanCall = (target: Target) => boolean;

/**
 * Why the worker asks no model now; null where it may. A hold ends with its time, and the policy is read
 * as it stands.
 */
export async function workerHold(db: ReadHandle, now: number, canCall: CanCall): Promise<WorkerHold | null> {
  const held = await readHold(db);
  if (held !== null && held.until > now) return { until: held.until, why: held.why };
  const routing = await resolveRouting(db, WORKER_ROLE, 'any');
  if (routing === null) return { until: null, why: NO_MODEL };
  // Tier 1 is the drain's, and what has no price is never called.
  const usable = routing.candidates.filter(
    ({ tier, price, target }) => tier !== 1 && price !== null && canCall(target),
  );
  const benched = await listBenched(db, now, routing.policyVersion);
  const until: number[] = [];
  const named: string[] = [];
  for (const { target, model } of usable) {
    const sitsOut = benchOf(benched, { target: target.name, model });
    if (sitsOut === undefined) return null;
    if (sitsOut.untilMs !== null) until.push(sitsOut.untilMs);
    named.push(`${target.name}/${model}: ${whyBenched(sitsOut).replace(/\.$/, '')}`);
  }
  const why = named.length === 0 ? NO_MODEL : `${NO_MODEL} (${named.slice(0, NAMED_MAX).join('; ')})`;
  return { until: until.length === 0 ? null : Math.min(...until), why };
}

/** What the owner's switch says; null where it was never touched. */
export async function workerSwitch(db: ReadHandle): Promise<'on' | 'off' | null> {
  const row = (await listOrganRows(db)).find(({ name }) => name === 'worker');
  return row === undefined ? null : row.is_on === 1 ? 'on' : 'off';
}

/** Whether the owner has turned the worker on, and it has its grant. */
export async function isWorkerOn(db: ReadHandle): Promise<boolean> {
  return (await workerSwitch(db)) === 'on' && (await findService(db, 'worker')) !== null;
}

/** Whether tasks of that subsystem are among those that it takes on. */
function servesSubsystem({ subsystems }: WorkerSettings, subsystem: string): boolean {
  return subsystems === null || subsystems.includes(subsystem);
}

/** How the worker stands towards open tasks that need nothing: asked once for all of them. */
export interface WorkerStance {
  readonly settings: WorkerSettings;
  /** Why it takes none of them on now, in words. */
  readonly waits: string;
}

/** Null where there is nothing to say of any task: it is off, or it takes on what it finds. */
export async function workerStance(
  db: ReadHandle,
  { now, canCall }: { now: number; canCall: CanCall },
): Promise<WorkerStance | null> {
  if (!(await isWorkerOn(db))) return null;
  const hold = await workerHold(db, now, canCall);
  return hold === null ? null : { settings: await readWorkerSettings(db), waits: `waiting: ${hold.why}` };
}

/** Why it does not take on a task that it otherwise would, in words; null where the task is not for it. */
export async function workerWaitsWith(
  db: ReadHandle,
  { id, subsystem, adder }: Pick<TaskRow, 'id' | 'subsystem' | 'adder'>,
  { settings, waits }: WorkerStance,
): Promise<string | null> {
  if (!servesSubsystem(settings, subsystem)) return null;
  if (!settings.helpers && (await findGrant(db, adder))?.kind === 'helper') return null;
  // What is at its limit waits for no model, but for the owner.
  const run = await findWorkerRun(db, id);
  return run !== null && limitReached(run, settings) !== null ? null : waits;
}
