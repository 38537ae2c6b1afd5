/** What a caller asks the router for, and the text of it that is kept. */
import type { Actor } from '../../substrate/actor.ts';
import type { Message, ToolDefinition } from '../../substrate/transcript.ts';
import type { Dispatch } from './dispatch.ts';

/**
 * What the next candidate does when an attempt was cut after it had said something: `restart` the answer,
 * or `continue` it where that is safe (see `continuation.ts`).
 */
export type WhenCut = 'restart' | 'continue';

export interface CompletionRequest {
  /** A role of the policy. */
  readonly role: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** Null: as much as policy allows. */
  readonly maxOutputTokens: number | null;
  readonly stop: readonly string[];
  /** For ceilings and reports, such as `customer=acme`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly session: string | null;
  /** Without it `restart`. With `continue` each attempt may use up to `maxOutputTokens`, and the whole more than that. */
  readonly whenCut?: WhenCut;
}

/** Who asks, and how. */
export interface Asker {
  readonly actor: Actor;
  readonly dispatch: Dispatch;
  /** Belongs to the grant and is bound to the request. */
  readonly idempotencyKey: string | null;
  /** W3C Trace Context, kept in the receipts. */
  readonly traceparent: string | null;
  /** The id that the call is to have, where whoever asks must know it beforehand: new, and random. */
  readonly callId?: string | undefined;
  /** Of the role's candidates this one alone may answer: a trial of a target, which must not fail over. */
  readonly only?: { readonly target: string; readonly model: string } | undefined;
}

/** The request as text: the same text for the same request. It is kept as content, and can be erased. */
export function requestText(request: CompletionRequest): string {
  const { role, messages, tools, maxOutputTokens, stop, labels, session, whenCut } = request;
  const sorted = Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({
    role,
    messages,
    tools,
    maxOutputTokens,
    stop,
    labels: sorted,
    session,
    ...(whenCut === 'continue' && { whenCut }),
  });
}

/** The request again, from its kept text. */
export function parseRequestText(text: string): CompletionRequest {
  // Written by `requestText` and told unaltered by its hash.
  return JSON.parse(text) as CompletionRequest;
}
