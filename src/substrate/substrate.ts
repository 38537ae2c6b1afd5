/**
 * The substrate: everything durable, behind three verbs.
 *
 * `read` sees one consistent view. `operate` changes receipted state: the effect and its receipt
 * commit together, under one signed checkpoint, or not at all. `maintain` changes volatile state,
 * which needs no receipt. Nothing here knows of MCP, HTTP or models.
 */
import { existsSync } from 'node:fs';
import { SeedError, toSeedError } from '../errors.ts';
import type { Signer } from '../formats/checkpoint.ts';
import type { RootChain } from '../formats/root.ts';
import { OWNER } from './actor.ts';
import { MailSignals } from './bus/signals.ts';
import { homePath } from './home/layout.ts';
import { passphrasePath } from './identity/keys.ts';
import type { PassphraseCheck } from './identity/passphrase.ts';
import { loadPassphrase } from './identity/passphrase.ts';
import type { StoredRoot } from './identity/root.ts';
import { loadRoot } from './identity/root.ts';
import { HeldCheckpoint } from './receipts/held.ts';
import type { LogState, WritableLog } from './receipts/log.ts';
import { logSigner, readOpenIntents } from './receipts/log.ts';
import { rangeHash } from './receipts/tree.ts';
import { CoherenceSignals } from './coherence/signals.ts';
import { SessionSignals } from './sessions/signals.ts';
import type { Sources } from './sources.ts';
import type { SqliteDriver } from './store/connection.ts';
import { sqliteCode } from './store/connection.ts';
import { assertUpToDate } from './store/migrate.ts';
import type { SqliteOptions } from './store/sqlite.ts';
import { openSqliteReader, openSqliteStore } from './store/sqlite.ts';
import type { ReadHandle, Store, StoreSize, WriteHandle } from './store/store.ts';
import { assertHead, loadNamedKey, logDamaged, openLog, readHead, schemaAltered } from './trust.ts';
import type { OperateOptions, Operation, Receipted } from './operation.ts';
import { Writer } from './writer.ts';

export type { OperateOptions, Operation, Receipted } from './operation.ts';
export type { ReadHandle, Row, StoreSize, WriteHandle } from './store/store.ts';

