/** `route_usage`: what was spent and is held, for the owner, for local agents and for helpers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Actor } from '../../src/substrate/actor.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import type { Spender } from '../../src/substrate/ledger/model.ts';
import { TOOLS } from '../support/tools.ts';
import type { Rig } from '../doors/rig.ts';
import { openRig } from '../doors/rig.ts';
import { fixed, hold, pay } from '../substrate/ledger/rig.ts';
import { allReceipts } from '../support/home.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const CUSTOMERS = 300;
/** As hosts count: a longer answer is warned about (four bytes each). */
const TOKENS_MAX = 10_000;

const AGENT: Actor = { id: 'cursor', kind: 'agent', grant: null, scopes: new Set(['route.usage']) };
const HELPER: Actor = { id: 'ci', kind: 'helper', grant: null, scopes: new Set(['route.usage']) };

interface Ceiling {
  readonly ceiling: string;
  readonly scope: string;
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
  readonly limit_micro_usd: number;
  readonly resets: string | null;
}

interface Share {
  readonly name: string;
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
}

interface Usage {
  readonly covered: string;
  readonly only: string | null;
  readonly from: string | null;
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
  readonly ceilings: readonly Ceiling[];
  readonly roles: readonly Share[];
  readonly models: readonly Share[];
  readonly labels: readonly Share[];
  readonly agents: readonly Share[];
  readonly not_shown: number;
}

let room: Scratch;
let rig: Rig;

async function spend(id: string, spender: Partial<Spender>, microUsd: number | null): Promise<void> {
  const whole: Spender = { role: 'worker', agent: 'cursor', session: null, labels: {}, ...spender };
  const held = await hold(rig.substrate, { id, spender: whole, bound: fixed(microUsd ?? 1_000_000) });
  if (microUsd !== null) await pay(rig.substrate, held, microUsd);
}

beforeAll(async () => {
  room = scratch();
  rig = await openRig(room.at('home'), { sources: testSources('usage', Date.UTC(2026, 10, 21, 11)) });
  const ceilings = [
    { scope: 'seed', window: 'day', usd: '5.00' },
    { scope: 'role:worker', window: 'week', usd: '100' },
    { scope: 'agent:*', window: 'month', usd: '20' },
    { scope: 'label:customer=*', window: 'month', usd: '2.00' },
    { scope: 'session:*', window: 'life', usd: '1' },
    { scope: 'seed', window: 'call', usd: '0.50' },
  ];
  const document = JSON.stringify({ version: 1, timezone: 'Europe/Berlin', targets: {}, roles: {}, ceilings });
  await rig.call({ tool: 'policy_apply', input: { document }, actor: OWNER });
  await spend('long-ago', { agent: 'ci' }, 700_000);
  rig.sources.time += 24 * 3_600_000;
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const labels = { customer: `customer-${String(customer).padStart(3, '0')}` };
    await spend(`customer-${customer}`, { labels }, customer * 10);
  }
  await spend('judge', { role: 'judge', agent: 'ci' }, 50_000);
  await spend('held', {}, null);
});

afterAll(async () => {
  await rig?.[Symbol.asyncDispose]();
  room?.[Symbol.dispose]();
});

async function ask(actor: Actor, input: object = {}): Promise<Usage> {
  return (await rig.call({ tool: 'route_usage', input, actor })) as Usage;
}

const CUSTOMERS_SPENT = (10 * CUSTOMERS * (CUSTOMERS - 1)) / 2;

