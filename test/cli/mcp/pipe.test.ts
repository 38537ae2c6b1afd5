/** The pipe against a daemon of the test's own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import { until } from '../../support/child.ts';
import { INITIALIZED, initialize, modern, pipeClient, request, result } from './client.ts';
import type { FakeConnection, FakeDaemonOptions, Wire } from './fake-daemon.ts';
import { emptyHome, startFakeDaemon, welcomeAs } from './fake-daemon.ts';

const LISTEN_ID = 'io.modelcontextprotocol/subscriptionId';

function isResult(message: Wire): boolean {
  return 'result' in message;
}

/** Answers the handshake and whatever is called; `silent` methods get no answer. */
function answering(silent: readonly string[] = [], version = '1'): FakeDaemonOptions {
  return {
    onMessage: (message, connection) => {
      const { id, method, params } = message;
      if (id === undefined || silent.includes(String(method))) return;
      if (method === 'initialize') {
        const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
        connection.send(
          result(id, { protocolVersion: '2025-06-18', capabilities, serverInfo: { name: 'seed', version } }),
        );
      } else if (method === 'subscriptions/listen') acknowledge(connection, message);
      else connection.send(result(id, { echo: params ?? null }));
    },
  };
}

function acknowledge(connection: FakeConnection, { id, params }: Wire): void {
  const { notifications } = params as { notifications: unknown };
  const ack = { notifications, _meta: { [LISTEN_ID]: id } };
  connection.send({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: ack });
}

function methods(connection: FakeConnection): unknown[] {
  return connection.messages.map(({ method }) => method);
}

describe('hello', () => {
  test.each([
    ['the legacy handshake', initialize(0, 'Claude Code (Beta)'), 'claude-code-beta', 'Claude Code (Beta) 1.2.3'],
    ['the envelope of a modern request', modern(0, 'server/discover'), 'modern-client', 'Modern Client 2.0'],
    [
      'a name of letters that slugs do not have',
      initialize(0, 'Éditeur Ünïque'),
      'editeur-unique',
      'Éditeur Ünïque 1.2.3',
    ],
    ['a long name', initialize(0, 'x'.repeat(100)), 'x'.repeat(32), `${'x'.repeat(64)} 1.2.3`],
    ['a client that does not say', request(0, 'ping'), null, null],
    ['a name with nothing left', initialize(0, '日本'), null, '日本 1.2.3'],
  ])('the name comes from %s', async (_what, first, as, client) => {
    using at = emptyHome();
    await using daemon = await startFakeDaemon(at.socket, answering());
    await using pipe = pipeClient(at.home);
    pipe.send(first);
    await pipe.answer(0);
    expect(daemon.newest.hello).toEqual({ seed_hello: 1, as, client, version: '0.1.0', tools: 'daily' });
    expect(pipe.said).toEqual([]);
  });

  test('the name given wins; another window’s name is said once', async () => {
    using at = emptyHome();
    const options = answering();
    const welcome = (): Wire => welcomeAs('cursor-2', { renamed: true });
    await using daemon = await startFakeDaemon(at.socket, { ...options, welcome });
    await using pipe = pipeClient(at.home, { as: 'cursor' });
    pipe.send(initialize());
    await pipe.answer(0);
    expect(daemon.newest.hello['as']).toBe('cursor');
    daemon.newest.close();
    pipe.send(request(1, 'ping'));
    await pipe.answer(1);
    expect(pipe.said).toEqual(['the name cursor is in use; this window is cursor-2']);
  });

  test('a refusal is the answer to what waits, and ends the pipe', async () => {
    using at = emptyHome();
    const error = { code: 'forbidden', message: 'The owner removed cursor.', hint: 'Ask the owner.' };
    await using _daemon = await startFakeDaemon(at.socket, { welcome: () => ({ seed_hello: 1, error }) });
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    expect(await pipe.exited).toBe(1);
    expect(pipe.messages).toEqual([
      {
        jsonrpc: '2.0',
        id: 0,
        error: {
          code: -32_000,
          message: 'The owner removed cursor. Ask the owner.',
          data: { code: 'forbidden', hint: 'Ask the owner.' },
        },
      },
    ]);
    expect(pipe.said).toEqual(['The owner removed cursor. Ask the owner.']);
  });

  test('something else on the socket is no seed', async () => {
    using at = emptyHome();
    await using _daemon = await startFakeDaemon(at.socket, { welcome: () => ({ hi: 'there' }) });
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    expect(await pipe.exited).toBe(1);
    expect(pipe.messages).toMatchObject([{ id: 0, error: { data: { code: 'daemon_failed' } } }]);
  });
});

