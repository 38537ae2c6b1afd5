/**
 * What a model provider is to the router: one function that streams, and the facts that bound its cost.
 *
 * A provider translates and reports; it never retries, never fails over and never decides. Each stands
 * in `providers/<name>.ts` with one line in `providers/index.ts`.
 */
import type { ProviderName } from '../../substrate/policy/model.ts';
import type { Message, Opaque, ToolCall, ToolDefinition } from '../../substrate/transcript.ts';

/** One attempt, as the router wants it made. */
export interface ModelRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** Tokens that the answer may have, at most; always sent. */
  readonly maxOutputTokens: number;
  /** Sequences that end the answer, if any. */
  readonly stop: readonly string[];
  /** Tokens that the model takes in and gives out together, where policy says; see `fit.ts`. */
  readonly contextTokens?: number;
}

/** An answer's head, and its bytes as they come: what a provider reads of a `Response`. */
export interface RawAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: AnswerHeaders;
  readonly body: AsyncIterable<Uint8Array> | null;
}

export interface AnswerHeaders extends Iterable<[name: string, value: string]> {
  readonly get: (name: string) => string | null;
}

/** One request of a provider. */
export interface RawRequest {
  readonly method: 'POST';
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly signal: AbortSignal;
  readonly redirect: 'error';
}

/** What a provider is called with. */
export interface ProviderContext {
  readonly baseUrl: string;
  /** The secret itself, held for this one call. */
  readonly credential: string | null;
  /** The way out: it adds nothing and follows nothing. `fetch` fits, too. */
  readonly ask: (address: string, request: RawRequest) => Promise<RawAnswer>;
  readonly signal: AbortSignal;
}

/** Why a model stopped, in one vocabulary for all. */
export type StopReason = 'end' | 'max_tokens' | 'tool_calls' | 'stop_sequence' | 'refusal' | 'paused';

/** Tokens as the provider reports them; `input` counts what was neither read from nor written to a cache. */
export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cachedInput: number;
  readonly cacheWrite: number;
}

/** What a provider's stream says, in order. Exactly one `end` comes last, or the iteration throws. */
export type ProviderEvent =
  /** The provider accepted the request: from here on it may have been billed. */
  | { readonly type: 'accepted' }
  /** The model that answers, as the provider names it. */
  | { readonly type: 'model'; readonly model: string }
  /** Empty where something goes on that is not said, such as reasoning: the stream lives. */
  | { readonly type: 'text'; readonly text: string }
  /** A tool call has begun: from here on another candidate may not go on with this answer. Calls themselves come last. */
  | { readonly type: 'tool_call_begun' }
  /** A whole tool call. The id is our own; `providerId` is what the provider called it. */
  | { readonly type: 'tool_call'; readonly call: ToolCall; readonly providerId: string | null }
  | { readonly type: 'opaque'; readonly part: Opaque }
  /** The terminal marker was seen. `usage` is null where the provider reports none, or zero. */
  | { readonly type: 'end'; readonly stop: StopReason; readonly usage: Usage | null };

/** What went wrong with an attempt; the router decides what follows from it. */
export type FaultKind =
  | 'rate_limited'
  | 'overloaded'
  | 'server_error'
  | 'unreachable'
  | 'timeout'
  | 'cut'
  | 'bad_chunk'
  | 'stream_error'
  | 'rejected'
  | 'unauthorized'
  | 'truncated'
  | 'cannot_carry'
  | 'cancelled';

/** A failed attempt. Its message never carries a credential or what was said. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault';
  readonly kind: FaultKind;
  /** The HTTP status, if one came. */
  readonly status: number | null;
  /** How long the provider asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | null;
  /** Whether the provider may charge for it: it accepted the request, or nobody knows. */
  readonly mayBeBilled: boolean;

  constructor(
    kind: FaultKind,
    message: string,
    facts: { status?: number | null; retryAfterMs?: number | null; mayBeBilled: boolean; cause?: unknown },
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.kind = kind;
    this.status = facts.status ?? null;
    this.retryAfterMs = facts.retryAfterMs ?? null;
    this.mayBeBilled = facts.mayBeBilled;
  }
}

/** Token counts that no request of this provider exceeds beyond the bytes of its text; see `estimate.ts`. */
export interface Overhead {
  readonly perRequest: number;
  readonly perMessage: number;
  readonly perTool: number;
  /** The documented most that one image counts; null where none is documented: images are refused. */
  readonly perImage: number | null;
}

/** What a request would lose on its way into a provider's format. */
export interface Loss {
  /** Index of the message, or null where it concerns the request as a whole. */
  readonly message: number | null;
  readonly what: string;
}

export interface Provider {
  readonly name: ProviderName;
  readonly overhead: Overhead;
  /** The exact bytes that would be sent, and what they leave out. Pure. @throws ProviderFault `cannot_carry` */
  readonly encode: (request: ModelRequest) => { readonly body: string; readonly losses: readonly Loss[] };
  /** Makes the call and streams the answer. @throws ProviderFault from the iteration */
  readonly stream: (request: ModelRequest, context: ProviderContext) => AsyncIterable<ProviderEvent>;
}
