/** Opens all doors of a seed, and tells whoever listens when something behind them has changed. */
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import type { KeyService } from '../membrane/keys.ts';
import type { Membrane } from '../membrane/membrane.ts';
import { RefusalCounter } from '../membrane/refusals.ts';
import { createTokenEndpoint } from '../membrane/token-endpoint.ts';
import type { Router } from '../mind/router/router.ts';
import type { SocketPaths } from '../substrate/home/sockets.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import type { Tool } from '../tools/define.ts';
import type { AgentDoor } from './agent.ts';
import { openAgentDoor } from './agent.ts';
import type { Call } from './call.ts';
import type { HttpDoor, HttpDoorOptions } from './http.ts';
import { openHttpDoor } from './http.ts';
import type { Reach } from './http-guard.ts';
import { Metrics } from './gateway/metrics.ts';
import { lazily } from './lazy.ts';
import type { Door } from './owner.ts';
import { openOwnerDoor } from './owner.ts';
import { RefusalReceipts } from './refusal-receipts.ts';
import { INBOX_URI, COHERENCE_URI, sessionUri } from './resources.ts';

/** Changes of one resource are told at most this often. */
const NOTIFY_MS = 250;
/** How often grants that ended by themselves are looked for. */
const SWEEP_MS = 15_000;

export interface DoorsOptions extends Reach {
  readonly sockets: SocketPaths;
  readonly substrate: Substrate;
  readonly membrane: Membrane;
  readonly keys: KeyService;
  /** Every tool, loaded for the first client. */
  readonly tools: () => Promise<readonly Tool[]>;
  readonly call: Call;
  readonly router: Router;
  readonly version: string;
  readonly stop: () => void;
  readonly onDefect: (error: SeedError) => void;
}

export interface Doors {
  /** Why the HTTP door is shut; null while it is open. */
  readonly httpProblem: SeedError | null;
  readonly connectedAgents: () => string[];
  /** When a local agent's last connection went; null while it has one. */
  readonly agentGoneSince: (grant: string) => number | null;
  /** Closes every door; what is under way may take `waitMs`. */
  readonly close: (waitMs: number) => Promise<void>;
}

export async function openDoors(options: DoorsOptions): Promise<Doors> {
  const { substrate, membrane, sockets, call, onDefect } = options;
  const refusals = new RefusalCounter(substrate, onDefect);
  const checkpoint = async (): Promise<string> => (await substrate.log()).checkpoint;
  const servers = lazily(async () => {
    const { createServing } = await import('./mcp.ts');
    return createServing({ ...options, tools: await options.tools(), checkpoint });
  }).get;
  const opened: Door[] = [];
  try {
    opened.push(await openOwnerDoor({ path: sockets.owner, call, onDefect }));
    const agents = await openAgentDoor({ ...options, path: sockets.agent, servers });
    opened.push(agents);
    const http = await openHttp({ ...options, refusals, servers });
    if ('door' in http) opened.push(http.door);
    const stopTelling = tellChanges(substrate, [agents, ...('door' in http ? [http.door] : [])]);
    const sweep = setInterval(() => {
      membrane.sweep().catch((error: unknown) => onDefect(toSeedError(error)));
    }, SWEEP_MS).unref();
    return {
      httpProblem: 'problem' in http ? http.problem : null,
      connectedAgents: agents.connected,
      agentGoneSince: agents.goneSince,
      close: async (waitMs) => {
        clearInterval(sweep);
        stopTelling();
        // Whoever waits for messages is answered now, with none.
        substrate.mail.close();
        await Promise.all(opened.map((door) => door.close(waitMs)));
        // What was only counted may be lost; the stop goes on.
        for (const flush of [() => refusals.flush(), () => membrane.flushUse()])
          await flush().catch((error: unknown) => onDefect(toSeedError(error)));
      },
    };
  } catch (error) {
    await Promise.all(opened.map((door) => door.close(0)));
    throw error;
  }
}

type HttpParts = DoorsOptions & Pick<HttpDoorOptions, 'refusals' | 'servers'>;

