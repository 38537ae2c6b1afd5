/** The table of fields is what happens: each line of it is asked for, in its place. */
import type { IncomingHttpHeaders } from 'node:http';
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { anthropic } from '../../../src/doors/gateway/anthropic/wire.ts';
import type { FieldRule, FieldTable } from '../../../src/doors/gateway/fields.ts';
import { ANTHROPIC, OPENAI, RESPONSES } from '../../../src/doors/gateway/fields.ts';
import { responses } from '../../../src/doors/gateway/openai/responses.ts';
import { openai } from '../../../src/doors/gateway/openai/wire.ts';
import type { GatewayRequest } from '../../../src/doors/gateway/wire.ts';
import { toSeedError } from '../../../src/errors.ts';
import { PIXEL } from '../../support/transcripts.ts';
import { CALL_A, complete } from './wire-rig.ts';

// Whatever the SDKs of the day can send has a line: a newer SDK does not compile before that is so.
export const openAiFields: Record<keyof OpenAI.ChatCompletionCreateParams, FieldRule> = OPENAI.body;
export const responsesFields: Record<keyof OpenAI.Responses.ResponseCreateParams, FieldRule> = RESPONSES.body;
export const anthropicFields: Record<
  keyof Anthropic.MessageCreateParams | Exclude<keyof Anthropic.Beta.MessageCreateParams, 'betas'>,
  FieldRule
> = ANTHROPIC.body;
export const toolFields: Record<keyof Anthropic.Tool, FieldRule> = ANTHROPIC.tools;

/** A request in which one object has one more field, in the place that a table is for. */
type Asking = (field: Readonly<Record<string, unknown>>) => GatewayRequest;

const IMAGE = { url: `data:image/png;base64,${PIXEL}` };

function askOpenAi(body: object): GatewayRequest {
  return openai.parse({ model: 'coder', messages: [{ role: 'user', content: 'x' }], ...body }, {});
}

function saying(message: object): GatewayRequest {
  return askOpenAi({ messages: [{ role: 'user', content: 'x', ...message }] });
}

function calling(call: object, named: object): GatewayRequest {
  const spoken = { id: 'a', type: 'function', function: { name: 'run', arguments: '{}', ...named }, ...call };
  const result = { role: 'tool', tool_call_id: 'a', content: 'x' };
  return askOpenAi({ messages: [{ role: 'assistant', content: null, tool_calls: [spoken] }, result] });
}

const IN_OPENAI: Readonly<Record<keyof typeof OPENAI, Asking>> = {
  body: askOpenAi,
  stream_options: (field) => askOpenAi({ stream_options: field }),
  messages: saying,
  'messages.content': (field) => saying({ content: [{ type: 'text', text: 'x', ...field }] }),
  'messages.content.image_url': (field) =>
    saying({ content: [{ type: 'image_url', image_url: { ...IMAGE, ...field } }] }),
  'messages.tool_calls': (field) => calling(field, {}),
  'messages.tool_calls.function': (field) => calling({}, field),
  tools: (field) => askOpenAi({ tools: [{ type: 'function', function: { name: 'run' }, ...field }] }),
  'tools.function': (field) => askOpenAi({ tools: [{ type: 'function', function: { name: 'run', ...field } }] }),
};

function askAnthropic(body: object, headers: IncomingHttpHeaders = {}): GatewayRequest {
  const least = { model: 'coder', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] };
  return anthropic.parse({ ...least, ...body }, headers);
}

const TOOL = { name: 'run', input_schema: { type: 'object' } };

const IN_ANTHROPIC: Readonly<Record<keyof typeof ANTHROPIC, Asking>> = {
  headers: (field) => askAnthropic({}, field as IncomingHttpHeaders),
  body: (field) => askAnthropic(field),
  output_config: (field) => askAnthropic({ output_config: field }),
  tool_choice: (field) => askAnthropic({ tool_choice: { type: 'auto', ...field } }),
  metadata: (field) => askAnthropic({ metadata: field }),
  messages: (field) => askAnthropic({ messages: [{ role: 'user', content: 'x', ...field }] }),
  'messages.content': (field) =>
    askAnthropic({ messages: [{ role: 'user', content: [{ type: 'text', text: 'x', ...field }] }] }),
  tools: (field) => askAnthropic({ tools: [{ ...TOOL, ...field }] }),
};

function askResponses(body: object): GatewayRequest {
  return responses.parse({ model: 'coder', input: 'x', ...body }, {});
}

const IN_RESPONSES: Readonly<Record<keyof typeof RESPONSES, Asking>> = {
  body: askResponses,
  text: (field) => askResponses({ text: field }),
  input: (field) => askResponses({ input: [{ role: 'user', content: 'x', ...field }] }),
  'input.content': (field) =>
    askResponses({ input: [{ role: 'user', content: [{ type: 'input_text', text: 'x', ...field }] }] }),
  'tools (namespace)': (field) =>
    askResponses({ tools: [{ type: 'namespace', name: 'mcp__x__', tools: [], ...field }] }),
  tools: (field) => askResponses({ tools: [{ type: 'function', name: 'run', ...field }] }),
};

