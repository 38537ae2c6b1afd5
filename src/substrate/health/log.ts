/** The database and the receipts in it, by the checks of a start and by reading the newest of them. */
import { existsSync } from 'node:fs';
import { SeedError } from '../../errors.ts';
import type { RootChain } from '../../formats/root.ts';
import { HOME_ENTRIES, homePath } from '../home/layout.ts';
import { auditLog } from '../receipts/audit.ts';
import type { SqliteDriver } from '../store/connection.ts';
import { openConnection } from '../store/connection.ts';
import { migrate, migrationChecksum } from '../store/migrate.ts';
import { MIGRATIONS } from '../store/migrations/index.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Read } from '../trust.ts';
import { openLog } from '../trust.ts';
import type { Finding } from './finding.ts';
import { bad, good } from './finding.ts';

interface Applied extends Row {
  readonly version: number;
  readonly checksum: string;
}

async function readApplied(db: ReadHandle): Promise<Applied[]> {
  return db.all<Applied>('SELECT version, checksum FROM substrate_migrations ORDER BY version');
}

interface SchemaRow extends Row {
  readonly name: string;
  readonly sql: string;
}

/** What SQLite itself adds to a schema is its own business. */
const SCHEMA = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name";

/** The tables, indexes and triggers that a version consists of, each with its SQL. */
function schemaOf(version: number, driver: SqliteDriver): SchemaRow[] {
  const db = openConnection(driver, ':memory:');
  try {
    migrate(db, { now: () => 0, random: (count) => new Uint8Array(count) }, MIGRATIONS.slice(0, version));
    return db.prepare(SCHEMA).all() as SchemaRow[];
  } finally {
    db.close();
  }
}

/** Names that stand in one of two schemas only, or in both with other SQL. */
function differences(left: readonly SchemaRow[], right: readonly SchemaRow[]): string[] {
  const text = ({ name, sql }: SchemaRow): string => `${name} ${sql}`;
  const [inLeft, inRight] = [new Set(left.map(text)), new Set(right.map(text))];
  const odd = [...left.filter((row) => !inRight.has(text(row))), ...right.filter((row) => !inLeft.has(text(row)))];
  return [...new Set(odd.map(({ name }) => name))];
}

const CHANGED = 'It was changed by another program; restore the home from a backup.';

/** The database: it opens, is at a version that this program knows, and consists of what that version does. */
export async function checkDatabase(home: string, read: Read, driver: SqliteDriver): Promise<Finding> {
  const file = HOME_ENTRIES.database.path;
  if (!existsSync(homePath(home, 'database'))) {
    return bad('database', `${file} is missing.`, 'Put the file back, or restore the home from a backup.');
  }
  const applied = await read(readApplied);
  const [newest, known] = [applied.at(-1)?.version ?? 0, MIGRATIONS.length];
  if (newest > known) {
    return bad(
      'database',
      `${file} is at version ${newest}; this program knows ${known}.`,
      'Install the newer sovereign-seed that wrote it, or restore a backup made before the upgrade.',
    );
  }
  const altered = applied.some(({ version, checksum }, index) => {
    const migration = MIGRATIONS[index];
    return migration?.version !== version || migrationChecksum(migration) !== checksum;
  });
  if (altered) return bad('database', `${file} is at a version ${newest} that this program does not know.`, CHANGED);
  const odd = differences(await read((db) => db.all<SchemaRow>(SCHEMA)), schemaOf(newest, driver));
  if (odd.length > 0) {
    return bad('database', `${file} is not as version ${newest} made it: ${odd.slice(0, 5).join(', ')}.`, CHANGED);
  }
  const due = newest < known ? `; the next start brings it to version ${known}` : '';
  return good('database', `${file} opens and is at version ${newest}${due}.`);
}

/** Receipts that the doctor reads back; about a third of a second's work. */
const NEWEST_RECEIPTS = 20_000;

export interface LogWork {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** The log: trusted as at a start, and its newest receipts as they were signed. */
export async function checkLog(home: string, read: Read, chain: RootChain, work: LogWork): Promise<Finding> {
  const { state, held, distrust } = await openLog(read, chain, home);
  const { size } = state;
  const newest = Math.max(0, size - NEWEST_RECEIPTS);
  if (distrust !== null) {
    const more = await whatIsWrong(auditLog(read, { ...work, state, from: newest }));
    return bad('log', `${distrust.message}${more}`, distrust.hint);
  }
  const first = await auditLog(read, { ...work, state, from: Math.min(held, newest) });
  const count = (receipts: number): string => receipts.toLocaleString('en');
  if (first === 0) {
    return good(
      'log',
      `All ${count(size)} receipts are as they were signed, and continue the checkpoint kept outside.`,
    );
  }
  return good(
    'log',
    `The newest ${count(size - first)} of ${count(size)} receipts are as they were signed, and continue the checkpoint ` +
      'kept outside; `seed receipts export` and `seed receipts verify` check all of them.',
  );
}

/** What an audit finds, to be said after something else; nothing when it finds nothing. */
async function whatIsWrong(audit: Promise<unknown>): Promise<string> {
  try {
    await audit;
    return '';
  } catch (error) {
    if (error instanceof SeedError && error.code === 'store_corrupt') return ` ${error.message}`;
    throw error;
  }
}
