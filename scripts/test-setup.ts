/**
 * Before any test: dist/ must be what src/ says, since some tests start the real program; and the tests' folders
 * are made in memory, where that can be.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { freemem } from 'node:os';
import path from 'node:path';
import { runChild } from './bootstrap/child.cjs';

export async function setup(): Promise<() => void> {
  const run = path.join(import.meta.dirname, 'run.cjs');
  const ended = await runChild(process.execPath, [run, 'build'], { capture: true });
  if (ended.code !== 0) throw new Error(`The build failed:\n${ended.output}`);
  const folder = memoryFolder();
  // Whatever starts from here on makes its folders there.
  if (folder !== null) process.env['TMPDIR'] = folder;
  return () => {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  };
}

/** A file system in memory that most machines with Linux have. */
const MEMORY = '/dev/shm';
/** Many times what the tests have in their folders at any one time. */
const ROOM_BYTES: number = 1024 ** 3;

/**
 * A folder in memory: nearly every test makes a home, and each commit there waits for the disk. Null where the
 * folder for temporary files was chosen, where there is no room in memory or no program may be run from it; and
 * for the long run, which is to be on a disk.
 */
function memoryFolder(): string | null {
  const { TMPDIR: chosen, SEED_TEST_LONG: long } = process.env;
  if (chosen !== undefined || long === '1' || !hasRoom()) return null;
  const folder = mkdtempSync(path.join(MEMORY, 'seed-'));
  // Some tests act as another user, who has to get through here.
  chmodSync(folder, 0o711);
  const program = path.join(folder, 'program');
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
  if (spawnSync(program).status === 0) return folder;
  rmSync(folder, { recursive: true });
  return null;
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return Math.min(bavail * bsize, freemem()) >= ROOM_BYTES;
  } catch {
    // There is none here, or it is not ours to use.
    return false;
  }
}
