/** The official `@anthropic-ai/sdk` client against what the gateway writes. */
import {
  APIError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  ContentTooLargeError,
  InternalServerError,
  NotFoundError,
  OverloadedError,
  PermissionDeniedError,
  RateLimitError,
} from '@anthropic-ai/sdk';
import { describe, expect, test } from 'vitest';
import { anthropic } from '../../../../src/doors/gateway/anthropic/wire.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { SeedError } from '../../../../src/errors.ts';
import type { Opaque } from '../../../../src/substrate/transcript.ts';
import { PIXEL } from '../../../support/transcripts.ts';
import type { Script } from '../wire-rig.ts';
import { all, anthropicClient, broken, CALL_A, CALL_B, complete, ROLE, said, serve } from '../wire-rig.ts';

const TEXT = { type: 'text', text: 'Grüße 👩‍👩‍👧‍👦 from "here"\n\nevent: message_stop' } as const;
const BODY = { model: ROLE, max_tokens: 64, messages: [{ role: 'user' as const, content: 'Hello' }] };

/** What the engine keeps of a thought of `model`. */
function thought(block: object, model = ROLE, provider = 'anthropic'): Opaque {
  return { type: 'opaque', provider, model, api: 'messages', data: JSON.stringify(block) };
}
const THINKING = { type: 'thinking', thinking: 'Let me see …', signature: 'c2ln' };
const REDACTED = { type: 'redacted_thinking', data: 'cmVk' };

function answering(parts: Parameters<typeof complete>[0], outcome?: Parameters<typeof complete>[1]): Script {
  return { events: said(parts), end: complete(parts, outcome) };
}

