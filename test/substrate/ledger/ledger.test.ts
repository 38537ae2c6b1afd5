/** Admission and settlement: what a limit leaves, whose it is, and which window it belongs to. */
import { describe, expect, it } from 'vitest';
import type { SeedError } from '../../../src/errors.ts';
import { admit, headroom, settle } from '../../../src/substrate/ledger/ledger.ts';
import type { Bound, Spender } from '../../../src/substrate/ledger/model.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { allReceipts, codeOf, DRIVERS, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import type { Asked } from './rig.ts';
import {
  admission,
  ATTEMPT,
  ceiling,
  expectConserved,
  fixed,
  hold,
  pay,
  SPENDER,
  spendingRows,
  totals,
} from './rig.ts';

const BERLIN_NOON = Date.UTC(2026, 10, 21, 11);
const HOUR = 3_600_000;

async function refusal(substrate: Substrate, asked: Asked): Promise<SeedError> {
  return hold(substrate, asked).then(
    () => {
      throw new Error(`${asked.id} was admitted.`);
    },
    (error: unknown) => error as SeedError,
  );
}

function by(spender: Partial<Spender>): { spender: Spender } {
  return { spender: { ...SPENDER, ...spender } };
}

describe.each(DRIVERS)('an admission on %s', (driver) => {
  it('[LOCK-RUNTIME-3] holds its bound, and its settlement books the cost and gives back the rest', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const held = await hold(substrate, { id: 'a', ceilings: [ceiling('seed', 'day', 100)] });
    expect(held).toMatchObject({ id: 'a', boundMicroUsd: 100, maxOutputTokens: 100, clamped: false });
    expect(await totals(substrate)).toEqual({ spent: 0, held: 100 });
    const usage = { input: 1, output: 2, cachedInput: 3, cacheWrite: 4 };
    const { value } = await substrate.operate(ATTEMPT, (op) => settle(op, { id: 'a', costMicroUsd: 40, usage }));
    expect(value).toEqual({
      id: 'a',
      spender: SPENDER,
      day: '2026-11-21',
      boundMicroUsd: 100,
      costMicroUsd: 40,
      boundExceeded: false,
    });
    expect(await totals(substrate)).toEqual({ spent: 40, held: 0 });
    const row = await substrate.read((db) => db.get('SELECT * FROM substrate_ledger'));
    expect(row).toMatchObject({ receipt: held.intent, price_version: 'owner:1', usage: JSON.stringify(usage) });
    await expectConserved(substrate);
  });

  it('[LOCK-RUNTIME-3] of the last micro-dollar passes, and one more is refused with one receipt', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, sources } = seed;
    sources.time = BERLIN_NOON;
    const ceilings = [ceiling('seed', 'day', 100)];
    await pay(substrate, await hold(substrate, { id: 'a', bound: fixed(60), ceilings }), 50);
    await hold(substrate, { id: 'b', bound: fixed(50), ceilings });
    const { size } = await substrate.log();
    const error = await refusal(substrate, { id: 'c', bound: fixed(1), ceilings });
    expect(error).toMatchObject({
      code: 'over_ceiling',
      kind: 'refused',
      data: {
        ceiling: 'seed/day',
        scope: 'seed',
        spent_micro_usd: 50,
        held_micro_usd: 50,
        limit_micro_usd: 100,
        bound_micro_usd: 1,
        // What is held may be free again long before the window turns over.
        retry_after_s: 5,
        receipt: size,
      },
    });
    expect(error.message).toContain('seed/day: $0.00005 of $0.0001 spent');
    const receipts = await allReceipts(substrate);
    expect(receipts.slice(size)).toMatchObject([{ outcome: 'refused', code: 'over_ceiling', action: 'route.attempt' }]);
    expect(await totals(substrate)).toEqual({ spent: 50, held: 50 });
    await expectConserved(substrate);
  });

  it('[LOCK-RUNTIME-3] is settled once, and admitted once', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const held = await hold(substrate, { id: 'a' });
    expect(await codeOf(hold(substrate, { id: 'a' }))).toBe('conflict');
    await pay(substrate, held, 10);
    const again = substrate.operate(ATTEMPT, (op) => settle(op, { id: 'a', costMicroUsd: 10, usage: null }));
    expect(await codeOf(again)).toBe('conflict');
    const never = substrate.operate(ATTEMPT, (op) => settle(op, { id: 'z', costMicroUsd: 10, usage: null }));
    expect(await codeOf(never)).toBe('not_found');
    expect(await codeOf(hold(substrate, { id: 'a' }))).toBe('conflict');
    expect(await totals(substrate)).toEqual({ spent: 10, held: 0 });
    await expectConserved(substrate);
  });

  it('[LOCK-RUNTIME-3] is settled once by what its admission gave, too, and nothing else is', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const spender = { ...SPENDER, session: 's', labels: { customer: 'acme' } };
    const [held, other] = [await hold(substrate, { id: 'a', spender }), await hold(substrate, { id: 'b', spender })];
    const settleBy = (id: string): Promise<unknown> =>
      substrate.operate(ATTEMPT, (op) => settle(op, { id, costMicroUsd: 30, usage: null }, held));
    expect(await settleBy('a')).toMatchObject({ value: { spender, boundMicroUsd: 100, costMicroUsd: 30 } });
    expect(await codeOf(settleBy('a'))).toBe('conflict');
    expect(await codeOf(settleBy('z'))).toBe('not_found');
    expect(await totals(substrate, 'label:customer=acme')).toEqual({ spent: 30, held: 100 });
    await pay(substrate, other, 50);
    for (const scope of ['seed', 'session:s', 'label:customer']) {
      expect(await totals(substrate, scope)).toEqual({ spent: 80, held: 0 });
    }
    await expectConserved(substrate);
  });

  it('[LOCK-RUNTIME-3] whose report is above the bound is booked as reported, and the ceiling counts it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const ceilings = [ceiling('seed', 'day', 1_000)];
    const settled = await pay(substrate, await hold(substrate, { id: 'a', ceilings }), 5_000);
    expect(settled).toMatchObject({ boundMicroUsd: 100, costMicroUsd: 5_000, boundExceeded: true });
    const error = await refusal(substrate, { id: 'b', bound: fixed(0), ceilings });
    expect(error.data).toMatchObject({ spent_micro_usd: 5_000, limit_micro_usd: 1_000 });
    await expectConserved(substrate);
  });

  it('[LOCK-RUNTIME-3] that is undone with its operation holds nothing', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const undone = substrate.operate(ATTEMPT, async (op) => {
      await admit(op, admission({ id: 'a' }));
      throw new TypeError('a defect');
    });
    expect(await codeOf(undone)).toBe('internal');
    expect(await totals(substrate)).toEqual({ spent: 0, held: 0 });
    await hold(substrate, { id: 'a' });
    const half = substrate.operate(ATTEMPT, async (op) => {
      await settle(op, { id: 'a', costMicroUsd: 1, usage: null });
      throw new TypeError('a defect');
    });
    expect(await codeOf(half)).toBe('internal');
    expect(await totals(substrate)).toEqual({ spent: 0, held: 100 });
  });
});

