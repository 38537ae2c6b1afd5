/**
 * The composition root: puts the parts together, for the daemon that serves a home and for a
 * command that uses one for a moment.
 */
import { createServer } from 'node:net';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { Config } from './config.ts';
import type { Call } from './doors/call.ts';
import { createCall } from './doors/call.ts';
import { openOwnerDoor } from './doors/owner.ts';
import { SeedError, toSeedError } from './errors.ts';
import { SEED } from './substrate/actor.ts';
import { eraseDueContent } from './substrate/content.ts';
import { sampleGrowth } from './substrate/health.ts';
import { createHome, homeState } from './substrate/home/create.ts';
import { homePath } from './substrate/home/layout.ts';
import type { LogFile } from './substrate/home/log-file.ts';
import { openLogFile } from './substrate/home/log-file.ts';
import type { HomeLock } from './substrate/home/lock.ts';
import { lockHome } from './substrate/home/lock.ts';
import { readSettings } from './substrate/home/settings.ts';
import { prepareSocketFolder, socketPaths } from './substrate/home/sockets.ts';
import { systemSources } from './substrate/sources.ts';
import { chooseDriver } from './substrate/store/connection.ts';
import type { Substrate } from './substrate/substrate.ts';
import { openSubstrate, openSubstrateReader } from './substrate/substrate.ts';
import type { Daemon } from './tools/daemon.ts';
import { TOOLS } from './tools/index.ts';

/** How long `up` waits for a command that has the home at the moment. */
const COMMAND_WAIT_MS = 5_000;
/** How long calls under way may take when the daemon stops. */
const DRAIN_MS = 10_000;
const HOUSEKEEPING_MS = 60 * 60 * 1_000;
const ERASE_ROWS_MAX = 500;

/** Kills this process at the n-th time it passes the named point. Tests only; see SECURITY.md. */
function faultOf({ fault }: Config): (point: string) => void {
  let passed = 0;
  return (point) => {
    if (fault?.point === point && ++passed === fault.nth) process.kill(process.pid, 'SIGKILL');
  };
}

