/** Money under fire: daemons and clients killed at random, several ceilings at once, windows turning over. */
import { expect, test, vi } from 'vitest';
import { scratch } from '../support/scratch.ts';
import { audit } from './overspend/audit.ts';
import type { Limit } from './overspend/plan.ts';
import type { Entry } from './overspend/provider.ts';
import { runNaively, runUnderKills } from './overspend/run.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

// Several processes start one after the other; how long that takes is the machine's business.
vi.setConfig({ testTimeout: IS_LONG ? 1_200_000 : 120_000 });

const SIZES = IS_LONG
  ? { clients: 8, requests: 10_500, kills: 30, answersPerMove: 120 }
  : { clients: 3, requests: 150, kills: 3, answersPerMove: 12 };

/** Each refuses now and then, and none refuses everything. */
function limitsFor(answersPerDay: number): Limit[] {
  const share = (part: number): number => Math.round(answersPerDay * 2_000 * part);
  return [
    { scope: 'seed', window: 'day', microUsd: share(0.8) },
    { scope: 'agent:*', window: 'day', microUsd: share(IS_LONG ? 0.12 : 0.3) },
    { scope: 'role:worker', window: 'day', microUsd: share(0.5) },
    { scope: 'label:customer=*', window: 'month', microUsd: share(IS_LONG ? 7 : 1) },
    { scope: 'seed', window: 'call', microUsd: 7_500 },
  ];
}

/** What an audit finds wrong, list by list. */
const NOTHING = {
  verdict: 'proven',
  above: [],
  wrongRefusals: [],
  unmatched: [],
  wrongRows: [],
  wrongSums: [],
  held: 0,
};

test('[LOCK-RUNTIME-3] [LOCK-RUNTIME-4] under kills no ceiling is passed, each request has its intent before it, and ledger, log and sums are one', async () => {
  using dir = scratch();
  const home = dir.at('home');
  const limits = limitsFor(4 * SIZES.answersPerMove);
  const ran = await runUnderKills({ run: 'overspend', home, limits, ...SIZES });
  const found = await audit(home, { out: dir.at('out'), limits, journal: ran.journal });
  expect(found).toMatchObject(NOTHING);
  expect(found.ledgerMicroUsd).toBeGreaterThanOrEqual(found.journalMicroUsd);
  expect(ran.heldAtLast).toBe(0);
  // However often a key was repeated, and whoever was killed meanwhile: one call has answered it.
  expect([...ran.whole].filter(([, calls]) => calls.size > 1)).toEqual([]);
  // It was as rough as it is meant to be.
  expect(found.attempts.length).toBeGreaterThanOrEqual(SIZES.requests);
  expect(ran.daemonsKilled).toBeGreaterThanOrEqual(SIZES.kills);
  expect(ran.clientsKilled).toBeGreaterThan(0);
  expect(found.recovered).toBeGreaterThan(0);
  expect(found.settledAsReported).toBeGreaterThan(SIZES.requests / 3);
  expect(found.refusals.size).toBeGreaterThan(1);
  expect(found.windows.get('seed/day')).toBeGreaterThan(2);
  // Two customers and those without one, in two months at least.
  expect(found.windows.get('label:customer=*/month')).toBeGreaterThan(3);
  if (IS_LONG) {
    const { attempts, ledgerMicroUsd, journalMicroUsd, settledAsReported, recovered, refusals, windows } = found;
    const { answers, daemonsKilled, clientsKilled } = ran;
    const counts = { attempts: attempts.length, ledgerMicroUsd, journalMicroUsd, settledAsReported, recovered };
    console.log({ ...counts, daemonsKilled, clientsKilled, answers, refusals, windows });
  }
});

test('[LOCK-RUNTIME-3] the control: looking first and asking then, with no ceiling in the policy, overspends', async () => {
  using dir = scratch();
  const home = dir.at('home');
  const limit: Limit = { scope: 'agent:*', window: 'day', microUsd: 60_000 };
  const naive = { run: 'naive', home, clients: 3, rounds: 3, limitMicroUsd: limit.microUsd };
  const journal = await runNaively(naive);
  let times = 0;
  const auditOf = (entries: readonly Entry[]) =>
    audit(home, { out: dir.at(`out-${times++}`), limits: [limit], journal: entries });
  const found = await auditOf(journal);
  expect({ ...found, above: [] }).toMatchObject(NOTHING);
  expect(found.above).not.toEqual([]);

  // And the audit would notice: a request nobody recorded, one before its intent, a charge above the ledger's.
  const first = journal.find(({ reported }) => reported);
  if (first === undefined) throw new Error('Nothing was reported.');
  const others = journal.filter((entry) => entry !== first);
  const wrong = async (entry: Entry): Promise<readonly string[]> => {
    const { unmatched, wrongRows } = await auditOf([...others, entry]);
    return [...unmatched, ...wrongRows];
  };
  expect(await wrong({ ...first, task: 'task-9-9' })).toEqual([expect.stringContaining('without an intent')]);
  expect(await wrong({ ...first, newest: 0 })).toEqual([expect.stringContaining('before its intent')]);
  expect(await wrong({ ...first, charged: first.charged - 1 })).toEqual([expect.stringMatching(/, not \d+$/)]);
  expect(await wrong({ ...first, charged: first.charged + 1 })).toContainEqual(expect.stringContaining('below'));
  expect((await auditOf([...journal, first])).unmatched).toEqual([expect.stringContaining('arrived twice')]);
});
