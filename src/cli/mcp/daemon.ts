/** Finds the daemon of a home, and starts it when there is none. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../../config.ts';
import type { Hello } from '../../doors/hello.ts';
import { isNewer } from '../../doors/hello.ts';
import { fromWire, SeedError } from '../../errors.ts';
import { homePath } from '../../substrate/home/layout.ts';
import { socketPaths } from '../../substrate/home/sockets.ts';
import { LAUNCHER } from '../launcher.ts';
import type { DaemonConnection } from './hello.ts';
import { greet } from './hello.ts';

const START_MS_MAX = 10_000;
/** An older daemon drains for up to 10 s before it lets the home go. */
const RESTART_MS_MAX = 20_000;
const POLL_MS = 25;
const SAID_BYTES_MAX = 8_192;

export interface DaemonFinder {
  /**
   * Connects to the daemon of the home; null when there is none and `mayStart` says no.
   *
   * @throws SeedError what the daemon refuses with, why it cannot start, or `daemon_failed` when
   *   nobody answers in time
   */
  find(hello: Hello, mayStart: () => boolean, signal: AbortSignal): Promise<DaemonConnection | null>;
  /** Whether some process has the home at this moment: a daemon that stops in good order still has it. */
  isHeld(): Promise<boolean>;
}

/** Where agents connect; null while the home is not made. */
function agentSocket(home: string): string | null {
  try {
    // Read by hand: this must be fast, and `seed up` says what is wrong with a damaged file.
    const settings = JSON.parse(readFileSync(homePath(home, 'settings'), 'utf8')) as { sockets?: unknown };
    return socketPaths(home, typeof settings.sockets === 'string' ? settings.sockets : null).agent;
  } catch {
    return null;
  }
}

interface Started {
  /** Why it ended, once it has. */
  failure(): SeedError | null;
  isRunning(): boolean;
}

/** Starts a daemon that outlives this process; what it says is kept to explain a failure with. */
function startDaemon({ home }: Config): Started {
  const folder = mkdtempSync(join(tmpdir(), 'seed-start-'));
  const said = openSync(join(folder, 'said'), 'w+', 0o600);
  // Open and nameless from here on: nothing to clean up, however this process ends.
  rmSync(folder, { recursive: true });
  const child = spawn(process.execPath, [LAUNCHER, 'up', '--json', '--home', home], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', said, said],
  });
  child.unref();
  let ended: SeedError | null = null;
  child.on('error', (cause) => {
    ended = cannotStart(cause.message);
    closeSync(said);
  });
  child.on('exit', (code, signal) => {
    if (ended !== null) return;
    ended = explain(readStart(said)) ?? cannotStart(`it ended with ${signal ?? `exit code ${code}`}`);
    closeSync(said);
  });
  return { failure: () => ended, isRunning: () => ended === null };
}

function readStart(file: number): string {
  const bytes = Buffer.alloc(SAID_BYTES_MAX);
  return bytes.toString('utf8', 0, readSync(file, bytes, 0, SAID_BYTES_MAX, 0)).trim();
}

/** What `seed up --json` said when it failed, as the error that it was. */
function explain(said: string): SeedError | null {
  try {
    const { error } = JSON.parse(said) as { error?: unknown };
    return error === undefined ? null : fromWire(error);
  } catch {
    return said === '' ? null : cannotStart(said.slice(0, 500));
  }
}

function cannotStart(why: string): SeedError {
  return new SeedError('daemon_failed', `The seed cannot be started: ${why}.`, {
    hint: 'Run `seed up` in a terminal to see what is wrong.',
  });
}

function noAnswer(ms: number): SeedError {
  return new SeedError('daemon_failed', `The seed did not answer within ${ms / 1_000} s.`, {
    hint: 'Look at `seed status` and `seed doctor`; `seed up` in a terminal shows what is wrong.',
  });
}

export function createDaemonFinder(config: Config, say: (text: string) => void): DaemonFinder {
  const { home } = config;
  /** The version of a daemon that made room for this one; it is asked to only once. */
  let replaced: string | null = null;
  let saidOlder = false;
  /** Whether no daemon was ever seen nor started. */
  let isFresh = true;

  const isHeld = async (): Promise<boolean> => {
    // Asking creates the lock's file, so never in a folder that is no home.
    if (!existsSync(homePath(home, 'lock'))) return false;
    const { isLocked } = await import('../../substrate/home/lock.ts');
    const { chooseDriver } = await import('../../substrate/store/connection.ts');
    return isLocked(home, chooseDriver(config.sqlite));
  };

  const welcomed = (connection: DaemonConnection): DaemonConnection => {
    const { version } = connection.welcome;
    if (!saidOlder && isNewer(config.version, version)) {
      saidOlder = true;
      say(`the running seed is version ${version}, older than this ${config.version}; restart it with \`seed down\``);
    }
    return connection;
  };

  return {
    isHeld,
    find: async (hello, mayStart, signal) => {
      let limitMs = START_MS_MAX;
      let deadline = performance.now() + limitMs;
      let started: Started | null = null;
      let refusal: SeedError | null = null;
      let mustStart = false;
      while (performance.now() < deadline) {
        signal.throwIfAborted();
        const path = agentSocket(home);
        // Said a second time, the own version would send an older daemon away again and again.
        const version = replaced ?? hello.version;
        const greeting = path === null ? null : await greet(path, { ...hello, version }, signal).catch(asPassing);
        if (greeting instanceof SeedError) refusal = greeting;
        else if (greeting?.kind === 'welcome') {
          isFresh = false;
          return welcomed(greeting.connection);
        } else if (greeting?.kind === 'restarting') {
          replaced = greeting.version;
          mustStart = true;
          isFresh = false;
          limitMs = RESTART_MS_MAX;
          deadline = performance.now() + limitMs;
        } else if (started === null || !started.isRunning()) {
          // One that came second has found the home taken: whoever took it will answer.
          const failure = started?.failure() ?? null;
          if (failure !== null && failure.code !== 'home_locked') throw failure;
          // The very first start finds out by itself whether somebody has the home: asking would
          // load the database's module into a process that is to stay small.
          const isFree = isFresh || !(await isHeld());
          isFresh = false;
          if (isFree) {
            if (!mustStart && !mayStart()) return null;
            started = startDaemon(config);
          }
        }
        await delay(POLL_MS, undefined, { signal });
      }
      throw refusal ?? noAnswer(limitMs);
    },
  };
}

/** A daemon on its way out is no refusal; anything else is. */
function asPassing(thrown: unknown): SeedError {
  if (thrown instanceof SeedError && thrown.code === 'stopping') return thrown;
  throw thrown;
}
