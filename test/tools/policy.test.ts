/** The policy's tools through the pipeline, and what a call would do without making it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import { bench } from '../../src/substrate/benched.ts';
import { TOOLS } from '../support/tools.ts';
import type { Rig } from '../doors/rig.ts';
import { openRig } from '../doors/rig.ts';
import { allReceipts, CURSOR } from '../support/home.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { editOutside, POLICY } from '../substrate/policy/support.ts';

let folder: Scratch;
let rig: Rig;

beforeEach(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function owner<T = Record<string, unknown>>(tool: string, input: object = {}): Promise<T> {
  return (await rig.call({ tool, input, actor: OWNER })) as T;
}

interface Resolved {
  readonly target: string | null;
  readonly model: string | null;
  readonly why: string;
  readonly policy: string | null;
  readonly headroom_micro_usd: number | null;
  readonly candidates: readonly {
    readonly model: string;
    readonly skipped: string | null;
    readonly worst_case_micro_usd: number | null;
    readonly max_output_tokens: number | null;
  }[];
}

const resolving = { ...CURSOR, scopes: new Set(['route.resolve']) };

async function dryRun(input: object): Promise<Resolved> {
  return (await rig.call({ tool: 'route_resolve', input, actor: resolving })) as Resolved;
}

test('the policy is the owner’s: all of its tools, and what changes it is an owner act', () => {
  const tools = TOOLS.filter(({ name }) => name.startsWith('policy_'));
  expect(tools.map(({ surface }) => surface)).toEqual(Array.from({ length: 7 }, () => 'owner'));
  const acts = tools.filter(({ ownerAct }) => ownerAct === true).map(({ name }) => name);
  expect(acts.toSorted()).toEqual(['policy_ack', 'policy_apply', 'policy_rollback']);
  expect(tools.filter(({ access }) => access === 'write')).toHaveLength(acts.length);
});

test('applying against another policy than the one that was looked at is a conflict', async () => {
  const { against } = await owner<{ against: string }>('policy_check', { document: POLICY });
  expect(against).toBe('0');
  await owner('policy_apply', { document: POLICY, against });
  editOutside(rig.home, "UPDATE substrate_ceilings SET limit_micro_usd = 1 WHERE scope = 'seed'");
  await expect(owner('policy_apply', { document: POLICY, against: '1' })).rejects.toMatchObject({
    code: 'conflict',
    data: { against: '1', now: '1+1' },
  });
  await owner('policy_apply', { document: POLICY, against: '1+1' });
});

describe('route_resolve', () => {
  test('says who would be asked, why others are skipped, and what it costs at worst; makes no call', async () => {
    await owner('policy_apply', { document: POLICY });
    const { size } = await rig.substrate.log();
    const found = await dryRun({ role: 'worker', input_bytes: 1_000, max_output_tokens: 1_000 });
    expect(found).toMatchObject({
      target: 'anthropic',
      model: 'a-tier-2-model',
      policy: '1',
      headroom_micro_usd: 3_000_000,
    });
    const [first, second, third] = found.candidates;
    // 1,000 bytes at $3 and 1,000 tokens at $15 a million, and what the request has around them.
    expect(first?.worst_case_micro_usd).toBeGreaterThanOrEqual(18_000);
    expect(first?.worst_case_micro_usd).toBeLessThan(30_000);
    expect(second).toMatchObject({
      skipped: expect.stringContaining('no price') as string,
      worst_case_micro_usd: null,
    });
    expect(third).toMatchObject({ skipped: null, worst_case_micro_usd: 0 });
    expect((await rig.substrate.log()).size).toBe(size);
  });

  test('clamps the answer to what is left, and refuses below the policy’s floor, as a call would', async () => {
    await owner('policy_apply', { document: POLICY.replace('"3.00"', '"0.02"') });
    const clamped = await dryRun({ role: 'worker', input_bytes: 100 });
    expect(clamped.target).toBe('anthropic');
    expect(clamped.candidates[0]?.max_output_tokens).toBeGreaterThanOrEqual(256);
    expect(clamped.candidates[0]?.max_output_tokens).toBeLessThan(4_096);
    await owner('policy_apply', { document: POLICY.replace('"3.00"', '"0.000100"') });
    expect(await dryRun({ role: 'worker' })).toMatchObject({
      target: null,
      why: expect.stringContaining('role:worker/day') as string,
    });
    // Over the ceiling means stop, unless the row says otherwise: then the model that costs nothing is asked.
    const next = POLICY.replace('"3.00"', '"0.000100"').replace('on_ceiling: stop', 'on_ceiling: next');
    await owner('policy_apply', { document: next });
    expect(await dryRun({ role: 'worker' })).toMatchObject({ target: 'local-ollama' });
  });

  test('passes over who sits out', async () => {
    await owner('policy_apply', { document: POLICY });
    const benched = {
      target: 'anthropic',
      model: 'a-tier-2-model',
      reason: 'rate_limited',
      policyVersion: '1',
    } as const;
    await rig.substrate.operate({ action: 'test.bench', actor: OWNER }, (op) =>
      bench(op, { ...benched, untilMs: op.now + 60_000 }),
    );
    expect(await dryRun({ role: 'worker' })).toMatchObject({
      target: 'local-ollama',
      candidates: [{ skipped: expect.stringContaining('left alone') as string }, {}, {}],
    });
    const why = expect.stringMatching(/^It asked to be left alone \(rate_limited\) until /) as string;
    expect(await owner('policy_explain', { role: 'worker' })).toMatchObject({
      candidates: [{ target: 'anthropic', sits_out: why }, { sits_out: null }, {}],
    });
    const { targets } = await owner<{ targets: { name: string; sits_out: object[] }[] }>('target_list', {});
    expect(targets.map(({ name, sits_out }) => [name, sits_out])).toContainEqual([
      'anthropic',
      [{ model: 'a-tier-2-model', why }],
    ]);
    expect(targets.filter(({ sits_out }) => sits_out.length > 0)).toHaveLength(1);
  });

  test('[LOCK-RUNTIME-2] says no way for what is unknown or for the drain alone, and puts edits on record first', async () => {
    await owner('policy_apply', { document: POLICY });
    for (const role of ['nobody', 'synthesizer']) {
      expect(await dryRun({ role })).toMatchObject({ target: null, model: null, policy: null, candidates: [] });
    }
    expect(await dryRun({ role: 'synthesizer', dispatch: 'cron' })).toMatchObject({
      candidates: [{ model: 'a-tier-1-model' }],
    });
    editOutside(rig.home, "UPDATE substrate_routing_config SET tier = 9 WHERE role = 'worker' AND position = 1");
    expect(await dryRun({ role: 'worker' })).toMatchObject({ target: null });
    expect((await allReceipts(rig.substrate)).at(-1)).toMatchObject({
      action: 'policy.external_edit',
      actor: { id: 'external-sql' },
    });
  });
});
