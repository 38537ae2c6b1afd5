/** The timers of the loop, handed in so that a test can let a day pass in a moment. */
export interface Timers {
  /** Milliseconds from any origin, which only go forward. */
  readonly now: () => number;
  /** Calls `fn` once after `ms`; the returned function takes it back. Keeps no process alive. */
  readonly after: (ms: number, fn: () => void) => () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (ms, fn) => {
    // Node makes a millisecond of no time at all. Without its hold on the process a turn waits for the next event.
    if (ms <= 0) {
      const turn = setImmediate(fn);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};