/** What can be asked of a home that somebody else may be serving. */
export interface SubstrateReader {
  readonly home: string;
  readonly seed: string;
  readonly sources: Sources;
  readonly root: RootChain;
  /** The exact texts of the root of trust, oldest first. */
  readonly rootFiles: readonly string[];
  readonly driver: SqliteDriver;
  /** Wakes those in this process who wait for messages; where nobody serves, nobody does. */
  readonly mail: MailSignals;
  /** Tells those in this process who listen that a session changed or was handed over. */
  readonly sessions: SessionSignals;
  /** Tells those in this process who listen that the state of some subsystem's work changed. */
  readonly coherence: CoherenceSignals;
  /** The log as last committed. */
  log(): Promise<LogState>;
  read<T>(fn: (db: ReadHandle) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Substrate extends SubstrateReader {
  readonly passphrase: PassphraseCheck;
  /** Why the log is not trusted, if so; the doors stay shut until the owner accepts it. */
  readonly distrust: SeedError | null;
  /**
   * Changes receipted state: runs `fn` in a transaction and leaves exactly one receipt. A thrown
   * refusal leaves a `refused` receipt, any other error a `failed` one, and nothing of what `fn`
   * did. `fn` may be run again and must have no effect outside its handle.
   *
   * @throws SeedError what `fn` threw, with the receipt's number in `data.receipt`;
   *   `busy`, `stopping` or `commit_unknown` without one
   */
  operate<T>(options: OperateOptions, fn: (op: Operation) => Promise<T>): Promise<Receipted<T>>;
  /** Changes volatile state, without a receipt. */
  maintain<T>(fn: (tx: WriteHandle) => Promise<T>): Promise<T>;
  /** Overwrites what was erased, in the database file and its journal. */
  scrub(): Promise<void>;
  /** Changes when a program other than this one has committed; see `Store.foreignVersion`. */
  foreignVersion(): number;
  /** Changes when a commit of this process may have changed who may come in: the grants and the switches. */
  accessVersion(): number;
  /**
   * Calls `listener` with the action after each operation that was not quiet; the returned function takes it
   * back. The action says what kind of thing happened, so that whoever needs few of them looks for few.
   */
  onChange(listener: (action: string) => void): () => void;
  /** Puts the newest checkpoint outside the database now. */
  flushCheckpoint(): void;
  /** Takes the log as it is for the truth, with a receipt that says what was lost. */
  acceptLog(): Promise<Receipted<void>>;
  /** Structural problems of the database file. */
  check(): Promise<string[]>;
  size(): StoreSize;
}

export interface SubstrateOptions {
  readonly home: string;
  readonly driver: SqliteDriver;
  readonly sources: Sources;
  /** Named points at which a test stops the process. */
  readonly fault?: (point: string) => void;
  /** Told of what goes wrong where nobody waits for an answer. */
  readonly onBackgroundError?: (error: SeedError) => void;
}

interface Parts {
  readonly store: Store;
  readonly state: WritableLog;
  readonly distrust: SeedError | null;
  readonly root: StoredRoot;
  readonly signer: Signer;
}

class LiveSubstrate implements Substrate {
  readonly home: string;
  readonly seed: string;
  readonly sources: Sources;
  readonly root: RootChain;
  readonly rootFiles: readonly string[];
  readonly passphrase: PassphraseCheck;
  readonly driver: SqliteDriver;
  readonly mail: MailSignals = new MailSignals();
  readonly sessions: SessionSignals = new SessionSignals();
  readonly coherence: CoherenceSignals = new CoherenceSignals();
  readonly #store: Store;
  readonly #writer: Writer;
  readonly #held: HeldCheckpoint;
  readonly #listeners = new Set<(action: string) => void>();
  readonly #tellChange: (action: string) => void;
  readonly #onBackgroundError: (error: SeedError) => void;
  #distrust: SeedError | null;

  constructor(options: SubstrateOptions, { store, state, distrust, root, signer }: Parts) {
    const { home, sources, fault = () => {}, onBackgroundError = () => {} } = options;
    this.home = home;
    this.sources = sources;
    this.root = root.chain;
    this.rootFiles = root.files;
    this.seed = root.chain.seed;
    this.passphrase = loadPassphrase(passphrasePath(home));
    this.driver = options.driver;
    this.#store = store;
    this.#distrust = distrust;
    this.#onBackgroundError = onBackgroundError;
    this.#held = new HeldCheckpoint(homePath(home, 'checkpoint'), (error) => {
      onBackgroundError(toSeedError(error));
    });
    const onCommit = ({ checkpoint }: LogState): void => {
      // An untrusted log must not replace the evidence against it.
      if (this.#distrust === null) this.#held.keep(checkpoint);
    };
    this.#tellChange = (action) => {
      for (const listener of this.#listeners) {
        try {
          listener(action);
        } catch (error) {
          // What is committed is committed: whoever asked for it gets its answer.
          onBackgroundError(toSeedError(error));
        }
      }
    };
    this.#writer = new Writer({ store, state, sources, fault, sign: logSigner(state.seed, signer), onCommit });
  }

  get distrust(): SeedError | null {
    return this.#distrust;
  }

