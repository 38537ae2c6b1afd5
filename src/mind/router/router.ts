/**
 * The router: calls to models under the owner's policy.
 *
 * A call belongs to whoever asked and runs on by itself; waiting for it is a thing apart. `complete`
 * waits as long as it is told and then says `running`; `result` looks again.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import { OWNER, SEED } from '../../substrate/actor.ts';
import type { StoredCall } from '../../substrate/calls.ts';
import { countQueued, findCall, findCallByKey, insertCall, listQueued } from '../../substrate/calls.ts';
import { getContent, putContent } from '../../substrate/content.ts';
import { findGrant } from '../../substrate/identity/grants.ts';
import { resolveRouting } from '../../substrate/policy/policy.ts';
import { newTimedId } from '../../substrate/sources.ts';
import type { ReadHandle } from '../../substrate/substrate.ts';
import { Message } from '../../substrate/transcript.ts';
import { CALL_CONTENT_MS, CANCELLED_WHILE_QUEUED } from './admission.ts';
import type { CallEnd, RouterParts } from './call.ts';
import { RunningCall } from './call.ts';
import type { Dispatch } from './dispatch.ts';
import { CallOutcome, RUNNING } from './outcome.ts';
import type { Asker, CompletionRequest } from './request.ts';
import { isTextOf, parseRequestText, requestText } from './request.ts';
import { closeCall } from './settlement.ts';

export type { CallEnd, RouterParts } from './call.ts';
export { RunningCall } from './call.ts';

/** Calls that may run at once: in all, and of one grant. */
const RUNNING_MAX = 2_000;
const RUNNING_OF_GRANT_MAX = 500;
/** Calls that may wait for the drain: in all, and of one grant. */
const QUEUED_MAX = 1_000;
const QUEUED_OF_GRANT_MAX = 100;

/** A call as it stands. */
export interface CallReport extends CallEnd {
  readonly id: string;
  /** What was said, or has been said so far. */
  readonly text: string;
}

export interface Waiting {
  /** How long to wait for the end, in milliseconds. */
  readonly waitMs: number;
  /** Nobody waits any more. */
  readonly signal: AbortSignal;
}

export interface DrainOptions {
  /** Calls to take up, at most. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Told after each call how many are done. */
  readonly onCall: (done: number) => void;
}

export interface RouterOptions extends RouterParts {
  /** Registers what is cut off when a grant is removed (`membrane/streams.ts`); returns how to take it back. */
  readonly register: (grant: string, cut: () => void) => () => void;
}

/** Told how a call ended, and how long it took from its beginning, in milliseconds. */
export type EndListener = (end: CallEnd, facts: { readonly role: string; readonly tookMs: number }) => void;

export class Router {
  readonly #options: RouterOptions;
  readonly #running = new Map<string, RunningCall>();
  /** How many calls of each grant run. */
  readonly #runningOf = new Map<string | null, number>();
  /** By grant and idempotency key. */
  readonly #byKey = new Map<string, RunningCall>();
  /** Resolves when the drain that came last is over. */
  #drains: Promise<void> = Promise.resolve();
  readonly #onEnd = new Set<EndListener>();
  #closed = false;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Calls `listener` with the end of each call that was made; the returned function takes it back. */
  onEnd(listener: EndListener): () => void {
    this.#onEnd.add(listener);
    return () => this.#onEnd.delete(listener);
  }

  /**
   * Makes a call, or joins the one that the same key belongs to, and waits for its end.
   *
   * @throws SeedError `conflict` when the key belongs to another request, `content_erased`, `in_doubt`,
   *   `busy`, `stopping`, and what the substrate throws
   */
  async complete(request: CompletionRequest, asker: Asker, waiting: Waiting): Promise<CallReport> {
    const started = await this.start(request, asker);
    return started instanceof RunningCall ? this.wait(started, waiting) : started;
  }

  /** The same without waiting: the call under way, or the report of one that has ended. */
  async start(request: CompletionRequest, asker: Asker): Promise<RunningCall | CallReport> {
    const { actor, idempotencyKey } = asker;
    if (idempotencyKey !== null) {
      const joined = this.#byKey.get(keyOf(actor, idempotencyKey));
      if (joined !== undefined) return assertSame(joined, request);
      const stored = await this.#options.substrate.read((db) => findCallByKey(db, actor.grant, idempotencyKey));
      if (stored !== null) return this.#again(stored, request);
      // While that was looked up another one may have begun.
      const begun = this.#byKey.get(keyOf(actor, idempotencyKey));
      if (begun !== undefined) return assertSame(begun, request);
    }
    return this.#run({ id: asker.callId ?? newTimedId(this.#options.substrate.sources), request, asker, input: null });
  }

