/** What the receipts of the step before an attempt say, of an intent and of a refusal. */
import type { SeedError } from '../../errors.ts';
import type { Hold } from '../../substrate/ledger/model.ts';
import type { Routing } from '../../substrate/policy/model.ts';
import type { Hop } from '../../substrate/sessions/hops.ts';
import type { CallFacts } from './call-facts.ts';
import type { Choice } from './choose.ts';
import { dispatchOf } from './dispatch.ts';
import type { AttemptView } from './outcome.ts';
import type { Asker, CompletionRequest } from './request.ts';

type Detail = Record<string, string | number | readonly string[]>;

/** Why there is no attempt. */
export interface Refusal {
  readonly error: SeedError;
  /** The policy that said so; none where it names no such role. */
  readonly routing?: Routing;
  /** The candidate that a ceiling refused, if one did. */
  readonly refused?: Choice;
  readonly skipped?: readonly AttemptView[];
}

/** What a refusal says beyond its code. */
export function refusalDetail(call: CallFacts, { error, routing, refused, skipped = [] }: Refusal): Detail {
  return {
    role: call.request.role,
    ...(routing === undefined ? {} : { policy: routing.policyVersion }),
    ...(refused === undefined ? {} : askedOf(refused)),
    ...moneyOf(error),
    ...skips(skipped),
    ...spender(call.request),
    ...trace(call.asker),
  };
}

function askedOf({ candidate: { target, model, price } }: Choice): Record<string, string> {
  return { target: target.name, model, price: price?.version ?? '' };
}

/** The ceiling that refused, whose money it counts, and its figures at that moment; the bound is the least that was asked. */
function moneyOf({ data }: SeedError): Record<string, string | number> {
  const figures = ['ceiling', 'scope', 'spent_micro_usd', 'held_micro_usd', 'limit_micro_usd', 'bound_micro_usd'];
  const said = figures.map((name) => [name, data[name]] as const);
  return Object.fromEntries(said.filter((pair): pair is readonly [string, string | number] => isFigure(pair[1])));
}

function isFigure(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

/** What the intent of an attempt says beyond who asks. */
export function intentDetail(
  call: CallFacts,
  {
    choice,
    routing,
    hold: { boundMicroUsd, maxOutputTokens, clamped },
    hop,
  }: { choice: Choice; routing: Routing; hold: Hold; hop: Hop | null },
): Detail {
  const { candidate, losses, summarised } = choice;
  return {
    attempt: call.attempts + 1,
    role: routing.role,
    dispatch: dispatchOf(call.asker.dispatch),
    target: candidate.target.name,
    model: candidate.model,
    tier: candidate.tier,
    bound_micro_usd: boundMicroUsd,
    max_output_tokens: maxOutputTokens,
    policy: routing.policyVersion,
    price: candidate.price?.version ?? '',
    ...(clamped ? { clamped: 'yes' } : {}),
    ...(losses.length === 0 ? {} : { losses: losses.length }),
    ...(summarised === null ? {} : { summarised: summarised.count, summarised_sha256: summarised.hash }),
    ...(call.keptReceipt === null ? {} : { continues: call.keptReceipt }),
    ...(hop === null ? {} : { hop_from: hop.from, hop_of: hop.offered, transcript: hop.hash }),
    ...spender(call.request),
    ...trace(call.asker),
  };
}

/** Whose money it is, beside the role and the actor: what ceilings may name. */
function spender({ session, labels }: CompletionRequest): Record<string, string | readonly string[]> {
  const said = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return { ...(session === null ? {} : { session }), ...(said.length === 0 ? {} : { labels: said }) };
}

function trace({ traceparent }: Asker): Record<string, string> {
  return traceparent === null ? {} : { traceparent };
}

function skips(skipped: readonly AttemptView[]): Record<string, readonly string[]> {
  if (skipped.length === 0) return {};
  return { skipped: skipped.map(({ target, model, code }) => `${target}/${model}: ${code}`) };
}
