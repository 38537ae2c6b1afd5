/** What one client may make the doors hold: ids that come back, streams, addresses, bodies, and how their JSON is made. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import { PassThrough } from 'node:stream';
import * as fc from '../support/fast-check.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { idIn, limitExceeded } from '../../src/doors/json-text.ts';
import * as limits from '../../src/doors/limits.ts';
import { createServing } from '../../src/doors/mcp.ts';
import { createHttpMcp } from '../../src/doors/mcp-http.ts';
import { tellWhenRead } from '../../src/doors/mcp-socket.ts';
import { SharedRoom } from '../../src/doors/room.ts';
import { ID_CHARS_MAX } from '../../src/doors/rpc.ts';
import { UnreadAnswers } from '../../src/doors/unread.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { receiptNote } from '../../src/tools/receipt-note.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Answer, IssuedKey, Rig } from './rig.ts';
import {
  ask,
  askOwner,
  callOverHttp,
  connectAgent,
  dial,
  hello,
  issue,
  listenAnywhere,
  openRig,
  outcome,
} from './rig.ts';

const REVISION = '2026-07-28';
const META = {
  'io.modelcontextprotocol/protocolVersion': REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** More than the kernel takes of an answer that is not read. */
const LARGE_BYTES: number = 12 * 1024 * 1024;

const NO_ID = { id: null, error: { code: -32_600 } };

let folder: Scratch;
let rig: Rig;
let helper: IssuedKey;
const open: (() => void)[] = [];

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
  helper = await issue(rig, 'helper');
});

afterEach(() => {
  for (const close of open.splice(0)) close();
});

afterAll(async () => {
  expect(rig.defects).toEqual([]);
  await rig.close();
  folder[Symbol.dispose]();
});

