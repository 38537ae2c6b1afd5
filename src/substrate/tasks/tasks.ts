/**
 * Tasks: work with acceptance, a deadline and an owner by lease, which is done only when a principal other
 * than the doer verified it, or its stated check passed.
 *
 * Each act is one operation with one receipt; what others must know of it is sent in the same
 * transaction. Of two who claim at once one wins, since there is one writer; the number of the claim
 * fences off whoever held the task before.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { SEED } from '../actor.ts';
import { holderOf } from '../bus/model.ts';
import { putContent } from '../content.ts';
import type { Row, Substrate } from '../substrate.ts';
import type { Sources } from '../sources.ts';
import type { Operation, Receipted } from '../operation.ts';
import { assertStatable, holds, lookOutside, readCheck } from './check.ts';
import { bodyOf, getTask, listLapsed, unmetNeeds } from './look.ts';
import type { Acting, TaskEventName } from './machine.ts';
import { MACHINE, step } from './machine.ts';
import type { StatedCheck, TaskBody, TaskRow, TaskState } from './model.ts';
import { EVENTS_MAX, LIVE_TASKS_MAX, LIVE_TASKS_OF_ONE_MAX } from './model.ts';
import { dependOn, insertTask, saveTask, writeEvent } from './rows.ts';
import { principalOf } from './principal.ts';
import { tell } from './tell.ts';

/** What is to be done. */
export interface TaskDraft {
  readonly subsystem: string;
  readonly body: TaskBody;
  readonly check: StatedCheck | null;
  /** ms since the epoch; null for none. */
  readonly deadline: number | null;
  readonly priority: number;
  /** Tasks that must be done before. */
  readonly needs: readonly string[];
}

/** What an act came to. */
export interface TaskChange {
  readonly id: string;
  readonly title: string;
  readonly state: TaskState;
  readonly lease: number;
  /** ms since the epoch; null where nobody holds it. */
  readonly leaseUntil: number | null;
  /** It had been done before: nothing changed. */
  readonly repeated: boolean;
  /** Whether its stated check holds; null where it was not looked at. */
  readonly checkHolds: boolean | null;
}

/** @throws SeedError `not_found` for what it needs, `too_many`, and as {@link assertStatable} */
export async function addTask(substrate: Substrate, actor: Actor, draft: TaskDraft): Promise<Receipted<TaskChange>> {
  const { sources } = substrate;
  if (draft.check !== null) await assertStatable(draft.check, actor);
  return substrate.operate({ action: 'task.add', actor }, (op) =>
    insertAddedTask(op, { adder: actor, draft, sources }),
  );
}

/**
 * Adds a task within an operation of somebody else's, which adds no other: the task is named after its receipt.
 * `adder` is whose it is, whoever acts: the one for whom the seed's own organs add it. A stated check has
 * been looked at before ({@link assertStatable}).
 *
 * @throws SeedError `not_found` for what it needs, `too_many`
 */
export async function insertAddedTask(
  op: Operation,
  { adder, draft, sources }: { adder: Actor; draft: TaskDraft; sources: Sources },
): Promise<TaskChange> {
  const id = `t${op.seq}`;
  op.receipt({ subject: { type: 'task', id }, detail: { subsystem: draft.subsystem } });
  const principal = await principalOf(op, adder);
  await assertRoomFor(op, principal);
  const body = await putContent(op, Buffer.from(JSON.stringify(draft.body)), { sources });
  await dependOn(op, id, draft.needs);
  await insertTask(op, { id, draft, body, adder: { who: holderOf(adder), name: adder.id, principal } });
  op.receipt({ input: body });
  return { ...NOTHING, id, title: draft.body.title, state: 'open' };
}

const NOTHING = { lease: 0, leaseUntil: null, repeated: false, checkHolds: null } as const;

interface CountRow extends Row {
  readonly total: number;
  readonly own: number;
}

