/**
 * The composition root of the daemon: the process that serves one home until it is stopped.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { Config } from './config.ts';
import type { Call } from './doors/call.ts';
import { createCall } from './doors/call.ts';
import type { Doors } from './doors/open.ts';
import { openDoors } from './doors/open.ts';
import type { SeedError } from './errors.ts';
import { toSeedError } from './errors.ts';
import { originOf } from './formats/checkpoint.ts';
import type { OpenMind } from './main.ts';
import {
  assertHome,
  audienceOf,
  COMMAND_WAIT_MS,
  egressOf,
  faultOf,
  keysOf,
  loopbackUrl,
  mindOf,
  notifiersOf,
} from './main.ts';
import type { OpenAccessKey } from './membrane/access-key.ts';
import { createAccessKeyOpener } from './membrane/access-key.ts';
import { Membrane } from './membrane/membrane.ts';
import { OWNER, SEED } from './substrate/actor.ts';
import { settleEarlierBoot } from './substrate/earlier-boot.ts';
import { homePath } from './substrate/home/layout.ts';
import { openLogFile } from './substrate/home/log-file.ts';
import { lockHome } from './substrate/home/lock.ts';
import { readSettings } from './substrate/home/settings.ts';
import { prepareSocketFolder, socketPaths } from './substrate/home/sockets.ts';
import { refreshPrices } from './substrate/policy/apply.ts';
import { noteOutsideEdits } from './substrate/policy/policy.ts';
import { systemSources } from './substrate/sources.ts';
import type { SqliteDriver } from './substrate/store/connection.ts';
import { chooseDriver } from './substrate/store/connection.ts';
import type { Substrate } from './substrate/substrate.ts';
import { openSubstrate } from './substrate/substrate.ts';
import { readPublicUrl, writePublicUrl } from './substrate/switches.ts';
import type { Daemon } from './tools/daemon.ts';
import { allTools, findTool } from './tools/catalogue.ts';
import { keepHouse, releaseStartGarbage, tellDistrust } from './upkeep.ts';

/** How long calls under way may take when the daemon stops. */
const DRAIN_MS = 10_000;
/** How long organs at work may take then. */
const REST_MS = 5_000;
/** Whoever started the seed asks at once whether it serves, and is answered before the rest is loaded. */
const FIRST_CALLS_MS = 250;
/** When the start is over and nothing urgent goes on yet. */
const SETTLE_MS = 2_000;

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
  /**
   * Resolves when the daemon has stopped in good order.
   * @throws SeedError what kept the seed from going on once its doors were open; everything is closed by then
   */
  readonly stopped: Promise<void>;
  readonly stop: () => void;
}

/** What was opened, to be closed in the reverse order, whatever one of them does. */
class Opened {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#steps.push(close);
  }

  async close(onError: (error: SeedError) => void): Promise<void> {
    for (const close of this.#steps.splice(0).toReversed()) {
      try {
        await close();
      } catch (error) {
        onError(toSeedError(error));
      }
    }
  }
}

export interface ServeOptions {
  /** Aborted to stop it, at whatever point of its start it is. */
  readonly signal?: AbortSignal;
}

/**
 * Serves a home until it is stopped: lock, log against the checkpoint outside, doors. Resolves when they are
 * open; what the seed does by itself begins right after.
 *
 * @throws SeedError `home_locked` with the pid of the daemon that has it, and what opening throws
 */
export async function serve(config: Config, { signal }: ServeOptions = {}): Promise<Serving> {
  assertHome(config);
  const { home } = config;
  const driver = chooseDriver(config.sqlite);
  const lock = await lockHome(home, { driver, role: 'daemon', waitMs: COMMAND_WAIT_MS });
  const opened = new Opened();
  opened.add(() => lock.release());
  let tell: (error: SeedError) => void = () => {};
  try {
    const file = openLogFile(homePath(home, 'log'));
    const log = pino({ base: { pid: process.pid } }, file);
    opened.add(() => {
      log.info('stopped');
      file.close();
    });
    tell = (error) => log.error({ code: error.code, cause: causeOf(error) }, error.message);
    return await openAll({ config, opened, log, driver, tell, signal, dropped: () => file.dropped() });
  } catch (error) {
    tell(toSeedError(error));
    await opened.close(tell);
    throw error;
  }
}

/** Where a defect came from; only defects carry a stack into the log. */
function causeOf({ code, cause }: SeedError): string | undefined {
  return code === 'internal' && cause instanceof Error ? cause.stack : undefined;
}

interface Parts {
  readonly config: Config;
  readonly opened: Opened;
  readonly log: Logger;
  readonly driver: SqliteDriver;
  readonly tell: (error: SeedError) => void;
  readonly signal: AbortSignal | undefined;
  readonly dropped: () => number;
}

async function openAll(parts: Parts): Promise<Serving> {
  const { config, opened, log, driver, tell, signal } = parts;
  const { home, version } = config;
  const substrate = await openSubstrate({
    home,
    driver,
    sources: systemSources,
    fault: faultOf(config),
    onBackgroundError: tell,
  });
  opened.add(() => substrate.close());
  if (substrate.distrust === null) await settleEarlierBoot(substrate);
  await noteStart(substrate, version);
  opened.add(() => noteStop(substrate));
  await settlePolicy(substrate, tell);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted === true) stop();
  const { daemon, doors, mind } = await openSeed(parts, substrate, stop);
  opened.add(() => doors.close(DRAIN_MS));
  // Nothing is begun once the seed is stopping; what is under way ends while the doors still answer.
  opened.add(() => mind.rest(REST_MS));
  log.info({ home, seed: substrate.seed, version, node: process.version, store: substrate.driver }, 'serving');
  const { size } = await substrate.log();
  const { url } = daemon.doors;
  const { httpProblem } = doors;
  const stopped = liveOn(parts, { substrate, mind, stopping: stopping.signal });
  return {
    pid: process.pid,
    home,
    seed: substrate.seed,
    receipts: size,
    url,
    httpProblem,
    distrust: substrate.distrust,
    stopped,
    stop: daemon.stop,
  };
}