describe('an answer', () => {
  test('of text, whole and streamed', async () => {
    const served = serve(anthropic, answering([TEXT]));
    const client = anthropicClient(served);
    const whole = await client.messages.create(BODY);
    const streamed = await client.messages.stream(BODY).finalMessage();
    for (const got of [whole, streamed]) {
      expect(got).toMatchObject({
        id: 'msg_c1',
        type: 'message',
        role: 'assistant',
        model: ROLE,
        content: [{ type: 'text', text: TEXT.text }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 3, cache_creation_input_tokens: 2 },
      });
    }
    expect(streamed.content).toHaveLength(1);
  });

  test('is streamed in the order that the API documents', async () => {
    const parts = [thought(THINKING), TEXT, CALL_A];
    const served = serve(anthropic, answering(parts));
    const events = await all(await anthropicClient(served).messages.create({ ...BODY, stream: true }));
    const kinds = events.map((event) => {
      if (event.type === 'content_block_start') return `start ${event.index} ${event.content_block.type}`;
      if (event.type === 'content_block_delta') return `${event.delta.type} ${event.index}`;
      return event.type === 'content_block_stop' ? `stop ${event.index}` : event.type;
    });
    expect([...new Set(kinds)]).toEqual([
      'message_start',
      'start 0 thinking',
      'thinking_delta 0',
      'signature_delta 0',
      'stop 0',
      'start 1 text',
      'text_delta 1',
      'stop 1',
      'start 2 tool_use',
      'input_json_delta 2',
      'stop 2',
      'message_delta',
      'message_stop',
    ]);
    const once = kinds.filter((kind) => !kind.startsWith('text_delta'));
    expect(once).toHaveLength(new Set(once).size);
  });

  test('with calls, whole and streamed: each once, whole, in order', async () => {
    const served = serve(anthropic, answering([TEXT, CALL_A, CALL_B]));
    const client = anthropicClient(served);
    for (const got of [await client.messages.create(BODY), await client.messages.stream(BODY).finalMessage()]) {
      expect(got.stop_reason).toBe('tool_use');
      expect(got.content).toMatchObject([
        { type: 'text', text: TEXT.text },
        { type: 'tool_use', id: CALL_A.id, name: 'read_file', input: JSON.parse(CALL_A.arguments) as unknown },
        { type: 'tool_use', id: CALL_B.id, name: 'run', input: {} },
      ]);
      expect(got.content).toHaveLength(3);
    }
  });

  test('of nothing has no content', async () => {
    const client = anthropicClient(serve(anthropic, answering([])));
    expect((await client.messages.create(BODY)).content).toEqual([]);
    expect((await client.messages.stream(BODY).finalMessage()).content).toEqual([]);
  });

  test.each([
    ['end', 'end_turn'],
    ['max_tokens', 'max_tokens'],
    ['stop_sequence', 'stop_sequence'],
    ['refusal', 'refusal'],
    ['paused', 'pause_turn'],
  ])('that ended with %s says %s', async (stop, reason) => {
    const client = anthropicClient(serve(anthropic, answering([TEXT], { stop })));
    expect((await client.messages.create(BODY)).stop_reason).toBe(reason);
    expect((await client.messages.stream(BODY).finalMessage()).stop_reason).toBe(reason);
  });

  test.each([
    [['END'], 'stop_sequence', 'END'],
    [['END', 'STOP'], 'stop_sequence', null],
    [['END'], 'end', null],
  ])('that had %j to end it and ended with %s says %j', async (sequences, stop, expected) => {
    const client = anthropicClient(serve(anthropic, answering([TEXT], { stop })));
    const body = { ...BODY, stop_sequences: sequences };
    expect((await client.messages.create(body)).stop_sequence).toBe(expected);
    expect((await client.messages.stream(body).finalMessage()).stop_sequence).toBe(expected);
  });

  test('whose usage nobody knows counts nothing', async () => {
    const client = anthropicClient(serve(anthropic, answering([TEXT], { usage: null })));
    expect((await client.messages.create(BODY)).usage).toMatchObject({ input_tokens: 0, output_tokens: 0 });
    expect((await client.messages.stream(BODY).finalMessage()).usage).toMatchObject({ output_tokens: 0 });
  });

  test('has the thoughts of the very model that was asked, and of no other', async () => {
    const parts = [
      thought(THINKING),
      thought(REDACTED),
      thought({ ...THINKING, thinking: 'another model’s' }, 'other'),
      thought({ ...THINKING, thinking: 'another provider’s' }, ROLE, 'gemini'),
      thought({ unknown: 'another form' }),
      TEXT,
    ];
    const served = serve(anthropic, answering(parts));
    const client = anthropicClient(served);
    for (const got of [await client.messages.create(BODY), await client.messages.stream(BODY).finalMessage()]) {
      expect(got.content).toMatchObject([THINKING, REDACTED, { type: 'text' }]);
      expect(got.content).toHaveLength(3);
    }
    expect(served.answered.join('')).not.toContain('another');
  });

  test('of which nothing was said yet is kept alive, and goes on', () => {
    const encoder = anthropic.stream({ id: 'c1', model: ROLE, createdAt: 0, includeUsage: true });
    expect(encoder.on({ type: 'accepted' }) + encoder.on({ type: 'text', text: '' })).toBe('');
    expect(encoder.begun).toBe(false);
    expect(encoder.ping()).toMatch(/^event: message_start\n.*\n\nevent: ping\n/);
    expect(encoder.begun).toBe(true);
    expect(encoder.ping()).toMatch(/^event: ping\n/);
    expect(encoder.on({ type: 'text', text: 'x' })).toMatch(/^event: content_block_start\n/);
  });
});

describe('an answer that was cut', () => {
  const half = { type: 'text', text: 'Half of' } as const;

  test('is an error where no stream was asked for', async () => {
    const client = anthropicClient(serve(anthropic, { events: [], end: broken({ status: 'incomplete' }, [half]) }));
    const thrown = await client.messages.create(BODY).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(InternalServerError);
    expect(thrown).toMatchObject({ status: 502, type: 'api_error' });
  });

  test.each([
    ['text', [half]],
    ['a call', [half, CALL_A]],
  ])('behind %s throws in the middle of a stream, which has no end', async (_what, parts) => {
    const served = serve(anthropic, { events: said(parts), end: broken({ status: 'incomplete' }, parts) });
    const client = anthropicClient(served);
    const thrown = await client.messages
      .stream(BODY)
      .finalMessage()
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(APIError);
    expect((thrown as APIError).type).toBe('api_error');
    expect(served.answered[0]).toContain('"Hal"');
    expect(served.answered[0]).not.toContain('message_stop');
    expect(served.answered[0]).not.toContain('message_delta');
  });

  test('before it said anything is an error of HTTP', async () => {
    const end = broken({
      status: 'refused',
      code: 'over_ceiling',
      message: 'Over the ceiling day.',
      retry_after_s: 90,
    });
    const client = anthropicClient(serve(anthropic, { events: [{ type: 'accepted' }], end }));
    await expect(client.messages.stream(BODY).finalMessage()).rejects.toThrow(RateLimitError);
  });
});

