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

const SECOND_MS = 1_000;
let known = { second: Number.NaN, text: '' };

/** Milliseconds since the epoch as UTC with three decimals, the form every receipt uses. */
export function isoTime(ms: number): string {
  // Every receipt has one, and many of them fall into one second.
  const whole = Math.trunc(ms);
  const second = Math.floor(whole / SECOND_MS);
  if (second !== known.second) known = { second, text: new Date(second * SECOND_MS).toISOString().slice(0, -4) };
  return `${known.text}${String(whole - second * SECOND_MS).padStart(3, '0')}Z`;
}
