/** Many calls at once against one limit; and what becomes of it with the usual check before the spending. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { headroom } from '../../../src/substrate/ledger/ledger.ts';
import type { Hold, Spender } from '../../../src/substrate/ledger/model.ts';
import type { Ceiling } from '../../../src/substrate/policy/model.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { codeOf, DRIVERS, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { seededNumbers } from '../../support/sources.ts';
import type { Asked } from './rig.ts';
import { ceiling, expectConserved, fixed, hold, pay, SPENDER, totals } from './rig.ts';

const IN_FLIGHT = 64;
const CALLS = 640;
const LIMIT = 5_000;

type Enter = (substrate: Substrate, asked: Asked) => Promise<Hold & { readonly intent: number }>;

/** How others do it: look first, spend then. */
const checkThenSpend: Enter = async (substrate, asked) => {
  const { ceilings = [], bound = fixed(0) } = asked;
  const question = { spender: SPENDER, ceilings, timezone: 'Europe/Berlin', now: substrate.sources.now() };
  const { microUsd } = await substrate.read((db) => headroom(db, question));
  if (microUsd !== null && bound.inputMicroUsd > microUsd) throw new Error('Over the budget.');
  return hold(substrate, { ...asked, ceilings: [] });
};

/** Sends `CALLS` calls of 100 each, 64 at once; resolves to how many were let in. */
async function rush(substrate: Substrate, enter: Enter): Promise<number> {
  const ceilings = [ceiling('seed', 'day', LIMIT), ceiling('role:worker', 'life', 1e9)];
  let [next, admitted] = [0, 0];
  const caller = async (): Promise<void> => {
    while (next < CALLS) {
      const id = `call-${next++}`;
      const held = await enter(substrate, { id, ceilings, bound: fixed(100) }).catch(() => null);
      if (held === null) continue;
      admitted++;
      await nextTurn();
      await pay(substrate, held, 100);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  return admitted;
}

describe.each(DRIVERS)(`${IN_FLIGHT} calls at once on %s`, (driver) => {
  it('[LOCK-RUNTIME-3] spend a limit to the last call that fits, and no more', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    expect(await rush(seed.substrate, hold)).toBe(LIMIT / 100);
    expect(await totals(seed.substrate)).toEqual({ spent: LIMIT, held: 0 });
    await expectConserved(seed.substrate);
  });

  it('[LOCK-RUNTIME-3] overspend it when they look before they spend: the control', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    expect(await rush(seed.substrate, checkThenSpend)).toBeGreaterThan(LIMIT / 100);
    expect((await totals(seed.substrate)).spent).toBeGreaterThan(LIMIT);
  });
});

describe('many spenders at once', () => {
  const random = seededNumbers('spenders');
  const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;
  const ceilings: readonly Ceiling[] = [
    ceiling('seed', 'day', 60_000),
    ceiling('role:*', 'week', 25_000),
    ceiling('agent:cursor', 'month', 9_000),
    ceiling('label:customer=*', 'life', 12_000),
    ceiling('session:*', 'day', 7_000),
    ceiling('seed', 'call', 450),
  ];
  const LIMITS: readonly (readonly [prefix: RegExp, limit: number])[] = [
    [/^seed$/, 60_000],
    [/^role:/, 25_000],
    [/^agent:cursor$/, 9_000],
    [/^label:customer=/, 12_000],
    [/^session:/, 7_000],
  ];

  it('[LOCK-RUNTIME-3] are each held to every limit that applies, at every moment', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    let [next, admitted, refused] = [0, 0, 0];
    const above = async (): Promise<unknown[]> => {
      const rows = await substrate.read((db) =>
        db.all<{ scope: string; used: number }>(
          'SELECT scope, sum(spent_micro_usd + held_micro_usd) AS used FROM substrate_spending GROUP BY scope',
        ),
      );
      return rows.filter(({ scope, used }) => LIMITS.some(([prefix, limit]) => prefix.test(scope) && used > limit));
    };
    const caller = async (): Promise<void> => {
      while (next < 1_500) {
        const id = `call-${next++}`;
        const spender: Spender = {
          role: pick(['worker', 'digestor', 'judge']),
          agent: pick(['cursor', 'claude', 'ci']),
          session: pick([null, 's1', 's2', 's3']),
          labels: pick([{}, { customer: 'acme' }, { customer: 'bolt' }]),
        };
        const bound = {
          inputMicroUsd: random(200),
          outputMicroUsdPerMtok: 1_000_000,
          maxOutputTokens: 50 + random(300),
          minOutputTokens: 20,
        };
        const entered: { held: Awaited<ReturnType<typeof hold>> | null } = { held: null };
        const code = await codeOf(
          hold(substrate, { id, spender, bound, ceilings }).then((held) => {
            entered.held = held;
          }),
        );
        expect(['none', 'over_ceiling']).toContain(code);
        expect(await above()).toEqual([]);
        if (entered.held === null) refused++;
        else {
          admitted++;
          await pay(substrate, entered.held, random(entered.held.boundMicroUsd + 1));
        }
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
    expect(Math.min(admitted, refused)).toBeGreaterThan(100);
    expect((await totals(substrate)).held).toBe(0);
    await expectConserved(substrate);
  });
});
