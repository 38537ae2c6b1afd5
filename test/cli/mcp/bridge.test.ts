/** The bridge to a seed elsewhere, against an HTTP server of the test's own. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { until } from '../../support/child.ts';
import { bridgeClient, INITIALIZED, initialize, modern, request, result } from './client.ts';
import type { Wire } from './fake-daemon.ts';

const KEY = 'eyJhbGciOiJFZERTQSJ9.c2VjcmV0.c2lnbmF0dXJl';
const LISTEN_ID = 'io.modelcontextprotocol/subscriptionId';
const scratch = mkdtempSync(join(tmpdir(), 'seed-bridge-'));
let files = 0;

afterAll(() => rmSync(scratch, { recursive: true }));

function keyFile(content = `${KEY}\n`, mode = 0o600): string {
  const path = join(scratch, `key-${files++}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

interface Asked {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly message: Wire;
}

interface Elsewhere extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
}

type Answer = (asked: Asked, response: ServerResponse, nth: number) => void;

async function startElsewhere(answer: Answer): Promise<Elsewhere> {
  const asked: Asked[] = [];
  const server = createServer((incoming, response) => {
    let text = '';
    incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    incoming.on('end', () => {
      const { method = '', headers } = incoming;
      const message = text === '' ? {} : (JSON.parse(text) as Wire);
      const nth = asked.push({ method, headers, message });
      if (method === 'GET') response.writeHead(405).end();
      else answer({ method, headers, message }, response, nth);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function sendJson(response: ServerResponse, value: Wire, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function openStream(response: ServerResponse): (message: Wire) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return (message) => void response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}

/** A seed that answers everything, as JSON or as a stream by the method's name. */
const friendly: Answer = ({ message }, response) => {
  const { id, method } = message;
  if (id === undefined) response.writeHead(202).end();
  else if (method === 'initialize') sendJson(response, result(id, { protocolVersion: '2025-06-18', capabilities: {} }));
  else if (method === 'tools/call') {
    const send = openStream(response);
    send({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } });
    send(result(id, { content: [] }));
    response.end();
  } else sendJson(response, result(id, { ok: true }));
};

describe('both eras pass', () => {
  test('legacy: the key with every request, the version that was agreed on with the later ones', async () => {
    await using elsewhere = await startElsewhere(friendly);
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(initialize());
    await bridge.answer(0);
    bridge.send(INITIALIZED);
    bridge.send(request(1, 'tools/list'));
    bridge.send(request('two', 'tools/call', { name: 'x' }));
    await bridge.answer(1);
    await bridge.answer('two');
    const posts = elsewhere.asked.filter(({ method }) => method === 'POST');
    expect(posts.map(({ message }) => message['method'])).toEqual(
      expect.arrayContaining(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']),
    );
    for (const { headers } of elsewhere.asked) expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(posts.map(({ headers }) => headers['mcp-protocol-version'])).toEqual([
      undefined,
      ...posts.slice(1).map(() => '2025-06-18'),
    ]);
    expect(bridge.messages.map(({ method }) => method)).toContain('notifications/progress');
    bridge.end();
    expect(await bridge.exited).toBe(0);
    expect(bridge.said).toEqual([]);
  });

  test('modern: the headers come from the message; what is cancelled is hung up on', async () => {
    let isHungUp = false;
    await using elsewhere = await startElsewhere((asked, response, nth) => {
      if (asked.message['method'] !== 'tools/call') return friendly(asked, response, nth);
      openStream(response)({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: 1, progress: 1 },
      });
      response.on('close', () => (isHungUp = true));
      return undefined;
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(modern(1, 'tools/list'));
    await bridge.answer(1);
    expect(elsewhere.asked[0]?.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
    });
    bridge.send(modern(2, 'tools/call', { name: 'slow' }));
    await until(() => bridge.messages.length === 2, 'the progress');
    bridge.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2 } });
    await until(() => isHungUp, 'the hanging up');
    expect(elsewhere.asked).toHaveLength(2);
    expect(elsewhere.asked[1]?.headers).toMatchObject({ 'mcp-name': 'slow' });
  });

  test('modern: a listen stream that ends is opened again, and acknowledged once', async () => {
    const streams: ((message: Wire) => void)[] = [];
    await using elsewhere = await startElsewhere(({ message }, response) => {
      const send = openStream(response);
      streams.push(send);
      const params = {
        notifications: { resourceSubscriptions: ['seed://inbox'] },
        _meta: { [LISTEN_ID]: message['id'] },
      };
      send({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params });
      if (streams.length > 1) return;
      send(result(message['id'], { _meta: { [LISTEN_ID]: message['id'] } }));
      response.end();
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(
      modern('listen:1', 'subscriptions/listen', { notifications: { resourceSubscriptions: ['seed://inbox'] } }),
    );
    await until(() => bridge.messages.length === 2, 'the second stream');
    expect(bridge.messages.map(({ method }) => method)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/resources/updated',
    ]);
    expect(elsewhere.asked.map(({ message }) => message['id'])).toEqual(['listen:1', 'listen:1']);
  });
});

