/** What a caller asks the router for, and the text of it that is kept. */
import { createHash } from 'node:crypto';
import type { Actor } from '../../substrate/actor.ts';
import type { Session } from '../../substrate/sessions/model.ts';
import type { Operation } from '../../substrate/substrate.ts';
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

/**
 * A call that takes a conversation on: what its session gets is written by the call's own two transactions, so
 * that it costs no commit of its own. The request names the session, which may still have to be opened.
 */
export interface Turn {
  /** What is kept of the request, whose messages stand in the session's transcript; see {@link turnText}. */
  readonly text: string;
  /** The session as the call finds it, or as it is going to be. @throws SeedError where the call may not go on in it */
  readonly find: (op: Operation) => Promise<Session>;
  /** The first attempt is certain: what came with the request goes into the transcript. */
  readonly begin: (op: Operation, session: Session, call: string) => Promise<void>;
  /** The call is closed; `answer` where it has a whole one. */
  readonly end: (op: Operation, call: string, answer: Message | null) => Promise<void>;
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
  readonly turn?: Turn | undefined;
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

/** What the kept text of a turn begins with: the SHA-256 of the whole request's text. */
function turnPrefix(request: CompletionRequest): string {
  return `{"asked":"${createHash('sha256').update(requestText(request)).digest('hex')}",`;
}

/**
 * What is kept of a request whose messages stand in a transcript: a digest of the whole of it, and beside it
 * what the transcript does not have.
 */
export function turnText(request: CompletionRequest, beside: Readonly<Record<string, unknown>>): string {
  const { role, maxOutputTokens, stop, labels, session } = request;
  return turnPrefix(request) + JSON.stringify({ role, maxOutputTokens, stop, labels, session, ...beside }).slice(1);
}

/** Whether a kept text is that of this very request. */
export function isTextOf(kept: string, request: CompletionRequest): boolean {
  return kept === requestText(request) || kept.startsWith(turnPrefix(request));
}

/** The request again, from its kept text. */
export function parseRequestText(text: string): CompletionRequest {
  // Written by `requestText` and told unaltered by its hash.
  return JSON.parse(text) as CompletionRequest;
}
