/**
 * Makes a home: all of it, or nothing.
 *
 * A folder with `config.json` is a finished home. `.unfinished` stands in it from the first step to
 * the last, so that a start after a crash in between knows that the rest is its own to remove. The
 * home's lock is held all the while.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SeedError } from '../../errors.ts';
import { OWNER } from '../actor.ts';
import { passphrasePath } from '../identity/keys.ts';
import { assertPassphrase, createPassphrase } from '../identity/passphrase.ts';
import { createIdentity } from '../identity/root.ts';
import { plantSchedules, starterSchedules } from '../schedules/starter.ts';
import type { Sources } from '../sources.ts';
import type { SqliteDriver } from '../store/connection.ts';
import { openSubstrate } from '../substrate.ts';
import { createFileDurably, makeFolders, syncFolder } from './files.ts';
import { HOME_ENTRIES, homePath, isHomeName } from './layout.ts';
import type { HomeLock } from './lock.ts';
import { lockHome } from './lock.ts';
import { readSettings, writeSettings } from './settings.ts';
import { chooseSocketFolder } from './sockets.ts';
import { assertSuitable } from './suitability.ts';

export interface CreateHomeOptions {
  readonly home: string;
  readonly driver: SqliteDriver;
  readonly sources: Sources;
  /** The HTTP door's port. */
  readonly port: number;
  readonly passphrase: string | null;
  /** The user's runtime folder for sockets, where the platform has one. */
  readonly runtimeFolder: string | null;
  readonly version: string;
  readonly fault?: (point: string) => void;
}

/**
 * `absent`: nothing there, or an empty folder. `unfinished`: an earlier making was cut off.
 * `damaged`: a seed whose settings are gone.
 */
export type HomeState = 'absent' | 'unfinished' | 'finished' | 'damaged' | 'foreign';

export function homeState(home: string): HomeState {
  const names = listFolder(home);
  if (names.includes(HOME_ENTRIES.settings.path)) return 'finished';
  // The lock's files are made before anything else, by whoever looks first.
  const locks = [HOME_ENTRIES.lock.path, HOME_ENTRIES.holder.path];
  if (names.every((name) => isHomeName(name) && locks.some((lock) => name.startsWith(lock)))) return 'absent';
  if (names.includes(HOME_ENTRIES.unfinished.path) && names.every(isHomeName)) return 'unfinished';
  // Finished while the names were read: the settings appear before `.unfinished` goes.
  if (existsSync(homePath(home, 'settings'))) return 'finished';
  const marks = [HOME_ENTRIES.database.path, HOME_ENTRIES.root.path, HOME_ENTRIES.keys.path];
  return marks.filter((mark) => names.includes(mark)).length > 1 ? 'damaged' : 'foreign';
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unwritable(folder, error);
  }
}

/**
 * Makes the home unless it is there already; resolves to whether it made one.
 *
 * @throws SeedError `home_foreign`, `home_unsuitable`, `home_unwritable`, `home_locked`,
 *   `disk_full`; nothing is left behind then
 */
export async function createHome(options: CreateHomeOptions): Promise<boolean> {
  const home = resolve(options.home);
  if (homeState(home) === 'finished') return false;
  assertUsable(home);
  assertSuitable(home);
  if (options.passphrase !== null) assertPassphrase(options.passphrase);
  const above = makeFolder(home);
  let lock: HomeLock | null = null;
  try {
    lock = await lockHome(home, { driver: options.driver, role: 'command', waitMs: 10_000 });
    // Whoever had the lock before may have made the home meanwhile.
    if (homeState(home) === 'finished') return false;
    assertUsable(home);
    await fill(home, options);
    return true;
  } catch (error) {
    const locked = error instanceof SeedError && error.code === 'home_locked';
    if (locked && homeState(home) === 'finished') return false;
    if (!locked) removeHome(home, { above, lock });
    throw asHomeError(home, error);
  } finally {
    lock?.release();
  }
}

