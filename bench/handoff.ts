/** Handing over: offer and accept, beside transcripts of growing length; and reading the whole of one. */
import path from 'node:path';
import { OWNER } from '../src/substrate/actor.ts';
import { ANYBODY, acceptToken, offerSession } from '../src/substrate/sessions/handover.ts';
import { sessionOf } from '../src/substrate/sessions/sessions.ts';
import { appendToSession, beginSession, readTranscript } from '../src/substrate/sessions/work.ts';
import type { Substrate } from '../src/substrate/substrate.ts';
import type { Message } from '../src/substrate/transcript.ts';
import { openBenchHome } from './ground/homes.ts';
import { operations } from './ground/operate.ts';
import { Series } from './ground.ts';
import { machineFacts } from './machine.ts';
import type { Bench, BenchOptions, BenchReport, Measure } from './report.ts';
import { median, ratioOf } from './report.ts';

const LENGTHS = [10, 1_000, 10_000] as const;
/** Handovers in one slice; the lengths take turns, so that the machine's moods hit all of them. */
const SLICE = 20;
const SLICES_A_ROUND = 6;
const PAGE = 500;
/** An offer and its acceptance at the longest transcript, beside the shortest. */
const GROWTH_MAX = 1.25;

const SAYING = 'Whoever goes on with this reads what was said before. '.repeat(8);

const HANDOVER = (length: number): string => `offer + accept at ${length.toLocaleString('en')} messages`;
const READ = (length: number): string => `read all of ${length.toLocaleString('en')} messages`;
const RECEIPTS = 'two receipts, one after the other';

function message(nr: number): Message {
  return { role: nr % 2 === 0 ? 'user' : 'assistant', parts: [{ type: 'text', text: `${nr}: ${SAYING}` }] };
}

async function sessionOfLength(substrate: Substrate, length: number): Promise<string> {
  const opening = { checkpoint: { goal: 'To be handed round' }, budgetMicroUsd: 1_000_000, deadline: null };
  const { id } = (await beginSession(substrate, OWNER, opening)).value;
  for (let from = 0; from < length; from += PAGE) {
    const messages = Array.from({ length: Math.min(PAGE, length - from) }, (_, nr) => message(from + nr));
    await appendToSession(substrate, id, { actor: OWNER, epoch: null, messages, key: null });
  }
  return id;
}

/** One after the other; milliseconds of each. */
async function handovers(substrate: Substrate, session: string): Promise<number[]> {
  const tookMs: number[] = [];
  const offering = { session, audience: ANYBODY, lifeMs: 60_000, note: '', budgetMicroUsd: null, scopes: null };
  for (let nr = 0; nr < SLICE; nr++) {
    const before = performance.now();
    const { value } = await offerSession(substrate, OWNER, offering);
    await acceptToken(substrate, OWNER, { token: value.token, redeemId: 'bench' });
    tookMs.push(performance.now() - before);
  }
  return tookMs;
}

async function slice(
  series: Series,
  substrate: Substrate,
  sessions: readonly (readonly [number, string])[],
): Promise<void> {
  const { tookMs: receipts } = await operations(substrate, { operations: 2 * SLICE, inFlight: 1, effect: 'none' });
  series.add(
    RECEIPTS,
    'ms',
    2 * median(receipts),
    receipts.map((took) => 2 * took),
  );
  for (const [length, session] of sessions) {
    const tookMs = await handovers(substrate, session);
    series.add(HANDOVER(length), 'ms', median(tookMs), tookMs);
  }
}

async function reads(
  series: Series,
  substrate: Substrate,
  sessions: readonly (readonly [number, string])[],
): Promise<void> {
  for (const [length, id] of sessions) {
    const before = performance.now();
    await substrate.read(async (db) => readTranscript(db, await sessionOf(db, id)));
    series.add(READ(length), 'ms', performance.now() - before);
  }
}

async function run({ folder, rounds, say }: BenchOptions): Promise<BenchReport> {
  const machine = machineFacts(folder);
  const substrate = await openBenchHome(path.join(folder, 'handoff'), 1);
  try {
    const sessions: (readonly [number, string])[] = [];
    for (const length of LENGTHS) sessions.push([length, await sessionOfLength(substrate, length)]);
    const series = new Series();
    // Once without counting, for the compiler and the files' first pages.
    await slice(new Series(), substrate, sessions);
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`);
      for (let nr = 0; nr < SLICES_A_ROUND; nr++) await slice(series, substrate, sessions);
      await reads(series, substrate, sessions);
    }
    return reportOf(series, machine);
  } finally {
    await substrate.close();
  }
}

function reportOf(series: Series, machine: BenchReport['machine']): BenchReport {
  const at = (name: string): Measure => series.measure(name);
  const [shortest, , longest] = LENGTHS;
  const growth = ratioOf(`${HANDOVER(longest)} / ${HANDOVER(shortest)}`, at(HANDOVER(longest)), at(HANDOVER(shortest)));
  const beside = ratioOf(`${HANDOVER(longest)} / ${RECEIPTS}`, at(HANDOVER(longest)), at(RECEIPTS));
  return {
    bench: 'handoff',
    machine,
    measures: series.measures(),
    ratios: [growth, beside],
    goals: [{ name: growth.name, unit: '', atMost: GROWTH_MAX, best: growth.best, median: growth.median }],
  };
}

export const handoff: Bench = {
  about: 'handing a session over, beside transcripts of 10, 1,000 and 10,000 messages',
  run,
};
