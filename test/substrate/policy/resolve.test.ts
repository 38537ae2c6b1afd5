/** What a role resolves to, and that nothing wrong in the rows is ever made up for. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { choosePrice, PolicySnapshot } from '../../../src/substrate/policy/snapshot.ts';
import { explainRouting, readCeilings, readPolicy, readTimezone } from '../../../src/substrate/policy/policy.ts';
import { renderPolicy } from '../../../src/substrate/policy/render.ts';
import type { PolicyRows } from '../../../src/substrate/policy/rows.ts';
import { readPolicyRows } from '../../../src/substrate/policy/rows.ts';
import type { TestSeed } from '../../support/home.ts';
import { codeOf, DRIVERS, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { apply, editOutside, POLICY, policyRows, resolve, resolveAll, ROLES } from './support.ts';

describe.each(DRIVERS)('a role (%s)', (driver) => {
  test('[LOCK-RUNTIME-1] resolves to what its rows say, in their order, with prices from rows', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    expect(await resolve(seed.substrate, 'worker')).toBeNull();
    await apply(seed.substrate);
    expect(await resolve(seed.substrate, 'worker')).toEqual({
      role: 'worker',
      dispatch: 'any',
      maxOutputTokens: 4_096,
      minOutputTokens: 256,
      timeouts: { firstTokenMs: 20_000, idleMs: 15_000, totalMs: 120_000 },
      onCeiling: 'stop',
      policyVersion: '1',
      candidates: [
        {
          position: 1,
          target: {
            name: 'anthropic',
            provider: 'anthropic',
            baseUrl: 'https://api.anthropic.com',
            credential: 'anthropic',
          },
          model: 'a-tier-2-model',
          tier: 2,
          contextTokens: null,
          price: {
            input: 3_000_000,
            output: 15_000_000,
            cachedInput: 300_000,
            cacheWrite: 3_000_000,
            version: 'owner:1',
          },
        },
        expect.objectContaining({ position: 2, model: 'another', price: null }),
        expect.objectContaining({
          position: 3,
          contextTokens: 8_192,
          target: {
            name: 'local-ollama',
            provider: 'local-ollama',
            baseUrl: 'http://127.0.0.1:11434',
            credential: null,
          },
          price: { input: 0, output: 0, cachedInput: 0, cacheWrite: 0, version: 'local:0' },
        }),
      ],
    });
    const { substrate } = seed;
    expect(await substrate.read(readTimezone)).toBe('Europe/Berlin');
    expect(await substrate.read(readCeilings)).toEqual([
      { name: 'label:customer=*/month', scope: 'label:customer=*', window: 'month', limitMicroUsd: 20_000_000 },
      { name: 'role:worker/day', scope: 'role:worker', window: 'day', limitMicroUsd: 3_000_000 },
      { name: 'seed/day', scope: 'seed', window: 'day', limitMicroUsd: 5_000_000 },
    ]);
  });

  test('[LOCK-RUNTIME-2] that is unknown, or for the drain alone, resolves to null, and says so', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    await apply(seed.substrate);
    for (const role of ['', 'Worker', 'worker ', 'constructor', '__proto__', 'worker\0', '*']) {
      expect([role, await resolve(seed.substrate, role), await resolve(seed.substrate, role, 'cron')]).toEqual([
        role,
        null,
        null,
      ]);
    }
    expect(await resolve(seed.substrate, 'synthesizer', 'any')).toBeNull();
    expect(await resolve(seed.substrate, 'synthesizer', 'cron')).toMatchObject({ candidates: [{ tier: 1 }] });
    const why = await seed.substrate.read((db) => explainRouting(db, 'synthesizer', 'any'));
    expect(why.problems).toMatchObject([{ problem: 'This role is for the drain alone, not for a call on demand.' }]);
  });
});