  /**
   * A call by its id; only whoever made it sees it, and the owner. `cancel` ends it where it runs, and takes
   * it off the drain's list where it waits.
   *
   * @throws SeedError `not_found`
   */
  async result(
    id: string,
    actor: Actor,
    { cancel = false, ...waiting }: Waiting & { cancel?: boolean },
  ): Promise<CallReport> {
    const running = this.#running.get(id);
    if (running !== undefined && isOwn(running.asker.actor.grant, actor)) {
      if (cancel) running.cancel('Whoever asked for it cancelled it.');
      return this.wait(running, waiting);
    }
    const { substrate } = this.#options;
    const found = await substrate.read(async (db) => {
      const stored = await findCall(db, id);
      return stored !== null && isOwn(stored.grant, actor) ? { stored, report: await this.#report(db, stored) } : null;
    });
    if (found !== null && cancel && found.stored.status === 'queued') return this.#withdraw(found.stored, actor);
    if (found !== null) return found.report;
    throw notYours(id);
  }

  /**
   * Puts work on the list that the drain takes up.
   *
   * The same key again answers with the call that it belongs to.
   *
   * @throws SeedError `no_route` for a role that the drain cannot serve, `busy` when the list is full,
   *   `conflict` when the key belongs to another request
   */
  async enqueue(request: CompletionRequest, asker: Asker): Promise<{ id: string; receipt: number; waiting: number }> {
    const { substrate } = this.#options;
    const { sources } = substrate;
    const id = newTimedId(sources);
    const { actor } = asker;
    const { value, seq } = await substrate.operate({ action: 'route.enqueue', actor }, async (op) => {
      const { total, own } = await countQueued(op, actor.grant);
      const before = await this.#queuedBefore(op, request, asker);
      if (before !== null) {
        op.receipt({ subject: { type: 'call', id: before.id }, input: before.input, detail: { role: request.role } });
        return { id: before.id, waiting: total };
      }
      if (total >= QUEUED_MAX || own >= QUEUED_OF_GRANT_MAX) throw queueFull(own);
      if ((await resolveRouting(op, request.role, 'cron')) === null) throw notForTheDrain(request.role);
      const body = Buffer.from(requestText(request));
      const input = await putContent(op, body, { sources, eraseAt: op.now + CALL_CONTENT_MS });
      const row = { id, grant: actor.grant, actor: actor.id, role: request.role, session: request.session };
      await insertCall(op, {
        ...row,
        status: 'queued',
        idempotencyKey: asker.idempotencyKey,
        input,
        createdAt: op.now,
      });
      op.receipt({ subject: { type: 'call', id }, input, detail: { role: request.role } });
      return { id, waiting: total + 1 };
    });
    return { ...value, receipt: seq };
  }

  /** The call that the same key belongs to; null where there is none yet. @throws SeedError `conflict`, `content_erased` */
  async #queuedBefore(
    db: ReadHandle,
    request: CompletionRequest,
    { actor, idempotencyKey }: Asker,
  ): Promise<StoredCall | null> {
    const stored = idempotencyKey === null ? null : await findCallByKey(db, actor.grant, idempotencyKey);
    if (stored !== null) await assertSameStored(db, stored, request);
    return stored;
  }