describe('the answer’s tokens', () => {
  // A dollar a thousand tokens: 1,000 micro-dollars each.
  const bound: Bound = {
    inputMicroUsd: 5_000,
    outputMicroUsdPerMtok: 1_000_000_000,
    maxOutputTokens: 4_000,
    minOutputTokens: 200,
  };

  it.each([
    { limit: 4_005_000, tokens: 4_000, clamped: false },
    { limit: 4_004_999, tokens: 3_999, clamped: true },
    { limit: 205_000, tokens: 200, clamped: true },
  ])('are clamped to what $limit micro-dollars leave: $tokens', async ({ limit, tokens, clamped }) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const ceilings = [ceiling('seed', 'life', 1e12), ceiling('role:worker', 'call', limit)];
    const held = await hold(seed.substrate, { id: 'a', bound, ceilings });
    expect(held).toMatchObject({ maxOutputTokens: tokens, clamped, boundMicroUsd: 5_000 + tokens * 1_000 });
  });

  it('are not clamped below the floor; a call that asks for fewer has that as its floor', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const ceilings = [ceiling('seed', 'day', 204_999)];
    const error = await refusal(seed.substrate, { id: 'a', bound, ceilings });
    expect(error).toMatchObject({ code: 'over_ceiling', data: { bound_micro_usd: 205_000 } });
    const small = { ...bound, maxOutputTokens: 10 };
    expect(await hold(seed.substrate, { id: 'b', bound: small, ceilings })).toMatchObject({
      maxOutputTokens: 10,
      clamped: false,
    });
  });

  it('of a model that costs nothing are never clamped, and it is held to its ceilings all the same', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const free = { inputMicroUsd: 0, outputMicroUsdPerMtok: 0, maxOutputTokens: 9_000, minOutputTokens: 1 };
    const held = await hold(seed.substrate, { id: 'a', bound: free, ceilings: [ceiling('seed', 'day', 0)] });
    expect(held).toMatchObject({ boundMicroUsd: 0, maxOutputTokens: 9_000, clamped: false });
  });

  it.each([
    { inputMicroUsd: Number.NaN },
    { inputMicroUsd: -1 },
    { inputMicroUsd: 2e15 },
    { outputMicroUsdPerMtok: Number.POSITIVE_INFINITY },
    { outputMicroUsdPerMtok: 0.1 },
    { maxOutputTokens: -5 },
    { minOutputTokens: Number.NaN },
  ])('of a bound that is none (%o) are refused', async (wrong) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    expect(await codeOf(hold(seed.substrate, { id: 'a', bound: { ...bound, ...wrong } }))).toBe('invalid_input');
  });
});

