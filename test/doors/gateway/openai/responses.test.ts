/** The official `openai` client against what the gateway writes of Responses, which Codex speaks too. */
import { APIError, RateLimitError } from 'openai';
import { describe, expect, test } from 'vitest';
import { responses } from '../../../../src/doors/gateway/openai/responses.ts';
import { PIXEL } from '../../../support/transcripts.ts';
import type { Script } from '../wire-rig.ts';
import { all, broken, CALL_A, CALL_B, complete, openAiClient, ROLE, said, serve } from '../wire-rig.ts';

const TEXT = { type: 'text', text: 'Grüße 👩‍👩‍👧‍👦 from "here"\n\ndata: [DONE]' } as const;
const BODY = { model: ROLE, input: 'Hello' };

function answering(parts: Parameters<typeof complete>[0], outcome?: Parameters<typeof complete>[1]): Script {
  return { events: said(parts), end: complete(parts, outcome) };
}

describe('an answer', () => {
  test('of text and calls, whole and streamed: each once, whole, in order', async () => {
    const client = openAiClient(serve(responses, answering([TEXT, CALL_A, CALL_B])));
    const whole = await client.responses.create(BODY);
    const streamed = await client.responses.stream(BODY).finalResponse();
    for (const got of [whole, streamed]) {
      expect(got).toMatchObject({
        id: 'resp_c1',
        object: 'response',
        status: 'completed',
        model: ROLE,
        error: null,
        output: [
          {
            type: 'message',
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_text', text: TEXT.text }],
          },
          {
            type: 'function_call',
            call_id: CALL_A.id,
            name: 'read_file',
            arguments: CALL_A.arguments,
            status: 'completed',
          },
          { type: 'function_call', call_id: CALL_B.id, name: 'run', arguments: '{}', status: 'completed' },
        ],
        usage: { input_tokens: 15, output_tokens: 5, total_tokens: 20, input_tokens_details: { cached_tokens: 3 } },
      });
      expect(got.output).toHaveLength(3);
      expect(got.output_text).toBe(TEXT.text);
    }
  });

  test('is streamed in the order that the API documents, every event with its number', async () => {
    const client = openAiClient(serve(responses, answering([TEXT, CALL_A])));
    const events = await all(await client.responses.create({ ...BODY, stream: true }));
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_event, at) => at));
    expect([...new Set(events.map(({ type }) => type))]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.completed',
    ]);
    const places = events.flatMap((event) => ('output_index' in event ? [event.output_index] : []));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  test('of nothing is an empty text', async () => {
    const client = openAiClient(serve(responses, answering([])));
    for (const got of [await client.responses.create(BODY), await client.responses.stream(BODY).finalResponse()]) {
      expect(got.output).toMatchObject([{ type: 'message', content: [{ text: '' }] }]);
    }
  });

  test.each([
    ['end', 'completed', null],
    ['max_tokens', 'incomplete', { reason: 'max_output_tokens' }],
    ['refusal', 'incomplete', { reason: 'content_filter' }],
  ])('that ended with %s is %s', async (stop, status, details) => {
    const client = openAiClient(serve(responses, answering([TEXT], { stop })));
    expect(await client.responses.create(BODY)).toMatchObject({ status, incomplete_details: details });
    const events = await all(await client.responses.create({ ...BODY, stream: true }));
    expect(events.at(-1)).toMatchObject({
      type: `response.${status}`,
      response: { status, incomplete_details: details },
    });
  });
});

describe('an answer that was cut', () => {
  const half = [{ type: 'text', text: 'Half of' } as const, CALL_A];

  test('throws in the middle of a stream, which has no end', async () => {
    const served = serve(responses, { events: said(half), end: broken({ status: 'incomplete' }, half) });
    const stream = await openAiClient(served).responses.create({ ...BODY, stream: true });
    const heard: string[] = [];
    const reading = (async () => {
      for await (const event of stream) heard.push(event.type);
    })();
    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toThrow('Anthropic’s answer was cut off. Try again later.');
    // Codex goes by this one.
    expect(heard.at(-1)).toBe('response.failed');
    expect(heard).not.toContain('response.completed');
  });

  test('says why, in a code that Codex knows', async () => {
    const end = broken({ status: 'incomplete', code: 'over_ceiling', message: 'Over the ceiling day.' }, half);
    const stream = await openAiClient(serve(responses, { events: said(half), end })).responses.create({
      ...BODY,
      stream: true,
    });
    const failed: unknown[] = [];
    const reading = (async () => {
      for await (const event of stream) if (event.type === 'response.failed') failed.push(event.response.error);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'insufficient_quota' });
    expect(failed).toEqual([{ code: 'insufficient_quota', message: 'Over the ceiling day. Try again later.' }]);
  });

  test('fails the helper’s final response too', async () => {
    const served = serve(responses, { events: said(half), end: broken({ status: 'incomplete' }, half) });
    await expect(openAiClient(served).responses.stream(BODY).finalResponse()).rejects.toThrow();
  });

  test('before it said anything is an error of HTTP', async () => {
    const end = broken({ status: 'refused', code: 'over_ceiling', message: 'Over the ceiling day.' });
    const client = openAiClient(serve(responses, { events: [], end }));
    await expect(client.responses.create({ ...BODY, stream: true })).rejects.toThrow(RateLimitError);
    await expect(client.responses.create(BODY)).rejects.toThrow(RateLimitError);
  });
});