/** A port that somebody else has shuts this one door, not the seed. */
async function openHttp(parts: HttpParts): Promise<{ door: HttpDoor } | { problem: SeedError }> {
  const { substrate, keys, router, port, publicUrl, onDefect } = parts;
  const metrics = new Metrics();
  router.onEnd((end, facts) => metrics.ended(end, facts));
  const issuerUrls = [`http://127.0.0.1:${port}`, ...(publicUrl === null ? [] : [publicUrl.origin])];
  const resources = issuerUrls.map((url) => `${url}/mcp`);
  const onRecord = new RefusalReceipts(substrate);
  const leaveRefusal: HttpDoorOptions['leaveRefusal'] = (action, actor, error) => onRecord.leave(action, actor, error);
  try {
    const door = await openHttpDoor({
      ...parts,
      now: substrate.sources.now,
      token: createTokenEndpoint({ substrate, keys, issuerUrls, resources }),
      leaveRefusal,
      gateway: lazily(async () => {
        const { Gateway } = await import('./gateway/gateway.ts');
        return new Gateway({ ...parts, metrics, leaveRefusal });
      }).get,
      oauth: () => substrate.read((db) => readSwitch(db, 'oauth')),
      unhealthy: () => substrate.distrust?.code ?? null,
    });
    return { door };
  } catch (thrown) {
    const problem = toSeedError(thrown);
    onDefect(problem);
    return { problem };
  }
}

/** Every receipt changes these; bursts are told once. */
const CHANGING = ['seed://checkpoint', 'seed://status'];
/** Messages that come together are told together. */
const ARRIVALS_MS = 10;

function tellChanges(substrate: Substrate, doors: readonly (AgentDoor | HttpDoor)[]): () => void {
  let timer: NodeJS.Timeout | null = null;
  const unsubscribe = substrate.onChange(() => {
    timer ??= setTimeout(() => {
      timer = null;
      for (const door of doors) for (const uri of CHANGING) door.notify(uri);
    }, NOTIFY_MS).unref();
  });
  const stopArrivals = tellArrivals(substrate, doors);
  const stopSessions = tellSessions(substrate, doors);
  const stopCoherence = tellCoherence(substrate, doors);
  return () => {
    unsubscribe();
    stopArrivals();
    stopSessions();
    stopCoherence();
    if (timer !== null) clearTimeout(timer);
  };
}

/** A message is told to the clients of its recipient, and to nobody else. */
function tellArrivals(substrate: Substrate, doors: readonly (AgentDoor | HttpDoor)[]): () => void {
  const arrived = new Set<string>();
  let timer: NodeJS.Timeout | null = null;
  const unsubscribe = substrate.mail.onArrival((holder) => {
    arrived.add(holder);
    timer ??= setTimeout(() => {
      timer = null;
      for (const each of arrived) for (const door of doors) door.notify(INBOX_URI, each);
      arrived.clear();
    }, ARRIVALS_MS).unref();
  });
  return () => {
    unsubscribe();
    if (timer !== null) clearTimeout(timer);
  };
}

/** A session's change is told to those who may read it; what comes together is told together. */
function tellSessions(substrate: Substrate, doors: readonly (AgentDoor | HttpDoor)[]): () => void {
  const changed = new Map<string, Set<string>>();
  let timer: NodeJS.Timeout | null = null;
  const unsubscribe = substrate.sessions.onChange(({ session, grants }) => {
    const concerned = changed.get(session) ?? new Set<string>();
    changed.set(session, concerned);
    for (const grant of grants) concerned.add(grant);
    timer ??= setTimeout(() => {
      timer = null;
      for (const [id, concerns] of changed) {
        for (const grant of concerns) for (const door of doors) door.notify(sessionUri(id), grant);
      }
      changed.clear();
    }, ARRIVALS_MS).unref();
  });
  return () => {
    unsubscribe();
    if (timer !== null) clearTimeout(timer);
  };
}

/** What coherence finds together, in one look at all subsystems, it tells together. */
function tellCoherence(substrate: Substrate, doors: readonly (AgentDoor | HttpDoor)[]): () => void {
  return substrate.coherence.onChange(() => {
    for (const door of doors) door.notify(COHERENCE_URI);
  });
}
