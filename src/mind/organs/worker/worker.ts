/**
 * The worker: claims a task, carries it through a session with the seed's own tools, and hands the result to
 * others to verify. Off until the owner turns it on, and then under its own grant, scopes and limits.
 *
 * It never verifies, never works without a model, and never does more for somebody than they could do
 * themselves (`authority.ts`). Where it stops, and why, is in `substrate_worker_runs`.
 */
import type { ErrorCode } from '../../../errors.ts';
import { SeedError, toSeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import { findService } from '../../../substrate/identity/service.ts';
import type { Pause } from '../../../substrate/coherence/alarms.ts';
import type { CanCall, WorkerRun } from '../../../substrate/mind/worker.ts';
import { findWorkerRun, nextPutOff, readWorkerSettings, workerHold } from '../../../substrate/mind/worker.ts';
import { endWork, openWork, ownSession } from '../../../substrate/mind/worker-acts.ts';
import type { ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import { getTask } from '../../../substrate/tasks/look.ts';
import { LEASE_S } from '../../../substrate/tasks/model.ts';
import type { TaskRow } from '../../../substrate/tasks/model.ts';
import type { Act, Organ, OrganReport, OrganRun, Sight } from '../../organ.ts';
import { NOTHING_TO_SEE } from '../../organ.ts';
import type { Router } from '../../router/router.ts';
import type { Steps } from '../../sessions/steps.ts';
import { checkpointOf, readBriefing } from './briefing.ts';
import { Carry } from './carry.ts';
import type { Ending } from './ending.ts';
import type { Found } from './pick.ts';
import { pickWork } from './pick.ts';
import type { ToolFace } from './tools.ts';
import { Toolbox } from './tools.ts';

export interface WorkerParts {
  readonly substrate: Substrate;
  readonly steps: Steps;
  readonly router: Router;
  readonly act: Act;
  /** The seed's tools, of which it takes those of its own list. */
  readonly tools: readonly ToolFace[];
  /** Subsystems whose intake is stopped for now. */
  readonly pauses: (db: ReadHandle) => Promise<readonly Pause[]>;
  readonly canCall: CanCall;
  /** Named points at which a test stops the process. */
  readonly fault: (point: string) => void;
}

/** Tasks that a look counts, at most; of those that it may claim it may stop before. */
const COUNT_MAX = 100;
/** A turn looks at its task once a second, and a tool answers at once. */
const SILENCE_MS_MAX = 120_000;

/** @throws Error where the seed lacks a tool of the worker's list: a defect of the wiring */
export function createWorker(parts: WorkerParts): Organ {
  const toolbox = new Toolbox(parts, parts.tools);
  return {
    name: 'worker',
    purpose: 'takes on tasks and does them with a model and the seed’s own tools',
    silenceMsMax: SILENCE_MS_MAX,
    look: (db, now) => look(parts, db, now),
    run: (run) => work(parts, toolbox, run),
  };
}

async function look({ pauses, canCall }: WorkerParts, db: ReadHandle, now: number): Promise<Sight> {
  const actor = await findService(db, 'worker');
  if (actor === null) return NOTHING_TO_SEE;
  const picks = await pickWork(db, { actor, now, pauses: await pauses(db), limit: COUNT_MAX });
  if (picks.length === 0) return { ...NOTHING_TO_SEE, nextAt: await nextPutOff(db, now) };
  // What only its record does not know yet needs no model.
  const settled = picks.filter(({ kind }) => kind === 'settle').length;
  const hold = settled > 0 ? null : await workerHold(db, now, canCall);
  if (hold === null) return { waiting: settled > 0 ? settled : picks.length, nextAt: null, held: null };
  return { waiting: picks.length, nextAt: hold.until, held: hold.why };
}

/** One task, as far as it can be brought now. */
async function work(parts: WorkerParts, toolbox: Toolbox, run: OrganRun): Promise<OrganReport> {
  const { substrate, pauses, canCall } = parts;
  const now = substrate.sources.now();
  const found = await substrate.read(async (db) => {
    const actor = await findService(db, 'worker');
    if (actor === null) return null;
    const [pick] = await pickWork(db, { actor, now, pauses: await pauses(db), limit: 1 });
    return pick === undefined ? null : { actor, pick, hold: await workerHold(db, now, canCall) };
  });
  if (found === null) return { done: 0, more: false, says: null };
  const { actor, pick, hold } = found;
  if (pick.kind === 'settle') return settle(parts, actor, pick);
  if (hold !== null) return { done: 0, more: false, says: `waiting: ${hold.why}` };
  const task = pick.kind === 'claim' ? await claim(parts, actor, pick.task) : pick.task;
  if (task === null) return { done: 0, more: true, says: `${pick.task.id} was taken by somebody else` };
  try {
    const record = await sessionFor(parts, actor, { ...pick, task });
    parts.fault('worker.opened');
    const { lease } = task;
    const claimed = { task: task.id, lease, workedMs: record.workedMs };
    return report(task, await new Carry(parts, toolbox, { claim: claimed, run }).carry());
  } catch (thrown) {
    const { code } = toSeedError(thrown);
    if (OF_THE_TASK.has(code)) await abandon(parts, actor, { task, why: `it failed inside (${code})` });
    throw thrown;
  }
}

/** Failures that the next try of the same task would meet again: it must not keep all others waiting. */
const OF_THE_TASK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'conflict',
  'content_erased',
  'internal',
  'invalid_input',
  'not_canonical',
  'store_corrupt',
  'too_large',
]);

