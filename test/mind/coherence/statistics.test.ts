/** Quantiles and bounds are those of the reference implementations, and keep their promises. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { jeffreys, lowerBound, quantile, upperBound, variance } from '../../../src/mind/coherence/statistics.ts';

const share = fc
  .tuple(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([tries, part]) => ({ hits: Math.round(part * tries), tries }));

describe('bounds on a share', () => {
  it('are those of SciPy 1.11', () => {
    const middle = jeffreys({ hits: 10, tries: 20 }, 0.95);
    expect(middle.low).toBeCloseTo(0.293_376_48, 8);
    expect(middle.high).toBeCloseTo(0.706_623_52, 8);
    expect(jeffreys({ hits: 0, tries: 30 }, 0.95)).toEqual({
      low: 0,
      high: expect.closeTo(0.079_678_173_8, 9) as number,
    });
    expect(lowerBound({ hits: 8, tries: 10 }, 0.95)).toBeCloseTo(0.493_098_698_7, 9);
    expect(upperBound({ hits: 3, tries: 500 }, 0.95)).toBeCloseTo(0.015_433_734_9, 9);
  });

  it('are what the formula says where there is one: all right, none wrong', () => {
    for (const tries of [1, 5, 14, 149]) {
      expect(lowerBound({ hits: tries, tries }, 0.95)).toBeCloseTo(0.05 ** (1 / tries), 9);
      expect(upperBound({ hits: 0, tries }, 0.95)).toBeCloseTo(1 - 0.05 ** (1 / tries), 9);
    }
    expect(lowerBound({ hits: 0, tries: 9 }, 0.95)).toBe(0);
    expect(upperBound({ hits: 0, tries: 0 }, 0.95)).toBe(1);
  });

  it('enclose what was seen, and move with it', () => {
    fc.assert(
      fc.property(share, ({ hits, tries }) => {
        const { low, high } = jeffreys({ hits, tries }, 0.95);
        expect(low).toBeLessThanOrEqual(hits / tries);
        expect(high).toBeGreaterThanOrEqual(hits / tries);
        expect(lowerBound({ hits: hits + 1, tries: tries + 1 }, 0.95)).toBeGreaterThan(
          lowerBound({ hits, tries }, 0.95),
        );
        expect(upperBound({ hits, tries: tries + 1 }, 0.95)).toBeLessThanOrEqual(upperBound({ hits, tries }, 0.95));
      }),
    );
  });

  it('Clopper and Pearson: whatever the true share is, the bound is wrong in at most one of twenty', () => {
    const tries = 14;
    for (const truth of [0.3, 0.5, 0.79]) {
      let wrong = 0;
      for (let hits = 0; hits <= tries; hits++) {
        if (lowerBound({ hits, tries }, 0.95) > truth) wrong += chance(hits, tries, truth);
      }
      expect(wrong).toBeLessThanOrEqual(0.05);
    }
  });
});

/** The chance of so many hits. */
function chance(hits: number, tries: number, truth: number): number {
  let ways = 1;
  for (let i = 0; i < hits; i++) ways *= (tries - i) / (i + 1);
  return ways * truth ** hits * (1 - truth) ** (tries - hits);
}

it('quantiles are interpolated, and the variance is that of a sample', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.85)).toBeCloseTo(4.4, 12);
  expect(quantile([7], 0.85)).toBe(7);
  expect(variance([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(32 / 7, 12);
});