describe('a ceiling', () => {
  it.each([
    ['seed', {}, true],
    ['role:worker', {}, true],
    ['role:other', {}, false],
    ['role:work', {}, false],
    ['role:*', {}, true],
    ['agent:cursor', {}, true],
    ['agent:cursor-2', {}, false],
    ['agent:*', {}, true],
    ['session:s1', { session: 's1' }, true],
    ['session:s1', { session: 's2' }, false],
    ['session:*', { session: 's2' }, true],
    ['session:*', { session: null }, false],
    ['label:customer=acme', { labels: { customer: 'acme' } }, true],
    ['label:customer=acme', { labels: { customer: 'acm' } }, false],
    ['label:customer=acme', { labels: { project: 'acme' } }, false],
    ['label:customer=*', { labels: { customer: 'acme' } }, true],
    ['label:customer=*', { labels: {} }, true],
    ['label:customer=', { labels: {} }, true],
    ['label:customer=', { labels: { customer: '' } }, true],
    ['label:customer=', { labels: { customer: 'acme' } }, false],
    ['label:constructor=*', { labels: { customer: 'acme' } }, true],
  ] as const)('of %s, for %o, applies: %s', async (scope, spender, applies) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const ceilings = [ceiling(scope, 'day', 99)];
    expect(await codeOf(hold(seed.substrate, { id: 'a', ceilings, ...by(spender) }))).toBe(
      applies ? 'over_ceiling' : 'none',
    );
  });

  it.each(['everybody', 'role:', 'label:customer', 'label:=x', 'user:x', ''])(
    'of "%s", which names nobody, stops everybody',
    async (scope) => {
      using dir = scratch();
      await using seed = await openSeed(dir);
      expect(await codeOf(hold(seed.substrate, { id: 'a', ceilings: [ceiling(scope, 'day', 1e9)] }))).toBe(
        'invalid_input',
      );
    },
  );

  it.each([Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY])('with the limit %s stops everybody', async (limit) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const work = hold(seed.substrate, { id: 'a', ceilings: [ceiling('seed', 'day', limit)] });
    expect(await codeOf(work)).toBe('invalid_input');
  });

  it('with a * gives each value a limit of its own, calls without the label one together', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const ceilings = [ceiling('label:customer=*', 'month', 150)];
    const spend = (id: string, labels: Spender['labels']): Promise<string> =>
      codeOf(hold(substrate, { id, ceilings, ...by({ labels }) }));
    expect(await spend('a1', { customer: 'acme' })).toBe('none');
    expect(await spend('b1', { customer: 'bolt', project: 'x' })).toBe('none');
    expect(await spend('n1', {})).toBe('none');
    expect(await spend('a2', { customer: 'acme', project: 'y' })).toBe('over_ceiling');
    expect(await spend('n2', { project: 'x' })).toBe('over_ceiling');
    expect(await spend('c1', { customer: 'coil' })).toBe('none');
    const error = await refusal(substrate, { id: 'n3', ceilings });
    expect(error.data).toMatchObject({
      ceiling: 'label:customer=*/month',
      scope: 'label:customer=',
      held_micro_usd: 100,
    });
    await expectConserved(substrate);
  });

  it('that a call cannot name the key of: a label with = in it would read as another’s', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    for (const labels of [
      { 'customer=acme': 'x' },
      { '': 'x' },
      Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, 'v'])),
    ]) {
      expect(await codeOf(hold(seed.substrate, { id: 'a', ...by({ labels }) }))).toBe('invalid_input');
    }
  });

  it('[LOCK-RUNTIME-3] added at noon counts what the morning cost, for every scope', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const spender = { session: 's1', labels: { customer: 'acme' } };
    await pay(substrate, await hold(substrate, { id: 'a', bound: fixed(500), ...by(spender) }), 300);
    await hold(substrate, { id: 'b', bound: fixed(70), ...by({}) });
    const cases = [
      ['seed', spender, 300, 70],
      ['role:worker', spender, 300, 70],
      ['agent:cursor', spender, 300, 70],
      ['session:s1', spender, 300, 0],
      ['label:customer=acme', spender, 300, 0],
      ['label:customer=*', spender, 300, 0],
      ['label:customer=*', {}, 0, 70],
      ['label:never-seen=*', spender, 300, 70],
    ] as const;
    for (const [scope, who, spent, held] of cases) {
      const error = await refusal(substrate, {
        id: 'c',
        ceilings: [ceiling(scope, 'month', 369)],
        bound: fixed(370),
        ...by(who),
      });
      expect([scope, error.data['spent_micro_usd'], error.data['held_micro_usd']]).toEqual([scope, spent, held]);
    }
  });

  it('refuses by the one that leaves the least, and says when it turns over', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    sources.time = BERLIN_NOON;
    await pay(substrate, await hold(substrate, { id: 'a' }), 100);
    const waits = [
      ['day', 12 * 3_600],
      ['week', 36 * 3_600],
      ['month', (9 * 24 + 12) * 3_600],
      ['life', null],
    ] as const;
    for (const [window, retry] of waits) {
      const ceilings = [
        ceiling('seed', 'day', 1_000),
        ceiling('seed', window, 150),
        ceiling('role:worker', 'life', 900),
      ];
      const error = await refusal(substrate, { id: 'b', ceilings });
      expect(error.data).toMatchObject({ ceiling: `seed/${window}`, retry_after_s: retry });
    }
    const error = await refusal(substrate, { id: 'b', ceilings: [ceiling('seed', 'call', 99)] });
    expect(error.data).toMatchObject({ ceiling: 'seed/call', spent_micro_usd: 0, retry_after_s: null });
  });

  it('[LOCK-RUNTIME-3] on one call counts what its earlier attempts were booked at, and only those', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const ceilings = [ceiling('seed', 'call', 150)];
    await pay(substrate, await hold(substrate, { id: 'a.001', ceilings, bound: fixed(100) }), 100);
    const again = { id: 'a.002', ceilings, callSpentMicroUsd: 100 };
    const error = await refusal(substrate, { ...again, bound: fixed(51) });
    expect(error.data).toMatchObject({ ceiling: 'seed/call', spent_micro_usd: 100, held_micro_usd: 0 });
    expect((await hold(substrate, { ...again, bound: fixed(50) })).boundMicroUsd).toBe(50);
    // The next call is another one.
    expect((await hold(substrate, { id: 'b.001', ceilings, bound: fixed(150) })).boundMicroUsd).toBe(150);
  });

  it('that is only held by calls under way is worth another try soon; one that is spent is not', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const ceilings = [ceiling('seed', 'day', 150)];
    const held = await hold(substrate, { id: 'a', ceilings, bound: fixed(100) });
    const busy = await refusal(substrate, { id: 'b', ceilings, bound: fixed(100) });
    expect([busy.data['retry_after_s'], busy.hint]).toEqual([5, 'Try again when the calls under way are done.']);
    const life = await refusal(substrate, { id: 'b', ceilings: [ceiling('seed', 'life', 150)], bound: fixed(100) });
    expect(life.data['retry_after_s']).toBe(5);
    const never = await refusal(substrate, { id: 'b', ceilings, bound: fixed(151) });
    expect(never.data['retry_after_s']).toBeGreaterThan(5);
    await pay(substrate, held, 100);
    const spent = await refusal(substrate, { id: 'b', ceilings, bound: fixed(100) });
    expect(spent.data['retry_after_s']).toBeGreaterThan(5);
  });

  it('counts as many ranges as it takes', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const many = Array.from({ length: 700 }, () => ceiling('label:customer=', 'day', 1_000));
    await hold(substrate, { id: 'a', ceilings: [...many, ceiling('seed', 'day', 150)] });
    const error = await refusal(substrate, { id: 'b', ceilings: [...many, ceiling('seed', 'day', 150)] });
    expect(error.data).toMatchObject({ ceiling: 'seed/day', held_micro_usd: 100 });
  });
});

