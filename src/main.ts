/**
 * The composition root for a command that makes a home or uses one for a moment. What serves a
 * home for good is put together in `daemon.ts`, which a small command need not load.
 */
import { createServer } from 'node:net';
import type { Config } from './config.ts';
import { readNotifierEnvironment, readSecrets } from './config.ts';
import type { Call } from './doors/call.ts';
import { createCall } from './doors/call.ts';
import { SeedError } from './errors.ts';
import { originOf } from './formats/checkpoint.ts';
import { Egress } from './membrane/egress.ts';
import { KeyService } from './membrane/keys.ts';
import { Notifiers } from './membrane/notify.ts';
import { OpenWork } from './membrane/streams.ts';
import { lazily } from './doors/lazy.ts';
import type { LatePulse, Mind } from './mind/mind.ts';
import type { Act } from './mind/organ.ts';
import { createDrainDispatch } from './mind/router/dispatch.ts';
import { Router } from './mind/router/router.ts';
import { Steps } from './mind/sessions/steps.ts';
import { assertUsable, createHome, homeState } from './substrate/home/create.ts';
import { Credentials } from './substrate/home/credentials.ts';
import { lockHome } from './substrate/home/lock.ts';
import { readSettings } from './substrate/home/settings.ts';
import { findGrant, keyRevoked } from './substrate/identity/grants.ts';
import { socketPaths } from './substrate/home/sockets.ts';
import { systemSources } from './substrate/sources.ts';
import { chooseDriver } from './substrate/store/connection.ts';
import type { Substrate } from './substrate/substrate.ts';
import { openSubstrate, openSubstrateReader } from './substrate/substrate.ts';
import { readPublicUrl, readSwitch } from './substrate/switches.ts';
import { loadNamedKey } from './substrate/trust.ts';
import type { Daemon } from './tools/daemon.ts';
import { findTool } from './tools/catalogue.ts';

/** How long a command, or `up`, waits for another command that has the home at the moment. */
export const COMMAND_WAIT_MS = 5_000;

/** Kills this process at the n-th time it passes the named point. Tests only; see SECURITY.md. */
export function faultOf({ fault }: Config): (point: string) => void {
  let passed = 0;
  return (point) => {
    if (fault?.point === point && ++passed === fault.nth) process.kill(process.pid, 'SIGKILL');
  };
}

/** Makes the home of a configuration unless it is there; resolves to whether it was made now. */
export async function initHome(config: Config, passphrase: string | null): Promise<boolean> {
  if (homeState(config.home) === 'finished') return false;
  return createHome({
    home: config.home,
    driver: chooseDriver(config.sqlite),
    sources: systemSources,
    port: await choosePort(config),
    passphrase,
    runtimeFolder: config.runtimeFolder,
    version: config.version,
    fault: faultOf(config),
  });
}

/** The port of a home from the day it is made: 7331, or another where a second seed has that. */
const DEFAULT_PORT = 7331;

async function choosePort({ port }: Config): Promise<number> {
  if (port !== null && port !== 0) return port;
  const usual = port === null ? await probePort(DEFAULT_PORT) : null;
  return usual ?? (await probePort(0)) ?? DEFAULT_PORT;
}

/** That port of loopback, or any free one for 0; null when it is taken. */
function probePort(wanted: number): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(null));
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' ? (address?.port ?? null) : null));
    });
  });
}

/** @throws SeedError `home_missing`, `home_foreign` or `home_damaged` */
export function assertHome({ home }: Config): void {
  const state = homeState(home);
  if (state === 'finished') return;
  assertUsable(home);
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
    doors: { owner: null, url: null, problem: null },
    agents: () => [],
    // Nobody is connected to a command, which says nothing of how long ago somebody was.
    goneSince: () => systemSources.now(),
    settleUse: () => Promise.resolve(),
    droppedLogLines: () => 0,
    stop: () => {},
  };
}

/** The address that keys are for: the pinned one behind a proxy, else the one on loopback. */
export function audienceOf(publicUrl: URL | null, port: number): string {
  return `${publicUrl?.origin ?? loopbackUrl(port)}/mcp`;
}

export function loopbackUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** What issues and removes keys in this process. */
export async function keysOf({ home }: Config, substrate: Substrate, work: OpenWork): Promise<KeyService> {
  const publicUrl = await substrate.read(readPublicUrl);
  return new KeyService({
    substrate,
    work,
    issuer: loadNamedKey(home, 'issuer', substrate.root),
    issuerName: originOf(substrate.seed),
    audience: audienceOf(publicUrl, readSettings(home).port),
  });
}

/** The way out of a process that uses the home, shut while the seed is halted. */
export async function egressOf({ home }: Config, substrate: Substrate): Promise<Egress> {
  const halted = await substrate.read((db) => readSwitch(db, 'halted'));
  return openEgress(home, { halted });
}

function openEgress(home: string, { halted }: { halted: boolean }): Egress {
  return new Egress({ credentials: new Credentials(home, readSecrets()), now: systemSources.now, halted });
}

