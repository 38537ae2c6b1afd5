/** A daemon that says and does what a test wants, on the agents' socket of a home with nothing else in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Wire = Record<string, unknown>;

export interface FakeConnection {
  readonly hello: Wire;
  /** What came after the hello, as it came. */
  readonly lines: string[];
  readonly messages: Wire[];
  send(message: Wire | string): void;
  /** Hangs up. */
  close(): void;
}

export interface FakeDaemon extends AsyncDisposable {
  readonly connections: FakeConnection[];
  /** The newest connection. */
  readonly newest: FakeConnection;
  /** Closes the socket and all connections. */
  stop(): Promise<void>;
}

export interface FakeDaemonOptions {
  /** The answer to a hello. */
  readonly welcome?: (hello: Wire) => Wire;
  /** Called for every message; none is answered otherwise. */
  readonly onMessage?: (message: Wire, connection: FakeConnection) => void;
}

export function welcomeAs(name: string, more: Wire = {}): Wire {
  return { seed_hello: 1, name, renamed: false, version: '0.1.0', seed: 'f'.repeat(64), ...more };
}

/** A home that a pipe can find a socket in. */
export function emptyHome(): { home: string; socket: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'seed-pipe-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'config.json'), JSON.stringify({ v: 1, seed: 'f'.repeat(64), port: 1, sockets: null }));
  return { home, socket: join(home, 'agent.sock'), [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

export async function startFakeDaemon(path: string, options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  const { welcome = () => welcomeAs('agent'), onMessage = () => {} } = options;
  const connections: FakeConnection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    let connection: FakeConnection | null = null;
    const lines = createInterface({ input: socket });
    // A pipe that has gone is not this daemon's fault; readline passes the socket's errors on.
    lines.on('error', () => {});
    lines.on('line', (line) => {
      const message = JSON.parse(line) as Wire;
      if (connection === null) {
        connection = open(socket, message);
        connections.push(connection);
        connection.send(welcome(message));
        return;
      }
      connection.lines.push(line);
      connection.messages.push(message);
      onMessage(message, connection);
    });
  });
  rmSync(path, { force: true });
  await listen(server, path);
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  return {
    connections,
    get newest() {
      const newest = connections.at(-1);
      if (newest === undefined) throw new Error('Nobody has connected.');
      return newest;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function open(socket: Socket, hello: Wire): FakeConnection {
  return {
    hello,
    lines: [],
    messages: [],
    send: (message) => void socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    close: () => void socket.destroy(),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}
