/** The ground: disk, database, signatures, receipted operations, verification, and the daemon's start. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { BareDatabase, Round } from './ground/disk.ts';
import { openBare, rawSync, signatures } from './ground/disk.ts';
import { fillHome, openBenchHome } from './ground/homes.ts';
import { operations } from './ground/operate.ts';
import { daemonRun, runChild, versionMs } from './ground/processes.ts';
import { machineFacts } from './machine.ts';
import { freePort } from '../test/support/port.ts';
import type { Bench, BenchOptions, BenchReport, Goal, Measure, Ratio } from './report.ts';
import { best, latencyOf, median, ratioOf } from './report.ts';
import type { Substrate } from '../src/substrate/substrate.ts';

/** How much of each is done in one round. */
const SYNCS = 500;
const SIGNATURES = 3_000;
const GROUP = 64;
/**
 * What is compared is taken in short slices in turn: a disk that other work shares can be ten times as
 * slow from one second to the next, and a slice and its neighbour see the same disk.
 */
const SLICES_A_ROUND = 8;
const SINGLE_SLICE = 200;
const GROUP_SLICE = 2_048;
const VERSION_RUNS = 3;
/** The portable hash is several times as slow; it is asked for a share of the receipts. */
const NOBLE_SHARE = 10;

/** Collects the rounds of measures that are taken in turn. */
export class Series {
  readonly #samples = new Map<string, { unit: Measure['unit']; samples: number[]; tookMs: number[] }>();

  add(name: string, unit: Measure['unit'], value: number, tookMs: readonly number[] = []): void {
    const entry = this.#samples.get(name) ?? { unit, samples: [], tookMs: [] };
    entry.samples.push(value);
    for (const took of tookMs) entry.tookMs.push(took);
    this.#samples.set(name, entry);
  }

  addRound(name: string, { perSecond, tookMs }: Round): void {
    this.add(name, '/s', perSecond, tookMs);
  }

  measure(name: string): Measure {
    const entry = this.#samples.get(name);
    if (entry === undefined) throw new Error(`Nothing was measured as ${name}.`);
    const { unit, samples, tookMs } = entry;
    return { name, unit, samples, latency: tookMs.length === 0 ? undefined : latencyOf(tookMs) };
  }

