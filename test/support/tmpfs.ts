/** A small disk of its own, to be filled up; only where this user may mount one. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk extends Disposable {
  readonly folder: string;
  /** Takes all that is left. */
  fill(): void;
  /** Gives it back. */
  free(): void;
}

/** Why no small disk can be had here, or null when it can. */
export function noSmallDisk(): string | null {
  try {
    smallDisk(64)[Symbol.dispose]();
    return null;
  } catch {
    return 'a tmpfs cannot be mounted by this user';
  }
}

export function smallDisk(kilobytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'seed-disk-'));
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'none', folder], { stdio: 'ignore' });
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  const filler = join(folder, 'filler');
  return {
    folder,
    fill: () => {
      mkdirSync(filler, { recursive: true });
      for (let index = 0; ; index++) {
        try {
          writeFileSync(join(filler, `${index}`), Buffer.alloc(4_096));
        } catch {
          return;
        }
      }
    },
    free: () => rmSync(filler, { recursive: true, force: true }),
    [Symbol.dispose]: () => {
      // Lazily, so that a test that failed with a file open leaves no mount behind.
      execFileSync('/bin/umount', ['-l', folder], { stdio: 'ignore' });
      rmdirSync(folder);
    },
  };
}
