/** Files that are there whole or not at all, also after a power cut. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

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
  writeSynced(draft, content, 'w', mode);
  renameSync(draft, path);
  syncFolder(dirname(path));
}