test('both directions carry the bytes as they are', async () => {
  using at = emptyHome();
  const reply = '{"id" : 0,  "jsonrpc":"2.0", "result":{"big":12345678901234567890, "text":"ü\\u0041"} }';
  await using daemon = await startFakeDaemon(at.socket, {
    onMessage: (_message, connection) => connection.send(reply),
  });
  await using pipe = pipeClient(at.home);
  const call = '{ "jsonrpc" :"2.0","method":"x", "id":0, "params":{"n":1.0e2,"s":"\\u00e9"} }';
  pipe.send(call);
  await pipe.answer(0);
  expect(daemon.newest.lines).toEqual([call]);
  expect(pipe.lines).toEqual([reply]);
});

test('a client that does not read is waited for once, however much comes, and then gets all of it', async () => {
  using at = emptyHome();
  await using daemon = await startFakeDaemon(at.socket, answering());
  await using pipe = pipeClient(at.home);
  pipe.send(initialize());
  await pipe.answer(0);
  pipe.stdout.pause();
  const notice = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { text: 'x'.repeat(100) } });
  const count = 5_000;
  daemon.newest.send(Array.from({ length: count }, () => notice).join('\n'));
  await until(() => pipe.stdout.writableNeedDrain, 'the client to be waited for');
  expect(pipe.stdout.listenerCount('drain')).toBe(1);
  pipe.stdout.resume();
  await until(() => pipe.lines.length === count + 1, 'all to be read');
});

