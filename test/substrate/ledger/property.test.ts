/** Whatever happens in whatever order, the ledger says what a naive list of all attempts says. */
import * as fc from '../../support/fast-check.ts';
import { expect, it } from 'vitest';
import { SeedError } from '../../../src/errors.ts';
import { admit, settle } from '../../../src/substrate/ledger/ledger.ts';
import { settleLeftovers } from '../../../src/substrate/ledger/leftovers.ts';
import type { Spender } from '../../../src/substrate/ledger/model.ts';
import { usage } from '../../../src/substrate/ledger/usage.ts';
import type { Ceiling } from '../../../src/substrate/policy/model.ts';
import { allReceipts, openAgain, openSeed, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { admission, ATTEMPT, ceiling, expectConserved } from './rig.ts';
import { Oracle, shareOf } from './oracle.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

const RUNS = IS_LONG ? 1_000 : 20;
const PATIENCE_MS = IS_LONG ? 600_000 : 120_000;

const SCOPES = [
  'seed',
  'role:worker',
  'role:*',
  'agent:cursor',
  'agent:*',
  'session:s1',
  'session:*',
  'label:customer=acme',
  'label:customer=*',
  'label:customer=',
] as const;

const arbitraryCeiling = fc.record({
  scope: fc.constantFrom(...SCOPES),
  window: fc.constantFrom('call', 'day', 'week', 'month', 'life'),
  limit: fc.integer({ min: 0, max: 3_000 }),
});

const arbitrarySpender: fc.Arbitrary<Spender> = fc.record({
  role: fc.constantFrom('worker', 'digestor'),
  agent: fc.constantFrom('cursor', 'claude'),
  session: fc.constantFrom(null, 's1', 's2'),
  labels: fc.constantFrom({}, { customer: 'acme' }, { customer: 'bolt', project: 'x' }, { customer: '' }),
});

const arbitraryStep = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('admit' as const),
      spender: arbitrarySpender,
      fixed: fc.integer({ min: 0, max: 300 }),
      perToken: fc.integer({ min: 0, max: 20 }),
      most: fc.integer({ min: 0, max: 40 }),
      least: fc.integer({ min: 0, max: 20 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat({ max: 60 }),
      percent: fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 100 }) }, { weight: 1, arbitrary: fc.nat({ max: 300 }) }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('clock' as const), hours: fc.integer({ min: -30, max: 80 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('policy' as const),
      ceilings: fc.array(arbitraryCeiling, { maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('zone' as const),
      zone: fc.constantFrom('Europe/Berlin', 'Pacific/Kiritimati', 'Pacific/Honolulu', 'America/New_York'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
);

type Step = typeof arbitraryStep extends fc.Arbitrary<infer T> ? T : never;

const started = Date.UTC(2026, 11, 27, 9);

async function live(steps: readonly Step[]): Promise<{ admitted: number; refused: number; settled: number }> {
  using dir = scratch();
  await using first = await openSeed(dir);
  const { home, sources } = first;
  const oracle = new Oracle();
  let seed = first;
  let ceilings: Ceiling[] = [ceiling('seed', 'day', 1_000)];
  let zone = 'Europe/Berlin';
  const count = { admitted: 0, refused: 0, settled: 0 };
  sources.time = started;

  const intents = new Map<string, number>();
  for (const [index, step] of steps.entries()) {
    const { substrate } = seed;
    if (step.do === 'clock') sources.time += step.hours * 3_600_000;
    else if (step.do === 'zone') zone = step.zone;
    else if (step.do === 'policy') {
      ceilings = step.ceilings.map(({ scope, window, limit }) => ceiling(scope, window, limit));
    } else if (step.do === 'crash') {
      await substrate.close();
      seed = await openAgain(home, { sources });
      expect(await settleLeftovers(seed.substrate)).toBe(oracle.recover());
      expect(await settleLeftovers(seed.substrate)).toBe(0);
    } else if (step.do === 'admit') {
      // As the router names them: by it a start finds what is held, were it nothing.
      const call = `call-${index}`;
      const id = `${call}.001`;
      const { spender, fixed, perToken, most, least } = step;
      const expected = oracle.admit({ id, ...step }, { ceilings, zone, now: sources.time });
      const bound = {
        inputMicroUsd: fixed,
        outputMicroUsdPerMtok: perToken * 1_000_000,
        maxOutputTokens: most,
        minOutputTokens: least,
      };
      const found = await substrate
        .operate(ATTEMPT, async (op) => {
          op.receipt({ outcome: 'intent', subject: { type: 'call', id: call } });
          return admit(op, admission({ id, spender, bound, ceilings, timezone: zone }));
        })
        .then(
          ({ value, seq }) => {
            intents.set(id, seq);
            return { admitted: true, tokens: value.maxOutputTokens, bound: value.boundMicroUsd };
          },
          (error: unknown) => {
            if (!(error instanceof SeedError) || error.code !== 'over_ceiling') throw error;
            const { ceiling: name, spent_micro_usd: spent, held_micro_usd: held } = error.data;
            return { admitted: false, ceiling: name, spent, held };
          },
        );
      expect([index, found]).toEqual([index, expected]);
      count[expected.admitted ? 'admitted' : 'refused']++;
      // The lock itself, in the words of the oracle: nothing admitted stands above a limit.
      if (expected.admitted) {
        const today = oracle.today(sources.time, zone);
        for (const each of ceilings) {
          if (shareOf(each.scope, spender) === null) continue;
          const { spent, held } = oracle.sum(each, spender, today);
          const sum = each.window === 'call' ? expected.bound : spent + held;
          expect([each.name, sum <= each.limitMicroUsd]).toEqual([each.name, true]);
        }
      }
    } else {
      const { id, bound } = oracle.attempts[step.which % Math.max(1, oracle.attempts.length)] ?? {
        id: 'never',
        bound: 0,
      };
      const cost = Math.floor((bound * step.percent) / 100);
      const expected = oracle.settle(id, cost);
      const found = await substrate
        .operate(ATTEMPT, async (op) => {
          const settled = await settle(op, { id, costMicroUsd: cost, usage: null });
          op.receipt({
            of: intents.get(id) ?? null,
            subject: { type: 'attempt', id },
            detail: { cost_micro_usd: cost },
          });
          return settled;
        })
        .then(
          ({ value: { day, boundMicroUsd, boundExceeded } }) => {
            expect(boundExceeded).toBe(cost > bound);
            return { day, bound: boundMicroUsd };
          },
          (error: unknown) => (error as SeedError).code,
        );
      expect([index, found]).toEqual([index, expected]);
      count.settled += typeof expected === 'string' ? 0 : 1;
    }
  }

  const { substrate } = seed;
  await expectConserved(substrate);
  await expectUsage(seed, oracle, { ceilings, zone });
  const receipts = await allReceipts(substrate);
  const booked = receipts.reduce((sum, { detail }) => sum + Number(detail['cost_micro_usd'] ?? 0), 0);
  expect(booked).toBe(oracle.attempts.reduce((sum, { cost }) => sum + (cost ?? 0), 0));
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
  if (seed !== first) await substrate.close();
  return count;
}

/** What is told of each ceiling is what the oracle sums up. */
async function expectUsage(
  { substrate, sources }: Pick<Awaited<ReturnType<typeof openSeed>>, 'substrate' | 'sources'>,
  oracle: Oracle,
  { ceilings, zone }: { ceilings: readonly Ceiling[]; zone: string },
): Promise<void> {
  const told = await substrate.read((db) =>
    usage(db, { ceilings, timezone: zone, now: sources.now(), period: 'life', onlyAgent: null, limit: 200 }),
  );
  const today = oracle.today(sources.time, zone);
  expect(told.day).toBe(today);
  const spent = oracle.attempts.reduce((sum, { cost }) => sum + (cost ?? 0), 0);
  expect(told.total.spentMicroUsd).toBe(spent);
  for (const shares of [told.roles, told.models, told.agents]) {
    expect(shares.entries.reduce((sum, share) => sum + share.spentMicroUsd, 0)).toBe(spent);
  }
  for (const use of told.ceilings.entries) {
    const each = ceilings.find(({ name }) => name === use.ceiling)!;
    const owner = oracle.attempts.find(({ spender }) => scopeFor(each.scope, spender) === use.scope);
    const expected = owner === undefined ? { spent: 0, held: 0 } : oracle.sum(each, owner.spender, today);
    expect([use.ceiling, use.scope, use.spentMicroUsd, use.heldMicroUsd]).toEqual([
      each.name,
      use.scope,
      expected.spent,
      expected.held,
    ]);
  }
}

function scopeFor(scope: string, spender: Spender): string | null {
  const share = shareOf(scope, spender);
  return share === null ? null : scope.replace('*', share);
}

it('[LOCK-RUNTIME-3] spent, held, clamped and refused are what a naive list says, through crashes, policies, zones and clocks', {
  timeout: PATIENCE_MS,
}, async () => {
  const total = { admitted: 0, refused: 0, settled: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { minLength: 10, maxLength: 60 }), async (steps) => {
      const { admitted, refused, settled } = await live(steps);
      total.admitted += admitted;
      total.refused += refused;
      total.settled += settled;
    }),
    { numRuns: RUNS },
  );
  // The steps do meet what they are to meet.
  expect(Math.min(total.admitted, total.refused, total.settled)).toBeGreaterThan(RUNS);
});
