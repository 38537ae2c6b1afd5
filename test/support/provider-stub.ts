/**
 * A provider on loopback that speaks all four wire formats, strictly: what the real one refuses it
 * answers with 400 (see `wire-checks.ts`). It does what `@copilotkit/aimock` does not: a clean end
 * without a terminal marker, a stall at a chosen place, a bad chunk, an error inside the stream, cached
 * tokens, signatures, images.
 *
 * Every request is on record as the bytes that arrived.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ProviderName } from '../../src/substrate/policy/model.ts';
import { wrongWith } from './wire-checks.ts';

/** What a model says, in no format. */
export interface StubAnswer {
  /** Pieces of text, in order. */
  readonly text?: readonly string[];
  /** `arguments` is JSON text; `signature` is Gemini's. */
  readonly calls?: readonly {
    readonly id?: string;
    readonly name: string;
    readonly arguments: string;
    readonly signature?: string;
  }[];
  /** Anthropic's thinking with its signature, or Ollama's. */
  readonly thinking?: { readonly text: string; readonly signature: string };
  /** The provider's own stop reason, where it is not what follows from the answer. */
  readonly stop?: string;
  /** Null: none is reported. `input` is without what was cached. */
  readonly usage?: {
    readonly input: number;
    readonly output: number;
    readonly cached?: number;
    readonly written?: number;
  } | null;
}