/** An edit of one row, and the roles that resolve to null after it. */
const BROKEN: readonly (readonly [string, readonly string[]])[] = [
  ["UPDATE substrate_routing_config SET target = 'nobody' WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET model = '' WHERE role = 'worker' AND position = 3", ['worker']],
  ["UPDATE substrate_routing_config SET tier = 4 WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET tier = 1 WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET context_tokens = 5 WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET dispatch = 'any' WHERE role = 'synthesizer'", ['synthesizer']],
  ["UPDATE substrate_routing_config SET dispatch = 'cron' WHERE role = 'worker' AND position = 2", ['worker']],
  ["UPDATE substrate_routing_config SET dispatch = 'ANY' WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET limits = '{' WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_routing_config SET limits = '[]' WHERE role = 'scout'", ['scout']],
  [`UPDATE substrate_routing_config SET limits = '{"max_output_tokens":0}' WHERE role = 'scout'`, ['scout']],
  [
    `UPDATE substrate_routing_config SET limits = '{"max_output_tokens":5,"min_output_tokens":6}' WHERE role = 'scout'`,
    ['scout'],
  ],
  [`UPDATE substrate_routing_config SET limits = '{"max":5}' WHERE role = 'scout'`, ['scout']],
  [`UPDATE substrate_routing_config SET limits = '{}' WHERE role = 'worker' AND position = 1`, ['worker']],
  ["UPDATE substrate_routing_config SET role = ' ' WHERE role = 'scout'", ['worker', 'scout', 'synthesizer']],
  ["UPDATE substrate_routing_config SET position = -1 WHERE role = 'scout'", ['scout']],
  ["UPDATE substrate_targets SET provider = 'openai' WHERE name = 'anthropic'", ['worker', 'synthesizer']],
  [
    "UPDATE substrate_targets SET base_url = 'http://api.anthropic.com' WHERE name = 'anthropic'",
    ['worker', 'synthesizer'],
  ],
  ["UPDATE substrate_targets SET base_url = 'ftp://127.0.0.1' WHERE name = 'nvidia'", ['scout']],
  ["UPDATE substrate_targets SET credential = '../../etc/passwd' WHERE name = 'gemini'", ['worker']],
  ["UPDATE substrate_targets SET name = 'other' WHERE name = 'gemini'", ['worker']],
  ["DELETE FROM substrate_targets WHERE name = 'nvidia'", ['scout']],
  ["UPDATE substrate_prices SET input = -1 WHERE target = 'nvidia'", ['scout']],
  ["UPDATE substrate_prices SET source = 'me' WHERE target = 'nvidia'", ['scout']],
  ["UPDATE substrate_prices SET model = '' WHERE target = 'nvidia'", ['worker', 'scout', 'synthesizer']],
  [
    "UPDATE substrate_ceilings SET limit_micro_usd = -5 WHERE scope = 'role:worker'",
    ['worker', 'scout', 'synthesizer'],
  ],
  ["UPDATE substrate_ceilings SET window = 'daily' WHERE scope = 'seed'", ['worker', 'scout', 'synthesizer']],
  ["INSERT INTO substrate_ceilings VALUES ('everything', 'day', 1)", ['worker', 'scout', 'synthesizer']],
  ["UPDATE substrate_policy SET timezone = 'Europe/Nowhere'", ['worker', 'scout', 'synthesizer']],
  ['DROP TRIGGER substrate_prices_update', ['worker', 'scout', 'synthesizer']],
];

test.each(BROKEN)('[LOCK-RUNTIME-2] %s: null where it bears on, the others go on', async (sql, nulls) => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  await apply(seed.substrate);
  const before = await resolveAll(seed.substrate);
  // The control: nothing is null before.
  expect(Object.values(before)).not.toContain(null);
  editOutside(seed.home, sql);
  const after = await resolveAll(seed.substrate);
  for (const role of ROLES) expect([role, after[role]]).toEqual([role, nulls.includes(role) ? null : before[role]]);
  for (const role of nulls) {
    const { routing, problems } = await seed.substrate.read((db) => explainRouting(db, role, 'cron'));
    expect({ routing, said: problems.length > 0 }).toEqual({ routing: null, said: true });
    for (const { row, problem, todo } of problems) expect(row && problem && todo).toBeTruthy();
  }
});

test('ceilings and a time zone that cannot be read stop spending instead of being left out', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  await apply(seed.substrate);
  editOutside(seed.home, "UPDATE substrate_ceilings SET scope = 'sead' WHERE scope = 'seed'");
  expect(await codeOf(seed.substrate.read(readCeilings))).toBe('policy_invalid');
  await apply(seed.substrate);
  expect(await codeOf(seed.substrate.read(readCeilings))).toBe('none');
  editOutside(seed.home, "UPDATE substrate_policy SET timezone = 'Mars'");
  expect(await codeOf(seed.substrate.read(readTimezone))).toBe('policy_invalid');
});

test('what a role leaves out has documented defaults, and no more than that', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  editOutside(
    seed.home,
    "INSERT INTO substrate_targets VALUES ('stub', 'nvidia', 'http://127.0.0.1:9', NULL)",
    "INSERT INTO substrate_routing_config (role, dispatch, position, target, model, tier) VALUES ('r', 'any', 0, 'stub', 'm', 3)",
  );
  expect(await resolve(seed.substrate, 'r')).toEqual({
    role: 'r',
    dispatch: 'any',
    maxOutputTokens: 4_096,
    minOutputTokens: 256,
    timeouts: { firstTokenMs: 20_000, idleMs: 15_000, totalMs: 120_000 },
    onCeiling: 'stop',
    policyVersion: '0+2',
    candidates: [
      {
        position: 0,
        target: { name: 'stub', provider: 'nvidia', baseUrl: 'http://127.0.0.1:9', credential: null },
        model: 'm',
        tier: 3,
        contextTokens: null,
        price: null,
      },
    ],
  });
  expect(await seed.substrate.read(readTimezone)).toBe('UTC');
  expect(await seed.substrate.read(readCeilings)).toEqual([]);
});

