/** The official `openai` client against what the gateway writes. */
import {
  APIError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai';
import { describe, expect, test } from 'vitest';
import { openai } from '../../../../src/doors/gateway/openai/wire.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { SeedError } from '../../../../src/errors.ts';
import { PIXEL } from '../../../support/transcripts.ts';
import type { Script } from '../wire-rig.ts';
import { all, broken, CALL_A, CALL_B, complete, openAiClient, ROLE, said, serve } from '../wire-rig.ts';

const TEXT = { type: 'text', text: 'Grüße 👩‍👩‍👧‍👦 from "here"\n\ndata: [DONE]' } as const;
const HELLO = [{ role: 'user', content: 'Hello' }] as const;
const BODY = { model: ROLE, messages: [...HELLO] };

function answering(parts: Parameters<typeof complete>[0], outcome?: Parameters<typeof complete>[1]): Script {
  return { events: said(parts), end: complete(parts, outcome) };
}

describe('an answer', () => {
  test('of text, whole', async () => {
    const served = serve(openai, answering([TEXT]));
    const got = await openAiClient(served).chat.completions.create(BODY);
    expect(got).toMatchObject({
      id: 'chatcmpl-c1',
      object: 'chat.completion',
      created: 1_795_262_400,
      model: ROLE,
      system_fingerprint: 'model-x-1',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: TEXT.text, refusal: null } }],
      usage: { prompt_tokens: 15, completion_tokens: 5, total_tokens: 20, prompt_tokens_details: { cached_tokens: 3 } },
    });
    expect(got.choices[0]?.message.tool_calls).toBeUndefined();
  });

  test('of text, streamed, with its usage where that was asked for', async () => {
    const served = serve(openai, answering([TEXT]));
    const stream = await openAiClient(served).chat.completions.create({
      ...BODY,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await all(stream);
    expect(chunks[0]?.choices[0]?.delta).toMatchObject({ role: 'assistant', content: '' });
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(TEXT.text);
    expect(chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? [])).toEqual(['stop']);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 20 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id, model }) => `${id} ${model}`))).toEqual(new Set([`chatcmpl-c1 ${ROLE}`]));
    expect(served.answered[0]?.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('streamed without usage says none', async () => {
    const served = serve(openai, answering([TEXT]));
    const chunks = await all(await openAiClient(served).chat.completions.create({ ...BODY, stream: true }));
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  test('with two calls, whole and streamed: each once, whole, in order', async () => {
    const parts = [{ type: 'text', text: 'First this.' } as const, CALL_A, CALL_B];
    const served = serve(openai, answering(parts));
    const client = openAiClient(served);
    const whole = await client.chat.completions.create(BODY);
    const streamed = await client.chat.completions.stream(BODY).finalChatCompletion();
    const calls = [CALL_A, CALL_B].map(({ id, name, arguments: text }) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    }));
    for (const { choices } of [whole, streamed]) {
      expect(choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { content: 'First this.', tool_calls: calls },
      });
      expect(choices[0]?.message.tool_calls).toHaveLength(2);
    }
  });

  test('with calls alone has no content', async () => {
    const got = await openAiClient(serve(openai, answering([CALL_A]))).chat.completions.create(BODY);
    expect(got.choices[0]?.message.content).toBeNull();
  });

  test('of nothing is an empty text', async () => {
    const client = openAiClient(serve(openai, answering([])));
    expect((await client.chat.completions.create(BODY)).choices[0]?.message.content).toBe('');
    const streamed = await client.chat.completions.stream(BODY).finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '' } });
  });

  test.each([
    ['end', 'stop'],
    ['max_tokens', 'length'],
    ['stop_sequence', 'stop'],
    ['refusal', 'content_filter'],
    ['paused', 'stop'],
  ])('that ended with %s says %s', async (stop, finish) => {
    const client = openAiClient(serve(openai, answering([TEXT], { stop })));
    expect((await client.chat.completions.create(BODY)).choices[0]?.finish_reason).toBe(finish);
    const chunks = await all(await client.chat.completions.create({ ...BODY, stream: true }));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe(finish);
  });

  test('whose usage nobody knows says none, instead of zero', async () => {
    const client = openAiClient(serve(openai, answering([TEXT], { usage: null })));
    expect((await client.chat.completions.create(BODY)).usage).toBeUndefined();
    const stream_options = { include_usage: true };
    const chunks = await all(await client.chat.completions.create({ ...BODY, stream: true, stream_options }));
    expect(chunks.every(({ usage }) => usage === null)).toBe(true);
  });

  test('never has the reasoning of any model', async () => {
    const opaque = {
      type: 'opaque',
      provider: 'nvidia',
      model: ROLE,
      api: 'chat.completions',
      data: '"secret"',
    } as const;
    const served = serve(openai, answering([opaque, TEXT]));
    const client = openAiClient(served);
    await client.chat.completions.create(BODY);
    await client.chat.completions.stream(BODY).finalChatCompletion();
    expect(served.answered.join('')).not.toContain('secret');
  });
});

