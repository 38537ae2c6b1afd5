/** Anthropic's Messages: what a client gets (API reference, "Messages" and "Streaming messages"). */
import type { SeedError } from '../../../errors.ts';
import type { CallEnd } from '../../../mind/router/call.ts';
import type { StopReason } from '../../../mind/router/provider.ts';
import { ANTHROPIC_API, ThinkingBlock } from '../../../mind/router/transcript/anthropic.ts';
import { parseLoosely } from '../../../mind/router/transcript/json.ts';
import type { Opaque, ToolCall } from '../../../substrate/transcript.ts';
import type { Told } from '../errors.ts';
import { tell } from '../errors.ts';
import type { Framing } from '../stream.ts';
import type { AnswerFacts } from '../wire.ts';

type Outcome = CallEnd['outcome'];

const STOPS: Readonly<Record<StopReason, string>> = {
  end: 'end_turn',
  max_tokens: 'max_tokens',
  tool_calls: 'tool_use',
  stop_sequence: 'stop_sequence',
  refusal: 'refusal',
  paused: 'pause_turn',
};

/** How the answer ended. Which sequence it was that ended it, the engine is not told: known is it where there was one. */
function stopOf({ stop }: Outcome, { stopSequences = [] }: AnswerFacts): object {
  const sequence = stop === 'stop_sequence' && stopSequences.length === 1 ? stopSequences[0] : null;
  const reason = stop !== null && Object.hasOwn(STOPS, stop) ? STOPS[stop as StopReason] : 'end_turn';
  return { stop_reason: reason, stop_sequence: sequence, stop_details: null };
}

/** As the model that answered last reports it. This API knows no absence: zero then means unknown. */
function usageOf(usage: Outcome['usage']): object {
  return {
    input_tokens: usage?.input_tokens ?? 0,
    cache_creation_input_tokens: usage?.cache_write_tokens ?? 0,
    cache_read_input_tokens: usage?.cached_input_tokens ?? 0,
    output_tokens: usage?.output_tokens ?? 0,
    output_tokens_details: null,
    server_tool_use: null,
  };
}

function messageOf({ id, model }: AnswerFacts, usage: Outcome['usage']): object {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: { ...usageOf(usage), cache_creation: null, inference_geo: null, service_tier: null, speed: null },
  };
}

type Thinking = ReturnType<typeof ThinkingBlock.parse>;

/**
 * A thought that this client may have: one of the very model that it asks, since by that name it will come back
 * (`request.ts`). Any other stays in the transcript.
 */
function thinkingFor({ provider, api, model, data }: Opaque, facts: AnswerFacts): Thinking | null {
  if (provider !== 'anthropic' || api !== ANTHROPIC_API || model !== facts.model) return null;
  return ThinkingBlock.safeParse(parseLoosely(data)).data ?? null;
}

function useOf({ id, name }: ToolCall, input: unknown, { toolNames }: AnswerFacts): object {
  return { type: 'tool_use', id, name: toolNames?.get(name)?.name ?? name, input, caller: { type: 'direct' } };
}

/** The body for a call that is complete. */
export function message({ outcome, message: said }: CallEnd, facts: AnswerFacts): object {
  const content = (said?.parts ?? []).flatMap((part): object[] => {
    if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text, citations: null }];
    if (part.type === 'tool_call') return [useOf(part, JSON.parse(part.arguments), facts)];
    const thinking = part.type === 'opaque' ? thinkingFor(part, facts) : null;
    return thinking === null ? [] : [thinking];
  });
  return { ...messageOf(facts, outcome.usage), content, ...stopOf(outcome, facts) };
}

/**
 * What clients look for in the refusal of a field, by the field. The SDK's tool runner asks for a conversation that
 * the server keeps (`thread`), and goes on without one where it is told so in these words.
 */
const DETAILS: Readonly<Record<string, object>> = {
  thread: { error_code: 'thread_unsupported_request', unsupported: ['thread'] },
};

/** The body of an error (API reference, "Errors"). */
export function errorBody(error: SeedError): { type: 'error'; error: object } {
  const told = tell(error);
  const { argument } = told;
  const details = argument !== null && Object.hasOwn(DETAILS, argument) ? { details: DETAILS[argument] } : {};
  return { type: 'error', error: { type: typeOf(told), message: told.message, ...details, seed: told.seed } };
}

/** The status that this API has for an error: 529 is its own. */
export function statusOf({ status, isOverload }: Told): number {
  return isOverload ? 529 : status;
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

function typeOf(told: Told): string {
  const status = statusOf(told);
  return TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
}

/** Events in their order: one block at a time, each begun and ended. */
export function framing(facts: AnswerFacts): Framing {
  let blocks = 0;
  let isTextOpen = false;
  const delta = (said: object): string => event({ type: 'content_block_delta', index: blocks - 1, delta: said });
  const start = (block: object): string =>
    event({ type: 'content_block_start', index: blocks++, content_block: block });
  const stop = (): string => event({ type: 'content_block_stop', index: blocks - 1 });
  const endText = (): string => {
    const wasOpen = isTextOpen;
    isTextOpen = false;
    return wasOpen ? stop() : '';
  };
  return {
    open: () => event({ type: 'message_start', message: messageOf(facts, null) }),
    text: (text) => {
      const begun = isTextOpen ? '' : start({ type: 'text', text: '', citations: null });
      isTextOpen = true;
      return begun + delta({ type: 'text_delta', text });
    },
    call: (call) =>
      endText() +
      start(useOf(call, {}, facts)) +
      delta({ type: 'input_json_delta', partial_json: call.arguments }) +
      stop(),
    hears: (part) => thinkingFor(part, facts) !== null,
    opaque: (part) => {
      const block = thinkingFor(part, facts);
      if (block === null) return '';
      if (block.type === 'redacted_thinking') return endText() + start(block) + stop();
      const { thinking, signature } = block;
      return [
        endText(),
        start({ type: 'thinking', thinking: '', signature: '' }),
        delta({ type: 'thinking_delta', thinking }),
        delta({ type: 'signature_delta', signature }),
        stop(),
      ].join('');
    },
    close: (outcome) =>
      [
        endText(),
        event({
          type: 'message_delta',
          delta: { ...stopOf(outcome, facts), container: null },
          usage: usageOf(outcome.usage),
        }),
        event({ type: 'message_stop' }),
      ].join(''),
    cut: (error) => event(errorBody(error)),
    ping: () => event({ type: 'ping' }),
  };
}

function event(value: Readonly<Record<string, unknown> & { type: string }>): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}