interface Line {
  readonly field: string;
  readonly name: string;
  readonly rule: FieldRule;
  readonly ask: Asking;
}

/** Two kinds of tools stand in one place. */
function placeOf(table: string): string {
  return table.replace(' (namespace)', '');
}

function linesOf(tables: Readonly<Record<string, FieldTable>>, asking: Readonly<Record<string, Asking>>): Line[] {
  return Object.entries(tables).flatMap(([place, table]) =>
    Object.entries(table).map(([name, rule]) => ({
      field: place === 'body' || place === 'headers' ? name : `${placeOf(place)}.${name}`,
      name,
      rule,
      ask: asking[place]!,
    })),
  );
}

describe.each([
  ['OpenAI', OPENAI, IN_OPENAI],
  ['OpenAI’s Responses', RESPONSES, IN_RESPONSES],
  ['Anthropic', ANTHROPIC, IN_ANTHROPIC],
] as const)('%s', (_api, tables, asking) => {
  const lines = linesOf(tables, asking);
  const listed = lines.filter(({ rule }) => rule.fate === 'listed');
  const refused = lines.filter(({ rule }) => rule.fate === 'refused');

  test('the bare request lists nothing', () => {
    for (const ask of Object.values(asking)) expect(ask({}).notCarried).toEqual([]);
  });

  test.each(listed)('$field is listed', ({ field, name, ask }) => {
    expect(ask({ [name]: 'x' }).notCarried).toEqual([field]);
  });

  test.each(refused)('$field is refused, and named', ({ name, rule, ask }) => {
    let thrown: unknown = null;
    try {
      ask({ [name]: 'x' });
    } catch (error) {
      thrown = error;
    }
    const { code, message, data } = toSeedError(thrown);
    expect(code).toBe('invalid_input');
    expect(data['argument']).toMatch(new RegExp(`(^|\\.)${name}$`));
    expect(message).toContain(rule.note);
  });

  test('null asks for nothing, nor do the values that the table names', () => {
    for (const { name, rule, ask } of [...listed, ...refused]) {
      for (const value of [null, ...(rule.idle ?? []).map((text) => JSON.parse(text) as unknown)]) {
        expect(ask({ [name]: value }).notCarried).toEqual([]);
      }
    }
  });

  test('a field that no line names is listed in its place', () => {
    for (const [place, ask] of Object.entries(asking)) {
      // Of headers only those of the table ask for anything.
      if (place === 'headers') continue;
      const expected = `${place === 'body' ? '' : `${placeOf(place)}.`}brand_new`;
      expect(ask({ brand_new: 1 }).notCarried).toEqual([expected]);
    }
  });
});

test('what is listed fits a header, whatever its name', () => {
  const odd = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`ü,\r\nx: ${'y'.repeat(100)}${at}`, 1]));
  const { notCarried } = askOpenAi({
    ...odd,
    ...Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`f${at}`, 1])),
  });
  expect(notCarried.length).toBeLessThanOrEqual(33);
  expect(notCarried.at(-1)).toBe('and-more');
  for (const name of notCarried) expect(name).toMatch(/^[\w.?-]{1,64}$/);
});

