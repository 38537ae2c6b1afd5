/**
 * Reads one column of a SQLite database that is not the seed's own: read-only, the newest rows, in bounded time.
 *
 * Rows are taken by their row number, from the end: that needs no index of somebody else's table, and costs the
 * same however long it is.
 */
import { SeedError, toSeedError } from '../../errors.ts';
import type { SqliteDriver } from '../store/connection.ts';
import { openConnection, sqliteCode } from '../store/connection.ts';

/** Of the table's end; one that is filled in later, such as `finished_at`, may stand some rows back. */
export const ROWS_MAX = 5_000;
const VALUE_CHARS_MAX = 40;

export interface OutsideColumn {
  readonly path: string;
  readonly table: string;
  readonly column: string;
}

/**
 * The column's values as text, the newest row's first, without those that are NULL.
 *
 * @throws SeedError `probe_failed` with its reason: no such table or column, no database, in use
 */
export function readOutsideColumn(driver: SqliteDriver, { path, table, column }: OutsideColumn): string[] {
  try {
    const db = openConnection(driver, path, { readonly: true });
    try {
      // What such a file says of itself must not be able to do anything.
      db.exec('PRAGMA trusted_schema = OFF');
      const isTable = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table);
      if (isTable === undefined) throw absent(path, `no table "${table}"`);
      const isColumn = db.prepare('SELECT 1 FROM pragma_table_info(?) WHERE name = ?').get(table, column);
      if (isColumn === undefined) throw absent(path, `no column "${column}" in "${table}"`);
      const rows = db
        .prepare(
          `SELECT value FROM (SELECT substr(CAST(${quoted(column)} AS TEXT), 1, ${VALUE_CHARS_MAX}) AS value
             FROM ${quoted(table)} ORDER BY rowid DESC LIMIT ${ROWS_MAX}) WHERE value IS NOT NULL`,
        )
        .all() as { readonly value: string }[];
      return rows.map(({ value }) => value);
    } finally {
      db.close();
    }
  } catch (error) {
    throw asProbeError(error, path);
  }
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function absent(path: string, what: string): SeedError {
  return new SeedError('probe_failed', `${path} has ${what}.`, {
    hint: 'Look at its tables with `sqlite3 FILE .schema`.',
    data: { reason: 'no_times' },
  });
}

function asProbeError(error: unknown, path: string): SeedError {
  if (error instanceof SeedError) return error;
  const failed = (reason: string, message: string, hint: string): SeedError =>
    new SeedError('probe_failed', message, { hint, data: { reason }, cause: error });
  switch (sqliteCode(error)) {
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
      return failed('busy', `${path} is being written at the moment.`, 'It is looked at again later.');
    case 'SQLITE_NOTADB':
    case 'SQLITE_CORRUPT':
      return failed('damaged', `${path} is no SQLite database, or a damaged one.`, 'Name the database file itself.');
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_READONLY':
    case 'SQLITE_IOERR':
      return failed(
        'unreadable',
        `${path} cannot be opened for reading.`,
        'Give the seed’s user the right to read it.',
      );
    case 'SQLITE_ERROR':
      return failed('no_times', `${path}: rows of that table have no number (WITHOUT ROWID).`, 'Name another table.');
    default:
      return toSeedError(error);
  }
}