function headersOf(key: string, more: Record<string, string | number> = {}): Record<string, string | number> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${key}`,
    ...more,
  };
}

function post(
  message: unknown,
  { key = helper.key, more = {} }: { key?: string; more?: object } = {},
): Promise<Answer> {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  const headers = headersOf(key, more as Record<string, string>) as Record<string, string>;
  return ask(rig, { method: 'POST', path: '/mcp', body, headers });
}

const listenTo = (uris: readonly string[], id: unknown = 1): object => ({
  jsonrpc: '2.0',
  id,
  method: 'subscriptions/listen',
  params: { notifications: { resourceSubscriptions: uris }, _meta: META },
});

const LISTEN = { 'mcp-protocol-version': REVISION, 'mcp-method': 'subscriptions/listen' };

describe('over HTTP', () => {
  test('an id, and a progress token, may be as long as it is repeated often', async () => {
    const ping = (id: unknown, meta?: object): object => ({
      jsonrpc: '2.0',
      id,
      method: 'ping',
      ...(meta === undefined ? {} : { params: { _meta: meta } }),
    });
    const long = 'i'.repeat(ID_CHARS_MAX);
    expect((await post(ping(long))).text).toContain(long);
    for (const message of [ping(`${long}x`), ping(1, { progressToken: `${long}x` }), listenTo([], `${long}x`)]) {
      const answer = await post(message, { more: (message as { method: string }).method === 'ping' ? {} : LISTEN });
      expect(answer.text).toContain(`${ID_CHARS_MAX} characters`);
      expect(answer.text).not.toContain(long);
    }
  });

  test('a stream may name so many addresses, each counts once, and it may not be large', async () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `seed://receipts/${i}`);
    const refused = await post(listenTo(many(limits.ADDRESSES_PER_LISTEN_MAX + 1)), { more: LISTEN });
    expect(JSON.parse(refused.text)).toMatchObject({ id: 1, error: { code: -32_602 } });
    expect(refused.text).toContain(`at most ${limits.ADDRESSES_PER_LISTEN_MAX} addresses`);
    const padded = await post(JSON.stringify(listenTo([])) + ' '.repeat(limits.LISTEN_BYTES_MAX), { more: LISTEN });
    expect([padded.status, outcomeOf(padded)]).toEqual([413, 'too_large']);
    const stream = await openStream([...many(limits.ADDRESSES_PER_LISTEN_MAX - 1), 'seed://receipts/0']);
    expect(stream.text().split('seed://receipts/0"')).toHaveLength(2);
  });

  test('a stream that nobody reads is cut, and one that is read goes on', async () => {
    const grant = { id: 'g', name: 'g', surface: 'full', scopes: [], expiresAt: null };
    const admitted = { grant, actor: { id: 'g', kind: 'helper', grant: 'g', scopes: new Set() }, only: null } as never;
    const call = () => Promise.reject(new Error('Nothing is called here.'));
    const checkpoint = () => Promise.resolve('');
    const mcp = createHttpMcp(createServing({ tools: [], call, version: '0', checkpoint, onDefect: () => {} }));
    let cut = 0;
    const door = createServer((incoming, response) => {
      response.once('close', () => cut++);
      const body = listenTo(['seed://checkpoint'], 'x'.repeat(256));
      void mcp.serve({ request: incoming, response, admitted, body, wrote: () => {} });
    });
    const port = await listenAnywhere(door);
    open.push(() => door.close());
    const [deaf, reader] = [
      await openStream(['seed://checkpoint'], port),
      await openStream(['seed://checkpoint'], port),
    ];
    deaf.incoming.pause();
    // Told until one is cut: what the kernel takes before that is its own affair.
    let told = 0;
    const tell = setInterval(() => {
      for (let i = 0; i < 1_000; i++, told++) mcp.notify('seed://checkpoint');
    }, 1);
    open.push(() => clearInterval(tell));
    await until(() => cut > 0 || told > 200_000, 'the deaf one to be cut');
    clearInterval(tell);
    expect(reader.ended()).toBe(false);
    expect(told).toBeLessThan(200_000);
    await mcp.close();
  });

  test.each([
    ['a plain call', META],
    ['one that the SDK serves', { ...META, progressToken: 1 }],
  ])('large answers to %s that nobody reads are cut, and another key’s are not', async (_what, meta) => {
    const large = 'x'.repeat(LARGE_BYTES);
    const call = () => Promise.resolve({ receipt: 1, large });
    const checkpoint = () => Promise.resolve('');
    const mcp = createHttpMcp(
      createServing({ tools: [receiptNote], call, version: '0', checkpoint, onDefect: () => {} }),
    );
    const unread = new UnreadAnswers({ bytesPerKeyMax: 2.5 * LARGE_BYTES, bytesMax: 3.5 * LARGE_BYTES });
    const answered: { key: string; response: ServerResponse }[] = [];
    const door = createServer((incoming, response) => {
      const key = incoming.url ?? '';
      const actor = { id: key, kind: 'helper', grant: key, scopes: new Set() };
      const admitted = { grant: { id: key, surface: 'full', scopes: [], expiresAt: null }, actor, only: null } as never;
      const params = { name: receiptNote.name, arguments: { text: 'x' }, _meta: meta };
      const wrote = (): void => unread.wrote(key, response);
      answered.push({ key, response });
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params };
      void mcp.serve({ request: incoming, response, admitted, body, wrote });
    });
    const port = await listenAnywhere(door);
    open.push(() => door.close());
    const isCut = (key: string): boolean[] =>
      answered.filter((each) => each.key === key).map(({ response }) => response.destroyed);
    /** Asks, and reads nothing of the answer. */
    const askDeaf = async (key: string): Promise<void> => {
      const mine = answered.length;
      const headers = headersOf(key, { ...LISTEN, 'mcp-method': 'tools/call', 'mcp-name': receiptNote.name });
      const outgoing = request({ port, host: '127.0.0.1', path: key, method: 'POST', headers, agent: false });
      outgoing.on('error', () => {}).on('response', (incoming) => incoming.on('error', () => {}).pause());
      outgoing.end();
      open.push(() => outgoing.destroy());
      await until(() => {
        const response = answered[mine]?.response;
        return response !== undefined && (response.destroyed || response.writableLength > 0);
      }, 'the answer to be written');
    };
    for (let i = 0; i < 4; i++) await askDeaf('/greedy');
    expect(isCut('/greedy')).toEqual([false, false, true, true]);
    await askDeaf('/other');
    expect(isCut('/other')).toEqual([false]);
    // One more of anybody’s is too much for all together.
    await askDeaf('/third');
    expect(isCut('/third')).toEqual([true]);
    await mcp.close();
  });

  test('bodies that are held back take no more than a key’s share, and nothing from another key', async () => {
    const [greedy, other] = [await issue(rig, 'greedy'), await issue(rig, 'modest')];
    const bytes = limits.HTTP_BODY_BYTES_MAX - 10;
    const count = Math.floor(limits.HTTP_BYTES_PER_KEY_MAX / bytes) + 2;
    const answers: number[] = [];
    for (let i = 0; i < count; i++) {
      const outgoing = withheld(greedy.key, bytes, (status) => answers.push(status));
      open.push(() => outgoing.destroy());
    }
    await until(() => answers.length >= 1, 'one to be refused');
    expect(new Set(answers)).toEqual(new Set([429]));
    expect(outcome(await callOverHttp(rig, other.key, 'seed_status'))).toBe('ok');
    for (const close of open.splice(0)) close();
    await until(() => rig.membrane.work.count(greedy.id) === 0, 'all to be gone');
    expect(outcome(await callOverHttp(rig, greedy.key, 'seed_status'))).toBe('ok');
  });

  test('so many values and no more are parsed', async () => {
    const call = (count: number): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"seed_status","arguments":{"a":[${'0,'.repeat(count)}0]}}}`;
    expect(outcomeOf(await post(call(limits.JSON_VALUES_MAX)))).toBe('too_large');
    expect((await post(call(1_000))).text).toContain('There is no argument a');
  });

  test('params of the wrong shape are told in words, as the answer to their request', async () => {
    const initialize = (clientInfo: object): object => ({
      jsonrpc: '2.0',
      id: 'hello',
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo },
    });
    const wrong = await post(initialize({ name: 42, version: '1' }));
    expect([wrong.status, JSON.parse(wrong.text)]).toMatchObject([
      200,
      { id: 'hello', error: { code: -32_602, message: 'params.clientInfo.name must be a text; it was 42.' } },
    ]);
    expect((await post(initialize({ name: 'x', version: '1' }))).text).toContain('serverInfo');
  });

  test('so many names and no more are looked at, and the argument that is none is told by its name', async () => {
    const named = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`name${i}`, 0]));
    const flood = await callOverHttp(rig, helper.key, 'seed_status', named(limits.INPUT_NAMES_MAX + 1));
    expect(outcome(flood)).toBe('too_large');
    const few = await callOverHttp(rig, helper.key, 'seed_status', named(2));
    expect(few.result?.structuredContent).toMatchObject({ code: 'invalid_input', argument: 'name0' });
  });
});

test('data of a message may be wide or deep, and is told which of the two is too much', async () => {
  const send = (data: unknown) => rig.call({ tool: 'bus_send', input: { to: 'owner', data }, actor: OWNER });
  await expect(send(Array.from({ length: 200_000 }, () => 0))).rejects.toMatchObject({
    code: 'too_large',
    message: expect.stringContaining('bytes') as string,
  });
  const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
  await expect(send(nested(33))).rejects.toMatchObject({ code: 'too_large', message: 'data is more than 32 deep.' });
  await expect(send(nested(32))).resolves.toMatchObject({ repeated: false });
});

describe('on the local socket', () => {
  test('a connection of the older era is subscribed to so many addresses', async () => {
    const agent = await connectAgent(rig, 'subscriber');
    open.push(agent.close);
    const subscribe = (seq: number) => agent.rpc('resources/subscribe', { uri: `seed://receipts/${seq}` });
    const done = await Promise.all(Array.from({ length: limits.ADDRESSES_PER_LISTEN_MAX }, (_, seq) => subscribe(seq)));
    expect(done.every(({ result }) => result !== undefined)).toBe(true);
    expect((await subscribe(limits.ADDRESSES_PER_LISTEN_MAX)).error?.data).toMatchObject({ code: 'too_many' });
    expect((await subscribe(0)).result).toBeDefined();
    await agent.rpc('resources/unsubscribe', { uri: 'seed://receipts/0' });
    expect((await subscribe(limits.ADDRESSES_PER_LISTEN_MAX)).result).toBeDefined();
  });

  test('who does not read is told of each change once, when it reads again', async () => {
    const pipe = new PassThrough({ highWaterMark: 100 });
    open.push(() => pipe.destroy());
    const told: string[] = [];
    const tell = tellWhenRead(pipe, (uri) => {
      told.push(uri);
      pipe.write(uri);
    });
    for (let i = 0; i < 10_000; i++) tell(`seed://receipts/${i % 3}`);
    const before = told.splice(0).length;
    expect(before).toBeLessThan(20);
    pipe.resume();
    await until(() => told.length > 0, 'it to be told');
    expect(told.toSorted()).toEqual(['seed://receipts/0', 'seed://receipts/1', 'seed://receipts/2']);
    tell('seed://checkpoint');
    expect(told.at(-1)).toBe('seed://checkpoint');
    pipe.pause();
    for (let i = 0; i <= limits.ADDRESSES_LATE_MAX + before && !pipe.destroyed; i++) tell(`seed://sessions/${i}`);
    expect(pipe.destroyed).toBe(true);
  });

  test('a stream is told which addresses it gets, and what comes after it waits for that', async () => {
    const agent = await welcomed('modern');
    agent.send(JSON.stringify(listenTo(['seed://nope', 'seed://checkpoint', 'seed://policy'], 'mine')));
    agent.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine' } }));
    agent.send(
      JSON.stringify(
        listenTo(
          Array.from({ length: 300 }, () => 'seed://status'),
          'many',
        ),
      ),
    );
    await agent.line(2);
    const answers = agent.lines.slice(1).map((line) => JSON.parse(line) as object);
    expect(answers).toHaveLength(2);
    expect(answers).toContainEqual(
      expect.objectContaining({
        method: 'notifications/subscriptions/acknowledged',
        params: expect.objectContaining({ notifications: { resourceSubscriptions: ['seed://checkpoint'] } }) as object,
      }),
    );
    expect(answers).toContainEqual(
      expect.objectContaining({ id: 'many', error: expect.objectContaining({ code: -32_602 }) as object }),
    );
  });

  test.each<[string, string, object]>([
    ['a further member', '{"jsonrpc":"2.0","id":7,"method":"ping","more":1}', { id: 7, error: { code: -32_600 } }],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', { id: 1.5, error: { code: -32_600 } }],
    ['an id past what is exact', '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}', NO_ID],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', NO_ID],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}', NO_ID],
    ['an id without end', `{"jsonrpc":"2.0","id":"${'x'.repeat(257)}","method":"ping"}`, NO_ID],
    [
      'params that are none',
      '{"jsonrpc":"2.0","id":8,"method":"ping","params":5}',
      { id: 8, error: { code: -32_602 } },
    ],
    ['another JSON-RPC', '{"jsonrpc":"1.0","id":"old","method":"ping"}', { id: 'old', error: { code: -32_600 } }],
    ['no method', '{"jsonrpc":"2.0","id":9}', { id: 9, error: { code: -32_600 } }],
    ['a number', '5', NO_ID],
    ['an empty batch', '[]', NO_ID],
    [
      'a batch',
      '[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":3,"method":"ping"}]',
      { id: 3, error: { code: -32_600, message: expect.stringContaining('batch') as string } },
    ],
    [
      'depth',
      `{"method":"tools/call","params":{"name":"seed_start","arguments":{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}},"jsonrpc":"2.0","id":10}`,
      { id: 10, error: { code: -32_600, message: expect.stringContaining('64 levels') as string } },
    ],
    [
      'values',
      `{"jsonrpc":"2.0","id":"v","method":"ping","params":{"a":[${'0,'.repeat(limits.JSON_VALUES_MAX)}0]}}`,
      { id: 'v', error: { code: -32_600 } },
    ],
    [
      'arguments that are null',
      '{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"seed_start","arguments":null}}',
      { id: 11, error: { code: -32_602, message: 'params.arguments must be an object; it was null.' } },
    ],
    [
      'arguments that are a list',
      '{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"seed_start","arguments":[]}}',
      { id: 12, error: { code: -32_602, message: 'params.arguments must be an object; it was an empty list.' } },
    ],
    [
      'a client without a name',
      '{"jsonrpc":"2.0","id":13,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":42,"version":"1"}}}',
      { id: 13, error: { code: -32_602, message: 'params.clientInfo.name must be a text; it was 42.' } },
    ],
  ])('%s is answered, and the next message served', async (_what, line, answer) => {
    const agent = await connectAgent(rig, 'clumsy');
    open.push(agent.close);
    const before = agent.lines.length;
    agent.send(line);
    expect(await agent.line(before)).toMatchObject({ jsonrpc: '2.0', ...answer });
    expect((await agent.rpc('ping')).result).toEqual({});
    // Nothing was answered twice.
    expect(agent.lines).toHaveLength(before + 2);
  });

  test('bytes that are no UTF-8 are refused, and nothing is kept of them', async () => {
    const agent = await connectAgent(rig, 'latin');
    open.push(agent.close);
    const before = agent.lines.length;
    const call =
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"receipt_note","arguments":{"text":"\u00ff"}}}';
    agent.socket.write(Buffer.from(`${call}\n`, 'latin1'));
    expect(await agent.line(before)).toMatchObject({ id: null, error: { code: -32_700 } });
    const { result } = await askOwner(rig, 'receipt_list', { action: 'receipt.note' });
    expect((result as { receipts: unknown[] }).receipts).toEqual([]);
  });

  test('what is no request gets no answer: a notification that is wrong, an answer, a line that is no JSON', async () => {
    const agent = await connectAgent(rig, 'quiet');
    open.push(agent.close);
    const before = agent.lines.length;
    for (const line of [
      '{"jsonrpc":"2.0","method":"notifications/x","params":5}',
      '{"jsonrpc":"2.0","id":4,"result":{}}',
      '$ ls',
    ])
      agent.send(line);
    expect((await agent.rpc('ping')).result).toEqual({});
    expect(agent.lines).toHaveLength(before + 1);
  });
});

