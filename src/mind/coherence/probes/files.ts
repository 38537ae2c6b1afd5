/**
 * Files that work leaves behind: when each was last changed. The place is a folder with all below it, a file, or
 * a pattern such as `/backups/*.tar.gz` (`*` and `?` within a name, `**` through folders). A file that is changed
 * again counts again.
 *
 * The place may be a link, since the owner named it; below it none is followed. Nothing is opened, names that begin
 * with a dot are left out, and folders that a pattern cannot mean are not looked into.
 */
import { lstat, opendir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { compileGlob, compileReach } from './glob.ts';
import type { ProbeLook, ReadPlace } from './probe.ts';
import { asPlaceError, newerThan, probeFailed } from './probe.ts';

export const DEPTH_MAX = 8;
export const ENTRIES_MAX = 10_000;

/** The newest changes; the cursor is the newest of all. */
export const readFiles: ReadPlace = async (look) => newerThan(look.cursor, await changes(look), look.now);

interface Place {
  readonly base: string;
  /** Whether a path below the base is meant; null where all of them are. */
  readonly isMeant: ((path: string) => boolean) | null;
  /** Whether such a path can be in a folder below the base. */
  readonly leadsOn: (folder: string) => boolean;
}

/** Splits a place into the folder that is walked and what its paths must fit. */
export function parsePlace(place: string): Place {
  const parts = place.split('/');
  const first = parts.findIndex((part) => /[*?]/.test(part));
  if (first === -1) return { base: place, isMeant: null, leadsOn: () => true };
  const glob = parts.slice(first).join('/');
  return { base: parts.slice(0, first).join('/') || '/', isMeant: compileGlob(glob), leadsOn: compileReach(glob) };
}

async function changes({ place, signal, alive }: ProbeLook): Promise<number[]> {
  const { base, isMeant, leadsOn } = parsePlace(place);
  const times: number[] = [];
  let entries = 0;
  const folders = [{ path: '', depth: 0 }];
  const root = await realpath(base).catch((error: unknown) => {
    throw asPlaceError(error, base);
  });
  const found = await lstat(root);
  if (found.isFile()) return [Math.floor(found.mtimeMs)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const { path, depth } = folder;
    for (const { name, isFolder } of await listFolder(root, path)) {
      signal.throwIfAborted();
      if (++entries > ENTRIES_MAX) throw tooMany(place);
      const below = path === '' ? name : `${path}/${name}`;
      if (isFolder && depth < DEPTH_MAX && leadsOn(below)) folders.push({ path: below, depth: depth + 1 });
      if (!isFolder && isMeant?.(below) !== false) times.push(...(await changeOf(join(root, below))));
    }
    alive();
  }
  return times;
}

interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
}

async function listFolder(root: string, path: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  try {
    for await (const entry of await opendir(join(root, path))) {
      if (entry.name.startsWith('.') || !(entry.isFile() || entry.isDirectory())) continue;
      entries.push({ name: entry.name, isFolder: entry.isDirectory() });
      if (entries.length > ENTRIES_MAX) break;
    }
  } catch (error) {
    // What is below may come and go, and need not all be ours to read.
    if (path === '') throw asPlaceError(error, root);
  }
  return entries;
}

async function changeOf(path: string): Promise<number[]> {
  try {
    const found = await lstat(path);
    return found.isFile() ? [Math.floor(found.mtimeMs)] : [];
  } catch {
    // Gone since its folder was read.
    return [];
  }
}

function tooMany(place: string): Error {
  return probeFailed('too_many', `There are more than ${ENTRIES_MAX} files and folders to look at for ${place}.`, {
    hint: 'Name a folder with fewer, or a pattern that leads through fewer: `**` goes through all that are below.',
  });
}
