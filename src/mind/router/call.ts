/**
 * One call to the models of a role: attempt after attempt along policy's candidates, each reserved and
 * receipted, until one answers or none is left.
 *
 * It runs on by itself, whether or not anybody waits for it.
 */
import type { SeedError } from '../../errors.ts';
import { toSeedError } from '../../errors.ts';
import { SEED } from '../../substrate/actor.ts';
import { markHalfway } from '../../substrate/calls.ts';
import type { ProviderName, Target } from '../../substrate/policy/model.ts';
import { noteOutsideEdits } from '../../substrate/policy/policy.ts';
import { offerHop } from '../../substrate/sessions/hops.ts';
import { findSession } from '../../substrate/sessions/sessions.ts';
import type { Operation, Receipted, Substrate } from '../../substrate/substrate.ts';
import type { Message } from '../../substrate/transcript.ts';
import type { Admitted, Refused } from './admission.ts';
import { admitAttempt } from './admission.ts';
import type { CallFacts } from './call-facts.ts';
import type { AttemptEnd } from './attempt.ts';
import { Gathered, runAttempt } from './attempt.ts';
import { candidateKey } from './choose.ts';
import type { CallListener } from './continuation.ts';
import { Telling, textOf } from './continuation.ts';
import type { AttemptView, CallOutcome } from './outcome.ts';
import { ceilingOf, RUNNING } from './outcome.ts';
import type { Provider, ProviderContext } from './provider.ts';
import { ProviderFault } from './provider.ts';
import type { Asker, CompletionRequest } from './request.ts';
import type { Attempted, Settled } from './settlement.ts';
import { closeCall, outcomeOf, settleAttempt, usageView } from './settlement.ts';
import { codeOfFault, hintOfFault, refusedView, sayLosses, waitOfFault } from './told.ts';

/** What the router is made of; see `router.ts`. */
export interface RouterParts {
  readonly substrate: Substrate;
  readonly provider: (name: ProviderName) => Provider;
  /** Loads what `provider` gives, where that waits for the first call; before any transaction. */
  readonly prepare?: () => Promise<void>;
  /** The way out to one target, with the secret it is called with. @throws SeedError */
  readonly open: (target: Target) => Promise<Pick<ProviderContext, 'ask' | 'credential'>>;
  /** Told of what goes wrong where nobody waits for an answer. */
  readonly onDefect: (error: SeedError) => void;
  /** Named points at which a test stops the process. */
  readonly fault?: (point: string) => void;
}

/** How a call ended, with what was said. */
export interface CallEnd {
  readonly outcome: CallOutcome;
  /** The answer, whole for `complete`, partial for `incomplete`; null where nothing was said. */
  readonly message: Message | null;
}

/** A settlement that could not be committed is tried again; the money stays held until it is. */
const SETTLE_TRIES_MAX = 5;
const TRY_AGAIN: ReadonlySet<string> = new Set(['commit_unknown', 'disk_full', 'busy']);

/** An attempt that is on record, and how the call stands with it. */
interface Booked {
  readonly settled: Settled;
  readonly outcome: CallOutcome;
}

export interface RunningCallOptions {
  readonly id: string;
  readonly request: CompletionRequest;
  readonly asker: Asker;
  /** Content hash of the request, where it is kept already. */
  readonly input: string | null;
}

export class RunningCall {
  readonly id: string;
  readonly asker: Asker;
  readonly request: CompletionRequest;
  /** Resolves with the end; rejects where not even a refusal could be put on record. */
  readonly done: Promise<CallEnd>;
  readonly #parts: RouterParts;
  readonly #cancel = new AbortController();
  readonly #tried = new Set<string>();
  readonly #attempts: AttemptView[] = [];
  readonly #telling: Telling;
  #input: string | null;
  /** Who waits at a door, and whether it lives for them alone. */
  #waiting = 0;
  #isForWaiters = false;
  #isKept = false;
  #made = 0;
  #askedMs = 0;
  #epoch: number | null = null;
  /** Of what earlier attempts said that stands: its content hash, and the receipt of the last of them. */
  #kept: { readonly output: string | null; readonly receipt: number | null } = { output: null, receipt: null };

  constructor(parts: RouterParts, { id, request, asker, input }: RunningCallOptions) {
    this.#parts = parts;
    this.id = id;
    this.request = request;
    this.asker = asker;
    this.#input = input;
    this.#telling = new Telling(request.whenCut ?? 'restart', (thrown) => parts.onDefect(toSeedError(thrown)));
    this.done = this.#run();
    // Whoever waits gets it; when nobody does it is on record, or the store is out of order and says so.
    this.done.catch((error: unknown) => parts.onDefect(toSeedError(error)));
  }