describe('the JSON of a message, seen without parsing it', () => {
  const bounds = { depthMax: 3, valuesMax: 5 };

  test('depth and values are told, and what stands in a text is neither', () => {
    expect(limitExceeded('[[[1]]]', bounds)).toBeNull();
    expect(limitExceeded('[[[[1]]]]', bounds)).toBe('depthMax');
    expect(limitExceeded('[1,2,3,4]', bounds)).toBeNull();
    expect(limitExceeded('[1,2,3,4,5]', bounds)).toBe('valuesMax');
    expect(limitExceeded(JSON.stringify(['[[[[[[', ',,,,,,', '\\"[[[[{{"']), bounds)).toBeNull();
  });

  test('are what parsing would have found', () => {
    const depthOf = (value: unknown): number =>
      typeof value !== 'object' || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf));
    // Each list and each object counts as one value more, as what has none in it.
    const valuesIn = (value: unknown): number =>
      typeof value !== 'object' || value === null
        ? 1
        : 1 +
          Math.max(
            1,
            Object.values(value).reduce((sum: number, each) => sum + valuesIn(each), 0),
          );
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 6 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(60),
        (value, depthMax, more) => {
          const found = limitExceeded(JSON.stringify(value), { depthMax, valuesMax: more + 1 });
          const isWithin = depthOf(value) <= depthMax && valuesIn(value) <= more + 1;
          expect(found === null).toBe(isWithin);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('an id is found wherever it stands at the top, and nowhere else', () => {
    expect(idIn('{"params":{"id":1,"a":["id"]},"x":"\\"id\\":3","id":"a\\"b"}')).toBe('a"b');
    expect(idIn('{"id" : -7 ,"method":"x"}')).toBe(-7);
    expect(idIn('{"a":{"id":1}}')).toBeNull();
    expect(idIn('{"id":1.5}')).toBeNull();
    expect(idIn(`{"id":"${'x'.repeat(257)}"}`)).toBeNull();
  });
});

test('room is shared: each key has a part of it, all have it together, and it is given back once', () => {
  const room = new SharedRoom({ bytesMax: 100, bytesPerKeyMax: 60 });
  const [a, b] = [room.hold('a'), room.hold('b')];
  a.take(50);
  expect(() => a.take(11)).toThrow('under this key');
  b.take(50);
  expect(() => b.take(1)).toThrow('at this moment');
  a.release();
  a.release();
  a.take(60);
  expect(room.taken).toBe(50);
  b.release();
  expect(room.taken).toBe(0);
});

function outcomeOf({ text }: Answer): string | undefined {
  return (JSON.parse(text) as { error?: { data?: { code: string } } }).error?.data?.code;
}

interface Stream {
  readonly incoming: IncomingMessage;
  readonly text: () => string;
  readonly ended: () => boolean;
}

/** Opens a stream and resolves when it is acknowledged. */
async function openStream(uris: readonly string[], port: number = rig.port): Promise<Stream> {
  let text = '';
  let ended = false;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = headersOf(helper.key, LISTEN);
  const outgoing = request({ port, host: '127.0.0.1', method: 'POST', path: '/mcp', headers, agent: false });
  open.push(() => outgoing.destroy());
  outgoing
    .once('response', resolve)
    .once('error', reject)
    .end(JSON.stringify(listenTo(uris)));
  const incoming = await promise;
  incoming.on('error', () => {}).once('close', () => (ended = true));
  incoming.on('data', (chunk: Buffer) => {
    if (text.length < 100_000) text += chunk.toString('utf8');
  });
  await until(() => text.includes('acknowledged'), 'the stream to open');
  return { incoming, text: () => text, ended: () => ended };
}

/** Sends all of a body but its last byte. */
function withheld(key: string, bytes: number, onAnswer: (status: number) => void): ClientRequest {
  const headers = headersOf(key, { 'content-length': bytes });
  const outgoing = request({ port: rig.port, host: '127.0.0.1', method: 'POST', path: '/mcp', headers, agent: false });
  outgoing.on('error', () => {});
  outgoing.once('response', (incoming) => {
    onAnswer(incoming.statusCode ?? 0);
    incoming.resume();
  });
  outgoing.write(Buffer.alloc(bytes - 1, ' '));
  return outgoing;
}

/** A connection that was let in and has said nothing of MCP yet. */
async function welcomed(name: string): Promise<ReturnType<typeof dial>> {
  const agent = dial(rig);
  open.push(agent.close);
  agent.send(hello(name));
  await agent.line(0);
  return agent;
}