describe('when the daemon goes away', () => {
  test('calls under way fail, nothing is sent twice, and the legacy handshake and subscriptions are made anew', async () => {
    using at = emptyHome();
    await using first = await startFakeDaemon(at.socket, answering(['tools/call']));
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    await pipe.answer(0);
    pipe.send(INITIALIZED);
    pipe.send(request(1, 'resources/subscribe', { uri: 'seed://inbox' }));
    pipe.send(request(2, 'resources/subscribe', { uri: 'seed://gone' }));
    pipe.send(request(3, 'resources/unsubscribe', { uri: 'seed://gone' }));
    pipe.send(request(4, 'logging/setLevel', { level: 'warning' }));
    for (const id of [1, 2, 3, 4]) await pipe.answer(id);
    pipe.send(request(5, 'tools/call', { name: 'write' }));
    pipe.send(request('six', 'tools/call', { name: 'write' }));
    await until(() => methods(first.newest).filter((method) => method === 'tools/call').length === 2, 'the calls');
    await using lock = await heldLock(at.home);
    await first.stop();
    for (const id of [5, 'six']) {
      expect(await pipe.answer(id)).toMatchObject({
        error: {
          code: -32_000,
          message: expect.stringContaining('restarted') as unknown,
          data: { code: 'daemon_failed' },
        },
      });
    }
    // Sent while nobody serves: it waits.
    pipe.send(request(7, 'tools/list'));
    await using second = await startFakeDaemon(at.socket, answering([], '2'));
    await pipe.answer(7);
    lock.release();
    expect(methods(second.newest)).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'resources/subscribe',
      'tools/list',
    ]);
    expect(second.newest.messages[0]).toMatchObject({ params: { clientInfo: { name: 'Test Client' } } });
    expect(second.newest.messages[3]).toMatchObject({ params: { uri: 'seed://inbox' } });
    // Each id is answered once, and what may have changed meanwhile is told.
    const ids = pipe.messages.filter((message) => !('method' in message)).map(({ id }) => id);
    expect(ids).toEqual([0, 1, 2, 3, 4, 5, 'six', 7]);
    expect(pipe.messages.filter((message) => 'method' in message)).toEqual([
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
      { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'seed://inbox' } },
    ]);
  });

  test('modern listen requests are opened again under their own ids; their end by a stopping daemon is kept back', async () => {
    using at = emptyHome();
    await using first = await startFakeDaemon(at.socket, answering());
    await using pipe = pipeClient(at.home);
    const filter = { notifications: { toolsListChanged: true, resourceSubscriptions: ['seed://inbox'] } };
    pipe.send(modern('listen:1', 'subscriptions/listen', filter));
    pipe.send(modern('listen:2', 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
    pipe.send(modern(7, 'tools/call'));
    await pipe.answer(7);
    pipe.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'listen:2' } });
    await until(() => methods(first.newest).includes('notifications/cancelled'), 'the cancellation');
    await using lock = await heldLock(at.home);
    first.newest.send(result('listen:1', { resultType: 'complete', _meta: { [LISTEN_ID]: 'listen:1' } }));
    await first.stop();
    await using second = await startFakeDaemon(at.socket, answering());
    await until(() => second.connections.length > 0 && second.newest.lines.length > 0, 'the second listen request');
    expect(second.newest.lines).toEqual([first.newest.lines[0]]);
    pipe.send(modern(8, 'tools/call'));
    await pipe.answer(8);
    lock.release();
    const event = { method: 'notifications/tools/list_changed', params: { _meta: { [LISTEN_ID]: 'listen:1' } } };
    second.newest.send({ jsonrpc: '2.0', ...event });
    second.newest.send(result('listen:1'));
    await until(() => pipe.messages.some(({ method }) => method === event.method), 'the event');
    expect(pipe.messages.map(({ id, method }) => id ?? method)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/subscriptions/acknowledged',
      7,
      // Not the second acknowledgement, but what the client may have missed.
      'notifications/resources/updated',
      8,
      'notifications/tools/list_changed',
    ]);
    expect(pipe.messages[3]).toMatchObject({ params: { uri: 'seed://inbox', _meta: { [LISTEN_ID]: 'listen:1' } } });
    // This daemon stays after that answer, so it was meant.
    await pipe.answer('listen:1');
  });

  test('a handshake that was not answered is made with the next daemon', async () => {
    using at = emptyHome();
    await using first = await startFakeDaemon(at.socket, answering(['initialize']));
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    await until(() => first.connections.length > 0 && first.newest.lines.length > 0, 'the handshake');
    await using lock = await heldLock(at.home);
    await first.stop();
    await using second = await startFakeDaemon(at.socket, answering());
    expect(isResult(await pipe.answer(0))).toBe(true);
    lock.release();
    expect(second.newest.lines).toEqual(first.newest.lines);
  });

  test('its open questions are withdrawn, and a late answer does not reach the next daemon', async () => {
    using at = emptyHome();
    await using first = await startFakeDaemon(at.socket, answering());
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    await pipe.answer(0);
    first.newest.send(request(0, 'elicitation/create'));
    await until(() => pipe.messages.some(({ method }) => method === 'elicitation/create'), 'the question');
    await using lock = await heldLock(at.home);
    await first.stop();
    const withdrawal = { method: 'notifications/cancelled', params: { requestId: 0, reason: 'The seed restarted.' } };
    await until(() => pipe.messages.some(({ method }) => method === withdrawal.method), 'the withdrawal');
    expect(pipe.messages).toContainEqual({ jsonrpc: '2.0', ...withdrawal });
    await using second = await startFakeDaemon(at.socket, answering());
    pipe.send(result(0, { action: 'accept' }));
    pipe.send(request(1, 'ping'));
    await pipe.answer(1);
    lock.release();
    expect(methods(second.newest)).toEqual(['initialize', 'ping']);
  });

  test('what waits is bounded, and can be withdrawn', async () => {
    using at = emptyHome();
    await using first = await startFakeDaemon(at.socket, answering(['tools/call']));
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    await pipe.answer(0);
    pipe.send(request('lost', 'tools/call'));
    await using lock = await heldLock(at.home);
    await until(() => methods(first.newest).includes('tools/call'), 'the call');
    await first.stop();
    await pipe.answer('lost');
    pipe.send(request('withdrawn', 'tools/call'));
    pipe.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'withdrawn' } });
    for (let id = 1; id <= 1_001; id++) pipe.send(request(id, 'ping'));
    expect(await pipe.answer(1_001)).toMatchObject({ error: { data: { code: 'busy' } } });
    await using second = await startFakeDaemon(at.socket, answering());
    expect(isResult(await pipe.answer(1_000))).toBe(true);
    lock.release();
    expect(second.newest.messages.map(({ id }) => id)).not.toContain('withdrawn');
    expect(pipe.messages.filter(isResult)).toHaveLength(1_001);
  });
});

