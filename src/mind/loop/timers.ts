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
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};
