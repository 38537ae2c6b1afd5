/** Detectors run as long as the literature says they do, and the exact run length is the one that is seen. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import type { Detector } from '../../../src/mind/coherence/detectors.ts';
import {
  bernoulliCusum,
  cusum,
  designBernoulli,
  ewma,
  exactRunLength,
  signals,
  watch,
} from '../../../src/mind/coherence/detectors.ts';
import { normal, uniform } from './random.ts';

/** The share that a simulated run length may differ from the table's. */
const TOLERANCE = 0.03;

/** Average observations until any of the detectors signals; each is fed what its own function makes of them. */
function runLength(
  detectors: readonly (Detector & { see: (x: number) => number })[],
  draw: () => number,
  runs: number,
) {
  let observed = 0;
  for (let run = 0; run < runs; run++) {
    const levels = detectors.map(() => 0);
    for (let signalled = false; !signalled; ) {
      const x = draw();
      observed++;
      for (const [i, detector] of detectors.entries()) {
        levels[i] = detector.step(levels[i] ?? 0, detector.see(x));
        signalled ||= signals(detector, levels[i] ?? 0);
      }
    }
  }
  return observed / runs;
}

const same = (x: number): number => x;
const negative = (x: number): number => -x;

const twoSided = (h: number) => [
  { ...cusum({ k: 0.5, h }), see: same },
  { ...cusum({ k: 0.5, h }), see: negative },
];

const TABLE = [
  { name: 'CUSUM k=.5, h=4', detectors: twoSided(4), inControl: 168, afterOneSigma: 8.38 },
  { name: 'CUSUM k=.5, h=5', detectors: twoSided(5), inControl: 465, afterOneSigma: 10.4 },
  {
    name: 'EWMA λ=.1, L=2.814',
    detectors: [{ ...ewma({ lambda: 0.1, width: 2.814 }), see: same }],
    inControl: 500,
    afterOneSigma: 10.3,
  },
  {
    name: 'EWMA λ=.2, L=2.962',
    detectors: [{ ...ewma({ lambda: 0.2, width: 2.962 }), see: same }],
    inControl: 500,
    afterOneSigma: 10.5,
  },
] as const;

describe('run lengths, simulated', () => {
  it.each(TABLE)('$name: $inControl in control, $afterOneSigma after a shift of one sigma', (row) => {
    const draw = normal(20_261_121);
    const close = (found: number, told: number): void => {
      expect(Math.abs(found / told - 1), `${found}, not ${told}`).toBeLessThan(TOLERANCE);
    };
    close(runLength(row.detectors, draw, 8_000), row.inControl);
    close(
      runLength(row.detectors, () => draw() + 1, 20_000),
      row.afterOneSigma,
    );
  });

  it('a detector with another threshold is told apart by that', () => {
    const draw = normal(20_261_121);
    expect(Math.abs(runLength(twoSided(4.5), draw, 8_000) / 465 - 1)).toBeGreaterThan(TOLERANCE);
  });
});

describe('the Bernoulli CUSUM', () => {
  it.each([0.02, 0.1, 0.3, 0.6, 0.8])('from %f: designed for 500, and just so long it runs', (from) => {
    const design = designBernoulli({ from, to: from + 0.15, runLength: 500 });
    expect(design.runLength).toBeGreaterThanOrEqual(500);
    // A threshold one step lower would give a false alarm too soon.
    expect(exactRunLength({ ...design, limit: design.limit - 1 }, from)).toBeLessThan(500);
    const draw = uniform(7);
    const fails = (rate: number) => () => (draw() < rate ? 1 : 0);
    const detector = [{ ...bernoulliCusum(design), see: same }];
    expect(Math.abs(runLength(detector, fails(from), 10_000) / design.runLength - 1)).toBeLessThan(TOLERANCE);
    const after = exactRunLength(design, from + 0.15);
    expect(Math.abs(runLength(detector, fails(from + 0.15), 20_000) / after - 1)).toBeLessThan(TOLERANCE);
    expect(after).toBeLessThan(design.runLength / 7);
  });

  it('the exact run length is right where it can be had by hand', () => {
    // Signals with the first failure.
    expect(exactRunLength({ up: 1, down: 1, limit: 1 }, 0.25)).toBeCloseTo(4, 9);
    // Signals with two failures in a row: (1 + p) / p².
    expect(exactRunLength({ up: 1, down: 1, limit: 2 }, 0.5)).toBeCloseTo(6, 9);
  });

  it('never needs a higher rate to be told than the one it is made for', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.002, max: 0.8, noNaN: true }), (from) => {
        const { up, down } = designBernoulli({ from, to: from + 0.15, runLength: 500 });
        const reference = down / (up + down);
        expect(reference).toBeGreaterThan(from);
        expect(reference).toBeLessThan(from + 0.15);
      }),
      { numRuns: 50 },
    );
  });
});

describe('an alarm over a series', () => {
  const detector = cusum({ k: 0.5, h: 5 });

  it('says where the change began, and holds until it is over', () => {
    const calm = [0, 0.3, -0.4, 0.1];
    const shifted = Array.from({ length: 12 }, () => 2);
    expect(watch(detector, calm)).toEqual({ level: 0, since: null });
    expect(watch(detector, [...calm, ...shifted])).toEqual({ level: 1, since: 4 });
    // The level stops at the limit, so six calm ones end it however long it lasted.
    const after = Array.from({ length: 6 }, () => 0);
    expect(watch(detector, [...calm, ...shifted, ...after.slice(1)])).toEqual({ level: 0.5, since: 4 });
    expect(watch(detector, [...calm, ...shifted, ...after])).toEqual({ level: 0.4, since: null });
  });

  it('a shift half as large as the reference is none', () => {
    expect(
      watch(
        detector,
        Array.from({ length: 500 }, () => 0.25),
      ).since,
    ).toBeNull();
  });
});
