/** A loop over a real substrate, on a clock and timers that the test moves, with organs that do as they are told. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SeedError } from '../../../src/errors.ts';
import { Pulse } from '../../../src/mind/loop/pulse.ts';
import type { Seat, SeatTraits } from '../../../src/mind/loop/seat.ts';
import type { Timers } from '../../../src/mind/loop/timers.ts';
import type { Organ, OrganReport, OrganRun, Sight } from '../../../src/mind/organ.ts';
import { NOTHING_TO_SEE } from '../../../src/mind/organ.ts';
import type { Pause } from '../../../src/substrate/coherence/alarms.ts';
import type { DecisionRow } from '../../../src/substrate/mind/log.ts';
import { listDecisions } from '../../../src/substrate/mind/log.ts';
import type { ReadHandle, Substrate } from '../../../src/substrate/substrate.ts';
import type { TestSources } from '../../support/sources.ts';

interface Timer {
  readonly at: number;
  readonly fn: () => void;
}

/** Timers that stand still until they are moved; the wall clock moves along. */
export class TestTimers implements Timers {
  readonly #sources: TestSources;
  readonly #timers = new Set<Timer>();
  #now = 0;

  constructor(sources: TestSources) {
    this.#sources = sources;
  }

  readonly now = (): number => this.#now;

  readonly after = (ms: number, fn: () => void): (() => void) => {
    const timer = { at: this.#now + ms, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Lets time pass, timer after timer; whatever one of them begins has ended before the next. */
  async advance(ms: number, settled: () => Promise<void>): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      this.#pass((next?.at ?? end) - this.#now);
      if (next === undefined) return;
      this.#timers.delete(next);
      next.fn();
      await settled();
    }
  }

  #pass(ms: number): void {
    this.#now += Math.max(0, ms);
    this.#sources.time += Math.max(0, ms);
  }
}

/** An organ whose work is what the test puts there. */
export interface TestOrgan {
  readonly organ: Organ;
  /** What it sees. */
  sight: Sight;
  /** What a run does; takes one piece of what waits unless told otherwise. */
  does: (run: OrganRun) => Promise<OrganReport>;
  looks: number;
  readonly runs: OrganRun[];
}

export function testOrgan(name: string, silenceMsMax = 30_000): TestOrgan {
  const rig: TestOrgan = {
    sight: NOTHING_TO_SEE,
    looks: 0,
    runs: [],
    does: async () => {
      const { waiting } = rig.sight;
      rig.sight = { ...rig.sight, waiting: Math.max(0, waiting - 1) };
      return { done: Math.min(1, waiting), more: waiting > 1, says: 'one piece' };
    },
    organ: {
      name,
      purpose: `does what the test says of ${name}`,
      silenceMsMax,
      look: async () => {
        rig.looks += 1;
        return rig.sight;
      },
      run: async (run) => {
        rig.runs.push(run);
        return rig.does(run);
      },
    },
  };
  return rig;
}

export function work(waiting: number): Sight {
  return { waiting, nextAt: null, held: null };
}

const TRAITS: SeatTraits = { isOn: true, scopes: [], takesWorkOn: false };

export interface LoopRig extends AsyncDisposable {
  readonly pulse: Pulse;
  readonly timers: TestTimers;
  readonly defects: readonly SeedError[];
  /** Resolves when no round and no run that can end is under way. */
  readonly settled: () => Promise<void>;
  /** Lets time pass. */
  readonly pass: (ms: number) => Promise<void>;
  /** The log of decisions, oldest first. */
  readonly log: () => Promise<DecisionRow[]>;
}

export interface LoopRigOptions {
  readonly brakes?: (db: ReadHandle) => Promise<readonly Pause[]>;
  readonly start?: boolean;
}

/** Turns that something real (a commit, a reading) may take before it counts as waiting for time. */
const TURNS_MAX = 400;

export function loopOf(
  { substrate, sources }: { substrate: Substrate; sources: TestSources },
  seats: readonly Seat[],
  { brakes = async () => [], start = true }: LoopRigOptions = {},
): LoopRig {
  const timers = new TestTimers(sources);
  const defects: SeedError[] = [];
  const pulse = new Pulse({ substrate, seats, timers, brakes, onDefect: (error) => defects.push(error) });
  // A round that waits for its turn waits for time; a run may wait for the test.
  const settled = async (): Promise<void> => {
    for (let turns = 0, before = ''; turns < TURNS_MAX; turns++) {
      await nextTurn();
      const now = JSON.stringify([pulse.state().rounds, pulse.state().running]);
      if (now === before && turns > 40) return;
      if (now !== before) turns = 0;
      before = now;
    }
  };
  if (start) pulse.start();
  return {
    pulse,
    timers,
    defects,
    settled,
    pass: (ms) => timers.advance(ms, settled),
    log: async () => (await substrate.read((db) => listDecisions(db, { limit: 2_000 }))).toReversed(),
    [Symbol.asyncDispose]: async () => {
      const closing = pulse.close(0);
      await timers.advance(10_000, settled);
      await closing;
    },
  };
}

export function seatOf({ organ }: TestOrgan, traits: Partial<SeatTraits> = {}): Seat {
  return { organ, ...TRAITS, ...traits };
}
