/** OpenAI's Responses: what a client gets (API reference, "The response object" and "Streaming events"). */
import type { SeedError } from '../../../errors.ts';
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
  const theirs = toolNames?.get(name) ?? { name, namespace: null };
  const group = theirs.namespace === null ? {} : { namespace: theirs.namespace };
  return Object.assign(item, { id: `fc_${id}`, name: theirs.name }, group);
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
export class ResponseFraming implements Framing {
  readonly #facts: AnswerFacts;
  /** Items that have ended. */
  readonly #output: object[] = [];
  /** Of the message that is open; null where none is. */
  #text: string | null = null;
  #sequence = 0;

  constructor(facts: AnswerFacts) {
    this.#facts = facts;
  }

  open(): string {
    const response = responseOf(this.#facts, 'in_progress');
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  text(piece: string): string {
    const begun = this.#text === null ? this.#beginText() : '';
    this.#text = (this.#text ?? '') + piece;
    return begun + this.#event('response.output_text.delta', { ...this.#inText(), delta: piece, logprobs: [] });
  }

  call(call: ToolCall): string {
    const before = this.#endText();
    const item = callItem(call, this.#facts, 'completed');
    const place = this.#place();
    const inCall = { item_id: item.id, ...place };
    const said = [
      this.#event('response.output_item.added', { ...place, item: callItem(call, this.#facts, 'in_progress') }),
      this.#event('response.function_call_arguments.delta', { ...inCall, delta: call.arguments }),
      this.#event('response.function_call_arguments.done', { ...inCall, name: item.name, arguments: call.arguments }),
      this.#event('response.output_item.done', { ...place, item }),
    ];
    this.#output.push(item);
    return before + said.join('');
  }

  /** Reasoning of this API is OpenAI's own. */
  hears(): boolean {
    return false;
  }

  opaque(): string {
    return '';
  }

  close(outcome: Outcome): string {
    const empty = this.#output.length === 0 && this.#text === null ? this.#beginText() : '';
    const last = empty + this.#endText();
    const { status, response } = ended(outcome, this.#facts, this.#output);
    return last + this.#event(`response.${status}`, { response });
  }

  /** Some clients hear the one, some the other. */
  cut(thrown: SeedError): string {
    const { error } = errorBody(thrown);
    const { message, code, param } = error;
    const response = responseOf(this.#facts, 'failed', { output: this.#output, error: { code, message } });
    return this.#event('response.failed', { response }) + this.#event('error', { error, code, message, param });
  }

  ping(): string {
    return ': waiting\n\n';
  }

  #beginText(): string {
    this.#text = '';
    const item = messageItem(this.#messageId(), 'in_progress', []);
    return (
      this.#event('response.output_item.added', { ...this.#place(), item }) +
      this.#event('response.content_part.added', { ...this.#inText(), part: textPart('') })
    );
  }

  #endText(): string {
    const text = this.#text;
    if (text === null) return '';
    const part = textPart(text);
    const item = messageItem(this.#messageId(), 'completed', [part]);
    const said = [
      this.#event('response.output_text.done', { ...this.#inText(), text, logprobs: [] }),
      this.#event('response.content_part.done', { ...this.#inText(), part }),
      this.#event('response.output_item.done', { ...this.#place(), item }),
    ];
    this.#output.push(item);
    this.#text = null;
    return said.join('');
  }

  #event(type: string, more: object): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...more })}\n\n`;
  }

  /** Of the item that is open, or comes next. */
  #place(): object {
    return { output_index: this.#output.length };
  }

  #inText(): object {
    return { item_id: this.#messageId(), ...this.#place(), content_index: 0 };
  }

  #messageId(): string {
    return `msg_${this.#facts.id}_${this.#output.length}`;
  }
}