describe('the window', () => {
  it('[LOCK-RUNTIME-3] of a settlement is that of its admission', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    sources.time = Date.UTC(2026, 10, 30, 22, 59, 59, 999);
    const ceilings = [ceiling('seed', 'day', 100), ceiling('seed', 'week', 250), ceiling('seed', 'month', 150)];
    const late = await hold(substrate, { id: 'a', ceilings });
    sources.time += 1;
    // December has begun: the day and the month are new, the week is not.
    const next = await hold(substrate, { id: 'b', ceilings });
    expect(await pay(substrate, late, 100)).toMatchObject({ day: '2026-11-30' });
    expect(await pay(substrate, next, 50)).toMatchObject({ day: '2026-12-01' });
    const error = await refusal(substrate, { id: 'c', ceilings });
    expect(error.data).toMatchObject({ ceiling: 'seed/day', spent_micro_usd: 50 });
    sources.time += 24 * HOUR;
    expect((await refusal(substrate, { id: 'd', bound: fixed(101), ceilings: ceilings.slice(1) })).data).toMatchObject({
      ceiling: 'seed/week',
      spent_micro_usd: 150,
    });
    const rows = await substrate.read(spendingRows);
    expect(
      rows.filter(({ scope }) => scope === 'seed').map(({ day, spent_micro_usd }) => [day, spent_micro_usd]),
    ).toEqual([
      ['2026-11-30', 100],
      ['2026-12-01', 50],
    ]);
  });

  it('[LOCK-RUNTIME-3] is never an older one, whatever happens to the clock and the zone', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    sources.time = BERLIN_NOON;
    const ceilings = [ceiling('seed', 'day', 100), ceiling('seed', 'month', 200)];
    await hold(substrate, { id: 'a', ceilings });
    for (const hours of [-1, -24, -24 * 40, -24 * 365 * 20]) {
      sources.time = BERLIN_NOON + hours * HOUR;
      expect((await refusal(substrate, { id: 'b', ceilings })).data).toMatchObject({ ceiling: 'seed/day' });
    }
    sources.time = BERLIN_NOON + HOUR;
    // It is the 22nd there already.
    const east = { ceilings, timezone: 'Pacific/Kiritimati' };
    expect((await refusal(substrate, { id: 'b', ...east })).data).toMatchObject({ ceiling: 'seed/day' });
    sources.time = BERLIN_NOON + 12 * HOUR;
    expect(await hold(substrate, { id: 'c', ...east })).toMatchObject({ clamped: false });
    // And back: the 22nd stays, until it is over in both.
    const west = { ceilings: ceilings.slice(0, 1), timezone: 'Pacific/Honolulu' };
    expect((await refusal(substrate, { id: 'd', ...west })).data).toMatchObject({ ceiling: 'seed/day' });
    const rows = await substrate.read(spendingRows);
    expect(rows.filter(({ scope }) => scope === 'seed').map(({ day }) => day)).toEqual(['2026-11-21', '2026-11-22']);
  });
});

