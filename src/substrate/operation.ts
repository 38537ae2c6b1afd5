/**
 * One operation: what it is given, what it says of itself, and the handle by which its work is kept or
 * undone apart from that of the others in its group.
 */
import type { Actor } from './actor.ts';
import type { ReceiptDraft } from './receipts/log.ts';
import type { Recollection } from './recollection.ts';
import { HandleGuard } from './store/guard.ts';
import { isFatal } from './store/handle.ts';
import type { Reading, Row, Transaction, Value, WriteHandle } from './store/store.ts';
import { assertReading, assertWritable, saysWhoMayComeIn } from './tables.ts';

/** What an operation says in its receipt beyond its action and actor. */
export type ReceiptFields = Partial<Omit<ReceiptDraft, 'actor' | 'action'>>;

/** The handle of one operation: its statements, and what its receipt says. */
export interface Operation extends WriteHandle {
  /** The clock when the operation began, ms since the epoch. */
  readonly now: number;
  /** The `seq` that the operation's receipt will have. */
  readonly seq: number;
  /** Adds to the receipt; later calls win. */
  receipt(fields: ReceiptFields): void;
}

export interface OperateOptions {
  /** `noun.verb`, as it stands in the receipt. */
  readonly action: string;
  readonly actor: Actor;
  /**
   * For what only says that something was read: listeners are not told. One that reads whenever it
   * is told would otherwise be told of its own reading, for ever.
   */
  readonly quiet?: boolean;
}

/** What an operation resolves to, once it is durable. */
export interface Receipted<T> {
  readonly value: T;
  /** The receipt's `seq`. */
  readonly seq: number;
  /** The signed checkpoint that covers it. */
  readonly checkpoint: string;
}

/** One transaction, and what is remembered from those before it. */
export interface View {
  readonly tx: Transaction;
  readonly recollection: Recollection;
}

/** The handle of one job of a group: what it may write, what it remembers, and how its work is undone alone. */
export class GuardedHandle implements WriteHandle {
  readonly guard: HandleGuard = new HandleGuard();
  readonly #tx: Transaction;
  readonly #writer: 'operation' | 'maintenance';
  readonly #recollection: Recollection;
  #inSavepoint = false;
  /** Whether anything was written of who may come in. */
  wroteAccess = false;

  constructor({ tx, recollection }: View, writer: 'operation' | 'maintenance') {
    this.#tx = tx;
    this.#recollection = recollection;
    this.#writer = writer;
  }

  recall<T>(reading: Reading<T>, key = ''): Promise<T> {
    return this.#during(() => this.#recollection.recall(this.#tx, this, { reading, key }));
  }

  get<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R | undefined> {
    return this.#during(() => {
      assertReading(sql);
      return this.#tx.get<R>(sql, ...params);
    });
  }

  all<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R[]> {
    return this.#during(() => {
      assertReading(sql);
      return this.#tx.all<R>(sql, ...params);
    });
  }

  /** The savepoint is set by the first write: what only reads, or leaves its receipt alone, needs none. */
  run(sql: string, ...params: readonly Value[]): Promise<number> {
    return this.#during(async () => {
      const table = assertWritable(sql, this.#writer);
      if (saysWhoMayComeIn(table)) this.wroteAccess = true;
      this.#recollection.wrote(table);
      if (this.#inSavepoint) return this.#tx.run(sql, ...params);
      this.#inSavepoint = true;
      // One after the other, and both at once: whoever does not wait has its statement all the same.
      const [, changes] = await Promise.all([this.#tx.savepoint(), this.#tx.run(sql, ...params)]);
      return changes;
    });
  }

  /** Lets the guard see that a statement is outstanding, however it ends. */
  async #during<T>(statement: () => Promise<T>): Promise<T> {
    this.guard.began();
    try {
      return await statement();
    } finally {
      this.guard.ended();
    }
  }

  /** Keeps what was done with this handle. */
  async keep(): Promise<void> {
    if (this.#inSavepoint) await this.#tx.release();
  }

  /** Undoes what was done with this handle. */
  async undo(): Promise<void> {
    if (!this.#inSavepoint) return;
    this.#recollection.forget();
    await this.#tx.rollback();
  }
}

export class OperationHandle extends GuardedHandle implements Operation {
  readonly now: number;
  readonly seq: number;
  fields: ReceiptFields = {};

  constructor(view: View, now: number, seq: number) {
    super(view, 'operation');
    this.now = now;
    this.seq = seq;
  }

  receipt(fields: ReceiptFields): void {
    this.fields = { ...this.fields, ...fields };
  }
}

/** Runs `fn`: what was done with the handle is kept whole, or undone whole when it throws. */
export async function keptOrUndone<T>(
  handle: GuardedHandle,
  fn: () => Promise<T>,
): Promise<{ value: T } | { error: unknown }> {
  try {
    const value = await fn();
    await handle.keep();
    return { value };
  } catch (error) {
    if (isFatal(error)) throw error;
    await handle.undo();
    return { error };
  }
}
