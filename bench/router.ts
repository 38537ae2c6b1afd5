/** The router: what policy, ceilings and two durable receipts add to a call to a model. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import BetterSqlite from 'better-sqlite3';
import { Egress } from '../src/membrane/egress.ts';
import { ON_DEMAND } from '../src/mind/router/dispatch.ts';
import type { ModelRequest } from '../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../src/mind/router/providers/index.ts';
import type { CompletionRequest } from '../src/mind/router/request.ts';
import { Router } from '../src/mind/router/router.ts';
import { OWNER } from '../src/substrate/actor.ts';
import { Credentials } from '../src/substrate/home/credentials.ts';
import { homePath } from '../src/substrate/home/layout.ts';
import { applyPolicy } from '../src/substrate/policy/apply.ts';
import type { Target } from '../src/substrate/policy/model.ts';
import { newId, systemSources } from '../src/substrate/sources.ts';
import type { Substrate } from '../src/substrate/substrate.ts';
import { FloorLog } from './floor.ts';
import { openBenchHome } from './ground/homes.ts';
import { operations } from './ground/operate.ts';
import { machineFacts } from './machine.ts';
import { runLoad, startSeed } from './mcp/processes.ts';
import { policyFor } from './policy.ts';
import type { Bench, BenchOptions, BenchReport, Measure } from './report.ts';
import { best, latencyOf, median, ratioOf } from './report.ts';

/** Direct and routed calls alternate in slices this short: the machine's moods hit both. */
const SLICE_CALLS = 25;
const SLICES = 12;
/** A seed runs for days: what the compiler has not seen yet is not what a call costs. */
const WARM_UP_CALLS = 2_000;
const IN_FLIGHT = 50;
const BURST_CALLS = 1_000;
const EDITS = 40;
const MCP_CALLS = 400;

const NAMES = {
  receipt: 'one receipt, 1 in flight',
  kept: 'one receipt with its content, 1 in flight',
  direct: 'direct call to the provider',
  routed: 'the same through the router',
  added: 'added by the router, median of a slice pair',
  floor: 'floor: a direct call between two hand-written commits',
  floorAdded: 'floor: added, median of a slice pair',
  floorOver: 'floor: added, less two receipts of the same round',
  floorBurst: `floor: ${IN_FLIGHT} in flight`,
  directBurst: `direct calls, ${IN_FLIGHT} in flight`,
  routedBurst: `routed calls, ${IN_FLIGHT} in flight`,
  edit: 'policy row to the next call at the provider',
  mcp: 'route_complete over HTTP, 1 connection',
  mcpBurst: `route_complete over HTTP, ${IN_FLIGHT} connections`,
} as const;

const TEXT = 'Measure this, please.';

const REQUEST: CompletionRequest = {
  role: 'worker',
  messages: [{ role: 'user', parts: [{ type: 'text', text: TEXT }] }],
  tools: [],
  maxOutputTokens: null,
  stop: [],
  labels: {},
  session: null,
};

interface Stub extends AsyncDisposable {
  readonly url: string;
  /** When the first request for a model came in, ms on this machine's clock. */
  readonly seen: (model: string) => Promise<number>;
}

async function startStub(): Promise<Stub> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'router', 'stub.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const expecting = new Map<string, (at: number) => void>();
  const { promise, resolve } = Promise.withResolvers<string>();
  lines.on('line', (line) => {
    const [word, model, at] = line.split(' ');
    if (word === 'seen') expecting.get(model ?? '')?.(Number(at));
    else resolve(line);
  });
  const url = await promise;
  return {
    url,
    seen: (model) =>
      new Promise((found) => {
        expecting.set(model, found);
        child.stdin.write(`model ${model}\n`);
      }),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await new Promise((ended) => child.once('close', ended));
    },
  };
}

interface Engine extends AsyncDisposable {
  readonly substrate: Substrate;
  readonly direct: () => Promise<void>;
  readonly routed: () => Promise<void>;
  /** The direct call with the least that two receipts can cost around it; see `floor.ts`. */
  readonly floor: () => Promise<void>;
  readonly home: string;
}

