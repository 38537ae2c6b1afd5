/**
 * What an API of others is to the gateway: bytes in, a request of the router's; an answer, bytes out.
 *
 * A wire is pure: it reads no socket and no clock, and decides nothing about money, keys or models. There are
 * three: `openai/wire.ts` (Chat Completions), `openai/responses.ts` and `anthropic/wire.ts` (Messages). What
 * becomes of each field that a client may send is data (`fields.ts`): carried, listed as not carried, or refused.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { SeedError } from '../../errors.ts';
import type { CallEnd } from '../../mind/router/call.ts';
import type { CallEvent } from '../../mind/router/continuation.ts';
import type { CompletionRequest } from '../../mind/router/request.ts';
import type { Message, Part } from '../../substrate/transcript.ts';

/** A tool as its client calls it. */
export interface ClientTool {
  readonly name: string;
  /** In Responses tools may stand in groups, and calls say which. */
  readonly namespace: string | null;
}

/** Tools that the engine has under another name than their client, by the engine's. */
export type ToolNames = ReadonlyMap<string, ClientTool>;

/** What a client asks for, in the seed's own terms. */
export interface GatewayRequest {
  /** As the client wrote it: a role of the policy, or a model that the owner mapped to one. */
  readonly model: string;
  readonly stream: boolean;
  /** Whether a stream is to say its usage: only OpenAI's clients ask, Anthropic's always get it. */
  readonly includeUsage: boolean;
  /** The rest of a {@link CompletionRequest}; the door adds role, session, labels of headers and `whenCut`. */
  readonly request: Pick<CompletionRequest, 'messages' | 'tools' | 'maxOutputTokens' | 'stop'>;
  /** From `metadata` and `user`; within the limits that the ledger has for labels. */
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Names of what was accepted and is not carried to the model, such as `temperature`; for the header
   * `x-seed-not-carried`. Printable ASCII without a comma, each once, a bounded number.
   */
  readonly notCarried: readonly string[];
  /** For the {@link AnswerFacts} of its answer. */
  readonly toolNames: ToolNames;
}

/** What an answer says of itself beside its content. */
export interface AnswerFacts {
  /** The call's id. */
  readonly id: string;
  /** The model as the client named it: clients compare. Who answered is in the receipts. */
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly includeUsage: boolean;
  /** {@link GatewayRequest.toolNames} of the request: without them a call would come back by the engine's name. */
  readonly toolNames?: ToolNames;
  /** The sequences that were to end it. */
  readonly stopSequences?: readonly string[];
}

/** A whole HTTP answer that is no stream. */
export interface Reply {
  readonly status: number;
  /** Without `content-type`, which is `application/json` for each, and without `content-length`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Writes one answer as server-sent events. Each function gives the text to send, which may be empty.
 *
 * Nothing is written before there is something to say (or `ping` is asked for), so that until then whoever
 * sends can still answer with an error of HTTP. Exactly one of `end` and `fail` comes last.
 */
export interface StreamEncoder {
  /** Whether anything has been given out. */
  readonly begun: boolean;
  /** @throws SeedError `internal` for `void`, which `whenCut: 'continue'` excludes; `end` is no clean end then */
  on(event: CallEvent): string;
  /** Keeps a silent stream alive; begins it where it has not begun. */
  ping(): string;
  /** The clean end of an answer that is complete; for any other the API's own error, and never a clean end. */
  end(end: CallEnd): string;
  /** The API's own error in place of an end, where none is known or the door itself gives up. */
  fail(error: SeedError): string;
}

/** A model as a client may name it. */
export interface ListedModel {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface Wire {
  /** @throws SeedError `invalid_input` or `too_large`, with the field in `data.argument` */
  parse(body: unknown, headers: IncomingHttpHeaders): GatewayRequest;
  /** The answer of a call that has ended, where no stream was asked for; an error where it is not complete. */
  answer(end: CallEnd, facts: AnswerFacts): Reply;
  /** Any error in the API's own form: status, `retry-after`, and whether the SDKs are to try again. */
  error(error: SeedError): Reply;
  stream(facts: AnswerFacts): StreamEncoder;
  models(models: readonly ListedModel[]): Reply;
  model(model: ListedModel): Reply;
}

/**
 * A message as both sides of a conversation have it, for recognising one: what clients give back of an answer
 * is its text and its calls, hardly ever their order, spacing or reasoning. Gives the same for an answer of the
 * engine's and for what `parse` makes of it when a client sends it again.
 */
export function recognisable(message: Message): Message {
  if (message.role !== 'assistant') return message;
  const text = message.parts
    .map((part) => (part.type === 'text' ? part.text : ''))
    .join('')
    .trim();
  const calls = message.parts.flatMap((part): Part[] =>
    part.type === 'tool_call' ? [{ ...part, arguments: JSON.stringify(JSON.parse(part.arguments)) }] : [],
  );
  return { role: 'assistant', parts: [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...calls] };
}
