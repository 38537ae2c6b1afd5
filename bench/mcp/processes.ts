/** The servers that are measured, and the loads that measure them, each a process of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import { socketPaths } from '../../src/substrate/home/sockets.ts';
import type { Load, LoadResult } from './load.ts';

const LAUNCHER = path.join(import.meta.dirname, '..', '..', 'bin', 'seed.cjs');
const STOP_MS_MAX = 15_000;

export interface Served extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  readonly socket: string;
}

export interface ServedSeed extends Served {
  readonly owner: (tool: string, input: unknown) => Promise<unknown>;
}

/** The first line that fits, from a process that must not end before. */
async function line(output: Readable, fits: (text: string) => boolean): Promise<string> {
  for await (const text of createInterface({ input: output })) if (fits(text)) return text;
  throw new Error('The server ended before it served.');
}

async function start(args: readonly string[], fits: (text: string) => boolean) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SEED_PORT: '0' },
  });
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
  };
  const first = await line(child.stdout, fits).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  child.stdout.resume();
  return { pid: child.pid ?? 0, first, stop };
}

export async function startBare(socket: string): Promise<Served> {
  const args = [path.join(import.meta.dirname, 'bare.ts'), socket, `${socket}.db`];
  const bare = await start(args, (text) => text.startsWith('http'));
  return { pid: bare.pid, url: bare.first, socket, [Symbol.asyncDispose]: bare.stop };
}

export async function startSeed(home: string): Promise<ServedSeed> {
  const seed = await start([LAUNCHER, 'up', '--json', '--home', home], (text) => text.includes('"url"'));
  const url = /"url": "([^"]+)"/.exec(seed.first)?.[1] ?? '';
  const { agent, owner } = socketPaths(home, readSettings(home).sockets);
  return {
    pid: seed.pid,
    url,
    socket: agent,
    owner: (tool, input) => callOwnerDoor(owner, { tool, input }, () => {}),
    [Symbol.asyncDispose]: seed.stop,
  };
}

export async function runLoad(load: Load): Promise<LoadResult> {
  const script = path.join(import.meta.dirname, 'load.ts');
  const child = spawn(process.execPath, [script, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`The load ended with ${code}.`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as LoadResult;
}

/** Resident memory of a process, in MB. */
export function residentMb(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1_024;
}