describe('an error', () => {
  test.each([
    ['unauthenticated', AuthenticationError, 'authentication_error'],
    ['forbidden', PermissionDeniedError, 'permission_error'],
    ['no_route', NotFoundError, 'not_found_error'],
    ['invalid_input', BadRequestError, 'invalid_request_error'],
    ['too_large', ContentTooLargeError, 'request_too_large'],
    ['conflict', ConflictError, 'invalid_request_error'],
    ['over_ceiling', RateLimitError, 'rate_limit_error'],
    ['busy', OverloadedError, 'overloaded_error'],
    ['no_candidate', OverloadedError, 'overloaded_error'],
    ['provider_failed', InternalServerError, 'api_error'],
  ] as const)('%s is one that the client knows', async (code: ErrorCode, kind, type) => {
    const error = new SeedError(code, 'It was so.', { hint: 'Do that.', data: { retry_after_s: 7 } });
    const client = anthropicClient(serve(anthropic, error));
    const thrown = await client.messages.create(BODY).catch((caught: unknown) => caught);
    expect(thrown).toBeInstanceOf(kind);
    expect(thrown).toMatchObject({ type, apiMessage: 'It was so. Do that.', error: { error: { seed: { code } } } });
    expect((thrown as APIError).headers?.get('retry-after')).toBe('7');
  });

  test('of a last attempt that was overloaded is the API’s own 529', async () => {
    const attempt = { target: 't', model: 'm', outcome: 'failed', why: null, receipt: 1, cost_micro_usd: 0 } as const;
    const end = broken({ attempts: [{ ...attempt, code: 'overloaded' }] });
    const client = anthropicClient(serve(anthropic, { events: [], end }));
    await expect(client.messages.create(BODY)).rejects.toMatchObject({ status: 529, type: 'overloaded_error' });
  });
});

describe('a request of the client', () => {
  test('comes over whole, as an agent writes it', async () => {
    const cached = { cache_control: { type: 'ephemeral' as const } };
    const served = serve(anthropic, answering([TEXT]));
    const stream = anthropicClient(served).beta.messages.stream({
      model: ROLE,
      max_tokens: 32_000,
      temperature: 1,
      thinking: { type: 'adaptive' },
      context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
      output_config: { effort: 'high' },
      metadata: { user_id: 'u-1' },
      stop_sequences: ['END'],
      betas: ['context-management-2025-06-27'],
      system: [
        { type: 'text', text: 'Be brief.', ...cached },
        { type: 'text', text: 'And kind.' },
      ],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?', ...cached },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
            {
              type: 'document',
              title: 'Notes',
              source: { type: 'text', media_type: 'text/plain', data: 'It is old.' },
            },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Let me see …', signature: 'c2ln' },
            { type: 'redacted_thinking', data: 'cmVk' },
            { type: 'text', text: 'I look.' },
            { type: 'tool_use', id: 'toolu_01', name: 'read_file', input: { path: 'x' } },
          ],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'toolu_01',
              is_error: true,
              content: [
                { type: 'text', text: 'A pixel.' },
                { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
              ],
              ...cached,
            },
            { type: 'text', text: 'And now?' },
          ],
        },
      ],
      tools: [
        {
          name: 'read_file',
          description: 'Reads.',
          input_schema: { type: 'object', properties: { path: { type: 'string' } } },
          eager_input_streaming: true,
        },
      ],
    });
    await stream.finalMessage();
    expect(served.asked[0]).toEqual({
      model: ROLE,
      stream: true,
      includeUsage: true,
      request: {
        messages: [
          {
            role: 'system',
            parts: [
              { type: 'text', text: 'Be brief.' },
              { type: 'text', text: 'And kind.' },
            ],
          },
          {
            role: 'user',
            parts: [
              { type: 'text', text: 'What is this?' },
              { type: 'image', media_type: 'image/png', data: PIXEL },
              { type: 'text', text: 'Notes\n\nIt is old.' },
            ],
          },
          {
            role: 'assistant',
            parts: [
              thought(THINKING),
              thought(REDACTED),
              { type: 'text', text: 'I look.' },
              { type: 'tool_call', id: 'toolu_01', name: 'read_file', arguments: '{"path":"x"}' },
            ],
          },
          {
            role: 'tool',
            parts: [
              {
                type: 'tool_result',
                call: 'toolu_01',
                content: [
                  { type: 'text', text: 'A pixel.' },
                  { type: 'image', media_type: 'image/png', data: PIXEL },
                ],
                status: 'error',
              },
            ],
          },
          { role: 'user', parts: [{ type: 'text', text: 'And now?' }] },
        ],
        tools: [
          {
            name: 'read_file',
            description: 'Reads.',
            parameters: '{"type":"object","properties":{"path":{"type":"string"}}}',
          },
        ],
        maxOutputTokens: 32_000,
        stop: ['END'],
      },
      labels: { user_id: 'u-1' },
      notCarried: expect.any(Array) as unknown,
      toolNames: new Map(),
    });
    expect([...served.asked[0]!.notCarried].sort()).toEqual([
      'anthropic-beta',
      'context_management',
      'messages.content.cache_control',
      'output_config.effort',
      'temperature',
      'thinking',
      'tools.eager_input_streaming',
    ]);
  });

  test('that goes on with our own answer has it as it was, thoughts included', async () => {
    const parts = [thought(THINKING), thought(REDACTED), TEXT, CALL_A];
    const served = serve(anthropic, answering(parts));
    const client = anthropicClient(served);
    const { content } = await client.messages.stream(BODY).finalMessage();
    const result = { type: 'tool_result' as const, tool_use_id: CALL_A.id, content: 'ok' };
    await client.messages.create({
      ...BODY,
      messages: [...BODY.messages, { role: 'assistant', content }, { role: 'user', content: [result] }],
    });
    expect(served.asked[1]?.request.messages[1]).toEqual({ role: 'assistant', parts });
    expect(served.asked[1]?.notCarried).toEqual([]);
  });
});

