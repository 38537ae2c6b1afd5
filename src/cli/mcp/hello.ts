/** The first line each way on `agent.sock`, before any MCP: who connects, and who answers. */
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { fromWire, SeedError } from '../../errors.ts';
import type { Hello, Welcome, Welcomed } from '../../doors/hello.ts';
import { LINE_BYTES_MAX, splitLines } from './lines.ts';

/** A connection to a daemon that has said hello. */
export interface DaemonConnection {
  readonly socket: Socket;
  readonly welcome: Welcomed;
  /** Hands over the lines from now on; those that came meanwhile first. */
  readonly onLine: (handler: LineHandler) => void;
}

interface LineHandler {
  readonly onLine: (line: Buffer) => void;
  readonly onTooLong: (head: string, tail: string) => void;
}

/** How it went: served, nobody there, or an older daemon that makes room. */
export type Greeting =
  | { readonly kind: 'welcome'; readonly connection: DaemonConnection }
  | { readonly kind: 'absent' }
  | { readonly kind: 'restarting'; readonly version: string };

const HELLO_MS_MAX = 5_000;
/** Codes of a socket that nobody serves, or that somebody is just leaving. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'EAGAIN', 'ECONNRESET', 'EPIPE']);

/**
 * Connects and says hello.
 *
 * @throws SeedError what the daemon refused with, or `daemon_failed`
 */
export function greet(path: string, hello: Hello, signal: AbortSignal): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const early: Buffer[] = [];
    let handler: LineHandler = {
      onLine: (line) => (settled ? early.push(line) : answer(line)),
      onTooLong: () => fail(daemonFailed('What answers on the socket is not a seed.')),
    };
    let settled = false;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('close', onClose);
      return true;
    };
    const fail = (error: SeedError): void => {
      if (!settle()) return;
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      if (!NOBODY.has(error.code ?? ''))
        fail(daemonFailed(`The socket ${path} cannot be used (${error.code}).`, error));
      else if (settle()) resolve({ kind: 'absent' });
    };
    // A daemon that stops closes what it has not greeted yet.
    const onClose = (): void => {
      if (settle()) resolve({ kind: 'absent' });
    };
    const onAbort = (): void => fail(daemonFailed('Stopped before the seed answered.'));
    const timer = setTimeout(() => fail(daemonFailed('The seed does not answer.')), HELLO_MS_MAX);
    const answer = (line: Buffer): void => {
      const parsed = parseAnswer(line);
      if (parsed instanceof SeedError) fail(parsed);
      else if (settle()) {
        if ('restarting' in parsed) {
          socket.on('error', () => {});
          socket.destroy();
          resolve({ kind: 'restarting', version: parsed.version });
          return;
        }
        const onLine = (next: LineHandler): void => {
          handler = next;
          for (const waiting of early.splice(0)) next.onLine(waiting);
        };
        resolve({ kind: 'welcome', connection: { socket, welcome: parsed, onLine } });
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on(
      'data',
      splitLines(LINE_BYTES_MAX, {
        onLine: (line) => handler.onLine(line),
        onTooLong: (head, tail) => handler.onTooLong(head, tail),
      }),
    );
    socket.write(`${JSON.stringify(hello)}\n`);
  });
}

function daemonFailed(message: string, cause?: unknown): SeedError {
  return new SeedError('daemon_failed', message, { hint: 'Look at `seed status` and `seed doctor`.', cause });
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

type Answer = Exclude<Welcome, { readonly error: unknown }>;

function parseAnswer(line: Buffer): Answer | SeedError {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch {
    return daemonFailed('What answers on the socket is not a seed.');
  }
  const answer = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const { seed_hello: spoken, error, name, renamed, seed } = answer;
  if (spoken !== 1) return daemonFailed('What answers on the socket does not speak this seed’s language.');
  if (typeof error === 'object' && error !== null) return fromWire(error);
  const version = text(answer['version']);
  if (answer['restarting'] === true) return { seed_hello: 1, restarting: true, version };
  return { seed_hello: 1, name: text(name), renamed: renamed === true, version, seed: text(seed) };
}