describe('tools', () => {
  test.each([
    ['auto', { tool_choice: 'auto' }, 1],
    ['none', { tool_choice: 'none' }, 0],
  ])('OpenAI: the choice %s', (_choice, body, shown) => {
    const tools = [{ type: 'function', function: { name: 'run' } }];
    expect(askOpenAi({ tools, ...body }).request.tools).toHaveLength(shown);
  });

  test.each([
    ['auto', { type: 'auto' }, 1],
    ['none', { type: 'none' }, 0],
  ])('Anthropic: the choice %s', (_choice, choice, shown) => {
    expect(askAnthropic({ tools: [TOOL], tool_choice: choice }).request.tools).toHaveLength(shown);
  });

  const FORCED = [
    () => askOpenAi({ tool_choice: 'required' }),
    () => askOpenAi({ tool_choice: { type: 'function', function: { name: 'run' } } }),
    () => askResponses({ tool_choice: 'required' }),
    () => askAnthropic({ tool_choice: { type: 'any' } }),
    () => askAnthropic({ tool_choice: { type: 'tool', name: 'run' } }),
  ];
  test.each(FORCED)('no call is forced: %#', (ask) => {
    expect(ask).toThrow(/tool_choice.*is refused/);
  });

  const WRONG: [string, RegExp, () => unknown][] = [
    [
      'of a provider’s own',
      /tools\.0\.type is refused/,
      () => askAnthropic({ tools: [{ ...TOOL, type: 'bash_20250124' }] }),
    ],
    [
      'that are no functions',
      /tools\.0\.type is refused/,
      () => askOpenAi({ tools: [{ type: 'custom', custom: {} }] }),
    ],
    ['of one name', /tools\.1 has the name/, () => askAnthropic({ tools: [TOOL, TOOL] })],
    [
      'with a longer name than any provider takes',
      /tools\.0\.name must be/,
      () => askAnthropic({ tools: [{ ...TOOL, name: 'x'.repeat(129) }] }),
    ],
    ['without a schema', /input_schema must be/, () => askAnthropic({ tools: [{ ...TOOL, input_schema: 'x' }] })],
  ];
  test.each(WRONG)('%s are refused', (_what, message, ask) => {
    expect(ask).toThrow(message);
  });

  test('a name of more than 64 characters has a shorter one on its way, the same in tools and calls, and is told in full', () => {
    const name = `mcp__plugin_${'x'.repeat(80)}__look`;
    const other = `mcp__plugin_${'x'.repeat(80)}__hear`;
    const use = { type: 'tool_use', id: 'a', name, input: {} };
    const asked = askAnthropic({
      tools: [TOOL, { ...TOOL, name }, { ...TOOL, name: other }],
      messages: [
        { role: 'assistant', content: [use] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a' }] },
      ],
    });
    const [, long, another] = asked.request.tools;
    expect(long!.name).toMatch(/^mcp__plugin_x+_[0-9a-f]{10}$/);
    expect(long!.name.length).toBeLessThanOrEqual(64);
    expect(another!.name).not.toBe(long!.name);
    expect(asked.request.messages[0]?.parts[0]).toMatchObject({ name: long!.name });
    const { toolNames } = asked;
    expect([...toolNames]).toEqual([
      [long!.name, { name, namespace: null }],
      [another!.name, { name: other, namespace: null }],
    ]);
    const facts = { id: 'c1', model: 'coder', createdAt: 0, includeUsage: false, toolNames };
    const end = complete([{ ...CALL_A, name: long!.name }]);
    for (const wire of [openai, responses, anthropic]) {
      for (const told of [wire.answer(end, facts).body, wire.stream(facts).end(end)])
        expect(told).toContain(`"${name}"`);
    }
  });

  test('descriptions may be as long as agents write them', () => {
    const description = 'x'.repeat(20_000);
    expect(askAnthropic({ tools: [{ ...TOOL, description }] }).request.tools[0]?.description).toBe(description);
  });
});

describe('content', () => {
  const WRONG: [string, RegExp, () => unknown][] = [
    [
      'an image elsewhere (OpenAI)',
      /messages\.0\.content\.0\.image_url\.url is an address/,
      () => saying({ content: [{ type: 'image_url', image_url: { url: 'https://example.com/x.png' } }] }),
    ],
    [
      'an image elsewhere (Anthropic)',
      /messages\.0\.content\.0\.source is an address/,
      () =>
        askAnthropic({
          messages: [
            { role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://example.com' } }] },
          ],
        }),
    ],
    [
      'an image of another type',
      /must be a PNG/,
      () => saying({ content: [{ type: 'image_url', image_url: { url: 'data:image/tiff;base64,AAAA' } }] }),
    ],
    [
      'an image that is no base64',
      /is not an image in base64/,
      () => saying({ content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,???' } }] }),
    ],
    [
      'a PDF',
      /messages\.0\.content\.0\.source cannot be carried/,
      () =>
        askAnthropic({
          messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'base64', data: 'AAAA' } }] }],
        }),
    ],
    ['audio', /messages\.0\.content\.0\.type cannot be carried/, () => saying({ content: [{ type: 'input_audio' }] })],
    ['another role', /messages\.0\.role must be/, () => saying({ role: 'function' })],
    ['no content', /messages\.0\.content is missing/, () => saying({ content: null })],
    [
      'a begun answer',
      /messages\.1 is an answer that is begun/,
      () =>
        askAnthropic({
          messages: [
            { role: 'user', content: 'x' },
            { role: 'assistant', content: '{' },
          ],
        }),
    ],
    ['arguments that are no object', /arguments must be the JSON text/, () => calling({}, { arguments: '[1' })],
    ['half a character', /half a character/, () => saying({ content: 'x\ud83d' })],
  ];
  test.each(WRONG)('%s is refused', (_what, message, ask) => {
    expect(ask).toThrow(message);
  });

  test('more than a message may have is too large, and says which', () => {
    const content = 'é'.repeat(2_200_000);
    for (const ask of [() => saying({ content }), () => askAnthropic({ messages: [{ role: 'user', content }] })]) {
      expect(ask).toThrow(expect.objectContaining({ code: 'too_large', data: { argument: 'messages.0' } }) as Error);
    }
    expect(saying({ content: 'x'.repeat(4_000_000) }).request.messages).toHaveLength(1);
  });

  test('ids of calls that others gave are ours by rule, and results find them', () => {
    const foreign = `chatcmpl-tool:${'0'.repeat(60)}`;
    const call = { id: foreign, type: 'function', function: { name: 'run', arguments: '' } };
    const ask = (): GatewayRequest =>
      askOpenAi({
        messages: [
          { role: 'user', content: 'x' },
          { role: 'assistant', content: null, tool_calls: [call, { ...call, id: 'toolu_01' }] },
          { role: 'tool', tool_call_id: foreign, content: 'a' },
          { role: 'tool', tool_call_id: 'toolu_01', content: 'b' },
        ],
      });
    const [, said, first, second] = ask().request.messages;
    const ids = said!.parts.map((part) => (part.type === 'tool_call' ? part.id : ''));
    expect(ids[0]).toMatch(/^[A-Za-z0-9_-]{1,40}$/);
    expect(ids[1]).toBe('toolu_01');
    expect(first!.parts[0]).toMatchObject({ call: ids[0] });
    expect(second!.parts[0]).toMatchObject({ call: ids[1] });
    expect(ask().request).toEqual(ask().request);
  });
});

