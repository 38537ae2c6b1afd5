/**
 * Wakes whoever waits for messages, within this process and after the commit.
 *
 * A wake is a hint and carries nothing: whoever is woken reads the durable state again. Waiting
 * costs a timer and no more.
 */

/** Told whose inbox got a message. */
export type OnArrival = (holder: string) => void;

/** One who waits; registered before the inbox is read, so that nothing falls in between. */
export interface Waiter extends Disposable {
  /** Resolves when something may have changed since the last call, after `ms`, or when `signal` aborts. */
  next(ms: number, signal: AbortSignal): Promise<void>;
}

export class MailSignals {
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<OnArrival>();
  #closed = false;

  /** Nobody waits any longer: the seed is stopping. */
  get closed(): boolean {
    return this.#closed;
  }

  /** These inboxes got a message. */
  arrived(holders: readonly string[]): void {
    for (const holder of new Set(holders)) {
      this.freed(holder);
      for (const listener of this.#listeners) listener(holder);
    }
  }

  /** What was held back in an inbox may come now. */
  freed(holder: string): void {
    for (const wake of this.#waiters.get(holder) ?? []) wake();
  }

  /** Calls `listener` for each arrival; the returned function takes it back. */
  onArrival(listener: OnArrival): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether somebody waits for that inbox's messages at this moment. */
  isAwaited(holder: string): boolean {
    return this.#waiters.has(holder);
  }

  wait(holder: string): Waiter {
    let changed = false;
    let resume: () => void = () => {};
    const wake = (): void => {
      changed = true;
      resume();
    };
    const waiters = this.#waiters.get(holder) ?? new Set();
    this.#waiters.set(holder, waiters);
    waiters.add(wake);
    return {
      next: (ms, signal) =>
        new Promise((resolve) => {
          const end = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', end);
            resume = () => {};
            changed = false;
            resolve();
          };
          const timer = setTimeout(end, ms);
          signal.addEventListener('abort', end);
          resume = end;
          if (changed || this.#closed || signal.aborted) end();
        }),
      [Symbol.dispose]: () => {
        waiters.delete(wake);
        if (waiters.size === 0 && this.#waiters.get(holder) === waiters) this.#waiters.delete(holder);
      },
    };
  }

  /** Ends every wait, now and from now on, so that whoever waits is answered with what there is. */
  close(): void {
    this.#closed = true;
    for (const waiters of this.#waiters.values()) for (const wake of waiters) wake();
  }
}
