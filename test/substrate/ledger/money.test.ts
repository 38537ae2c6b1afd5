/** Exact arithmetic on money, up to its limits. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import {
  dollars,
  inputBound,
  MICRO_USD_MAX,
  PRICE_MAX,
  tokenCost,
  TOKENS_MAX,
  tokensFor,
  usageCost,
} from '../../../src/substrate/ledger/money.ts';
import type { Price } from '../../../src/substrate/policy/model.ts';

const price = fc.nat({ max: PRICE_MAX });
const tokens = fc.nat({ max: TOKENS_MAX });
const PRICE: Price = {
  input: 3_000_000,
  output: 15_000_000,
  cachedInput: 300_000,
  cacheWrite: 3_750_000,
  version: 'owner:1',
};

/** The definition: the smallest whole number that is not below price × tokens / 1e6. */
function isCeiling(cost: number, perMtok: number, count: number): boolean {
  const exact = BigInt(perMtok) * BigInt(count);
  return BigInt(cost) * 1_000_000n >= exact && (cost === 0 || BigInt(cost - 1) * 1_000_000n < exact);
}

describe('what tokens cost', () => {
  it('is rounded up, exactly', () => {
    expect(tokenCost(3_000_000, 1_000)).toBe(3_000);
    expect(tokenCost(1, 1)).toBe(1);
    expect(tokenCost(0, TOKENS_MAX)).toBe(0);
    expect(tokenCost(PRICE_MAX, TOKENS_MAX)).toBe(MICRO_USD_MAX);
    // In doubles it is one less, and so a call would cost more than its bound.
    expect(Math.ceil((768_617_012_903 * 397_479_192) / 1e6)).toBe(305_509_269_246_138);
    expect(tokenCost(768_617_012_903, 397_479_192)).toBe(305_509_269_246_139);
    fc.assert(fc.property(price, tokens, (perMtok, count) => isCeiling(tokenCost(perMtok, count), perMtok, count)));
  });

  it.each([
    [-1, 1],
    [0.5, 1],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
    [PRICE_MAX + 1, 1],
    [1, -1],
    [1, 1.5],
    [1, TOKENS_MAX + 1],
  ])('of %s and %s is refused', (perMtok, count) => {
    expect(() => tokenCost(perMtok, count)).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  it('of a report stays within the bound for as many tokens', () => {
    fc.assert(
      fc.property(
        fc.record({ input: price, output: price, cachedInput: price, cacheWrite: price }),
        fc.record({
          input: fc.nat({ max: 1e6 }),
          output: fc.nat({ max: 1e6 }),
          cachedInput: fc.nat({ max: 1e6 }),
          cacheWrite: fc.nat({ max: 1e6 }),
        }),
        (prices, usage) => {
          const of = { ...prices, version: '' };
          const cost = usageCost(of, usage)!;
          const request = usage.input + usage.cachedInput + usage.cacheWrite;
          expect(cost).toBeLessThanOrEqual(inputBound(of, request) + tokenCost(of.output, usage.output));
          expect(Number.isSafeInteger(cost)).toBe(true);
        },
      ),
    );
    expect(usageCost(PRICE, { input: 1_000, output: 100, cachedInput: 2_000, cacheWrite: 400 })).toBe(
      3_000 + 600 + 1_500 + 1_500,
    );
  });

  it.each([{ input: -1 }, { output: 1.5 }, { cachedInput: Number.NaN }, { cacheWrite: TOKENS_MAX + 1 }])(
    'of a report that nobody can believe (%o) is not known',
    (wrong) => {
      const usage = { input: 1, output: 1, cachedInput: 1, cacheWrite: 1 };
      expect(usageCost(PRICE, usage)).not.toBeNull();
      expect(usageCost(PRICE, { ...usage, ...wrong })).toBeNull();
    },
  );
});

describe('the tokens that an amount pays for', () => {
  it('are as many as fit, and not one more', () => {
    fc.assert(
      fc.property(fc.nat({ max: MICRO_USD_MAX }), price, (amount, perMtok) => {
        const count = tokensFor(amount, perMtok);
        expect(tokenCost(perMtok, count)).toBeLessThanOrEqual(amount);
        if (count < TOKENS_MAX) expect(tokenCost(perMtok, count + 1)).toBeGreaterThan(amount);
      }),
    );
    expect(tokensFor(-1, 5)).toBe(0);
    expect(tokensFor(0, 0)).toBe(TOKENS_MAX);
  });
});

describe('an amount for a person', () => {
  it.each([
    [0, '$0.00'],
    [5_000_000, '$5.00'],
    [12_300, '$0.0123'],
    [1, '$0.000001'],
    [1_234_567_890_000, '$1234567.89'],
    [-1_500_000, '-$1.50'],
  ])('%i is %s', (amount, text) => {
    expect(dollars(amount)).toBe(text);
  });
});
