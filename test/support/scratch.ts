/** A folder of its own for one test, gone when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch extends Disposable {
  readonly folder: string;
  /** A path in the folder. */
  at(...names: readonly string[]): string;
}

export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'seed-'));
  return {
    folder,
    at: (...names) => join(folder, ...names),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
