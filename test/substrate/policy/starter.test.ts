/** The policy of a new seed, and the prices that nobody need look up. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CATALOGUE_EDITION, pricesFor } from '../../../src/substrate/policy/catalogue.ts';
import { readDocument } from '../../../src/substrate/policy/document.ts';
import { renderStarter, starterTargets } from '../../../src/substrate/policy/starter.ts';
import { openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { apply, resolve } from './support.ts';

const ROOT = path.join(import.meta.dirname, '..', '..', '..');

test('the edition is that of the package which is installed', () => {
  const { version } = JSON.parse(
    readFileSync(path.join(ROOT, 'node_modules', '@pydantic', 'genai-prices', 'package.json'), 'utf8'),
  ) as { version: string };
  expect(CATALOGUE_EDITION).toBe(version);
});

test('every combination of what is there makes a policy that can run, under five dollars a day', async () => {
  const names = starterTargets().map(({ name }) => name);
  expect(names).toEqual(['anthropic', 'gemini', 'nvidia', 'local-ollama']);
  for (let mask = 0; mask < 2 ** names.length; mask++) {
    const here = names.filter((_name, bit) => ((mask >> bit) & 1) === 1);
    const starter = renderStarter({
      targets: here.map((name) =>
        name === 'local-ollama' ? { name, models: ['llama3.1:8b', 'no such model'] } : { name },
      ),
    });
    if (starter === null) {
      // NVIDIA's prices are for the owner to say, so it alone gives no role that can run.
      expect(here.filter((name) => name !== 'nvidia')).toEqual([]);
      continue;
    }
    const { rows, problems, warnings } = readDocument(starter.document);
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
    if (rows === null) throw new Error('No rows.');
    expect(rows.targets.map(({ name }) => name)).toEqual(here);
    expect(rows.ceilings).toEqual([{ scope: 'seed', window: 'day', limit_micro_usd: 5_000_000 }]);
    expect(rows.routing.every(({ target }) => here.includes(target))).toBe(true);
    // None is skipped for want of a price.
    const priced = new Set((await pricesFor(rows)).map(({ target, model }) => `${target} ${model}`));
    expect(rows.routing.filter(({ target, model }) => !priced.has(`${target} ${model}`))).toEqual([]);
  }
});

test('an Ollama without models, and nothing at all, give no policy', () => {
  expect(renderStarter({ targets: [] })).toBeNull();
  expect(renderStarter({ targets: [{ name: 'local-ollama' }] })).toBeNull();
});

test('it is applied as it is, wherever its targets answer', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const starter = renderStarter({
    targets: [{ name: 'local-ollama', models: ['qwen3:4b'], baseUrl: 'http://127.0.0.1:4' }],
  });
  expect(starter?.roles).toEqual(['worker', 'digestor']);
  await apply(seed.substrate, starter?.document);
  expect(await resolve(seed.substrate, 'worker')).toMatchObject({
    candidates: [
      {
        model: 'qwen3:4b',
        tier: 3,
        target: { baseUrl: 'http://127.0.0.1:4' },
        price: { input: 0, version: 'local:0' },
      },
    ],
  });
});

test('prices are whole micro-dollars, rounded up, the highest tier; unknown stays unknown', async () => {
  const target = (name: string, provider: string) => ({
    name,
    provider,
    base_url: 'https://x.example.org',
    credential: null,
  });
  const candidate = (name: string, model: string) => ({
    role: 'r',
    dispatch: 'any',
    position: 1,
    target: name,
    model,
    tier: 2,
    context_tokens: null,
    limits: '{}',
  });
  const prices = await pricesFor({
    targets: [target('a', 'anthropic'), target('g', 'gemini'), target('n', 'nvidia'), target('o', 'local-ollama')],
    routing: [
      candidate('a', 'claude-sonnet-4-5'),
      candidate('a', 'claude-sonnet-4-5'),
      candidate('a', 'no-such-model'),
      candidate('g', 'gemini-2.5-pro'),
      candidate('n', 'meta/llama-3.1-8b-instruct'),
      candidate('o', 'llama3.1:8b'),
      candidate('nobody', 'claude-sonnet-4-5'),
    ],
  });
  expect(prices.map((price) => ({ ...price, edition: '' }))).toEqual([
    // Of both tiers of the catalogue, the one for long requests.
    {
      target: 'a',
      model: 'claude-sonnet-4-5',
      source: 'catalogue',
      edition: '',
      input: 6_000_000,
      output: 22_500_000,
      cached_input: 600_000,
      cache_write: 7_500_000,
    },
    {
      target: 'g',
      model: 'gemini-2.5-pro',
      source: 'catalogue',
      edition: '',
      input: 2_500_000,
      output: 15_000_000,
      cached_input: 250_000,
      cache_write: null,
    },
    {
      target: 'o',
      model: 'llama3.1:8b',
      source: 'local',
      edition: '',
      input: 0,
      output: 0,
      cached_input: 0,
      cache_write: 0,
    },
  ]);
});
