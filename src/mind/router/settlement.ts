/**
 * The step after an attempt, in one transaction: book what it cost, keep what was said, write the
 * outcome. No result is final before it is durable (LOCK-RUNTIME-4).
 */
import { bench } from '../../substrate/benched.ts';
import { updateCall } from '../../substrate/calls.ts';
import { putContent } from '../../substrate/content.ts';
import { settle } from '../../substrate/ledger/ledger.ts';
import { usageCost } from '../../substrate/ledger/money.ts';
import type { Sources } from '../../substrate/sources.ts';
import type { Operation } from '../../substrate/substrate.ts';
import type { Message } from '../../substrate/transcript.ts';
import { messageText } from '../../substrate/transcript.ts';
import type { Admitted } from './admission.ts';
import { CALL_CONTENT_MS } from './admission.ts';
import type { AttemptEnd } from './attempt.ts';
import { WHOLE_TARGET } from './choose.ts';
import type { AttemptView, CallOutcome } from './outcome.ts';
import type { ProviderFault, Usage } from './provider.ts';

/** How long a target that asked for a pause without saying how long is left alone, and the most it may ask for. */
const PAUSE_MS = 15_000;
export const PAUSE_MS_MAX: number = 60 * 60 * 1_000;

/** Faults that are cuts: something may have been said and counted, and nobody knows how it would have ended. */
const CUTS: ReadonlySet<string> = new Set(['cut', 'bad_chunk', 'stream_error', 'timeout', 'cancelled', 'truncated']);

export interface Attempted {
  /** The `seq` of its intent. */
  readonly intent: number;
  readonly admitted: Admitted;
  readonly end: AttemptEnd;
  /** All that has been given out of the answer, this attempt's part with it; null where it added nothing. */
  readonly said: Message | null;
  /** From intent to end, milliseconds. */
  readonly tookMs: number;
}

export interface Settled {
  readonly view: AttemptView;
  /** Content hash of what was said; null when nothing was. */
  readonly output: string | null;
}

/** What an attempt is settled at: its usage at its price; its bound where nobody knows; nothing where none is owed. */
function costMicroUsd({ admitted, end }: Attempted): number {
  const { hold, choice } = admitted;
  const price = choice.candidate.price;
  if (end.outcome === 'ok') {
    const cost = end.usage === null || price === null ? null : usageCost(price, end.usage);
    return cost ?? hold.boundMicroUsd;
  }
  return end.fault.mayBeBilled ? hold.boundMicroUsd : 0;
}

/** `incomplete`: cut after it may have begun. `failed`: the provider said no, or was not reached. */
export function outcomeOf({ end }: Attempted): 'ok' | 'failed' | 'incomplete' {
  if (end.outcome === 'ok') return 'ok';
  return CUTS.has(end.fault.kind) && end.said.parts.length > 0 ? 'incomplete' : 'failed';
}

/** Settles one attempt, inside the operation that leaves its receipt. */
export async function settleAttempt(
  op: Operation,
  attempted: Attempted,
  { callId, sources }: { callId: string; sources: Sources },
): Promise<Settled> {
  const { intent, admitted, end, tookMs } = attempted;
  const { choice, hold, routing } = admitted;
  const { target, model } = choice.candidate;
  const cost = costMicroUsd(attempted);
  const usage = end.outcome === 'ok' ? end.usage : null;
  const { boundExceeded } = await settle(op, { id: hold.id, costMicroUsd: cost, usage }, hold);
  const output = await keepSaid(op, attempted.said, sources);
  const outcome = outcomeOf(attempted);
  const code = end.outcome === 'ok' ? null : end.fault.kind;
  op.receipt({
    of: intent,
    outcome,
    code: boundExceeded ? 'bound_exceeded' : code,
    subject: { type: 'call', id: callId },
    input: admitted.input,
    output,
    detail: {
      target: target.name,
      model,
      model_returned: end.said.model,
      took_ms: tookMs,
      cost_micro_usd: cost,
      policy: routing.policyVersion,
      price: choice.candidate.price?.version ?? null,
      ...(end.outcome === 'ok' ? { stop: end.stop } : faultDetail(end.fault)),
      ...(usage === null ? {} : usageView(usage)),
    },
  });
  const pause = pauseOf(end, boundExceeded, op.now);
  if (pause !== null) {
    const whole = pause.reason !== 'bound_exceeded';
    const whom = { target: target.name, model: whole ? WHOLE_TARGET : model };
    await bench(op, { ...whom, ...pause, policyVersion: routing.policyVersion });
  }
  const why = end.outcome === 'ok' ? null : end.fault.message;
  return {
    view: { target: target.name, model, outcome, code, why, receipt: op.seq, cost_micro_usd: cost },
    output,
  };
}

/** Writes the end of a call into its row. */
export async function closeCall(op: Operation, id: string, outcome: CallOutcome, output: string | null): Promise<void> {
  const { status } = outcome;
  await updateCall(op, id, { status, output, outcome: JSON.stringify({ ...outcome, receipt: op.seq }) });
}

async function keepSaid(op: Operation, said: Message | null, sources: Sources): Promise<string | null> {
  if (said === null) return null;
  return putContent(op, Buffer.from(messageText(said)), { sources, eraseAt: op.now + CALL_CONTENT_MS });
}

function faultDetail({ status, retryAfterMs }: ProviderFault): Record<string, number> {
  return { ...(status === null ? {} : { status }), ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }) };
}

export function usageView(usage: Usage): NonNullable<CallOutcome['usage']> {
  return {
    input_tokens: usage.input,
    output_tokens: usage.output,
    cached_input_tokens: usage.cachedInput,
    cache_write_tokens: usage.cacheWrite,
  };
}

type Pause = { readonly reason: 'bound_exceeded' | 'rate_limited' | 'overloaded'; readonly untilMs: number | null };

function pauseOf(end: AttemptEnd, boundExceeded: boolean, now: number): Pause | null {
  if (boundExceeded) return { reason: 'bound_exceeded', untilMs: null };
  if (end.outcome === 'ok') return null;
  const { kind, retryAfterMs } = end.fault;
  if (kind !== 'rate_limited' && kind !== 'overloaded') return null;
  return { reason: kind, untilMs: now + Math.min(retryAfterMs ?? PAUSE_MS, PAUSE_MS_MAX) };
}