test('a request comes over whole, as an agent writes it', async () => {
  const served = serve(responses, answering([TEXT]));
  await openAiClient(served).responses.create({
    model: ROLE,
    instructions: 'Be brief.',
    input: [
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'And kind.' }] },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'What is this?' },
          { type: 'input_image', image_url: `data:image/png;base64,${PIXEL}`, detail: 'auto' },
        ],
      },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' },
      {
        type: 'message',
        role: 'assistant',
        id: 'msg_1',
        status: 'completed',
        content: [{ type: 'output_text', text: 'I look.', annotations: [] }],
      },
      { type: 'function_call', call_id: 'call_a', name: 'shell', arguments: '{"command":["ls"]}' },
      { type: 'function_call', call_id: 'call_b', name: 'shell', arguments: '' },
      { type: 'function_call_output', call_id: 'call_a', output: 'x.png' },
      { type: 'function_call_output', call_id: 'call_b', output: [{ type: 'input_text', text: 'none' }] },
    ],
    tools: [
      { type: 'function', name: 'shell', description: 'Runs.', strict: false, parameters: { type: 'object' } },
      { type: 'web_search' },
    ],
    tool_choice: 'auto',
    parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    store: false,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'k',
    text: { verbosity: 'low' },
    max_output_tokens: 100,
  });
  const call = { type: 'tool_call', name: 'shell' };
  const result = { type: 'tool_result', status: 'ok' };
  expect(served.asked[0]).toMatchObject({
    model: ROLE,
    stream: false,
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
        {
          role: 'assistant',
          parts: [
            { type: 'text', text: 'I look.' },
            { ...call, id: 'call_a', arguments: '{"command":["ls"]}' },
            { ...call, id: 'call_b', arguments: '{}' },
          ],
        },
        { role: 'tool', parts: [{ ...result, call: 'call_a', content: [{ type: 'text', text: 'x.png' }] }] },
        { role: 'tool', parts: [{ ...result, call: 'call_b', content: [{ type: 'text', text: 'none' }] }] },
      ],
      tools: [{ name: 'shell', description: 'Runs.', parameters: '{"type":"object"}' }],
      maxOutputTokens: 100,
      stop: [],
    },
  });
  expect([...served.asked[0]!.notCarried].sort()).toEqual([
    'include',
    'input.reasoning',
    'parallel_tool_calls',
    'prompt_cache_key',
    'reasoning',
    'text.verbosity',
    'tools.web_search',
  ]);
});

test('tools in groups, as agents have them of MCP servers, are called by group and name', async () => {
  const look = { type: 'function', name: 'look', parameters: { type: 'object' } };
  const tools = [
    { type: 'namespace', name: 'mcp__eyes__', description: 'Eyes.', tools: [look, { ...look, name: 'x'.repeat(60) }] },
    look,
    { type: 'tool_search', execution: 'client' },
  ];
  const input = [
    { role: 'user', content: 'x' },
    { type: 'function_call', call_id: 'a', namespace: 'mcp__eyes__', name: 'look', arguments: '{}' },
    { type: 'function_call_output', call_id: 'a', output: '' },
  ];
  const { request, toolNames, notCarried } = responses.parse({ model: ROLE, input, tools }, {});
  const [grouped, long, alone] = request.tools.map(({ name }) => name);
  expect([grouped, alone]).toEqual(['mcp__eyes__look', 'look']);
  expect(long).toMatch(/^mcp__eyes__x+_[0-9a-f]{10}$/);
  expect(request.messages[1]?.parts[0]).toMatchObject({ name: 'mcp__eyes__look' });
  expect(notCarried).toEqual(['tools.description', 'tools.tool_search']);

  const facts = { id: 'c1', model: ROLE, createdAt: 0, includeUsage: true, toolNames };
  const calls = [grouped!, long!, alone!].map((name, at) => ({ ...CALL_A, id: `call_${at}`, name }));
  const { output } = JSON.parse(responses.answer(complete(calls), facts).body) as { output: object[] };
  expect(output).toMatchObject([
    { namespace: 'mcp__eyes__', name: 'look' },
    { namespace: 'mcp__eyes__', name: 'x'.repeat(60) },
    { name: 'look' },
  ]);
  expect(output[2]).not.toHaveProperty('namespace');
  const streamed = responses.stream(facts).end(complete(calls));
  expect(streamed.split('"namespace":"mcp__eyes__"').length - 1).toBeGreaterThanOrEqual(4);
  expect(streamed).not.toContain('"mcp__eyes__look"');
});

describe('what cannot be carried', () => {
  const WRONG: [string, RegExp, object][] = [
    [
      'an image elsewhere',
      /input\.0\.content\.0\.image_url is an address/,
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://example.com' }] }] },
    ],
    [
      'a file',
      /input\.0\.content\.0\.type cannot be carried/,
      { input: [{ role: 'user', content: [{ type: 'input_file' }] }] },
    ],
    ['an item that is kept elsewhere', /input\.0\.type is of a type/, { input: [{ type: 'item_reference', id: 'x' }] }],
    ['a conversation that is kept elsewhere', /previous_response_id is refused/, { previous_response_id: 'resp_1' }],
    ['a tool of the provider’s own', /tools\.0\.type is refused/, { tools: [{ type: 'code_interpreter' }] }],
    ['nothing', /input has nothing in it/, { input: [{ type: 'reasoning', id: 'x', summary: [] }] }],
  ];
  test.each(WRONG)('%s is refused', (_what, message, body) => {
    expect(() => responses.parse({ ...BODY, ...body }, {})).toThrow(message);
  });
});
