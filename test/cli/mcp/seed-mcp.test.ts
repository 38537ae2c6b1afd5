/** The real command with real daemons, and the clients that others wrote. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import type { Child } from '../../support/child.ts';
import { startNode, until } from '../../support/child.ts';
import { initialize, request } from './client.ts';
import type { Wire } from './fake-daemon.ts';
import { startFakeDaemon } from './fake-daemon.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', '..', 'bin', 'seed.cjs');
const ENV = { SEED_PORT: '0' };
/** Windows of one client that open at once. */
const AT_ONCE = process.env['SEED_TEST_LONG'] === '1' ? 10 : 4;

let folder = '';
let home = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seed-mcp-'));
  home = join(folder, 'home');
});

afterEach(async () => {
  await stopDaemon();
  rmSync(folder, { recursive: true });
});

function daemonPid(): number | null {
  const holder = join(home, 'lock.json');
  if (!existsSync(holder)) return null;
  const { pid, role } = JSON.parse(readFileSync(holder, 'utf8')) as { pid: number; role: string };
  return role === 'daemon' && pid !== process.pid && isAlive(pid) ? pid : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A daemon whose parent is gone is reaped by somebody else, who may take a while.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH' && process.platform !== 'linux';
  }
}

async function stopDaemon(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const pid = daemonPid();
  if (pid === null) return;
  process.kill(pid, signal);
  await until(() => !isAlive(pid), `the end of the daemon ${pid}`);
}

function startPipe(args: readonly string[] = []): Child {
  return startNode([LAUNCHER, 'mcp', '--home', home, ...args], { env: ENV });
}

/** The answer of a command about this home. */
async function seedJson<T>(...args: readonly string[]): Promise<T> {
  await using command = startNode([LAUNCHER, ...args, '--json', '--home', home]);
  await command.ended;
  return JSON.parse(command.lines.join('')) as T;
}

/** How often a daemon has served the home, by its receipts. */
async function countStarts(): Promise<number> {
  const { receipts } = await seedJson<{ receipts: unknown[] }>('receipts', 'list', '--action', 'seed.start');
  return receipts.length;
}

async function answerOf(pipe: Child, id: number): Promise<Wire> {
  return JSON.parse(await pipe.line((line) => (JSON.parse(line) as Wire)['id'] === id)) as Wire;
}

describe('clients that others wrote', () => {
  const INFO = { name: 'interop', version: '1' };
  // The SDKs add what a desktop program would hand on.
  const spawned = (): { command: string; args: string[]; env: Record<string, string> } => ({
    command: process.execPath,
    args: [LAUNCHER, 'mcp', '--as', 'interop', '--home', home, '--tools', 'all'],
    env: ENV,
  });
  const connect = {
    'the older line of the SDK': async () => {
      const client = new LegacyClient(INFO);
      await client.connect(new LegacyTransport(spawned()));
      return {
        client,
        list: () => client.listTools(),
        call: (name: string): Promise<unknown> => client.callTool({ name }),
      };
    },
    'the current line, as legacy client': async () => {
      const client = new ModernClient(INFO);
      await client.connect(new ModernTransport(spawned()));
      return {
        client,
        list: () => client.listTools(),
        call: (name: string): Promise<unknown> => client.callTool({ name }),
      };
    },
    'the current line, in the era it negotiates': async () => {
      const client = new ModernClient(INFO, { versionNegotiation: { mode: 'auto' } });
      await client.connect(new ModernTransport(spawned()));
      expect(client.getProtocolEra()).toBe('modern');
      return {
        client,
        list: () => client.listTools(),
        call: (name: string): Promise<unknown> => client.callTool({ name }),
      };
    },
  };

  test.each(Object.entries(connect))('%s works, and goes on working when the daemon is killed', async (_what, open) => {
    const { client, list, call } = await open();
    try {
      expect((await list()).tools.map(({ name }) => name)).toContain('seed_start');
      expect(await call('seed_start')).toMatchObject({ structuredContent: { you: { name: 'interop' } } });
      const pid = daemonPid();
      await stopDaemon('SIGKILL');
      // A call that went into the dying connection is told to call again.
      const again = call('seed_start').catch(() => call('seed_start'));
      expect(await again).toMatchObject({ structuredContent: { you: { name: 'interop' } } });
      expect(daemonPid()).not.toBe(pid);
    } finally {
      await client.close();
    }
  });

  test('a listen stream of the current line outlives its daemon', async () => {
    const { client } = await connect['the current line, in the era it negotiates']();
    try {
      const updated: string[] = [];
      client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
        updated.push(params.uri);
      });
      const { resources } = await client.listResources();
      const [uri] = resources.map((resource) => resource.uri);
      expect(uri).toBeDefined();
      const subscription = await client.listen({ resourceSubscriptions: [uri ?? ''] });
      let isClosed = false;
      void subscription.closed.then(() => (isClosed = true));
      await stopDaemon('SIGKILL');
      // Nobody calls: the subscription alone has the daemon started again.
      await until(() => updated.includes(uri ?? ''), 'the note that something may have been missed');
      expect(isClosed).toBe(false);
      await subscription.close();
    } finally {
      await client.close();
    }
  });
});

