/**
 * Runs organs and looks after them: one run of each at a time, all of them beside each other.
 *
 * An organ that throws, or gives no sign of life for longer than it said, is stopped, put on record and left
 * alone for a while, twice as long each time. So is one that says it has work and comes to nothing,
 * which would turn for ever otherwise. None of it reaches the others or the loop.
 */
import { SeedError, toSeedError } from '../../errors.ts';
import { SEED } from '../../substrate/actor.ts';
import { addDecision } from '../../substrate/mind/log.ts';
import type { Substrate } from '../../substrate/substrate.ts';
import type { Organ, OrganReport } from '../organ.ts';
import type { Timers } from './timers.ts';

/** How long one is left alone after the first failure, and at most. */
const BACK_OFF_MS = 1_000;
const BACK_OFF_MS_MAX = 10 * 60_000;
/** How long one that was stopped has to come to an end before it is given up. */
const GRACE_MS = 5_000;

/** How a run ended. */
export interface RunEnd {
  readonly organ: string;
  readonly because: string;
  readonly done: number;
  readonly says: string | null;
  /** What it threw, or that it was silent; null when it ended by itself or was stopped. */
  readonly error: SeedError | null;
}

/** How it stands with an organ. */
interface Standing {
  failures: number;
  /** Runs in a row that came to nothing. */
  fruitless: number;
  /** By the loop's timers. */
  aloneUntil: number;
  why: string | null;
  run: Run | null;
}

interface Run {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  /** Why the owner or the end of the process stopped it; null while nobody did. */
  stopped: string | null;
}

export interface RunsParts {
  readonly substrate: Substrate;
  readonly timers: Timers;
  readonly onDefect: (error: SeedError) => void;
  /** Told when a run has ended. */
  readonly onEnd: (end: RunEnd) => void;
}

export class Runs {
  readonly #parts: RunsParts;
  readonly #standings = new Map<string, Standing>();

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  isRunning(organ: string): boolean {
    return this.#of(organ).run !== null;
  }

