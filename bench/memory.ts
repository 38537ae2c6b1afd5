/**
 * Memory beside the official `server-memory`, over the same stdio, at 1,000, 10,000 and 100,000 records:
 * how long a write and a search take, and the memory of whoever serves.
 *
 * The peer finds substrings, so it is asked for one rare word; the seed is asked a question of four words
 * and ranks what it finds. Its `seed mcp` is a pipe: what serves is the daemon, whose memory is shown.
 */
import path from 'node:path';
import { installPeer, startPeer } from './memory/peer.ts';
import { record } from './memory/records.ts';
import type { StdioClient } from './memory/stdio.ts';
import { startStdio } from './memory/stdio.ts';
import { Series } from './ground.ts';
import { machineFacts } from './machine.ts';
import { residentMb, startSeed } from './mcp/processes.ts';
import type { Bench, BenchOptions, BenchReport, Goal, Measure } from './report.ts';
import { best, median, ratioOf } from './report.ts';

const SIZES = [1_000, 10_000, 100_000] as const;
const LARGEST = 100_000;
const CALLS = 60;
/** The peer takes seconds for each at its largest. */
const PEER_CALLS_MAX = { 1_000: 40, 10_000: 20, 100_000: 5 } as const;
const BATCH = 200;

const SEARCH_MS_MAX = 25;
const WRITE_MS_MAX = 5;
/** A hundred times the records may cost this many times as much; linear would be 100. */
const GROWTH_MAX = 20;

const LAUNCHER = path.join(import.meta.dirname, '..', 'bin', 'seed.cjs');

type Size = (typeof SIZES)[number];

interface Store {
  readonly name: string;
  readonly write: (nr: number) => Promise<unknown>;
  readonly search: (nr: number) => Promise<unknown>;
  readonly residentMb: () => number;
}

const label = (store: string, size: Size, what: string): string => `${store}, ${size.toLocaleString('en')}: ${what}`;

async function timed(count: number, work: (nr: number) => Promise<unknown>): Promise<number[]> {
  const tookMs: number[] = [];
  for (let nr = 0; nr < count; nr++) {
    const start = performance.now();
    await work(nr);
    tookMs.push(performance.now() - start);
  }
  return tookMs;
}

function p95(tookMs: readonly number[]): number {
  return [...tookMs].sort((a, b) => a - b)[Math.floor(tookMs.length * 0.95)] ?? Number.NaN;
}

let written = 10_000_000;

async function measure(series: Series, store: Store, { size, calls }: { size: Size; calls: number }): Promise<void> {
  const writes = await timed(calls, () => store.write(written++));
  const searches = await timed(calls, (nr) => store.search(Math.floor((nr * size) / calls)));
  for (const [what, tookMs] of [
    ['write', writes],
    ['search', searches],
  ] as const) {
    series.add(label(store.name, size, what), 'ms', median(tookMs), tookMs);
    series.add(label(store.name, size, `${what} p95`), 'ms', p95(tookMs), tookMs);
  }
  series.add(label(store.name, size, 'resident'), 'MB', store.residentMb(), []);
}

const OWN = 'seed';
const PEER = 'server-memory';

function seedStore(client: StdioClient, pid: number): Store {
  return {
    name: OWN,
    write: (nr) => client.call('memory_write', { space: 'shared', text: record(nr).text }),
    search: async (nr) => {
      const { results } = (await client.call('memory_search', { query: record(nr).question })) as {
        results: readonly unknown[];
      };
      if (results.length === 0) throw new Error('The seed found nothing.');
    },
    residentMb: () => residentMb(pid),
  };
}

function peerStore(client: StdioClient): Store {
  return {
    name: PEER,
    write: (nr) =>
      client.call('create_entities', {
        entities: [{ name: `record ${nr}`, entityType: 'note', observations: [record(nr).text] }],
      }),
    search: (nr) => client.call('search_nodes', { query: record(nr).rare }),
    residentMb: () => residentMb(client.pid),
  };
}

async function seedRounds(series: Series, { folder, rounds, say }: BenchOptions): Promise<void> {
  const home = path.join(folder, 'home');
  await using served = await startSeed(home);
  await using client = await startStdio([LAUNCHER, 'mcp', '--as', 'bench', '--home', home]);
  const store = seedStore(client, served.pid);
  let filled = 0;
  for (const size of SIZES) {
    for (; filled < size; filled += BATCH) {
      const memories = Array.from({ length: Math.min(BATCH, size - filled) }, (_, index) => ({
        space: 'shared',
        text: record(filled + index).text,
        idempotency_key: `bench ${filled + index}`,
      }));
      await served.owner('memory_import', { memories });
    }
    say(`${OWN}: ${size.toLocaleString('en')} records`);
    await measure(new Series(), store, { size, calls: 10 });
    for (let round = 0; round < rounds; round++) await measure(series, store, { size, calls: CALLS });
  }
}

async function peerRounds(series: Series, { folder, rounds, say }: BenchOptions): Promise<boolean> {
  const program = await installPeer(path.join(folder, 'peer'));
  if (program === null) {
    say(`${PEER} cannot be installed here; it is left out`);
    return false;
  }
  for (const size of SIZES) {
    say(`${PEER}: ${size.toLocaleString('en')} records`);
    await using client = await startPeer(program, path.join(folder, `peer-${size}`), size);
    const store = peerStore(client);
    await store.search(0);
    for (let round = 0; round < rounds; round++) await measure(series, store, { size, calls: PEER_CALLS_MAX[size] });
  }
  return true;
}

function goal(measured: Measure, atMost: number): Goal {
  return { name: measured.name, unit: measured.unit, atMost, best: best(measured), median: median(measured.samples) };
}

async function run(options: BenchOptions): Promise<BenchReport> {
  const machine = machineFacts(options.folder);
  const series = new Series();
  await seedRounds(series, options);
  const hasPeer = await peerRounds(series, options);
  const at = (store: string, size: Size, what: string): Measure => series.measure(label(store, size, what));
  const growth = (['write', 'search'] as const).map((what) =>
    ratioOf(`growth of a ${what}, 1,000 to 100,000 records`, at(OWN, LARGEST, what), at(OWN, 1_000, what)),
  );
  const beside = !hasPeer
    ? []
    : SIZES.flatMap((size) =>
        (['write', 'search'] as const).map((what) =>
          ratioOf(`${PEER} / ${OWN}, ${size.toLocaleString('en')}: ${what}`, at(PEER, size, what), at(OWN, size, what)),
        ),
      );
  return {
    bench: 'memory',
    machine,
    measures: series.measures(),
    ratios: [...growth, ...beside],
    goals: [
      goal(at(OWN, LARGEST, 'search'), SEARCH_MS_MAX),
      goal(at(OWN, LARGEST, 'write'), WRITE_MS_MAX),
      ...growth.map((ratio): Goal => ({ ...ratio, unit: '', atMost: GROWTH_MAX })),
    ],
  };
}

export const memory: Bench = {
  about: 'memory beside the official server-memory over stdio: writes, searches, resident memory',
  run,
};
