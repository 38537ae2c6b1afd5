/** The official clients of both APIs at the gateway, with each of the four providers behind it. */
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import type { ProviderStub, StubAnswer } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, openaiOf, openGateway, policyOver } from './rig.ts';

let stub: ProviderStub;
beforeAll(async () => {
  stub = await startProviderStub();
});
afterAll(async () => {
  await stub.close();
});

const TALK: StubAnswer = { text: ['Hel', 'lo ', 'you'], usage: { input: 12, output: 3 } };
const CALL: StubAnswer = {
  text: ['I ', 'look'],
  calls: [{ name: 'look', arguments: '{"at":1}' }],
  usage: { input: 20, output: 9 },
};
const SCHEMA = { type: 'object' as const, properties: { at: { type: 'number' } } };

describe.each(PROVIDERS)('with %s behind it', (provider: ProviderName) => {
  let dir: Scratch;
  let rig: GatewayRig;
  beforeAll(async () => {
    dir = scratch();
    rig = await openGateway(dir, policyOver(stub, provider));
  });
  afterAll(async () => {
    await rig?.close();
    dir?.[Symbol.dispose]();
  });

  test('openai: an answer, whole and as a stream', async () => {
    const client = openaiOf(rig);
    stub.next({ do: 'answer', answer: TALK });
    const messages = [
      { role: 'system' as const, content: 'Be kind.' },
      { role: 'user' as const, content: 'Hi' },
    ];
    const whole = await client.chat.completions.create({ model: 'worker', messages });
    expect(whole.choices[0]?.message.content).toBe('Hello you');
    expect(whole).toMatchObject({ model: 'worker', choices: [{ finish_reason: 'stop' }] });
    expect(whole.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 3 });
    stub.next({ do: 'answer', answer: TALK });
    const options = { include_usage: true };
    const stream = await client.chat.completions.create({
      model: 'worker',
      messages,
      stream: true,
      stream_options: options,
    });
    let text = '';
    let usage: unknown = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe('Hello you');
    expect(usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 3 });
  });

  test('openai: a tool is called once, its result goes back, and it is one conversation', async () => {
    const client = openaiOf(rig);
    const tools = [
      { type: 'function' as const, function: { name: 'look', description: 'Looks.', parameters: SCHEMA } },
    ];
    stub.next({ do: 'answer', answer: CALL });
    const asked = { role: 'user' as const, content: `Look, ${provider}` };
    const first = await client.chat.completions.create({ model: 'worker', messages: [asked], tools }).withResponse();
    const said = first.data.choices[0]?.message;
    expect(first.data.choices[0]?.finish_reason).toBe('tool_calls');
    expect(said?.tool_calls).toHaveLength(1);
    const call = said?.tool_calls?.[0];
    if (said === undefined || call?.type !== 'function') throw new Error('There is no tool call.');
    expect(JSON.parse(call.function.arguments)).toEqual({ at: 1 });
    stub.next({ do: 'answer', answer: TALK });
    const messages = [asked, said, { role: 'tool' as const, tool_call_id: call.id, content: 'a tree' }];
    const stream = client.chat.completions.stream({ model: 'worker', messages, tools });
    expect(await stream.finalContent()).toBe('Hello you');
    const session = first.response.headers.get('x-seed-session') ?? '';
    const { response } = await client.chat.completions
      .create({ model: 'worker', messages, tools, stream: true })
      .withResponse();
    // Asked once more, the same question begins a conversation of its own.
    expect(response.headers.get('x-seed-session')).not.toBe(session);
    await response.body?.cancel();
    const stored = await rig.substrate.read((db) =>
      db.get<{ length: number }>('SELECT length FROM substrate_sessions WHERE id = ?', session),
    );
    expect(stored?.length).toBe(4);
  });

  test('openai’s Responses: a tool is called once, its result goes back, and it is one conversation', async () => {
    const client = openaiOf(rig);
    const tools = [
      { type: 'function' as const, name: 'look', description: 'Looks.', parameters: SCHEMA, strict: false },
    ];
    const asked = { role: 'user' as const, content: `Look around, ${provider}` };
    const shared = { model: 'worker', instructions: 'Be kind.', tools, store: false };
    stub.next({ do: 'answer', answer: CALL });
    const opened = await client.responses.create({ ...shared, input: [asked], stream: true }).withResponse();
    const session = opened.response.headers.get('x-seed-session');
    const said: OpenAI.Responses.ResponseOutputItem[] = [];
    for await (const event of opened.data) if (event.type === 'response.output_item.done') said.push(event.item);
    const calls = said.filter((item) => item.type === 'function_call');
    expect(calls).toHaveLength(1);
    expect(JSON.parse(calls[0]?.arguments ?? '')).toEqual({ at: 1 });
    stub.next({ do: 'answer', answer: TALK });
    const result = { type: 'function_call_output' as const, call_id: calls[0]?.call_id ?? '', output: 'a tree' };
    const input = [asked, ...said, result] as OpenAI.Responses.ResponseInput;
    const second = await client.responses.create({ ...shared, input }).withResponse();
    expect(second.data.output_text).toBe('Hello you');
    expect(second.response.headers.get('x-seed-session')).toBe(session);
  });

  test('anthropic: an answer, whole and as a stream', async () => {
    const client = anthropicOf(rig);
    const ask = {
      model: 'worker',
      max_tokens: 100,
      system: 'Be kind.',
      messages: [{ role: 'user' as const, content: 'Hi' }],
    };
    stub.next({ do: 'answer', answer: TALK });
    const whole = await client.messages.create(ask);
    expect(whole).toMatchObject({ type: 'message', model: 'worker', stop_reason: 'end_turn' });
    expect(whole.content).toMatchObject([{ type: 'text', text: 'Hello you' }]);
    stub.next({ do: 'answer', answer: TALK });
    const final = await client.messages.stream(ask).finalMessage();
    expect(final.content).toMatchObject([{ type: 'text', text: 'Hello you' }]);
    expect(final.usage).toMatchObject({ output_tokens: 3 });
  });

  test('anthropic: a tool is called once, its result goes back, and it is one conversation', async () => {
    const client = anthropicOf(rig);
    const tools = [{ name: 'look', description: 'Looks.', input_schema: SCHEMA }];
    const asked = { role: 'user' as const, content: `Look, ${provider}!` };
    const ask = { model: 'worker', max_tokens: 100, tools };
    stub.next({ do: 'answer', answer: CALL });
    const first = client.messages.stream({ ...ask, messages: [asked] });
    const said = await first.finalMessage();
    const session = first.response?.headers.get('x-seed-session');
    expect(said.stop_reason).toBe('tool_use');
    const calls = said.content.filter((block) => block.type === 'tool_use');
    expect(calls).toMatchObject([{ name: 'look', input: { at: 1 } }]);
    stub.next({ do: 'answer', answer: TALK });
    const result = { type: 'tool_result' as const, tool_use_id: calls[0]?.id ?? '', content: 'a tree' };
    const messages = [
      asked,
      { role: 'assistant' as const, content: said.content },
      { role: 'user' as const, content: [result] },
    ];
    const second = await client.messages.create({ ...ask, messages }).withResponse();
    expect(second.data.content).toMatchObject([{ type: 'text', text: 'Hello you' }]);
    expect(second.response.headers.get('x-seed-session')).toBe(session);
  });
});

