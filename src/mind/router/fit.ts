/**
 * A request made to fit the context that policy gives a candidate; where policy gives none, it goes as it is.
 *
 * Fit is an estimate, unlike the bound on money (`estimate.ts`): two bytes a token. Text of every natural
 * language and code have more (English about 4, Chinese and source code about 3), so what fits by this
 * fits. Only what is nearly random, such as base64, has fewer; then the provider refuses, which costs
 * nothing, and the next candidate is asked. The strict bound of one byte a token would throw away three
 * quarters of every context.
 */
import type { Checkpoint } from '../../substrate/sessions/model.ts';
import type { Message } from '../../substrate/transcript.ts';
import type { Summarised } from './compaction.ts';
import { compact } from './compaction.ts';
import type { Loss, ModelRequest, Provider } from './provider.ts';
import { ProviderFault } from './provider.ts';
import { carriedImages, distinct } from './transcript/prepare.ts';

const BYTES_PER_TOKEN = 2;
/** What an image counts where its provider documents no maximum. */
export const IMAGE_TOKENS = 4_096;

export interface FitOptions {
  readonly provider: Provider;
  readonly request: ModelRequest;
  /** Fewer answer tokens than this are of no use. */
  readonly minOutputTokens: number;
  readonly checkpoint: Checkpoint | null;
  /** Messages at the end of the request's that are no part of the conversation and stay as they are. */
  readonly added: readonly Message[];
}

export interface Fitted {
  readonly request: ModelRequest;
  /** The exact bytes that would be sent. */
  readonly body: string;
  readonly losses: readonly Loss[];
  /** Null where all was carried. */
  readonly summarised: Summarised | null;
}

/** The request as the candidate can take it. @throws ProviderFault `cannot_carry` */
export function fitToContext({ provider, request, minOutputTokens, checkpoint, added }: FitOptions): Fitted {
  const { contextTokens } = request;
  if (contextTokens === undefined) {
    const whole = { ...request, messages: [...request.messages, ...added] };
    return { request: whole, ...provider.encode(whole), summarised: null };
  }
  const maxOutputTokens = answerTokens(request, { contextTokens, minOutputTokens });
  const room = contextTokens - maxOutputTokens;
  const asked = (messages: readonly Message[]): ModelRequest => ({
    ...request,
    messages: [...messages, ...added],
    maxOutputTokens,
  });
  const fits = (messages: readonly Message[]): boolean => likelyTokens(provider, asked(messages)) <= room;
  const same = asked(request.messages);
  if (likelyTokens(provider, same) <= room) return { request: same, ...provider.encode(same), summarised: null };
  const compacted = compact(request.messages, { checkpoint, roomBytes: room * BYTES_PER_TOKEN, fits });
  if (compacted === null) throw doesNotFit(contextTokens);
  const shorter = asked(compacted.messages);
  const encoded = provider.encode(shorter);
  // Their numbers are those of the shorter conversation, which nobody else knows.
  const losses = distinct(encoded.losses.map(({ what }) => ({ message: null, what })));
  return {
    request: shorter,
    body: encoded.body,
    losses: [lossOf(compacted.summarised), ...losses],
    summarised: compacted.summarised,
  };
}

/** An answer may take up half of the context: a model with a small one would otherwise never be asked. */
function answerTokens(
  { maxOutputTokens }: ModelRequest,
  { contextTokens, minOutputTokens }: { contextTokens: number; minOutputTokens: number },
): number {
  return Math.min(maxOutputTokens, Math.max(minOutputTokens, Math.floor(contextTokens / 2)));
}

/** About how many tokens a request has. */
function likelyTokens(provider: Provider, request: ModelRequest): number {
  const { body } = provider.encode(request);
  const images = carriedImages(request.messages);
  const base64 = images.reduce((sum, { data }) => sum + data.length, 0);
  const perImage = provider.overhead.perImage ?? IMAGE_TOKENS;
  return Math.ceil((Buffer.byteLength(body) - base64) / BYTES_PER_TOKEN) + images.length * perImage;
}

function lossOf({ from, to, count, hash }: Summarised): Loss {
  return { message: null, what: `${count} messages of ${from + 1} to ${to} are summarised (SHA-256 ${hash})` };
}

function doesNotFit(contextTokens: number): ProviderFault {
  return new ProviderFault(
    'cannot_carry',
    `Its context of ${contextTokens} tokens cannot hold the goal, the constraints, the open tool calls and the last turn.`,
    { mayBeBilled: false },
  );
}