  log(): Promise<LogState> {
    return Promise.resolve(this.#writer.state);
  }

  read<T>(fn: (db: ReadHandle) => Promise<T>): Promise<T> {
    return this.#store.read(fn);
  }

  async operate<T>(options: OperateOptions, fn: (op: Operation) => Promise<T>): Promise<Receipted<T>> {
    if (this.#distrust !== null) throw this.#distrust;
    try {
      return await this.#writer.operate(options, fn);
    } finally {
      if (options.quiet !== true) this.#tellChange(options.action);
    }
  }

  async maintain<T>(fn: (tx: WriteHandle) => Promise<T>): Promise<T> {
    if (this.#distrust !== null) throw this.#distrust;
    return this.#writer.maintain(fn);
  }

  scrub(): Promise<void> {
    return this.#store.scrub();
  }

  foreignVersion(): number {
    return this.#store.foreignVersion();
  }

  accessVersion(): number {
    return this.#writer.accessVersion;
  }

  onChange(listener: (action: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  flushCheckpoint(): void {
    try {
      this.#held.flush();
    } catch (error) {
      // What it was to keep safe is done and durable; the next commit tries again.
      this.#onBackgroundError(toSeedError(error));
    }
  }

  async acceptLog(): Promise<Receipted<void>> {
    const distrust = this.#distrust;
    const { size, range } = this.#writer.state;
    // A log that was cut or altered in itself is not made whole by accepting it.
    await this.#store.read(async (db) => {
      await assertHead(db, this.#writer.state, this.root);
      if (size > 0 && !Buffer.from(await rangeHash(db, 0, size)).equals(range.root())) throw logDamaged(size);
    });
    const accepted = await this.#writer.operate({ action: 'log.accept', actor: OWNER }, async (op) => {
      op.receipt({ detail: { size, held: Number(distrust?.data['held'] ?? size), reason: distrust?.code ?? 'none' } });
    });
    // Until it is kept outside too, the next start would distrust the log again.
    this.#held.keep(accepted.checkpoint);
    this.#held.flush();
    this.#distrust = null;
    return accepted;
  }

  check(): Promise<string[]> {
    return this.#store.check();
  }

  size(): StoreSize {
    return this.#store.size();
  }

  async close(): Promise<void> {
    this.mail.close();
    await this.#writer.close();
    try {
      this.#held.flush();
    } finally {
      await this.#store.close();
    }
  }
}

/** An empty database in its place would be a seed that remembers nothing. */
function databaseMissing(path: string): SeedError {
  return new SeedError('home_damaged', `The database ${path} is missing.`, {
    hint: 'Put the file back, or restore the home from a backup.',
  });
}

/**
 * Opens the substrate of a home for the one process that holds its lock.
 *
 * A log that contradicts the checkpoint kept outside it is opened all the same, with `distrust`
 * set: it can be read and exported, and nothing can be written until the owner accepts it.
 *
 * @throws SeedError `home_damaged`, `store_corrupt`, `store_newer`, `store_unwritable`, `disk_full`
 */
export async function openSubstrate(options: SubstrateOptions): Promise<Substrate> {
  const { home, driver, sources } = options;
  const root = loadRoot(homePath(home, 'root'));
  const signer = loadNamedKey(home, 'log', root.chain);
  const path = homePath(home, 'database');
  // A home without settings is being made; one that has them had a database.
  if (!existsSync(path) && existsSync(homePath(home, 'settings'))) throw databaseMissing(path);
  const store = openStore({
    path,
    driver,
    sources,
    ...(options.fault === undefined ? {} : { fault: options.fault }),
  });
  try {
    const { state, distrust } = await openLog((fn) => store.read(fn), root.chain, home);
    const open = await store.read(readOpenIntents);
    return new LiveSubstrate(options, { store, state: { ...state, open }, distrust, root, signer });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** What SQL says while the schema is brought up to date can only be that the schema is none of ours. */
function openStore(options: SqliteOptions): Store {
  try {
    return openSqliteStore(options);
  } catch (error) {
    if (sqliteCode(error) !== 'SQLITE_ERROR') throw error;
    throw schemaAltered(error);
  }
}

/** Opens a home for reading only, whoever serves it. */
export function openSubstrateReader({ home, driver, sources }: SubstrateOptions): SubstrateReader {
  if (!existsSync(homePath(home, 'database'))) throw databaseMissing(homePath(home, 'database'));
  const { chain, files } = loadRoot(homePath(home, 'root'));
  const store = openSqliteReader(homePath(home, 'database'), driver);
  return {
    home,
    sources,
    seed: chain.seed,
    root: chain,
    rootFiles: files,
    driver,
    mail: new MailSignals(),
    sessions: new SessionSignals(),
    coherence: new CoherenceSignals(),
    log: () => store.read((db) => readHead(db, chain.seed)),
    read: (fn) => store.read(fn).catch((error: unknown) => explain(store, error)),
    close: () => store.close(),
  };
}

/** A statement of ours that names what is not there has met another version's tables, or altered ones. */
async function explain(store: Pick<Store, 'read'>, error: unknown): Promise<never> {
  if (sqliteCode(error) === 'SQLITE_ERROR') await store.read(assertUpToDate);
  throw error;
}
