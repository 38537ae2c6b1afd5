/**
 * One process owns a home.
 *
 * The lock is an SQLite file of its own under `BEGIN EXCLUSIVE`: the kernel lets it go the moment
 * the process dies, however it dies, so nothing ever needs cleaning. The small file beside it only
 * says who, for the message to whoever comes second.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import type { Connection, SqliteDriver } from '../store/connection.ts';
import { openConnection, sqliteCode, storeError } from '../store/connection.ts';
import { fileError, replaceFileDurably } from './files.ts';
import { homePath } from './layout.ts';

const Holder = z.object({ pid: z.int().positive(), role: z.enum(['daemon', 'command']) });

/** Who holds a home. */
export type Holder = z.infer<typeof Holder>;

export interface HomeLock {
  release(): void;
}

/** Locks held by this process: without a live reference the collector would close the file. */
const held = new Set<Connection>();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Who took the lock last, whether or not it is still held; null when that cannot be read. */
export function readHolder(home: string): Holder | null {
  try {
    return Holder.parse(JSON.parse(readFileSync(homePath(home, 'holder'), 'utf8')));
  } catch {
    return null;
  }
}

function identity(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

function tryLock(home: string, driver: SqliteDriver): Connection | null {
  const path = homePath(home, 'lock');
  let db: Connection | null = null;
  try {
    // Closed to others from the start: whoever can read it can hold it against its owner.
    closeSync(openSync(path, 'a', 0o600));
    db = openConnection(driver, path);
    const opened = identity(path);
    db.exec('BEGIN EXCLUSIVE');
    // A home whose making failed is removed with its lock: a lock on a removed file locks nobody out.
    if (opened !== null && opened === identity(path)) return db;
    db.close();
    return null;
  } catch (error) {
    db?.close();
    if (sqliteCode(error) === 'SQLITE_BUSY') return null;
    throw lockError(error, path);
  }
}

function lockError(error: unknown, path: string): unknown {
  if (!['SQLITE_NOTADB', 'SQLITE_CORRUPT'].includes(sqliteCode(error) ?? '')) {
    return fileError(storeError(error, path), path, 'home_unwritable');
  }
  return new SeedError('home_damaged', `The lock file ${path} is damaged.`, {
    hint: 'Nothing is kept in it: remove it when no daemon of this home runs, and start again.',
    cause: error,
  });
}

/**
 * That the lock's file, if there is one, can be locked. Takes no lock itself.
 *
 * @throws SeedError `home_damaged`, `store_unwritable`
 */
export function assertLockFile(home: string, driver: SqliteDriver): void {
  const path = homePath(home, 'lock');
  if (!existsSync(path)) return;
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw fileError(error, path, 'home_unwritable');
  }
  let db: Connection | null = null;
  try {
    db = openConnection(driver, path, { readonly: true });
    db.scalar('SELECT count(*) FROM sqlite_schema');
  } catch (error) {
    // Somebody holds it, as they should be able to.
    if (sqliteCode(error) !== 'SQLITE_BUSY') throw lockError(error, path);
  } finally {
    db?.close();
  }
}

/** Whether some process holds the home at this moment. */
export function isLocked(home: string, driver: SqliteDriver): boolean {
  const db = tryLock(home, driver);
  db?.close();
  return db === null;
}

/**
 * Takes the home's lock, waiting up to `waitMs` while a short command has it.
 *
 * @throws SeedError `home_locked` with the holder's pid
 */
export async function lockHome(
  home: string,
  { driver, role, waitMs }: { driver: SqliteDriver; role: Holder['role']; waitMs: number },
): Promise<HomeLock> {
  const deadline = performance.now() + waitMs;
  let db = tryLock(home, driver);
  while (db === null) {
    const holder = readHolder(home);
    // A daemon stays; only a command is worth waiting for.
    if (performance.now() >= deadline || (holder?.role === 'daemon' && isAlive(holder.pid)))
      throw lockedBy(home, holder);
    await delay(15);
    db = tryLock(home, driver);
  }
  const own = db;
  try {
    replaceFileDurably(homePath(home, 'holder'), JSON.stringify({ pid: process.pid, role } satisfies Holder));
  } catch (error) {
    own.close();
    throw error;
  }
  held.add(own);
  return {
    release: () => {
      if (held.delete(own)) own.close();
    },
  };
}

function lockedBy(home: string, last: Holder | null): SeedError {
  // Whoever took it last may be gone, and something else hold the file.
  const holder = last !== null && isAlive(last.pid) ? last : null;
  const who = holder === null ? 'Another process' : `A ${holder.role} with pid ${holder.pid}`;
  return new SeedError('home_locked', `${who} has the home ${home}.`, {
    hint: holder?.role === 'command' ? 'Try again when it is done.' : 'Use that daemon, or stop it with `seed down`.',
    data: { pid: holder?.pid ?? null, role: holder?.role ?? null },
  });
}