describe('an answer that was cut', () => {
  const cut = broken({ status: 'incomplete' }, [{ type: 'text', text: 'Half of' }]);

  test('is an error where no stream was asked for', async () => {
    const client = openAiClient(serve(openai, { events: [], end: cut }));
    await expect(client.chat.completions.create(BODY)).rejects.toMatchObject({
      status: 502,
      code: 'provider_failed',
      type: 'server_error',
    });
  });

  test('throws in the middle of a stream, which has no end', async () => {
    const served = serve(openai, { events: said([{ type: 'text', text: 'Half of' }]), end: cut });
    const stream = await openAiClient(served).chat.completions.create({ ...BODY, stream: true });
    const heard: string[] = [];
    const reading = (async () => {
      for await (const { choices } of stream) {
        heard.push(choices[0]?.delta.content ?? '');
        expect(choices[0]?.finish_reason).toBeNull();
      }
    })();
    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toThrow('Anthropic’s answer was cut off. Try again later.');
    expect(heard.join('')).toBe('Half of');
    expect(served.answered[0]).not.toContain('[DONE]');
  });

  test('behind a call ends so too: the call was given out, and the end is none', async () => {
    const served = serve(openai, { events: said([CALL_A]), end: broken({ status: 'incomplete' }, [CALL_A]) });
    await expect(openAiClient(served).chat.completions.stream(BODY).finalChatCompletion()).rejects.toThrow(APIError);
    expect(served.answered[0]).not.toContain('finish_reason":"');
  });

  test('before it said anything is an error of HTTP, stream or not', async () => {
    const end = broken({
      status: 'refused',
      code: 'over_ceiling',
      retry_after_s: 90,
      message: 'Over the ceiling day.',
    });
    const client = openAiClient(serve(openai, { events: [{ type: 'accepted' }], end }));
    await expect(client.chat.completions.create({ ...BODY, stream: true })).rejects.toThrow(RateLimitError);
  });
});

describe('an error', () => {
  const failing = (code: ErrorCode, data: SeedError['data'] = {}): ReturnType<typeof openAiClient> =>
    openAiClient(serve(openai, new SeedError(code, 'It was so.', { hint: 'Do that.', data })));

  test.each([
    ['unauthenticated', AuthenticationError, 'invalid_api_key'],
    ['key_revoked', AuthenticationError, 'key_revoked'],
    ['forbidden', PermissionDeniedError, 'forbidden'],
    ['no_route', NotFoundError, 'model_not_found'],
    ['invalid_input', BadRequestError, 'invalid_input'],
    ['conflict', ConflictError, 'conflict'],
    ['over_ceiling', RateLimitError, 'insufficient_quota'],
    ['too_many', RateLimitError, 'rate_limit_exceeded'],
    ['busy', InternalServerError, 'busy'],
    ['no_candidate', InternalServerError, 'no_candidate'],
  ] as const)('%s is one that the client knows', async (code, kind, theirs) => {
    const thrown = await failing(code)
      .chat.completions.create(BODY)
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(kind);
    expect(thrown).toMatchObject({ code: theirs, error: { message: 'It was so. Do that.', seed: { code } } });
  });

  test('names the field', async () => {
    const thrown = await failing('invalid_input', { argument: 'messages.3.content' })
      .chat.completions.create(BODY)
      .catch((error: unknown) => error);
    expect(thrown).toMatchObject({ param: 'messages.3.content', type: 'invalid_request_error' });
  });

  test('of a ceiling says which, and when to come again, and the client does not ask again before', async () => {
    const ceiling = { name: 'everyday', spent_micro_usd: 10, held_micro_usd: 0, limit_micro_usd: 10 };
    const end = broken({
      status: 'refused',
      code: 'over_ceiling',
      message: 'Over the ceiling everyday.',
      retry_after_s: 90,
      ceiling,
    });
    const served = serve(openai, { events: [], end });
    const thrown = await openAiClient(served, 2)
      .chat.completions.create(BODY)
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(RateLimitError);
    expect((thrown as RateLimitError).headers?.get('retry-after')).toBe('90');
    expect((thrown as RateLimitError).error).toMatchObject({
      seed: { data: { ceiling: 'everyday', retry_after_s: 90 } },
    });
    expect(served.asked).toHaveLength(1);
  });

  test('of money that is only held may be asked again by the client itself', async () => {
    const error = new SeedError('over_ceiling', 'Held.', {
      hint: '',
      data: { ceiling: 'day', held_micro_usd: 4, retry_after_s: 0 },
    });
    const served = serve(openai, error);
    await expect(openAiClient(served, 1).chat.completions.create(BODY)).rejects.toThrow(RateLimitError);
    expect(served.asked).toHaveLength(2);
  });

  test.each([
    ['rejected', 400],
    ['cannot_carry', 400],
    ['rate_limited', 429],
    ['overloaded', 503],
    ['timeout', 504],
    ['cut', 502],
    ['unauthorized', 502],
  ])('of a last attempt that was %s has the status %i', async (fault, status) => {
    const attempt = {
      target: 't',
      model: 'm',
      outcome: 'failed',
      code: fault,
      why: null,
      receipt: 1,
      cost_micro_usd: 0,
    } as const;
    const client = openAiClient(serve(openai, { events: [], end: broken({ attempts: [attempt] }) }));
    await expect(client.chat.completions.create(BODY)).rejects.toMatchObject({ status });
  });

  test('of our own says nothing of what went wrong inside', async () => {
    const served = serve(openai, new SeedError('internal', 'secret detail', { hint: '' }));
    await expect(openAiClient(served).chat.completions.create(BODY)).rejects.toThrow(InternalServerError);
    expect(served.answered.join('')).not.toContain('secret detail');
  });
});

