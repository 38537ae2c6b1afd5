/** OpenAI's Responses: what a client gets (API reference, "The response object" and "Streaming events"). */
import type { CallEnd } from '../../../mind/router/call.ts';
import { textOf } from '../../../mind/router/continuation.ts';
import type { ToolCall } from '../../../substrate/transcript.ts';
import type { Framing } from '../stream.ts';
import type { AnswerFacts } from '../wire.ts';
import { errorBody } from './answer.ts';

type Outcome = CallEnd['outcome'];
type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed';

/** Why an answer that is whole for the seed is not so for this API; null where it is. */
function shortened({ stop }: Outcome): string | null {
  if (stop === 'max_tokens') return 'max_output_tokens';
  return stop === 'refusal' ? 'content_filter' : null;
}

/** As the model that answered last reports it; null where it reports none. */
function usageOf({ usage }: Outcome): object | null {
  if (usage === null) return null;
  const { input_tokens: fresh, output_tokens: said, cached_input_tokens: cached, cache_write_tokens: written } = usage;
  const input = fresh + cached + written;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: said,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + said,
  };
}

function responseOf({ id, model, createdAt }: AnswerFacts, status: Status, more: object = {}): object {
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: Math.floor(createdAt / 1_000),
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    access_programs: null,
    usage: null,
    ...more,
  };
}

/** The response of a call that is complete, around what it said. */
function ended(outcome: Outcome, facts: AnswerFacts, output: readonly object[]): { status: Status; response: object } {
  const reason = shortened(outcome);
  const status = reason === null ? 'completed' : 'incomplete';
  const incomplete = reason === null ? null : { reason };
  return {
    status,
    response: responseOf(facts, status, { output, incomplete_details: incomplete, usage: usageOf(outcome) }),
  };
}

function textPart(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function messageItem(id: string, status: Status, content: readonly object[]): object {
  return { type: 'message', id, status, role: 'assistant', content };
}

/** An item's own id beside the call's, by which its result will come. */
function callItem(
  { id, name, arguments: text }: ToolCall,
  { toolNames }: AnswerFacts,
  status: Status,
): { readonly id: string; readonly name: string } {
  const given = status === 'completed' ? text : '';
  const item = { type: 'function_call', call_id: id, arguments: given, status };
  return Object.assign(item, { id: `fc_${id}`, name: toolNames?.get(name) ?? name });
}

/** The body for a call that is complete. */
export function responseBody({ outcome, message }: CallEnd, facts: AnswerFacts): object {
  const parts = message?.parts ?? [];
  const text = textOf(parts);
  const calls = parts.filter((part) => part.type === 'tool_call');
  const said = text === '' && calls.length > 0 ? [] : [messageItem(`msg_${facts.id}_0`, 'completed', [textPart(text)])];
  return ended(outcome, facts, [...said, ...calls.map((call) => callItem(call, facts, 'completed'))]).response;
}

/** Items in their order, each begun and ended; every event has its number. */
export function responseFraming(facts: AnswerFacts): Framing {
  const output: object[] = [];
  let sequence = 0;
  /** Of the message that is open; null where none is. */
  let text: string | null = null;
  const event = (type: string, more: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...more })}\n\n`;
  const place = (): object => ({ output_index: output.length });
  const messageId = (): string => `msg_${facts.id}_${output.length}`;
  const inText = (): object => ({ item_id: messageId(), ...place(), content_index: 0 });
  const begin = (): string => {
    text = '';
    const item = messageItem(messageId(), 'in_progress', []);
    return (
      event('response.output_item.added', { ...place(), item }) +
      event('response.content_part.added', { ...inText(), part: textPart('') })
    );
  };
  const endText = (): string => {
    if (text === null) return '';
    const part = textPart(text);
    const item = messageItem(messageId(), 'completed', [part]);
    const said = [
      event('response.output_text.done', { ...inText(), text, logprobs: [] }),
      event('response.content_part.done', { ...inText(), part }),
      event('response.output_item.done', { ...place(), item }),
    ];
    output.push(item);
    text = null;
    return said.join('');
  };
  return {
    open: () => {
      const response = responseOf(facts, 'in_progress');
      return event('response.created', { response }) + event('response.in_progress', { response });
    },
    text: (piece) => {
      const begun = text === null ? begin() : '';
      text += piece;
      return begun + event('response.output_text.delta', { ...inText(), delta: piece, logprobs: [] });
    },
    call: (call) => {
      const before = endText();
      const item = callItem(call, facts, 'completed');
      const inCall = { item_id: item.id, ...place() };
      const said = [
        event('response.output_item.added', { ...place(), item: callItem(call, facts, 'in_progress') }),
        event('response.function_call_arguments.delta', { ...inCall, delta: call.arguments }),
        event('response.function_call_arguments.done', { ...inCall, name: item.name, arguments: call.arguments }),
        event('response.output_item.done', { ...place(), item }),
      ];
      output.push(item);
      return before + said.join('');
    },
    // Reasoning of this API is OpenAI's own.
    hears: () => false,
    opaque: () => '',
    close: (outcome) => {
      const empty = output.length === 0 && text === null ? begin() : '';
      const last = empty + endText();
      const { status, response } = ended(outcome, facts, output);
      return last + event(`response.${status}`, { response });
    },
    cut: (thrown) => {
      const { error } = errorBody(thrown);
      const { message, code, param } = error;
      const response = responseOf(facts, 'failed', { output, error: { code, message } });
      // Some clients hear the one, some the other.
      return event('response.failed', { response }) + event('error', { error, code, message, param });
    },
    ping: () => ': waiting\n\n',
  };
}