describe('refusals', () => {
  test('401: the key is gone, and is not in what is said', async () => {
    await using elsewhere = await startElsewhere((_asked, response) => {
      sendJson(response, { error: 'invalid_token' }, 401);
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(initialize());
    expect(await bridge.answer(0)).toMatchObject({
      error: {
        code: -32_000,
        message: expect.stringContaining('its owner removed it, or it expired') as unknown,
        data: { code: 'key_revoked' },
      },
    });
    expect(JSON.stringify([bridge.messages, bridge.said])).not.toContain('c2VjcmV0');
  });

  test('a key that is replaced in its file counts at once', async () => {
    const file = keyFile('old-key');
    await using elsewhere = await startElsewhere((asked, response, nth) => {
      if (asked.headers.authorization === `Bearer ${KEY}`) friendly(asked, response, nth);
      else sendJson(response, {}, 401);
    });
    await using bridge = bridgeClient(elsewhere.url, file);
    bridge.send(request(1, 'ping'));
    expect(await bridge.answer(1)).toHaveProperty('error');
    writeFileSync(file, KEY);
    bridge.send(request(2, 'ping'));
    expect(await bridge.answer(2)).toHaveProperty('result');
  });

  test.each([301, 302, 307, 308])('a redirect (%d) is not followed: the key stays here', async (status) => {
    await using other = await startElsewhere(friendly);
    await using elsewhere = await startElsewhere((_asked, response) => {
      response.writeHead(status, { location: other.url }).end();
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(initialize());
    expect(await bridge.answer(0)).toMatchObject({ error: { data: { code: 'forbidden' } } });
    expect(other.asked).toEqual([]);
  });

  test('the seed’s own words reach the client; a page that is no seed gets ours', async () => {
    const error = { code: -32_000, message: 'The owner has halted the seed.', data: { code: 'halted' } };
    await using elsewhere = await startElsewhere(({ message }, response) => {
      if (message['id'] === 1) sendJson(response, { jsonrpc: '2.0', id: null, error }, 503);
      else response.writeHead(404).end('<html>');
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(request(1, 'ping'));
    bridge.send(request(2, 'ping'));
    expect(await bridge.answer(1)).toEqual({ jsonrpc: '2.0', id: 1, error });
    expect(await bridge.answer(2)).toMatchObject({
      error: { message: expect.stringContaining('HTTP 404') as unknown },
    });
  });

  test('an answer that is cut off, and a seed that is not there', async () => {
    const elsewhere = await startElsewhere((_asked, response) => {
      openStream(response);
      response.end();
    });
    await using bridge = bridgeClient(elsewhere.url, keyFile());
    bridge.send(request(1, 'tools/call'));
    expect(await bridge.answer(1)).toMatchObject({ error: { message: expect.stringContaining('cut') as unknown } });
    await elsewhere[Symbol.asyncDispose]();
    bridge.send(request(2, 'ping'));
    expect(await bridge.answer(2)).toMatchObject({
      error: { message: expect.stringContaining('ECONNREFUSED') as unknown },
    });
  });
});

describe('before anything is sent', () => {
  test.each([
    'http://seed.example/mcp',
    'http://127.0.0.1.seed.example/mcp',
    'http://[::2]/mcp',
    'ftp://127.0.0.1/mcp',
    'https://user:pass@seed.example/mcp',
    '/mcp',
  ])('%s is no address for a key', async (url) => {
    await using bridge = bridgeClient(url, keyFile());
    await expect(bridge.exited).rejects.toMatchObject({ code: 'invalid_input', data: { argument: 'url' } });
  });

  test.each([
    ['empty', ''],
    ['with two keys', 'a\nb'],
    ['with a header', 'Authorization: Bearer x'],
    ['too large', 'x'.repeat(20_000)],
  ])('a key file %s is refused, its content not shown', async (_what, content) => {
    await using bridge = bridgeClient('http://127.0.0.1:9/mcp', keyFile(content));
    await expect(bridge.exited).rejects.toSatisfy(
      (error: Error) => !error.message.includes('Bearer') && error.message.includes('key file'),
    );
  });

  test('no key file', async () => {
    await using bridge = bridgeClient('http://127.0.0.1:9/mcp', join(scratch, 'none'));
    await expect(bridge.exited).rejects.toMatchObject({ data: { argument: 'key-file' } });
  });

  test('a key file that others can read is used, and said', async () => {
    await using elsewhere = await startElsewhere(friendly);
    const file = keyFile(KEY, 0o644);
    await using bridge = bridgeClient(elsewhere.url, file);
    bridge.send(request(1, 'ping'));
    await bridge.answer(1);
    expect(bridge.said).toEqual([expect.stringContaining(`chmod 600`)]);
  });
});
