/** A seed for a demonstration: a real daemon over a home of its own, both gone afterwards. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { LAUNCHER } from '../launcher.ts';
import { callOwnerDoor } from '../owner-client.ts';

/** A folder that is removed with everything in it. */
export interface Stage {
  readonly folder: string;
  readonly home: string;
  /**
   * Starts the daemon, over a home that is made the first time, and resolves when its doors are open.
   *
   * @throws SeedError `daemon_failed`, and what making a home throws
   */
  readonly start: () => Promise<void>;
  /** Asks a tool at the owner's door. @throws SeedError */
  readonly ask: <T>(tool: string, input?: object) => Promise<T>;
  /** Ends the daemon by SIGKILL: it gets no say in it. */
  readonly kill: () => Promise<void>;
  /** Ends the daemon, if it runs, and removes the folder; at once, so that it can be the last thing a process does. */
  readonly clear: () => void;
}

/** @throws SeedError `conflict` when `folder` is there already: what is removed must be our own */
export async function setStage(config: Config, given: string | undefined): Promise<Stage> {
  if (given !== undefined && existsSync(given)) {
    throw new SeedError('conflict', `${given} is there already, and a demonstration removes its folder.`, {
      hint: 'Name a folder that is not there yet, or none.',
    });
  }
  const { initHome, ownerSocketOf } = await import('../../main.ts');
  const folder = given ?? mkdtempSync(join(tmpdir(), 'seed-demo-'));
  const home = join(folder, 'home');
  let child: ChildProcess | null = null;
  let isMade = false;
  const own = { ...config, home, port: 0 };
  const clear = (): void => {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  return {
    folder,
    home,
    start: async () => {
      // Not before somebody has the stage and can clear it.
      if (!isMade) await initHome(own, null);
      isMade = true;
      // Known from its first moment, so that whoever leaves while it starts takes it along.
      child = spawnDaemon(home);
      await untilReady(child);
    },
    ask: async <T>(tool: string, input: object = {}) =>
      (await callOwnerDoor(ownerSocketOf(own), { tool, input }, () => {}, { home })) as T,
    kill: async () => {
      const dying = child;
      if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = new Promise((resolve) => dying.once('exit', resolve));
      dying.kill('SIGKILL');
      await gone;
      child = null;
    },
    clear,
  };
}

/** The same daemon that `seed up` is. */
function spawnDaemon(home: string): ChildProcess {
  return spawn(process.execPath, [LAUNCHER, 'up', '--json', '--no-detect', '--home', home], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function untilReady(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (): void => reject(cannotStart());
    child.once('error', failed);
    child.once('exit', failed);
    if (child.stdout === null) return failed();
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('"ready": true')) resolve();
    });
  });
}

function cannotStart(): SeedError {
  return new SeedError('daemon_failed', 'The demonstration’s seed does not start.', {
    hint: 'See what `seed up --home DIR` says of a folder of your own.',
  });
}
