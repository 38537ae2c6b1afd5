/** What a kind of probe is: it reads when work outside the seed was done, from where it was last time. */
import { stat } from 'node:fs/promises';
import { SeedError } from '../../../errors.ts';
import type { ProbeReason, ProbeSpec } from '../../../substrate/probes/model.ts';
import type { SqliteDriver } from '../../../substrate/store/connection.ts';

/** Completions that one look gives, the newest: coherence keeps no more of a subsystem. */
export const TIMES_MAX = 1_000;

export interface ProbeLook {
  /** An absolute path. */
  readonly place: string;
  readonly spec: ProbeSpec;
  /** What the look before gave; null at first, when its past is read. */
  readonly cursor: string | null;
  /** ms since the epoch. */
  readonly now: number;
  readonly driver: SqliteDriver;
  readonly signal: AbortSignal;
  readonly alive: () => void;
}

export interface Sighting {
  /** When something was done since, ms since the epoch, in any order. Some may have been seen before. */
  readonly times: readonly number[];
  /** Goes into the next look. */
  readonly cursor: string;
}

/** @throws SeedError `probe_failed` with its reason where the place cannot be read */
export type ReadPlace = (look: ProbeLook) => Promise<Sighting>;

export function probeFailed(
  reason: ProbeReason,
  message: string,
  { hint, cause }: { hint: string; cause?: unknown },
): SeedError {
  return new SeedError('probe_failed', message, { hint, data: { reason }, ...(cause === undefined ? {} : { cause }) });
}

/** What the file system says, as what it means to a probe; anything else is thrown on. */
export function asPlaceError(error: unknown, place: string): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return probeFailed('gone', `${place} is not there.`, {
        hint: 'Look at the path. If it was moved for good, remove the probe and add it again.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EIO':
    case 'ELOOP':
      return probeFailed('unreadable', `${place} cannot be read.`, {
        hint: 'Give the seed’s user the right to read it.',
        cause: error,
      });
    default:
      return error;
  }
}

/** @throws SeedError `probe_failed` unless there is a regular file: a pipe would be waited for for ever */
export async function statFile(place: string): Promise<{ readonly size: number; readonly id: string }> {
  try {
    const found = await stat(place);
    if (found.isFile()) return { size: found.size, id: `${found.dev}:${found.ino}` };
  } catch (error) {
    throw asPlaceError(error, place);
  }
  throw probeFailed('unreadable', `${place} is no file.`, { hint: 'Name the file itself.' });
}

/** What is written at the same moment may be seen a little later than what came after it. */
const OVERLAP_MS = 600_000;

/**
 * The newest of these that are about as late as what was seen, or later: the sighting of a probe that goes by
 * time alone. Its cursor is the newest time. What is given again is known already.
 */
export function newerThan(cursor: string | null, times: Iterable<number>, now: number): Sighting {
  const seen = cursor === null ? 0 : Number(cursor);
  // A time to come is counted when it has come.
  const found = [...times].filter((time) => time > seen - OVERLAP_MS && time <= now);
  const newest = found.toSorted((one, other) => other - one);
  return { times: newest.slice(0, TIMES_MAX), cursor: String(Math.max(seen, newest[0] ?? 0)) };
}
