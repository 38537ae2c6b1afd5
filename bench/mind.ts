/** The mind: from a message to the seed until the organ that it is for begins, idle and under load; what it takes. */
import path from 'node:path';
import { Pulse } from '../src/mind/loop/pulse.ts';
import { systemTimers } from '../src/mind/loop/timers.ts';
import type { Organ } from '../src/mind/organ.ts';
import { OWNER, SEED } from '../src/substrate/actor.ts';
import { receive, send, settleAll } from '../src/substrate/bus/bus.ts';
import { readiness } from '../src/substrate/bus/look.ts';
import type { Substrate } from '../src/substrate/substrate.ts';
import { openBenchHome } from './ground/homes.ts';
import { daemonRun } from './ground/processes.ts';
import { Series } from './ground.ts';
import { machineFacts } from './machine.ts';
import type { Bench, BenchOptions, BenchReport } from './report.ts';
import { median } from './report.ts';

const MESSAGES = 200;
/** The goal of the 99th in a hundred. */
const P99_MS_MAX = 20;
/** Resident memory of a daemon with all organs that nobody has spoken to since its start. */
const IDLE_MB_MAX = 100;
/** Organs that look at each round besides the one that is measured, as many as a daemon has. */
const OTHERS = 7;
/** Operations of others under way while messages are sent. */
const LOAD = 16;

const IDLE = 'bus_send to the organ’s start, idle';
const COMMITTED = 'of that, after the message was durable';
const MEMORY = 'idle memory of the daemon';
const BUSY = `bus_send to the organ’s start, ${LOAD} writers beside it`;

/** An organ that takes messages and says when it began. */
function listener(substrate: Substrate): { organ: Organ; next: () => Promise<number> } {
  let waiting = Promise.withResolvers<number>();
  const organ: Organ = {
    name: 'digestor',
    purpose: 'takes what comes',
    silenceMsMax: 60_000,
    look: async (db, now) => {
      const { ready, waiting: count } = await readiness(db, 'seed', now);
      return { waiting: ready ? count : 0, nextAt: null, held: null };
    },
    run: async ({ signal }) => {
      waiting.resolve(performance.now());
      const { ready } = await receive(substrate, SEED, { limit: 64, leaseMs: 60_000, waitMs: 0, signal });
      await settleAll(substrate, SEED, { handles: ready, verdict: { kind: 'ack' } });
      return { done: ready.length, more: false, says: null };
    },
  };
  return {
    organ,
    next: () => {
      waiting = Promise.withResolvers<number>();
      return waiting.promise;
    },
  };
}

/** One that has nothing to do, but reads. */
function onlooker(nr: number): Organ {
  return {
    name: `onlooker-${nr}`,
    purpose: 'looks',
    silenceMsMax: 60_000,
    look: async (db, now) => {
      await readiness(db, 'owner', now);
      return { waiting: 0, nextAt: null, held: null };
    },
    run: () => Promise.resolve({ done: 0, more: false, says: null }),
  };
}

interface Taken {
  readonly all: readonly number[];
  readonly committed: readonly number[];
}

/** Messages one after the other, each when the one before has been taken. */
async function measure(substrate: Substrate, next: () => Promise<number>, pulse: Pulse): Promise<Taken> {
  const all: number[] = [];
  const committed: number[] = [];
  for (let nr = 0; nr < MESSAGES; nr++) {
    const began = next();
    const before = performance.now();
    await send(substrate, OWNER, { to: ['seed'], format: 'text', body: Buffer.from(`message ${nr}`) });
    const durable = performance.now();
    const at = await began;
    all.push(at - before);
    committed.push(Math.max(0, at - durable));
    while (pulse.state().state === 'working') await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { all, committed };
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? 0;
}

/** Others who write without a pause until it is over. */
function load(substrate: Substrate): () => Promise<unknown> {
  const end = new AbortController();
  const write = async (): Promise<void> => {
    while (!end.signal.aborted) await substrate.operate({ action: 'receipt.note', actor: OWNER }, async () => {});
  };
  const writers = Array.from({ length: LOAD }, write);
  return () => {
    end.abort();
    return Promise.all(writers);
  };
}

async function run({ folder, rounds, say }: BenchOptions): Promise<BenchReport> {
  const machine = machineFacts(folder);
  const series = new Series();
  const tails = await measureWakes(path.join(folder, 'mind'), { rounds, say, series });
  const home = path.join(folder, 'idle');
  await (await openBenchHome(home, 1)).close();
  const idleMb: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`memory ${round} of ${rounds}`);
    idleMb.push((await daemonRun(home, { measureIdle: true })).idleMb ?? Number.NaN);
  }
  for (const mb of idleMb) series.add(MEMORY, 'MB', mb);
  return {
    bench: 'mind',
    machine,
    measures: series.measures(),
    ratios: [],
    goals: [
      { name: `${IDLE}, p99`, unit: 'ms', atMost: P99_MS_MAX, best: Math.min(...tails), median: median(tails) },
      { name: MEMORY, unit: 'MB', atMost: IDLE_MB_MAX, best: Math.min(...idleMb), median: median(idleMb) },
    ],
  };
}

interface Wakes extends Pick<BenchOptions, 'rounds' | 'say'> {
  readonly series: Series;
}

/** Resolves to the 99th in a hundred of each idle round, in ms. */
async function measureWakes(home: string, { rounds, say, series }: Wakes): Promise<number[]> {
  const substrate = await openBenchHome(home, 1);
  const { organ, next } = listener(substrate);
  const traits = { isOn: true, scopes: [], takesWorkOn: false };
  const organs = [...Array.from({ length: OTHERS }, (_, nr) => onlooker(nr)), organ];
  const pulse = new Pulse({
    substrate,
    seats: organs.map((one) => ({ organ: one, ...traits })),
    timers: systemTimers,
    brakes: () => Promise.resolve([]),
    onDefect: (error) => say(error.message),
  });
  const tails: number[] = [];
  // The loop's own timers keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  try {
    pulse.start();
    await measure(substrate, next, pulse);
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      const idle = await measure(substrate, next, pulse);
      series.add(IDLE, 'ms', median(idle.all), idle.all);
      series.add(COMMITTED, 'ms', median(idle.committed), idle.committed);
      tails.push(p99(idle.all));
      const stop = load(substrate);
      const busy = await measure(substrate, next, pulse);
      await stop();
      series.add(BUSY, 'ms', median(busy.all), busy.all);
    }
  } finally {
    clearInterval(alive);
    await pulse.close(1_000);
    await substrate.close();
  }
  return tails;
}

export const mind: Bench = {
  about: 'from a message to the seed until its organ begins, idle and beside other writers; idle memory',
  run,
};
