/**
 * Brings a database to the program's schema, one version at a time.
 *
 * Each version is one transaction whose first statement inserts the version's own row: two
 * programs that migrate at once meet on that row, and a version is there whole or not at all.
 */
import { createHash } from 'node:crypto';
import { SeedError } from '../../errors.ts';
import type { Sources } from '../sources.ts';
import { isoTime } from '../sources.ts';
import type { Connection } from './connection.ts';
import { MIGRATIONS } from './migrations/index.ts';
import type { Migration } from './migrations/migration.ts';
import type { ReadHandle, Row } from './store.ts';

/** SHA-256 of a migration's SQL: a landed migration never changes. */
export function migrationChecksum(migration: Migration): string {
  return createHash('sha256').update(migration.sql).digest('hex');
}

interface Applied extends Row {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

/**
 * @throws SeedError `store_newer` when the database knows versions that this program does not,
 *   `store_corrupt` when a version's SQL is not the one that was applied
 */
export function migrate(db: Connection, sources: Sources, migrations: readonly Migration[] = MIGRATIONS): void {
  for (;;) {
    const applied = readApplied(db);
    assertKnown(applied, migrations);
    const next = migrations[applied.length];
    if (next === undefined) return;
    apply(db, sources, next);
  }
}

function readApplied(db: Connection): Applied[] {
  const exists = db.scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'substrate_migrations'");
  if (exists === 0) return [];
  return db.prepare('SELECT version, name, checksum FROM substrate_migrations ORDER BY version').all() as Applied[];
}

function assertKnown(applied: readonly Applied[], migrations: readonly Migration[]): void {
  const newest = applied.at(-1)?.version ?? 0;
  if (newest > migrations.length) throw newer(newest, migrations.length);
  for (const [index, row] of applied.entries()) {
    const migration = migrations[index];
    if (migration?.version === row.version && migrationChecksum(migration) === row.checksum) continue;
    throw new SeedError('store_corrupt', `Database version ${row.version} is not the one this program knows.`, {
      hint: 'The database was changed by another program; restore the home from a backup.',
    });
  }
}

function newer(database: number, program: number): SeedError {
  return new SeedError('store_newer', `The database is at version ${database}; this program knows ${program}.`, {
    hint: 'Install the newer sovereign-seed that wrote it, or restore a backup made before the upgrade.',
    data: { database, program },
  });
}

/**
 * For one that only reads, which brings nothing up to date.
 *
 * @throws SeedError `store_newer`, or `daemon_absent` when the database waits for a start of this program
 */
export async function assertUpToDate(db: ReadHandle): Promise<void> {
  const row = await db.get<{ version: number } & Row>('SELECT max(version) AS version FROM substrate_migrations');
  const [database, program] = [row?.version ?? 0, MIGRATIONS.length];
  if (database > program) throw newer(database, program);
  if (database === program) return;
  throw new SeedError('daemon_absent', `The database is at version ${database}; this needs version ${program}.`, {
    hint: 'Start this program with `seed up`, which brings it there; stop an older one first, with `seed down`.',
    data: { database, program },
  });
}

function apply(db: Connection, sources: Sources, migration: Migration): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    db.exec(`CREATE TABLE IF NOT EXISTS substrate_migrations (
      version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL
    ) STRICT`);
    const { changes } = db
      .prepare(
        `INSERT INTO substrate_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (version) DO NOTHING`,
      )
      .run(migration.version, migration.name, migrationChecksum(migration), isoTime(sources.now()));
    // No row: another program was first since we looked; whether it knows the same SQL is looked up next.
    if (Number(changes) > 0) db.exec(migration.sql);
    db.exec('COMMIT');
  } catch (error) {
    try {
      db.exec('ROLLBACK');
    } catch {
      // A full disk rolls back by itself; what went wrong is the first error.
    }
    throw error;
  }
}
