/** How what is open at the HTTP door ends: with the key, with the seed, or with a client that never says a word. */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Rig } from './rig.ts';
import { ask, askToken, callOverHttp, issue, listen, openRig, ownKey, signJwt } from './rig.ts';

let folder: Scratch;
let rig: Rig;

beforeEach(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterEach(async () => {
  await rig.close();
  expect(rig.defects).toEqual([]);
  folder[Symbol.dispose]();
});

const SCOPES = ['seed.status', 'receipt.read', 'bus.receive'];

const waitForMail = (key: string) => callOverHttp(rig, key, 'bus_receive', { wait_ms: 25_000 });

/** Sets the clock so that a key of 60 s, issued now, has `leftMs` to go. */
function letPass(leftMs: number): void {
  rig.sources.time += 60_000 - leftMs;
}

describe('when a key expires', () => {
  test('its stream ends and its waiting call is told so, at that moment; another key’s go on', async () => {
    const brief = await issue(rig, 'brief', SCOPES, { expires_in_s: 60 });
    const lasting = await issue(rig, 'lasting', SCOPES);
    letPass(1_500);
    const [stream, other] = [await listen(rig, brief.key), await listen(rig, lasting.key)];
    const waiting = waitForMail(brief.key);
    const plain = plainCall(brief.key, 'bus_receive', { wait_ms: 25_000 });
    expect(await waiting).toMatchObject({ error: { data: { code: 'key_expired' } } });
    expect(await plain).toMatchObject({ status: 401, text: expect.stringContaining('key_expired') as string });
    await until(stream.ended, 'the stream to end');
    await until(() => rig.membrane.work.count(brief.id) === 0, 'nothing to be open under it');
    expect(other.ended()).toBe(false);
    other.close();
  });

  test('a stream that was opened with a token ends with the token, though its grant goes on', async () => {
    const own = ownKey();
    const { id } = await issue(rig, 'signer', SCOPES, { public_key: own.publicKey });
    const seconds = Math.floor(rig.sources.time / 1_000);
    const audience = `http://127.0.0.1:${rig.port}`;
    const claims = { iss: id, sub: id, aud: audience, jti: 'once', iat: seconds, exp: seconds + 60 };
    const answer = await askToken(rig, signJwt({ alg: 'EdDSA', typ: 'JWT' }, claims, own.privateKey));
    const token = JSON.parse(answer.text) as { access_token: string; expires_in: number };
    rig.sources.time += token.expires_in * 1_000 - 1_200;
    const stream = await listen(rig, token.access_token);
    await until(stream.ended, 'the stream to end');
    const { grant } = await rig.membrane.admit({ grant: id, only: null, expiresAt: Number.MAX_SAFE_INTEGER });
    expect(grant.name).toBe('signer');
  });
});

describe('when the seed stops', () => {
  test('a client that keeps its connection is answered, told to close, and refused anything new', async () => {
    const { key } = await issue(rig, 'keeper', SCOPES);
    // One connection is in use when the stop begins, and asks again on the next turn after its answer.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const underWay = overAgent(agent, key, 'bus_receive', { wait_ms: 25_000 });
    await until(() => rig.membrane.work.grants().length === 1, 'the call to be under way');
    const idle = new Agent({ keepAlive: true });
    expect((await overAgent(idle, key, 'seed_status')).status).toBe(200);
    // Far longer than the test may take: nothing is waited out.
    const closing = rig.doors.close(300_000);
    const next = overAgent(agent, key, 'seed_status').catch((error: unknown) => error);
    expect(await underWay).toMatchObject({ status: 200 });
    const refused = await next;
    // Either the connection was gone by then, or it was told.
    if (!(refused instanceof Error)) {
      expect(refused).toMatchObject({
        status: 503,
        connection: 'close',
        text: expect.stringContaining('stopping') as string,
      });
    }
    await closing;
    agent.destroy();
    idle.destroy();
  });

  test('what comes in while another call is under way is refused as the seed is stopping', async () => {
    const { key } = await issue(rig, 'late', SCOPES);
    const slow = await connected();
    // A body that is still arriving keeps this connection, and with it the door, for a moment.
    const message = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const head = (more: string): string =>
      `POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${rig.port}\r\nauthorization: Bearer ${key}\r\n` +
      `content-type: application/json\r\naccept: application/json, text/event-stream\r\n${more}\r\n`;
    slow.write(head(`content-length: ${message.length}\r\n`) + message.slice(0, -1));
    await until(() => rig.membrane.work.grants().length === 1, 'the request to be there');
    const told = collect(slow);
    const closing = rig.doors.close(300_000);
    slow.write(`${message.slice(-1)}${head(`content-length: ${message.length}\r\n`)}${message}`);
    await until(() => told().includes('stopping'), 'the second to be refused');
    expect(told()).toMatch(/^HTTP\/1\.1 200 [^]*HTTP\/1\.1 503 [^]*connection: close/i);
    await closing;
  });
});

test('connections that say nothing are dropped within seconds', async () => {
  const silent = await Promise.all(Array.from({ length: 20 }, connected));
  const slow = await connected();
  slow.write('GET /healthz HTTP/1.1\r\n');
  let closed = 0;
  for (const socket of [...silent, slow]) socket.resume().once('close', () => closed++);
  await until(() => closed === silent.length + 1, 'all to be dropped');
  expect((await ask(rig, { path: '/healthz', headers: { host: `127.0.0.1:${rig.port}` } })).status).toBe(200);
  // By itself Node looks for them every 30 s.
}, 15_000);

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

interface Told {
  readonly status: number;
  readonly connection: string | undefined;
  readonly text: string;
}

function plainCall(key: string, name: string, input: object = {}, agent: Agent | false = false): Promise<Told> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${key}`,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
  };
  const { promise, resolve, reject } = Promise.withResolvers<Told>();
  const where = { port: rig.port, host: '127.0.0.1', method: 'POST', path: '/mcp', headers, agent };
  const outgoing = request(where, (incoming: IncomingMessage) => {
    let text = '';
    incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    incoming.once('error', reject);
    incoming.once('end', () =>
      resolve({ status: incoming.statusCode ?? 0, connection: incoming.headers.connection, text }),
    );
  });
  outgoing.once('error', reject);
  const params = { name, arguments: input, _meta: META };
  outgoing.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }));
  return promise;
}

const overAgent = (agent: Agent, key: string, name: string, input: object = {}): Promise<Told> =>
  plainCall(key, name, input, agent);

async function connected(): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect(rig.port, '127.0.0.1', resolve).once('error', reject);
  await promise;
  socket.on('error', () => {});
  return socket;
}

function collect(socket: Socket): () => string {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return () => text;
}
