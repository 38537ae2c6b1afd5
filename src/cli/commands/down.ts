import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { printJson, printLine } from '../output.ts';
import { callOwnerDoor, SHORT_WAIT_MS } from '../owner-client.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const STOP_WAIT_MS = 20_000;
/** After a signal: a daemon that did not take a call may not take that either. */
const SIGNAL_WAIT_MS = 10_000;

export function addDown(program: Command): void {
  const command = program.command('down').description('stop the daemon in good order; nothing to stop is no error');
  common(command, {
    examples: ['seed down', 'seed down --home /srv/seed --json'],
    exits: { ok: 'stopped, or nothing was running', failed: 'could not be stopped' },
  }).action(down);
}

async function down(options: CommonOptions): Promise<void> {
  const config = configOf(options);
  const pid = await stopDaemon(config);
  if (options.json === true) printJson({ stopped: pid !== null, pid });
  else printLine(pid === null ? 'No daemon was running.' : `Stopped the daemon (pid ${pid}).`);
}

/** Stops the daemon of a home and waits until the home is free; resolves to its pid, or null. */
export async function stopDaemon(config: Config): Promise<number | null> {
  const { ownerSocketOf } = await import('../../main.ts');
  const { isLocked } = await import('../../substrate/home/lock.ts');
  const { chooseDriver } = await import('../../substrate/store/connection.ts');
  const driver = chooseDriver(config.sqlite);
  let pid: number | null = null;
  let waitMs = STOP_WAIT_MS;
  try {
    const call = { tool: 'seed_stop', input: {} };
    const options = { waitMs: SHORT_WAIT_MS, home: config.home };
    const answer = (await callOwnerDoor(ownerSocketOf(config), call, () => {}, options)) as { pid: number };
    pid = answer.pid;
  } catch (error) {
    if (!(error instanceof SeedError) || !['daemon_absent', 'daemon_failed'].includes(error.code)) throw error;
    pid = await signalDaemon(config.home, isLocked(config.home, driver));
    waitMs = SIGNAL_WAIT_MS;
  }
  if (pid === null) return null;
  const deadline = performance.now() + waitMs;
  while (isLocked(config.home, driver)) {
    if (performance.now() > deadline) throw tooSlow(pid, waitMs);
    await delay(25);
  }
  return pid;
}

/** A daemon that has the home and does not answer at its door is told by a signal. */
async function signalDaemon(home: string, locked: boolean): Promise<number | null> {
  const { readHolder } = await import('../../substrate/home/lock.ts');
  const holder = locked ? readHolder(home) : null;
  if (holder?.role !== 'daemon') return null;
  try {
    process.kill(holder.pid, 'SIGTERM');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM') throw notYours(holder.pid, error);
    // Gone meanwhile is what was wanted.
    if (code !== 'ESRCH') throw error;
  }
  return holder.pid;
}

function notYours(pid: number, cause: unknown): SeedError {
  return new SeedError('forbidden', `You may not stop the daemon (pid ${pid}).`, {
    hint: 'Run the command as the user whose home it is.',
    data: { pid },
    cause,
  });
}

function tooSlow(pid: number, waitMs: number): SeedError {
  return new SeedError('daemon_failed', `The daemon (pid ${pid}) has not stopped within ${waitMs / 1_000} s.`, {
    hint: `If it hangs, \`kill -9 ${pid}\` loses nothing that was acknowledged.`,
    data: { pid },
  });
}
