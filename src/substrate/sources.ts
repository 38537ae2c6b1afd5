/**
 * Time and randomness, handed in from the top so that every test is deterministic.
 *
 * This file is the only place below the composition root that may reach for the system's own.
 */
import { randomBytes } from 'node:crypto';

export interface Sources {
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** `count` unpredictable bytes. */
  readonly random: (count: number) => Uint8Array;
}

export const systemSources: Sources = {
  now: () => Date.now(),
  random: (count) => randomBytes(count),
};

/** A random identifier: 128 bits as 32 lower-case hex digits. */
export function newId(sources: Sources): string {
  return Buffer.from(sources.random(16)).toString('hex');
}

/** Milliseconds since the epoch as UTC with three decimals, the form every receipt uses. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