export type Behaviour =
  /** `ends`: the end of the body waits for it, as on a network where that comes later than the last chunk. */
  | { readonly do: 'answer'; readonly answer?: StubAnswer; readonly ends?: Promise<void> }
  | {
      readonly do: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** Sends so many chunks, the terminal marker never, and then nothing more; -1: not even the headers. */
  | { readonly do: 'stall'; readonly after: number; readonly answer?: StubAnswer }
  /** Sends so many chunks, the terminal marker never, and breaks the connection. */
  | { readonly do: 'cut'; readonly after: number; readonly answer?: StubAnswer }
  /** Ends cleanly before the terminal marker. */
  | { readonly do: 'clean_end'; readonly answer?: StubAnswer }
  | { readonly do: 'bad_chunk'; readonly after: number; readonly answer?: StubAnswer }
  | { readonly do: 'stream_error'; readonly after: number; readonly answer?: StubAnswer; readonly message?: string };

export interface StubRequest {
  readonly provider: ProviderName;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ProviderStub extends AsyncDisposable {
  /** What a target's `base_url` would be. */
  readonly baseUrl: (provider: ProviderName) => string;
  readonly requests: readonly StubRequest[];
  /** How many connections were made. */
  readonly connections: () => number;
  /** What the next requests meet, in order; after them {@link Behaviour} `answer`. */
  readonly next: (...behaviours: Behaviour[]) => void;
  /** Resolves when so many connections of stalled answers have been closed by the other side. */
  readonly hungUp: (count: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const HELLO: StubAnswer = { text: ['Hel', 'lo'], usage: { input: 10, output: 2 } };

/** Decides what a request meets, where {@link ProviderStub.next} has nothing for it; null for an answer. */
export type Decide = (request: StubRequest) => Promise<Behaviour | null>;

export async function startProviderStub(decide: Decide = () => Promise.resolve(null)): Promise<ProviderStub> {
  const requests: StubRequest[] = [];
  const queue: Behaviour[] = [];
  let hangups = 0;
  const waiting: { count: number; resolve: () => void }[] = [];
  const onHangup = (): void => {
    hangups += 1;
    for (const { count, resolve } of waiting) if (hangups >= count) resolve();
  };
  const server = createServer((incoming, outgoing) => {
    void receive(incoming).then(async (body) => {
      const path = incoming.url ?? '';
      const provider = providerOf(path);
      if (provider === null) return refuse(outgoing, 404, 'no such path');
      const request = { provider, path, headers: incoming.headers, body };
      requests.push(request);
      const wrong = wrongWith(provider, body, path);
      if (wrong.length > 0) return refuse(outgoing, 400, wrong.join('; '));
      const model =
        provider === 'gemini'
          ? (/models\/([^/:]+):/.exec(path)?.[1] ?? '')
          : (JSON.parse(body) as { model: string }).model;
      const behaviour = queue.shift() ?? (await decide(request)) ?? { do: 'answer' };
      return behave(outgoing, { provider, model, behaviour, onHangup });
    });
  });
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  };
  return {
    baseUrl: (provider) => `http://127.0.0.1:${port}/${provider}`,
    requests,
    connections: () => connections,
    next: (...behaviours) => void queue.push(...behaviours),
    hungUp: (count) =>
      new Promise((resolve) => {
        waiting.push({ count, resolve });
        if (hangups >= count) resolve();
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const PATHS: Readonly<Record<ProviderName, RegExp>> = {
  anthropic: /^\/anthropic\/v1\/messages$/,
  nvidia: /^\/nvidia\/chat\/completions$/,
  gemini: /^\/gemini\/v1beta\/models\/[^/]+:streamGenerateContent\?alt=sse$/,
  'local-ollama': /^\/local-ollama\/api\/chat$/,
};

function providerOf(path: string): ProviderName | null {
  return (Object.keys(PATHS) as ProviderName[]).find((name) => PATHS[name].test(path)) ?? null;
}

async function receive(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }));
}

interface Scene {
  readonly provider: ProviderName;
  readonly model: string;
  readonly behaviour: Behaviour;
  readonly onHangup: () => void;
}

function behave(outgoing: ServerResponse, { provider, model, behaviour, onHangup }: Scene): void {
  if (behaviour.do === 'status') {
    const headers = { 'content-type': 'application/json', ...behaviour.headers };
    outgoing.writeHead(behaviour.status, headers).end(behaviour.body ?? '{}');
    return;
  }
  const { said, terminal } = chunksOf(provider, model, behaviour.answer ?? HELLO);
  const all = [...said, ...terminal];
  if (behaviour.do === 'stall') outgoing.once('close', onHangup);
  if (behaviour.do === 'stall' && behaviour.after < 0) return;
  const type = provider === 'local-ollama' ? 'application/x-ndjson' : 'text/event-stream';
  outgoing.writeHead(200, { 'content-type': type });
  outgoing.flushHeaders();
  if (behaviour.do === 'answer') {
    outgoing.write(all.join(''));
    void (behaviour.ends ?? Promise.resolve()).then(() => outgoing.end());
  } else if (behaviour.do === 'clean_end') {
    outgoing.end(said.join(''));
  } else if (behaviour.do === 'bad_chunk') {
    outgoing.end([...all.slice(0, behaviour.after), BAD[provider], ...all.slice(behaviour.after)].join(''));
  } else if (behaviour.do === 'stream_error') {
    outgoing.end([...all.slice(0, behaviour.after), errorChunk(provider, behaviour.message ?? 'overloaded')].join(''));
  } else {
    // Never with the terminal marker: what has that is whole.
    const chunks = said.slice(0, behaviour.after).join('');
    if (behaviour.do === 'stall') outgoing.write(chunks);
    // The chunks arrive before the connection breaks.
    else if (chunks === '') outgoing.destroy();
    else outgoing.write(chunks, () => setImmediate(() => outgoing.destroy()));
  }
}

// ---------------------------------------------------------------------------------------------
// The four formats

function event(name: string | null, data: unknown): string {
  return `${name === null ? '' : `event: ${name}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

const BAD: Readonly<Record<ProviderName, string>> = {
  anthropic: event('content_block_delta', '{"type":"content_block_delta","index":0,"del'),
  nvidia: event(null, '{"choices":[{"del'),
  gemini: event(null, '{"candidates":[{"con'),
  'local-ollama': '{"message":{"con\n',
};

function errorChunk(provider: ProviderName, message: string): string {
  if (provider === 'anthropic') return event('error', { type: 'error', error: { type: 'overloaded_error', message } });
  if (provider === 'nvidia') return event(null, { error: { message, type: 'server_error', code: 500 } });
  if (provider === 'gemini') return event(null, { error: { code: 503, message, status: 'UNAVAILABLE' } });
  return `${JSON.stringify({ error: message })}\n`;
}

interface Chunks {
  readonly said: readonly string[];
  /** The terminal marker and what belongs to it. */
  readonly terminal: readonly string[];
}

/** An answer as the provider streams it. */
function chunksOf(provider: ProviderName, model: string, answer: StubAnswer): Chunks {
  return FORMATS[provider](model, answer);
}

/** Text in pieces, as tokens come. */
function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,7}/g) ?? [];
}

const FORMATS: Readonly<Record<ProviderName, (model: string, answer: StubAnswer) => Chunks>> = {
  anthropic: anthropicChunks,
  nvidia: nvidiaChunks,
  gemini: geminiChunks,
  'local-ollama': ollamaChunks,
};

function anthropicChunks(model: string, { text = [], calls = [], thinking, stop, usage }: StubAnswer): Chunks {
  let index = -1;
  const block = (content: unknown, deltas: readonly unknown[]): string[] => {
    index += 1;
    return [
      event('content_block_start', { type: 'content_block_start', index, content_block: content }),
      ...deltas.map((delta) => event('content_block_delta', { type: 'content_block_delta', index, delta })),
      event('content_block_stop', { type: 'content_block_stop', index }),
    ];
  };
  const counted = usage && {
    input_tokens: usage.input,
    cache_read_input_tokens: usage.cached ?? 0,
    cache_creation_input_tokens: usage.written ?? 0,
    output_tokens: 1,
  };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], stop_reason: null };
  const said = [
    event('message_start', { type: 'message_start', message: { ...message, ...(counted && { usage: counted }) } }),
    event('ping', { type: 'ping' }),
    ...(thinking
      ? block({ type: 'thinking', thinking: '', signature: '' }, [
          ...pieces(thinking.text).map((piece) => ({ type: 'thinking_delta', thinking: piece })),
          { type: 'signature_delta', signature: thinking.signature },
        ])
      : []),
    ...(text.length > 0
      ? block(
          { type: 'text', text: '' },
          text.map((piece) => ({ type: 'text_delta', text: piece })),
        )
      : []),
    ...calls.flatMap((call, place) =>
      block(
        { type: 'tool_use', id: call.id ?? `toolu_${place}`, name: call.name, input: {} },
        pieces(call.arguments).map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
      ),
    ),
  ];
  const reason = stop ?? (calls.length > 0 ? 'tool_use' : 'end_turn');
  const delta = { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null } };
  return {
    said: [...said, event('message_delta', { ...delta, ...(usage && { usage: { output_tokens: usage.output } }) })],
    terminal: [event('message_stop', { type: 'message_stop' })],
  };
}

