/**
 * The store port: what a database must offer the substrate, and nothing of which one it is.
 *
 * The face is asynchronous and its transactions are explicit, so that an embedded driver and a
 * network one fit behind it alike. Statements are hand-written SQL with `?` placeholders, prepared
 * once and kept by their text.
 */

/** What a column can hold. Booleans are 0 and 1; times are milliseconds or ISO text. */
export type Value = string | number | Uint8Array | null;

export type Row = Readonly<Record<string, Value>>;

/**
 * A question that is asked again and again, and what it is answered from: until that is written, the
 * answer stays what it was.
 */
export interface Reading<T> {
  /** All tables that `read` looks at, but for the receipts. */
  readonly tables: readonly string[];
  /** The actions whose receipts it looks at. */
  readonly actions?: readonly string[];
  /** What it resolves to is shared, and never changed. */
  readonly read: (db: ReadHandle, key: string) => Promise<T>;
}

/** Reads within one consistent view. Unusable once the function it was given to has ended. */
export interface ReadHandle {
  /** What the reading comes to in this view; a view that knows the answer from before does not read again. */
  recall<T>(reading: Reading<T>, key?: string): Promise<T>;
  get<R extends Row = Row>(sql: string, ...params: readonly Value[]): Promise<R | undefined>;
  all<R extends Row = Row>(sql: string, ...params: readonly Value[]): Promise<R[]>;
}

/** Reads and writes within one transaction. */
export interface WriteHandle extends ReadHandle {
  /** Runs one INSERT, UPDATE or DELETE; resolves to the number of rows it changed. */
  run(sql: string, ...params: readonly Value[]): Promise<number>;
}

/** A transaction in which single operations can be undone alone. */
export interface Transaction extends WriteHandle {
  savepoint(): Promise<void>;
  /** Undoes everything since the newest savepoint and drops it. */
  rollback(): Promise<void>;
  /** Keeps everything since the newest savepoint and drops it. */
  release(): Promise<void>;
  /** {@link Store.foreignVersion} as of this transaction, which nobody else commits beside. */
  foreignVersion(): number;
}

/** Bytes on disk, for the doctor. */
export interface StoreSize {
  readonly database: number;
  readonly wal: number;
}

export interface Store {
  /** The driver's name, as `doctor` shows it. */
  readonly driver: string;
  /** One consistent, short view; never sees uncommitted rows. */
  read<T>(fn: (db: ReadHandle) => Promise<T>): Promise<T>;
  /**
   * One durable transaction: committed and fsynced when the promise resolves. When `fn` throws,
   * nothing of it is kept and the error passes through.
   *
   * @throws SeedError `commit_unknown` when the transaction was lost; call {@link reopen}, look
   *   up what holds, and only then write again.
   */
  transaction<T>(fn: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Closes and opens the file again, so that what is read is what the disk holds. */
  reopen(): Promise<void>;
  /** Overwrites what was deleted, in the database and in its journal. */
  scrub(): Promise<void>;
  /** Checks the file's structure; resolves to the problems found. */
  check(): Promise<string[]>;
  size(): StoreSize;
  /**
   * A number that changes when a program other than this one has committed: what was read while it was
   * the same still holds but for our own commits. Costs no read of rows.
   */
  foreignVersion(): number;
  close(): Promise<void>;
}