describe('lines that are no messages', () => {
  test('of the client: answered, said, and not passed on', async () => {
    using at = emptyHome();
    await using daemon = await startFakeDaemon(at.socket, answering());
    await using pipe = pipeClient(at.home);
    for (const line of [
      'what?',
      '',
      '  ',
      '[1]',
      '{"jsonrpc":"1.0","id":"old","method":"x"}',
      '{"jsonrpc":"2.0"}',
      '\u0000',
      '{"jsonrpc":"2.0","id":"extra","method":"x","more":1}',
      '{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}',
      '{"jsonrpc":"2.0","id":1.5,"method":"x"}',
      '{"jsonrpc":"2.0","id":null,"method":"x"}',
      '{"jsonrpc":"2.0","id":"params","method":"x","params":5}',
      '[{"jsonrpc":"2.0","id":"a","method":"x"},{"jsonrpc":"2.0","method":"y"},{"jsonrpc":"2.0","id":"b","method":"z"}]',
    ])
      pipe.send(line);
    pipe.send(request(1, 'ping'));
    await pipe.answer(1);
    expect(daemon.newest.lines).toHaveLength(1);
    expect(pipe.messages.map(({ id, error }) => [id, (error as Wire | undefined)?.['code']])).toEqual([
      [null, -32_700],
      [null, -32_600],
      ['old', -32_600],
      [null, -32_600],
      [null, -32_700],
      ['extra', -32_600],
      [null, -32_600],
      [1.5, -32_600],
      [null, -32_600],
      ['params', -32_602],
      ['a', -32_600],
      ['b', -32_600],
      [1, undefined],
    ]);
    expect(pipe.said).toHaveLength(11);
  });

  test('of the daemon: said once, and not passed on', async () => {
    using at = emptyHome();
    await using _daemon = await startFakeDaemon(at.socket, {
      onMessage: ({ id }, connection) => {
        for (const line of ['oops', 'stack trace']) connection.send(line);
        connection.send(result(id));
        // Twice the same answer reaches the client once.
        connection.send(result(id));
        connection.send({ jsonrpc: '2.0', method: 'notifications/last' });
      },
    });
    await using pipe = pipeClient(at.home);
    pipe.send(request(1, 'ping'));
    await until(() => pipe.messages.length === 2, 'the notification');
    expect(pipe.messages.map(({ id, method }) => id ?? method)).toEqual([1, 'notifications/last']);
    expect(pipe.said).toHaveLength(1);
  });

  test('too long: the request gets its answer, in both directions, and the next line passes', async () => {
    using at = emptyHome();
    const long = 'x'.repeat(10 * 1024 * 1024);
    await using daemon = await startFakeDaemon(at.socket, {
      onMessage: ({ id }, connection) => connection.send(id === 3 ? result(id, { long }) : result(id)),
    });
    await using pipe = pipeClient(at.home);
    pipe.send(request(1, 'tools/call', { long }));
    pipe.send(JSON.stringify({ method: 'tools/call', params: { long }, jsonrpc: '2.0', id: 'two' }));
    for (const id of [1, 'two']) expect(await pipe.answer(id)).toMatchObject({ error: { code: -32_600 } });
    pipe.send(request(3, 'tools/call'));
    expect(await pipe.answer(3)).toMatchObject({ error: { code: -32_600 } });
    pipe.send(request(4, 'ping'));
    expect(isResult(await pipe.answer(4))).toBe(true);
    expect(daemon.newest.messages.map(({ id }) => id)).toEqual([3, 4]);
  });
});

describe('the end', () => {
  test('a client that closes its side gets the answers that are due, then 0', async () => {
    using at = emptyHome();
    await using daemon = await startFakeDaemon(at.socket, answering());
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    pipe.send(request(1, 'ping'));
    pipe.end();
    expect(await pipe.exited).toBe(0);
    expect(pipe.messages.map(({ id }) => id)).toEqual([0, 1]);
    expect(daemon.connections).toHaveLength(1);
  });

  test('a client that never spoke starts nothing', async () => {
    using at = emptyHome();
    await using daemon = await startFakeDaemon(at.socket);
    await using pipe = pipeClient(at.home);
    pipe.end();
    expect(await pipe.exited).toBe(0);
    expect(daemon.connections).toEqual([]);
  });

  test('a call that is never answered does not hold it up', async () => {
    using at = emptyHome();
    await using _daemon = await startFakeDaemon(at.socket);
    await using pipe = pipeClient(at.home);
    pipe.send(request(1, 'tools/call'));
    pipe.end();
    expect(await pipe.exited).toBe(0);
  });
});

describe('versions', () => {
  test('an older daemon makes room once; one that is still older is used and said', async () => {
    using at = emptyHome();
    await using lock = await heldLock(at.home);
    const restarting = (): Wire => ({ seed_hello: 1, restarting: true, version: '0.0.9' });
    await using old = await startFakeDaemon(at.socket, { welcome: restarting });
    await using pipe = pipeClient(at.home);
    pipe.send(initialize());
    await until(() => old.connections.length > 0, 'the hello');
    await old.stop();
    const still = (): Wire => welcomeAs('test-client', { version: '0.0.9' });
    await using second = await startFakeDaemon(at.socket, { ...answering(), welcome: still });
    expect(isResult(await pipe.answer(0))).toBe(true);
    lock.release();
    expect(old.connections).toHaveLength(1);
    // Under its own version the old one would go away again.
    expect(second.newest.hello['version']).toBe('0.0.9');
    expect(pipe.said).toEqual([expect.stringContaining('0.0.9, older than this 0.1.0')]);
  });
});

/** Keeps the home, as a daemon that starts or stops does: the pipe waits instead of starting one. */
async function heldLock(home: string): Promise<AsyncDisposable & { release(): void }> {
  writeFileSync(join(home, 'lock.json'), '');
  const lock = await lockHome(home, { driver: 'better-sqlite3', role: 'daemon', waitMs: 5_000 });
  return { release: () => lock.release(), [Symbol.asyncDispose]: async () => lock.release() };
}