describe('a change of zone', () => {
  it('[LOCK-RUNTIME-3] that is taken back leaves the later of both ends of the day', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    sources.time = BERLIN_NOON;
    await hold(substrate, { id: 'a' });
    await hold(substrate, { id: 'b', timezone: 'Pacific/Honolulu' });
    sources.time = BERLIN_NOON + 20 * HOUR;
    await hold(substrate, { id: 'c' });
    sources.time = BERLIN_NOON + 23 * HOUR;
    await hold(substrate, { id: 'd' });
    const rows = await substrate.read((db) => db.all('SELECT id, day FROM substrate_ledger ORDER BY id'));
    expect(rows.map(({ day }) => day)).toEqual(['2026-11-21', '2026-11-21', '2026-11-21', '2026-11-22']);
  });
});

describe('headroom', () => {
  it('says what an admission would find, and holds nothing', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    sources.time = BERLIN_NOON;
    const ceilings = [ceiling('seed', 'day', 1_000), ceiling('role:worker', 'life', 400), ceiling('role:x', 'day', 1)];
    const ask = (limits = ceilings) =>
      substrate.read((db) =>
        headroom(db, { spender: SPENDER, ceilings: limits, timezone: 'Europe/Berlin', now: sources.now() }),
      );
    expect(await ask([])).toEqual({ microUsd: null, tightest: null, ceilings: [] });
    expect(await ask()).toMatchObject({ microUsd: 400, tightest: { ceiling: 'role:worker/life', resetsAt: null } });
    await hold(substrate, { id: 'a', bound: fixed(150), ceilings });
    const left = await ask();
    expect(left.microUsd).toBe(250);
    expect(left.ceilings).toMatchObject([
      { ceiling: 'seed/day', heldMicroUsd: 150, resetsAt: BERLIN_NOON + 12 * HOUR },
      { ceiling: 'role:worker/life', heldMicroUsd: 150 },
    ]);
    expect(await codeOf(hold(substrate, { id: 'b', bound: fixed(251), ceilings }))).toBe('over_ceiling');
    await hold(substrate, { id: 'c', bound: fixed(250), ceilings });
    expect((await ask()).microUsd).toBe(0);
    // A limit that was lowered leaves nothing, not less.
    expect((await ask([ceiling('seed', 'day', 10)])).microUsd).toBe(0);
  });
});
