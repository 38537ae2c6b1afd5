/** Any conversation comes over as it is, any answer arrives whole, and any body is a request or a refusal. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { anthropic } from '../../../src/doors/gateway/anthropic/wire.ts';
import { responses } from '../../../src/doors/gateway/openai/responses.ts';
import { openai } from '../../../src/doors/gateway/openai/wire.ts';
import { recognisable } from '../../../src/doors/gateway/wire.ts';
import { SeedError } from '../../../src/errors.ts';
import { toAnthropic } from '../../../src/mind/router/transcript/anthropic.ts';
import { toOpenAi } from '../../../src/mind/router/transcript/openai.ts';
import { Labels } from '../../../src/substrate/ledger/model.ts';
import type { Part } from '../../../src/substrate/transcript.ts';
import { Message, ToolDefinition } from '../../../src/substrate/transcript.ts';
import { modelRequests, PIXEL } from '../../support/transcripts.ts';
import { anthropicClient, CALL_A, complete, openAiClient, ROLE, said, serve } from './wire-rig.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

describe.each([
  ['OpenAI', openai, toOpenAi],
  ['Anthropic', anthropic, toAnthropic],
] as const)('%s', (_api, wire, write) => {
  test('what is read of a conversation says the same when it is written again', () => {
    fc.assert(
      fc.property(modelRequests, (asked) => {
        const { body } = write(asked);
        const { request, model, notCarried } = wire.parse(JSON.parse(body), {});
        expect(notCarried).toEqual([]);
        expect(model).toBe(asked.model);
        const again = write({ ...request, model, maxOutputTokens: request.maxOutputTokens! });
        expect(JSON.parse(again.body)).toEqual(JSON.parse(body));
      }),
      { numRuns: IS_LONG ? 10_000 : 300 },
    );
  });

  test('what is read is within the limits of a transcript', () => {
    fc.assert(
      fc.property(modelRequests, (asked) => {
        const { request } = wire.parse(JSON.parse(write(asked).body), {});
        for (const message of request.messages) expect(Message.safeParse(message).error).toBeUndefined();
        for (const tool of request.tools) expect(ToolDefinition.safeParse(tool).error).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });
});

// ---------------------------------------------------------------------------------------------
// Answers

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .map((words): Part => ({ type: 'text', text: words }));
const callParts = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/),
    fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
  )
  .map(([id, value]): Part => ({ ...CALL_A, id, arguments: JSON.stringify(value) }));

/** As the engine puts one together: its text as one part, and calls behind it. */
const answers = fc
  .tuple(
    fc.option(text),
    fc.uniqueArray(callParts, { selector: (part) => (part.type === 'tool_call' ? part.id : ''), maxLength: 3 }),
  )
  .map(([first, calls]) => (first === null ? calls : [first, ...calls]));

test('any answer arrives the same, whole or streamed, and is recognised when OpenAI’s client sends it back', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (parts) => {
      const served = serve(openai, { events: said(parts), end: complete(parts) });
      const client = openAiClient(served);
      const body = { model: ROLE, messages: [{ role: 'user' as const, content: 'x' }] };
      const whole = await client.chat.completions.create(body);
      const streamed = await client.chat.completions.stream(body).finalChatCompletion();
      for (const { choices } of [whole, streamed]) {
        const { message } = choices[0]!;
        const results = (message.tool_calls ?? []).map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'x' }));
        const messages = [...body.messages, message, ...results];
        const { request } = openai.parse({ ...body, messages }, {});
        expect(recognisable(request.messages[1]!)).toEqual(recognisable({ role: 'assistant', parts }));
      }
    }),
    { numRuns: IS_LONG ? 1_000 : 60 },
  );
});

test('any answer arrives the same, whole or streamed, and is recognised when Anthropic’s client sends it back', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (parts) => {
      const served = serve(anthropic, { events: said(parts), end: complete(parts) });
      const client = anthropicClient(served);
      const first = { role: 'user' as const, content: 'x' };
      const body = { model: ROLE, max_tokens: 9, messages: [first] };
      const whole = await client.messages.create(body);
      const streamed = await client.messages.stream(body).finalMessage();
      for (const { content } of [whole, streamed]) {
        const results = content.flatMap((block) =>
          block.type === 'tool_use' ? [{ type: 'tool_result', tool_use_id: block.id }] : [],
        );
        const next = results.length === 0 ? first : { role: 'user', content: results };
        const messages = [first, { role: 'assistant', content }, next];
        const { request } = anthropic.parse({ ...body, messages }, {});
        expect(recognisable(request.messages[1]!)).toEqual(recognisable({ role: 'assistant', parts }));
      }
    }),
    { numRuns: IS_LONG ? 1_000 : 60 },
  );
});

test('any answer arrives the same, whole or streamed, and is recognised when its items come back to Responses', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (parts) => {
      const served = serve(responses, { events: said(parts), end: complete(parts) });
      const client = openAiClient(served);
      const first = { role: 'user' as const, content: 'x' };
      const whole = await client.responses.create({ model: ROLE, input: [first] });
      const streamed = await client.responses.stream({ model: ROLE, input: [first] }).finalResponse();
      for (const { output } of [whole, streamed]) {
        const results = output.flatMap((item) =>
          item.type === 'function_call' ? [{ type: 'function_call_output', call_id: item.call_id, output: 'x' }] : [],
        );
        const { request } = responses.parse({ model: ROLE, input: [first, ...output, ...results] }, {});
        expect(request.messages).toHaveLength(2 + results.length);
        expect(recognisable(request.messages[1]!)).toEqual(recognisable({ role: 'assistant', parts }));
      }
    }),
    { numRuns: IS_LONG ? 1_000 : 60 },
  );
});