async function openEngine(home: string, url: string): Promise<Engine> {
  mkdirSync(path.dirname(home), { recursive: true });
  const substrate = await openBenchHome(home, 0);
  await applyPolicy(substrate, { actor: OWNER, document: policyFor(url), against: null });
  const egress = new Egress({ credentials: new Credentials(home, {}), now: systemSources.now, halted: false });
  const provider = PROVIDER_MODULES.nvidia;
  const router = new Router({
    substrate,
    provider: (name) => PROVIDER_MODULES[name],
    open: (target) => egress.open(target),
    register: () => () => {},
    onDefect: (error) => {
      throw error;
    },
  });
  const target: Target = { name: 'local', provider: 'nvidia', baseUrl: url, credential: null };
  const { signal } = new AbortController();
  const request: ModelRequest = {
    model: 'measured',
    messages: REQUEST.messages,
    tools: [],
    maxOutputTokens: 64,
    stop: [],
  };
  const direct = async (): Promise<void> => {
    const { ask } = await egress.open(target);
    let ended = false;
    for await (const event of provider.stream(request, { baseUrl: url, credential: null, ask, signal })) {
      ended ||= event.type === 'end';
    }
    if (!ended) throw new Error('The direct call did not end.');
  };
  const log = new FloorLog(`${home}-floor.db`);
  return {
    home,
    substrate,
    direct,
    floor: () => log.around(newId(systemSources), direct),
    routed: async () => {
      const asker = { actor: OWNER, dispatch: ON_DEMAND, idempotencyKey: null, traceparent: null };
      const { outcome } = await router.complete(REQUEST, asker, { waitMs: 60_000, signal });
      if (outcome.status !== 'complete') throw new Error(`The call ended as ${outcome.status}: ${outcome.message}`);
    },
    [Symbol.asyncDispose]: async () => {
      await router.close(1_000);
      await egress.close();
      await substrate.close();
      log[Symbol.dispose]();
    },
  };
}

async function timed(call: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await call();
  return performance.now() - before;
}

async function sequence(call: () => Promise<void>, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let nth = 0; nth < count; nth += 1) tookMs.push(await timed(call));
  return tookMs;
}

async function burst(call: () => Promise<void>): Promise<number> {
  let left = BURST_CALLS;
  const before = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return (BURST_CALLS * 1_000) / (performance.now() - before);
}

/** From the commit of an edit by another program to the arrival of the next call at the provider. */
async function edits({ routed, home }: Engine, stub: Stub, round: number): Promise<number[]> {
  const database = new BetterSqlite(homePath(home, 'database'));
  const setModel = database.prepare('UPDATE substrate_routing_config SET model = ?');
  const addPrice = database.prepare(
    `INSERT OR REPLACE INTO substrate_prices (target, model, source, edition, input, output, cached_input, cache_write)
      VALUES ('local', ?, 'owner', 'bench', 1, 1, 1, 1)`,
  );
  const edit = database.transaction((model: string) => {
    addPrice.run(model);
    setModel.run(model);
  });
  const tookMs: number[] = [];
  try {
    for (let nth = 0; nth < EDITS; nth += 1) {
      const model = `edited-${round}-${nth}`;
      const seen = stub.seen(model);
      edit(model);
      const committedAt = performance.timeOrigin + performance.now();
      const [at] = await Promise.all([seen, routed()]);
      tookMs.push(at - committedAt);
    }
    edit('measured');
  } finally {
    database.close();
  }
  return tookMs;
}

class Series {
  readonly #entries = new Map<string, { unit: Measure['unit']; samples: number[]; tookMs: number[] }>();

  add(name: string, unit: Measure['unit'], value: number, tookMs: readonly number[] = []): void {
    const entry = this.#entries.get(name) ?? { unit, samples: [], tookMs: [] };
    entry.samples.push(value);
    for (const took of tookMs) entry.tookMs.push(took);
    this.#entries.set(name, entry);
  }

  /** Latencies of one round: the round's value is their median. */
  times(name: string, tookMs: readonly number[]): void {
    this.add(name, 'ms', latencyOf(tookMs).p50Ms, tookMs);
  }

  of(name: string): Measure {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`Nothing was measured as ${name}.`);
    const { unit, samples, tookMs } = entry;
    return { name, unit, samples, latency: tookMs.length === 0 ? undefined : latencyOf(tookMs) };
  }

  all(): Measure[] {
    return [...this.#entries.keys()].map((name) => this.of(name));
  }
}

