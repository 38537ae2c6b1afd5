/**
 * Keeps a transaction's function to its transaction.
 *
 * A handle works only while the function it was given to is unsettled, and the function may wait
 * for nothing but its handle: a foreign wait (the network, a timer, another operation) would hold
 * the one writer for as long as the stranger likes, or for ever.
 */
import { SeedError } from '../../errors.ts';

/** Counts what a handle does, so that a turn without any statement can be told. */
export class HandleGuard {
  #open = true;
  #outstanding = 0;
  #statements = 0;

  /** A statement begins. To be followed by {@link ended}, whatever becomes of it. */
  began(): void {
    if (!this.#open) throw handleClosed();
    this.#outstanding++;
    this.#statements++;
  }

  ended(): void {
    this.#outstanding--;
  }

  /** Both around a statement that returns at once. */
  useSync<T>(statement: () => T): T {
    if (!this.#open) throw handleClosed();
    this.#statements++;
    return statement();
  }

  /** Runs `fn` and closes the handle when it settles. */
  async scope<T>(fn: () => Promise<T>): Promise<T> {
    try {
      return await fn();
    } finally {
      this.#open = false;
    }
  }

  async #settle<T>(fn: () => Promise<T>): Promise<T> {
    const value = await fn();
    if (this.#outstanding > 0) throw notAwaited();
    return value;
  }

  /**
   * As {@link scope}, and watches that `fn` waits for nothing but its handle.
   *
   * @throws SeedError `handle_closed` when a statement is still outstanding as `fn` settles,
   *   `foreign_wait` when a whole turn of the event loop passes in which `fn` is
   *   unsettled and no statement of it is outstanding.
   */
  run<T>(fn: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let seen = -1;
      let turn: NodeJS.Immediate | null = null;
      const close = (): void => {
        this.#open = false;
        if (turn !== null) clearImmediate(turn);
      };
      const look = (): void => {
        if (this.#outstanding === 0 && seen === this.#statements) {
          close();
          reject(foreignWait());
          return;
        }
        seen = this.#outstanding === 0 ? this.#statements : -1;
        turn = setImmediate(look);
      };
      turn = setImmediate(look);
      this.#settle(fn).then(
        (value) => {
          close();
          resolve(value);
        },
        (error: Error) => {
          close();
          reject(error);
        },
      );
    });
  }
}

function notAwaited(): SeedError {
  return new SeedError('handle_closed', 'An operation ended before a statement of its own.', {
    hint: 'Await every statement inside the function that received the handle.',
  });
}

function handleClosed(): SeedError {
  return new SeedError('handle_closed', 'A transaction handle was used after its transaction had ended.', {
    hint: 'Await every statement inside the function that received the handle.',
  });
}

function foreignWait(): SeedError {
  return new SeedError('foreign_wait', 'An operation waited for something outside its transaction.', {
    hint: 'Do the waiting before or after; inside, await the handle only.',
  });
}
