/**
 * Prices that the owner need not look up: a public catalogue that comes with this version, and
 * nothing for models that run on the owner's own machine.
 *
 * The catalogue is data of a package and is loaded only when prices are seeded; calls are priced from
 * the rows alone. What it does not know has no price, and then the candidate is skipped.
 */
import type { ModelPrice } from '@pydantic/genai-prices';
import type { PriceRow, PolicyRows } from './rows.ts';

/** The version of `@pydantic/genai-prices` that is installed. */
export const CATALOGUE_EDITION = '0.1.8';

/** Whom the catalogue knows which provider as; of NVIDIA's the owner alone knows the price. */
const CATALOGUE_NAMES: Readonly<Record<string, string>> = { anthropic: 'anthropic', gemini: 'google' };

const FREE = { source: 'local', edition: '0', input: 0, output: 0, cached_input: 0, cache_write: 0 } as const;

/** The prices of all models that these rows name, as far as they are known; the owner's own not among them. */
export async function pricesFor({ targets, routing }: Pick<PolicyRows, 'targets' | 'routing'>): Promise<PriceRow[]> {
  const providers = new Map(targets.map(({ name, provider }) => [name, provider]));
  const named = new Map(routing.map(({ target, model }) => [JSON.stringify([target, model]), { target, model }]));
  const prices: PriceRow[] = [];
  for (const { target, model } of named.values()) {
    const provider = providers.get(target) ?? '';
    if (provider === 'local-ollama') prices.push({ target, model, ...FREE });
    const name = CATALOGUE_NAMES[provider];
    const known = name === undefined ? null : await lookUp(name, model);
    if (known !== null) prices.push({ target, model, source: 'catalogue', edition: CATALOGUE_EDITION, ...known });
  }
  return prices;
}

type Known = Pick<PriceRow, 'input' | 'output' | 'cached_input' | 'cache_write'>;

async function lookUp(providerId: string, model: string): Promise<Known | null> {
  const { calcPrice } = await import('@pydantic/genai-prices');
  const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, model, { providerId });
  if (found === null) return null;
  const { model_price: price } = found;
  const [input, output] = [highest(price, 'input_mtok'), highest(price, 'output_mtok')];
  if (input === null || output === null) return null;
  return {
    // A request may hold images too, and one bound is for all of it.
    input: Math.max(input, highest(price, 'input_image_mtok') ?? 0),
    output,
    cached_input: highest(price, 'cache_read_mtok'),
    cache_write: highest(price, 'cache_write_mtok'),
  };
}

/** In whole micro-dollars, rounded up; of a price with tiers the highest, since a bound must hold in each. */
function highest(price: ModelPrice, key: string): number | null {
  const value = price[key];
  if (value === undefined) return null;
  const dollars = typeof value === 'number' ? value : Math.max(value.base, ...value.tiers.map((tier) => tier.price));
  return Number.isFinite(dollars) && dollars >= 0 ? microUsd(dollars) : null;
}

/** The catalogue's numbers are decimals that were made floats: their shortest decimal is what was meant. */
function microUsd(dollars: number): number {
  const [whole = '0', fraction = ''] = dollars.toFixed(12).split('.');
  const micro = Number(`${whole}${fraction.slice(0, 6)}`);
  return /[1-9]/.test(fraction.slice(6)) ? micro + 1 : micro;
}
