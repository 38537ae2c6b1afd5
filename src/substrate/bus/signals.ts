/**
 * Wakes whoever waits for messages, within this process and after the commit.
 *
 * A wake is a hint and carries nothing: whoever is woken reads the durable state again. Whoever leaves an order
 * while it waits may be served instead: the sender leases the message to it in the commit that sends it, which
 * spares a second commit. Waiting costs a timer and no more.
 */
import type { Actor } from '../actor.ts';
import type { Outlook } from './take.ts';

/** Told whose inbox got a message. */
export type OnArrival = (holder: string) => void;

/** What a receiver gets. */
export type Received = Pick<Outlook, 'ready' | 'more'>;

/** What one who waits would take at once, and on whose grant. */
export interface Order {
  readonly actor: Actor;
  readonly limit: number;
  readonly leaseMs: number;
}

/** An order that a sender has taken on. Its receiver waits until one of the two ends it, whatever else happens. */
export interface Claim {
  readonly order: Order;
  /** After the commit that leases it. */
  readonly give: (received: Received) => void;
  readonly release: () => void;
}

/** One who waits; registered before the inbox is read, so that nothing falls in between. */
export interface Waiter extends Disposable {
  /**
   * Resolves to null when something may have changed since the last call, after `ms`, or when `signal` aborts;
   * to what is leased to it where it was served.
   */
  next(ms: number, signal: AbortSignal): Promise<Received | null>;
}

class Waiting implements Waiter {
  readonly #order: Order | null;
  readonly #isClosed: () => boolean;
  readonly #leave: () => void;
  #changed = false;
  #claimed = false;
  /** Ends the wait that is under way. */
  #end: ((received: Received | null) => void) | null = null;

  constructor(order: Order | null, isClosed: () => boolean, leave: () => void) {
    this.#order = order;
    this.#isClosed = isClosed;
    this.#leave = leave;
  }

  wake(): void {
    this.#changed = true;
    if (!this.#claimed) this.#end?.(null);
  }

  next(ms: number, signal: AbortSignal): Promise<Received | null> {
    return new Promise((resolve) => {
      const wake = (): void => this.wake();
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake);
      this.#end = (received) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#end = null;
        this.#changed = false;
        resolve(received);
      };
      if (this.#changed || this.#isClosed() || signal.aborted) wake();
    });
  }

  /** Its order, unless it left none, does not wait at this moment, or somebody serves it already. */
  claim(): Claim | null {
    if (this.#order === null || this.#end === null || this.#claimed) return null;
    this.#claimed = true;
    return {
      order: this.#order,
      give: (received) => {
        this.#claimed = false;
        this.#end?.(received);
      },
      release: () => {
        this.#claimed = false;
        // What came meanwhile was put off.
        if (this.#changed) this.#end?.(null);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}

export class MailSignals {
  readonly #waiters = new Map<string, Set<Waiting>>();
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
    for (const waiting of this.#waiters.get(holder) ?? []) waiting.wake();
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

  /** @param order what it may be served with while it waits; null where it only wants to be woken */
  wait(holder: string, order: Order | null = null): Waiter {
    const waiters = this.#waiters.get(holder) ?? new Set();
    this.#waiters.set(holder, waiters);
    const waiting = new Waiting(
      order,
      () => this.#closed,
      () => {
        waiters.delete(waiting);
        if (waiters.size === 0 && this.#waiters.get(holder) === waiters) this.#waiters.delete(holder);
      },
    );
    waiters.add(waiting);
    return waiting;
  }

  /** The order of whoever has waited longest for that inbox and can be served; null where nobody can. */
  claim(holder: string): Claim | null {
    for (const waiting of this.#waiters.get(holder) ?? []) {
      const claim = waiting.claim();
      if (claim !== null) return claim;
    }
    return null;
  }

  /** Ends every wait, now and from now on, so that whoever waits is answered with what there is. */
  close(): void {
    this.#closed = true;
    for (const waiters of this.#waiters.values()) for (const waiting of waiters) waiting.wake();
  }
}
