/**
 * What the worker does to its session and its own record of a task: one operation each, with one receipt.
 *
 * The record changes in the transaction of the session's own change, so a crash leaves both or neither.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { usedMicroUsd } from '../sessions/budget.ts';
import type { CheckpointInput, Session } from '../sessions/model.ts';
import { closeSession, findSession, heldSession, openSession, setCheckpoint } from '../sessions/sessions.ts';
import { newId } from '../sources.ts';
import type { ReadHandle, Substrate } from '../substrate.ts';
import { getTask } from '../tasks/look.ts';
import type { Operation } from '../operation.ts';
import type { RunState, WorkerRun } from './worker.ts';
import { findWorkerRun, holdWorker, putOffRun, releaseWorker, saveWorkerRun } from './worker.ts';

export interface NewWork {
  readonly task: string;
  readonly lease: number;
  readonly checkpoint: CheckpointInput;
  /** What a task may cost in all, whole micro-dollars; the session gets what earlier tries left of it. */
  readonly budgetMicroUsd: number;
}

/** Opens the session of a try, and the record of the task with it. @throws SeedError `too_many` */
export async function openWork(substrate: Substrate, actor: Actor, work: NewWork): Promise<WorkerRun> {
  const id = newId(substrate.sources);
  const { value } = await substrate.operate({ action: 'session.open', actor }, async (op) => {
    const { task, lease, checkpoint, budgetMicroUsd } = work;
    op.receipt({ subject: { type: 'session', id }, detail: { task, lease } });
    const before = (await findWorkerRun(op, task)) ?? blank(task, op.now);
    const spentMicroUsd = await spentOn(op, before);
    await openSession(op, actor, {
      id,
      checkpoint,
      scopes: [...actor.scopes].toSorted(),
      budgetMicroUsd: Math.max(0, budgetMicroUsd - spentMicroUsd),
      deadline: null,
    });
    const run: WorkerRun = { ...before, spentMicroUsd, session: id, state: 'working', why: '', changedAt: op.now };
    await saveWorkerRun(op, run);
    return run;
  });
  substrate.sessions.changed(id, [actor.grant]);
  return value;
}

export interface Stand {
  readonly workedMs: number;
  readonly done: readonly string[];
  readonly next: string;
}

/**
 * Notes where a task stands, and that one more answer of a model is asked for: before it is, so that a crash
 * in between counts as a step and not the other way round. Resolves to the number of that step.
 *
 * @throws SeedError `not_found`, `superseded`, `session_closed` where the session is not the worker's
 */
export async function noteStep(
  substrate: Substrate,
  actor: Actor,
  { task, answered, ...stand }: Stand & { readonly task: string; readonly answered: boolean },
): Promise<number> {
  const { value } = await substrate.operate({ action: 'session.checkpoint', actor }, async (op) => {
    const run = await runOf(op, task);
    const session = await heldSession(op, run.session, { actor, epoch: null });
    const steps = run.steps + 1;
    op.receipt({ subject: { type: 'session', id: session.id }, detail: { epoch: session.epoch, task, step: steps } });
    await setCheckpoint(op, session, { done: [...stand.done], next: stand.next });
    if (answered) await releaseWorker(op, op.now);
    const { workedMs } = stand;
    const failures = answered ? 0 : run.failures;
    const begun = { ...run, state: 'working', why: '', nextAt: null, failures } as const;
    await saveWorkerRun(op, { ...begun, steps, workedMs, changedAt: op.now });
    return { steps, session: session.id };
  });
  substrate.sessions.changed(value.session, [actor.grant]);
  return value.steps;
}

/**
 * Puts on record that a tool with an effect is called now: from here on nobody knows whether it happened,
 * until its result is in the transcript.
 *
 * @throws SeedError `conflict` where it was begun before
 */
export async function startTool(
  substrate: Substrate,
  actor: Actor,
  { session: id, call, tool }: { session: string; call: string; tool: string },
): Promise<void> {
  await substrate.operate({ action: 'session.tool', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id }, detail: { call, tool } });
    await heldSession(op, id, { actor, epoch: null });
    const begun = await op.run(
      "UPDATE substrate_session_tools SET state = 'in_doubt' WHERE session = ? AND call = ? AND state = 'not_started'",
      id,
      call,
    );
    if (begun === 1) return;
    throw new SeedError('conflict', `The tool call ${call} was begun before.`, {
      hint: 'Ask whether it happened; it is not repeated by itself.',
      data: { call },
    });
  });
}

/**
 * What is left alone for a while: whatever would ask a model, until a time (null: for longer after each
 * failure in a row); or one task, for longer after each of its own.
 */
