/** Redis as a durable bus: streams, append-only file, fsync before every answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Peer, Receiver } from './peer.ts';
import { findProgram } from './peer.ts';

const STREAM = 'bench';
const GROUP = 'readers';
const READY_MS_MAX = 10_000;

type Reply = string | number | null | Reply[];

/** One connection; commands are answered in order, however many are under way. */
class RedisConnection {
  readonly #socket: Socket;
  readonly #waiting: ((reply: Reply) => void)[] = [];
  #rest = Buffer.alloc(0);

  constructor(socketPath: string) {
    this.#socket = connect(socketPath);
    this.#socket.on('data', (chunk) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (let end = 0; ; ) {
        const parsed = parseReply(this.#rest, end);
        if (parsed === null) {
          this.#rest = this.#rest.subarray(end);
          return;
        }
        end = parsed.end;
        this.#waiting.shift()?.(parsed.reply);
      }
    });
    this.#socket.on('error', () => this.#socket.destroy());
  }

  command(...words: readonly string[]): Promise<Reply> {
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    this.#socket.write(`*${words.length}\r\n${parts.join('')}`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** One reply of the protocol RESP2; null while it has not all come. */
function parseReply(bytes: Buffer, start: number): { reply: Reply; end: number } | null {
  const line = bytes.indexOf('\r\n', start);
  if (line === -1) return null;
  const [kind, text, next] = [
    bytes.toString('latin1', start, start + 1),
    bytes.toString('utf8', start + 1, line),
    line + 2,
  ];
  if (kind === '-') throw new Error(`Redis: ${text}`);
  if (kind === ':') return { reply: Number(text), end: next };
  if (kind === '+') return { reply: text, end: next };
  const length = Number(text);
  if (length < 0) return { reply: null, end: next };
  if (kind === '$') {
    if (bytes.length < next + length + 2) return null;
    return { reply: bytes.toString('utf8', next, next + length), end: next + length + 2 };
  }
  const items: Reply[] = [];
  let end = next;
  for (let item = 0; item < length; item++) {
    const parsed = parseReply(bytes, end);
    if (parsed === null) return null;
    items.push(parsed.reply);
    end = parsed.end;
  }
  return { reply: items, end };
}

/** Starts Redis on a socket in `folder`; null where it is not installed. */
export async function startRedis(folder: string): Promise<Peer | null> {
  const program = findProgram('redis-server');
  if (program === null) return null;
  mkdirSync(folder, { recursive: true });
  const socketPath = path.join(folder, 'redis.sock');
  const settings = ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--save', '', '--daemonize', 'no'];
  const child = spawn(program, [...settings, '--appendonly', 'yes', '--appendfsync', 'always'], { stdio: 'ignore' });
  const ended = once(child, 'close');
  for (let waited = 0; !existsSync(socketPath); waited += 20) {
    if (child.exitCode !== null || waited > READY_MS_MAX) throw new Error('Redis did not start.');
    await delay(20);
  }
  const writer = new RedisConnection(socketPath);
  await writer.command('XGROUP', 'CREATE', STREAM, GROUP, '$', 'MKSTREAM');
  return {
    name: 'Redis, append-only, fsync always',
    publish: async (text) => {
      await writer.command('XADD', STREAM, '*', 'body', text);
    },
    drain: async () => {
      await writer.command('XTRIM', STREAM, 'MAXLEN', '0');
    },
    receiver: () => Promise.resolve(receiverOn(socketPath)),
    [Symbol.asyncDispose]: async () => {
      writer.close();
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function receiverOn(socketPath: string): Receiver {
  const reader = new RedisConnection(socketPath);
  return {
    next: async () => {
      const read = ['XREADGROUP', 'GROUP', GROUP, 'bench', 'COUNT', '10', 'BLOCK', '5000', 'STREAMS', STREAM, '>'];
      const streams = (await reader.command(...read)) as [string, [string, [string, string]][]][] | null;
      const entries = streams?.[0]?.[1] ?? [];
      return {
        texts: entries.map(([, [, text]]) => text),
        done: async () => {
          if (entries.length > 0) await reader.command('XACK', STREAM, GROUP, ...entries.map(([id]) => id));
        },
      };
    },
    close: () => reader.close(),
  };
}
