/** The form of times, which is written without the platform's own; random bytes; identifiers. */
import * as fc from '../support/fast-check.ts';
import { expect, test } from 'vitest';
import { isoTime, newId, newTimedId, systemSources } from '../../src/substrate/sources.ts';

test('a time is written as the platform writes it, whatever came before', () => {
  const moment = fc.oneof(
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
    fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }),
    fc.double({ min: -10_000, max: 10_000, noNaN: true }),
  );
  fc.assert(
    fc.property(fc.array(moment, { minLength: 2, maxLength: 20 }), (moments) => {
      expect(moments.map(isoTime)).toEqual(moments.map((ms) => new Date(ms).toISOString()));
    }),
  );
  expect(() => isoTime(Number.NaN)).toThrow(RangeError);
});

test('random bytes are as many as asked for, nobody else has them, and none comes twice', () => {
  const seen = new Set<string>();
  for (let nth = 0; nth < 2_000; nth++) {
    const bytes = systemSources.random(16);
    expect(bytes.length).toBe(16);
    seen.add(Buffer.from(bytes).toString('hex'));
    // Whoever was given bytes may write into them: what comes next is not among them.
    bytes.fill(0);
  }
  expect(seen.size).toBe(2_000);
  expect([0, 1, 63, 64, 65, 5_000].map((count) => systemSources.random(count).length)).toEqual([
    0, 1, 63, 64, 65, 5_000,
  ]);
  // 5,000 fair bytes have about 19 or 20 of each value; a hole in them would show as thousands of zeros.
  const zeros = Array.from({ length: 100 }, () => systemSources.random(50)).flatMap((bytes) => [...bytes]);
  expect(zeros.filter((byte) => byte === 0).length).toBeLessThan(100);
});

test('identifiers with a time stand in its order, and are as random within a millisecond', () => {
  const at = (now: number): string => newTimedId({ ...systemSources, now: () => now });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 281_474_976_710_654 }), (now) => {
      expect(at(now) < at(now + 1)).toBe(true);
      expect(at(now)).toMatch(/^[0-9a-f]{32}$/);
      expect(at(now)).not.toBe(at(now));
    }),
  );
  expect(newId(systemSources)).toMatch(/^[0-9a-f]{32}$/);
});
