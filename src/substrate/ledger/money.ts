/** Money in whole micro-dollars: what tokens cost, and how an amount is written for a person. */
import { SeedError } from '../../errors.ts';
import type { Price } from '../policy/model.ts';
import { formatUsd } from '../policy/money.ts';
import type { Bound, TokenUsage } from './model.ts';

/** The largest amount of one attempt, and the largest limit: a billion dollars. */
export const MICRO_USD_MAX = 1e15;
/** The largest price of a million tokens: a million dollars. */
export const PRICE_MAX = 1e12;
/** The most tokens of one kind in one attempt. With {@link PRICE_MAX} that is {@link MICRO_USD_MAX}. */
export const TOKENS_MAX = 1e9;

const MTOK = 1_000_000n;

function isWhole(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

/** @throws SeedError `invalid_input` unless `value` is a whole number from 0 to `max` */
export function assertWhole(value: number, max: number, what: string): void {
  if (isWhole(value, max)) return;
  throw new SeedError('invalid_input', `${what} is not a whole number from 0 to ${max}.`, {
    hint: 'Money is whole micro-dollars; what cannot be bounded cannot be spent.',
  });
}

function perMtok(microUsd: bigint): number {
  return Number((microUsd + MTOK - 1n) / MTOK);
}

/**
 * `ceil(price × tokens / 1,000,000)`, exactly: the product is beyond what a double holds.
 * @throws SeedError `invalid_input` over {@link PRICE_MAX} or {@link TOKENS_MAX}
 */
export function tokenCost(microUsdPerMtok: number, tokens: number): number {
  assertWhole(microUsdPerMtok, PRICE_MAX, 'A price');
  assertWhole(tokens, TOKENS_MAX, 'A number of tokens');
  return perMtok(BigInt(microUsdPerMtok) * BigInt(tokens));
}

/** What a request of at most this many tokens costs at most, whatever the provider does with its cache. */
export function inputBound({ input, cachedInput, cacheWrite }: Price, tokens: number): number {
  return tokenCost(Math.max(input, cachedInput, cacheWrite), tokens);
}

/** What an attempt costs at most when its answer has at most `tokens`. */
export function boundOf({ inputMicroUsd, outputMicroUsdPerMtok }: Bound, tokens: number): number {
  return inputMicroUsd + tokenCost(outputMicroUsdPerMtok, tokens);
}

/**
 * What reported usage costs: `ceil(Σ input price × input tokens / 1e6) + ceil(output price × output
 * tokens / 1e6)`, never above {@link inputBound} + {@link tokenCost} for as many tokens. Null for a
 * report that nobody can believe (a negative count, say): then the attempt costs its bound.
 */
export function usageCost(price: Price, usage: TokenUsage): number | null {
  const { input, output, cachedInput, cacheWrite } = usage;
  if (![input, output, cachedInput, cacheWrite].every((count) => isWhole(count, TOKENS_MAX))) return null;
  const cost =
    perMtok(
      BigInt(price.input) * BigInt(input) +
        BigInt(price.cachedInput) * BigInt(cachedInput) +
        BigInt(price.cacheWrite) * BigInt(cacheWrite),
    ) + tokenCost(price.output, output);
  return isWhole(cost, MICRO_USD_MAX) ? cost : null;
}

/** The most output tokens that `microUsd` pays for; {@link TOKENS_MAX} where they cost nothing. */
export function tokensFor(microUsd: number, microUsdPerMtok: number): number {
  if (microUsd < 0) return 0;
  if (microUsdPerMtok === 0) return TOKENS_MAX;
  const tokens = (BigInt(microUsd) * MTOK) / BigInt(microUsdPerMtok);
  return Math.min(Number(tokens), TOKENS_MAX);
}

/** `$5.00`, `$0.0123`: two decimals, or as many as it takes. */
export function dollars(microUsd: number): string {
  return `${microUsd < 0 ? '-' : ''}$${formatUsd(Math.abs(microUsd))}`;
}
