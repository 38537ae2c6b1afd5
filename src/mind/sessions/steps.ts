/**
 * A session's steps: the next model turn, asked through the router and written into the transcript once.
 *
 * Three commits make a step: the session names the call (`step_call`) with the messages that lead to it;
 * the router makes the call, which keeps its answer; the answer is added and the name taken away. A crash
 * between two of them leaves the name, and the next step goes on from there: an answer that is kept is
 * added, a call that never began is begun, one that was cut off is told as in doubt and not asked again
 * by itself.
 */
import type { SeedError } from '../../errors.ts';
import { toSeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import { SEED } from '../../substrate/actor.ts';
import type { Session } from '../../substrate/sessions/model.ts';
import { heldSession } from '../../substrate/sessions/sessions.ts';
import type { StepBegin } from '../../substrate/sessions/work.ts';
import { beginStep, endStep, findKey, readTranscript } from '../../substrate/sessions/work.ts';
import { newTimedId } from '../../substrate/sources.ts';
import type { Substrate } from '../../substrate/substrate.ts';
import { findCall } from '../../substrate/calls.ts';
import { ON_DEMAND } from '../router/dispatch.ts';
import type { CompletionRequest } from '../router/request.ts';
import type { CallEnd, CallReport, Router, Waiting } from '../router/router.ts';
import { RunningCall } from '../router/router.ts';

export interface StepRequest {
  readonly session: string;
  /** The epoch that the asker believes to hold; null where it need not say. */
  readonly epoch: number | null;
  /** Asked about the transcript with these messages at its end, which are added to it. */
  readonly request: Omit<CompletionRequest, 'session'>;
  /** The same key again gets the same step. */
  readonly key: string | null;
  readonly traceparent: string | null;
}

export interface StepReport {
  /** The session as it is now. */
  readonly session: Session;
  readonly call: CallReport;
  /** A step that was under way, or had been made before: nothing was added for this request. */
  readonly joined: boolean;
}

/** A step under way: its call runs here, or is looked up. */
interface Begun {
  readonly session: Session;
  readonly call: string;
  readonly running: RunningCall | null;
  readonly joined: boolean;
}

export interface StepParts {
  readonly substrate: Substrate;
  readonly router: Router;
  /** Told of what goes wrong where nobody waits for an answer. */
  readonly onDefect: (error: SeedError) => void;
  /** Named points at which a test stops the process. */
  readonly fault?: (point: string) => void;
}

export class Steps {
  readonly #parts: StepParts;
  /** The steps of a session begin one after the other. */
  readonly #beginning = new Map<string, Promise<unknown>>();
  /** Calls that this process makes for steps, until their answers are written. */
  readonly #running = new Map<string, RunningCall>();
  /** Answers that are being written, by call. */
  readonly #ending = new Map<string, Promise<Session>>();

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  /**
   * Makes the next step, or joins the one that is under way, and waits for its end.
   *
   * @throws SeedError `not_found`, `superseded`, `session_closed`, `conflict`, and what the router throws
   */
  async step(asked: StepRequest, actor: Actor, waiting: Waiting): Promise<StepReport> {
    const { session: id } = asked;
    const begun = await this.#oneAfterTheOther(id, () => this.#begin(asked, actor));
    const call = await this.#wait(begun, actor, waiting);
    const session = call.outcome.status === 'running' ? begun.session : await this.#end(id, actor, call);
    return { session, call, joined: begun.joined };
  }

  async #wait({ session, call, running }: Begun, actor: Actor, waiting: Waiting): Promise<CallReport> {
    const { router, substrate } = this.#parts;
    if (running !== null) return router.wait(running, waiting);
    try {
      // As the seed: the call may be an earlier holder's. Its answer is the session's, which this actor holds.
      return await router.result(call, SEED, waiting);
    } catch (thrown) {
      const { code } = toSeedError(thrown);
      // There is nothing left to add, and there will be nothing.
      if (code === 'content_erased') await endStep(substrate, actor, session.id, { call, status: code, answer: null });
      throw thrown;
    }
  }

  /** Resolves when every answer that has come is written. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#ending.values());
  }

  async #oneAfterTheOther<T>(session: string, work: () => Promise<T>): Promise<T> {
    const before = this.#beginning.get(session) ?? Promise.resolve();
    const own = before.then(work, work);
    this.#beginning.set(session, own);
    try {
      return await own;
    } finally {
      if (this.#beginning.get(session) === own) this.#beginning.delete(session);
    }
  }

  async #begin(asked: StepRequest, actor: Actor): Promise<Begun> {
    const { substrate } = this.#parts;
    const { session: id, epoch, request, key } = asked;
    const { messages } = request;
    const { session, own, known } = await substrate.read(async (db) => {
      const held = await heldSession(db, id, { actor, epoch });
      const before = (await findKey(db, held, { key, messages }))?.call ?? null;
      const kept = [];
      for (const call of [before, held.stepCall])
        if (call !== null && (await findCall(db, call)) !== null) kept.push(call);
      return { session: held, own: before, known: kept };
    });
    const { stepCall } = session;
    // The same request again gets what it got, also while another step is under way.
    const made = [own, stepCall].find((one) => one !== null && (known.includes(one) || this.#running.has(one)));
    if (made !== undefined && made !== null) return this.#joined(session, made);
    const call = newTimedId(substrate.sources);
    const begun = await beginStep(substrate, id, { actor, epoch, messages, key, call, instead: stepCall ?? own });
    this.#parts.fault?.('session.step.begun');
    if (!begun.fresh) return this.#joined(begun.session, begun.call);
    const running = await this.#start(begun, asked, actor);
    return { session: begun.session, call, running, joined: stepCall !== null };
  }

  #joined(session: Session, call: string): Begun {
    return { session, call, running: this.#running.get(call) ?? null, joined: true };
  }

  async #start({ session, call: callId }: StepBegin, asked: StepRequest, actor: Actor): Promise<RunningCall | null> {
    const { substrate, router } = this.#parts;
    const messages = await substrate.read((db) => readTranscript(db, session));
    const request: CompletionRequest = { whenCut: 'continue', ...asked.request, messages, session: session.id };
    const { traceparent } = asked;
    const asker = { actor, dispatch: ON_DEMAND, idempotencyKey: null, traceparent, callId };
    const call = await router.start(request, asker);
    if (!(call instanceof RunningCall)) return null;
    this.#running.set(callId, call);
    this.#endWhenDone(session.id, call);
    return call;
  }

  /** The answer is written whether or not anybody waits for it. */
  #endWhenDone(session: string, { id, done, asker: { actor } }: RunningCall): void {
    const ended = done.then((end) => this.#end(session, actor, { id, ...end })).finally(() => this.#running.delete(id));
    // Whoever waits is told by its own wait. A refusal is one: the session has moved on, or its holder is gone.
    ended.catch((thrown: unknown) => {
      const error = toSeedError(thrown);
      if (error.kind === 'failed') this.#parts.onDefect(error);
    });
  }

  #end(session: string, actor: Actor, call: CallEnd & { readonly id: string }): Promise<Session> {
    const under = this.#ending.get(call.id) ?? Promise.resolve(null);
    const ending = under.then(
      () => this.#write(session, actor, call),
      () => this.#write(session, actor, call),
    );
    this.#ending.set(call.id, ending);
    const forget = (): void => {
      if (this.#ending.get(call.id) === ending) this.#ending.delete(call.id);
    };
    ending.then(forget, forget);
    return ending;
  }

  async #write(
    session: string,
    actor: Actor,
    { id: call, outcome, message }: CallEnd & { readonly id: string },
  ): Promise<Session> {
    const { status } = outcome;
    this.#parts.fault?.('session.step.answered');
    const after = await endStep(this.#parts.substrate, actor, session, {
      call,
      status,
      answer: status === 'complete' ? message : null,
    });
    this.#parts.fault?.('session.step.ended');
    return after;
  }
}