async function assertRoomFor(op: Operation, principal: string): Promise<void> {
  const row = await op.get<CountRow>(
    `SELECT count(*) AS total, count(*) FILTER (WHERE adder_principal = ?) AS own
     FROM substrate_tasks WHERE state IN ('open', 'claimed', 'finished')`,
    principal,
  );
  const { total = 0, own = 0 } = row ?? {};
  if (total < LIVE_TASKS_MAX && own < LIVE_TASKS_OF_ONE_MAX) return;
  throw new SeedError('too_many', `${own} of ${total} tasks that are not over were added by you.`, {
    hint: `${LIVE_TASKS_OF_ONE_MAX} of one and ${LIVE_TASKS_MAX} in all are the limit; see some done or cancel them.`,
  });
}

/** What can be done with a task by whoever asks. */
export type TaskAct = Exclude<TaskEventName, 'lapse' | 'pass'>;

export interface TaskRequest {
  readonly act: TaskAct;
  readonly id: string;
  /** The number that the claim gave. */
  readonly lease?: number | undefined;
  /** How long the claim is to hold from now on. */
  readonly leaseMs?: number | undefined;
  /** A word on it. */
  readonly note?: string | undefined;
  readonly priority?: number | undefined;
  /** All that it needs from now on. */
  readonly needs?: readonly string[] | undefined;
}

/**
 * Does one thing to a task.
 *
 * @throws SeedError `not_found`, `conflict` where its state, its lease or what it needs is in the way,
 *   `forbidden` for whoever may not, `invalid_input`, `too_many`
 */
export async function changeTask(
  substrate: Substrate,
  actor: Actor,
  request: TaskRequest,
): Promise<Receipted<TaskChange>> {
  const { act, id } = request;
  const { sources } = substrate;
  const outside = act === 'finish' ? await lookAtFile(substrate, id) : null;
  const { value, ...receipted } = await substrate.operate({ action: `task.${act}`, actor }, async (op) => {
    op.receipt({ subject: { type: 'task', id } });
    const work = new Work(op, substrate, await getTask(op, id, op.now), actor);
    if (act === 'finish') return work.finish(request, outside);
    return work.take(act, request);
  });
  substrate.mail.arrived(value.told);
  return { ...receipted, value: value.change };

  async function lookAtFile(from: Substrate, task: string): Promise<boolean | null> {
    return lookOutside(readCheck(await from.read(async (db) => (await getTask(db, task, sources.now())).stated_check)));
  }
}

interface Outcome {
  readonly change: TaskChange;
  readonly told: readonly string[];
}

/** One act on one task, within its operation. */
class Work {
  readonly #op: Operation;
  readonly #substrate: Pick<Substrate, 'sources'>;
  readonly #task: TaskRow;
  readonly #actor: Actor;

  constructor(op: Operation, substrate: Pick<Substrate, 'sources'>, task: TaskRow, actor: Actor) {
    this.#op = op;
    this.#substrate = substrate;
    this.#task = task;
    this.#actor = actor;
  }

