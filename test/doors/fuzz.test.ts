/** Whatever is sent to the doors: the daemon stands, every answer is well formed, and nothing is left behind. */
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { openAgain, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { seededNumbers } from '../support/sources.ts';
import type { IssuedKey } from './rig.ts';
import { ask, askOwner, connectAgent, dial, hello, INITIALIZE, issue, outcome } from './rig.ts';
import type { Watched } from './watched.ts';
import { startWatched } from './watched.ts';

const LONG = process.env['SEED_TEST_LONG'] !== undefined;
/** Inputs of each kind. */
const INPUTS = LONG
  ? { http: 50_000, rpc: 40_000, agent: 20_000, owner: 5_000 }
  : { http: 900, rpc: 700, agent: 400, owner: 100 };
const CLIENTS = 24;
/** Heap that may come to stay: caches fill up to their bounds. */
const GROWTH_BYTES_MAX = 12 * 1024 * 1024;
/** A connection that the daemon rightly waits on is left after this long. */
const PATIENCE_MS = 1_500;

let folder: Scratch;
let daemon: Watched;
let helper: IssuedKey;

beforeAll(async () => {
  folder = scratch();
  daemon = await startWatched(folder.at('home'));
  helper = await issue(daemon, 'fuzzer');
});

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

// ---------------------------------------------------------------------------------------------
// Inputs

/** What follows from a name: numbers, picks and texts. */
class Dice {
  readonly below: (limit: number) => number;

  constructor(name: string) {
    this.below = seededNumbers(name);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(most: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(most) }, () => this.below(256)));
  }

  text(): string {
    return this.pick(TEXTS)(this);
  }

  /** Any JSON value, not too large. */
  json(depth = 3): unknown {
    const kind = this.below(depth === 0 ? 6 : 8);
    if (kind < 2) return this.text();
    if (kind === 2) return this.pick(NUMBERS);
    if (kind < 5) return this.pick([null, true, false]);
    if (kind === 5) return '';
    const count = this.below(4);
    if (kind === 6) return Array.from({ length: count }, () => this.json(depth - 1));
    return Object.fromEntries(Array.from({ length: count }, () => [this.text(), this.json(depth - 1)]));
  }
}

const NUMBERS = [0, -0, 1, -1, 1.5, 1e308, -1e308, 2 ** 53, 2 ** 53 + 1, 5e-324];
const TEXTS: readonly ((dice: Dice) => string)[] = [
  () => '',
  (dice) => 'x'.repeat(dice.below(2_000)),
  (dice) => String.fromCharCode(...Array.from({ length: dice.below(20) }, () => dice.below(0x1_00_00))),
  () => '\ud800',
  () => '\u0000',
  () => '__proto__',
  () => 'constructor',
  () => '\u202e\u2066\ufeff',
  () => "'; DROP TABLE substrate_grants; --",
  () => '../../etc/passwd',
  (dice) => dice.pick(METHODS),
  () => '🏴󠁧󠁢󠁳󠁣󠁴󠁿'.repeat(3),
];
const METHODS = [
  'initialize',
  'ping',
  'tools/list',
  'tools/call',
  'resources/read',
  'resources/subscribe',
  'resources/templates/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'server/discover',
  'subscriptions/listen',
  'notifications/initialized',
  'notifications/cancelled',
  'elicitation/create',
  'sampling/createMessage',
  'roots/list',
  'rpc.discover',
  'nothing/at-all',
];
const TOOLS = [
  'seed_start',
  'seed_status',
  'receipt_get',
  'receipt_list',
  'receipt_note',
  'membrane_register',
  'key_issue',
  'seed_stop',
  '',
];

/** A JSON-RPC message, mostly of the right shape, so that it gets further in. */
function message(dice: Dice): unknown {
  if (dice.below(8) === 0) return dice.json();
  const base: Record<string, unknown> = {
    jsonrpc: dice.pick(['2.0', '2.0', '2.0', '1.0', 2, null]),
    id: dice.pick([1, 'a', 0, -1, 1.5, null, '', {}, [], true, 'x'.repeat(500), 2 ** 53]),
    method: dice.pick([...METHODS, dice.text(), 7, null]),
    params: dice.pick([params(dice), params(dice), dice.json(), undefined, [], null]),
  };
  if (dice.below(6) === 0) delete base[dice.pick(['jsonrpc', 'id', 'method', 'params'])];
  if (dice.below(10) === 0) base['result'] = dice.json();
  if (dice.below(10) === 0) base[dice.text()] = dice.json();
  return base;
}