/** Makes the home of a configuration unless it is there; resolves to whether it was made now. */
export async function initHome(config: Config, passphrase: string | null): Promise<boolean> {
  return createHome({
    home: config.home,
    driver: chooseDriver(config.sqlite),
    sources: systemSources,
    port: config.port === 0 ? await freePort() : config.port,
    passphrase,
    runtimeFolder: config.runtimeFolder,
    version: config.version,
    fault: faultOf(config),
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** @throws SeedError `home_missing` or `home_foreign` */
function assertHome({ home }: Config): void {
  const state = homeState(home);
  if (state === 'finished') return;
  if (state === 'foreign') {
    throw new SeedError('home_foreign', `${home} holds something that is not a seed.`, {
      hint: 'Name another folder with --home DIR or SEED_HOME.',
    });
  }
  throw new SeedError('home_missing', `There is no seed in ${home}.`, {
    hint: 'Make one with `seed init`, or start one with `seed up`.',
  });
}

/** A home in use by this process alone, for one command. */
export interface LocalSeed {
  readonly call: Call;
  readonly close: () => Promise<void>;
}

function commandDaemon(config: Config): Daemon {
  return {
    pid: process.pid,
    version: config.version,
    role: 'command',
    startedAt: systemSources.now(),
    doors: { owner: null },
    droppedLogLines: () => 0,
    stop: () => {},
  };
}

/** Takes the home's lock for one command. @throws SeedError `home_locked` when a daemon has it */
export async function openLocally(config: Config): Promise<LocalSeed> {
  assertHome(config);
  const driver = chooseDriver(config.sqlite);
  const lock = await lockHome(config.home, { driver, role: 'command', waitMs: COMMAND_WAIT_MS });
  try {
    const substrate = await openSubstrate({
      home: config.home,
      driver,
      sources: systemSources,
      fault: faultOf(config),
    });
    return {
      call: createCall({ tools: TOOLS, substrate, daemon: commandDaemon(config) }),
      close: async () => {
        await substrate.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Opens the home for reading, whoever serves it. */
export function openReading(config: Config): LocalSeed {
  assertHome(config);
  const substrate = openSubstrateReader({
    home: config.home,
    driver: chooseDriver(config.sqlite),
    sources: systemSources,
  });
  return {
    call: createCall({ tools: TOOLS, substrate, daemon: commandDaemon(config) }),
    close: () => substrate.close(),
  };
}

/** Where the owner's door of a home is, whether or not anybody listens. */
export function ownerSocketOf(config: Config): string {
  assertHome(config);
  return socketPaths(config.home, readSettings(config.home).sockets).owner;
}

/** A daemon that serves. */
export interface Serving {
  readonly pid: number;
  readonly home: string;
  readonly seed: string;
  readonly receipts: number;
  /** Why the log is not trusted; null when it is. */
  readonly distrust: SeedError | null;
  /** Resolves when the daemon has stopped in good order. */
  readonly stopped: Promise<void>;
  readonly stop: () => void;
}

/**
 * Serves a home until it is stopped: lock, log against the checkpoint outside, doors.
 *
 * @throws SeedError `home_locked` with the pid of the daemon that has it, and what opening throws
 */
export async function serve(config: Config): Promise<Serving> {
  assertHome(config);
  const { home } = config;
  const driver = chooseDriver(config.sqlite);
  const lock = await lockHome(home, { driver, role: 'daemon', waitMs: COMMAND_WAIT_MS });
  const file = openLogFile(homePath(home, 'log'));
  const log = pino({ base: { pid: process.pid } }, file);
  try {
    return await open({ config, lock, file, log, driver });
  } catch (error) {
    log.error({ code: toSeedError(error).code }, toSeedError(error).message);
    file.close();
    lock.release();
    throw error;
  }
}

async function open(parts: {
  config: Config;
  lock: HomeLock;
  file: LogFile;
  log: Logger;
  driver: ReturnType<typeof chooseDriver>;
}): Promise<Serving> {
  const { config, lock, file, log, driver } = parts;
  const { home, version } = config;
  const settings = readSettings(home);
  const sockets = socketPaths(home, settings.sockets);
  if (settings.sockets !== null) prepareSocketFolder(settings.sockets);
  const onBackgroundError = (error: SeedError): void => {
    log.error({ code: error.code }, error.message);
  };
  const substrate = await openSubstrate({
    home,
    driver,
    sources: systemSources,
    fault: faultOf(config),
    onBackgroundError,
  });
  const stopping = Promise.withResolvers<void>();
  const daemon: Daemon = {
    pid: process.pid,
    version,
    role: 'daemon',
    startedAt: systemSources.now(),
    doors: { owner: sockets.owner },
    droppedLogLines: () => file.dropped(),
    stop: () => stopping.resolve(),
  };
  await noteStart(substrate, version);
  const call = createCall({ tools: TOOLS, substrate, daemon });
  const door = await openOwnerDoor({ path: sockets.owner, call, onDefect: onBackgroundError });
  const housekeeping = keepHouse(substrate, onBackgroundError);
  log.info({ home, seed: substrate.seed, version, node: process.version, store: substrate.driver }, 'serving');

  const stopped = stopping.promise.then(async () => {
    log.info('stopping');
    clearInterval(housekeeping);
    await door.close(DRAIN_MS);
    await noteStop(substrate);
    await substrate.close();
    log.info('stopped');
    file.close();
    lock.release();
  });
  const { size } = await substrate.log();
  return {
    pid: process.pid,
    home,
    seed: substrate.seed,
    receipts: size,
    distrust: substrate.distrust,
    stopped,
    stop: daemon.stop,
  };
}

async function noteStart(substrate: Substrate, version: string): Promise<void> {
  if (substrate.distrust !== null) return;
  await substrate.operate({ action: 'seed.start', actor: SEED }, async (op) => {
    op.receipt({ detail: { version, node: process.version, store: substrate.driver } });
  });
}

async function noteStop(substrate: Substrate): Promise<void> {
  if (substrate.distrust !== null) return;
  await substrate.operate({ action: 'seed.stop', actor: SEED }, async () => {});
}

/** What is due now and then: retention, and a sample of the database's size. */
function keepHouse(substrate: Substrate, onError: (error: SeedError) => void): NodeJS.Timeout {
  const round = async (): Promise<void> => {
    if (substrate.distrust !== null) return;
    const now = systemSources.now();
    await substrate.maintain((tx) => sampleGrowth(tx, now, substrate.size()));
    let erased = 0;
    do {
      erased = await substrate.maintain((tx) => eraseDueContent(tx, now, ERASE_ROWS_MAX));
      if (erased > 0) await substrate.scrub();
    } while (erased === ERASE_ROWS_MAX);
  };
  const begin = (): void => {
    round().catch((error: unknown) => onError(toSeedError(error)));
  };
  setTimeout(begin, 1_000).unref();
  return setInterval(begin, HOUSEKEEPING_MS).unref();
}
