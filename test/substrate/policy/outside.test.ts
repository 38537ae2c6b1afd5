/** Edits with plain SQL by another program: in force at the next look, and never unseen. */
import { fileURLToPath } from 'node:url';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Receipt } from '../../../src/formats/receipt.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { getContent } from '../../../src/substrate/content.ts';
import { homePath } from '../../../src/substrate/home/layout.ts';
import { refreshPrices, rollbackPolicy } from '../../../src/substrate/policy/apply.ts';
import { acknowledgeEdits, listHistory } from '../../../src/substrate/policy/change.ts';
import { explainRouting, noteOutsideEdits } from '../../../src/substrate/policy/policy.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { startNode } from '../../support/child.ts';
import { allReceipts, codeOf, DRIVERS, makeHome, openAgain, openSeed, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { apply, editOutside, POLICY, resolve, resolveAll } from './support.ts';

const HOLDER = fileURLToPath(new URL('../../support/outside.ts', import.meta.url));

async function noted(substrate: Substrate): Promise<Receipt[]> {
  return (await allReceipts(substrate)).filter(({ action }) => action === 'policy.external_edit');
}

/** What any SQLite knows that can read the tables (3.37): the editor's own runs the triggers. */
const KNOWN = new Set(['json_object', 'cast', 'julianday', 'lower', 'hex', 'randomblob', 'policy_change', 'values']);

test('an edit is recorded with its time, by words that an older SQLite knows too', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  await apply(seed.substrate);
  const before = Date.now();
  editOutside(seed.home, "UPDATE substrate_ceilings SET limit_micro_usd = 1 WHERE scope = 'seed'");
  const { at, triggers } = await seed.substrate.read(async (db) => ({
    at: (await db.get<{ at_ms: number }>('SELECT at_ms FROM policy_change ORDER BY id DESC LIMIT 1'))?.at_ms,
    triggers: await db.all<{ sql: string }>(
      "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%policy_change%'",
    ),
  }));
  expect(at).toBeGreaterThanOrEqual(before - 2);
  expect(at).toBeLessThanOrEqual(Date.now() + 2);
  expect(triggers.length).toBeGreaterThan(15);
  const called = triggers.flatMap(({ sql }) => [...sql.matchAll(/(\w+) ?\(/g)].map(([, name]) => name?.toLowerCase()));
  expect(called.filter((name) => !KNOWN.has(name ?? ''))).toEqual([]);
});

const SECOND = "role = 'worker' AND position = 2";

describe.each(DRIVERS)('an edit from outside (%s)', (driver) => {
  test('[LOCK-RUNTIME-1] is in force at the very next look, and has its receipt before the next decision', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    await apply(substrate);
    expect(await resolve(substrate, 'worker')).toMatchObject({ policyVersion: '1' });
    editOutside(seed.home, `UPDATE substrate_routing_config SET model = 'b' WHERE ${SECOND}`);
    expect(await resolve(substrate, 'worker')).toMatchObject({
      policyVersion: '1+1',
      candidates: [{}, { model: 'b' }, {}],
    });
    await noteOutsideEdits(substrate);
    const [receipt, ...more] = await noted(substrate);
    expect(more).toEqual([]);
    expect(receipt).toMatchObject({
      actor: { id: 'external-sql', kind: 'human', grant: null },
      outcome: 'ok',
      detail: { table: 'substrate_routing_config' },
    });
    const { before, after } = (receipt?.detail ?? {}) as Record<string, string>;
    expect([JSON.parse(before ?? ''), JSON.parse(after ?? '')]).toMatchObject([{ model: 'another' }, { model: 'b' }]);
    // Once, however often somebody looks; what the seed itself edits is not from outside.
    const { size } = await substrate.log();
    await Promise.all([noteOutsideEdits(substrate), noteOutsideEdits(substrate)]);
    expect((await substrate.log()).size).toBe(size);
    await apply(substrate);
    await noteOutsideEdits(substrate);
    expect(await noted(substrate)).toHaveLength(1);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
    });
  });

  test('A to B and back to A leaves both, and in the history too', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    await apply(substrate);
    const before = await resolveAll(substrate);
    editOutside(
      seed.home,
      `UPDATE substrate_routing_config SET model = 'b' WHERE ${SECOND}`,
      `UPDATE substrate_routing_config SET model = 'another' WHERE ${SECOND}`,
    );
    expect(await resolveAll(substrate)).toEqual(before);
    await noteOutsideEdits(substrate);
    const receipts = await noted(substrate);
    const models = receipts.map(({ detail }) =>
      [detail['before'], detail['after']].map((side) => (JSON.parse(side as string) as { model: string }).model),
    );
    expect(models).toEqual([
      ['another', 'b'],
      ['b', 'another'],
    ]);
    const history = await substrate.read((db) => listHistory(db, 10));
    expect(history.map(({ kind, receipt }) => [kind, receipt])).toEqual([
      ['edit', receipts[1]?.seq],
      ['edit', receipts[0]?.seq],
      ['version', expect.any(Number)],
    ]);
  });

  test('by insert, replace and delete, many at once or very long: each on record', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    await apply(substrate);
    editOutside(
      seed.home,
      "INSERT OR REPLACE INTO substrate_ceilings VALUES ('seed', 'day', 1)",
      "DELETE FROM substrate_ceilings WHERE scope = 'seed'",
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
         INSERT INTO substrate_ceilings SELECT 'agent:a' || i, 'day', i FROM n`,
      "UPDATE substrate_targets SET base_url = 'https://' || hex(zeroblob(40000)) WHERE name = 'gemini'",
    );
    await noteOutsideEdits(substrate);
    const receipts = await noted(substrate);
    expect(receipts).toHaveLength(153);
    expect(new Set(receipts.map(({ subject }) => subject.id)).size).toBe(153);
    const long = receipts.find(({ detail }) => detail['bytes'] !== undefined);
    const content = await substrate.read((db) => getContent(db, long?.input ?? ''));
    expect(Buffer.from(content ?? []).toString()).toContain('0000');
    expect(await resolve(substrate, 'worker')).toBeNull();
    expect(await resolve(substrate, 'scout')).not.toBeNull();
  });
});

test('an editor that holds the write lock blocks neither reading nor the event loop', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  await apply(substrate);
  editOutside(seed.home, `UPDATE substrate_routing_config SET model = 'b' WHERE ${SECOND}`);
  await using holder = startNode([HOLDER, homePath(seed.home, 'database'), 'write']);
  await holder.line((line) => line === 'holding');
  let done = false;
  const noting = noteOutsideEdits(substrate).then(() => {
    done = true;
  });
  for (let turn = 0; turn < 50; turn++) {
    expect(await resolve(substrate, 'worker')).toMatchObject({ policyVersion: '1+1' });
    await nextTurn();
  }
  expect(done).toBe(false);
  holder.tell('release');
  await noting;
  expect(await noted(substrate)).toHaveLength(1);
});

describe('where an owner passphrase is set', () => {
  async function open(dir: ReturnType<typeof scratch>) {
    await makeHome(dir.at('home'), { passphrase: 'correct horse' });
    return openAgain(dir.at('home'));
  }

  test('[LOCK-RUNTIME-2] an edit from outside resolves to null until the owner acknowledged it', async () => {
    using dir = scratch();
    await using seed = await open(dir);
    const { substrate } = seed;
    await apply(substrate);
    const before = await resolveAll(substrate);
    expect(Object.values(before)).not.toContain(null);
    editOutside(
      seed.home,
      "UPDATE substrate_targets SET base_url = 'https://elsewhere.example.org' WHERE name = 'nvidia'",
    );
    expect(await resolveAll(substrate)).toEqual({ ...before, scout: null });
    const { problems } = await substrate.read((db) => explainRouting(db, 'scout', 'any'));
    expect(problems).toMatchObject([{ todo: expect.stringContaining('seed policy ack') as string }]);
    await noteOutsideEdits(substrate);
    expect(await resolve(substrate, 'scout')).toBeNull();
    // Another edit while the owner looks at the first is not acknowledged with it.
    editOutside(seed.home, "UPDATE substrate_routing_config SET tier = 2 WHERE role = 'scout'");
    const [newest, first] = await substrate.read((db) => listHistory(db, 2));
    const ack = (upTo: number | undefined) =>
      substrate.operate({ action: 'policy.ack', actor: OWNER }, async (op) => {
        const acknowledged = await acknowledgeEdits(op, upTo ?? null);
        op.receipt({ detail: { ...acknowledged } });
      });
    expect(await codeOf(ack(first?.id))).toBe('conflict');
    expect(await resolve(substrate, 'scout')).toBeNull();
    await ack(newest?.id);
    expect(await resolve(substrate, 'scout')).toMatchObject({
      candidates: [{ tier: 2, target: { baseUrl: 'https://elsewhere.example.org' } }],
    });
  });

  test.each([
    ["INSERT INTO substrate_ceilings VALUES ('seed', 'week', 1)", ['worker', 'scout', 'synthesizer']],
    ["UPDATE substrate_policy SET timezone = 'UTC'", ['worker', 'scout', 'synthesizer']],
    ["DELETE FROM substrate_routing_config WHERE role = 'worker' AND position = 3", ['worker']],
    [
      "UPDATE substrate_routing_config SET role = 'scout', position = 9 WHERE role = 'worker' AND position = 3",
      ['worker', 'scout'],
    ],
    ["INSERT INTO substrate_prices VALUES ('anthropic', 'a-tier-1-model', 'owner', 'x', 1, 1, 1, 1)", ['synthesizer']],
    ["UPDATE substrate_targets SET credential = NULL WHERE name = 'anthropic'", ['worker', 'synthesizer']],
  ] as const)('%s waits, for the roles that it bears on', async (sql, nulls) => {
    using dir = scratch();
    await using seed = await open(dir);
    await apply(seed.substrate);
    editOutside(seed.home, sql);
    const after = await resolveAll(seed.substrate);
    expect(Object.keys(after).filter((role) => after[role] === null)).toEqual(nulls);
    // Applying one's own file settles it: every row is the owner's again.
    await apply(seed.substrate);
    expect(Object.values(await resolveAll(seed.substrate))).not.toContain(null);
  });

  test.each([
    ['acknowledged by the editor', 'UPDATE policy_change SET acknowledged_at = 1'],
    ['marked as the seed’s own', "UPDATE policy_change SET origin = 'apply', receipt = 1"],
    ['taken off the record', 'DELETE FROM policy_change WHERE id = (SELECT max(id) FROM policy_change)'],
    [
      'taken off the record, and its number too',
      "DELETE FROM policy_change WHERE id = (SELECT max(id) FROM policy_change); UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'policy_change'",
    ],
  ])('an edit that is %s does not count either', async (_what, cover) => {
    using dir = scratch();
    await using seed = await open(dir);
    await apply(seed.substrate);
    editOutside(seed.home, "UPDATE substrate_routing_config SET tier = 2 WHERE role = 'scout'", cover);
    expect(await resolve(seed.substrate, 'scout')).toBeNull();
    await apply(seed.substrate);
    expect(await resolve(seed.substrate, 'scout')).toMatchObject({ candidates: [{ tier: 3 }] });
  });

  test('the control: without a passphrase the same edit counts at once', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await apply(seed.substrate);
    editOutside(seed.home, "INSERT INTO substrate_ceilings VALUES ('seed', 'week', 1)");
    expect(Object.values(await resolveAll(seed.substrate))).not.toContain(null);
  });
});

describe('versions', () => {
  test('each is kept, and can come back as a new one', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const first = await apply(substrate);
    const before = await resolveAll(substrate);
    const second = await apply(substrate, POLICY.replace('usd: "5.00"', 'usd: "6.00"').replace('"another"', '"other"'));
    expect(second).toMatchObject({ version: 2, changes: [{ what: 'role worker #2' }, { what: 'ceiling seed/day' }] });
    expect(await resolveAll(substrate)).not.toEqual(before);
    const third = await rollbackPolicy(substrate, { version: 1, actor: OWNER });
    expect(third).toMatchObject({ version: 3, hash: first.hash });
    expect(await resolveAll(substrate)).toEqual(before);
    const receipts = await allReceipts(substrate);
    expect(receipts.slice(-1)).toMatchObject([
      { action: 'policy.rollback', seq: third.receipt, detail: { to: 1, version: 3, from: '2', changed: 2 } },
    ]);
    expect(await codeOf(rollbackPolicy(substrate, { version: 9, actor: OWNER }))).toBe('not_found');
    editOutside(seed.home, "UPDATE substrate_policy_versions SET document = document || ' ' WHERE version = 2");
    expect(await codeOf(rollbackPolicy(substrate, { version: 2, actor: OWNER }))).toBe('store_corrupt');
  });

  test('a file with a problem changes nothing, and the refusal is on record', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await apply(substrate);
    const before = await resolveAll(substrate);
    expect(await codeOf(apply(substrate, POLICY.replace('tier: 3', 'tier: 5')))).toBe('policy_invalid');
    expect(await resolveAll(substrate)).toEqual(before);
    expect((await allReceipts(substrate)).at(-1)).toMatchObject({
      action: 'policy.apply',
      outcome: 'refused',
      code: 'policy_invalid',
    });
  });

  test('the catalogue’s prices come with a policy, and a newer edition by an operation of its own', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await apply(
      substrate,
      POLICY.replaceAll('"a-tier-2-model"', 'claude-haiku-4-5').replace(
        / {2}- \{ target: anthropic, model: claude-haiku-4-5, input[^\n]*\n/,
        '',
      ),
    );
    const priceOf = async () => (await resolve(substrate, 'worker'))?.candidates[0]?.price;
    const known = await priceOf();
    expect(known?.version).toMatch(/^genai-prices:\d+\.\d+\.\d+$/);
    expect(known?.input).toBeGreaterThan(0);
    const { size } = await substrate.log();
    await refreshPrices(substrate, OWNER);
    expect((await substrate.log()).size).toBe(size);
    editOutside(seed.home, "UPDATE substrate_prices SET edition = '0.0.1', input = 1 WHERE source = 'catalogue'");
    expect(await priceOf()).toMatchObject({ input: 1, version: 'genai-prices:0.0.1' });
    await refreshPrices(substrate, OWNER);
    expect(await priceOf()).toEqual(known);
    expect((await allReceipts(substrate)).slice(-2)).toMatchObject([
      { action: 'policy.external_edit' },
      { action: 'policy.prices' },
    ]);
  });
});
