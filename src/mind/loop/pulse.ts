/**
 * The loop with whoever looks after it: starts it, sees from outside whether it still turns, replaces it
 * where it does not, and says how it is.
 */
import { SeedError, toSeedError } from '../../errors.ts';
import { SEED } from '../../substrate/actor.ts';
import type { Decision } from '../rules.ts';
import type { LoopParts } from './loop.ts';
import { Loop, REST_MS_MAX } from './loop.ts';
import type { RunEnd } from './runs.ts';
import { Runs } from './runs.ts';
import type { Seat } from './seat.ts';

/** How often the loop's heart is felt, and how long it may stand still: two rests. */
const CHECK_MS = 15_000;
const SILENCE_MS_MAX: number = 2 * REST_MS_MAX;
/** Rounds of one {@link Pulse.once}; each does what there is, so that many are a defect. */
const ROUNDS_MAX = 1_000;

export type PulseParts = Omit<LoopParts, 'runs' | 'isAsked'>;

/** How the loop is at a moment. */
export interface PulseState {
  /** `off`: it does not turn by itself in this process. `silent`: it stopped turning, and is about to be replaced. */
  readonly state: 'off' | 'resting' | 'working' | 'silent';
  /** Since its last sign of life, ms. */
  readonly silentMs: number;
  /** Until it looks again by itself at the latest, ms. */
  readonly restMs: number;
  readonly rounds: number;
  /** How often it had to be replaced. */
  readonly restarts: number;
  /** Organs at work. */
  readonly running: readonly string[];
  /** What was decided last. */
  readonly decisions: readonly Decision[];
}

export interface OnceOptions {
  readonly signal: AbortSignal;
  /** Told after each run. */
  readonly onRun?: (end: RunEnd) => void;
}

export class Pulse {
  readonly #parts: PulseParts;
  readonly #runs: Runs;
  readonly #listeners = new Set<(end: RunEnd) => void>();
  #loop: Loop;
  #isOn = false;
  #asked = 0;
  #restarts = 0;
  #cancelCheck: () => void = () => {};

  constructor(parts: PulseParts) {
    this.#parts = parts;
    const { substrate, timers, onDefect } = parts;
    this.#runs = new Runs({ substrate, timers, onDefect, onEnd: (end) => this.#ended(end) });
    this.#loop = this.#newLoop();
  }

  #newLoop(): Loop {
    return new Loop({ ...this.#parts, runs: this.#runs, isAsked: () => this.#asked > 0 });
  }

  get seats(): readonly Seat[] {
    return this.#parts.seats;
  }

  /** Lets it turn by itself until it is closed. */
  start(): void {
    this.#isOn = true;
    this.#loop.start();
    this.#check();
  }

  /** Asks for a round soon. */
  wake(): void {
    this.#loop.wake();
  }

  state(): PulseState {
    const { beatAt, restMs, rounds, last, isTurning } = this.#loop;
    const silentMs = this.#parts.timers.now() - beatAt;
    const running = this.#runs.running();
    const state = silentMs > SILENCE_MS_MAX ? 'silent' : running.length > 0 || isTurning ? 'working' : 'resting';
    return {
      state: this.#isOn ? state : 'off',
      silentMs,
      restMs,
      rounds,
      restarts: this.#restarts,
      running,
      decisions: last,
    };
  }

  /**
   * Rounds until nothing is left to do now, also while the mind is paused; resolves to what ran meanwhile.
   * What organs look at from time to time they look at now; what is left alone after a failure stays so.
   */
  async once({ signal, onRun = () => {} }: OnceOptions): Promise<readonly RunEnd[]> {
    const ends: RunEnd[] = [];
    const listener = (end: RunEnd): void => {
      ends.push(end);
      onRun(end);
    };
    this.#listeners.add(listener);
    this.#asked += 1;
    const stop = (): void => this.#runs.stopAll('whoever waited for it stopped waiting');
    signal.addEventListener('abort', stop, { once: true });
    for (const { organ } of this.seats) organ.hurry?.();
    try {
      for (let rounds = 0; rounds < ROUNDS_MAX && !signal.aborted; rounds++) {
        const decisions = await this.#loop.round();
        await this.#runs.settled();
        if (!decisions.some(({ act, rule }) => act === 'run' || rule === 'running')) break;
      }
      return ends;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#listeners.delete(listener);
      this.#asked -= 1;
      // A pause that was set aside counts again.
      this.#loop.wake();
    }
  }

  /** Ends it: runs are told to stop and have `graceMs` for it. */
  async close(graceMs: number): Promise<void> {
    this.#isOn = false;
    this.#cancelCheck();
    this.#loop.stop();
    this.#runs.stopAll('the seed is stopping');
    const enough = Promise.withResolvers<void>();
    const cancel = this.#parts.timers.after(graceMs, enough.resolve);
    await Promise.race([this.#runs.settled(), enough.promise]);
    cancel();
    if (this.#parts.substrate.distrust === null) await this.#loop.saveCursor();
  }

  #ended(end: RunEnd): void {
    for (const listener of this.#listeners) listener(end);
    // There may be more of it, and others may have something to do now.
    this.#loop.wake();
  }

  /** Feels whether the loop still turns; one that does not is left behind and another begins. */
  #check(): void {
    this.#cancelCheck = this.#parts.timers.after(CHECK_MS, () => {
      if (!this.#isOn) return;
      this.#check();
      const silentMs = this.#parts.timers.now() - this.#loop.beatAt;
      if (silentMs <= SILENCE_MS_MAX) return;
      this.#replace(silentMs).catch((thrown: unknown) => this.#parts.onDefect(toSeedError(thrown)));
    });
  }

  async #replace(silentMs: number): Promise<void> {
    const { substrate, onDefect } = this.#parts;
    const dead = this.#loop;
    this.#restarts += 1;
    this.#loop = this.#newLoop();
    dead.stop();
    onDefect(stoodStill(silentMs));
    this.#loop.start();
    await substrate.operate({ action: 'mind.restart', actor: SEED }, async (op) => {
      op.receipt({ detail: { silent_s: Math.round(silentMs / 1_000), restarts: this.#restarts } });
    });
  }
}

function stoodStill(ms: number): SeedError {
  return new SeedError('internal', `The mind stood still for ${Math.round(ms / 1_000)} s and was started again.`, {
    hint: 'This is a defect; the log says what was under way.',
  });
}
