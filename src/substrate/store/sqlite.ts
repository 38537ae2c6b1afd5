/**
 * The embedded store: one SQLite file in WAL mode with `synchronous=FULL`, which is one fsync a
 * commit (sqlite.org/pragma.html#pragma_synchronous).
 *
 * Two connections: one that writes, one read-only, because the writer's own would show rows that
 * are not committed yet. Both run synchronously; what waits is the queue in front of each.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { SeedError } from '../../errors.ts';
import { fileError } from '../home/files.ts';
import type { Sources } from '../sources.ts';
import type { Connection, SqliteDriver } from './connection.ts';
import { openConnection, sqliteCode, storeError } from './connection.ts';
import { HandleGuard } from './guard.ts';
import type { WriteSide } from './handle.ts';
import { isFatal, SqliteHandle } from './handle.ts';
import { migrate } from './migrate.ts';
import { Presence } from './presence.ts';
import { Reads } from './reads.ts';
import type { ReadHandle, Row, Store, StoreSize, Transaction } from './store.ts';
import { Turnstile } from './turnstile.ts';

/** Marks the file as a seed's (`PRAGMA application_id`); ASCII "SEED". */
const APPLICATION_ID = 0x53_45_45_44;

/** How long one transaction waits for another process's write lock before it gives up. */
const LOCK_WAIT_MS_MAX = 30_000;
/** More commits than a connection sees: SQLite counts them in 32 bits. */
const COMMITS_MAX = 2 ** 32;

/** How long a read waits for a lock; WAL readers meet one only while the log is recovered. */
const READ_LOCK_WAIT_MS_MAX = 250;

export interface SqliteOptions {
  readonly path: string;
  readonly driver: SqliteDriver;
  readonly sources: Sources;
  /** Called at each named point of a commit; tests stop the process there. */
  readonly fault?: (point: string) => void;
}

/**
 * Makes the file unless it is there, closed to others, whose -wal and -shm SQLite makes alike.
 *
 * @throws SeedError unless it is empty or begins as an SQLite database does
 */
function prepareFile(path: string): void {
  const magic = Buffer.alloc(16);
  let bytes: number;
  try {
    const file = openSync(path, 'a+', 0o600);
    try {
      bytes = readSync(file, magic, 0, 16, 0);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, path, 'store_unwritable');
  }
  if (bytes > 0 && magic.toString('latin1') !== 'SQLite format 3\0') throw foreignFile(path);
}

function foreignFile(path: string): SeedError {
  return new SeedError('store_corrupt', `The database file is damaged or is not a seed database (${path}).`, {
    hint: 'Stop, keep a copy of the file, and restore the home from a backup.',
  });
}