  measures(): Measure[] {
    return [...this.#samples.keys()].map((name) => this.measure(name));
  }
}

const NAMES = {
  sync: 'fdatasync of 4 KiB',
  bareOne: 'bare SQLite, 1 row a commit',
  bareGroup: `bare SQLite, ${GROUP} rows a commit (rows)`,
  sign: 'Ed25519 signatures',
  signedOne: 'floor: signed and with a head row, 1 row a commit',
  signedGroup: `floor: signed and with a head row, ${GROUP} rows a commit (rows)`,
  one: 'receipt and salted content, 1 in flight',
  oneReceipt: 'receipt, 1 in flight',
  group: `receipt and salted content, ${GROUP} in flight`,
  groupReceipt: `receipt, ${GROUP} in flight`,
  export: 'export (receipts)',
  exportPeak: 'export, peak memory',
  verify: 'verify an export in full (receipts)',
  verifyPeak: 'verify, peak memory',
  noble: 'verify with the portable hash only (receipts)',
  version: 'seed --version',
  readyEmpty: 'daemon ready, empty home',
  readyLarge: 'daemon ready, large home',
  idle: 'daemon idle, memory',
} as const;

interface Subjects {
  readonly bare: BareDatabase;
  readonly substrate: Substrate;
}

async function durableSlice(series: Series, { bare, substrate }: Subjects): Promise<void> {
  const single = { operations: SINGLE_SLICE, inFlight: 1 };
  series.addRound(NAMES.bareOne, bare.commit(SINGLE_SLICE, 1));
  series.addRound(NAMES.oneReceipt, await operations(substrate, { ...single, effect: 'none' }));
  series.addRound(NAMES.signedOne, bare.commitSigned(SINGLE_SLICE, 1));
  series.addRound(NAMES.one, await operations(substrate, { ...single, effect: 'row' }));
  const grouped = { operations: GROUP_SLICE, inFlight: GROUP };
  series.addRound(NAMES.bareGroup, bare.commit(GROUP_SLICE / GROUP, GROUP));
  series.addRound(NAMES.groupReceipt, await operations(substrate, { ...grouped, effect: 'none' }));
  series.addRound(NAMES.signedGroup, bare.commitSigned(GROUP_SLICE / GROUP, GROUP));
  series.addRound(NAMES.group, await operations(substrate, { ...grouped, effect: 'row' }));
}

async function durableRound(series: Series, folder: string, subjects: Subjects): Promise<void> {
  series.addRound(NAMES.sync, rawSync(folder, SYNCS));
  series.addRound(NAMES.sign, signatures(SIGNATURES));
  for (let slice = 0; slice < SLICES_A_ROUND; slice++) await durableSlice(series, subjects);
}

async function durable(series: Series, { folder, rounds, say }: BenchOptions): Promise<void> {
  using bare = openBare(folder);
  const substrate = await openBenchHome(path.join(folder, 'operations'), await freePort());
  const subjects = { bare, substrate };
  try {
    // Once without counting, for the compiler and the file's first pages.
    await durableRound(new Series(), folder, subjects);
    for (let round = 1; round <= rounds; round++) {
      say(`disk, database, operations: round ${round} of ${rounds}`);
      await durableRound(series, folder, subjects);
    }
  } finally {
    await substrate.close();
  }
}

async function verification(series: Series, large: string, { folder, rounds, say }: BenchOptions): Promise<void> {
  const out = (round: number): string => path.join(folder, `export-${round}`);
  const small = path.join(folder, 'small');
  await makeHome(small, Math.ceil((await sizeOf(large)) / NOBLE_SHARE), () => {});
  const smallOut = path.join(folder, 'export-small');
  await runChild(['export', small, smallOut]);
  for (let round = 1; round <= rounds; round++) {
    say(`export and verify: round ${round} of ${rounds}`);
    const exported = await runChild(['export', large, out(round)]);
    series.add(NAMES.export, '/s', exported.perSecond);
    series.add(NAMES.exportPeak, 'MB', exported.peakMb);
    const verified = await runChild(['verify', out(round), 'node']);
    series.add(NAMES.verify, '/s', verified.perSecond);
    series.add(NAMES.verifyPeak, 'MB', verified.peakMb);
    series.add(NAMES.noble, '/s', (await runChild(['verify', smallOut, 'noble'])).perSecond);
  }
}

async function starts(series: Series, homes: { empty: string; large: string }, options: BenchOptions): Promise<void> {
  const { rounds, say } = options;
  await versionMs();
  for (let round = 1; round <= rounds; round++) {
    say(`starts: round ${round} of ${rounds}`);
    for (let once = 0; once < VERSION_RUNS; once++) series.add(NAMES.version, 'ms', await versionMs());
    const empty = await daemonRun(homes.empty, { measureIdle: true });
    series.add(NAMES.readyEmpty, 'ms', empty.readyMs);
    series.add(NAMES.idle, 'MB', empty.idleMb ?? Number.NaN);
    series.add(NAMES.readyLarge, 'ms', (await daemonRun(homes.large, { measureIdle: false })).readyMs);
  }
}

/** Makes a home with that many receipts; 0 for one as `init` leaves it. */
async function makeHome(home: string, receipts: number, say: BenchOptions['say']): Promise<void> {
  const substrate = await openBenchHome(home, await freePort());
  await fillHome(substrate, receipts, say);
  await substrate.close();
}

async function sizeOf(home: string): Promise<number> {
  const substrate = await openBenchHome(home, 1);
  const { size } = await substrate.log();
  await substrate.close();
  return size;
}

function goalOf(name: string, measure: Measure, bound: { atLeast?: number; atMost?: number }): Goal {
  return { name, unit: measure.unit, ...bound, best: best(measure), median: median(measure.samples) };
}

function ratioGoal(ratio: Ratio, atLeast: number): Goal {
  return { ...ratio, unit: '', atLeast };
}

async function run(options: BenchOptions): Promise<BenchReport> {
  const { folder, receipts, say } = options;
  const machine = machineFacts(folder);
  mkdirSync(folder, { recursive: true });
  const series = new Series();
  await durable(series, options);
  const homes = { empty: path.join(folder, 'empty'), large: path.join(folder, 'large') };
  say('filling a home');
  await makeHome(homes.empty, 0, say);
  await makeHome(homes.large, receipts, say);
  await verification(series, homes.large, options);
  await starts(series, homes, options);
  const at = (name: keyof typeof NAMES): Measure => series.measure(NAMES[name]);
  // The goals are set for receipts: what an operation's own effect costs besides is its own affair.
  const [one, group] = [
    ratioOf('receipt / bare commit, 1 in flight', at('oneReceipt'), at('bareOne')),
    ratioOf(`receipt / bare row, ${GROUP} in flight`, at('groupReceipt'), at('bareGroup')),
  ];
  return {
    bench: 'ground',
    machine: { ...machine, 'large home': `${receipts.toLocaleString('en')} receipts` },
    measures: series.measures(),
    ratios: [
      one,
      ratioOf('receipt / floor, 1 in flight', at('oneReceipt'), at('signedOne')),
      ratioOf('floor / bare commit, 1 in flight', at('signedOne'), at('bareOne')),
      ratioOf('receipt and content / bare commit, 1 in flight', at('one'), at('bareOne')),
      group,
      ratioOf(`receipt / floor, ${GROUP} in flight`, at('groupReceipt'), at('signedGroup')),
      ratioOf(`receipt and content / bare row, ${GROUP} in flight`, at('group'), at('bareGroup')),
    ],
    goals: [
      ratioGoal(one, 0.5),
      goalOf(at('groupReceipt').name, at('groupReceipt'), { atLeast: 15_000 }),
      ratioGoal(group, 0.15),
      goalOf(at('verify').name, at('verify'), { atLeast: 60_000 }),
      goalOf(at('version').name, at('version'), { atMost: 150 }),
      goalOf(at('readyEmpty').name, at('readyEmpty'), { atMost: 400 }),
      goalOf(at('readyLarge').name, at('readyLarge'), { atMost: 400 }),
      goalOf(at('idle').name, at('idle'), { atMost: 100 }),
    ],
  };
}

export const ground: Bench = {
  about: 'disk, database, receipted operations, verification, the daemon’s start and memory',
  run,
};
