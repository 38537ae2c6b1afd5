/** What a client or a model sends that was made to do harm: nobody else notices, and nothing of it stays. */
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { turnOf } from '../../../src/doors/gateway/conversation.ts';
import { responses } from '../../../src/doors/gateway/openai/responses.ts';
import * as limits from '../../../src/doors/limits.ts';
import { SEED } from '../../../src/substrate/actor.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { draftSession } from '../../../src/substrate/sessions/conversations.ts';
import { applyPolicy } from '../../mind/router/rig.ts';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { raw } from '../raw.ts';
import type { Answer } from '../rig.ts';
import { ask, issue } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { CLIENT_SCOPES, figure, policyOver, openOverStub } from './rig.ts';

const CHAT = '/v1/chat/completions';
const RESPONSES = '/v1/responses';
const MESSAGES = '/v1/messages';
const TOOLS = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  const opened = await openOverStub('nvidia');
  ({ stub, rig } = opened);
  return opened.end;
});

function post(
  path: string,
  body: string,
  key: string = rig.client.key,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...more };
  return ask(rig, { method: 'POST', path, body, headers });
}

function chat(more: object = {}): string {
  return JSON.stringify({ model: 'worker', messages: [{ role: 'user', content: 'Hi' }], ...more });
}

function nested(levels: number): string {
  return `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
}

async function expectNothingLeft(): Promise<void> {
  expect(await figure(rig, 'seed_held_micro_usd')).toBe(0);
  expect(rig.defects).toEqual([]);
}

describe('what a model says', () => {
  test.each(PROVIDERS)('%s: a call with arguments that nobody can go through is no answer', async (provider) => {
    await applyPolicy(rig.substrate, policyOver(stub, provider, { usd: '9.00' }));
    stub.next({ do: 'answer', answer: { calls: [{ name: 'look', arguments: nested(2_500) }] } });
    const answer = await post(CHAT, chat({ tools: TOOLS }));
    expect([answer.status, answer.text]).toEqual([502, expect.stringContaining('"provider_failed"')]);
    await expectNothingLeft();
    // The control: as deep as may be.
    rig.sources.time += 60 * 60 * 1_000;
    stub.next({ do: 'answer', answer: { calls: [{ name: 'look', arguments: nested(60) }] } });
    expect((await post(CHAT, chat({ tools: TOOLS }))).status).toBe(200);
  });

  test('an answer that no transcript can keep is none, and its money is not held for ever', async () => {
    // Each of these has six bytes where it is kept.
    const text = Array.from({ length: 80 }, () => '\u0001'.repeat(10_000));
    await applyPolicy(rig.substrate, policyOver(stub, 'nvidia', { usd: '9.00' }));
    for (const body of [chat(), chat({ tools: TOOLS })]) {
      rig.sources.time += 60 * 60 * 1_000;
      stub.next({ do: 'answer', answer: { text } });
      expect((await post(CHAT, body)).status).toBe(502);
    }
    const calls = Array.from({ length: 1_001 }, () => ({ name: 'look', arguments: '{}' }));
    rig.sources.time += 60 * 60 * 1_000;
    stub.next({ do: 'answer', answer: { calls } });
    expect((await post(CHAT, chat({ tools: TOOLS }))).status).toBe(502);
    await expectNothingLeft();
  });
});

describe('what a client sends', () => {
  test('arguments that are too deep are a 400 that names the field', async () => {
    const call = { id: 'a', type: 'function', function: { name: 'look', arguments: nested(5_000) } };
    const result = { role: 'tool', tool_call_id: 'a', content: 'x' };
    const messages = [{ role: 'assistant', content: null, tool_calls: [call] }, result];
    const answer = await post(CHAT, chat({ messages }));
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('messages.0.tool_calls.0.function.arguments');
    expect(rig.defects).toEqual([]);
  });

  test('an answer in many items is measured once', () => {
    const items = Array.from({ length: 300 }, () => ({ role: 'assistant', content: 'x' }));
    const long = { role: 'assistant', content: 'y'.repeat(1_000_000) };
    const measured = vi.spyOn(Buffer, 'byteLength');
    try {
      responses.parse({ model: 'worker', input: [{ role: 'user', content: 'x' }, long, ...items] }, {});
      expect(measured.mock.calls.length).toBeLessThanOrEqual(2);
    } finally {
      measured.mockRestore();
    }
  });

  test('a question that is too much to be kept by itself is asked in a session, or told what to do', async () => {
    const [first, second] = ['a', 'b'].map((letter) => ({ role: 'user', content: letter.repeat(3_000_000) }));
    const large = chat({ messages: [first, second] });
    const answer = await post(CHAT, large);
    expect([answer.status, answer.headers['x-seed-session']]).toEqual([200, expect.any(String)]);
    const { key } = await issue(rig, 'plain', ['route.complete']);
    const refused = await post(CHAT, large, key);
    expect(refused.status).toBe(413);
    expect(refused.text).toContain('"param":"messages"');
    expect(refused.text).toContain('by a key with the scope session.use');
    const described = (index: number): object => ({
      type: 'function',
      function: { name: `f${index}`, description: 'd'.repeat(65_000) },
    });
    const tools = await post(CHAT, chat({ tools: Array.from({ length: 70 }, (_, index) => described(index)) }));
    expect([tools.status, tools.text]).toEqual([413, expect.stringContaining('"param":"tools"')]);
    // The control: a question that is not leaves no session.
    expect((await post(CHAT, chat({ messages: [first] }))).headers['x-seed-session']).toBeUndefined();
    expect(rig.defects).toEqual([]);
  });

  test('more values than anybody needs are 413', async () => {
    const body = chat({ z: Array.from({ length: limits.GATEWAY_VALUES_MAX }, () => 1) });
    expect((await post(CHAT, body)).status).toBe(413);
    expect((await post(CHAT, chat({ z: Array.from({ length: 1_000 }, () => 1) }))).status).toBe(200);
  });

  test('others get their turn while very many messages are prepared', async () => {
    const messages = Array.from({ length: 2_000 }, () => ({ role: 'user' as const, parts: [] }));
    const request = { role: 'worker', messages, tools: [], maxOutputTokens: null, stop: [], labels: {}, session: 'a' };
    const session = draftSession(SEED, { id: 'a', goal: '', now: 0 });
    const plan = { session, isNew: true, from: 0, frame: null, head: new Uint8Array(16) };
    let turns = 0;
    const next = (): void => {
      turns += 1;
      immediate = setImmediate(next);
    };
    let immediate = setImmediate(next);
    await turnOf(plan, SEED, request);
    clearImmediate(immediate);
    expect(turns).toBeGreaterThan(5);
  });

  test('meanwhile the session is taken', async () => {
    const begun = [{ role: 'user', content: 'Begin' }];
    const first = await post(CHAT, chat({ messages: begun }), rig.client.key, { 'x-seed-session': 'new' });
    const named = { 'x-seed-session': String(first.headers['x-seed-session']) };
    const more = Array.from({ length: 1_000 }, (_, index) => ({ role: 'user', content: `${index}` }));
    const body = chat({ messages: [...begun, { role: 'assistant', content: 'Hello' }, ...more] });
    const both = await Promise.all([1, 2].map(() => post(CHAT, body, rig.client.key, named)));
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    expect(both.find(({ status }) => status === 409)?.text).toContain('is under way; its answer comes first');
  });

  test('requests that one key holds back keep no other out', async () => {
    const other = await issue(rig, 'other', CLIENT_SCOPES);
    const lengths = ['transfer-encoding: chunked', `content-length: ${limits.GATEWAY_BODY_BYTES_MAX}`];
    const held = Array.from({ length: 40 }, (_, index): Socket => {
      const socket = connect(rig.port, '127.0.0.1').on('error', () => {});
      socket.write(`${head(CHAT, lengths[index % 2] ?? '')}${index % 2 === 0 ? '1\r\n{\r\n' : '{'}`);
      return socket;
    });
    try {
      await until(() => rig.membrane.work.count(rig.client.id) === held.length, 'all to be let in');
      expect((await post(CHAT, chat(), other.key)).status).toBe(200);
    } finally {
      for (const socket of held) socket.destroy();
    }
    await until(() => rig.membrane.work.count(rig.client.id) === 0, 'all to be let go');
    expect(await figure(rig, 'seed_gateway_request_bytes')).toBe(0);
  });
});

function head(path: string, length: string): string {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${rig.port}`,
    `Authorization: Bearer ${rig.client.key}`,
    'Content-Type: application/json',
    length,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

describe('whoever closes their side of the connection', () => {
  const GOOD = {
    [CHAT]: { messages: [{ role: 'user', content: 'Hi' }] },
    [RESPONSES]: { input: 'Hi' },
    [MESSAGES]: { max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] },
  };
  test.each([CHAT, RESPONSES, MESSAGES] as const)('%s: is told so, and paid for no longer', async (path) => {
    await applyPolicy(rig.substrate, policyOver(stub, 'nvidia', { usd: '9.00', patienceMs: 20_000 }));
    for (const stream of [false, true]) {
      stub.next({ do: 'stall', after: 0 });
      const body = JSON.stringify({ model: 'worker', stream, ...GOOD[path] });
      const said = await raw(rig.port, `${head(path, `content-length: ${body.length}`)}${body}`, { end: true });
      expect(said).toMatch(/^HTTP\/1\.1 400 /);
      const told = JSON.parse(said.slice(said.indexOf('\r\n\r\n'))) as { type?: string; error: { message: string } };
      expect(told.error.message).toContain('closed on your side');
      expect(told.type).toBe(path === MESSAGES ? 'error' : undefined);
      await until(() => rig.membrane.work.count(rig.client.id) === 0, 'it to be let go');
    }
    await vi.waitFor(expectNothingLeft);
  });
});
