/**
 * What a log is judged by: the chain of roots, the checkpoint that comes with the log, and the
 * older checkpoint that the verifier may have kept.
 */
import type { Sha256 } from './bytes.ts';
import { type Checkpoint, openCheckpoint, originOf } from './checkpoint.ts';
import { FormatError } from './error.ts';
import { type RootChain, verifyRootChain } from './root.ts';
import { type Broken, broken } from './verdict.ts';

export interface AnchorOptions {
  /** Exact texts of `root/1.json`, `root/2.json` and so on. */
  readonly roots: readonly string[];
  /** Exact text of the version that the verifier knows from elsewhere; it makes the difference between consistent and proven. */
  readonly pinnedRoot?: string;
  /** The signed note that comes with the log. */
  readonly checkpoint: string;
  /** A signed note of the same log that the verifier kept from before. */
  readonly heldCheckpoint?: string;
  readonly sha: Sha256;
}

export interface Anchors {
  readonly seed: string;
  readonly pinned: boolean;
  /** The checkpoint that the receipts must add up to. */
  readonly target: Checkpoint;
  /** A problem is kept for last: what is wrong with the receipts themselves says more. */
  readonly held: Checkpoint | Broken | null;
}

/** The anchors, verified, or what is wrong with the roots or the checkpoint. */
export function openAnchors(options: AnchorOptions): Anchors | Broken {
  const { roots, pinnedRoot, sha } = options;
  const chain = attempt(() => verifyRootChain(roots, pinnedRoot === undefined ? { sha } : { pinned: pinnedRoot, sha }));
  if (chain instanceof FormatError) return rootProblem(chain);
  const target = attempt(() =>
    openCheckpoint(options.checkpoint, { origin: originOf(chain.seed), publicKeys: chain.logKeys, sha }),
  );
  if (target instanceof FormatError) return broken(null, 'bad_checkpoint', target.message);
  return { seed: chain.seed, pinned: pinnedRoot !== undefined, target, held: openHeld(options, chain) };
}

function rootProblem(error: FormatError): Broken {
  const where = error.field === null ? '' : ` (${error.field})`;
  return error.field === 'pinned'
    ? broken(null, 'wrong_root', error.message)
    : broken(null, 'bad_root', `The root of trust does not hold${where}: ${error.message}`);
}

function openHeld({ heldCheckpoint, sha }: AnchorOptions, chain: RootChain): Checkpoint | Broken | null {
  if (heldCheckpoint === undefined) return null;
  // Any version's log key: the verifier may have kept it since before the key was replaced.
  const held = attempt(() =>
    openCheckpoint(heldCheckpoint, { origin: originOf(chain.seed), publicKeys: chain.everyLogKey, sha }),
  );
  if (!(held instanceof FormatError)) return held;
  const isOfAnotherLog = held.code === 'bad_signature' || held.field === 'origin';
  return isOfAnotherLog
    ? broken(null, 'held_not_continued', `The checkpoint held is not of this log: ${held.message}`)
    : broken(null, 'bad_held', `The checkpoint held is not readable: ${held.message}`);
}

function attempt<T>(open: () => T): T | FormatError {
  try {
    return open();
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
}
