/** Files that are there whole or not at all, also after a power cut. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SeedError } from '../../errors.ts';

/** What the file system says, in the seed's words; anything else passes through. */
export function fileError(error: unknown, path: string, unwritable: 'home_unwritable' | 'store_unwritable'): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof SeedError || code === undefined) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SeedError('disk_full', `There is no space left for ${path}.`, {
      hint: 'Free some space; nothing that was acknowledged is lost.',
      cause: error,
    });
  }
  if (!REFUSALS.has(code)) return error;
  return new SeedError(unwritable, `${path} cannot be written (${code}).`, {
    hint: 'Give yourself the right to write there, and check that the disk works.',
    cause: error,
  });
}

/** How a file system says no, or that it is broken (errno(3)). */
const REFUSALS = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENOENT', 'EIO']);

/**
 * Makes a folder and those above it that are not there; returns the topmost one it made, or null.
 *
 * One level at a time: Node's own recursive way never ends where a file system answers that a folder
 * cannot be (`/proc/x`).
 */
export function makeFolders(path: string, mode = 0o700): string | null {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return null;
  const above = dirname(path) === path ? null : makeFolders(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else was first, which is as good.
    const there = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !there) throw error;
    return above;
  }
  return above ?? path;
}

/** Makes the names in a folder durable: a new file's own fsync does not cover its name. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function writeSynced(path: string, content: string | Uint8Array, flag: 'w' | 'wx', mode: number): void {
  const file = openSync(path, flag, mode);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Creates a file that must not be there yet; fsynced, with its name. */
export function createFileDurably(path: string, content: string | Uint8Array, mode: number): void {
  writeSynced(path, content, 'wx', mode);
  syncFolder(dirname(path));
}

/** Replaces a file's content in one step: a reader sees the old or the new, never a part. */
export function replaceFileDurably(path: string, content: string | Uint8Array, mode = 0o600): void {
  const draft = `${path}.new`;
  try {
    writeSynced(draft, content, 'w', mode);
    renameSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, path, 'home_unwritable');
  }
}
