/**
 * Carrying one task: what comes next is read from the transcript each time, so that a run which was cut off
 * anywhere goes on from there.
 *
 * An answer that calls tools: they are carried out one by one, each result added at once. An answer without:
 * it is the result, and is handed in. Otherwise the model is asked, after a checkpoint that counts it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ErrorCode } from '../../../errors.ts';
import { SeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import { findCall } from '../../../substrate/calls.ts';
import { findService } from '../../../substrate/identity/service.ts';
import type { WorkerRun, WorkerSettings } from '../../../substrate/mind/worker.ts';
import {
  findStepCall,
  findWorkerRun,
  limitReached,
  readWorkerSettings,
  WORKER_ROLE,
  workerSwitch,
} from '../../../substrate/mind/worker.ts';
import type { Stand } from '../../../substrate/mind/worker-acts.ts';
import { endWork, noteStep, ownSession, pauseWork } from '../../../substrate/mind/worker-acts.ts';
import type { Session, ToolState } from '../../../substrate/sessions/model.ts';
import { listOpenTools } from '../../../substrate/sessions/messages.ts';
import { findSession } from '../../../substrate/sessions/sessions.ts';
import { appendToSession, readTranscript } from '../../../substrate/sessions/work.ts';
import type { ReadHandle } from '../../../substrate/substrate.ts';
import { getTask } from '../../../substrate/tasks/look.ts';
import { LEASE_S } from '../../../substrate/tasks/model.ts';
import type { TaskRow } from '../../../substrate/tasks/model.ts';
import type { Message } from '../../../substrate/transcript.ts';
import type { OrganRun } from '../../organ.ts';
import { CallOutcome } from '../../router/outcome.ts';
import type { StepRequest } from '../../sessions/steps.ts';
import type { Authority } from './authority.ts';
import { authorityOf, narrowed } from './authority.ts';
import { doneLines, noteOf, openingOf, readBriefing, say, textOf } from './briefing.ts';
import type { Ending } from './ending.ts';
import { gaveUp, judge, lost, spent, STOPPED, waits } from './ending.ts';
import type { Toolbox } from './tools.ts';
import { tooMany } from './tools.ts';
import type { WorkerParts } from './worker.ts';

/** How long a step is waited for before the task is looked at again, in milliseconds. */
const SLICE_MS = 1_000;
const BREATH_MS = 50;
/** Between two looks no more than this counts as work: the clock may be set, and the machine may sleep. */
const TICK_MS_MAX = 60_000;
/** How long a cancelled call may take to be settled. */
const CANCEL_MS = 10_000;
/** Calls of one answer that are carried out. */
const TOOLS_MAX = 16;
const OPEN_TOOLS_READ = 1_000;

const LEASE_MS = LEASE_S.usual * 1_000;

const CUT = 'Your answer was cut off at its greatest length. Give your result again, in fewer words.';
const EMPTY = 'Your answer was empty. Say your result, or call a tool.';
/** A model that answers nothing so often in a row has nothing to say. */
const USELESS_MAX = 3;

/** The task is not the worker's any more, is in another state than it thought, or has had enough said of it. */
const NOT_OURS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['conflict', 'forbidden', 'not_found', 'too_many']);

/** What a write in a session is refused with that is somebody else's, or over. */
const NOT_HELD: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['not_found', 'superseded', 'session_closed']);

const NEVER = new AbortController().signal;

/** All that the next turn depends on, as it is now. */
interface Scene {
  readonly actor: Actor;
  readonly authority: Authority;
  readonly settings: WorkerSettings;
  readonly run: WorkerRun;
  readonly task: TaskRow;
  readonly session: Session;
  readonly messages: readonly Message[];
  /** Calls without a result. */
  readonly open: readonly ToolState[];
}

/** The task as it is claimed. */
export interface Claim {
  readonly task: string;
  readonly lease: number;
  /** What was worked on it before. */
  readonly workedMs: number;
}

export class Carry {
  readonly #parts: WorkerParts;
  readonly #toolbox: Toolbox;
  readonly #claim: Claim;
  readonly #run: OrganRun;
  #workedMs: number;
  #lookedAt: number;
  /** A model has answered in this run. */
  #answered = false;
  /** The turn before this one got an answer. */
  #hasJustAnswered = false;

