/** What a first start finds to call a model with, looked for in a process of its own. */
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { lookForModelsApart } from '../../src/cli/first-run.ts';
import { scratch } from '../support/scratch.ts';
import { seed } from '../support/seed-command.ts';

test('what is there goes into a first policy, once; what is the owner’s is left alone', async () => {
  using dir = scratch();
  const home = dir.at('home');
  await seed(home, ['init', '--no-detect']);
  const env = { ANTHROPIC_API_KEY: 'sk-test-1', OLLAMA_HOST: 'http://127.0.0.1:9' };
  expect((await seed(home, ['target', 'detect'], { env })).json).toMatchObject({
    found: [{ target: 'anthropic', variable: 'ANTHROPIC_API_KEY' }],
    version: 1,
    problem: null,
  });
  expect((await seed(home, ['target', 'detect'], { env })).json).toMatchObject({ found: [], version: null });
});

test('where it cannot be looked for, that is said, and nothing else goes wrong', async () => {
  using dir = scratch();
  const found = await lookForModelsApart(readConfig({ home: dir.at('nothing') }));
  expect(found).toMatchObject({ found: [], roles: [], version: null });
  expect(found.problem).toContain('seed init');
});
