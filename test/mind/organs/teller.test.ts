import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SeedError } from '../../../src/errors.ts';
import type { Organ } from '../../../src/mind/organ.ts';
import type { FactSource } from '../../../src/mind/organs/teller/facts.ts';
import { ceilingFacts, deadFacts, keyFacts, requestFacts } from '../../../src/mind/organs/teller/facts.ts';
import { factSources, LogWatch } from '../../../src/mind/organs/teller/inner-facts.ts';
import type { Telling } from '../../../src/substrate/home/notifiers.ts';
import { createTeller } from '../../../src/mind/organs/teller/teller.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { raiseAlarm } from '../../../src/substrate/coherence/alarms.ts';
import type { Grant } from '../../../src/substrate/identity/grants.ts';
import { insertGrant } from '../../../src/substrate/identity/grants.ts';
import { insertRequest } from '../../../src/substrate/identity/requests.ts';
import { listTold } from '../../../src/substrate/notices/told.ts';
import { listReceipts } from '../../../src/substrate/receipts/query.ts';
import type { TestSeed } from '../../support/home.ts';
import { openAgain, openSeed } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { apply, editOutside, POLICY } from '../../substrate/policy/support.ts';
import { ATTEMPT, ceiling, hold, pay, SPENDER } from '../../substrate/ledger/rig.ts';

const NEVER = new AbortController().signal;
const ALL = [requestFacts, keyFacts, ceilingFacts, deadFacts];
const WANTED = ['ceiling', 'request', 'key', 'dead_letter'];

let dir: Scratch;
let seed: TestSeed;
let told: { notifier: string; says: string }[];
let fails: boolean;