async function engineRound(series: Series, engine: Engine, stub: Stub, round: number): Promise<void> {
  const [direct, routed, floor, receipt, kept, added, floorAdded]: number[][] = [[], [], [], [], [], [], []];
  for (let slice = 0; slice < SLICES; slice += 1) {
    const before = await sequence(engine.direct, SLICE_CALLS);
    const through = await sequence(engine.routed, SLICE_CALLS);
    const least = await sequence(engine.floor, SLICE_CALLS);
    const one = await operations(engine.substrate, { operations: SLICE_CALLS, inFlight: 1, effect: 'none' });
    const whole = await operations(engine.substrate, { operations: SLICE_CALLS, inFlight: 1, effect: 'row' });
    direct?.push(...before);
    routed?.push(...through);
    receipt?.push(...one.tookMs);
    kept?.push(...whole.tookMs);
    floor?.push(...least);
    added?.push(latencyOf(through).p50Ms - latencyOf(before).p50Ms);
    floorAdded?.push(latencyOf(least).p50Ms - latencyOf(before).p50Ms);
  }
  series.times(NAMES.receipt, receipt ?? []);
  series.times(NAMES.kept, kept ?? []);
  series.times(NAMES.direct, direct ?? []);
  series.times(NAMES.routed, routed ?? []);
  series.times(NAMES.added, added ?? []);
  series.times(NAMES.floor, floor ?? []);
  series.times(NAMES.floorAdded, floorAdded ?? []);
  series.add(NAMES.floorOver, 'ms', latencyOf(floorAdded ?? []).p50Ms - 2 * latencyOf(receipt ?? []).p50Ms);
  series.add(NAMES.directBurst, '/s', await burst(engine.direct));
  series.add(NAMES.routedBurst, '/s', await burst(engine.routed));
  series.add(NAMES.floorBurst, '/s', await burst(engine.floor));
  series.times(NAMES.edit, await edits(engine, stub, round));
}

/** The same through a whole daemon and its HTTP door, by a helper's key. */
async function mcpRounds(series: Series, { folder, rounds, say }: BenchOptions, url: string): Promise<void> {
  await using seed = await startSeed(path.join(folder, 'mcp'));
  await seed.owner('policy_apply', { document: policyFor(url) });
  const { key } = (await seed.owner('key_issue', { name: 'bench', scopes: ['route.complete'] })) as { key: string };
  const target = { kind: 'http' as const, url: seed.url, key };
  const tool = {
    name: 'route_complete',
    input: { role: 'worker', messages: [{ role: 'user', content: TEXT }] },
  };
  for (let round = 0; round < rounds; round += 1) {
    say(`over HTTP, round ${round + 1}`);
    const one = await runLoad({ target, tool, connections: 1, calls: MCP_CALLS });
    series.times(NAMES.mcp, one.tookMs);
    const many = await runLoad({ target, tool, connections: IN_FLIGHT, calls: MCP_CALLS });
    series.add(NAMES.mcpBurst, '/s', many.perSecond, many.tookMs);
  }
}

async function run(options: BenchOptions): Promise<BenchReport> {
  const { folder, rounds, say } = options;
  const series = new Series();
  await using stub = await startStub();
  {
    await using engine = await openEngine(path.join(folder, 'engine'), stub.url);
    // Loads the provider's SDK, fills the caches and warms the compiler up, on every side alike.
    for (const call of [engine.direct, engine.routed, engine.floor]) await sequence(call, WARM_UP_CALLS);
    for (let round = 0; round < rounds; round += 1) {
      say(`engine, round ${round + 1}`);
      await engineRound(series, engine, stub, round);
    }
  }
  await mcpRounds(series, options, stub.url);
  const added = series.of(NAMES.added);
  const receipt = series.of(NAMES.receipt);
  const over = added.samples.map((value, round) => value - 2 * (receipt.samples[round] ?? Number.NaN));
  const edit = series.of(NAMES.edit);
  const p99 = edit.latency?.p99Ms ?? Number.NaN;
  return {
    bench: 'router',
    machine: machineFacts(folder),
    measures: series.all(),
    ratios: [
      ratioOf('routed / direct, 50 in flight', series.of(NAMES.routedBurst), series.of(NAMES.directBurst)),
      ratioOf('routed / floor, 50 in flight', series.of(NAMES.routedBurst), series.of(NAMES.floorBurst)),
      ratioOf('added / one receipt', added, receipt),
      ratioOf('added / added by the floor', added, series.of(NAMES.floorAdded)),
    ],
    goals: [
      {
        name: 'added p50, less two receipts of the same round',
        unit: 'ms',
        atMost: 0.4,
        best: best({ unit: 'ms', samples: over }),
        median: median(over),
      },
      { name: 'policy row to next call, p99', unit: 'ms', atMost: 10, best: p99, median: p99 },
    ],
  };
}

export const router: Bench = {
  about: 'a call to a model with policy, ceilings and receipts, beside a direct one',
  run,
};