  async take(act: TaskEventName, request: Omit<TaskRequest, 'act' | 'id'>): Promise<Outcome> {
    const [op, task] = [this.#op, this.#task];
    const acting = await this.#acting(request.lease);
    const state = step(task, act, acting);
    if (act === 'claim') await this.#assertNeedsMet();
    if (act === 'amend' && request.needs !== undefined) await dependOn(op, task.id, request.needs);
    return this.#record(act, state, acting, request);
  }

  /** A repeat of what was done already changes nothing, unless the stated check holds by now. */
  async finish(request: TaskRequest, outside: boolean | null): Promise<Outcome> {
    const task = this.#task;
    const acting = await this.#acting(request.lease);
    const isOver = task.state === 'finished' || task.state === 'done';
    const isRepeat = isOver && task.holder === acting.who && task.lease === acting.lease;
    if (!isRepeat) step(task, 'finish', acting);
    const checkHolds = task.state === 'done' ? null : await this.#check(acting, outside);
    const seed = { ...acting, who: SEED.id };
    if (checkHolds === true) return this.#record('pass', step(task, 'pass', seed), acting, request, checkHolds);
    if (!isRepeat) return this.#record('finish', MACHINE.finish.to, acting, request, checkHolds);
    this.#op.receipt({ detail: { state: task.state, lease: task.lease, repeated: 1 } });
    return { change: { ...(await this.#change(task, task.state)), repeated: true, checkHolds }, told: [] };
  }

  async #acting(lease: number | undefined): Promise<Acting> {
    const actor = this.#actor;
    return { who: holderOf(actor), principal: await principalOf(this.#op, actor), lease: lease ?? null };
  }

  async #check({ principal }: Acting, outside: boolean | null): Promise<boolean | null> {
    const { stated_check: json, seq, adder_principal: adderPrincipal } = this.#task;
    const check = readCheck(json);
    if (check === null) return null;
    return holds(this.#op, check, { after: seq, adderPrincipal, doerPrincipal: principal, outside });
  }

  async #assertNeedsMet(): Promise<void> {
    const { id } = this.#task;
    const unmet = await unmetNeeds(this.#op, id);
    if (unmet.length === 0) return;
    throw new SeedError('conflict', `${id} waits for ${unmet.join(', ')}.`, {
      hint: 'Take one of those first; who added it can amend what it needs.',
      data: { task: id, needs: unmet[0] ?? '' },
    });
  }

  /** Writes down what happened, and tells whom it concerns. */
  async #record(
    event: TaskEventName,
    state: TaskState,
    acting: Acting,
    {
      note = null,
      leaseMs,
      priority,
    }: { note?: string | null | undefined; leaseMs?: number | undefined; priority?: number | undefined },
    checkHolds: boolean | null = null,
  ): Promise<Outcome> {
    const [op, before, actor, { sources }] = [this.#op, this.#task, this.#actor, this.#substrate];
    if (event === 'progress' && before.events >= EVENTS_MAX) throw tooMuchHappened(before.id);
    const after = await saveTask(op, before, { event, state, acting, name: actor.id, leaseMs, priority });
    const words = note === null ? null : await putContent(op, Buffer.from(note), { sources });
    await writeEvent(op, after, { event, by: actor.id, note: words });
    const change = { ...(await this.#change(after, state)), checkHolds };
    const { title } = change;
    const news = { task: before, event, state, title, by: actor.id, note, except: acting.who };
    const told = MACHINE[event].tells ? await tell(op, news, sources) : [];
    const check = checkHolds === null ? {} : { check: checkHolds ? 'passed' : 'failed' };
    // Said last: the message has said something of its own.
    op.receipt({
      subject: { type: 'task', id: before.id },
      input: words,
      detail: { event, from: before.state, state, lease: after.lease, told: told.length, ...check },
    });
    return { change, told };
  }

  async #change(task: TaskRow, state: TaskState): Promise<TaskChange> {
    const { title } = await bodyOf(this.#op, task);
    const { id, lease, lease_until: until } = task;
    return {
      id,
      title,
      state,
      lease,
      leaseUntil: state === 'claimed' ? until : null,
      repeated: false,
      checkHolds: null,
    };
  }
}

function tooMuchHappened(id: string): SeedError {
  return new SeedError('too_many', `${EVENTS_MAX} things happened to ${id} already.`, {
    hint: 'Finish it or let go of it; a larger work is several tasks.',
    data: { task: id },
  });
}

/** Lapses that one round puts on record. */
const ROUND_MAX = 200;

/**
 * Puts lapsed claims on record and tells those whom it concerns. Anybody may claim such a task before
 * that: a lapse is found by looking, not by this.
 */
export async function freeLapsed(substrate: Substrate): Promise<number> {
  const { sources, mail } = substrate;
  const found = await substrate.read((db) => listLapsed(db, sources.now(), ROUND_MAX));
  let freed = 0;
  for (const { id } of found) {
    const { value } = await substrate.operate({ action: 'task.lapse', actor: SEED }, async (op) => {
      op.receipt({ subject: { type: 'task', id } });
      const task = await getTask(op, id, op.now);
      // Somebody may have claimed it since it was found.
      if (task.lapsed === 0) return null;
      return new Work(op, substrate, { ...task, state: 'claimed' }, SEED).take('lapse', {});
    });
    if (value === null) continue;
    freed++;
    mail.arrived(value.told);
  }
  return freed;
}
