/**
 * The newest checkpoint, kept outside the database.
 *
 * A database that was put back to an older copy is consistent in itself; only what stands outside
 * it shows that receipts are missing. It is written each second while the log grows, and at once
 * where a caller cannot wait.
 */
import { readFileSync } from 'node:fs';
import { SeedError } from '../../errors.ts';
import { openCheckpoint, originOf } from '../../formats/checkpoint.ts';
import type { RootChain } from '../../formats/root.ts';
import { replaceFileDurably } from '../home/files.ts';
import { fastVerify } from '../identity/verify.ts';
import type { ReadHandle } from '../store/store.ts';
import type { LogState } from './log.ts';
import { fastSha256 } from './sha256.ts';
import { rangeHash } from './tree.ts';

const INTERVAL_MS = 1_000;

/** The checkpoint in that file; null when none was kept yet. */
export function readHeld(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw damaged(path, error);
  }
}

function damaged(path: string, cause: unknown): SeedError {
  return new SeedError('home_damaged', `The checkpoint kept in ${path} cannot be read or is not this seed’s.`, {
    hint: 'Restore the file from a backup, or accept the log as it is with `seed receipts accept-rollback`.',
    cause,
  });
}

/**
 * Proves that the log continues the checkpoint that was kept outside it; resolves to the number of
 * receipts which that covers.
 *
 * @throws SeedError `log_rolled_back` when the log is shorter, `log_forked` when it differs
 */
export async function assertContinues(
  db: ReadHandle,
  { state, held, root, path }: { state: LogState; held: string; root: RootChain; path: string },
): Promise<number> {
  const kept = openHeld(held, { state, root, path });
  if (kept.size > state.size) {
    throw new SeedError(
      'log_rolled_back',
      `The log has ${state.size} receipts; a checkpoint kept outside it covers ${kept.size}.`,
      {
        hint: 'Restore the newer database. If it is lost, accept that with `seed receipts accept-rollback`.',
        data: { size: state.size, held: kept.size },
      },
    );
  }
  if (kept.size > 0 && !Buffer.from(kept.root).equals(await rangeHash(db, 0, kept.size))) {
    throw new SeedError(
      'log_forked',
      `The first ${kept.size} receipts are not those that a checkpoint kept outside the log covers.`,
      {
        hint: 'The database was replaced or changed. Restore the right one, or accept it with `seed receipts accept-rollback`.',
        data: { held: kept.size },
      },
    );
  }
  return kept.size;
}

function openHeld(
  held: string,
  { state, root, path }: { state: LogState; root: RootChain; path: string },
): { size: number; root: Uint8Array } {
  try {
    return openCheckpoint(held, {
      origin: originOf(state.seed),
      publicKeys: root.everyLogKey,
      sha: fastSha256,
      verify: fastVerify,
    });
  } catch (cause) {
    throw damaged(path, cause);
  }
}

/** Keeps the newest checkpoint in its file, soon or at once. */
export class HeldCheckpoint {
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  #newest: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(path: string, onError: (error: unknown) => void) {
    this.#path = path;
    this.#onError = onError;
  }

  /** Notes a checkpoint; it is on disk within a second. */
  keep(checkpoint: string): void {
    this.#newest = checkpoint;
    this.#timer ??= setTimeout(() => {
      try {
        this.flush();
      } catch (error) {
        this.#onError(error);
      }
    }, INTERVAL_MS).unref();
  }

  /** Puts the newest checkpoint on disk now. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#newest === null) return;
    replaceFileDurably(this.#path, this.#newest, 0o644);
    this.#newest = null;
  }
}
