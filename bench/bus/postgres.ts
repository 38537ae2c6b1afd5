/** PostgreSQL as a durable bus: a table, SKIP LOCKED, and NOTIFY; its protocol is spoken here, for want of a client. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Peer, Receiver } from './peer.ts';
import { findProgram } from './peer.ts';

const PORT = 5432;
const READY_MS_MAX = 15_000;
const WAIT_MS = 5_000;
const DEBIAN = '/usr/lib/postgresql';

/** Protocol version 3.0 (postgresql.org/docs/current/protocol.html). */
const PROTOCOL = 196_608;

/** One connection, simple queries only. */
class PostgresConnection {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (rows: string[][]) => void; reject: (error: Error) => void; rows: string[][] }[] = [];
  #rest = Buffer.alloc(0);
  onNotify: () => void = () => {};

  constructor(socketPath: string) {
    this.#socket = connect(socketPath);
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#waiting.shift()?.reject(error));
  }

  /** Says who connects; resolves when queries are taken. */
  start(user: string): Promise<unknown> {
    const names = Buffer.from(`user\0${user}\0database\0postgres\0\0`);
    const head = Buffer.alloc(8);
    head.writeInt32BE(names.length + 8, 0);
    head.writeInt32BE(PROTOCOL, 4);
    return this.#ask(Buffer.concat([head, names]));
  }

  query(sql: string): Promise<string[][]> {
    const text = Buffer.from(`${sql}\0`);
    const head = Buffer.alloc(5);
    head.write('Q', 0);
    head.writeInt32BE(text.length + 4, 1);
    return this.#ask(Buffer.concat([head, text]));
  }

  #ask(bytes: Buffer): Promise<string[][]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, rows: [] });
      this.#socket.write(bytes);
    });
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5) {
      const end = this.#rest.readInt32BE(1) + 1;
      if (this.#rest.length < end) return;
      this.#message(this.#rest.toString('latin1', 0, 1), this.#rest.subarray(5, end));
      this.#rest = this.#rest.subarray(end);
    }
  }

  #message(kind: string, body: Buffer): void {
    if (kind === 'A') this.onNotify();
    if (kind === 'D') this.#waiting[0]?.rows.push(parseRow(body));
    if (kind === 'E') this.#waiting.shift()?.reject(new Error(`PostgreSQL: ${body.toString('utf8')}`));
    if (kind !== 'Z') return;
    const asked = this.#waiting.shift();
    asked?.resolve(asked.rows);
  }

  close(): void {
    this.#socket.destroy();
  }
}

function parseRow(body: Buffer): string[] {
  const fields: string[] = [];
  let at = 2;
  for (let field = body.readInt16BE(0); field > 0; field--) {
    const length = body.readInt32BE(at);
    fields.push(length < 0 ? '' : body.toString('utf8', at + 4, at + 4 + length));
    at += 4 + Math.max(0, length);
  }
  return fields;
}

/** Where the server's programs are; Debian keeps them off the PATH. */
function programFolder(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => path.join(DEBIAN, version, 'bin')) : [];
  // What is on the PATH may be a wrapper, so the package's own comes first.
  const folder = versions.find((each) => existsSync(path.join(each, 'initdb')));
  const found = folder === undefined ? findProgram('initdb') : path.join(folder, 'initdb');
  return found === null ? null : path.dirname(found);
}

interface User {
  readonly name: string;
  readonly ids: { readonly uid: number; readonly gid: number } | null;
}

/** PostgreSQL refuses to be run by root: then it is run by its own user, where there is one. */
function runningUser(): User | null {
  if (process.getuid?.() !== 0) return { name: 'bench', ids: null };
  try {
    const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    return { name: 'bench', ids: { uid: id('-u'), gid: id('-g') } };
  } catch {
    return null;
  }
}

/** Starts PostgreSQL on a socket, its data in `folder`; null where it is not installed or cannot be run. */
export async function startPostgres(folder: string, connections: number): Promise<Peer | null> {
  const programs = programFolder();
  const user = runningUser();
  if (programs === null || user === null) return null;
  // The path of a socket is short, and the data must be on the disk that is measured.
  const sockets = mkdtempSync(path.join(tmpdir(), 'bench-pg-'));
  const data = path.join(folder, 'data');
  mkdirSync(data, { recursive: true });
  // Its own user must get through to its data.
  if (user.ids !== null) for (const each of [folder, path.dirname(folder)]) chmodSync(each, 0o711);
  for (const each of [sockets, data]) {
    if (user.ids !== null) chownSync(each, user.ids.uid, user.ids.gid);
    chmodSync(each, 0o700);
  }
  const how = { stdio: 'ignore', cwd: data, ...user.ids } as const;
  execFileSync(path.join(programs, 'initdb'), ['-D', data, '-A', 'trust', '-U', user.name, '--no-sync'], how);
  const settings = ['-c', 'listen_addresses=', '-c', `max_connections=${connections + 20}`, '-c', 'fsync=on'];
  const server = ['-D', data, '-k', sockets, '-p', `${PORT}`, ...settings, '-c', 'synchronous_commit=on'];
  const child = spawn(path.join(programs, 'postgres'), server, how);
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    await ended;
    rmSync(sockets, { recursive: true, force: true });
  };
  const socketPath = path.join(sockets, `.s.PGSQL.${PORT}`);
  const open = async (): Promise<PostgresConnection> => {
    const connection = new PostgresConnection(socketPath);
    await connection.start(user.name);
    return connection;
  };
  const first = await firstConnection(open, () => child.exitCode !== null);
  await first.query('CREATE TABLE messages (id bigserial PRIMARY KEY, body text NOT NULL)');
  const writers = [first, ...(await Promise.all(Array.from({ length: connections - 1 }, open)))];
  return {
    name: 'PostgreSQL, table and NOTIFY',
    publish: async (text, worker) => {
      await writers[worker]?.query(`INSERT INTO messages (body) VALUES ('${text}'); NOTIFY mail`);
    },
    drain: async () => {
      await first.query('TRUNCATE messages');
    },
    receiver: async () => receiverOn(await open()),
    [Symbol.asyncDispose]: async () => {
      for (const writer of writers) writer.close();
      await stop();
    },
  };
}

async function firstConnection(
  open: () => Promise<PostgresConnection>,
  hasEnded: () => boolean,
): Promise<PostgresConnection> {
  for (let waited = 0; ; waited += 50) {
    try {
      return await open();
    } catch (error) {
      if (hasEnded() || waited > READY_MS_MAX) throw error;
    }
    await delay(50);
  }
}

/** Takes with SKIP LOCKED and deletes when done; sleeps until it is notified. */
async function receiverOn(connection: PostgresConnection): Promise<Receiver> {
  let notified = false;
  let wake: () => void = () => {};
  connection.onNotify = () => {
    notified = true;
    wake();
  };
  await connection.query('LISTEN mail');
  const take = async (): Promise<string[][]> => {
    notified = false;
    await connection.query('BEGIN');
    return connection.query('SELECT id, body FROM messages ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED');
  };
  return {
    next: async () => {
      let rows = await take();
      if (rows.length === 0) {
        await connection.query('COMMIT');
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, WAIT_MS).unref();
          if (notified) resolve();
        });
        rows = await take();
      }
      return {
        texts: rows.map(([, body = '']) => body),
        done: async () => {
          const ids = rows.map(([id = '']) => id).join(', ');
          if (ids !== '') await connection.query(`DELETE FROM messages WHERE id IN (${ids})`);
          await connection.query('COMMIT');
        },
      };
    },
    close: () => connection.close(),
  };
}