function params(dice: Dice): unknown {
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': dice.pick(['2026-07-28', '2025-06-18', dice.text(), 5]),
    'io.modelcontextprotocol/clientInfo': dice.pick([{ name: 'x', version: '1' }, dice.json()]),
    'io.modelcontextprotocol/clientCapabilities': dice.pick([{}, dice.json()]),
  };
  return {
    name: dice.pick([...TOOLS, dice.text(), dice.json()]),
    arguments: dice.pick([{}, { seq: dice.json() }, { text: dice.text() }, dice.json()]),
    uri: dice.pick(['seed://status', 'seed://receipts/1', 'seed://receipts/-1', dice.text(), dice.json()]),
    ...(dice.below(4) === 0 ? INITIALIZE : {}),
    ...(dice.below(3) === 0
      ? { _meta: dice.pick([envelope, envelope, dice.json(), { progressToken: dice.json() }]) }
      : {}),
    ...(dice.below(4) === 0 ? { notifications: dice.json() } : {}),
  };
}

/** A body: JSON, a batch, or something that nearly is. */
function body(dice: Dice): string {
  const text = JSON.stringify(
    dice.below(6) === 0 ? Array.from({ length: dice.below(60) }, () => message(dice)) : message(dice),
  );
  switch (dice.below(12)) {
    case 0:
      return text.slice(0, dice.below(text.length + 1));
    case 1:
      return `${'['.repeat(dice.below(20_000))}${text}`;
    case 2:
      return text.replace('{', `{"method":${JSON.stringify(dice.text())},`);
    case 3:
      return `\ufeff${text}`;
    case 4:
      return dice.bytes(400).toString('latin1');
    default:
      return text;
  }
}