describe('what nobody said', () => {
  test.each([
    ['OpenAI', 'messages', () => saying({ content: '' })],
    ['Anthropic', 'messages', () => askAnthropic({ messages: [{ role: 'user', content: [] }] })],
    ['Responses', 'input', () => askResponses({ input: '' })],
  ])('%s: is no request', (_api, field, ask) => {
    expect(ask).toThrow(`${field} has nothing in it that a model could answer`);
  });

  test('instructions alone are one', () => {
    expect(saying({ role: 'system', content: 'Greet.' }).request.messages).toHaveLength(1);
  });
});

test('of two limits of an answer the newer name counts, and the other is listed', () => {
  const { request, notCarried } = askOpenAi({ max_tokens: 5, max_completion_tokens: 7 });
  expect([request.maxOutputTokens, notCarried]).toEqual([7, ['max_tokens']]);
  expect(askOpenAi({ max_tokens: 5, max_completion_tokens: 5 }).notCarried).toEqual([]);
  expect(askOpenAi({ max_tokens: 5 }).request.maxOutputTokens).toBe(5);
});

describe('what is moved is listed', () => {
  const [system, user] = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'x' },
  ];

  test('instructions in the middle', () => {
    for (const [first, then] of [
      [system, user],
      [user, system],
    ] as const) {
      const expected = first === user ? ['messages.order'] : [];
      expect(askOpenAi({ messages: [first, then, user] }).notCarried).toEqual(expected);
      expect(askResponses({ input: [first, then, user] }).notCarried).toEqual(expected);
      expect(askAnthropic({ messages: [first, then, user] }).notCarried).toEqual(expected);
    }
  });

  test('words before the results that they stand with', () => {
    const use = { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'run', input: {} }] };
    const result = { type: 'tool_result', tool_use_id: 'a', content: 'done' };
    const words = { type: 'text', text: 'Here:' };
    const asked = (content: object[]): readonly string[] =>
      askAnthropic({ messages: [user, use, { role: 'user', content }] }).notCarried;
    expect(asked([words, result])).toEqual(['messages.content.order']);
    expect(asked([result, words])).toEqual([]);
  });
});

describe('labels', () => {
  test('a long value is told by its hash, and the same one is the same label', () => {
    const { labels } = askAnthropic({ metadata: { user_id: 'x'.repeat(129) } });
    expect(labels['user_id']).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(askAnthropic({ metadata: { user_id: 'x'.repeat(129) } }).labels).toEqual(labels);
    expect(askAnthropic({ metadata: { user_id: 'x'.repeat(130) } }).labels).not.toEqual(labels);
    expect(askAnthropic({ metadata: { user_id: 'x'.repeat(128) } }).labels).toEqual({ user_id: 'x'.repeat(128) });
  });

  const WRONG: [string, string, object][] = [
    ['no name of a label', 'metadata.a b', { metadata: { 'a b': 'x' } }],
    ['no text', 'metadata.a', { metadata: { a: 1 } }],
    [
      'too many',
      'metadata.k8',
      { metadata: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`k${at}`, 'x'])) },
    ],
    ['two values of one name', 'user', { metadata: { user: 'a' }, user: 'b' }],
  ];
  test.each(WRONG)('%s is refused: no ceiling is missed', (_what, argument, body) => {
    expect(() => askOpenAi(body)).toThrow(
      expect.objectContaining({ code: 'invalid_input', data: { argument } }) as Error,
    );
  });
});
