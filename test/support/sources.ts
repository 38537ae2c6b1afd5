/** Time and randomness that a test decides. */
import { createHash } from 'node:crypto';
import type { Sources } from '../../src/substrate/sources.ts';

export interface TestSources extends Sources {
  /** What `now` says, ms since the epoch; set it to move the clock, forward or back. */
  time: number;
}

/** A clock that stands still until it is moved, and bytes that follow from a name. */
export function testSources(name = 'sources', time: number = Date.UTC(2026, 10, 21, 7)): TestSources {
  const bytes = seededBytes(name);
  const sources: TestSources = { time, now: () => sources.time, random: bytes };
  return sources;
}

/** Bytes without end that follow from a name: SHA-256 of the name and a count. */
export function seededBytes(name: string): (count: number) => Uint8Array {
  let blocks = 0;
  return (count) => {
    const parts: Buffer[] = [];
    for (let have = 0; have < count; have += 32) {
      parts.push(createHash('sha256').update(`${name} ${blocks++}`).digest());
    }
    return new Uint8Array(Buffer.concat(parts).subarray(0, count));
  };
}

/** Whole numbers from 0 to `below` (exclusive) that follow from a name. */
export function seededNumbers(name: string): (below: number) => number {
  const bytes = seededBytes(name);
  return (below) => Buffer.from(bytes(6)).readUIntBE(0, 6) % below;
}