interface Living {
  readonly substrate: Substrate;
  readonly mind: OpenMind;
  readonly stopping: AbortSignal;
}

/** All that goes on behind open doors, to the daemon's end. What keeps it from beginning is that end. */
async function liveOn(parts: Parts, living: Living): Promise<void> {
  const { opened, log, tell } = parts;
  try {
    await openRest(parts, living);
    await aborted(living.stopping);
  } catch (error) {
    tell(toSeedError(error));
    throw error;
  } finally {
    log.info('stopping');
    await opened.close(tell);
  }
}

/**
 * What comes once the doors are open, in this order: nobody who comes in waits for it but who asks for it. A stop
 * that is asked for before it begins leaves it out.
 */
async function openRest({ config, opened, tell }: Parts, { substrate, mind, stopping }: Living): Promise<void> {
  await Promise.race([aborted(stopping), delay(FIRST_CALLS_MS, undefined, { ref: false })]);
  if (stopping.aborted) return;
  await mind.pulse.ready();
  // Once more by name would be too late: a newer installation may lie where this one did.
  await allTools();
  opened.add(keepHouse(substrate, mind.watchLog, tell));
  if (substrate.distrust !== null) opened.add(tellDistrust(notifiersOf(config), substrate, substrate.distrust, tell));
  const settling = setTimeout(releaseStartGarbage, SETTLE_MS).unref();
  opened.add(() => clearTimeout(settling));
}

/** Resolves once it is aborted. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** The pipeline and the doors in front of it. */
async function openSeed(
  { config, opened, log, tell, dropped }: Parts,
  substrate: Substrate,
  stop: () => void,
): Promise<{ daemon: Daemon; doors: Doors; mind: OpenMind }> {
  const { home, version } = config;
  const publicUrl = await pinPublicUrl(config, substrate);
  const { port, sockets: folder } = readSettings(home);
  const sockets = socketPaths(home, folder);
  if (folder !== null) prepareSocketFolder(folder);
  const membrane = new Membrane(substrate, keyOpener(publicUrl, substrate, port));
  // Known once the doors are open, which need the pipeline, which needs this.
  let doors: Doors | null = null;
  const daemon: Daemon = {
    pid: process.pid,
    version,
    role: 'daemon',
    startedAt: systemSources.now(),
    get doors() {
      const problem = doors?.httpProblem ?? null;
      const url = doors === null || problem !== null ? null : audienceOf(publicUrl, port);
      return { owner: sockets.owner, url, problem: problem?.message ?? null };
    },
    agents: () => doors?.connectedAgents() ?? [],
    goneSince: (grant) => (doors === null ? systemSources.now() : doors.agentGoneSince(grant)),
    settleUse: () => membrane.flushUse().catch((error: unknown) => tell(toSeedError(error))),
    droppedLogLines: dropped,
    stop,
  };
  const keys = await keysOf(config, substrate, membrane.work);
  substrate.sessions.onHandoff((news) => log.info(news, 'handoff'));
  const egress = await egressOf(config, substrate);
  opened.add(() => egress.close());
  const notifiers = notifiersOf(config);
  const pipeline = (): Call => call;
  const parts = { substrate, egress, work: membrane.work, notifiers, pipeline, onDefect: tell };
  const mind = mindOf(config, { ...parts, turns: true });
  opened.add(() => mind.close(DRAIN_MS));
  const call = createCall({ find: findTool, substrate, daemon, keys, egress, notifiers, mind });
  doors = await openDoors({
    port,
    publicUrl,
    sockets,
    substrate,
    membrane,
    keys,
    tools: allTools,
    call,
    router: mind.router,
    version,
    stop,
    onDefect: tell,
  });
  return { daemon, doors, mind };
}

/** Pins the address that this start names, so that every later one, whoever starts it, answers to it too. */
async function pinPublicUrl({ publicUrl }: Config, substrate: Substrate): Promise<URL | null> {
  const pinned = await substrate.read(readPublicUrl);
  if (publicUrl === null || publicUrl.origin === pinned?.origin) return pinned;
  if (substrate.distrust === null) {
    await substrate.operate({ action: 'config.set', actor: OWNER }, (op) => {
      op.receipt({ detail: { name: 'public-url', value: publicUrl.origin } });
      return writePublicUrl(op, publicUrl);
    });
  }
  return publicUrl;
}

/** Opens keys for every address under which this seed is reached. */
function keyOpener(publicUrl: URL | null, { root, seed }: Substrate, port: number): OpenAccessKey {
  const audiences = [...new Set([audienceOf(publicUrl, port), `${loopbackUrl(port)}/mcp`])];
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

/**
 * Edits of the policy made while nothing ran are put on record, and prices of an older catalogue brought
 * up to date. What hinders that hinders no start: each decision looks again, and without a price there
 * is no call.
 */
async function settlePolicy(substrate: Substrate, onError: (error: SeedError) => void): Promise<void> {
  if (substrate.distrust !== null) return;
  try {
    await noteOutsideEdits(substrate);
    await refreshPrices(substrate, SEED);
  } catch (error) {
    onError(toSeedError(error));
  }
}

async function noteStop(substrate: Substrate): Promise<void> {
  if (substrate.distrust !== null) return;
  await substrate.operate({ action: 'seed.stop', actor: SEED }, async () => {});
}