  /** What has been said so far: provisional, another attempt may replace what the one under way has said. */
  partialText(): string {
    return this.#telling.text();
  }

  /** How far it has come. */
  outcomeSoFar(): CallOutcome {
    return { ...RUNNING, attempts: [...this.#attempts], cost_micro_usd: this.#cost() };
  }

  /** How long models have been asked until now, in milliseconds: the rest of its time is the seed's own. */
  get askedMs(): number {
    return this.#askedMs;
  }

  /** Ends the call; what it cost is settled all the same. */
  cancel(message: string): void {
    this.#cancel.abort(new ProviderFault('cancelled', message, { mayBeBilled: true }));
  }

  /** Goes on whoever hangs up: somebody may ask for its end later. */
  keep(): void {
    this.#isKept = true;
  }

  /**
   * One more waits for the end, who began the call or joined it; the returned function says that they hung up. What
   * was begun so ends with the last of them, unless it is kept.
   */
  attend(begun: boolean): (why: string) => void {
    this.#isForWaiters ||= begun;
    this.#waiting += 1;
    return (why) => {
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.#isForWaiters && !this.#isKept) this.cancel(why);
    };
  }

  /** Hears the answer from its beginning, whenever it joins; the returned function takes it back. */
  listen(listener: CallListener): () => void {
    return this.#telling.listen(listener);
  }

  async #run(): Promise<CallEnd> {
    for (;;) {
      const { value, seq } = await this.#admit();
      this.#attempts.push(...value.skipped);
      const end = value.kind === 'refused' ? this.#refused(value, seq) : await this.#attempt(value, seq);
      if (end !== null) return end;
    }
  }

  async #admit(): Promise<Pick<Receipted<Admitted | Refused>, 'value' | 'seq'>> {
    const { substrate, provider } = this.#parts;
    const { sources } = substrate;
    await this.#parts.prepare?.();
    await noteOutsideEdits(substrate);
    let decided: { value: Admitted | Refused; seq: number } | null = null;
    try {
      return await substrate.operate({ action: 'route.attempt', actor: this.asker.actor }, async (op) => {
        const decision = await admitAttempt(op, this.#facts(), { sources, provider });
        decided = { value: decision, seq: op.seq };
        if (decision.kind === 'refused' && decision.last && this.#input !== null) {
          await closeCall(op, this.id, this.#outcomeOfRefusal(decision, op.seq), this.#kept.output);
          await this.asker.turn?.end(op, this.id, null);
        }
        return decision;
      });
    } catch (thrown) {
      const error = toSeedError(thrown);
      // The commit was in doubt and turned out to hold: the intent is on record, and its money is held.
      if (holdsAfterAll(error) && decided !== null) return decided;
      await this.#closeBroken(error);
      throw thrown;
    }
  }

  /** A call that had begun and cannot go on (its key was removed, say) is closed by the seed itself. */
  async #closeBroken(error: SeedError): Promise<void> {
    if (this.#input === null) return;
    await this.#parts.substrate.operate({ action: 'route.attempt', actor: SEED }, async (op) => {
      op.receipt({ outcome: 'failed', code: error.code, subject: { type: 'call', id: this.id }, input: this.#input });
      const outcome = this.#outcome(this.#unlessPart('failed'), { receipt: op.seq, error });
      await closeCall(op, this.id, outcome, this.#kept.output);
      await this.asker.turn?.end(op, this.id, null);
    });
  }

  #facts(): CallFacts {
    return {
      id: this.id,
      request: this.request,
      asker: this.asker,
      input: this.#input,
      attempts: this.#made,
      costMicroUsd: this.#cost(),
      tried: this.#tried,
      kept: this.#telling.kept,
      keptReceipt: this.#kept.receipt,
      epoch: this.#epoch,
    };
  }

  /** Notes a refusal; the end of the call, or null where policy says to go on with the next candidate. */
  #refused(refusal: Refused, seq: number): CallEnd | null {
    const { refused, error, last } = refusal;
    if (last) return { outcome: this.#outcomeOfRefusal(refusal, seq), message: this.#keptMessage() };
    if (refused !== null) {
      this.#tried.add(candidateKey(refused.candidate));
      this.#attempts.push(refusedView(refusal, error, seq));
    }
    return null;
  }

  #outcomeOfRefusal(refusal: Refused, seq: number): CallOutcome {
    const { refused, error } = refusal;
    // Inside the operation the skips of this decision are not yet among the attempts.
    const skipped = refusal.skipped.filter((view) => !this.#attempts.includes(view));
    const views = refused === null ? skipped : [...skipped, refusedView(refusal, error, seq)];
    const outcome = this.#outcome(this.#unlessPart('refused'), { receipt: seq, error });
    return { ...outcome, attempts: [...outcome.attempts, ...views] };
  }

  async #attempt(admitted: Admitted, intent: number): Promise<CallEnd | null> {
    const { choice, routing } = admitted;
    this.#input = admitted.input;
    this.#epoch = admitted.epoch;
    this.#made += 1;
    this.#tried.add(candidateKey(choice.candidate));
    this.#parts.fault?.('route.intent');
    const { sources } = this.#parts.substrate;
    const began = sources.now();
    const askedAt = performance.now();
    const end = await this.#ask(admitted);
    this.#askedMs += performance.now() - askedAt;
    this.#parts.fault?.('route.answered');
    const said = end.said.parts.length === 0 ? null : this.#telling.message(end.said);
    const attempted = { intent, admitted, end, said, tookMs: Math.max(0, sources.now() - began) };
    const left = routing.candidates.some((candidate) => !this.#tried.has(candidateKey(candidate)));
    const mayGoOn = left && end.outcome === 'failed' && end.fault.kind !== 'cancelled';
    const next = mayGoOn ? this.#telling.after(end) : 'stop';
    const { settled, outcome, isKept } = await this.#settle(attempted, next === 'stop');
    this.#attempts.push(settled.view);
    this.#parts.fault?.('route.settled');
    if (!isKept) return { outcome, message: settled.output === null ? this.#keptMessage() : said };
    if (next === 'stop') return { outcome, message: said ?? this.#keptMessage() };
    this.#telling.goOn(next);
    if (next === 'continue') this.#kept = { output: settled.output, receipt: settled.view.receipt };
    return null;
  }

  async #ask({ choice, routing, hold }: Admitted): Promise<AttemptEnd> {
    const { target } = choice.candidate;
    return runAttempt({
      provider: choice.provider,
      request: { ...choice.request, maxOutputTokens: hold.maxOutputTokens },
      open: async () => ({ baseUrl: target.baseUrl, ...(await this.#parts.open(target)) }),
      timeouts: routing.timeouts,
      signal: this.#cancel.signal,
      unitsBefore: textOf(this.#telling.kept).length,
      onEvent: (event, said) => this.#telling.hear(event, said),
    });
  }

  /**
   * Books an attempt. Where what was said cannot be kept, or the session cannot take it, the attempt has failed
   * and the call is over: money must not stay held for that.
   */
  async #settle(attempted: Attempted, isLast: boolean): Promise<Booked & { isKept: boolean }> {
    try {
      return { ...(await this.#book(attempted, isLast)), isKept: true };
    } catch (thrown) {
      // A store that is out of order refuses this as well; then the start after it settles.
      const booked = await this.#bookUnkept(attempted).catch(() => null);
      if (booked === null) throw thrown;
      this.#parts.onDefect(toSeedError(thrown));
      return { ...booked, isKept: false };
    }
  }

  /** What was said stays on record where only the session could not take it. */
  #bookUnkept(attempted: Attempted): Promise<Booked> {
    const unsaid = new Gathered();
    unsaid.model = attempted.end.said.model?.toWellFormed() ?? null;
    return this.#bookFailed(attempted, attempted).catch(() =>
      this.#bookFailed(attempted, { said: null, end: { said: unsaid } }),
    );
  }

  async #bookFailed(
    attempted: Attempted,
    { said, end }: { said: Message | null; end: { said: Gathered } },
  ): Promise<Booked> {
    const { substrate } = this.#parts;
    const fault = new ProviderFault('stream_error', 'The answer could not be kept.', { mayBeBilled: true });
    const failed: Attempted = { ...attempted, said, end: { outcome: 'failed', said: end.said, fault } };
    const { value } = await substrate.operate({ action: 'route.attempt', actor: SEED }, async (op) => {
      const settled = await settleAttempt(op, failed, { callId: this.id, sources: substrate.sources });
      const outcome = this.#outcomeOfLast(failed, settled, op.seq);
      await closeCall(op, this.id, outcome, settled.output ?? this.#kept.output);
      return { settled, outcome };
    });
    return value;
  }

  /** With the last attempt the call is closed in the same transaction. */
  async #book(attempted: Attempted, isLast: boolean): Promise<Booked> {
    const { substrate } = this.#parts;
    const { sources } = substrate;
    let booked: Booked | null = null;
    for (let tries = 1; ; tries += 1) {
      try {
        const { value } = await substrate.operate({ action: 'route.attempt', actor: SEED }, async (op) => {
          const settled = await settleAttempt(op, attempted, { callId: this.id, sources });
          const outcome = this.#outcomeOfLast(attempted, settled, op.seq);
          if (isLast) {
            await closeCall(op, this.id, outcome, settled.output ?? this.#kept.output);
            const answer = outcome.status === 'complete' ? (attempted.said ?? this.#keptMessage()) : null;
            await this.asker.turn?.end(op, this.id, answer);
          } else await this.#goesOn(op, settled.view);
          booked = { settled, outcome };
          return booked;
        });
        return value;
      } catch (thrown) {
        const error = toSeedError(thrown);
        if (holdsAfterAll(error) && booked !== null) return booked;
        if (tries === SETTLE_TRIES_MAX || !TRY_AGAIN.has(error.code)) throw error;
      }
    }
  }

  /** Another attempt follows; in a session its candidate takes over what the session holds now. */
  async #goesOn(op: Operation, { target, model, code }: AttemptView): Promise<void> {
    await markHalfway(op, this.id);
    const session = this.request.session === null ? null : await findSession(op, this.request.session);
    // Where somebody else has held it since, there is nobody to go on for: the next admission says so.
    if (session === null || session.epoch !== this.#epoch) return;
    await offerHop(op, session, { call: this.id, from: `${target}/${model}`, why: code ?? 'failed' });
  }

  /** What stands of earlier attempts where the last one added nothing. */
  #keptMessage(): Message | null {
    const { kept } = this.#telling;
    return kept.length === 0 ? null : { role: 'assistant', parts: [...kept] };
  }

  /** A call that ends without a whole answer is incomplete once part of it stands. */
  #unlessPart<T extends CallOutcome['status']>(status: T): T | 'incomplete' {
    return this.#telling.kept.length === 0 ? status : 'incomplete';
  }

  #outcomeOfLast(attempted: Attempted, settled: Settled, seq: number): CallOutcome {
    const { end, admitted } = attempted;
    const { candidate } = admitted.choice;
    const ended = outcomeOf(attempted);
    const base = this.#outcome(ended === 'ok' ? 'complete' : this.#unlessPart(ended), {
      receipt: seq,
      ...(end.outcome === 'ok' ? {} : { fault: end.fault }),
    });
    return {
      ...base,
      attempts: [...this.#attempts, settled.view],
      cost_micro_usd: base.cost_micro_usd + settled.view.cost_micro_usd,
      stop: end.outcome === 'ok' ? end.stop : null,
      target: candidate.target.name,
      model_requested: candidate.model,
      model_returned: end.said.model,
      tier: candidate.tier,
      losses: sayLosses(admitted.choice.losses),
      usage: end.outcome === 'ok' && end.usage !== null ? usageView(end.usage) : null,
    };
  }

  #outcome(
    status: CallOutcome['status'],
    { receipt, error, fault }: { receipt: number; error?: SeedError; fault?: ProviderFault },
  ): CallOutcome {
    const retry = error?.data['retry_after_s'] ?? waitOfFault(fault);
    return {
      ...RUNNING,
      status,
      receipt,
      attempts: [...this.#attempts],
      cost_micro_usd: this.#cost(),
      code: error?.code ?? (fault === undefined ? null : codeOfFault(fault)),
      message: error?.message ?? fault?.message ?? null,
      hint: error?.hint ?? (fault === undefined ? null : hintOfFault(fault)),
      retry_after_s: typeof retry === 'number' ? retry : null,
      ceiling: error === undefined ? null : ceilingOf(error),
    };
  }

  #cost(): number {
    return this.#attempts.reduce((sum, { cost_micro_usd: cost }) => sum + cost, 0);
  }
}

/** Whether a failed commit was found to have been kept whole (`Writer`, `data.holds`). */
function holdsAfterAll({ code, data }: SeedError): boolean {
  return code === 'commit_unknown' && data['holds'] === 'yes';
}
