/**
 * The router: calls to models under the owner's policy.
 *
 * A call belongs to whoever asked and runs on by itself; waiting for it is a thing apart. `complete`
 * waits as long as it is told and then says `running`; `result` looks again.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import type { StoredCall } from '../../substrate/calls.ts';
import { findCall, findCallByKey } from '../../substrate/calls.ts';
import { newTimedId } from '../../substrate/sources.ts';
import type { CallEnd, RouterParts, RunningCallOptions } from './call.ts';
import { RunningCall } from './call.ts';
import type { Dispatch } from './dispatch.ts';
import type { DrainOptions } from './drain-list.ts';
import { DrainList } from './drain-list.ts';
import type { Asker, CompletionRequest } from './request.ts';
import { requestText } from './request.ts';
import type { CallReport } from './stored.ts';
import { assertSameStored, otherRequest, reportEnd, reportStored } from './stored.ts';

export type { CallEnd, RouterParts } from './call.ts';
export { RunningCall } from './call.ts';
export type { DrainOptions } from './drain-list.ts';
export type { CallReport } from './stored.ts';

/** Calls that may run at once: in all, and of one grant. */
const RUNNING_MAX = 2_000;
const RUNNING_OF_GRANT_MAX = 500;

export interface Waiting {
  /** How long to wait for the end, in milliseconds. */
  readonly waitMs: number;
  /** Nobody waits any more. */
  readonly signal: AbortSignal;
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
  readonly #onEnd = new Set<EndListener>();
  readonly #list: DrainList;
  #closed = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#list = new DrainList(options.substrate, (call) => this.#run(call));
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
    if (!(started instanceof RunningCall)) return started;
    started.keep();
    return this.wait(started, waiting);
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
      return stored !== null && isOwn(stored.grant, actor) ? { stored, report: await reportStored(db, stored) } : null;
    });
    if (found !== null && cancel && found.stored.status === 'queued') return this.#withdraw(found.stored, actor);
    if (found !== null) return found.report;
    throw notYours(id);
  }

  /** As {@link DrainList.enqueue}. */
  enqueue(...work: Parameters<DrainList['enqueue']>): ReturnType<DrainList['enqueue']> {
    return this.#list.enqueue(...work);
  }

  /** As {@link DrainList.drain}; for the drain alone, which holds the dispatch. */
  drain(dispatch: Dispatch, options: DrainOptions): Promise<CallReport[]> {
    return this.#list.drain(dispatch, options);
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

  #run(options: RunningCallOptions): RunningCall {
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
      return reportEnd(call.id, end);
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
      return reportStored(db, stored);
    });
  }

  /** Takes work off the drain's list; what the drain has taken up meanwhile is cancelled there. */
  async #withdraw(stored: StoredCall, actor: Actor): Promise<CallReport> {
    const after = await this.#list.withdraw(stored, actor);
    const running = this.#running.get(stored.id);
    if (running !== undefined) {
      running.cancel('Whoever asked for it cancelled it.');
      return reportEnd(stored.id, await running.done);
    }
    if (after === null) throw notYours(stored.id);
    return this.#options.substrate.read((db) => reportStored(db, after));
  }
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
