/**
 * Reads over one connection, one after the other. Those that wait together share one view: each was asked
 * for before the view was opened, so each sees all that was committed before it was asked for. To open a
 * view and to end it is most of what a small read costs.
 */
import type { Connection } from './connection.ts';
import { storeError } from './connection.ts';
import { HandleGuard } from './guard.ts';
import { SqliteHandle } from './handle.ts';
import type { ReadHandle } from './store.ts';
import { Turnstile } from './turnstile.ts';

/** While a view is open, SQLite cannot begin its journal anew. */
const READS_PER_VIEW_MAX = 64;

/** A read that waits, as it is run; the next one may go on in its view where it is not the last. */
type Waiting = (isLast: boolean) => Promise<void>;

export class Reads {
  readonly #turnstile = new Turnstile();
  readonly #path: string;
  readonly #connection: () => Connection;
  #waiting: Waiting[] = [];
  /** Whether a read before has left its view to the next one. */
  #isViewOpen = false;

  /** @param connection may throw why there is none, and becomes another one in {@link alone} only */
  constructor(path: string, connection: () => Connection) {
    this.#path = path;
    this.#connection = connection;
  }

  read<T>(fn: (db: ReadHandle) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push((isLast) => this.#run(fn, isLast).then(resolve, reject));
      if (this.#waiting.length === 1) this.#schedule();
    });
  }

  /** Runs `fn` while nothing is read and no view is open. */
  alone<T>(fn: () => Promise<T>): Promise<T> {
    return this.#turnstile.pass(fn);
  }

  #schedule(): void {
    void this.#turnstile.pass(() => this.#runTogether());
  }

  async #runTogether(): Promise<void> {
    const together = this.#waiting.slice(0, READS_PER_VIEW_MAX);
    this.#waiting = this.#waiting.slice(READS_PER_VIEW_MAX);
    if (this.#waiting.length > 0) this.#schedule();
    for (const [index, run] of together.entries()) await run(index === together.length - 1);
  }

  async #run<T>(fn: (db: ReadHandle) => Promise<T>, isLast: boolean): Promise<T> {
    const db = this.#connection();
    const guard = new HandleGuard();
    try {
      if (!this.#isViewOpen) db.prepare('BEGIN').run();
      this.#isViewOpen = false;
      try {
        const value = await guard.run(() => fn(new SqliteHandle(db, guard)));
        this.#isViewOpen = !isLast && db.inTransaction();
        return value;
      } finally {
        // Nothing was written; what matters is that no view stays open, and that none is gone on with
        // in which something went wrong.
        if (!this.#isViewOpen) db.prepare('ROLLBACK').run();
      }
    } catch (error) {
      throw storeError(error, this.#path);
    }
  }
}
