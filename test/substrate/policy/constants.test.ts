/** Policy is rows and nothing else: the code names no model and no address of one, and without rows there is nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { starterTargets } from '../../../src/substrate/policy/starter.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { asker, asks, PATIENT, routerOf } from '../../mind/router/rig.ts';
import { resolve, ROLES } from './support.ts';

const PROJECT = join(import.meta.dirname, '..', '..', '..');

interface StarterFile {
  readonly roles: Readonly<Record<string, { readonly candidates: readonly { readonly model: string }[] }>>;
}

function starterModels(): string[] {
  const { roles } = parse(readFileSync(join(PROJECT, 'policies', 'starter.yaml'), 'utf8')) as StarterFile;
  const models = Object.values(roles).flatMap(({ candidates }) => candidates.map(({ model }) => model));
  // Stands for those that are found.
  return models.filter((model) => model !== 'each-found');
}

const HOSTS = starterTargets().map(({ baseUrl }) => new URL(baseUrl).host);
/** How models are called: a family with a number. */
const FAMILY = /\b(?:claude|gpt|o|gemini|gemma|llama|mistral|qwen|deepseek|nemotron)-(?:[a-z]+-)*\d/i;

/** What a text has of constants that belong into policy; comments are no code. */
function constantsIn(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
  const found = [...starterModels(), ...HOSTS].filter((text) => code.includes(text));
  return FAMILY.test(code) ? [...found, FAMILY.exec(code)?.[0] ?? ''] : found;
}

/** Examples in texts that say what to type. */
const SPOKEN = new Set([
  'cli/commands/credential.ts: api.anthropic.com',
  'cli/commands/credential.ts: generativelanguage.googleapis.com',
  'substrate/origins.ts: 127.0.0.1:11434',
]);

test('[LOCK-RUNTIME-1] no model, and no address of one, stands in the code', () => {
  const files = readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  expect(files.length).toBeGreaterThan(100);
  const found = files.flatMap((name) =>
    constantsIn(readFileSync(join(PROJECT, 'src', name), 'utf8')).map((text) => `${name}: ${text}`),
  );
  expect(found.filter((text) => !SPOKEN.has(text))).toEqual([]);
});

test('[LOCK-RUNTIME-1] the control: where one stood, it would be found, and one in a comment is none', () => {
  expect(constantsIn("const MODEL = 'claude-sonnet-9';")).toEqual(['claude-sonnet-9']);
  expect(constantsIn('const FALLBACK = { model: `gpt-6` };')).toEqual(['gpt-6']);
  for (const text of [...starterModels(), ...HOSTS]) expect(constantsIn(`const a = "${text}";`)).toContain(text);
  expect(constantsIn("/** Such as claude-sonnet-9. */\n// or gpt-6\nconst a = 'claude-code';")).toEqual([]);
});

test('[LOCK-RUNTIME-1] [LOCK-RUNTIME-2] a seed without a policy calls nobody, whoever is asked for', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { router, calls } = routerOf(seed.substrate, { scripts: {} });
  for (const role of [...ROLES, 'default', '']) {
    expect(await resolve(seed.substrate, role, 'cron')).toBeNull();
    const { outcome } = await router.complete(asks('Hello?', { role }), asker(), PATIENT);
    expect(outcome).toMatchObject({ status: 'refused', code: 'no_route' });
  }
  expect(calls).toEqual([]);
  const left = (await allReceipts(seed.substrate)).filter(({ action }) => action === 'route.attempt');
  expect(left.map(({ outcome }) => outcome)).toEqual([...ROLES, 'default', ''].map(() => 'refused'));
});