export type Hold = { readonly of: 'all'; readonly until: number | null } | { readonly of: 'task' };

/** Leaves a task for now, to go on in the same session. */
export async function pauseWork(
  substrate: Substrate,
  actor: Actor,
  {
    task,
    why,
    hold,
    answered,
    ...stand
  }: Stand & {
    readonly task: string;
    readonly why: string;
    readonly hold: Hold | null;
    /** A model has answered in this run. */
    readonly answered: boolean;
  },
): Promise<void> {
  const { value } = await substrate.operate({ action: 'session.checkpoint', actor }, async (op) => {
    const before = await runOf(op, task);
    const run = answered ? { ...before, failures: 0 } : before;
    const session = await heldSession(op, run.session, { actor, epoch: null });
    await setCheckpoint(op, session, { done: [...stand.done], next: stand.next });
    if (answered) await releaseWorker(op, op.now);
    const putOff = hold?.of === 'task' ? await putOffRun(op, run, { why, now: op.now }) : null;
    const until = hold?.of === 'all' ? await holdWorker(op, { why, until: hold.until, now: op.now }) : putOff?.nextAt;
    op.receipt({
      subject: { type: 'session', id: session.id },
      detail: { epoch: session.epoch, task, waits: why, ...(typeof until === 'number' ? { until } : {}) },
    });
    const waiting = { ...run, ...putOff, state: 'waiting', why } as const;
    await saveWorkerRun(op, { ...waiting, workedMs: stand.workedMs, changedAt: op.now });
    return session.id;
  });
  substrate.sessions.changed(value, [actor.grant]);
}

/**
 * Ends a try: the session is closed where it still is the worker's, and what it cost is the task's. Of a task
 * that never came to a session there is a record from then on.
 */
export async function endWork(
  substrate: Substrate,
  actor: Actor,
  {
    task,
    state,
    why,
    answered,
    stand,
  }: {
    readonly task: string;
    readonly state: Exclude<RunState, 'working' | 'waiting'>;
    readonly why: string;
    /** A model has answered in this run. */
    readonly answered: boolean;
    /** Null where nobody worked on it in this run. */
    readonly stand: Stand | null;
  },
): Promise<void> {
  const { value } = await substrate.operate({ action: 'session.close', actor }, async (op) => {
    const run = (await findWorkerRun(op, task)) ?? blank(task, op.now);
    const said = { task, state, ...(why === '' ? {} : { why }) };
    op.receipt({ subject: { type: 'session', id: run.session }, detail: said });
    const session = await ownSession(op, actor, run.session);
    if (session !== null) {
      if (stand !== null) await setCheckpoint(op, session, { done: [...stand.done], next: stand.next });
      await closeSession(op, session);
      const { epoch, length, runningHash: hash } = session;
      op.receipt({ detail: { ...said, epoch, length, hash } });
    }
    if (answered) await releaseWorker(op, op.now);
    await saveWorkerRun(op, {
      ...run,
      failures: 0,
      nextAt: null,
      state,
      why,
      workedMs: stand?.workedMs ?? run.workedMs,
      spentMicroUsd: await spentOn(op, run),
      events: (await getTask(op, task, op.now)).events,
      changedAt: op.now,
    });
    return run.session;
  });
  substrate.sessions.changed(value, [actor.grant]);
}

/** A task that it has just taken on. */
function blank(task: string, now: number): WorkerRun {
  const nothing = { steps: 0, workedMs: 0, spentMicroUsd: 0, events: 0, failures: 0 };
  return { task, session: '', state: 'gave_up', why: '', ...nothing, nextAt: null, changedAt: now };
}

/** What all tries cost; that of one that is not over has not been added yet. */
async function spentOn(op: Operation, { session, state, spentMicroUsd }: WorkerRun): Promise<number> {
  const isOpen = state === 'working' || state === 'waiting';
  return spentMicroUsd + (isOpen ? await usedMicroUsd(op, session, op.now) : 0);
}

/** The session, where it is open and this actor's; null where it was closed or handed on. */
export async function ownSession(db: ReadHandle, { grant }: Actor, id: string): Promise<Session | null> {
  const session = await findSession(db, id);
  return session !== null && session.holder === grant && session.status === 'open' ? session : null;
}

async function runOf(op: Operation, task: string): Promise<WorkerRun> {
  const run = await findWorkerRun(op, task);
  if (run !== null) return run;
  throw new SeedError('not_found', `The worker has not taken on ${task}.`, {
    hint: '`seed worker show` says what it has.',
  });
}