/** Takes back what was made; without the lock, what is there is somebody else's to remove. */
function removeHome(home: string, { above, lock }: { above: string | null; lock: HomeLock | null }): void {
  try {
    if (lock !== null && homeState(home) === 'unfinished') clear(home);
    if (homeState(home) !== 'absent') return;
    // While it is held: whoever waits for it finds that its file is gone, and begins anew.
    for (const name of listFolder(home)) rmSync(join(home, name), { force: true });
    lock?.release();
    removeFolders(home, above);
  } catch {
    // What went wrong first is what the caller is told.
  }
}

/** @throws SeedError `home_foreign`, or `home_damaged` for a seed without settings */
export function assertUsable(home: string): void {
  const state = homeState(home);
  // Read for what it says of a file that is not there.
  if (state === 'damaged') readSettings(home);
  if (state !== 'foreign') return;
  throw new SeedError('home_foreign', `${home} holds something that is not a seed.`, {
    hint: 'Choose another folder with --home DIR or SEED_HOME.',
  });
}

/** Creates the folder and resolves to the topmost one that was not there, or null. */
function makeFolder(home: string): string | null {
  try {
    return makeFolders(home);
  } catch (error) {
    throw unwritable(home, error);
  }
}

async function fill(home: string, options: CreateHomeOptions): Promise<void> {
  const { driver, sources, fault = () => {} } = options;
  clear(home);
  createFileDurably(homePath(home, 'unfinished'), '', 0o600);
  // A folder that was there may be open to others; a home is not.
  chmodSync(home, 0o700);
  fault('home.begun');
  for (const folder of ['keys', 'root', 'credentials', 'log', 'owner'] as const) {
    mkdirSync(homePath(home, folder), { mode: folder === 'root' ? 0o755 : 0o700 });
  }
  const { chain } = createIdentity(
    { keys: homePath(home, 'keys'), root: homePath(home, 'root') },
    { passphrase: options.passphrase, sources },
  );
  if (options.passphrase !== null) await createPassphrase(passphrasePath(home), options.passphrase, sources);
  fault('home.keyed');
  const schedules = await starterSchedules();
  const substrate = await openSubstrate({ home, driver, sources });
  try {
    await substrate.operate({ action: 'seed.init', actor: OWNER }, async (op) => {
      await plantSchedules(op, schedules, sources);
      op.receipt({ detail: { version: options.version, passphrase: options.passphrase === null ? 'none' : 'set' } });
    });
    substrate.flushCheckpoint();
  } finally {
    await substrate.close();
  }
  fault('home.stored');
  const sockets = chooseSocketFolder(home, options.runtimeFolder);
  writeSettings(home, { v: 1, seed: chain.seed, port: options.port, sockets });
  fault('home.settled');
  rmSync(homePath(home, 'unfinished'), { force: true });
  syncFolder(home);
}

/** Removes what an unfinished home consists of, but for the lock, which is in use. */
function clear(home: string): void {
  const isRest = (name: string): boolean =>
    isHomeName(name) && !name.startsWith('lock.') && name !== HOME_ENTRIES.unfinished.path;
  for (const name of listFolder(home)) {
    if (isRest(name)) rmSync(join(home, name), { recursive: true, force: true });
  }
  // Last, since it says whose the rest is: cut off before, the next start goes on from here.
  rmSync(homePath(home, 'unfinished'), { force: true });
}

/** Takes back the folders that `makeFolder` created; one that somebody else uses by now stays. */
function removeFolders(home: string, above: string | null): void {
  if (above === null) return;
  try {
    for (let folder = home; folder.length >= above.length; folder = resolve(folder, '..')) rmdirSync(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EBUSY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function asHomeError(home: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const full = error instanceof SeedError && (error.code === 'disk_full' || error.data['reason'] === 'disk_full');
  if (full || code === 'ENOSPC' || code === 'EDQUOT') {
    return new SeedError('disk_full', `There is no space left for a home in ${home}.`, {
      hint: 'Free some space; nothing was left behind.',
      cause: error,
    });
  }
  const reading = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EIO'].includes(code ?? '');
  const store = error instanceof SeedError && error.code === 'store_unwritable';
  return reading || store ? unwritable(home, error) : error;
}

function unwritable(home: string, cause: unknown): SeedError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new SeedError('home_unwritable', `The folder ${home} cannot be written (${reason}).`, {
    hint: 'Give yourself the right to write there, or choose another folder with --home DIR or SEED_HOME.',
    cause,
  });
}