/** How the owner of a home is told. */
export function notifiersOf({ home }: Config): Notifiers {
  return new Notifiers({ home, environment: readNotifierEnvironment(), platform: process.platform });
}

/** What decides and calls models in this process. The drain's dispatch is made here and stays in here. */
export interface OpenMind extends Mind {
  readonly pulse: LatePulse;
  /** Reads the newest receipts back; what is wrong with them is told to the owner. */
  readonly watchLog: (signal: AbortSignal) => Promise<void>;
  /** Stops the loop, which does not turn any more whenever it is asked for; what runs has `graceMs` to end. */
  readonly rest: (graceMs: number) => Promise<void>;
  /** Stops the loop, lets calls under way end for `graceMs`, then cancels them; resolves when all are settled. */
  readonly close: (graceMs: number) => Promise<void>;
}

/**
 * The pipeline as organs use it: with the grant that they act under, as of this moment. It is built upon the
 * mind that they are part of, so it is looked up when it is used.
 */
export function actThrough(substrate: Substrate, pipeline: () => Call): Act {
  return async (tool, input, { actor, signal }) => {
    const id = actor.grant;
    const grant = id === null ? undefined : await substrate.read((db) => findGrant(db, id));
    if (grant === null) throw keyRevoked();
    return pipeline()({ tool, input, actor, grant, signal });
  };
}

export interface MindParts {
  readonly substrate: Substrate;
  readonly egress: Egress;
  readonly work: OpenWork;
  readonly notifiers: Notifiers;
  readonly pipeline: () => Call;
  readonly onDefect: (error: SeedError) => void;
  /** Whether the loop turns by itself once it is loaded. */
  readonly turns: boolean;
}

export function mindOf(config: Config, parts: MindParts): OpenMind {
  const { substrate, egress, work, notifiers, pipeline, onDefect, turns } = parts;
  const dispatch = createDrainDispatch();
  // Loaded with the first call to a model: most of an idle daemon's homes have none under way.
  let modules: Awaited<typeof import('./mind/router/providers/index.ts')> | null = null;
  const router = new Router({
    substrate,
    prepare: async () => {
      modules ??= await import('./mind/router/providers/index.ts');
    },
    provider: (name) => {
      if (modules === null) throw new Error('The providers were not prepared.');
      return modules.PROVIDER_MODULES[name];
    },
    open: (target) => egress.open(target),
    register: (grant, cut) => work.register(grant, cut),
    onDefect,
    fault: faultOf(config),
  });
  const steps = new Steps({ substrate, router, onDefect, fault: faultOf(config) });
  const drain: Mind['drain'] = (options) => router.drain(dispatch, options);
  let isResting = false;
  const awake = lazily(async () => {
    const { makeAwake } = await import('./mind/awake.ts');
    const made = await makeAwake({
      substrate,
      router,
      steps,
      drain,
      act: actThrough(substrate, pipeline),
      findTool,
      canCall: (target) => egress.canOpen(target),
      tell: (name, telling, signal) => notifiers.tell(name, telling, signal),
      fault: faultOf(config),
      onDefect,
    });
    if (turns && !isResting) made.pulse.start();
    return made;
  });
  const rest = async (graceMs: number): Promise<void> => {
    isResting = true;
    // What kept it from starting was told to whoever asked for it.
    const made = await awake.begun()?.catch(() => null);
    await made?.pulse.close(graceMs);
  };
  return {
    router,
    steps,
    drain,
    pulse: { turns, ready: async () => (await awake.get()).pulse, now: () => awake.peek()?.pulse ?? null },
    watchLog: async (signal) => (await awake.get()).watchLog(signal),
    rest,
    close: async (graceMs) => {
      await rest(graceMs);
      await router.close(graceMs);
      await steps.settled();
    },
  };
}

/** How long a command waits for model calls that it started, when it is over. */
const COMMAND_GRACE_MS = 1_000;

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
    const egress = await egressOf(config, substrate);
    const work = new OpenWork();
    const notifiers = notifiersOf(config);
    const pipeline = (): Call => call;
    const parts = { substrate, egress, work, notifiers, pipeline, onDefect: () => {} };
    const mind = mindOf(config, { ...parts, turns: false });
    const call = createCall({
      find: findTool,
      substrate,
      daemon: commandDaemon(config),
      keys: await keysOf(config, substrate, work),
      egress,
      notifiers,
      mind,
    });
    return {
      call,
      close: async () => {
        await mind.close(COMMAND_GRACE_MS);
        await egress.close();
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
    call: createCall({
      find: findTool,
      substrate,
      daemon: commandDaemon(config),
      // Whoever may only read sends nothing either.
      egress: openEgress(config.home, { halted: true }),
      notifiers: notifiersOf(config),
    }),
    close: () => substrate.close(),
  };
}

/** Where the owner's door of a home is, whether or not anybody listens. */
export function ownerSocketOf(config: Config): string {
  assertHome(config);
  return socketPaths(config.home, readSettings(config.home).sockets).owner;
}
