/**
 * One SQLite connection, the same for both embedded drivers.
 *
 * `better-sqlite3` is the default; `node:sqlite` serves where a native module cannot load. Their
 * shapes agree but for opening, error codes and the type of a blob.
 */
import { createRequire } from 'node:module';
import type { DatabaseSync } from 'node:sqlite';
import type BetterSqlite3 from 'better-sqlite3';
import { SeedError, toSeedError } from '../../errors.ts';
import type { Row, Value } from './store.ts';

export type SqliteDriver = 'better-sqlite3' | 'node:sqlite';

/** A prepared statement. */
export interface Statement {
  get(...params: readonly Value[]): unknown;
  all(...params: readonly Value[]): unknown[];
  run(...params: readonly Value[]): { changes: number | bigint };
}

export interface Connection {
  readonly driver: SqliteDriver;
  exec(sql: string): void;
  /** Prepared once for each text. */
  prepare(sql: string): Statement;
  /** The single value of a pragma or one-column query. */
  scalar(sql: string): Value;
  /** Whether a transaction is open; an error may have ended it without saying so. */
  inTransaction(): boolean;
  close(): void;
}

const require = createRequire(import.meta.url);

type Native = BetterSqlite3.Database | DatabaseSync;

/** A driver's own database object, opened. */
function openNative(driver: SqliteDriver, path: string, readonly: boolean): Native {
  if (driver === 'better-sqlite3') {
    const Database = require('better-sqlite3') as typeof BetterSqlite3;
    return new Database(path, { readonly, timeout: 0 });
  }
  const { DatabaseSync: Database } = loadNodeSqlite();
  return new Database(path, { readOnly: readonly });
}

/** `node:sqlite` without its experimental warning, which would look like a fault to a user. */
function loadNodeSqlite(): typeof import('node:sqlite') {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => {};
  try {
    return require('node:sqlite') as typeof import('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The driver to use: the one asked for, else the native one where it loads. */
export function chooseDriver(wanted: 'native' | 'node' | null): SqliteDriver {
  if (wanted === 'node') return 'node:sqlite';
  try {
    const Database = require('better-sqlite3') as typeof BetterSqlite3;
    new Database(':memory:').close();
    return 'better-sqlite3';
  } catch (cause) {
    if (wanted === 'native') throw toSeedError(cause);
    return 'node:sqlite';
  }
}

export function openConnection(
  driver: SqliteDriver,
  path: string,
  { readonly = false }: { readonly?: boolean } = {},
): Connection {
  const native = openNative(driver, path, readonly);
  const statements = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = native.prepare(sql) as unknown as Statement;
      statements.set(sql, statement);
    }
    return statement;
  };
  return {
    driver,
    exec: (sql) => {
      native.exec(sql);
    },
    prepare,
    scalar: (sql) => {
      // Not kept: pragmas and checks are rare, and some change what they report.
      const row = native.prepare(sql).get() as Row | undefined;
      return row === undefined ? null : (Object.values(row)[0] ?? null);
    },
    inTransaction: () => ('inTransaction' in native ? native.inTransaction : native.isTransaction),
    close: () => {
      native.close();
    },
  };
}

/** SQLite's primary result codes that end in an answer of their own (sqlite.org/rescode.html). */
const RESULT_CODES: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  19: 'SQLITE_CONSTRAINT',
  26: 'SQLITE_NOTADB',
};

const IOERR_SHMSIZE = 10 | (19 << 8);

/** The primary result code of an error from either driver, or null for any other error. */
export function sqliteCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  // The shared memory of the WAL cannot grow: to SQLite an I/O error, in truth a full disk.
  if (errcode === IOERR_SHMSIZE || code === 'SQLITE_IOERR_SHMSIZE') return 'SQLITE_FULL';
  if (typeof errcode === 'number') return RESULT_CODES[errcode & 0xff] ?? 'SQLITE_ERROR';
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return null;
  const primary = Object.values(RESULT_CODES).find((name) => code === name || code.startsWith(`${name}_`));
  return primary ?? 'SQLITE_ERROR';
}

/** A driver's error in the seed's words; anything that is not a driver's error passes through. */
export function storeError(error: unknown, path: string): unknown {
  const code = sqliteCode(error);
  const known = code === null ? undefined : STORE_ERRORS[code];
  if (code === null || known === undefined) return error;
  return new SeedError(known.code, `${known.message} (${path})`, {
    hint: known.hint,
    data: { sqlite: code },
    cause: error,
  });
}

const DAMAGED = {
  code: 'store_corrupt',
  message: 'The database file is damaged or is not a seed database.',
  hint: 'Stop, keep a copy of the file, and restore the home from a backup.',
} as const;

const UNWRITABLE = {
  code: 'store_unwritable',
  message: 'The database cannot be written or read.',
  hint: 'Check that the folder exists, is writable for you, and that its disk works.',
} as const;

const STORE_ERRORS: Readonly<
  Record<string, { code: 'store_corrupt' | 'store_unwritable' | 'disk_full' | 'busy'; message: string; hint: string }>
> = {
  SQLITE_CORRUPT: DAMAGED,
  SQLITE_NOTADB: DAMAGED,
  SQLITE_READONLY: UNWRITABLE,
  SQLITE_CANTOPEN: UNWRITABLE,
  SQLITE_IOERR: UNWRITABLE,
  SQLITE_FULL: {
    code: 'disk_full',
    message: 'The disk is full.',
    hint: 'Free some space; nothing that was acknowledged is lost.',
  },
  SQLITE_BUSY: {
    code: 'busy',
    message: 'Another process holds the database.',
    hint: 'Close the program that has the database open, then try again.',
  },
};
