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
import { assertGrantInForce } from './identity/grants.ts';
import type { OperateOptions, Operation, Receipted } from './operation.ts';
import { GuardedHandle, keptOrUndone, OperationHandle } from './operation.ts';
import type { LogState, WritableLog } from './receipts/log.ts';
import { LogWriter, readLogState } from './receipts/log.ts';
import { Recollection } from './recollection.ts';
import type { Sources } from './sources.ts';
import { isFatal } from './store/handle.ts';
import type { Store, Transaction, WriteHandle } from './store/store.ts';

/** Jobs in one transaction, at most. */
export const GROUP_JOBS_MAX = 64;

/** Groups that may follow one another before the event loop has its turn. */
const GROUPS_A_TURN_MAX = 4;

/** Jobs that may wait; one more is refused as `busy`. */
export const QUEUE_JOBS_MAX = 8_192;

interface Job {
  /** Runs in the group's transaction; rejects only when the whole transaction is lost. */
  readonly run: (tx: Transaction, log: LogWriter) => Promise<(sealed: LogState) => void>;
  readonly reject: (error: unknown) => void;
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
