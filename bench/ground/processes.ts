/** The program as it is started: how long until it answers, and how much memory it takes. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import { SeedError } from '../../src/errors.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import { socketPaths } from '../../src/substrate/home/sockets.ts';

const LAUNCHER = path.join(import.meta.dirname, '..', '..', 'bin', 'seed.cjs');
const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const READY_MS_MAX = 60_000;
/** Long enough for what a daemon does once after its start. */
const SETTLE_MS = 4_000;
const POLL_MS = 2;

/** Runs the child script and resolves to its figures. */
export async function runChild(args: readonly string[]): Promise<{ perSecond: number; peakMb: number }> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`child.ts ${args.join(' ')} ended with ${code}.`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as { perSecond: number; peakMb: number };
}

/** Milliseconds that `seed --version` takes, from start to end. */
export async function versionMs(): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, [LAUNCHER, '--version'], { stdio: 'ignore' });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`seed --version ended with ${code}.`);
  return performance.now() - start;
}

async function untilAnswered(socket: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`The daemon ended with ${child.exitCode}.`);
    try {
      await callOwnerDoor(socket, { tool: 'seed_status', input: {} }, () => {});
      return;
    } catch (error) {
      if (!(error instanceof SeedError) || error.code !== 'daemon_absent') throw error;
    }
    await delay(POLL_MS);
  }
  throw new Error('The daemon did not answer.');
}

/** Resident memory of a process, in MB. */
function residentMb(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1_024;
}

/** Starts a daemon, stops it again; resolves to its time to answer and, if asked for, its idle memory. */
export async function daemonRun(
  home: string,
  { measureIdle }: { measureIdle: boolean },
): Promise<{ readyMs: number; idleMb: number | null }> {
  const socket = socketPaths(home, readSettings(home).sockets).owner;
  const start = performance.now();
  const child = spawn(process.execPath, [LAUNCHER, 'up', '--home', home], { stdio: 'ignore' });
  const ended = once(child, 'close');
  try {
    await untilAnswered(socket, child);
    const readyMs = performance.now() - start;
    if (!measureIdle || child.pid === undefined) return { readyMs, idleMb: null };
    await delay(SETTLE_MS);
    return { readyMs, idleMb: residentMb(child.pid) };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}
