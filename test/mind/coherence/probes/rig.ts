/** One look of a probe, as the prober would take it. */
import type { ProbeLook, ReadPlace, Sighting } from '../../../../src/mind/coherence/probes/probe.ts';
import { SeedError } from '../../../../src/errors.ts';

export const NOW: number = Date.UTC(2026, 10, 21, 7);
export const HOUR_MS = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;

export function lookAt(read: ReadPlace, place: string, given: Partial<ProbeLook> = {}): Promise<Sighting> {
  const signal = new AbortController().signal;
  return read({ place, spec: {}, cursor: null, now: NOW, driver: 'better-sqlite3', signal, alive: () => {}, ...given });
}

/** The reason that a look fails with, or `none`. */
export async function reasonFor(look: Promise<Sighting>): Promise<unknown> {
  return look.then(
    () => 'none',
    (error: unknown) => (error instanceof SeedError ? error.data['reason'] : error),
  );
}

/** Times in hours before {@link NOW}, newest first. */
export function hoursAgo(times: readonly number[]): number[] {
  return times.map((time) => (NOW - time) / HOUR_MS).toSorted((one, other) => one - other);
}
