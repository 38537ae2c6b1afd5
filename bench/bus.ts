/**
 * The bus beside Redis and PostgreSQL, where these are installed: durable publishes a second, and how
 * long from publishing until the receiver has it; at the substrate, and over MCP.
 */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Floor } from './bus/floor.ts';
import { openFloor } from './bus/floor.ts';
import { connectAgent } from './bus/mcp.ts';
import type { Peer } from './bus/peer.ts';
import { startPostgres } from './bus/postgres.ts';
import { startRedis } from './bus/redis.ts';
import { busOf, INBOX_ROOM } from './bus/seed.ts';
import type { BareDatabase, Round } from './ground/disk.ts';
import { openBare } from './ground/disk.ts';
import { openBenchHome } from './ground/homes.ts';
import { Series } from './ground.ts';
import { machineFacts } from './machine.ts';
import type { Load } from './mcp/load.ts';
import type { ServedSeed } from './mcp/processes.ts';
import { runLoad, startSeed } from './mcp/processes.ts';
import type { Bench, BenchOptions, BenchReport, Goal, Measure } from './report.ts';
import { best, median, ratioOf } from './report.ts';

/** What is compared is taken in short slices in turn, so that one and its neighbour see the same disk. */
const SINGLE_SLICES = 8;
const SINGLE_PUBLISHES = 100;
const GROUP_PUBLISHES = 8_000;
const GROUP = 64;
const WAKES = 200;
/** 100 messages a second. */
const WAKE_EVERY_MS = 10;
/** As long as what agents write to each other. */
const TEXT = 'm'.repeat(200);
/** Of each sender to the owner, below what an inbox takes from one. */
const MCP_CALLS = 400;

const GROUP_MIN = 10_000;
const ONE_RATIO_MIN = 0.5;
const WAKE_P99_MS_MAX = 10;

const BARE = 'bare SQLite, 1 row a commit';
const FLOOR = 'the floor';