  /** Lets every call under way end for `graceMs`, then cancels what is left, and waits until all is settled. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    const ended = Promise.allSettled([...this.#running.values()].map(({ done }) => done));
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, graceMs);
    await Promise.race([ended, timer.promise]);
    clearTimeout(timeout);
    for (const call of this.#running.values()) call.cancel('The seed is stopping.');
    await ended;
  }

  #run(options: { id: string; request: CompletionRequest; asker: Asker; input: string | null }): RunningCall {
    const { actor, idempotencyKey } = options.asker;
    if (this.#closed) throw stopping();
    const own = this.#runningOf.get(actor.grant) ?? 0;
    if (this.#running.size >= RUNNING_MAX || own >= RUNNING_OF_GRANT_MAX) throw tooManyRunning();
    const call = new RunningCall(this.#options, options);
    const release =
      actor.grant === null
        ? () => {}
        : this.#options.register(actor.grant, () => call.cancel('The access key was removed.'));
    this.#running.set(call.id, call);
    this.#runningOf.set(actor.grant, own + 1);
    if (idempotencyKey !== null) this.#byKey.set(keyOf(actor, idempotencyKey), call);
    const ended = (): void => {
      release();
      this.#running.delete(call.id);
      this.#ended(actor.grant);
      if (idempotencyKey !== null) this.#byKey.delete(keyOf(actor, idempotencyKey));
    };
    const { sources } = this.#options.substrate;
    const beganAt = sources.now();
    call.done.then((end) => {
      ended();
      const facts = { role: call.request.role, tookMs: Math.max(0, sources.now() - beganAt) };
      for (const listener of this.#onEnd) listener(end, facts);
    }, ended);
    return call;
  }

  #ended(grant: string | null): void {
    const left = (this.#runningOf.get(grant) ?? 1) - 1;
    if (left > 0) this.#runningOf.set(grant, left);
    else this.#runningOf.delete(grant);
  }

  /** Waits for a call that was started. */
  async wait(call: RunningCall, { waitMs, signal }: Waiting): Promise<CallReport> {
    const enough = Promise.withResolvers<null>();
    const stop = (): void => enough.resolve(null);
    const timer = setTimeout(stop, waitMs);
    signal.addEventListener('abort', stop, { once: true });
    try {
      const end = await Promise.race([call.done, enough.promise]);
      if (end === null) return { id: call.id, outcome: call.outcomeSoFar(), message: null, text: call.partialText() };
      return { id: call.id, ...end, text: textOf(end.message) };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** A key that was used before: its stored answer, whatever became of it. */
  async #again(stored: StoredCall, request: CompletionRequest): Promise<CallReport> {
    const { substrate } = this.#options;
    return substrate.read(async (db) => {
      await assertSameStored(db, stored, request);
      return this.#report(db, stored);
    });
  }

  async #report(db: ReadHandle, stored: StoredCall): Promise<CallReport> {
    const outcome = outcomeOfStored(stored);
    if (stored.output === null) return { id: stored.id, outcome, message: null, text: '' };
    const kept = await getContent(db, stored.output);
    if (kept === null) throw erased();
    const message = Message.parse(JSON.parse(Buffer.from(kept).toString()));
    return { id: stored.id, outcome, message, text: textOf(message) };
  }

  /** Takes work off the drain's list; what the drain has taken up meanwhile is told as it stands. */
  async #withdraw({ id, input }: StoredCall, actor: Actor): Promise<CallReport> {
    const action = 'route.cancel';
    const { value } = await this.#options.substrate.operate({ action, actor }, async (op) => {
      op.receipt({ subject: { type: 'call', id }, input });
      const stored = await findCall(op, id);
      if (stored?.status !== 'queued') return stored;
      const outcome: CallOutcome = {
        ...RUNNING,
        status: 'refused',
        code: 'interrupted',
        message: CANCELLED_WHILE_QUEUED,
      };
      await closeCall(op, id, outcome, null);
      return findCall(op, id);
    });
    const running = this.#running.get(id);
    if (running !== undefined) {
      running.cancel('Whoever asked for it cancelled it.');
      return { id, ...(await running.done.then((end) => ({ ...end, text: textOf(end.message) }))) };
    }
    if (value === null) throw notYours(id);
    return this.#options.substrate.read((db) => this.#report(db, value));
  }

  /**
   * Takes up what waits, one after the other; for the drain alone, which holds the dispatch. Drains come
   * one after the other too: what one has done the next no longer finds on the list.
   */
  async drain(dispatch: Dispatch, options: DrainOptions): Promise<CallReport[]> {
    const before = this.#drains;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drains = promise;
    await before;
    try {
      return await this.#drainAll(dispatch, options);
    } finally {
      resolve();
    }
  }

  async #drainAll(dispatch: Dispatch, { limit, signal, onCall }: DrainOptions): Promise<CallReport[]> {
    const { substrate } = this.#options;
    const waiting = await substrate.read((db) => listQueued(db, limit));
    const reports: CallReport[] = [];
    for (const stored of waiting) {
      if (signal.aborted) break;
      reports.push(await this.#drainOne(stored, dispatch));
      onCall(reports.length);
    }
    return reports;
  }

  async #drainOne(stored: StoredCall, dispatch: Dispatch): Promise<CallReport> {
    const { substrate } = this.#options;
    const { actor, text } = await substrate.read(async (db) => ({
      actor: await actorOf(db, stored),
      text: await getContent(db, stored.input),
    }));
    if (actor === null) return this.#drop(stored, 'key_revoked');
    if (text === null) return this.#drop(stored, 'content_erased');
    const request = parseRequestText(Buffer.from(text).toString());
    // Its key belongs to the row that is there already.
    const asker = { actor, dispatch, idempotencyKey: null, traceparent: null };
    const { done } = this.#run({ id: stored.id, request, asker, input: stored.input });
    const end = await done;
    return { id: stored.id, ...end, text: textOf(end.message) };
  }

  /** Takes from the list what can no longer be asked. */
  async #drop({ id, input }: StoredCall, code: 'key_revoked' | 'content_erased'): Promise<CallReport> {
    const message =
      code === 'key_revoked' ? 'The access key that asked for it was removed.' : 'What was asked has been erased.';
    const { value } = await this.#options.substrate.operate({ action: 'route.attempt', actor: SEED }, async (op) => {
      const outcome: CallOutcome = { ...RUNNING, status: 'refused', code, message, receipt: op.seq };
      op.receipt({ outcome: 'refused', code, subject: { type: 'call', id }, input });
      await closeCall(op, id, outcome, null);
      return outcome;
    });
    return { id, outcome: value, message: null, text: '' };
  }
}