// ---------------------------------------------------------------------------------------------
// Malformed bodies

type Json = unknown;

const OPENAI_BODY = {
  model: ROLE,
  messages: [
    { role: 'system', content: 'x' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'x' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}`, detail: 'auto' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'run', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'a', content: 'x' },
  ],
  tools: [
    { type: 'function', function: { name: 'run', description: 'x', parameters: { type: 'object' }, strict: false } },
  ],
  tool_choice: 'auto',
  max_tokens: 9,
  stop: ['x'],
  stream: true,
  stream_options: { include_usage: true },
  metadata: { a: 'b' },
  user: 'u',
  response_format: { type: 'text' },
};

const RESPONSES_BODY = {
  model: ROLE,
  instructions: 'x',
  input: [
    { role: 'developer', content: 'x' },
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: 'x' },
        { type: 'input_image', image_url: `data:image/png;base64,${PIXEL}`, detail: 'auto' },
      ],
    },
    {
      type: 'message',
      id: 'msg',
      status: 'completed',
      role: 'assistant',
      content: [{ type: 'output_text', text: 'x' }],
    },
    { type: 'function_call', id: 'fc', call_id: 'a', name: 'run', arguments: '{}' },
    { type: 'function_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'x' }] },
  ],
  tools: [{ type: 'function', name: 'run', description: 'x', parameters: { type: 'object' }, strict: false }],
  tool_choice: 'auto',
  max_output_tokens: 9,
  text: { format: { type: 'text' } },
  metadata: { a: 'b' },
  stream: true,
};

const ANTHROPIC_BODY = {
  model: ROLE,
  max_tokens: 9,
  system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
  messages: [
    { role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } }] },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'x', signature: 'c2ln' },
        { type: 'tool_use', id: 'a', name: 'run', input: { x: 1 } },
      ],
    },
    {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'x' }], is_error: true }],
    },
  ],
  tools: [{ name: 'run', description: 'x', input_schema: { type: 'object' } }],
  tool_choice: { type: 'auto', disable_parallel_tool_use: false },
  metadata: { user_id: 'u' },
  output_config: { effort: 'low' },
  stop_sequences: ['x'],
  stream: true,
};

/** What a client could write in any place: other types, other numbers, halves of characters, names that are special. */
const odd: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    null,
    true,
    -1,
    0,
    1.5,
    1e308,
    '',
    '\ud83d',
    '\u0000',
    '__proto__',
    'x'.repeat(300),
    [],
    {},
    [[]],
    [null],
    [{}],
  ),
  fc
    .constantFrom('{"type":"text","__proto__":{"text":"y"}}', '{"__proto__":1}')
    .map((json) => JSON.parse(json) as Json),
);

/** Every place in a JSON value, as a path. */
function placesIn(value: Json, at: readonly string[] = []): string[][] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [[...at], ...inner.flatMap(([key, each]) => placesIn(each, [...at, key]))];
}

function withAt(value: Json, [step, ...rest]: readonly string[], replacement: Json): Json {
  if (step === undefined) return replacement;
  if (Array.isArray(value))
    return value.map((each: Json, index) => (String(index) === step ? withAt(each, rest, replacement) : each));
  const object = value as Record<string, unknown>;
  return { ...object, [step]: withAt(object[step], rest, replacement) };
}

describe.each([
  ['OpenAI', openai, OPENAI_BODY],
  ['OpenAI’s Responses', responses, RESPONSES_BODY],
  ['Anthropic', anthropic, ANTHROPIC_BODY],
] as const)('%s: a body', (_api, wire, fine) => {
  const places = placesIn(fine);
  const bodies = fc.oneof(
    { weight: 1, arbitrary: odd },
    {
      weight: 6,
      arbitrary: fc
        .array(fc.tuple(fc.constantFrom(...places), odd), { minLength: 1, maxLength: 3 })
        // The deeper first, or their places may be gone.
        .map((changes) => changes.toSorted(([a], [b]) => b.length - a.length))
        .map((changes) => changes.reduce<Json>((body, [place, value]) => withAt(body, place, value), fine)),
    },
  );

  test('that is fine is taken', () => {
    expect(wire.parse(fine, {}).model).toBe(ROLE);
  });

  test('of any kind is a request within all limits, or refused by name, and nothing else', () => {
    const fates = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(bodies, (body) => {
        try {
          const { request, labels, notCarried } = wire.parse(body, {});
          for (const message of request.messages) expect(Message.safeParse(message).error).toBeUndefined();
          for (const tool of request.tools) expect(tool.parameters.isWellFormed()).toBe(true);
          expect(Labels.safeParse(labels).success).toBe(true);
          for (const name of notCarried) expect(name).toMatch(/^[\w.?-]{1,64}$/);
          fates.taken += 1;
        } catch (thrown) {
          if (!(thrown instanceof SeedError)) throw thrown;
          expect(['invalid_input', 'too_large']).toContain(thrown.code);
          expect(thrown.data['argument']).toMatch(/^[^\n]{1,200}$/u);
          expect(thrown.message.isWellFormed()).toBe(true);
          const { status, body: told } = wire.error(thrown);
          expect([400, 413]).toContain(status);
          JSON.parse(told);
          fates.refused += 1;
        }
      }),
      { numRuns: IS_LONG ? 20_000 : 1_500 },
    );
    // Of both there are many, or the property would be about one of them alone.
    expect(fates.taken).toBeGreaterThan(50);
    expect(fates.refused).toBeGreaterThan(50);
  });
});