/** Keeps `inFlight` publishes under way until `count` are durable. */
async function publishes({ publish }: Peer, count: number, inFlight: number): Promise<Round> {
  const tookMs: number[] = [];
  let left = count;
  const worker = async (_: unknown, nr: number): Promise<void> => {
    while (left-- > 0) {
      const before = performance.now();
      await publish(TEXT, nr);
      tookMs.push(performance.now() - before);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { perSecond: (count * 1_000) / (performance.now() - start), tookMs };
}

/** Milliseconds from the publish to the receiver that waits, at a steady pace. */
async function wakes({ publish, receiver }: Peer): Promise<number[]> {
  const reader = await receiver();
  const tookMs: number[] = [];
  const reading = (async () => {
    while (tookMs.length < WAKES) {
      const { texts, done } = await reader.next();
      const now = performance.now();
      // What was published for another measure, to get the connection going, is not counted.
      for (const text of texts) if (text.startsWith('at ')) tookMs.push(now - Number(text.split(' ')[1]));
      await done();
    }
  })();
  const start = performance.now();
  for (let nr = 0; nr < WAKES; nr++) {
    await delay(Math.max(0, start + nr * WAKE_EVERY_MS - performance.now()));
    await publish(`at ${performance.now()} ${TEXT}`, 0);
  }
  await reading;
  reader.close();
  return tookMs;
}

const ONE = (name: string): string => `${name}: publishes, 1 in flight`;
const MANY = (name: string): string => `${name}: publishes, ${GROUP} in flight`;
const WAKE = (name: string): string => `${name}: publish to wake, 100/s`;

/** One publish at a time, everybody in turn, beside commits of one row and the floor. */
async function singles(
  series: Series,
  { bare, floor, peers }: { bare: BareDatabase; floor: Floor; peers: readonly Peer[] },
): Promise<void> {
  for (let slice = 0; slice < SINGLE_SLICES; slice++) {
    series.addRound(BARE, bare.commit(SINGLE_PUBLISHES, 1));
    series.addRound(ONE(FLOOR), floor.publish(TEXT, SINGLE_PUBLISHES, 1));
    for (const peer of peers) series.addRound(ONE(peer.name), await publishes(peer, SINGLE_PUBLISHES, 1));
  }
  floor.drain();
  for (const { drain } of peers) await drain?.();
}

/** All else that a bus is measured by, once; a fresh one for the wakes, so that nothing waits before them. */
async function peerRound(series: Series, buses: { publishing: Peer; waking: Peer }): Promise<void> {
  const { publishing, waking } = buses;
  const { name } = publishing;
  series.addRound(MANY(name), await publishes(publishing, GROUP_PUBLISHES, GROUP));
  await publishing.drain?.();
  const tookMs = await wakes(waking);
  series.add(WAKE(name), 'ms', median(tookMs), tookMs);
}

/** What no program with these promises can be below, on this disk. */
function floorRound(series: Series, { publish, drain }: Floor): void {
  series.addRound(MANY(FLOOR), publish(TEXT, GROUP_PUBLISHES / GROUP, GROUP));
  drain();
}

async function mcpRound(series: Series, seed: ServedSeed): Promise<void> {
  const tool = { name: 'bus_send', input: { to: 'owner', text: TEXT } };
  const target = { kind: 'socket', path: seed.socket, agent: 'sender' } as const;
  for (const connections of [1, 16]) {
    const load: Load = { target, tool, connections, calls: MCP_CALLS };
    const { perSecond, tookMs } = await runLoad(load);
    series.add(`MCP, ${connections} connection${connections === 1 ? '' : 's'}: bus_send`, '/s', perSecond, tookMs);
    await drainOwner(seed);
  }
  const tookMs = await mcpWakes(seed);
  series.add(WAKE('MCP, bus_send and bus_receive'), 'ms', median(tookMs), tookMs);
}

interface Received {
  readonly messages: readonly { readonly id: string; readonly text: string }[];
}

async function drainOwner({ owner }: ServedSeed): Promise<void> {
  for (;;) {
    const { messages } = (await owner('bus_receive', { limit: 100 })) as Received;
    if (messages.length === 0) return;
    await owner('bus_ack', { ids: messages.map(({ id }) => id) });
  }
}

async function mcpWakes({ socket }: ServedSeed): Promise<number[]> {
  const [sender, receiver] = [await connectAgent(socket, 'waker'), await connectAgent(socket, 'sleeper')];
  const peer: Peer = {
    name: 'MCP',
    publish: async (text) => void (await sender.call('bus_send', { to: 'sleeper', text })),
    receiver: () =>
      Promise.resolve({
        next: async () => {
          const { messages } = (await receiver.call('bus_receive', { wait_ms: 5_000 })) as Received;
          const ids = messages.map(({ id }) => id);
          return {
            texts: messages.map(({ text }) => text),
            done: async () => void (ids.length === 0 || (await receiver.call('bus_ack', { ids }))),
          };
        },
        close: () => {},
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  try {
    return await wakes(peer);
  } finally {
    sender.close();
    receiver.close();
  }
}

function goal(measure: Measure, bound: { atLeast?: number; atMost?: number }): Goal {
  return { name: measure.name, unit: measure.unit, ...bound, best: best(measure), median: median(measure.samples) };
}

async function run(options: BenchOptions): Promise<BenchReport> {
  const { folder, rounds, say } = options;
  const machine = machineFacts(folder);
  const series = new Series();
  const substrate = await openBenchHome(path.join(folder, 'bus'), 1);
  try {
    using bare = openBare(folder);
    using floor = openFloor(folder);
    await using seed = await startSeed(path.join(folder, 'home'));
    await using redis = await startRedis(path.join(folder, 'redis'));
    await using postgres = await startPostgres(path.join(folder, 'postgres'), GROUP);
    for (const [peer, what] of [
      [redis, 'Redis'],
      [postgres, 'PostgreSQL'],
    ] as const) {
      if (peer === null) say(`${what} is not installed here (or cannot be run); it is left out`);
    }
    const own = {
      publishing: await busOf(substrate, GROUP_PUBLISHES, 'inbox'),
      waking: await busOf(substrate, INBOX_ROOM, 'wake'),
    };
    const others = [redis, postgres].filter((peer) => peer !== null);
    const round = async (into: Series): Promise<void> => {
      await singles(into, { bare, floor, peers: [own.publishing, ...others] });
      floorRound(into, floor);
      await peerRound(into, own);
      for (const peer of others) await peerRound(into, { publishing: peer, waking: peer });
      await mcpRound(into, seed);
    };
    // Once without counting, for the compiler and the files' first pages.
    await round(new Series());
    for (let nr = 1; nr <= rounds; nr++) {
      say(`round ${nr} of ${rounds}`);
      await round(series);
    }
    return reportOf(series, machine, { own: own.publishing, others });
  } finally {
    await substrate.close();
  }
}

function reportOf(
  series: Series,
  machine: BenchReport['machine'],
  { own, others }: { own: Peer; others: readonly Peer[] },
): BenchReport {
  const at = (name: string): Measure => series.measure(name);
  const one = ratioOf('the bus / bare commit, 1 in flight', at(ONE(own.name)), at(BARE));
  const floors = [
    ratioOf('the bus / the floor, 1 in flight', at(ONE(own.name)), at(ONE(FLOOR))),
    ratioOf(`the bus / the floor, ${GROUP} in flight`, at(MANY(own.name)), at(MANY(FLOOR))),
    ratioOf('the floor / bare commit, 1 in flight', at(ONE(FLOOR)), at(BARE)),
    ...others.flatMap(({ name }) => [
      ratioOf(`the floor / ${name}, 1 in flight`, at(ONE(FLOOR)), at(ONE(name))),
      ratioOf(`the floor / ${name}, ${GROUP} in flight`, at(MANY(FLOOR)), at(MANY(name))),
    ]),
  ];
  const beside = others.flatMap(({ name }) => [
    ratioOf(`the bus / ${name}, 1 in flight`, at(ONE(own.name)), at(ONE(name))),
    ratioOf(`the bus / ${name}, ${GROUP} in flight`, at(MANY(own.name)), at(MANY(name))),
    ratioOf(`${name} / the bus, publish to wake`, at(WAKE(name)), at(WAKE(own.name))),
  ]);
  const p99 = at(WAKE(own.name)).latency?.p99Ms ?? Number.NaN;
  return {
    bench: 'bus',
    machine,
    measures: series.measures(),
    ratios: [one, ...beside, ...floors],
    goals: [
      goal(at(MANY(own.name)), { atLeast: GROUP_MIN }),
      { ...one, unit: '', atLeast: ONE_RATIO_MIN },
      { name: `${WAKE(own.name)}, p99`, unit: 'ms', atMost: WAKE_P99_MS_MAX, best: p99, median: p99 },
      ...beside.map((ratio): Goal => ({ ...ratio, unit: '', atLeast: 1 })),
    ],
  };
}

export const bus: Bench = {
  about: 'messages beside Redis and PostgreSQL where these are installed: publishes, wakes; over MCP',
  run,
};