test('many at once give one daemon, which outlives them all, and each its own name', async () => {
  const pipes = Array.from({ length: AT_ONCE }, () => startPipe(['--as', 'cursor']));
  for (const pipe of pipes) pipe.tell(JSON.stringify(initialize(1)));
  for (const pipe of pipes) expect(await answerOf(pipe, 1)).toHaveProperty('result');
  for (const pipe of pipes) {
    pipe.tell(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
    pipe.tell(JSON.stringify(request(2, 'tools/call', { name: 'seed_start', arguments: {} })));
  }
  const answers = await Promise.all(pipes.map((pipe) => answerOf(pipe, 2)));
  const names = answers.map((answer) => (answer as unknown as StartAnswer).result.structuredContent.you.name);
  const numbered = Array.from({ length: AT_ONCE - 1 }, (_, window) => `cursor-${window + 2}`);
  expect(names.toSorted()).toEqual(['cursor', ...numbered].toSorted());
  const pid = daemonPid();
  expect(pid).not.toBeNull();
  for (const pipe of pipes) pipe.kill('SIGTERM');
  expect(await Promise.all(pipes.map((pipe) => pipe.ended))).toEqual(pipes.map(() => ({ code: 0, signal: null })));
  expect(daemonPid()).toBe(pid);
  expect(await countStarts()).toBe(1);
});

interface StartAnswer {
  readonly result: { readonly structuredContent: { readonly you: { readonly name: string } } };
}

test('a home that cannot be: an answer to the client, a line for a person, exit code 1', async () => {
  mkdirSync(home);
  writeFileSync(join(home, 'thesis.tex'), '');
  await using pipe = startPipe();
  pipe.tell(JSON.stringify(initialize(1)));
  expect(await pipe.ended).toEqual({ code: 1, signal: null });
  expect(JSON.parse(pipe.lines[0] ?? '')).toMatchObject({ id: 1, error: { data: { code: 'home_foreign' } } });
  expect(pipe.errors()).toMatch(/^seed mcp: .*holds something that is not a seed.*\n$/);
});

test('a daemon that was stopped in good order stays down until the client wants something', async () => {
  await using pipe = startPipe();
  pipe.tell(JSON.stringify(initialize(1)));
  await answerOf(pipe, 1);
  await using stopped = startNode([LAUNCHER, 'down', '--home', home]);
  expect(await stopped.ended).toEqual({ code: 0, signal: null });
  await until(() => daemonPid() === null, 'the end of the daemon');
  pipe.tell(JSON.stringify(request(2, 'ping')));
  expect(await answerOf(pipe, 2)).toHaveProperty('result');
  expect(daemonPid()).not.toBeNull();
  expect(await countStarts()).toBe(2);
});

test('over HTTP with a key, until the owner removes it', async () => {
  await using pipe = startPipe();
  pipe.tell(JSON.stringify(initialize(1)));
  await answerOf(pipe, 1);
  const { key } = await seedJson<{ key: string }>('key', 'issue', 'helper');
  const { url } = await seedJson<{ url: string }>('status');
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, key, { mode: 0o600 });
  await using bridge = startNode([LAUNCHER, 'mcp', '--url', url, '--key-file', keyFile]);
  bridge.tell(JSON.stringify(initialize(1)));
  expect(await answerOf(bridge, 1)).toMatchObject({ result: { serverInfo: { name: 'sovereign-seed' } } });
  const start = { name: 'seed_start', arguments: {} };
  bridge.tell(JSON.stringify(request(2, 'tools/call', start)));
  expect(await answerOf(bridge, 2)).toMatchObject({ result: { structuredContent: { you: { name: 'helper' } } } });
  await seedJson('key', 'revoke', 'helper');
  bridge.tell(JSON.stringify(request(3, 'tools/call', start)));
  expect(await answerOf(bridge, 3)).toMatchObject({ error: { data: { code: 'key_revoked' } } });
  expect(bridge.lines.join('') + bridge.errors()).not.toContain(key);
  bridge.kill('SIGTERM');
  expect(await bridge.ended).toEqual({ code: 0, signal: null });
});

test('an older daemon is replaced by this version’s own', async () => {
  await using made = startNode([LAUNCHER, 'init', '--home', home], { env: ENV });
  await made.ended;
  const lock = await lockHome(home, { driver: 'better-sqlite3', role: 'daemon', waitMs: 5_000 });
  const version = '0.0.1';
  await using old = await startFakeDaemon(join(home, 'agent.sock'), {
    welcome: () => ({ seed_hello: 1, restarting: true, version }),
  });
  await using pipe = startPipe();
  pipe.tell(JSON.stringify(initialize(1)));
  await until(() => old.connections.length > 0, 'the hello');
  await old.stop();
  lock.release();
  expect(await answerOf(pipe, 1)).toMatchObject({ result: { serverInfo: { name: 'sovereign-seed' } } });
  expect(pipe.errors()).toBe('');
});

test.each([
  [['--as', 'No Spaces'], 2],
  [['--as', 'owner'], 2],
  [['--as', 'x'.repeat(61)], 2],
  [['--tools', 'some'], 2],
  [['--url', 'http://seed.example/mcp'], 2],
  [['--frobnicate'], 2],
  [['--help'], 0],
])('%j exits with %d and starts nothing', async (args, code) => {
  await using pipe = startPipe(args);
  expect(await pipe.ended).toEqual({ code, signal: null });
  expect(existsSync(home)).toBe(false);
});
