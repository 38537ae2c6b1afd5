/** The statements of one SQLite transaction, and what may have ended it under them. */
import type { Connection } from './connection.ts';
import { sqliteCode } from './connection.ts';
import type { HandleGuard } from './guard.ts';
import type { Reading, Row, Transaction, Value } from './store.ts';

/** What a transaction that writes needs of its store. */
export interface WriteSide {
  /** Rolls the whole transaction back and begins it again. */
  readonly startOver: () => Promise<void>;
  readonly foreignVersion: () => number;
}

export class SqliteHandle implements Transaction {
  readonly #db: Connection;
  readonly #guard: HandleGuard;
  readonly #writeSide: WriteSide;
  #lost: { readonly error: unknown } | null = null;
  /** Whether anything may have been written in this transaction. */
  #wrote = false;
  /** Whether the newest savepoint is the transaction's own beginning. */
  #fromBeginning = false;

  constructor(db: Connection, guard: HandleGuard, writeSide: WriteSide = READS_ONLY) {
    this.#db = db;
    this.#guard = guard;
    this.#writeSide = writeSide;
  }

  async recall<T>(reading: Reading<T>, key = ''): Promise<T> {
    return reading.read(this, key);
  }

  foreignVersion(): number {
    return this.#use(() => this.#writeSide.foreignVersion());
  }

  async get<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R | undefined> {
    return this.#use(() => (this.#db.prepare(sql).get(...params) ?? undefined) as R | undefined);
  }

  async all<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R[]> {
    return this.#use(() => this.#db.prepare(sql).all(...params) as R[]);
  }

  async run(sql: string, ...params: readonly Value[]): Promise<number> {
    this.#wrote = true;
    return this.#use(() => Number(this.#db.prepare(sql).run(...params).changes));
  }

  /**
   * After an error that may have ended the transaction nothing more runs: the next SAVEPOINT would
   * silently begin another transaction, and its RELEASE commit half a group.
   */
  #use<T>(statement: () => T): T {
    this.assertAlive();
    try {
      return this.#guard.useSync(statement);
    } catch (error) {
      if (isFatal(error)) this.#lost = { error };
      throw error;
    }
  }

  assertAlive(): void {
    if (this.#lost !== null) throw this.#lost.error;
  }

  /** Without its savepoint nothing is known of the transaction: a statement may have ended it. */
  #control(sql: string): void {
    try {
      this.#use(() => this.#db.prepare(sql).run());
    } catch (error) {
      this.#lost ??= { error: new TransactionLost(error) };
      throw this.#lost.error;
    }
  }

  /**
   * Where nothing was written yet the transaction's beginning is as good: a savepoint makes SQLite copy each
   * page that is changed after it, and most transactions have one operation alone.
   */
  async savepoint(): Promise<void> {
    this.#fromBeginning = !this.#wrote;
    if (!this.#fromBeginning) this.#control('SAVEPOINT operation');
  }

  async rollback(): Promise<void> {
    if (this.#fromBeginning) {
      await this.#beginAgain();
      return;
    }
    this.#control('ROLLBACK TO operation');
    this.#control('RELEASE operation');
  }

  async #beginAgain(): Promise<void> {
    this.assertAlive();
    try {
      await this.#writeSide.startOver();
      this.#wrote = false;
    } catch (error) {
      this.#lost ??= { error: new TransactionLost(error) };
      throw this.#lost.error;
    }
  }

  async release(): Promise<void> {
    if (!this.#fromBeginning) {
      this.#control('RELEASE operation');
      return;
    }
    this.assertAlive();
    if (this.#db.inTransaction()) return;
    this.#lost = { error: new TransactionLost(null) };
    throw this.#lost.error;
  }
}

const READS_ONLY: WriteSide = { startOver: readsOnly, foreignVersion: readsOnly };

function readsOnly(): never {
  throw new TypeError('This view only reads.');
}

/** The transaction ended before its time, with a statement that should only have failed. */
class TransactionLost extends Error {
  override readonly name = 'TransactionLost';

  constructor(cause: unknown) {
    super('The transaction ended before its time.', { cause });
  }
}

/** Errors after which SQLite may have rolled back the whole transaction (sqlite.org/lang_transaction.html §3). */
const FATAL_CODES = new Set([
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_NOMEM',
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_READONLY',
  'SQLITE_CANTOPEN',
  'SQLITE_PROTOCOL',
  'SQLITE_BUSY',
]);

/** Whether an error is of a kind that may have cost the whole transaction, not one statement. */
export function isFatal(error: unknown): boolean {
  const code = sqliteCode(error);
  return error instanceof TransactionLost || (code !== null && FATAL_CODES.has(code));
}