describe('usage', () => {
  test('says what each ceiling has left in its window, the most used first, and by whom it was spent', async () => {
    const told = await ask(OWNER);
    expect(told).toMatchObject({
      only: null,
      from: '2026-11-01',
      spent_micro_usd: 750_000 + CUSTOMERS_SPENT,
      held_micro_usd: 1_000_000,
    });
    const { ceilings } = told;
    expect(ceilings.find(({ ceiling }) => ceiling === 'seed/day')).toEqual({
      ceiling: 'seed/day',
      scope: 'seed',
      spent_micro_usd: 50_000 + CUSTOMERS_SPENT,
      held_micro_usd: 1_000_000,
      limit_micro_usd: 5_000_000,
      resets: '2026-11-22T23:00:00.000Z',
    });
    // Calls without the label: what is held, and the judge's and the one of yesterday.
    expect(ceilings[0]).toMatchObject({
      ceiling: 'label:customer=*/month',
      scope: 'label:customer=',
      spent_micro_usd: 750_000,
      held_micro_usd: 1_000_000,
    });
    const used = ceilings.map((one) => (one.spent_micro_usd + one.held_micro_usd) / one.limit_micro_usd);
    expect(used).toEqual(used.toSorted((a, b) => b - a));
    expect(told.roles).toEqual([
      { name: 'worker', spent_micro_usd: 700_000 + CUSTOMERS_SPENT, held_micro_usd: 1_000_000 },
      { name: 'judge', spent_micro_usd: 50_000, held_micro_usd: 0 },
    ]);
    expect(told.models).toEqual([
      { name: 'anthropic/a-model', spent_micro_usd: 750_000 + CUSTOMERS_SPENT, held_micro_usd: 1_000_000 },
    ]);
    expect(told.agents.map(({ name }) => name)).toEqual(['cursor', 'ci']);
    expect(told.labels[0]).toEqual({ name: 'customer=customer-299', spent_micro_usd: 2_990, held_micro_usd: 0 });
    expect(told.covered).toContain('Not covered: what a client spends under its own subscription');
  });

  test('shows all when asked for enough, and says how much it left out', async () => {
    const some = await ask(OWNER, { limit: 5 });
    // The customer who spent nothing does not count.
    const customers = CUSTOMERS - 1;
    // seed/day, seed/call, role:worker, two agents, no session yet, and the customers with none among them.
    const every = 1 + 1 + 1 + 2 + 1 + customers + 1;
    expect(some.ceilings).toHaveLength(5);
    expect(some.not_shown).toBe(every - 5 + (customers - 5));
    const more = await ask(OWNER, { limit: 200 });
    expect(more.labels).toHaveLength(200);
    expect(more.not_shown).toBe(every - 200 + (customers - 200));
  });

  test.each([
    ['day', '2026-11-22', 50_000],
    ['week', '2026-11-16', 750_000],
    ['life', null, 750_000],
  ])('over a %s begins on %s', async (period, from, spent) => {
    expect(await ask(OWNER, { period })).toMatchObject({ from, spent_micro_usd: spent + CUSTOMERS_SPENT });
  });

  test('is the same for a local agent; a helper is told of its own alone', async () => {
    expect(await ask(AGENT)).toEqual(await ask(OWNER));
    const own = await ask(HELPER);
    expect(own).toMatchObject({ only: 'ci', spent_micro_usd: 750_000, held_micro_usd: 0, not_shown: 0 });
    expect(own.ceilings.map(({ ceiling, scope }) => [ceiling, scope])).toEqual([['agent:*/month', 'agent:ci']]);
    expect([own.roles, own.models, own.labels, own.agents]).toEqual([[], [], [], []]);
    const receipts = await allReceipts(rig.substrate);
    expect(receipts.at(-1)).toMatchObject({ action: 'route.usage', actor: { id: 'ci' } });
    // Nothing of anybody else, in no form.
    expect(JSON.stringify(own)).not.toMatch(/cursor|customer|judge|worker/);
  });

  test('fits into what a model can take, as data and as text together', async () => {
    const told = await ask(OWNER);
    const text = TOOLS.find(({ name }) => name === 'route_usage')!.text!(told);
    expect(Math.ceil((Buffer.byteLength(JSON.stringify(told)) + Buffer.byteLength(text)) / 4)).toBeLessThan(TOKENS_MAX);
    const lines = text.split('\n');
    expect(lines[0]).toBe(
      'month (2026-11-01 to 2026-11-30, Europe/Berlin): $1.1985 spent, $1.00 held for calls under way.',
    );
    expect(lines).toContain(
      '- seed/day: $0.4985 of $5.00 spent, $1.00 held for calls under way, $3.5015 left; turns over 2026-11-22T23:00:00.000Z',
    );
    expect(lines).toContain('- judge: $0.05');
    expect(lines.at(-1)).toMatch(/^Covered by ceilings and receipts: calls to models made through this seed\./);
    expect(TOOLS.find(({ name }) => name === 'route_usage')!.text!(await ask(HELPER))).toContain('ci, month');
  });
});