function openWriter(options: SqliteOptions): Connection {
  prepareFile(options.path);
  let db: Connection | null = null;
  try {
    db = openConnection(options.driver, options.path);
    const id = db.scalar('PRAGMA application_id');
    const tables = db.scalar('SELECT count(*) FROM sqlite_schema');
    if (id !== APPLICATION_ID && tables !== 0) throw foreignFile(options.path);
    // secure_delete overwrites what is deleted; auto-checkpoint stays at SQLite's default of
    // 1,000 pages, since 8,000 stalled the event loop for 68 ms.
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA foreign_keys = ON;
      PRAGMA secure_delete = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA temp_store = MEMORY;
    `);
    // Not each time: it is a write, which waits for whoever else has the write lock.
    if (id !== APPLICATION_ID) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    migrate(db, options.sources);
    emptyJournal(db);
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error, options.path);
  }
}

/**
 * Copies every frame into the database and empties the WAL file, so that no frame of before a
 * deletion remains (sqlite.org/pragma.html#pragma_wal_checkpoint); false where somebody else reads
 * or writes at the moment.
 */
function truncateJournal(db: Connection): boolean {
  return db.scalar('PRAGMA wal_checkpoint(TRUNCATE)') === 0;
}

/** A crash may have come between an erasure and its scrub; the content would stay in the WAL. */
function emptyJournal(db: Connection): void {
  try {
    truncateJournal(db);
  } catch {
    // A full disk is no reason not to open: reading goes on, and the next scrub tries again.
  }
}

function openReader(path: string, driver: SqliteDriver): Connection {
  let db: Connection | null = null;
  try {
    db = openConnection(driver, path, { readonly: true });
    db.exec(`PRAGMA busy_timeout = ${READ_LOCK_WAIT_MS_MAX}; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;`);
    if (db.scalar('PRAGMA application_id') === APPLICATION_ID) return db;
    throw foreignFile(path);
  } catch (error) {
    db?.close();
    throw storeError(error, path);
  }
}

class SqliteStore implements Store {
  readonly driver: string;
  readonly #options: SqliteOptions;
  readonly #writes = new Turnstile();
  readonly #reads: Reads;
  #writer: Connection;
  #reader: Connection;
  readonly #writeSide: WriteSide = {
    startOver: () => this.#startOver(),
    foreignVersion: () => this.foreignVersion(),
  };
  #presence: Presence;
  #reopened = 0;
  #closed = false;

  constructor(options: SqliteOptions) {
    this.#options = options;
    this.driver = options.driver;
    this.#writer = openWriter(options);
    try {
      this.#reader = openReader(options.path, options.driver);
    } catch (error) {
      closeQuietly(this.#writer);
      throw error;
    }
    this.#reads = new Reads(options.path, () => {
      this.#assertOpen();
      return this.#reader;
    });
    this.#presence = new Presence(options.path);
  }

  read<T>(fn: (db: ReadHandle) => Promise<T>): Promise<T> {
    return this.#reads.read(fn);
  }

  /** The writer's own commits leave it as it is (sqlite.org/pragma.html#pragma_data_version). */
  foreignVersion(): number {
    this.#assertOpen();
    try {
      const { data_version: commits } = this.#writer.prepare('PRAGMA data_version').get() as { data_version: number };
      // A connection counts from its opening on, so the number of another one says nothing.
      return this.#reopened * COMMITS_MAX + commits;
    } catch (error) {
      throw storeError(error, this.#options.path);
    }
  }

  transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#writes.pass(() => this.#transact(fn));
  }

  async #transact<T>(fn: (tx: Transaction) => Promise<T>): Promise<T> {
    const fault = this.#options.fault ?? (() => {});
    this.#assertOpen();
    if (!this.#presence.seems()) throw vanished(this.#options.path);
    await this.#begin();
    fault('store.begun');
    const guard = new HandleGuard();
    const handle = new SqliteHandle(this.#writer, guard, this.#writeSide);
    let value: T;
    try {
      value = await guard.scope(() => fn(handle));
      handle.assertAlive();
    } catch (error) {
      this.#rollback();
      throw isFatal(error) ? commitUnknown(storeError(error, this.#options.path)) : error;
    }
    try {
      fault('store.commit.before');
      this.#writer.prepare('COMMIT').run();
      fault('store.commit.after');
      this.#assertPresent();
    } catch (error) {
      this.#rollback();
      throw commitUnknown(storeError(error, this.#options.path));
    }
    return value;
  }

  /**
   * Takes the write lock. Where another process holds it, waits between tries instead of inside
   * SQLite, whose busy handler would block the event loop and with it every reader.
   */
  async #begin(): Promise<void> {
    const deadline = performance.now() + LOCK_WAIT_MS_MAX;
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      try {
        this.#writer.prepare('BEGIN IMMEDIATE').run();
        return;
      } catch (error) {
        if (sqliteCode(error) !== 'SQLITE_BUSY' || performance.now() > deadline) {
          throw storeError(error, this.#options.path);
        }
      }
      await delay(pause);
    }
  }

  /** Another process may have the write lock in between, and is waited for as at any beginning. */
  async #startOver(): Promise<void> {
    this.#writer.prepare('ROLLBACK').run();
    await this.#begin();
  }

  #rollback(): void {
    try {
      this.#writer.exec('ROLLBACK');
    } catch {
      // A transaction that SQLite itself rolled back is gone already; the caller learns of the
      // first error, and `reopen` starts from what the disk holds.
    }
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw new SeedError('stopping', 'The database is closed.', { hint: 'Try again when the seed is back.' });
  }

  #assertPresent(): void {
    if (!this.#presence.holds()) throw vanished(this.#options.path);
  }

  reopen(): Promise<void> {
    return this.#writes.pass(() =>
      this.#reads.alone(async () => {
        const { path, driver } = this.#options;
        this.#assertOpen();
        this.#assertPresent();
        closeQuietly(this.#writer);
        this.#reopened++;
        this.#writer = openWriter(this.#options);
        // The old reader serves until there is a new one, so that reads go on where opening fails.
        const reader = openReader(path, driver);
        closeQuietly(this.#reader);
        this.#reader = reader;
        this.#presence = new Presence(path);
      }),
    );
  }

  async scrub(): Promise<void> {
    const deadline = performance.now() + LOCK_WAIT_MS_MAX;
    // Between two tries others have their turn.
    while (!(await this.#truncate())) {
      if (performance.now() > deadline) throw scrubBlocked(this.#options.path);
      await delay(20);
    }
  }

  #truncate(): Promise<boolean> {
    return this.#writes.pass(() =>
      this.#reads.alone(async () => {
        try {
          return truncateJournal(this.#writer);
        } catch (error) {
          throw storeError(error, this.#options.path);
        }
      }),
    );
  }

  check(): Promise<string[]> {
    return this.#reads.alone(async () => {
      const rows = this.#reader.prepare('PRAGMA quick_check(20)').all() as Row[];
      return rows.map((row) => String(Object.values(row)[0])).filter((line) => line !== 'ok');
    });
  }

  size(): StoreSize {
    return fileSizes(this.#options.path);
  }

  close(): Promise<void> {
    return this.#writes.pass(() =>
      this.#reads.alone(async () => {
        this.#closed = true;
        closeQuietly(this.#reader);
        closeQuietly(this.#writer);
      }),
    );
  }
}

/** Bytes of the database file and of its write-ahead log. */
export function fileSizes(path: string): StoreSize {
  const bytes = (name: string): number => statSync(name, { throwIfNoEntry: false })?.size ?? 0;
  return { database: bytes(path), wal: bytes(`${path}-wal`) };
}

function vanished(path: string): SeedError {
  return new SeedError('store_vanished', `The database file was moved or deleted while in use (${path}).`, {
    hint: 'Stop the daemon, put the file and its -wal back where they were, and start again.',
  });
}

function commitUnknown(cause: unknown): SeedError {
  const reason = cause instanceof SeedError ? cause : null;
  const why = reason?.message ?? (cause instanceof Error ? cause.message : String(cause));
  return new SeedError('commit_unknown', `The commit failed. ${why}`, {
    hint: `Look up what holds before you try again. ${reason?.hint ?? ''}`.trim(),
    data: { reason: reason?.code ?? 'internal' },
    cause,
  });
}

function scrubBlocked(path: string): SeedError {
  return new SeedError(
    'busy',
    `Another program is reading the database, so the erased content cannot be overwritten yet (${path}).`,
    {
      hint: 'Close the program that has the database open, then erase again.',
    },
  );
}

function closeQuietly(db: Connection): void {
  try {
    db.close();
  } catch {
    // Closing a connection whose file is gone or broken may fail; there is nothing left to keep.
  }
}

/**
 * Opens the database at `path`, creating it and bringing it up to date as needed.
 *
 * @throws SeedError `store_corrupt`, `store_newer`, `store_unwritable`, `disk_full`
 */
export function openSqliteStore(options: SqliteOptions): Store {
  return new SqliteStore(options);
}

/** A store that can only read, for commands that run beside a daemon or without one. */
export function openSqliteReader(path: string, driver: SqliteDriver): Pick<Store, 'read' | 'close' | 'driver'> {
  const db = openReader(path, driver);
  const reads = new Reads(path, () => db);
  return {
    driver,
    read: (fn) => reads.read(fn),
    close: () => reads.alone(async () => db.close()),
  };
}