describe('beside the answers', () => {
  let dir: Scratch;
  let rig: GatewayRig;
  beforeAll(async () => {
    dir = scratch();
    rig = await openGateway(dir, policyOver(stub, 'anthropic'));
  });
  afterAll(async () => {
    await rig?.close();
    dir?.[Symbol.dispose]();
  });

  test('both list the roles that may be asked on demand', async () => {
    const [openai, anthropic] = [openaiOf(rig), anthropicOf(rig)];
    const ofOpenai = [];
    for await (const { id } of openai.models.list()) ofOpenai.push(id);
    const ofAnthropic = [];
    for await (const { id } of anthropic.models.list({ limit: 100 })) ofAnthropic.push(id);
    expect([ofOpenai, ofAnthropic]).toEqual([['worker'], ['worker']]);
    expect(await openai.models.retrieve('worker')).toMatchObject({ id: 'worker', object: 'model' });
    await expect(openai.models.retrieve('gpt-5')).rejects.toMatchObject({ status: 404 });
  });

  test('a tool whose name is longer than an engine takes comes back by the name that its client knows', async () => {
    const client = anthropicOf(rig);
    const name = `mcp__${'server'.repeat(12)}__look`;
    const ask = {
      model: 'worker',
      max_tokens: 50,
      tools: [{ name, input_schema: SCHEMA }],
      messages: [{ role: 'user' as const, content: 'Look, long!' }],
    };
    await client.messages.create(ask);
    const [shown] = (JSON.parse(stub.requests.at(-1)?.body ?? '') as { tools: { name: string }[] }).tools;
    expect(shown?.name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    // A model answers with the name that it was shown.
    stub.next({ do: 'answer', answer: { calls: [{ name: shown?.name ?? '', arguments: '{}' }] } });
    const said = await client.messages.create(ask);
    expect(said.content).toMatchObject([{ type: 'tool_use', name }]);
  });

  test('tokens are counted, also at the address of the beta', async () => {
    const client = anthropicOf(rig);
    const ask = { model: 'worker', messages: [{ role: 'user' as const, content: 'word '.repeat(100) }] };
    const { input_tokens: tokens } = await client.messages.countTokens(ask);
    expect(tokens).toBeGreaterThan(50);
    expect(tokens).toBeLessThan(600);
    expect(await client.beta.messages.countTokens(ask)).toMatchObject({ input_tokens: tokens });
  });
});
