/** Organs over a real substrate, router and pipeline, with models that say what a test tells them to. */
import { createCall } from '../../../src/doors/call.ts';
import { actThrough } from '../../../src/main.ts';
import { createDrainDispatch } from '../../../src/mind/router/dispatch.ts';
import { Steps } from '../../../src/mind/sessions/steps.ts';
import { Egress } from '../../../src/membrane/egress.ts';
import { KeyService } from '../../../src/membrane/keys.ts';
import { Notifiers } from '../../../src/membrane/notify.ts';
import { OpenWork } from '../../../src/membrane/streams.ts';
import type { Seat } from '../../../src/mind/loop/seat.ts';
import type { Mind } from '../../../src/mind/mind.ts';
import type { Act } from '../../../src/mind/organ.ts';
import type { OrganParts } from '../../../src/mind/organs/index.ts';
import { seatsOf } from '../../../src/mind/organs/index.ts';
import { Credentials } from '../../../src/substrate/home/credentials.ts';
import { homePath } from '../../../src/substrate/home/layout.ts';
import { loadKey } from '../../../src/substrate/identity/keys.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { Daemon } from '../../../src/tools/daemon.ts';
import { findTool } from '../../../src/tools/catalogue.ts';
import { TOOLS } from '../../support/tools.ts';
import type { Rig, Script } from '../router/rig.ts';
import { routerOf } from '../router/rig.ts';

export interface OrgansRig extends Rig {
  readonly seats: readonly Seat[];
  readonly mind: Mind;
  readonly act: Act;
  /** Stops what is under way. */
  readonly close: () => Promise<void>;
}

export interface OrgansRigOptions {
  readonly scripts?: Readonly<Record<string, Script>>;
  readonly fault?: (point: string) => void;
  readonly more?: Partial<OrganParts>;
}

/** Every organ of the seed, as the daemon puts them together. */
export function organsOf(
  substrate: Substrate,
  { scripts = {}, fault = () => {}, more = {} }: OrgansRigOptions = {},
): OrgansRig {
  const { home, sources } = substrate;
  const rig = routerOf(substrate, { scripts, fault });
  const { router } = rig;
  const steps = new Steps({ substrate, router, onDefect: () => {}, fault });
  const dispatch = createDrainDispatch();
  const drain: Mind['drain'] = (options) => router.drain(dispatch, options);
  const mind: Mind = { router, steps, drain, pulse: null };
  const notifiers = new Notifiers({ home, environment: {}, platform: process.platform });
  const egress = new Egress({ credentials: new Credentials(home, {}), now: sources.now, halted: false });
  const issuer = loadKey(homePath(home, 'keys'), 'issuer');
  const keys = new KeyService({
    substrate,
    issuer,
    issuerName: 'test',
    audience: 'http://127.0.0.1/mcp',
    work: new OpenWork(),
  });
  const call = createCall({ find: findTool, substrate, daemon: DAEMON, keys, egress, notifiers, mind });
  const act = actThrough(substrate, () => call);
  const tell = (): Promise<void> => Promise.reject(new Error('Nobody is to be told.'));
  const seats = seatsOf({
    substrate,
    router,
    steps,
    drain,
    act,
    tools: TOOLS,
    tell,
    facts: [],
    fault,
    canCall: () => true,
    ...more,
  });
  return {
    ...rig,
    seats,
    mind,
    act,
    close: async () => {
      await router.close(0);
      await steps.settled();
      await egress.close();
    },
  };
}

const DAEMON: Daemon = {
  pid: process.pid,
  version: '0.0.0',
  role: 'daemon',
  startedAt: 0,
  doors: { owner: null, url: null, problem: null },
  agents: () => [],
  goneSince: () => null,
  settleUse: () => Promise.resolve(),
  droppedLogLines: () => 0,
  stop: () => {},
};

/** The seat of one organ. */
export function seatNamed({ seats }: Pick<OrgansRig, 'seats'>, name: string): Seat {
  const found = seats.find(({ organ }) => organ.name === name);
  if (found === undefined) throw new Error(`There is no organ ${name}.`);
  return found;
}
