/**
 * The composition root of the daemon: the process that serves one home until it is stopped.
 */
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { Config } from './config.ts';
import { createCall } from './doors/call.ts';
import type { Doors } from './doors/open.ts';
import { openDoors } from './doors/open.ts';
import type { SeedError } from './errors.ts';
import { toSeedError } from './errors.ts';
import { originOf } from './formats/checkpoint.ts';
import { assertHome, audienceOf, COMMAND_WAIT_MS, faultOf, keysOf, loopbackUrl } from './main.ts';
import type { OpenAccessKey } from './membrane/access-key.ts';
import { createAccessKeyOpener } from './membrane/access-key.ts';
import { Membrane } from './membrane/membrane.ts';
import { SEED } from './substrate/actor.ts';
import { eraseDueContent } from './substrate/content.ts';
import { sampleGrowth } from './substrate/health.ts';
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
import { openSubstrate } from './substrate/substrate.ts';
import type { Daemon } from './tools/daemon.ts';
import { TOOLS } from './tools/index.ts';

/** How long calls under way may take when the daemon stops. */
const DRAIN_MS = 10_000;
const HOUSEKEEPING_MS = 60 * 60 * 1_000;
const ERASE_ROWS_MAX = 500;

/** A daemon that serves. */
export interface Serving {
  readonly pid: number;
  readonly home: string;
  readonly seed: string;
  readonly receipts: number;
  /** The MCP address over HTTP; null when that door is shut. */
  readonly url: string | null;
  /** Why the HTTP door is shut. */
  readonly httpProblem: SeedError | null;
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
    return await openAll({ config, lock, file, log, driver });
  } catch (error) {
    log.error({ code: toSeedError(error).code }, toSeedError(error).message);
    file.close();
    lock.release();
    throw error;
  }
}

async function openAll(parts: {
  config: Config;
  lock: HomeLock;
  file: LogFile;
  log: Logger;
  driver: ReturnType<typeof chooseDriver>;
}): Promise<Serving> {
  const { config, lock, file, log, driver } = parts;
  const { home, version } = config;
  const settings = readSettings(home);
  const audience = audienceOf(config, settings.port);
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
  const open: { doors: Doors | null } = { doors: null };
  const daemon: Daemon = {
    pid: process.pid,
    version,
    role: 'daemon',
    startedAt: systemSources.now(),
    // Known once the doors are open, which need the pipeline, which needs this.
    get doors() {
      const problem = open.doors?.httpProblem ?? null;
      const url = open.doors === null || problem !== null ? null : audience;
      return { owner: sockets.owner, url, problem: problem?.message ?? null };
    },
    agents: () => open.doors?.connectedAgents() ?? [],
    droppedLogLines: () => file.dropped(),
    stop: () => stopping.resolve(),
  };
  await noteStart(substrate, version);
  const membrane = new Membrane(substrate, keyOpener(config, substrate, settings.port));
  const keys = keysOf(config, substrate, membrane.work);
  const call = createCall({ tools: TOOLS, substrate, daemon, keys });
  open.doors = await openDoors({
    port: settings.port,
    publicUrl: config.publicUrl,
    sockets,
    substrate,
    membrane,
    keys,
    tools: TOOLS,
    call,
    version,
    stop: daemon.stop,
    onDefect: onBackgroundError,
  });
  const { doors } = open;
  const housekeeping = keepHouse(substrate, onBackgroundError);
  log.info({ home, seed: substrate.seed, version, node: process.version, store: substrate.driver }, 'serving');

  const stopped = stopping.promise.then(async () => {
    log.info('stopping');
    clearInterval(housekeeping);
    await doors.close(DRAIN_MS);
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
    url: daemon.doors.url,
    httpProblem: doors.httpProblem,
    distrust: substrate.distrust,
    stopped,
    stop: daemon.stop,
  };
}

/** Opens keys for every address under which this seed is reached. */
function keyOpener(config: Config, { root, seed }: Substrate, port: number): OpenAccessKey {
  const audiences = [...new Set([audienceOf(config, port), `${loopbackUrl(port)}/mcp`])];
  return createAccessKeyOpener({
    issuerKeys: root.issuerKeys,
    issuer: originOf(seed),
    audiences,
    now: systemSources.now,
  });
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