  constructor(parts: WorkerParts, toolbox: Toolbox, { claim, run }: { claim: Claim; run: OrganRun }) {
    this.#parts = parts;
    this.#toolbox = toolbox;
    this.#claim = claim;
    this.#run = run;
    this.#workedMs = claim.workedMs;
    this.#lookedAt = parts.substrate.sources.now();
  }

  /** Works until the task is handed in, or left for a reason. */
  async carry(): Promise<Ending> {
    let ending: Ending | null = null;
    while (ending === null) ending = await this.#next();
    await this.#leave(ending);
    return ending;
  }

  async #next(): Promise<Ending | null> {
    try {
      return await this.#turn();
    } catch (thrown) {
      // In the middle of a turn somebody else came to hold the session: then that is how it ends.
      if (!(thrown instanceof SeedError) || !NOT_HELD.has(thrown.code)) throw thrown;
      const scene = await this.#look();
      if ('state' in scene) return scene;
      throw thrown;
    }
  }

  async #turn(): Promise<Ending | null> {
    const stop = await this.#watch();
    if (stop !== null) return stop;
    const scene = await this.#look();
    if ('state' in scene) return scene;
    const { session, messages, open } = scene;
    if (session.stepCall !== null) return this.#step(scene, { messages: [], key: null });
    const hasAnswered = this.#hasJustAnswered;
    this.#hasJustAnswered = false;
    if (open.length > 0) return this.#useTools(scene);
    const last = messages.at(-1);
    if (last === undefined) return this.#open(scene);
    if (last.role === 'assistant') return this.#answer(scene, last);
    // An answer without a single part leaves nothing in the transcript.
    return hasAnswered ? this.#askAgain(scene, EMPTY) : this.#ask(scene, []);
  }

  /** Gives a sign of life, renews the lease, and says whether the task is to be left at once. */
  async #watch(): Promise<Ending | null> {
    const { substrate } = this.#parts;
    this.#run.alive();
    const now = substrate.sources.now();
    this.#workedMs += Math.min(Math.max(0, now - this.#lookedAt), TICK_MS_MAX);
    this.#lookedAt = now;
    const stop = await this.#verdict(now);
    if (stop !== null) return stop;
    const { lease_until: until } = await substrate.read((db) => getTask(db, this.#claim.task, now));
    if (until - now > LEASE_MS / 2) return null;
    return (await this.#update('progress')) ? null : this.#verdict(now);
  }

  /** Whether the task is still the worker's, and the worker still at work. */
  async #verdict(now: number): Promise<Ending | null> {
    const { task: id, lease } = this.#claim;
    const { task, actor, isOff } = await this.#parts.substrate.read(async (db) => ({
      task: await getTask(db, id, now),
      actor: await findService(db, 'worker'),
      isOff: (await workerSwitch(db)) === 'off',
    }));
    if (actor === null) return STOPPED;
    // Others need not wait for its lease to lapse.
    if (isOff && task.state === 'claimed' && task.lease === lease) return waits('the worker was turned off');
    if (this.#run.signal.aborted) return STOPPED;
    if (task.state === 'open') return { ...waits('its lease lapsed'), note: null };
    if (task.state !== 'claimed') return lost(`it is ${task.state}`);
    if (task.holder !== actor.grant || task.lease !== lease) return lost(`${task.holder_name} has claimed it`);
    return null;
  }

  /** What the next turn depends on; an ending where the session or the adder is gone. */
  async #look(): Promise<Scene | Ending> {
    const { substrate } = this.#parts;
    const now = substrate.sources.now();
    return substrate.read(async (db) => {
      const [actor, run] = [await findService(db, 'worker'), await findWorkerRun(db, this.#claim.task)];
      if (actor === null || run === null) return STOPPED;
      const task = await getTask(db, this.#claim.task, now);
      const authority = await authorityOf(db, task, now);
      if (authority === null) return { ...lost('whoever added it is gone'), note: 'nobody answers for it any more' };
      const session = await ownSession(db, actor, run.session);
      if (session === null) {
        return { ...lost('its session was handed on or closed'), note: 'its session was handed on or closed' };
      }
      return {
        actor,
        authority,
        settings: await readWorkerSettings(db),
        run,
        task,
        session,
        messages: await readTranscript(db, session),
        open: await listOpenTools(db, session.id, OPEN_TOOLS_READ),
      };
    });
  }

  async #open(scene: Scene): Promise<Ending | null> {
    const { substrate } = this.#parts;
    const { task, run, settings } = scene;
    const briefing = await substrate.read((db) => readBriefing(db, task, substrate.sources.now()));
    return this.#ask(scene, openingOf(briefing, Math.max(1, settings.steps - run.steps)));
  }

  /** Asks the model for its next answer, within the limits. */
  async #ask(scene: Scene, messages: readonly Message[]): Promise<Ending | null> {
    const { actor, settings, run } = scene;
    const limit = limitReached({ ...run, workedMs: this.#workedMs }, settings);
    if (limit !== null) return spent(limit);
    const step = await noteStep(this.#parts.substrate, actor, {
      task: run.task,
      answered: this.#answered,
      workedMs: this.#workedMs,
      done: doneLines(scene.messages),
      next: `Answer ${run.steps + 1} of at most ${settings.steps}.`,
    });
    this.#parts.fault('worker.checkpointed');
    return this.#step(scene, { messages, key: stepKey(step) });
  }

  /** The model's next answer, or the one under way; null once it is in the transcript. */
  async #step(scene: Scene, { messages, key }: Pick<StepRequest, 'key'> & { messages: readonly Message[] }) {
    const { steps, router, substrate } = this.#parts;
    const { session, actor, authority, settings, run } = scene;
    const { signal } = this.#run;
    const request = {
      role: WORKER_ROLE,
      tools: this.#toolbox.offered(narrowed(actor, authority)),
      maxOutputTokens: null,
      stop: [],
      labels: {},
      whenCut: 'continue' as const,
    };
    let added = { request: { ...request, messages }, key };
    for (;;) {
      const asked = { session: session.id, epoch: session.epoch, traceparent: null, ...added };
      const { call } = await steps.step(asked, actor, { waitMs: SLICE_MS, signal });
      if (call.outcome.status !== 'running') {
        this.#parts.fault('worker.stepped');
        this.#hasJustAnswered = call.outcome.status === 'complete';
        this.#answered ||= this.#hasJustAnswered;
        return judge(call.outcome, {
          session,
          now: substrate.sources.now(),
          begun: scene.messages.some(({ role }) => role === 'assistant'),
          failures: this.#answered ? 0 : run.failures,
        });
      }
      const limit = limitReached({ ...run, steps: 0, workedMs: this.#workedMs }, settings);
      const stop = (await this.#watch()) ?? (limit === null ? null : spent(limit));
      if (stop === STOPPED) return stop;
      if (stop !== null) {
        await router.result(call.id, actor, { cancel: true, waitMs: CANCEL_MS, signal: NEVER });
        await steps.settled();
        return stop;
      }
      // A call that nobody here waits for answers at once; that must not become a busy loop.
      await delay(BREATH_MS);
      // From now on it is under way: whoever asks joins it.
      added = { request: { ...request, messages: [] }, key: null };
    }
  }

  /** Carries out what the newest answer asks for, in its order, each result added at once. */
  async #useTools({ messages, open, session, actor, authority, task }: Scene): Promise<Ending | null> {
    const states = new Map(open.map((state) => [state.call, state]));
    const calls = messages.flatMap(({ parts }) => parts).filter((part) => part.type === 'tool_call');
    const work = { task: task.id, lease: this.#claim.lease, session: session.id };
    const caller = { actor: narrowed(actor, authority), authority, work, signal: this.#run.signal };
    let made = 0;
    for (const call of calls) {
      const state = states.get(call.id);
      if (state === undefined) continue;
      const stop = await this.#watch();
      if (stop !== null) return stop;
      const used = ++made > TOOLS_MAX ? tooMany(call, TOOLS_MAX) : await this.#toolbox.use(call, state, caller);
      const result: Message = { role: 'tool', parts: [used.result] };
      await appendToSession(this.#parts.substrate, session.id, {
        actor,
        epoch: session.epoch,
        messages: [result],
        key: null,
      });
      this.#parts.fault('worker.tool.kept');
      if (used.ends) return { ...gaveUp('it said that it could not do it'), note: null };
    }
    return null;
  }

  /** An answer without a tool call is the result, unless it is none. */
  async #answer(scene: Scene, last: Message): Promise<Ending | null> {
    const { session, run } = scene;
    const text = textOf(last);
    const stop = await this.#parts.substrate.read((db) => stopOf(db, run));
    if (stop === 'refusal') return gaveUp('the model refused it');
    const isCut = stop === 'max_tokens' || stop === 'paused';
    if (isCut || text === '') return this.#askAgain(scene, isCut ? CUT : EMPTY);
    this.#parts.fault('worker.finishing');
    if (!(await this.#update('finish', noteOf(text, session.id)))) {
      return (await this.#verdict(this.#lookedAt)) ?? gaveUp('its result was not taken');
    }
    this.#parts.fault('worker.finished');
    return { state: 'handed_in', why: '', note: null, hold: null };
  }

  /** Tells the model that its answer was none, unless that was in vain before. */
  async #askAgain(scene: Scene, what: string): Promise<Ending | null> {
    return timesTold(scene.messages) + 1 < USELESS_MAX
      ? this.#ask(scene, [say('user', what)])
      : gaveUp(`its last ${USELESS_MAX} answers were empty or cut off`);
  }

  /** Says something of the task; false where that was not taken, which a look at the task explains. */
  async #update(what: 'progress' | 'finish' | 'release', note?: string): Promise<boolean> {
    const { substrate, act } = this.#parts;
    const actor = await substrate.read((db) => findService(db, 'worker'));
    if (actor === null) return false;
    const { task: id, lease } = this.#claim;
    try {
      await act('task_update', { do: what, id, lease, ...(note === undefined ? {} : { note }) }, { actor });
      return true;
    } catch (thrown) {
      if (thrown instanceof SeedError && NOT_OURS.has(thrown.code)) return false;
      throw thrown;
    }
  }

  /** Puts on record how it ended, and leaves the task to others where it still is the worker's. */
  async #leave({ state, why, note, hold }: Ending): Promise<void> {
    const { substrate, fault } = this.#parts;
    const { task } = this.#claim;
    const actor = await substrate.read((db) => findService(db, 'worker'));
    if (state === 'stopped' || actor === null) return;
    const stand = await this.#stand(state === 'handed_in' ? 'Somebody else verifies it.' : `Left: ${why}.`);
    if (state === 'waiting') {
      await pauseWork(substrate, actor, { task, why, hold, answered: this.#answered, ...stand });
      fault('worker.paused');
      if (note !== null) await this.#update('release', note);
      return;
    }
    if (note !== null) await this.#update('release', note);
    await endWork(substrate, actor, { task, state, why, answered: this.#answered, stand });
    fault('worker.ended');
  }

  async #stand(next: string): Promise<Stand> {
    const messages = await this.#parts.substrate.read(async (db) => {
      const run = await findWorkerRun(db, this.#claim.task);
      const session = run === null ? null : await findSession(db, run.session);
      return session === null ? [] : readTranscript(db, session);
    });
    return { workedMs: this.#workedMs, done: doneLines(messages), next };
  }
}

/** How often in a row, at the end of a conversation, the model was told that its answer was none. */
function timesTold(messages: readonly Message[]): number {
  const others = messages.filter(({ role }) => role !== 'assistant').toReversed();
  const other = others.findIndex((one) => one.role !== 'user' || ![CUT, EMPTY].includes(textOf(one)));
  return other === -1 ? others.length : other;
}

function stepKey(step: number): string {
  return `step.${step}`;
}

/** Why the newest answer ended, as its call has it; null where that is not known. */
async function stopOf(db: ReadHandle, { session, steps }: WorkerRun): Promise<string | null> {
  const id = await findStepCall(db, session, stepKey(steps));
  const stored = id === null ? null : await findCall(db, id);
  const outcome = stored?.outcome ?? null;
  return outcome === null ? null : CallOutcome.parse(JSON.parse(outcome)).stop;
}
