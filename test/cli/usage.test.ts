/** `seed usage`: a screen for a person, and JSON for a program. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixed, hold, pay, SPENDER } from '../substrate/ledger/rig.ts';
import { openAgain } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';
import { initHome, seed, seedJson } from './seed.ts';

const POLICY = `
version: 1
timezone: UTC
targets: {}
roles: {}
ceilings:
  - { scope: seed, window: life, usd: "5.00" }
  - { scope: "label:customer=*", window: life, usd: "2.00" }
`;

test('usage: spent, held, limit and what is left, whatever the day', async () => {
  using dir = scratch();
  const home = dir.at('home');
  const options = { env: { SEED_HOME: home }, cwd: dir.folder };
  await initHome(home);
  const empty = await seed(['usage'], options);
  expect(empty.code).toBe(0);
  expect(empty.stdout).toContain('$0.00 spent.\n');
  writeFileSync(dir.at('policy.yaml'), POLICY);
  expect(await seed(['policy', 'apply', 'policy.yaml', '--yes'], options)).toMatchObject({ code: 0 });
  {
    await using open = await openAgain(home, { sources: testSources('usage', Date.now()) });
    const spender = { ...SPENDER, labels: { customer: 'acme' } };
    await pay(open.substrate, await hold(open.substrate, { id: 'a', spender, bound: fixed(900_000) }), 750_000);
    await hold(open.substrate, { id: 'b', bound: fixed(500_000) });
  }

  const { code, stdout } = await seed(['usage', '--period', 'life'], options);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe('All time (UTC): $0.75 spent, $0.50 held for calls under way.');
  expect(lines).toContainEqual(expect.stringMatching(/^CEILING +OF +SPENT +HELD +LIMIT +LEFT +TURNS OVER$/));
  expect(lines).toContainEqual(expect.stringMatching(/^seed\/life +\$0\.75 +\$0\.50 +\$5\.00 +\$3\.75 +never$/));
  expect(lines).toContainEqual(
    expect.stringMatching(/^label:customer=\*\/life +customer=acme +\$0\.75 +\$0\.00 +\$2\.00/),
  );
  expect(lines).toContainEqual(
    expect.stringMatching(/^label:customer=\*\/life +\(without it\) +\$0\.00 +\$0\.50 +\$2\.00/),
  );
  expect(lines).toContainEqual(expect.stringMatching(/^anthropic\/a-model +\$0\.75 +\$0\.50$/));
  expect(stdout).toContain('Not covered: what a client spends under its own subscription');
  const { answer } = await seedJson<{ spent_micro_usd: number }>(['usage', '--json', '--period', 'life'], options);
  expect(answer.spent_micro_usd).toBe(750_000);
  expect(await seed(['usage', '--limit', '0'], options)).toMatchObject({ code: 2 });
});