  /** Names of those at work. */
  running(): string[] {
    return [...this.#standings].filter(([, { run }]) => run !== null).map(([name]) => name);
  }

  /** How much longer an organ is left alone, ms, and why; 0 when it is not. */
  backOff(organ: string): { ms: number; why: string | null } {
    const { aloneUntil, why } = this.#of(organ);
    const ms = Math.max(0, aloneUntil - this.#parts.timers.now());
    return { ms, why: ms === 0 ? null : why };
  }

  /** It was seen with nothing to do, so its runs came to something. */
  rested(organ: string): void {
    const standing = this.#of(organ);
    if (standing.fruitless === 0) return;
    standing.fruitless = 0;
    if (standing.failures === 0) standing.aloneUntil = 0;
  }

  /** Begins a run, unless one is under way. */
  begin(organ: Organ, because: string): void {
    const { name } = organ;
    const standing = this.#of(name);
    if (standing.run !== null) return;
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const run: Run = { abort, ended, stopped: null };
    standing.run = run;
    const begun = this.#parts.substrate.sources.now();
    const watched = this.#watch(organ, run, (alive) => organ.run({ because, signal: abort.signal, alive }));
    void watched
      .then((end) => this.#settle(standing, { run, begun }, { ...end, organ: name, because }))
      .finally(resolve);
  }

  /** Ends a run: it is told to, and no failure of it. */
  stop(organ: string, why: string): void {
    const { run } = this.#of(organ);
    if (run === null || run.stopped !== null) return;
    run.stopped = why;
    run.abort.abort(interrupted(why));
  }

  stopAll(why: string): void {
    for (const name of this.running()) this.stop(name, why);
  }

  /** Counts a failure that happened outside a run: it could not look. */
  async failed(organ: string, error: SeedError): Promise<void> {
    this.#leaveAlone(this.#of(organ), { kind: 'failures', what: 'it could not look' });
    await this.#record(organ, error, 0);
  }

  /** Resolves when nothing runs that runs now. */
  async settled(): Promise<void> {
    await Promise.all([...this.#standings.values()].flatMap(({ run }) => (run === null ? [] : [run.ended])));
  }

  #of(organ: string): Standing {
    let standing = this.#standings.get(organ);
    if (standing === undefined) {
      standing = { failures: 0, fruitless: 0, aloneUntil: 0, why: null, run: null };
      this.#standings.set(organ, standing);
    }
    return standing;
  }

  /** Resolves to how it ended, at the latest a moment after it was silent for too long. */
  #watch(
    { name, silenceMsMax }: Organ,
    run: Run,
    work: (alive: () => void) => Promise<OrganReport>,
  ): Promise<Pick<RunEnd, 'done' | 'says' | 'error'> & { more: boolean }> {
    const { timers } = this.#parts;
    return new Promise((resolve) => {
      let lastSign = timers.now();
      let silent: SeedError | null = null;
      let cancel: () => void = () => {};
      const end = (report: OrganReport | null, error: SeedError | null): void => {
        cancel();
        const { done = 0, says = null, more = false } = report ?? {};
        resolve({ done, more, says: run.stopped === null ? says : `stopped: ${run.stopped}`, error });
      };
      const listen = (ms: number): void => {
        cancel = timers.after(ms, () => {
          const leftMs = lastSign + silenceMsMax - timers.now();
          if (leftMs > 0) return listen(leftMs);
          silent ??= gaveNoSign(name, silenceMsMax);
          run.abort.abort(silent);
          cancel = timers.after(GRACE_MS, () => end(null, silent));
        });
      };
      listen(silenceMsMax);
      const alive = (): void => {
        lastSign = timers.now();
      };
      // A function that throws at once is one that rejects.
      Promise.resolve()
        .then(() => work(alive))
        .then(
          (report) => end(report, silent),
          (thrown: unknown) => end(null, run.stopped === null ? (silent ?? toSeedError(thrown)) : null),
        );
    });
  }

  async #settle(
    standing: Standing,
    { run, begun }: { run: Run; begun: number },
    { more, ...end }: RunEnd & { more: boolean },
  ): Promise<void> {
    const { error, done } = end;
    if (error !== null) this.#leaveAlone(standing, { kind: 'failures', what: `it failed (${error.code})` });
    else if (run.stopped === null) {
      standing.failures = 0;
      standing.aloneUntil = 0;
      if (done > 0 || more) standing.fruitless = 0;
      else this.#leaveAlone(standing, { kind: 'fruitless', what: 'its run came to nothing' });
    }
    // Its place is free before anything is written: whoever waits to run it again need not wait for that.
    standing.run = null;
    this.#parts.onEnd(end);
    if (error !== null) await this.#record(end.organ, error, standing.failures);
    await this.#log(begun, run, end);
  }

  #leaveAlone(standing: Standing, { kind, what }: { kind: 'failures' | 'fruitless'; what: string }): void {
    standing[kind] += 1;
    const times = standing[kind];
    // One that came to nothing may have found out just that; one that does so again at once turns.
    const counted = kind === 'fruitless' ? times - 1 : times;
    standing.aloneUntil = this.#parts.timers.now() + backOffMs(counted);
    standing.why = times === 1 ? what : `${what}, ${times} times in a row`;
  }

  /** Puts a failure on record. */
  async #record(organ: string, error: SeedError, failures: number): Promise<void> {
    const { substrate, onDefect } = this.#parts;
    if (error.kind === 'failed') onDefect(error);
    try {
      await substrate.operate({ action: 'mind.organ', actor: SEED }, async (op) => {
        op.receipt({
          outcome: 'failed',
          code: error.code,
          subject: { type: 'organ', id: organ },
          detail: { failures },
        });
      });
    } catch (thrown) {
      onDefect(toSeedError(thrown));
    }
  }

  /** A run that has something to say, failed or was stopped is in the log; one that came to nothing is not. */
  async #log(begun: number, run: Run, { organ, because, done, says, error }: RunEnd): Promise<void> {
    const { substrate, onDefect } = this.#parts;
    const words = error === null ? says : `failed (${error.code}): ${error.message}`;
    if (words === null && run.stopped === null) return;
    const end = { at: substrate.sources.now(), done, says: words };
    try {
      await substrate.maintain((tx) => addDecision(tx, { at: begun, organ, act: 'run', because, end }));
    } catch (thrown) {
      onDefect(toSeedError(thrown));
    }
  }
}

/** One second, two, four, … up to ten minutes; none for none. */
function backOffMs(times: number): number {
  if (times === 0) return 0;
  return Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS * 2 ** Math.min(times - 1, 30));
}

function gaveNoSign(organ: string, ms: number): SeedError {
  return new SeedError('interrupted', `The organ ${organ} gave no sign of life for ${Math.round(ms / 1_000)} s.`, {
    hint: 'It is tried again after a while; `seed mind off` switches it off.',
    data: { organ },
  });
}

function interrupted(why: string): SeedError {
  return new SeedError('interrupted', `Stopped: ${why}.`, { hint: 'It goes on when it may run again.' });
}