/** Bytes that begin an HTTP exchange and seldom end it well. */
function http(dice: Dice, host: string, authorization: string): Buffer {
  const line = dice.pick([
    'POST /mcp HTTP/1.1',
    'POST /mcp HTTP/1.1',
    'POST /oauth/token HTTP/1.1',
    'GET /healthz HTTP/1.1',
    'GET /mcp HTTP/1.1',
    'DELETE /mcp HTTP/1.1',
    'HEAD /mcp HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'CONNECT localhost:1 HTTP/1.1',
    'TRACE /mcp HTTP/1.1',
    'PRI * HTTP/2.0',
    'GET http://127.0.0.1/mcp HTTP/1.1',
    'GET /mcp HTTP/1.0',
    'GET /mcp HTTP/0.9',
    'GET /mcp HTTP/9.9',
    'GET  /mcp  HTTP/1.1',
    'get /mcp HTTP/1.1',
    'POST /mcp',
    `GET /${'a'.repeat(dice.below(30_000))} HTTP/1.1`,
    `GET /%${dice.text()} HTTP/1.1`,
    `GET /${dice.bytes(60).toString('latin1')} HTTP/1.1`,
    dice.bytes(100).toString('latin1'),
    '',
  ]);
  const content = body(dice);
  const length = Buffer.byteLength(content);
  const fields = [
    dice.pick([
      `Host: ${host}`,
      `Host: ${host}`,
      `Host: ${host}`,
      'Host: evil.example.com',
      `Host: ${host}\r\nHost: ${host}`,
      '',
    ]),
    dice.pick([authorization, authorization, 'Authorization: Bearer x', `${authorization}\r\n${authorization}`, '']),
    dice.pick([
      'Content-Type: application/json',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Type: ${dice.text()}`,
    ]),
    'Accept: application/json, text/event-stream',
    dice.pick([
      `Content-Length: ${length}`,
      `Content-Length: ${length}`,
      `Content-Length: ${length + dice.below(100)}`,
      `Content-Length: ${dice.below(length + 1)}`,
      'Content-Length: 99999999999999999999',
      'Content-Length: -1',
      'Content-Length: 0x10',
      `Content-Length: ${length}\r\nContent-Length: 0`,
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: chunked',
      `Transfer-Encoding: chunked\r\nContent-Length: ${length}`,
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding: identity',
      '',
    ]),
    ...Array.from({ length: dice.pick([0, 0, 1, 5, 3_000]) }, (_, i) => `X-${i}: ${'y'.repeat(dice.below(30))}`),
    dice.pick([
      '',
      '',
      '',
      `X-Long: ${'z'.repeat(dice.below(40_000))}`,
      'Expect: 100-continue',
      'Expect: nonsense',
      'Upgrade: websocket\r\nConnection: upgrade',
      ': no name',
      'No colon',
      ' folded: yes',
      'Nul: \0',
      'Connection: close',
      'Mcp-Session-Id: x',
      `Mcp-Protocol-Version: ${dice.pick(['2026-07-28', 'x', '2024-11-05'])}`,
    ]),
  ].filter((field) => field !== '');
  const payload = fields.some((field) => field.startsWith('Transfer')) ? chunked(dice, content) : content;
  const ending = dice.pick(['\r\n', '\r\n', '\r\n', '\n', '\r']);
  const whole = [line, ...fields, '', payload].join(ending);
  const sent = dice.below(10) === 0 ? whole.slice(0, dice.below(whole.length + 1)) : whole;
  return Buffer.from(dice.below(8) === 0 ? sent + sent : sent, dice.pick(['utf8', 'latin1']));
}

function chunked(dice: Dice, content: string): string {
  const size = Buffer.byteLength(content).toString(16);
  return dice.pick([
    `${size}\r\n${content}\r\n0\r\n\r\n`,
    `${size}\r\n${content}\r\n0\r\n\r\n`,
    `${size};ext="${dice.text()}"\r\n${content}\r\n0\r\nTrailer: x\r\n\r\n`,
    `FFFFFFFFFFFFFFFFF\r\n${content}`,
    `-1\r\n${content}\r\n0\r\n\r\n`,
    `zz\r\n${content}`,
    `0\r\n${content}`,
    '1\r\n{\r\n'.repeat(200),
    `${size}\n${content}\n0\n\n`,
  ]);
}

// ---------------------------------------------------------------------------------------------
// Sending and judging

/** Sends bytes, mostly hangs up its half, and resolves to all that came back. */
function exchange(open: () => Socket, bytes: Buffer, dice: Pick<Dice, 'below'>): Promise<string> {
  const way = dice.below(12);
  return new Promise((resolve) => {
    const socket = open();
    const came: Buffer[] = [];
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => came.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(came).toString('latin1')));
    if (way === 0) socket.write(bytes, () => socket.destroy());
    else if (way === 1) dribble(socket, bytes);
    else socket.end(bytes);
  });
}

/** Sends everything and hangs up its half. */
const WHOLE: Pick<Dice, 'below'> = { below: (limit) => limit - 1 };

/** In small pieces, then silence for a moment, then gone. */
function dribble(socket: Socket, bytes: Buffer): void {
  socket.setNoDelay(true);
  for (let at = 0; at < Math.min(bytes.length, 200); at += 7) socket.write(bytes.subarray(at, at + 7));
  socket.end(bytes.subarray(Math.min(bytes.length, 203)));
}

/** Why what came back is no sequence of HTTP answers, or null. */
function malformed(answer: string): string | null {
  let rest = answer;
  while (rest !== '') {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest);
    if (head === null) return 'no status line';
    const [, status = '', fields = ''] = head;
    rest = rest.slice(head[0].length);
    if (status === '100') continue;
    if (Number(status) === 500) return 'a defect';
    const length = Number(/^content-length: (\d+)\r$/im.exec(fields)?.[1] ?? -1);
    // Without a length it is chunked or ends the connection: nothing follows it that we could cut off here.
    // What answers a HEAD has no content whatever its fields say (RFC 9110 §9.3.2).
    const content = rest.startsWith('HTTP/1.1 ') ? '' : length >= 0 ? rest.slice(0, length) : rest;
    rest = rest.startsWith('HTTP/1.1 ') || length >= 0 ? rest.slice(content.length) : '';
    const fault = faultOf(status, fields, content);
    if (fault !== null) return fault;
  }
  return null;
}

function faultOf(status: string, fields: string, content: string): string | null {
  if (!/^content-type: application\/json/im.test(fields)) return null;
  const whole = dechunk(fields, content);
  if (whole === null || whole === '') return null;
  try {
    const value = JSON.parse(Buffer.from(whole, 'latin1').toString('utf8')) as { error?: unknown };
    if (Number(status) >= 400 && value.error === undefined) return `a ${status} without an error`;
    return null;
  } catch {
    return `a ${status} whose JSON does not parse`;
  }
}

/** The content of a chunked answer; null when it was cut off. */
function dechunk(fields: string, content: string): string | null {
  if (!/^transfer-encoding: chunked/im.test(fields)) return content;
  let whole = '';
  for (let rest = content; ; ) {
    const size = /^([0-9a-f]+)\r\n/i.exec(rest);
    if (size === null) return null;
    const length = Number.parseInt(size[1] ?? '0', 16);
    if (length === 0) return whole;
    whole += rest.slice(size[0].length, size[0].length + length);
    rest = rest.slice(size[0].length + length + 2);
  }
}

/** Runs inputs, many at a time; `one` is told the number of its input, from which everything follows. */
async function sendAll(count: number, one: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await one(index);
      if (index % 500 === 0) await expectHealthy();
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

async function expectHealthy(): Promise<void> {
  expect((await ask(daemon, { path: '/healthz' })).status).toBe(200);
}

async function expectFlat(run: (part: string, count: number) => Promise<void>, count: number): Promise<void> {
  await run('warm', Math.ceil(count / 3));
  const before = await daemon.heap();
  await run('then', count - Math.ceil(count / 3));
  const after = await daemon.heap();
  if (LONG) process.stdout.write(`heap ${before} -> ${after} after ${count} inputs\n`);
  expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
  expect(daemon.uncaught()).toEqual([]);
  expect(daemon.child.errors()).toBe('');
  await expectHealthy();
}

describe('garbage', () => {
  test('as HTTP', async () => {
    const host = `127.0.0.1:${daemon.port}`;
    await expectFlat(
      (part, count) =>
        sendAll(count, async (index) => {
          const dice = new Dice(`http ${part} ${index}`);
          const sent = http(dice, host, `Authorization: Bearer ${helper.key}`);
          const answer = await exchange(() => connect(daemon.port, '127.0.0.1'), sent, dice);
          expect([part, index, malformed(answer)]).toEqual([part, index, null]);
        }),
      INPUTS.http,
    );
  });

  test('as JSON-RPC with a good key', async () => {
    await expectFlat(
      (part, count) =>
        sendAll(count, async (index) => {
          const dice = new Dice(`rpc ${part} ${index}`);
          const headers = {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            authorization: `Bearer ${helper.key}`,
            ...(dice.below(4) === 0 ? { 'mcp-protocol-version': dice.pick(['2026-07-28', '2025-06-18', 'x']) } : {}),
            ...(dice.below(4) === 0 ? { 'mcp-method': dice.pick(METHODS) } : {}),
          };
          const content = body(dice);
          const request = [
            'POST /mcp HTTP/1.1',
            `Host: 127.0.0.1:${daemon.port}`,
            ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
            `Content-Length: ${Buffer.byteLength(content)}`,
            'Connection: close',
            '',
            content,
          ].join('\r\n');
          const answer = await exchange(() => connect(daemon.port, '127.0.0.1'), Buffer.from(request), WHOLE);
          expect([part, index, malformed(answer)]).toEqual([part, index, null]);
        }),
      INPUTS.rpc,
    );
  });

  test('on the agents’ socket, before the first line and after', async () => {
    await expectFlat(
      (part, count) =>
        sendAll(Math.ceil(count / 10), async (index) => {
          const dice = new Dice(`agent ${part} ${index}`);
          if (dice.below(3) === 0) {
            const opening = dice.pick([dice.bytes(6_000), Buffer.from(body(dice)), Buffer.from(hello(dice.text()))]);
            await exchange(() => connect(daemon.sockets.agent), opening, dice);
            return;
          }
          const agent = dial(daemon);
          agent.send(hello(`fuzz-${index % 40}`));
          await agent.line(0);
          for (let i = 0; i < 10; i++) agent.socket.write(`${body(dice).replaceAll('\n', ' ')}\n`);
          if (dice.below(2) === 0) agent.close();
          else agent.socket.end();
          await until(agent.closed, 'the connection to end');
        }),
      INPUTS.agent,
    );
    const agent = await connectAgent(daemon, 'sane');
    expect(outcome(await agent.call('seed_start'))).toBe('ok');
    agent.close();
  });

  test('on the owner’s socket', async () => {
    await expectFlat(
      (part, count) =>
        sendAll(count, async (index) => {
          const dice = new Dice(`owner ${part} ${index}`);
          const call = {
            tool: dice.pick(['receipt_get', 'key_list', 'receipt_list', dice.text()]),
            input: dice.json(),
          };
          const content = dice.below(2) === 0 ? JSON.stringify(call) : body(dice);
          const head = dice.pick(['POST /call HTTP/1.1', 'POST /call HTTP/1.1', 'GET / HTTP/1.1', dice.text()]);
          const sent = `${head}\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;
          const answer = await exchange(() => connect(daemon.sockets.owner), Buffer.from(sent), dice);
          expect([part, index, malformed(answer)]).toEqual([part, index, null]);
        }),
      INPUTS.owner,
    );
    expect((await askOwner(daemon, 'seed_status')).error).toBeUndefined();
  });

  test('leaves a log that verifies and a daemon that stops in good order', async () => {
    await daemon.stop();
    expect(daemon.uncaught()).toEqual([]);
    expect(daemon.child.errors()).toBe('');
    await using seed = await openAgain(daemon.home);
    const verdict = await verifyExport(seed.substrate, { out: folder.at('export'), pinnedRoot: seed.pinnedRoot });
    expect(verdict.verdict).toBe('proven');
  });
});
