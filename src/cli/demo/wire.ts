/**
 * The languages that a demonstration's simulated models speak: what is asked, read as far as such a model
 * needs it, and what it says, written as the real ones stream it.
 */

export type Language = 'anthropic' | 'nvidia' | 'local-ollama';

/** A conversation, as a simulated model looks at it. */
export interface Asked {
  readonly model: string;
  /** What tools gave, in order. */
  readonly results: readonly string[];
  /** What the assistant said last; empty where that was nothing. */
  readonly saidLast: string;
  readonly bytes: number;
}

/** Text in pieces, as tokens come, then tool calls. */
export interface Reply {
  readonly pieces: readonly string[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: object }[];
}

/** A reply as it goes over the wire. */
export interface Streamed {
  readonly type: string;
  readonly said: readonly string[];
  /** The terminal marker and what belongs to it. */
  readonly end: readonly string[];
}

type Content = string | readonly { readonly type?: string; readonly text?: string; readonly content?: Content }[];

interface WireMessage {
  readonly role: string;
  readonly content?: Content | null;
}

/** Bytes that one token stands for, about. */
const TOKEN_BYTES = 4;

/** All three have messages with a role and a content; only Anthropic's results stand among the user's parts. */
export function readAsked(body: string): Asked {
  const { model, messages } = JSON.parse(body) as { model: string; messages: readonly WireMessage[] };
  const last = messages.findLast(({ role }) => role === 'assistant');
  return { model, results: messages.flatMap(resultsOf), saidLast: textOf(last?.content), bytes: body.length };
}

function resultsOf({ role, content }: WireMessage): string[] {
  if (role === 'tool') return [textOf(content)];
  if (typeof content === 'string' || content === undefined || content === null) return [];
  return content.flatMap((part) => (part.type === 'tool_result' ? [textOf(part.content)] : []));
}

function textOf(content: Content | null | undefined): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map(({ text }) => text ?? '').join('');
}

/** A reply in full. */
export function stream(language: Language, asked: Asked, reply: Reply): Streamed {
  return LANGUAGES[language](asked, reply);
}

/** How Anthropic's says in the middle of an answer that its limit is reached (its docs, "Errors"). */
export const LIMIT_REACHED: string = event('error', {
  error: { type: 'rate_limit_error', message: 'This simulated account has reached its limit.' },
});

const LANGUAGES: Readonly<Record<Language, (asked: Asked, reply: Reply) => Streamed>> = {
  anthropic: anthropicStream,
  nvidia: openAiStream,
  'local-ollama': ollamaStream,
};

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

function tokensOf({ pieces, calls }: Reply): number {
  return pieces.length + 20 * calls.length;
}

/** Anthropic's Messages API. */
function anthropicStream({ model, bytes }: Asked, reply: Reply): Streamed {
  const { pieces, calls } = reply;
  const usage = { input_tokens: Math.ceil(bytes / TOKEN_BYTES), output_tokens: 1 };
  const block = (index: number, opening: object, deltas: readonly object[]): string[] => [
    event('content_block_start', { index, content_block: opening }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ];
  const text = pieces.map((piece) => ({ type: 'text_delta', text: piece }));
  const message = { id: 'msg_simulated', type: 'message', role: 'assistant', model, content: [], usage };
  return {
    type: 'text/event-stream',
    said: [
      event('message_start', { message }),
      ...(text.length === 0 ? [] : block(0, { type: 'text', text: '' }, text)),
      ...calls.flatMap(({ id, name, arguments: input }, index) =>
        block(index + 1, { type: 'tool_use', id, name, input: {} }, [
          { type: 'input_json_delta', partial_json: JSON.stringify(input) },
        ]),
      ),
    ],
    end: [
      event('message_delta', {
        delta: { stop_reason: calls.length > 0 ? 'tool_use' : 'end_turn', stop_sequence: null },
        usage: { output_tokens: tokensOf(reply) },
      }),
      event('message_stop', {}),
    ],
  };
}

/** OpenAI's Chat Completions. */
function openAiStream({ model, bytes }: Asked, reply: Reply): Streamed {
  const chunk = (choices: readonly object[], usage: object | null = null): string =>
    `data: ${JSON.stringify({ id: 'simulated', object: 'chat.completion.chunk', created: 0, model, choices, usage })}\n\n`;
  const says = (delta: object, finish: string | null = null): string =>
    chunk([{ index: 0, delta, finish_reason: finish }]);
  const [input, output] = [Math.ceil(bytes / TOKEN_BYTES), tokensOf(reply)];
  return {
    type: 'text/event-stream',
    said: [
      says({ role: 'assistant', content: '' }),
      ...reply.pieces.map((content) => says({ content })),
      ...reply.calls.map(({ id, name, arguments: given }, index) =>
        says({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: JSON.stringify(given) } }] }),
      ),
    ],
    end: [
      says({}, reply.calls.length > 0 ? 'tool_calls' : 'stop'),
      chunk([], { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }),
      'data: [DONE]\n\n',
    ],
  };
}

/** Ollama's chat. */
function ollamaStream({ model, bytes }: Asked, reply: Reply): Streamed {
  const line = (message: object, rest: object): string =>
    `${JSON.stringify({ model, created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content: '', ...message }, ...rest })}\n`;
  const counted = { prompt_eval_count: Math.ceil(bytes / TOKEN_BYTES), eval_count: tokensOf(reply) };
  return {
    type: 'application/x-ndjson',
    said: [
      ...reply.pieces.map((content) => line({ content }, { done: false })),
      ...reply.calls.map(({ name, arguments: given }) =>
        line({ tool_calls: [{ function: { name, arguments: given } }] }, { done: false }),
      ),
    ],
    end: [line({}, { done: true, done_reason: 'stop', ...counted })],
  };
}
