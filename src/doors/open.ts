/** Opens all doors of a seed, and tells whoever listens when something behind them has changed. */
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import type { KeyService } from '../membrane/keys.ts';
import type { Membrane } from '../membrane/membrane.ts';
import { RefusalCounter } from '../membrane/refusals.ts';
import { createTokenEndpoint } from '../membrane/token-endpoint.ts';
import type { SocketPaths } from '../substrate/home/sockets.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import type { Tool } from '../tools/define.ts';
import type { AgentDoor } from './agent.ts';
import { openAgentDoor } from './agent.ts';
import type { Call } from './call.ts';
import type { HttpDoor } from './http.ts';
import { openHttpDoor } from './http.ts';
import type { Reach } from './http-guard.ts';
import { createServerBuilder } from './mcp.ts';
import { openOwnerDoor } from './owner.ts';

/** Changes of one resource are told at most this often. */
const NOTIFY_MS = 250;
/** How often grants that ended by themselves are looked for. */
const SWEEP_MS = 15_000;

export interface DoorsOptions extends Reach {
  readonly sockets: SocketPaths;
  readonly substrate: Substrate;
  readonly membrane: Membrane;
  readonly keys: KeyService;
  readonly tools: readonly Tool[];
  readonly call: Call;
  readonly version: string;
  readonly stop: () => void;
  readonly onDefect: (error: SeedError) => void;
}

export interface Doors {
  /** Why the HTTP door is shut; null while it is open. */
  readonly httpProblem: SeedError | null;
  readonly connectedAgents: () => string[];
  /** Closes every door; what is under way may take `waitMs`. */
  readonly close: (waitMs: number) => Promise<void>;
}

export async function openDoors(options: DoorsOptions): Promise<Doors> {
  const { substrate, membrane, sockets, call, onDefect } = options;
  const refusals = new RefusalCounter(substrate, onDefect);
  const checkpoint = async (): Promise<string> => (await substrate.log()).checkpoint;
  const reads = new Set<number>();
  const buildServer = createServerBuilder({ ...options, checkpoint, call: notingReads(call, reads) });
  const owner = await openOwnerDoor({ path: sockets.owner, call, onDefect });
  const agents = await openAgentDoor({ ...options, path: sockets.agent, buildServer });
  const http = await openHttp({ ...options, refusals, buildServer });
  const stopTelling = await tellChanges(substrate, reads, [agents, ...('door' in http ? [http.door] : [])]);
  const sweep = setInterval(() => {
    membrane.sweep().catch((error: unknown) => onDefect(toSeedError(error)));
  }, SWEEP_MS).unref();
  return {
    httpProblem: 'problem' in http ? http.problem : null,
    connectedAgents: agents.connected,
    close: async (waitMs) => {
      clearInterval(sweep);
      stopTelling();
      const doors = [owner, agents, ...('door' in http ? [http.door] : [])];
      await Promise.all(doors.map((door) => door.close(waitMs)));
      // What was only counted may be lost; the stop goes on.
      for (const flush of [() => refusals.flush(), () => membrane.flushUse()])
        await flush().catch((error: unknown) => onDefect(toSeedError(error)));
    },
  };
}

type HttpParts = DoorsOptions & { refusals: RefusalCounter; buildServer: ReturnType<typeof createServerBuilder> };

/** A port that somebody else has shuts this one door, not the seed. */
async function openHttp(parts: HttpParts): Promise<{ door: HttpDoor } | { problem: SeedError }> {
  const { substrate, keys, port, publicUrl, onDefect } = parts;
  const issuerUrls = [`http://127.0.0.1:${port}`, ...(publicUrl === null ? [] : [publicUrl.origin])];
  try {
    const door = await openHttpDoor({
      ...parts,
      token: createTokenEndpoint({ substrate, keys, issuerUrls }),
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

/** The pipeline, keeping the numbers of the receipts that reads leave. */
function notingReads(call: Call, reads: Set<number>): Call {
  return (request) => {
    const onRead = (receipt: number): void => {
      reads.add(receipt);
      request.onRead?.(receipt);
    };
    return call({ ...request, onRead });
  };
}

/** Every receipt changes these; bursts are told once. */
const CHANGING = ['seed://checkpoint', 'seed://status'];

/**
 * Tells of changes, but not of receipts that only say what was read: a helper that reads whenever
 * it is told would otherwise be told of its own reading, for ever.
 */
async function tellChanges(
  substrate: Substrate,
  reads: Set<number>,
  doors: readonly (AgentDoor | HttpDoor)[],
): Promise<() => void> {
  let timer: NodeJS.Timeout | null = null;
  let told = (await substrate.log()).size;
  const tell = async (): Promise<void> => {
    const { size } = await substrate.log();
    let changed = false;
    for (; told < size; told++) if (!reads.has(told)) changed = true;
    for (const receipt of reads) if (receipt < told) reads.delete(receipt);
    if (changed) for (const door of doors) for (const uri of CHANGING) door.notify(uri);
  };
  const unsubscribe = substrate.onCommit(() => {
    timer ??= setTimeout(() => {
      timer = null;
      void tell();
    }, NOTIFY_MS).unref();
  });
  return () => {
    unsubscribe();
    if (timer !== null) clearTimeout(timer);
  };
}