test('the owner’s price comes before the catalogue’s', () => {
  const row = { target: 't', model: 'm', edition: '3', output: 0, cached_input: null, cache_write: null };
  const [catalogue, owner] = [
    { ...row, source: 'catalogue', input: 1 },
    { ...row, source: 'owner', input: 2 },
  ];
  expect(choosePrice([catalogue, owner])).toMatchObject({ input: 2, cachedInput: 2, version: 'owner:3' });
  expect(choosePrice([catalogue])).toMatchObject({ input: 1, version: 'genai-prices:3' });
  expect(choosePrice([])).toBeNull();
});

describe('properties', () => {
  test('[LOCK-RUNTIME-1] file → rows → file is the same policy, through the real database', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    let version = 0;
    await fc.assert(
      fc.asyncProperty(policyRows, async (rows) => {
        await apply(seed.substrate, renderPolicy(rows));
        version++;
        const held = await seed.substrate.read(readPolicyRows);
        const owners = held.prices
          .filter(({ source }) => source === 'owner')
          .map((price) => ({ ...price, edition: '' }));
        expect({ ...held, prices: owners }).toEqual(rows);
        expect((await seed.substrate.read(readPolicy)).policyVersion).toBe(String(version));
      }),
      { numRuns: 40 },
    );
  });

  /** Nothing that a field could hold. */
  const garbage = fc.constantFrom<string | number>(
    '',
    ' ',
    '\u0000',
    'é',
    '-',
    '../x',
    '{"a":1}',
    '%',
    'a b',
    -1,
    1.5,
    Number.NaN,
    1e16,
  );

  test('[LOCK-RUNTIME-2] one cell turned to garbage makes roles null or leaves them as they were, never another', () => {
    const seen = { null: 0, same: 0 };
    fc.assert(
      fc.property(policyRows, fc.nat(), fc.nat(), garbage, (rows, pick, column, value) => {
        const before = new PolicySnapshot({ rows, policyVersion: '1', pending: [], isGuarded: true, isWhole: true });
        const after = new PolicySnapshot({
          rows: corrupt(rows, pick, column, value),
          policyVersion: '1',
          pending: [],
          isGuarded: true,
          isWhole: true,
        });
        for (const role of before.roles) {
          for (const dispatch of ['any', 'cron'] as const) {
            const { routing, problems } = after.resolve(role, dispatch);
            const was = before.resolve(role, dispatch).routing;
            if (routing !== null) expect(routing).toEqual(was);
            if (was !== null) seen[routing === null ? 'null' : 'same']++;
            expect(problems.length === 0).toBe(routing !== null);
          }
        }
      }),
      { numRuns: 500 },
    );
    // Neither half of it is empty.
    expect(Math.min(seen.null, seen.same)).toBeGreaterThan(50);
  });
});

/** The same rows with one cell of one row replaced. */
function corrupt(rows: PolicyRows, pick: number, column: number, value: string | number): PolicyRows {
  const tables = (['targets', 'routing', 'prices', 'ceilings'] as const).filter((name) => rows[name].length > 0);
  const table = tables[pick % tables.length] ?? 'targets';
  const list = rows[table] as readonly Record<string, unknown>[];
  const index = pick % list.length;
  return {
    ...rows,
    [table]: list.map((row, at) => {
      if (at !== index) return row;
      const names = Object.keys(row);
      return { ...row, [names[column % names.length] ?? '']: value };
    }),
  };
}

test('what is remembered is never stale, and never another home’s', async () => {
  using dir = scratch();
  using elsewhere = scratch();
  await using one = await openSeed(dir);
  await using other = await openSeed(elsewhere);
  await apply(one.substrate);
  await apply(other.substrate, POLICY.replace('"a-tier-2-model", tier: 2', '"a-third", tier: 2'));
  const model = async (seed: TestSeed): Promise<string | undefined> =>
    (await resolve(seed.substrate, 'worker'))?.candidates[0]?.model;
  for (const round of [1, 2, 3]) {
    expect([await model(one), await model(other)]).toEqual([
      round === 1 ? 'a-tier-2-model' : `m${round - 1}`,
      'a-third',
    ]);
    editOutside(
      one.home,
      `UPDATE substrate_routing_config SET model = 'm${round}' WHERE role = 'worker' AND position = 1`,
    );
  }
  expect(await resolve(one.substrate, 'worker')).toMatchObject({ policyVersion: '1+3' });
  // The same file again is a new version, though no row of it changes.
  await apply(other.substrate, POLICY.replace('"a-tier-2-model", tier: 2', '"a-third", tier: 2'));
  expect(await resolve(other.substrate, 'worker')).toMatchObject({ policyVersion: '2' });
});