/** Leaves a task to others for good, where it is still the worker's. */
async function abandon(
  { substrate, act }: WorkerParts,
  actor: Actor,
  { task: { id, lease }, why }: { task: TaskRow; why: string },
): Promise<void> {
  try {
    await act('task_update', { do: 'release', id, lease, note: `could not be done: ${why}` }, { actor });
  } catch (thrown) {
    // It is somebody else's already, or over.
    if (!(thrown instanceof SeedError) || thrown.kind !== 'refused') throw thrown;
  }
  await endWork(substrate, actor, { task: id, state: 'gave_up', why, answered: false, stand: null });
}

/** Claims a task; null where somebody was faster. */
async function claim({ substrate, act, fault }: WorkerParts, actor: Actor, { id }: TaskRow): Promise<TaskRow | null> {
  try {
    await act('task_update', { do: 'claim', id, lease_s: LEASE_S.usual }, { actor });
  } catch (thrown) {
    if (thrown instanceof SeedError && thrown.code === 'conflict') return null;
    throw thrown;
  }
  fault('worker.claimed');
  return substrate.read((db) => getTask(db, id, substrate.sources.now()));
}

/**
 * The session that the work goes on in: the one of before where it is open and its own, else a new one. In
 * the middle of a task it stays the one it was, whoever holds it by now.
 */
async function sessionFor({ substrate }: WorkerParts, actor: Actor, { kind, task }: Found): Promise<WorkerRun> {
  const now = substrate.sources.now();
  const { before, briefing, settings } = await substrate.read(async (db) => {
    const run = await findWorkerRun(db, task.id);
    const isOwn = run !== null && (await ownSession(db, actor, run.session)) !== null;
    const isUnderWay = kind === 'go on' && (run?.state === 'working' || run?.state === 'waiting');
    return {
      before: isOwn || isUnderWay ? run : null,
      briefing: await readBriefing(db, task, now),
      settings: await readWorkerSettings(db),
    };
  });
  if (before !== null) return before;
  const { id, lease } = task;
  const budgetMicroUsd = settings.budget_micro_usd;
  return openWork(substrate, actor, { task: id, lease, checkpoint: checkpointOf(briefing), budgetMicroUsd });
}

/** Brings the record of a task up to date that is over, or somebody else's. */
async function settle({ substrate }: WorkerParts, actor: Actor, { task, run }: Found): Promise<OrganReport> {
  const isDone = task.holder === actor.grant && (task.state === 'finished' || task.state === 'done');
  const { state, why } = isDone ? ({ state: 'handed_in', why: '' } as const) : becameOf(task);
  if (run !== null) await endWork(substrate, actor, { task: task.id, state, why, answered: false, stand: null });
  return { done: isDone ? 1 : 0, more: true, says: isDone ? saysDone(task) : `${task.id}: ${why}` };
}

function becameOf({ state, holder_name: holder }: TaskRow): { readonly state: 'spent' | 'lost'; readonly why: string } {
  if (state === 'open') return { state: 'spent', why: 'a limit is reached' };
  return { state: 'lost', why: state === 'claimed' ? `${holder} has claimed it` : `it is ${state}` };
}

function report({ id }: TaskRow, { state, why, hold }: Ending): OrganReport {
  const isDone = state === 'handed_in';
  // What waits for a model waits for all of them; else the next task may be done.
  const more = state !== 'stopped' && hold?.of !== 'all';
  return { done: isDone ? 1 : 0, more, says: isDone ? saysDone({ id }) : `${id}: ${why}` };
}

function saysDone({ id }: Pick<TaskRow, 'id'>): string {
  return `${id} is done and waits to be verified`;
}
