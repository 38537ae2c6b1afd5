/** The form of times, which is written without the platform's own. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isoTime } from '../../src/substrate/sources.ts';

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
