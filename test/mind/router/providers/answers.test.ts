/** What providers answer, in the neutral form; and what leaves for them, to the byte. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ModelRequest, ProviderEvent, StopReason } from '../../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../../src/mind/router/providers/index.ts';
import type { ProviderName } from '../../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../../src/substrate/policy/model.ts';
import type { Message, Part } from '../../../../src/substrate/transcript.ts';
import { Message as MessageSchema } from '../../../../src/substrate/transcript.ts';
import type { ProviderStub, StubAnswer } from '../../../support/provider-stub.ts';
import { startProviderStub } from '../../../support/provider-stub.ts';
import { PIXEL } from '../../../support/transcripts.ts';
import { issued, wrongWith } from '../../../support/wire-checks.ts';
import type { Streamed } from './rig.ts';
import { ASKED, asking, CANARY, ofType, streamOf, textOf } from './rig.ts';

let stub: ProviderStub;
beforeAll(async () => {
  stub = await startProviderStub();
});
afterAll(async () => {
  await stub.close();
});

async function answered(name: ProviderName, answer: StubAnswer, request: ModelRequest = ASKED): Promise<Streamed> {
  stub.next({ do: 'answer', answer });
  const streamed = await streamOf(name, { baseUrl: stub.baseUrl(name), request });
  expect(streamed.fault).toBeNull();
  return streamed;
}

function messageOf(streamed: Streamed): Message {
  const parts: Part[] = [];
  for (const event of streamed.events) {
    if (event.type === 'tool_call') parts.push(event.call);
    else if (event.type === 'opaque') parts.push(event.part);
    else if (event.type === 'text' && event.text !== '') parts.push({ type: 'text', text: event.text });
  }
  return MessageSchema.parse({ role: 'assistant', parts });
}

function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

const RICH: Message[] = [
  { role: 'system', parts: [{ type: 'text', text: 'Be brief. Ünïcödé 👩‍👩‍👧' }] },
  {
    role: 'user',
    parts: [
      { type: 'text', text: 'Look' },
      { type: 'image', media_type: 'image/png', data: PIXEL },
    ],
  },
  {
    role: 'assistant',
    parts: [
      { type: 'tool_call', id: 'call_1', name: 'run', arguments: '{"at":1}' },
      { type: 'tool_call', id: 'call_2', name: 'run', arguments: '{"at":2}' },
    ],
  },
  {
    role: 'tool',
    parts: [
      { type: 'tool_result', call: 'call_2', content: [{ type: 'text', text: 'second' }], status: 'error' },
      {
        type: 'tool_result',
        call: 'call_1',
        content: [
          { type: 'text', text: 'first' },
          { type: 'image', media_type: 'image/png', data: PIXEL },
        ],
        status: 'ok',
      },
    ],
  },
];

describe.each(PROVIDERS)('%s', (name) => {
  test('text, the model that answers, usage without what was cached, the end', async () => {
    const usage = {
      input: 7,
      output: 3,
      cached: name === 'local-ollama' ? 0 : 5,
      written: name === 'anthropic' ? 2 : 0,
    };
    const streamed = await answered(name, { text: ['Hé', 'llo 👩‍👩‍👧', ' '], usage });
    expect(textOf(streamed)).toBe('Héllo 👩‍👩‍👧 ');
    expect(streamed.events[0]).toEqual({ type: 'accepted' });
    expect(ofType(streamed, 'model')).toEqual([{ type: 'model', model: 'model-a' }]);
    expect(streamed.events.at(-1)).toEqual({
      type: 'end',
      stop: 'end',
      usage: { input: 7, output: 3, cachedInput: usage.cached, cacheWrite: usage.written },
    });
    expect(ofType(streamed, 'end')).toHaveLength(1);
  });

  test.each([
    ['absent', null],
    ['zero', { input: 0, output: 0 }],
  ])('usage that is %s is none', async (_, usage) => {
    const streamed = await answered(name, { text: ['x'], usage });
    expect(ofType(streamed, 'end')[0]?.usage).toBeNull();
  });

  test('parallel calls come whole, in order, under ids of our own that go back', async () => {
    const long = `x${'y'.repeat(449)}`;
    const given = name === 'gemini' || name === 'local-ollama' ? {} : { id: long };
    const calls = [
      { ...given, name: 'run', arguments: '{"path":"a b","n":[1,2.5,null],"deep":{"é":"\\n"}}' },
      { name: 'run', arguments: '{}' },
    ];
    const streamed = await answered(name, { text: ['I will'], calls, usage: { input: 1, output: 1 } });
    const called = ofType(streamed, 'tool_call');
    expect(called.map(({ call }) => call.name)).toEqual(['run', 'run']);
    expect(called.map(({ call }) => JSON.parse(call.arguments) as unknown)).toEqual(
      calls.map((call) => JSON.parse(call.arguments) as unknown),
    );
    expect(called[0]?.providerId).toBe(given.id ?? null);
    expect(new Set(called.map(({ call }) => call.id)).size).toBe(2);
    expect(ofType(streamed, 'tool_call_begun')).toHaveLength(2);
    expect(ofType(streamed, 'end')[0]?.stop).toBe('tool_calls');

    // The next turn, with the results, is one that the provider takes, under the same ids.
    const results = called.map(
      ({ call }): Part => ({
        type: 'tool_result',
        call: call.id,
        content: [{ type: 'text', text: 'ok' }],
        status: 'ok',
      }),
    );
    const next = asking(...ASKED.messages, messageOf(streamed), { role: 'tool', parts: results });
    expect(PROVIDER_MODULES[name].encode(next).losses).toEqual([]);
    await answered(name, {}, next);
    if (name !== 'local-ollama') for (const { call } of called) expect(stub.requests.at(-1)?.body).toContain(call.id);
    expect(stub.requests.at(-1)?.body).not.toContain(long);
  });

  test('the bytes that arrive are those that were priced; the credential stands in its header alone', async () => {
    const request: ModelRequest = { ...asking(...RICH), stop: ['END'] };
    const { body, losses } = PROVIDER_MODULES[name].encode(request);
    await answered(name, {}, request);
    const arrived = stub.requests.at(-1);
    expect(arrived?.body).toBe(body);
    expect(losses).toEqual([]);
    expect(body).not.toContain(CANARY);
    const {
      [{ anthropic: 'x-api-key', gemini: 'x-goog-api-key' }[name as 'gemini'] ?? 'authorization']: header,
      ...others
    } = arrived?.headers ?? {};
    expect(header).toContain(CANARY);
    expect(JSON.stringify(others)).not.toContain(CANARY);
    expect(arrived?.path).not.toContain(CANARY);
  });

  test('no credential, no header for one', async () => {
    stub.next({ do: 'answer' });
    await streamOf(name, { baseUrl: `${stub.baseUrl(name)}/`, credential: null });
    const { headers } = stub.requests.at(-1) ?? {};
    for (const header of ['x-api-key', 'authorization', 'x-goog-api-key']) expect(headers).not.toHaveProperty(header);
  });

  test('it is the same answer in whatever pieces its bytes arrive', async () => {
    const answer: StubAnswer = {
      text: ['Hé', 'llo 👩‍👩‍👧', '\n\n{"not": "data"}\n'],
      calls: [{ name: 'run', arguments: '{"é":"👋"}' }],
      usage: { input: 9, output: 3 },
    };
    const whole = await answered(name, answer);
    for (const size of [1, 2, 7, 1_000]) {
      stub.next({ do: 'answer', answer });
      const ask: typeof globalThis.fetch = async (...args) => {
        const response = await globalThis.fetch(...args);
        return new Response(inPieces(new Uint8Array(await response.arrayBuffer()), size), response);
      };
      expect((await streamOf(name, { baseUrl: stub.baseUrl(name), ask })).events).toEqual(whole.events);
    }
  });

  test('a call that the limit cut off is no call', async () => {
    if (name === 'gemini' || name === 'local-ollama') return;
    const calls = [
      { name: 'run', arguments: '{"at":1}' },
      { name: 'run', arguments: '{"at' },
    ];
    const stop = name === 'anthropic' ? 'max_tokens' : 'length';
    const streamed = await answered(name, { calls, stop, usage: { input: 1, output: 1 } });
    expect(ofType(streamed, 'tool_call')).toHaveLength(1);
    expect(ofType(streamed, 'end')[0]?.stop).toBe('max_tokens');
    stub.next({ do: 'answer', answer: { calls } });
    const torn = await streamOf(name, { baseUrl: stub.baseUrl(name) });
    expect(torn.fault?.kind).toBe('bad_chunk');
    expect(ofType(torn, 'tool_call')).toEqual([]);
  });

  test('a call by a name that no tool can have is not passed on', async () => {
    stub.next({ do: 'answer', answer: { calls: [{ name: 'rm -rf /', arguments: '{}' }] } });
    expect((await streamOf(name, { baseUrl: stub.baseUrl(name) })).fault?.kind).toBe('bad_chunk');
  });
});

const STOPS: readonly (readonly [ProviderName, string, StopReason])[] = [
  ['anthropic', 'end_turn', 'end'],
  ['anthropic', 'max_tokens', 'max_tokens'],
  ['anthropic', 'model_context_window_exceeded', 'max_tokens'],
  ['anthropic', 'stop_sequence', 'stop_sequence'],
  ['anthropic', 'pause_turn', 'paused'],
  ['anthropic', 'refusal', 'refusal'],
  ['nvidia', 'stop', 'end'],
  ['nvidia', 'length', 'max_tokens'],
  ['nvidia', 'content_filter', 'refusal'],
  ['gemini', 'STOP', 'end'],
  ['gemini', 'MAX_TOKENS', 'max_tokens'],
  ['gemini', 'SAFETY', 'refusal'],
  ['gemini', 'RECITATION', 'refusal'],
  ['local-ollama', 'stop', 'end'],
  ['local-ollama', 'length', 'max_tokens'],
];

test.each(STOPS)('%s: %s is %s', async (name, said, stop) => {
  expect(ofType(await answered(name, { text: ['x'], stop: said }), 'end')[0]?.stop).toBe(stop);
});

test('a tool whose name Gemini does not allow is called by its own name all the same', async () => {
  const tools = ['7zip', '_7zip', '-x'].map((name) => ({ name, description: '', parameters: '{}' }));
  const sent = JSON.parse(PROVIDER_MODULES.gemini.encode({ ...ASKED, tools }).body) as {
    tools: { functionDeclarations: { name: string }[] }[];
  };
  const names = sent.tools[0]?.functionDeclarations.map(({ name }) => name) ?? [];
  expect(names[1]).toBe('_7zip');
  const calls = names.map((name) => ({ name, arguments: '{}' }));
  const streamed = await answered('gemini', { calls }, { ...ASKED, tools });
  expect(ofType(streamed, 'tool_call').map(({ call }) => call.name)).toEqual(['7zip', '_7zip', '-x']);
});

test('what Anthropic adds to its events is passed over, and arguments may stand in a block’s beginning', async () => {
  const streamed = await answered('anthropic', { calls: [{ name: 'run', arguments: '' }] });
  expect(ofType(streamed, 'tool_call')).toMatchObject([{ call: { arguments: '{}' } }]);
});

test('Gemini: a failure of the model is no answer', async () => {
  for (const stop of ['MALFORMED_FUNCTION_CALL', 'OTHER', 'SOMETHING_NEW']) {
    stub.next({ do: 'answer', answer: { text: ['x'], stop } });
    const streamed = await streamOf('gemini', { baseUrl: stub.baseUrl('gemini') });
    expect(streamed.fault?.kind).toBe('stream_error');
    expect(ofType(streamed, 'end')).toEqual([]);
  }
});

describe('what belongs to its origin', () => {
  const thinking = (name: ProviderName, model = 'model-a'): StubAnswer['thinking'] & object => ({
    text: name === 'local-ollama' ? issued(name, model) : 'Let me see…',
    signature: issued(name, model),
  });

  async function turnOf(name: ProviderName): Promise<Message[]> {
    const call = { name: 'run', arguments: '{}', ...(name === 'gemini' && { signature: issued(name, 'model-a') }) };
    const streamed = await answered(name, { thinking: thinking(name), calls: [call] });
    const said = messageOf(streamed);
    expect(said.parts[0]?.type).toBe('opaque');
    const [called] = ofType(streamed, 'tool_call');
    const result: Part = { type: 'tool_result', call: called?.call.id ?? '', content: [], status: 'ok' };
    return [...ASKED.messages, said, { role: 'tool', parts: [result] }];
  }

  test.each(['anthropic', 'gemini', 'local-ollama'] as const)(
    '%s gets its own reasoning back, another model none of it',
    async (name) => {
      const messages = await turnOf(name);
      const own = asking(...messages);
      expect(PROVIDER_MODULES[name].encode(own).losses).toEqual([]);
      await answered(name, {}, own);
      expect(stub.requests.at(-1)?.body).toContain(issued(name, 'model-a'));

      const other = { ...own, model: 'model-b' };
      expect(PROVIDER_MODULES[name].encode(other).losses).toContainEqual({
        message: 1,
        what: 'opaque reasoning of another model',
      });
      await answered(name, {}, other);
      expect(stub.requests.at(-1)?.body).not.toContain(issued(name, 'model-a'));
    },
  );

  test('a Gemini call that comes from elsewhere carries the sentinel for transferred history', async () => {
    const messages = await turnOf('anthropic');
    await answered('gemini', {}, asking(...messages));
    expect(stub.requests.at(-1)?.body).toContain('"thoughtSignature":"skip_thought_signature_validator"');
  });

  test('every format takes what every other one said', async () => {
    for (const from of PROVIDERS) {
      const messages = from === 'nvidia' ? RICH : await turnOf(from);
      for (const to of PROVIDERS) await answered(to, {}, asking(...messages));
    }
  });
});

describe('histories that were not finished', () => {
  const call: Part = { type: 'tool_call', id: 'open', name: 'run', arguments: '{}' };
  const said = (...parts: Part[]): Message => ({ role: 'assistant', parts });
  const cases: Record<string, Message[]> = {
    'an orphan call': [...ASKED.messages, said(call)],
    'an orphan call, and the talk goes on': [...ASKED.messages, said(call), ...ASKED.messages],
    'an orphan result': [
      ...ASKED.messages,
      { role: 'tool', parts: [{ type: 'tool_result', call: 'none', content: [], status: 'ok' }] },
    ],
    'an aborted turn': [...ASKED.messages, said(), ...ASKED.messages],
    'an answer that was cut': [...ASKED.messages, said({ type: 'text', text: 'Half a sen' })],
    'nothing but a system message': [{ role: 'system', parts: [{ type: 'text', text: 'x' }] }],
    'the assistant first': [said({ type: 'text', text: 'Hello' }), ...ASKED.messages],
    'an id that comes twice': [
      ...ASKED.messages,
      said(call, call),
      { role: 'tool', parts: [{ type: 'tool_result', call: 'open', content: [], status: 'ok' }] },
    ],
  };

  test.each(Object.entries(cases))('%s', async (what, messages) => {
    for (const name of PROVIDERS) {
      await answered(name, {}, asking(...messages));
      expect(PROVIDER_MODULES[name].encode(asking(...messages)).losses, `${name}: ${what}`).not.toEqual([]);
    }
  });

  test('results go to calls of one id in order, and one too many is listed', () => {
    const result = (text: string): Part => ({
      type: 'tool_result',
      call: 'open',
      content: [{ type: 'text', text }],
      status: 'ok',
    });
    const twice = [
      ...ASKED.messages,
      said(call, call),
      { role: 'tool' as const, parts: [result('one'), result('two')] },
    ];
    const encoded = PROVIDER_MODULES.nvidia.encode(asking(...twice));
    expect(encoded.losses).toEqual([]);
    const { messages } = JSON.parse(encoded.body) as { messages: { tool_call_id?: string; content: string }[] };
    expect(messages.slice(2).map(({ tool_call_id: id, content }) => [id, content])).toEqual([
      ['open', 'one'],
      ['open_2', 'two'],
    ]);
    const thrice = [...twice, { role: 'tool' as const, parts: [result('three')] }];
    const { body, losses } = PROVIDER_MODULES.nvidia.encode(asking(...thrice));
    expect(losses).toEqual([{ message: 3, what: 'a tool result without an open call' }]);
    expect(body).not.toContain('three');
  });

  test('a late result does not answer for a call that another answer stands behind', () => {
    const late: Message[] = [
      ...ASKED.messages,
      said(call),
      said({ type: 'text', text: 'Waiting.' }),
      {
        role: 'tool',
        parts: [{ type: 'tool_result', call: 'open', content: [{ type: 'text', text: 'too late' }], status: 'ok' }],
      },
    ];
    const { body, losses } = PROVIDER_MODULES.anthropic.encode(asking(...late));
    expect(wrongWith('anthropic', body)).toEqual([]);
    expect(losses.map(({ message }) => message)).toEqual(expect.arrayContaining([1, 3]));
    expect(body).toContain('"is_error":true');
  });
});

describe('Ollama’s context', () => {
  const words = 'word '.repeat(2_000);

  test('it is sized for the prompt and the answer', () => {
    const { body } = PROVIDER_MODULES['local-ollama'].encode({
      ...asking({ role: 'user', parts: [{ type: 'text', text: words }] }),
      maxOutputTokens: 8_000,
    });
    expect((JSON.parse(body) as { options: unknown }).options).toEqual({ num_ctx: 32_768, num_predict: 8_000 });
  });

  test.each([
    [1_999, 'truncated'],
    [1, 'truncated'],
    [2_000, null],
    [2_700, null],
    [0, null],
  ])('a prompt of 2,000 words that counts %i tokens: %s', async (input, kind) => {
    const request = asking({ role: 'user', parts: [{ type: 'text', text: words }] });
    stub.next({ do: 'answer', answer: { text: ['x'], usage: { input, output: 1 } } });
    const streamed = await streamOf('local-ollama', { baseUrl: stub.baseUrl('local-ollama'), request });
    expect(streamed.fault?.kind ?? null).toBe(kind);
    if (kind === null) expect(ofType(streamed, 'end')[0]?.usage === null).toBe(input === 0);
    else expect(ofType(streamed, 'end')).toEqual([]);
  });

  test('an image’s text is sent, never taken for the name of a file', async () => {
    const name = 'package1json'; // base64, and a name as good as any
    const request = asking({ role: 'user', parts: [{ type: 'image', media_type: 'image/png', data: name }] });
    await answered('local-ollama', {}, request);
    expect(stub.requests.at(-1)?.body).toContain(`"images":["${name}"]`);
  });
});

test.each(PROVIDERS)('%s: a finished answer leaves its connection, whoever hangs up at its end', async (name) => {
  await using own = await startProviderStub();
  for (let time = 0; time < 8; time += 1) {
    const control = new AbortController();
    const { promise: ends, resolve: end } = Promise.withResolvers<void>();
    own.next({ do: 'answer', ends });
    const onEvent = ({ type }: ProviderEvent): void => {
      if (type !== 'end') return;
      control.abort();
      setImmediate(end);
    };
    const streamed = await streamOf(name, { baseUrl: own.baseUrl(name), signal: control.signal, onEvent });
    expect(streamed.fault).toBeNull();
  }
  expect(own.requests).toHaveLength(8);
  // A pool may open a second one while the first is just becoming free.
  expect(own.connections()).toBeLessThanOrEqual(2);
});

test('Ollama’s last line may lack its end; a torn one is a cut that nobody is told the text of', async () => {
  const [first, last] = ['{"message":{"content":"x"}}', '{"done":true,"done_reason":"stop"}'];
  for (const [body, kind] of [
    [`${first}\n${last}`, null],
    [`${first}\n${last.slice(0, -1)}`, 'cut'],
  ] as const) {
    const ask = (): Promise<Response> => Promise.resolve(new Response(body));
    const { fault } = await streamOf('local-ollama', { baseUrl: 'http://127.0.0.1:9', ask });
    expect(fault?.kind ?? null).toBe(kind);
  }
});

describe('nothing comes from the environment', () => {
  const ELSEWHERE = 'http://127.0.0.1:9/elsewhere';
  const POISON: Record<string, string> = {
    ANTHROPIC_API_KEY: 'poison',
    ANTHROPIC_AUTH_TOKEN: 'poison',
    ANTHROPIC_BASE_URL: ELSEWHERE,
    ANTHROPIC_CUSTOM_HEADERS: 'x-poison: poison',
    ANTHROPIC_LOG: 'debug',
    OPENAI_API_KEY: 'poison',
    OPENAI_ADMIN_KEY: 'poison',
    OPENAI_BASE_URL: ELSEWHERE,
    OPENAI_ORG_ID: 'poison',
    OPENAI_PROJECT_ID: 'poison',
    OPENAI_CUSTOM_HEADERS: 'x-poison: poison',
    OPENAI_LOG: 'debug',
    GOOGLE_API_KEY: 'poison',
    GEMINI_API_KEY: 'poison',
    GOOGLE_GEMINI_BASE_URL: ELSEWHERE,
    GOOGLE_VERTEX_BASE_URL: ELSEWHERE,
    GOOGLE_GENAI_USE_VERTEXAI: 'true',
    GOOGLE_GENAI_API_VERSION: 'v9',
    GOOGLE_CLOUD_PROJECT: 'poison',
    GOOGLE_CLOUD_LOCATION: 'poison',
    OLLAMA_HOST: ELSEWHERE,
    OLLAMA_API_KEY: 'poison',
    HTTP_PROXY: ELSEWHERE,
    HTTPS_PROXY: ELSEWHERE,
  };
  const before = { ...process.env };
  beforeEach(() => {
    Object.assign(process.env, POISON);
    return () => {
      for (const name of Object.keys(POISON)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    };
  });

  test.each(PROVIDERS)('%s: the same request, and an answer that is read', async (name) => {
    for (const credential of [CANARY, null]) {
      stub.next({ do: 'answer', answer: { text: ['fine'] } });
      const streamed = await streamOf(name, { baseUrl: stub.baseUrl(name), credential });
      expect(streamed.fault).toBeNull();
      expect(textOf(streamed)).toBe('fine');
      expect(JSON.stringify(stub.requests.at(-1))).not.toContain('poison');
    }
  });
});