describe('a request of the client', () => {
  test('comes over whole', async () => {
    const served = serve(openai, answering([TEXT]));
    await openAiClient(served).chat.completions.create({
      model: ROLE,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'system', content: [{ type: 'text', text: 'And kind.' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: CALL_A.id, type: 'function', function: { name: 'read_file', arguments: CALL_A.arguments } },
          ],
        },
        { role: 'tool', tool_call_id: CALL_A.id, content: 'A pixel.' },
      ],
      tools: [
        { type: 'function', function: { name: 'read_file', description: 'Reads.', parameters: { type: 'object' } } },
        { type: 'function', function: { name: 'bare' } },
      ],
      max_completion_tokens: 100,
      stop: ['\n\n', 'END'],
      user: 'u-1',
      metadata: { customer: 'acme', empty: '' },
      temperature: 0.5,
    });
    expect(served.asked[0]).toEqual({
      model: ROLE,
      stream: false,
      includeUsage: false,
      request: {
        messages: [
          { role: 'system', parts: [{ type: 'text', text: 'Be brief.' }] },
          { role: 'system', parts: [{ type: 'text', text: 'And kind.' }] },
          {
            role: 'user',
            parts: [
              { type: 'text', text: 'What is this?' },
              { type: 'image', media_type: 'image/png', data: PIXEL },
            ],
          },
          { role: 'assistant', parts: [CALL_A] },
          {
            role: 'tool',
            parts: [
              { type: 'tool_result', call: CALL_A.id, content: [{ type: 'text', text: 'A pixel.' }], status: 'ok' },
            ],
          },
        ],
        tools: [
          { name: 'read_file', description: 'Reads.', parameters: '{"type":"object"}' },
          { name: 'bare', description: '', parameters: '{"type":"object","properties":{}}' },
        ],
        maxOutputTokens: 100,
        stop: ['\n\n', 'END'],
      },
      labels: { customer: 'acme', user: 'u-1' },
      notCarried: ['temperature'],
      toolNames: new Map(),
    });
  });

  test('that goes on with our own answer has it as it was', async () => {
    const parts = [TEXT, CALL_A];
    const served = serve(openai, answering(parts));
    const client = openAiClient(served);
    const { choices } = await client.chat.completions.create(BODY);
    await client.chat.completions.create({
      ...BODY,
      messages: [...HELLO, choices[0]!.message, { role: 'tool', tool_call_id: CALL_A.id, content: 'ok' }],
    });
    expect(served.asked[1]?.request.messages[1]).toEqual({ role: 'assistant', parts });
    expect(served.asked[1]?.notCarried).toEqual([]);
  });
});

test('the list of models, and one of it', async () => {
  const listed = { id: 'gpt-x', createdAt: 1_000_000 };
  const fetch = (async (url: URL | string) => {
    const { body } = String(url).endsWith('/models') ? openai.models([listed]) : openai.model(listed);
    return new Response(body, { headers: { 'content-type': 'application/json' } });
  }) as typeof globalThis.fetch;
  const client = openAiClient({ fetch, asked: [], answered: [] });
  const models = await all(client.models.list());
  expect(models).toEqual([{ id: 'gpt-x', object: 'model', created: 1_000, owned_by: 'owner' }]);
  expect(await client.models.retrieve('gpt-x')).toMatchObject({ id: 'gpt-x' });
});
