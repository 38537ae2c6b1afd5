/**
 * The one writer: groups what waits into transactions, and gives every operation its receipt.
 *
 * A group is at most 64 jobs, each in its own savepoint, then one checkpoint and one fsync for all
 * of them. Nobody is answered before the group is durable.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SeedError, toSeedError } from '../errors.ts';
import type { SignCheckpoint } from '../formats/checkpoint.ts';
import { FormatError } from '../formats/error.ts';
import type { Actor } from './actor.ts';
import { assertGrantInForce } from './identity/grants.ts';
import type { LogState, ReceiptDraft, WritableLog } from './receipts/log.ts';
import { LogWriter, readLogState } from './receipts/log.ts';
import type { Sources } from './sources.ts';
import { HandleGuard } from './store/guard.ts';
import { isFatal } from './store/handle.ts';
import { Recollection } from './recollection.ts';
import type { Reading, Row, Store, Transaction, Value, WriteHandle } from './store/store.ts';
import { assertReading, assertWritable, saysWhoMayComeIn } from './tables.ts';

/** Jobs in one transaction, at most. */
export const GROUP_JOBS_MAX = 64;

/** Groups that may follow one another before the event loop has its turn. */
const GROUPS_A_TURN_MAX = 4;

/** Jobs that may wait; one more is refused as `busy`. */
export const QUEUE_JOBS_MAX = 8_192;

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

interface Job {
  /** Runs in the group's transaction; rejects only when the whole transaction is lost. */
  readonly run: (tx: Transaction, log: LogWriter) => Promise<(sealed: LogState) => void>;
  readonly reject: (error: unknown) => void;
}

/** One transaction, and what is remembered from those before it. */
interface View {
  readonly tx: Transaction;
  readonly recollection: Recollection;
}

class GuardedHandle implements WriteHandle {
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

  async recall<T>(reading: Reading<T>, key = ''): Promise<T> {
    this.guard.began();
    try {
      return await this.#recollection.recall(this.#tx, this, { reading, key });
    } finally {
      this.guard.ended();
    }
  }

  async get<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R | undefined> {
    assertReading(sql);
    this.guard.began();
    try {
      return await this.#tx.get<R>(sql, ...params);
    } finally {
      this.guard.ended();
    }
  }

  async all<R extends Row>(sql: string, ...params: readonly Value[]): Promise<R[]> {
    assertReading(sql);
    this.guard.began();
    try {
      return await this.#tx.all<R>(sql, ...params);
    } finally {
      this.guard.ended();
    }
  }

