/**
 * Time and randomness, handed in from the top so that every test is deterministic.
 *
 * This file is the only place below the composition root that may reach for the system's own.
 */
import { randomBytes, randomFillSync } from 'node:crypto';

export interface Sources {
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** `count` unpredictable bytes. */
  readonly random: (count: number) => Uint8Array;
}

/** Random bytes drawn ahead: the system is asked once for many, since a call costs more than its bytes. */
const POOL_BYTES = 4_096;
/** More than this at once is asked for by itself. */
const POOLED_BYTES_MAX = 64;
const pool = new Uint8Array(POOL_BYTES);
let drawn = POOL_BYTES;

/** Each byte of the pool is given out once and no copy of it stays behind. */
function drawRandom(count: number): Uint8Array {
  if (count > POOLED_BYTES_MAX) return randomBytes(count);
  if (drawn + count > POOL_BYTES) {
    randomFillSync(pool);
    drawn = 0;
  }
  const bytes = pool.slice(drawn, drawn + count);
  pool.fill(0, drawn, drawn + count);
  drawn += count;
  return bytes;
}

export const systemSources: Sources = {
  now: () => Date.now(),
  random: drawRandom,
};

/** A random identifier: 128 bits as 32 lower-case hex digits. */
export function newId(sources: Sources): string {
  return Buffer.from(sources.random(16)).toString('hex');
}

/** Bytes of a time in an identifier: milliseconds to the year 10889. */
const ID_TIME_BYTES = 6;
const ID_RANDOM_BYTES = 10;

/**
 * An identifier of what is kept by the thousand: 48 bits of time before 80 random ones, in the form of
 * {@link newId}. New ones stand behind older ones, so that a table keyed by them grows at its end instead
 * of all over. Not for what is a secret: the time in it is no secret.
 */
export function newTimedId(sources: Sources): string {
  const id = Buffer.alloc(ID_TIME_BYTES + ID_RANDOM_BYTES);
  id.writeUIntBE(sources.now(), 0, ID_TIME_BYTES);
  id.set(sources.random(ID_RANDOM_BYTES), ID_TIME_BYTES);
  return id.toString('hex');
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
