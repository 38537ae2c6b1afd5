/** OpenAI's Chat Completions: what a client gets (API reference, "The chat completion object" and "chunk object"). */
import type { SeedError } from '../../../errors.ts';
import type { CallEnd } from '../../../mind/router/call.ts';
import { textOf } from '../../../mind/router/continuation.ts';
import type { StopReason } from '../../../mind/router/provider.ts';
import type { ToolCall } from '../../../substrate/transcript.ts';
import type { Told } from '../errors.ts';
import { tell } from '../errors.ts';
import type { Framing } from '../stream.ts';
import type { AnswerFacts } from '../wire.ts';

type Outcome = CallEnd['outcome'];

const FINISH: Readonly<Record<StopReason, string>> = {
  end: 'stop',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  stop_sequence: 'stop',
  refusal: 'content_filter',
  paused: 'stop',
};

function finishOf({ stop }: Outcome): string {
  return stop !== null && Object.hasOwn(FINISH, stop) ? FINISH[stop as StopReason] : 'stop';
}

/** As the model that answered last reports it; null where it reports none. */
function usageOf({ usage }: Outcome): object | null {
  if (usage === null) return null;
  const {
    input_tokens: fresh,
    output_tokens: completed,
    cached_input_tokens: cached,
    cache_write_tokens: written,
  } = usage;
  const prompt = fresh + cached + written;
  return {
    prompt_tokens: prompt,
    completion_tokens: completed,
    total_tokens: prompt + completed,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

function named({ id, model, createdAt }: AnswerFacts, object: string): object {
  return { id: `chatcmpl-${id}`, object, created: Math.floor(createdAt / 1_000), model };
}

/** Which model stands behind the name that was asked for, as its provider calls it. */
function fingerprint(model: string | null): object {
  return model === null ? {} : { system_fingerprint: model };
}

function callOf({ id, name, arguments: text }: ToolCall, { toolNames }: AnswerFacts): object {
  return { id, type: 'function', function: { name: toolNames?.get(name)?.name ?? name, arguments: text } };
}

/** The body for a call that is complete. */
export function completionOf({ outcome, message }: CallEnd, facts: AnswerFacts): object {
  const parts = message?.parts ?? [];
  const text = textOf(parts);
  const calls = parts.filter((part) => part.type === 'tool_call');
  const usage = usageOf(outcome);
  return {
    ...named(facts, 'chat.completion'),
    ...fingerprint(outcome.model_returned),
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text === '' && calls.length > 0 ? null : text,
          refusal: null,
          ...(calls.length > 0 && { tool_calls: calls.map((call) => callOf(call, facts)) }),
        },
        logprobs: null,
        finish_reason: finishOf(outcome),
      },
    ],
    ...(usage !== null && { usage }),
  };
}

interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
    readonly seed: Told['seed'];
  };
}

/** The body of an error. Types and codes are OpenAI's where it has one for the case. */
export function errorBody(error: SeedError): ErrorBody {
  const { status, code, message, argument, seed } = tell(error);
  return {
    error: { message, type: typeOf(status, seed.code), param: argument, code: KNOWN[code] ?? code, seed },
  };
}

const KNOWN: Readonly<Record<string, string>> = {
  unauthenticated: 'invalid_api_key',
  no_route: 'model_not_found',
  over_ceiling: 'insufficient_quota',
  too_many: 'rate_limit_exceeded',
};

function typeOf(status: number, code: string): string {
  if (code === 'over_ceiling') return 'insufficient_quota';
  if (status === 429) return 'rate_limit_error';
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** Chunks as server-sent events; the frame around a text is written once. */
export function framing(facts: AnswerFacts): Framing {
  const { includeUsage } = facts;
  let who = fingerprint(null);
  /** What stands before and behind a text in its chunk. */
  let frame: readonly string[] | null = null;
  let calls = 0;
  const chunk = (choices: readonly object[], usage: object | null = null): string =>
    data({
      ...named(facts, 'chat.completion.chunk'),
      ...who,
      choices,
      ...(includeUsage && { usage }),
    });
  const delta = (said: object, reason: string | null = null): string =>
    chunk([{ index: 0, delta: said, logprobs: null, finish_reason: reason }]);
  return {
    model: (name) => {
      who = fingerprint(name);
      frame = null;
    },
    open: () => delta({ role: 'assistant', content: '', refusal: null }),
    text: (text) => {
      // No name can have this in it: its quotes would be escaped.
      frame ??= delta({ content: '' }).split('"content":""');
      return frame.join(`"content":${JSON.stringify(text)}`);
    },
    call: (call) => {
      const index = calls++;
      return delta({ tool_calls: [{ index, ...callOf(call, facts) }] });
    },
    // This API has no reasoning.
    hears: () => false,
    opaque: () => '',
    close: (outcome) => {
      const usage = includeUsage ? usageOf(outcome) : null;
      return `${delta({}, finishOf(outcome))}${usage === null ? '' : chunk([], usage)}data: [DONE]\n\n`;
    },
    cut: (error) => data(errorBody(error)),
    ping: () => ': waiting\n\n',
  };
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