  /** The savepoint is set by the first write: what only reads, or leaves its receipt alone, needs none. */
  async run(sql: string, ...params: readonly Value[]): Promise<number> {
    const table = assertWritable(sql, this.#writer);
    if (saysWhoMayComeIn(table)) this.wroteAccess = true;
    this.#recollection.wrote(table);
    this.guard.began();
    try {
      if (this.#inSavepoint) return await this.#tx.run(sql, ...params);
      this.#inSavepoint = true;
      // One after the other, and both at once: whoever does not wait has its statement all the same.
      const [, changes] = await Promise.all([this.#tx.savepoint(), this.#tx.run(sql, ...params)]);
      return changes;
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

class OperationHandle extends GuardedHandle implements Operation {
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

export interface WriterOptions {
  readonly store: Store;
  /** Signs the log's checkpoints, see `logSigner`. */
  readonly sign: SignCheckpoint;
  readonly sources: Sources;
  readonly state: WritableLog;
  /** Told after each commit that added receipts. */
  readonly onCommit: (state: LogState) => void;
  readonly fault: (point: string) => void;
}

export class Writer {
  readonly #options: WriterOptions;
  readonly #queue: Job[] = [];
  readonly #recollection = new Recollection();
  #state: WritableLog;
  #working: Promise<void> | null = null;
  #closed = false;
  /** Set while it is not known what the last commit left; nothing is written before that is found out. */
  #doubt: { readonly candidate: WritableLog } | null = null;
  /** Whether an operation of this group has written who may come in. */
  #accessWritten = false;
  #accessVersion = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#state = options.state;
  }

  get state(): LogState {
    return this.#state;
  }

  /** Changes with each group that may have changed who may come in, before anybody of it is answered. */
  get accessVersion(): number {
    return this.#accessVersion;
  }

  operate<T>(options: OperateOptions, fn: (op: Operation) => Promise<T>): Promise<Receipted<T>> {
    return this.#enqueue<Receipted<T>>((tx, log) => this.#operate(tx, log, options, fn));
  }

  maintain<T>(fn: (tx: WriteHandle) => Promise<T>): Promise<T> {
    return this.#enqueue<T>(async (tx) => {
      const handle = new GuardedHandle({ tx, recollection: this.#recollection }, 'maintenance');
      const ended = await keptOrUndone(handle, () => handle.guard.run(() => fn(handle)));
      if ('error' in ended) throw ended.error;
      return () => ended.value;
    });
  }

  /** Refuses what comes from now on and resolves when what was accepted is settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  #enqueue<T>(work: (tx: Transaction, log: LogWriter) => Promise<(sealed: LogState) => T>): Promise<T> {
    if (this.#closed) return Promise.reject(stopping());
    if (this.#queue.length >= QUEUE_JOBS_MAX) return Promise.reject(tooMuchWaiting());
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({
        reject,
        run: async (tx, log) => {
          try {
            const answer = await work(tx, log);
            return (sealed) => {
              resolve(answer(sealed));
            };
          } catch (error) {
            if (isFatal(error)) throw error;
            return () => {
              reject(asOperationError(error));
            };
          }
        },
      });
      this.#working ??= this.#drain();
    });
  }

  /**
   * Works until nothing waits. A group starts on a turn of its own: whatever arrived in this one
   * joins it (a microtask instead gave groups of one: 2,197/s, not 7,947/s over HTTP). Where as many
   * wait again as were just answered, they are those, and nobody else is worth a turn; but for
   * {@link GROUPS_A_TURN_MAX}, or they could keep everybody else off the event loop.
   */
  async #drain(): Promise<void> {
    for (let [groups, answered] = [0, 0]; this.#queue.length > 0; groups++) {
      if (groups % GROUPS_A_TURN_MAX === 0 || this.#queue.length < answered) await nextTurn();
      const jobs = this.#queue.splice(0, GROUP_JOBS_MAX);
      answered = jobs.length;
      await this.#commitGroup(jobs);
      await callersWentOn();
    }
    this.#working = null;
  }

  async #commitGroup(jobs: readonly Job[]): Promise<void> {
    const { store, sign, fault, onCommit } = this.#options;
    const answers: ((sealed: LogState) => void)[] = [];
    // Written in a closure, which the type checker does not follow.
    let sealed = null as WritableLog | null;
    try {
      await this.#settleDoubt();
      const log = new LogWriter(this.#state, sign);
      await store.transaction(async (tx) => {
        for (const job of jobs) answers.push(await job.run(tx, log));
        fault('group.seal');
        sealed = await log.seal(tx);
      });
    } catch (error) {
      this.#recollection.forget();
      this.#countAccess();
      const failure = await this.#afterLostGroup(toSeedError(error), sealed);
      for (const job of jobs) job.reject(failure);
      return;
    }
    const state = sealed ?? this.#state;
    const grown = state.size > this.#state.size;
    this.#state = state;
    this.#countAccess();
    fault('group.answer');
    for (const answer of answers) answer(state);
    if (grown) onCommit(state);
  }

  #countAccess(): void {
    if (this.#accessWritten) this.#accessVersion++;
    this.#accessWritten = false;
  }

  /** Finds out at once, if it can, what a failed commit left, and tells the callers. */
  async #afterLostGroup(error: SeedError, sealed: WritableLog | null): Promise<SeedError> {
    if (error.code !== 'commit_unknown') return error;
    const before = this.#state;
    this.#doubt = { candidate: sealed ?? before };
    let holds: 'yes' | 'no' | 'unknown' = 'unknown';
    try {
      await this.#settleDoubt();
      // A group that added no receipt left the head as it was: whether it holds cannot be seen there.
      const telling = sealed === null || sealed.size > before.size;
      if (telling) holds = this.#state.size > before.size ? 'yes' : 'no';
    } catch {
      // The file cannot be read either; every later write tries again first, and says why it fails.
    }
    const why = error.cause instanceof SeedError ? error.cause.hint : 'Try again.';
    return new SeedError('commit_unknown', error.message, {
      hint: holds === 'no' ? `Nothing of it was kept. ${why}` : error.hint,
      data: { ...error.data, holds },
      cause: error.cause,
    });
  }

  /** Reads the head again from the disk; it is the one of before the group or the one of after it. */
  async #settleDoubt(): Promise<void> {
    if (this.#doubt === null) return;
    const { candidate } = this.#doubt;
    const { store } = this.#options;
    await store.reopen();
    const found = await store.read(readLogState);
    if (found?.checkpoint === candidate.checkpoint) {
      const grown = candidate.size > this.#state.size;
      this.#state = candidate;
      if (grown) this.#options.onCommit(candidate);
    } else if ((found?.checkpoint ?? '') !== this.#state.checkpoint) {
      throw new SeedError('log_forked', 'The log on disk is not the one this process wrote.', {
        hint: 'Stop the daemon; another program may have replaced the database.',
      });
    }
    this.#doubt = null;
  }

  async #operate<T>(
    tx: Transaction,
    log: LogWriter,
    { action, actor }: OperateOptions,
    fn: (op: Operation) => Promise<T>,
  ): Promise<(sealed: LogState) => Receipted<T>> {
    const now = this.#options.sources.now();
    const handle = new OperationHandle({ tx, recollection: this.#recollection }, now, log.nextSeq);
    const who = { actor: { id: actor.id, kind: actor.kind, grant: actor.grant }, action };
    const blank = { ...BLANK, subject: { type: 'seed', id: log.seed } };
    const ended = await keptOrUndone(handle, async () => {
      const value = await handle.guard.run(async () => {
        // Between the door's check and this moment the owner may have removed the key.
        if (actor.grant !== null) await assertGrantInForce(handle, actor.grant, now);
        return fn(handle);
      });
      await log.append(tx, { ...blank, ...handle.fields, ...who }, now);
      return value;
    });
    this.#recollection.wrote(action);
    if (handle.wroteAccess) this.#accessWritten = true;
    if ('value' in ended) return (sealed) => ({ value: ended.value, seq: handle.seq, checkpoint: sealed.checkpoint });
    const error = asOperationError(ended.error);
    const trace = { ...blank, ...who, outcome: error.kind, code: error.code };
    const { subject, detail } = { ...blank, ...handle.fields };
    // What the operation said of itself is kept, unless that is what was wrong with it.
    try {
      await log.append(tx, { ...trace, subject, detail }, now);
    } catch (unsaid) {
      if (isFatal(unsaid)) throw unsaid;
      await log.append(tx, trace, now);
    }
    throw withReceipt(error, handle.seq);
  }
}

/** Resolves when everybody who was answered has gone on as far as it can at once. */
function callersWentOn(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

const BLANK = { outcome: 'ok', code: null, of: null, input: null, output: null, detail: {} } as const;

/** Runs `fn`: what was done with the handle is kept whole, or undone whole when it throws. */
async function keptOrUndone<T>(
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

function asOperationError(thrown: unknown): SeedError {
  if (!(thrown instanceof FormatError)) return toSeedError(thrown);
  return new SeedError('not_canonical', thrown.message, {
    hint: 'A receipt holds short strings, whole numbers and null.',
    data: { field: thrown.field },
    cause: thrown,
  });
}

/** The same error, saying which receipt tells of it. */
function withReceipt(error: SeedError, seq: number): SeedError {
  const { code, message, hint, data } = error;
  return new SeedError(code, message, { hint, data: { ...data, receipt: seq }, cause: error });
}

function stopping(): SeedError {
  return new SeedError('stopping', 'The seed is stopping; nothing was done.', { hint: 'Try again when it is back.' });
}

function tooMuchWaiting(): SeedError {
  return new SeedError('busy', `${QUEUE_JOBS_MAX} writes are waiting already; nothing was done.`, {
    hint: 'Try again in a moment.',
  });
}