/** Whoever put a call on the list, as of now; null when the grant is gone. */
async function actorOf(db: ReadHandle, { grant: id }: StoredCall): Promise<Actor | null> {
  if (id === null) return OWNER;
  const grant = await findGrant(db, id);
  return grant === null ? null : { id: grant.name, kind: grant.kind, grant: id, scopes: new Set(grant.scopes) };
}

function outcomeOfStored({ status, outcome }: StoredCall): CallOutcome {
  if (outcome !== null) return CallOutcome.parse(JSON.parse(outcome));
  if (status !== 'in_doubt') return { ...RUNNING, status };
  const message = 'The seed stopped while it ran; nobody knows how it ended, and it is not asked again by itself.';
  return {
    ...RUNNING,
    status,
    code: 'in_doubt',
    message,
    hint: 'Ask anew with another idempotency key if that is safe.',
  };
}

function textOf(message: Message | null): string {
  return message?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') ?? '';
}

function keyOf({ grant }: Actor, key: string): string {
  return `${grant ?? ''}/${key}`;
}

/** The owner sees every call; everybody else their own. */
function isOwn(grant: string | null, actor: Actor): boolean {
  return actor.grant === null || actor.grant === grant;
}

function assertSame(call: RunningCall, request: CompletionRequest): RunningCall {
  if (requestText(call.request) === requestText(request)) return call;
  throw otherRequest();
}

/** @throws SeedError `conflict` where the key belongs to another request, `content_erased` where nobody can tell */
async function assertSameStored(db: ReadHandle, { input }: StoredCall, request: CompletionRequest): Promise<void> {
  const before = await getContent(db, input);
  if (before === null) throw erased();
  if (!isTextOf(Buffer.from(before).toString(), request)) throw otherRequest();
}

function otherRequest(): SeedError {
  return new SeedError('conflict', 'That idempotency key belongs to another request.', {
    hint: 'Use a new key for a new request.',
    data: { argument: 'idempotency_key' },
  });
}

function erased(): SeedError {
  return new SeedError('content_erased', 'What was asked or answered has been erased; the receipts remain.', {
    hint: 'Ask anew with another idempotency key.',
  });
}

function notYours(id: string): SeedError {
  return new SeedError('not_found', `There is no call ${id} of yours.`, {
    hint: 'Use the id that route_complete or route_enqueue answered with.',
  });
}

function tooManyRunning(): SeedError {
  return new SeedError('busy', 'Too many model calls run already; nothing was done.', {
    hint: 'Wait for one of yours to end.',
  });
}

function stopping(): SeedError {
  return new SeedError('stopping', 'The seed is stopping; nothing was done.', { hint: 'Try again when it is back.' });
}

function queueFull(own: number): SeedError {
  return new SeedError('busy', `The list for the drain is full (${own} of them are yours); nothing was added.`, {
    hint: 'Wait until the drain has run, or ask the owner to run `seed route drain`.',
  });
}

function notForTheDrain(role: string): SeedError {
  return new SeedError('no_route', `Policy has no usable way for the role "${role}" in the drain.`, {
    hint: 'Ask the owner to run `seed policy explain` with --dispatch cron.',
    data: { role },
  });
}