function nvidiaChunks(model: string, { text = [], calls = [], stop, usage }: StubAnswer): Chunks {
  const chunk = (delta: unknown, finish: string | null = null): string =>
    event(null, {
      id: 'c1',
      object: 'chat.completion.chunk',
      created: 1,
      model,
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
  const said = [
    chunk({ role: 'assistant', content: '' }),
    ...text.map((content) => chunk({ content })),
    ...calls.flatMap((call, index) => [
      chunk({
        tool_calls: [
          {
            index,
            id: call.id ?? `chatcmpl-tool-${index}`,
            type: 'function',
            function: { name: call.name, arguments: '' },
          },
        ],
      }),
      ...pieces(call.arguments).map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
  ];
  const counted = usage && {
    prompt_tokens: usage.input + (usage.cached ?? 0),
    completion_tokens: usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached ?? 0 },
  };
  const last = { id: 'c1', object: 'chat.completion.chunk', created: 1, model, choices: [], usage: counted };
  return {
    said,
    terminal: [
      chunk({}, stop ?? (calls.length > 0 ? 'tool_calls' : 'stop')),
      ...(counted ? [event(null, last)] : []),
      event(null, '[DONE]'),
    ],
  };
}

function geminiChunks(model: string, { text = [], calls = [], stop, usage }: StubAnswer): Chunks {
  const chunk = (parts: readonly unknown[], rest: object = {}): string =>
    event(null, { candidates: [{ content: { role: 'model', parts }, index: 0, ...rest }], modelVersion: model });
  const said = [
    ...text.map((piece) => chunk([{ text: piece }])),
    ...calls.map((call) =>
      chunk([
        {
          functionCall: {
            ...(call.id !== undefined && { id: call.id }),
            name: call.name,
            args: JSON.parse(call.arguments) as unknown,
          },
          ...(call.signature !== undefined && { thoughtSignature: call.signature }),
        },
      ]),
    ),
  ];
  const counted = usage && {
    promptTokenCount: usage.input + (usage.cached ?? 0),
    candidatesTokenCount: usage.output,
    cachedContentTokenCount: usage.cached ?? 0,
  };
  const last = {
    candidates: [{ content: { role: 'model', parts: [{ text: '' }] }, finishReason: stop ?? 'STOP', index: 0 }],
    modelVersion: model,
    ...(counted && { usageMetadata: counted }),
  };
  return { said, terminal: [event(null, last)] };
}

function ollamaChunks(model: string, { text = [], calls = [], thinking, stop, usage }: StubAnswer): Chunks {
  const chunk = (message: object, rest: object = { done: false }): string =>
    `${JSON.stringify({ model, created_at: '2026-11-21T07:00:00Z', message: { role: 'assistant', content: '', ...message }, ...rest })}\n`;
  const said = [
    ...(thinking ? pieces(thinking.text).map((piece) => chunk({ thinking: piece })) : []),
    ...text.map((content) => chunk({ content })),
    ...calls.map((call) =>
      chunk({ tool_calls: [{ function: { name: call.name, arguments: JSON.parse(call.arguments) as unknown } }] }),
    ),
  ];
  const counted = usage && { prompt_eval_count: usage.input, eval_count: usage.output };
  return { said, terminal: [chunk({}, { done: true, done_reason: stop ?? 'stop', ...counted })] };
}