describe('the count of tokens', () => {
  const count = (body: object): number => {
    const { reply } = anthropic.count(body);
    return (JSON.parse(reply.body) as { input_tokens: number }).input_tokens;
  };
  const asking = (content: unknown): object => ({ model: ROLE, messages: [{ role: 'user', content }] });

  test('needs no max_tokens, and says which model was named', () => {
    expect(anthropic.count(asking('x')).model).toBe(ROLE);
    expect(count(asking('x'))).toBeGreaterThan(0);
  });

  test('grows with text by three bytes a token', () => {
    expect(count(asking('x'.repeat(4_000))) - count(asking('x'.repeat(1_000)))).toBe(1_000);
    expect(count(asking('é'.repeat(1_000)))).toBe(count(asking('x'.repeat(2_000))));
  });

  test('counts tools, results, thoughts and images', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } };
    expect(count(asking([image])) - count(asking([]))).toBeGreaterThan(4_000);
    const result = { type: 'tool_result', tool_use_id: 'a', content: 'x'.repeat(1_000) };
    expect(count(asking([result]))).toBeGreaterThan(333);
    const tool = { name: 'a', description: 'x'.repeat(1_000), input_schema: { type: 'object' } };
    expect(count({ ...asking('x'), tools: [tool] })).toBeGreaterThan(333);
    const thinking = { role: 'assistant', content: [{ ...THINKING, thinking: 'x'.repeat(1_000) }] };
    expect(count({ model: ROLE, messages: [thinking] })).toBeGreaterThan(333);
  });

  test('of a malformed body is refused as the request would be', () => {
    expect(() => count({ model: ROLE, messages: [{ role: 'user', content: [{ type: 'video' }] }] })).toThrow(SeedError);
  });
});

test('the list of models, and one of it', async () => {
  const listed = { id: 'claude-x', createdAt: 0 };
  const fetch = (async (url: URL | string) => {
    const { body } = new URL(url).pathname.endsWith('/models') ? anthropic.models([listed]) : anthropic.model(listed);
    return new Response(body, { headers: { 'content-type': 'application/json' } });
  }) as typeof globalThis.fetch;
  const client = anthropicClient({ fetch, asked: [], answered: [] });
  const models = await all(client.models.list());
  expect(models).toMatchObject([
    { id: 'claude-x', type: 'model', display_name: 'claude-x', created_at: '1970-01-01T00:00:00.000Z' },
  ]);
  expect(await client.models.retrieve('claude-x')).toMatchObject({ id: 'claude-x' });
});