beforeEach(async () => {
  dir = scratch();
  seed = await openSeed(dir);
  told = [];
  fails = false;
});
afterEach(async () => {
  await seed[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

function teller(sources: readonly FactSource[] = ALL): Organ {
  return createTeller({
    substrate: seed.substrate,
    sources,
    tell: (notifier: string, { says }: Telling) => {
      if (fails)
        return Promise.reject(new SeedError('notifier_failed', 'It ended with status 1.', { hint: 'Try it.' }));
      told.push({ notifier, says });
      return Promise.resolve();
    },
  });
}

async function run(organ = teller()): Promise<number> {
  const { done } = await organ.run({ because: 'a test', signal: NEVER, alive: () => {} });
  return done;
}

function sight(organ = teller()) {
  return seed.substrate.read((db) => organ.look(db, seed.sources.now()));
}

async function policy(notices: readonly string[]): Promise<void> {
  const lines = notices.map((event) => `  - { when: ${event}, to: phone }`);
  await apply(seed.substrate, `${POLICY}notices:\n${lines.join('\n')}\n`);
}

async function grantOf(name: string, expiresAt: number | null): Promise<Grant> {
  const grant: Grant = {
    id: `grant-of-${name}`,
    name,
    door: 'http',
    kind: 'helper',
    scopes: ['seed.status'],
    surface: 'daily',
    parent: null,
    publicKey: null,
    createdAt: seed.sources.now(),
    expiresAt,
  };
  await seed.substrate.operate({ action: 'key.issue', actor: OWNER }, (op) => insertGrant(op, grant));
  return grant;
}

async function request(id: string, { id: grant, name }: Grant): Promise<void> {
  const created = seed.sources.now();
  const body = {
    v: 1 as const,
    id,
    grant,
    name,
    scopes: ['receipt.read' as const],
    reason: 'to look',
    created,
    expires: created + 1e9,
  };
  await seed.substrate.operate({ action: 'membrane.request', actor: OWNER }, async (op) => {
    await insertRequest(op, body, op.now);
  });
}

const BUDGET = ceiling('seed', 'day', 5_000_000);

async function spend(id: string, microUsd: number): Promise<void> {
  const held = await hold(seed.substrate, { id, ceilings: [BUDGET], spender: { ...SPENDER, role: 'scout' } });
  await pay(seed.substrate, { id, intent: held.intent }, microUsd);
}

describe('the teller', () => {
  test('tells each fact once, by each notifier that the policy names, and not again after a restart', async () => {
    await policy(WANTED);
    await request('r1', await grantOf('builder', null));
    expect((await sight()).waiting).toBe(1);
    expect(await run()).toBe(1);
    expect(told).toEqual([{ notifier: 'phone', says: 'builder asks for receipt.read.' }]);
    expect((await sight()).waiting).toBe(0);
    expect(await run()).toBe(0);
    const { home, sources } = seed;
    await seed[Symbol.asyncDispose]();
    seed = await openAgain(home, { sources });
    expect(await run()).toBe(0);
    await request('r2', { ...(await grantOf('other', null)) });
    expect(await run()).toBe(1);
  });

  test('says nothing of what the policy does not name', async () => {
    await policy(['ceiling']);
    await request('r1', await grantOf('builder', null));
    expect(await sight()).toEqual({ waiting: 0, nextAt: null, held: null });
    // The control: named, it is told.
    await policy(['request']);
    expect((await sight()).waiting).toBe(1);
  });

  test('leaves an intent and an outcome, with nobody’s name in them', async () => {
    await policy(WANTED);
    await request('r1', await grantOf('builder', null));
    await run();
    const { receipts } = await seed.substrate.read((db) => listReceipts(db, { action: 'notice.tell' }, { limit: 9 }));
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['ok', 'intent']);
    expect(receipts[0]).toMatchObject({ of: receipts[1]?.seq, detail: { event: 'request', notifier: 'phone' } });
    expect(JSON.stringify(receipts)).not.toContain('builder');
  });

  test('tries a notifier that fails again, each time later, and gives it up in the end', async () => {
    await policy(WANTED);
    await request('r1', await grantOf('builder', null));
    fails = true;
    const waits: number[] = [];
    for (let round = 0; round < 4; round++) {
      expect(await run()).toBe(0);
      const { waiting, nextAt } = await sight();
      expect(waiting).toBe(0);
      if (nextAt === null) break;
      waits.push(nextAt - seed.sources.time);
      seed.sources.time = nextAt;
      expect((await sight()).waiting).toBe(1);
    }
    expect(waits).toEqual([60_000, 240_000, 960_000]);
    const [row] = await seed.substrate.read((db) => listTold(db, 5));
    expect(row).toMatchObject({ state: 'given_up', tries: 4 });
    fails = false;
    expect(await run()).toBe(0);
  });

  test('one notifier that hangs keeps no other waiting', async () => {
    await apply(seed.substrate, `${POLICY}notices: [ { when: request, to: hangs }, { when: request, to: phone } ]\n`);
    await request('r1', await grantOf('builder', null));
    const hanging = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    const organ = createTeller({
      substrate: seed.substrate,
      sources: ALL,
      tell: (notifier) => {
        if (notifier === 'hangs') return hanging.promise;
        heard.resolve();
        return Promise.resolve();
      },
    });
    const running = run(organ);
    await heard.promise;
    hanging.resolve();
    expect(await running).toBe(2);
  });

  test('one that comes back in time is told', async () => {
    await policy(WANTED);
    await request('r1', await grantOf('builder', null));
    fails = true;
    await run();
    fails = false;
    seed.sources.time += 60_000;
    expect(await run()).toBe(1);
  });

  test('holds back where the notices were edited outside and a passphrase makes the owner’s word needed', async () => {
    await seed[Symbol.asyncDispose]();
    const again = scratch();
    dir[Symbol.dispose]();
    dir = again;
    const { makeHome } = await import('../../support/home.ts');
    await makeHome(dir.at('home'), { sources: seed.sources, passphrase: 'a long enough phrase' });
    seed = await openAgain(dir.at('home'), { sources: seed.sources });
    await policy(WANTED);
    await request('r1', await grantOf('builder', null));
    editOutside(seed.home, "INSERT INTO substrate_notices VALUES ('request', 'theirs')");
    expect(await sight()).toEqual({
      waiting: 0,
      nextAt: null,
      held: 'the notices of the policy wait for `seed policy ack`',
    });
    expect(await run()).toBe(0);
    // The control: the owner's own word is enough.
    await policy(WANTED);
    expect(await run()).toBe(1);
  });
});

describe('what there is to tell', () => {
  test('half, four fifths and all of a ceiling, each once, and again in the next window', async () => {
    await policy(['ceiling']);
    await spend('a', 2_499_999);
    expect(await run()).toBe(0);
    await spend('b', 1);
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toMatch(/^50 % of the ceiling seed\/day is used: \$2.50 of \$5.00. It begins anew 2026/);
    await spend('c', 1_500_000);
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toContain('80 % of the ceiling seed/day');
    await spend('d', 1_000_000);
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toContain('is reached ($5.00 of $5.00): calls are refused.');
    expect(await run()).toBe(0);
    seed.sources.time += 86_400_000;
    expect(await run()).toBe(0);
    await spend('e', 2_500_000);
    expect(await run()).toBe(1);
  });

  test('a ceiling that refused a call is reached, whatever is left of it', async () => {
    await policy(['ceiling']);
    await spend('a', 1_000_000);
    const detail = { ceiling: 'seed/day', scope: 'seed', spent_micro_usd: 1_000_000, limit_micro_usd: 5_000_000 };
    await seed.substrate.operate(ATTEMPT, async (op) =>
      op.receipt({ outcome: 'refused', code: 'over_ceiling', detail }),
    );
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toContain('is reached ($1.00 of $5.00)');
    // The control: a refusal of yesterday is no news of today.
    seed.sources.time += 86_400_000;
    expect((await sight()).waiting).toBe(0);
  });

  test('a limit that was raised is another one to reach', async () => {
    await policy(['ceiling']);
    await spend('a', 5_000_000);
    const detail = { ceiling: 'seed/day', scope: 'seed', limit_micro_usd: 5_000_000 };
    await seed.substrate.operate(ATTEMPT, async (op) =>
      op.receipt({ outcome: 'refused', code: 'over_ceiling', detail }),
    );
    expect(await run()).toBe(1);
    const notices = '\nnotices: [ { when: ceiling, to: phone } ]\n';
    await apply(seed.substrate, POLICY.replace('usd: "5.00"', 'usd: "6.00"') + notices);
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toContain('80 % of the ceiling seed/day is used: $5.00 of $6.00');
    const held = await hold(seed.substrate, { id: 'b', ceilings: [], spender: { ...SPENDER, role: 'scout' } });
    await pay(seed.substrate, { id: 'b', intent: held.intent }, 1_000_000);
    expect(await run()).toBe(1);
    expect(told.at(-1)?.says).toContain('is reached ($6.00 of $6.00)');
  });

  test('a key a week before it expires, and a day before', async () => {
    await policy(['key']);
    const now = seed.sources.time;
    await grantOf('builder', now + 30 * 86_400_000);
    await grantOf('for-ever', null);
    expect(await run()).toBe(0);
    seed.sources.time = now + 23 * 86_400_000;
    expect(await run()).toBe(1);
    seed.sources.time = now + 27 * 86_400_000;
    expect(await run()).toBe(0);
    seed.sources.time = now + 29.5 * 86_400_000;
    expect(await run()).toBe(1);
    expect(told.map(({ says }) => says)).toEqual([
      'The key of builder expires 2026-12-21T07:00:00.000Z.',
      'The key of builder expires 2026-12-21T07:00:00.000Z.',
    ]);
  });

  test('a key for a week, when a third of it is left and not when it is issued', async () => {
    await policy(['key']);
    const now = seed.sources.time;
    await grantOf('builder', now + 7 * 86_400_000);
    expect(await run()).toBe(0);
    seed.sources.time = now + 4 * 86_400_000;
    expect(await run()).toBe(0);
    seed.sources.time = now + 5 * 86_400_000;
    expect(await run()).toBe(1);
  });

  test('what comes in crowds is told with a pause in between', async () => {
    await policy(['dead_letter']);
    let count = 1;
    const crowd: FactSource = () =>
      Promise.resolve([{ key: `dead ${count}`, event: 'dead_letter', says: `number ${count}`, todo: '' }]);
    const organ = teller([crowd]);
    expect(await run(organ)).toBe(1);
    count = 2;
    expect(await run(organ)).toBe(0);
    expect(await sight(organ)).toMatchObject({ waiting: 0, nextAt: seed.sources.time + 600_000 });
    seed.sources.time += 600_000;
    count = 3;
    expect(await run(organ)).toBe(1);
    expect(told.map(({ says }) => says)).toEqual(['number 1', 'number 3']);
  });
});

describe('crowds and bursts', () => {
  test('of a crowd that came at once one is told, and the next after the pause', async () => {
    await policy(['alert']);
    const crowd: FactSource = () =>
      Promise.resolve([1, 2, 3].map((n) => ({ key: `alert ${n}`, event: 'alert' as const, says: `${n}`, todo: '' })));
    expect(await sight(teller([crowd]))).toMatchObject({ waiting: 1, nextAt: seed.sources.time + 60_000 });
    expect(await run(teller([crowd]))).toBe(1);
    expect(await run(teller([crowd]))).toBe(0);
    seed.sources.time += 60_000;
    expect(await run(teller([crowd]))).toBe(1);
    // The control: what has no pause is told at once.
    await policy(['request']);
    const others: FactSource = () =>
      Promise.resolve([1, 2].map((n) => ({ key: `r ${n}`, event: 'request' as const, says: `${n}`, todo: '' })));
    expect(await run(teller([others]))).toBe(2);
  });

  test('a ceiling that refused is found behind a burst of other refusals', async () => {
    await policy(['ceiling']);
    const detail = { ceiling: 'seed/day', scope: 'seed', limit_micro_usd: 5_000_000 };
    await seed.substrate.operate(ATTEMPT, async (op) =>
      op.receipt({ outcome: 'refused', code: 'over_ceiling', detail }),
    );
    for (let n = 0; n < 150; n++) {
      await seed.substrate.operate(ATTEMPT, async (op) => op.receipt({ outcome: 'refused', code: 'no_route' }));
    }
    expect((await sight()).waiting).toBe(1);
  });

  test('one organ looks at all of it once in a while, whatever wakes the loop', async () => {
    await policy(['request']);
    let looks = 0;
    const counted: FactSource = () => {
      looks += 1;
      return Promise.resolve([]);
    };
    const organ = teller([counted]);
    await sight(organ);
    expect(await sight(organ)).toEqual({ waiting: 0, nextAt: seed.sources.time + 5_000, held: null });
    expect(looks).toBe(1);
    seed.sources.time += 5_000;
    expect(await sight(organ)).toEqual({ waiting: 0, nextAt: null, held: null });
    expect(looks).toBe(2);
  });
});

describe('what there is to tell of the seed itself', () => {
  test('a log that was altered, found when it is looked at, and no longer when it is whole', async () => {
    await policy(['log']);
    const watch = new LogWatch(seed.substrate);
    const organ = teller([watch.facts]);
    await watch.look(NEVER);
    expect(await run(organ)).toBe(0);
    editOutside(
      seed.home,
      "UPDATE substrate_receipts SET bytes = replace(bytes, 'seed.init', 'seed.made') WHERE seq = 0",
    );
    await watch.look(NEVER);
    expect(await run(organ)).toBe(1);
    expect(told.at(-1)?.says).toMatch(/^Receipt 0 /);
    editOutside(
      seed.home,
      "UPDATE substrate_receipts SET bytes = replace(bytes, 'seed.made', 'seed.init') WHERE seq = 0",
    );
    await watch.look(NEVER);
    expect((await sight(organ)).waiting).toBe(0);
  });

  test('an organ that fails again and again, once a day', async () => {
    await policy(['mind']);
    const organ = teller(factSources(seed.substrate, new LogWatch(seed.substrate)));
    const fail = (failures: number) =>
      seed.substrate.operate({ action: 'mind.organ', actor: OWNER }, async (op) => {
        const subject = { type: 'organ', id: 'digestor' };
        op.receipt({ outcome: 'failed', code: 'internal', subject, detail: { failures } });
      });
    await fail(1);
    await fail(2);
    expect(await run(organ)).toBe(0);
    await fail(3);
    await fail(4);
    expect(await run(organ)).toBe(1);
    expect(told.at(-1)?.says).toBe('digestor of the mind has failed 3 times in a row.');
  });

  test('an alarm of coherence where its stage lets it speak, and not where it only watches', async () => {
    await policy(['stall']);
    const organ = teller(factSources(seed.substrate, new LogWatch(seed.substrate)));
    const raise = (subsystem: string, stage: 'observe' | 'advise') =>
      seed.substrate.operate({ action: 'coherence.alarm', actor: OWNER }, (op) =>
        raiseAlarm(op, {
          subsystem,
          kind: 'stall',
          stage,
          provisional: false,
          since: op.now,
          reason: 'silent for 3 days',
          act: null,
          raisedAt: op.now,
        }),
      );
    await raise('watched', 'observe');
    expect(await run(organ)).toBe(0);
    await raise('spoken', 'advise');
    expect(await run(organ)).toBe(1);
    expect(told.at(-1)?.says).toBe('spoken: silent for 3 days');
  });
});
