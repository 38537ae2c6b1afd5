/** Which of policy's candidates is next, and why others are not. Pure. */
import type { Benched } from '../../substrate/benched.ts';
import { whyBenched } from '../../substrate/benched.ts';
import type { Bound } from '../../substrate/ledger/model.ts';
import type { Candidate, ProviderName, Routing } from '../../substrate/policy/model.ts';
import type { Checkpoint } from '../../substrate/sessions/model.ts';
import type { Message } from '../../substrate/transcript.ts';
import type { Summarised } from './compaction.ts';
import { textOf } from './continuation.ts';
import { estimateInput } from './estimate.ts';
import { fitToContext } from './fit.ts';
import type { AttemptView } from './outcome.ts';
import type { Loss, ModelRequest, Provider } from './provider.ts';
import { ProviderFault } from './provider.ts';
import type { CompletionRequest } from './request.ts';

/** A candidate that can be asked, and what it may cost. */
export interface Choice {
  readonly candidate: Candidate;
  readonly provider: Provider;
  readonly request: ModelRequest;
  readonly bound: Bound;
  readonly losses: readonly Loss[];
  /** What was left out to fit; null where nothing was. */
  readonly summarised: Summarised | null;
}

export interface ChooseOptions {
  readonly routing: Routing;
  readonly request: CompletionRequest;
  readonly provider: (name: ProviderName) => Provider;
  readonly benched: readonly Benched[];
  /** Candidates of this call that were asked already, by {@link candidateKey}. */
  readonly tried: ReadonlySet<string>;
  /** Where the work of the request's session stands, if it has one. */
  readonly checkpoint?: Checkpoint | null;
  /** What stands behind the conversation this time; see `continuation.ts`. */
  readonly added?: readonly Message[];
}

export function candidateKey({ target, model }: Pick<Candidate, 'target' | 'model'>): string {
  return `${target.name}/${model}`;
}

/** The benched entry of every model of a target. */
export const WHOLE_TARGET = '*';

/** The first candidate that can be asked, and those before it that cannot, each with its reason. */
export function choose(options: ChooseOptions): { choice: Choice | null; skipped: readonly AttemptView[] } {
  const skipped: AttemptView[] = [];
  for (const candidate of options.routing.candidates) {
    if (options.tried.has(candidateKey(candidate))) continue;
    const found = consider(candidate, options);
    if ('candidate' in found) return { choice: found, skipped };
    skipped.push({
      target: candidate.target.name,
      model: candidate.model,
      outcome: 'skipped',
      ...found,
      receipt: null,
      cost_micro_usd: 0,
    });
  }
  return { choice: null, skipped };
}

/** Why a candidate is not asked. */
interface Skip {
  readonly code: string;
  readonly why: string;
}

/** A candidate as it would be asked, or why it is not. */
export function consider(candidate: Candidate, options: Omit<ChooseOptions, 'tried'>): Choice | Skip {
  const { routing, request, provider: providerOf, benched, checkpoint = null, added = [] } = options;
  if (candidate.tier === 1 && routing.dispatch !== 'cron') {
    return { code: 'tier_fenced', why: 'Tier 1 is dispatched by the drain alone.' };
  }
  const sitsOut = benched.find(
    ({ target, model }) => target === candidate.target.name && (model === candidate.model || model === WHOLE_TARGET),
  );
  if (sitsOut !== undefined) return { code: 'benched', why: whyBenched(sitsOut) };
  if (candidate.price === null) {
    return { code: 'no_price', why: 'Policy has no price for it, so nothing bounds what it would cost.' };
  }
  const provider = providerOf(candidate.target.provider);
  const asked = Math.min(request.maxOutputTokens ?? routing.maxOutputTokens, routing.maxOutputTokens);
  const minOutputTokens = Math.min(routing.minOutputTokens, asked);
  const maxOutputTokens = Math.max(minOutputTokens, asked - likelySaid(added));
  const modelRequest: ModelRequest = {
    model: candidate.model,
    messages: request.messages,
    tools: request.tools,
    maxOutputTokens,
    stop: request.stop,
    ...(candidate.contextTokens === null ? {} : { contextTokens: candidate.contextTokens }),
  };
  try {
    const fitted = fitToContext({ provider, request: modelRequest, minOutputTokens, checkpoint, added });
    const bound: Bound = {
      inputMicroUsd: estimateInput({ provider, ...fitted, price: candidate.price }),
      outputMicroUsdPerMtok: candidate.price.output,
      maxOutputTokens: fitted.request.maxOutputTokens,
      minOutputTokens,
    };
    return {
      candidate,
      provider,
      request: fitted.request,
      bound,
      losses: fitted.losses,
      summarised: fitted.summarised,
    };
  } catch (thrown) {
    if (thrown instanceof ProviderFault) return { code: thrown.kind, why: thrown.message };
    throw thrown;
  }
}

/** Text of every language that is told has about as many bytes a token, or more. */
const SAID_BYTES_PER_TOKEN = 3;

/** About how many tokens of the answer stand already: whoever goes on gets what is left of its maximum. */
function likelySaid(added: readonly Message[]): number {
  const said = added.filter(({ role }) => role === 'assistant').flatMap(({ parts }) => parts);
  return Math.floor(Buffer.byteLength(textOf(said)) / SAID_BYTES_PER_TOKEN);
}
