/** Handing over: who may redeem, once; every way to be refused; what narrows; what is conserved. */
import * as fc from '../../support/fast-check.ts';
import { expect, test } from 'vitest';
import type { Receipt } from '../../../src/formats/receipt.ts';
import { deleteGrantFamily } from '../../../src/substrate/identity/grants.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { GONE_MS, listOffersFor } from '../../../src/substrate/sessions/handoffs.ts';
import { acceptOffered, listSilent, readableSession, takeBack } from '../../../src/substrate/sessions/handover.ts';
import { draftSession, openConversation } from '../../../src/substrate/sessions/conversations.ts';
import { newId } from '../../../src/substrate/sources.ts';
import { packageHash, packageText } from '../../../src/substrate/sessions/package.ts';
import { listOpenTools } from '../../../src/substrate/sessions/messages.ts';
import { LEASE_MS } from '../../../src/substrate/sessions/sessions.ts';
import { assertNotSuperseded, endSession, readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { edit } from '../../doors/rig.ts';
import { allReceipts, codeOf, openAgain, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { takeBack as takeHomeBack } from '../../support/take-back.ts';
import { letIn } from '../bus/rig.ts';
import { accept, answers, append, calls, latest, look, offer, open, say, SESSION_SCOPES, spend, used } from './rig.ts';

const SCOPES = { scopes: SESSION_SCOPES };

async function scene(at: Parameters<typeof openSeed>[0]) {
  const seed = await openSeed(at);
  const { substrate, sources } = seed;
  const [ann, bob, carl] = [
    await letIn(substrate, 'ann', SCOPES),
    await letIn(substrate, 'bob', SCOPES),
    await letIn(substrate, 'carl', SCOPES),
  ];
  const session = await open(substrate, ann);
  return {
    ...seed,
    substrate,
    sources,
    ann,
    bob,
    carl,
    session: session.id,
    [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose](),
  };
}

/** The receipts that some work leaves. */
async function left(substrate: Substrate, work: () => Promise<unknown>): Promise<Receipt[]> {
  const { size } = await substrate.log();
  await work();
  return (await allReceipts(substrate)).slice(size);
}

test('[LOCK-HANDOFF-1] [LOCK-HANDOFF-2] the redeemer goes on where the offerer was, and the offerer is fenced off', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session } = seed;
  const before = (await append(substrate, ann, session, [say('go'), calls('c1')])).session;
  const { token, handoff } = await offer(substrate, ann, session, { note: 'mind the roses' });
  expect(handoff.package).toMatchObject({
    goal: 'Paint the fence',
    note: 'mind the roses',
    transcript: { messages: 2, hash: before.runningHash },
    tools: [{ call: 'c1', name: 'paint', key: `${session}.c1`, state: 'not_started' }],
    lineage: [{ epoch: 1, holder: 'ann' }],
  });
  expect(handoff.packageHash).toBe(packageHash(packageText(handoff.package)));
  const got = await accept(substrate, bob, token);
  expect(got).toMatchObject({ repeated: false, superseded: false, session: { epoch: 2, holderName: 'bob' } });
  // Nothing is lost on the way: the same hash, over the same messages.
  expect(got.session.runningHash).toBe(before.runningHash);
  const held = await look(substrate, session);
  expect(await substrate.read((db) => readTranscript(db, held))).toEqual([say('go'), calls('c1')]);
  // What was open may or may not have happened.
  expect(await substrate.read((db) => listOpenTools(db, session, 10))).toMatchObject([
    { call: 'c1', state: 'in_doubt' },
  ]);
  expect(await codeOf(append(substrate, ann, session, [say('still me')]))).toBe('superseded');
  expect(await codeOf(append(substrate, bob, session, [say('me')], { epoch: 1 }))).toBe('superseded');
  expect((await append(substrate, bob, session, [answers('c1')], { epoch: 2 })).session.length).toBe(3);
});

test('[LOCK-HANDOFF-1] the same redeemer asking again gets the same package and epoch, and leaves no second receipt', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, carl, session } = seed;
  const { token } = await offer(substrate, ann, session);
  const first = await accept(substrate, bob, token);
  let again = first;
  const receipts = await left(substrate, async () => {
    again = await accept(substrate, bob, token);
  });
  expect(receipts).toEqual([]);
  expect(again).toMatchObject({ repeated: true, superseded: false });
  expect([again.handoff.packageHash, again.handoff.redeemedEpoch]).toEqual([
    first.handoff.packageHash,
    first.session.epoch,
  ]);
  // Once it has moved on, the same answer says so.
  const { token: next } = await offer(substrate, bob, session);
  await accept(substrate, carl, next);
  const late = await accept(substrate, bob, token);
  expect(late).toMatchObject({ repeated: true, superseded: true, handoff: { redeemedEpoch: 2 } });
  expect(late.handoff.packageHash).toBe(first.handoff.packageHash);
});

test('every refusal has its own code and leaves one receipt', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, sources, ann, bob, carl, session } = seed;
  const refused = async (code: string, work: () => Promise<unknown>): Promise<void> => {
    let found = '';
    const receipts = await left(substrate, async () => {
      found = await codeOf(work());
    });
    expect([found, receipts.map((receipt) => [receipt.outcome, receipt.code])]).toEqual([code, [['refused', code]]]);
  };
  const named = await offer(substrate, ann, session, { audience: 'bob' });
  await refused('handoff_audience', () => accept(substrate, carl, named.token));
  const tampered = `${named.token.slice(0, -1)}${named.token.endsWith('A') ? 'B' : 'A'}`;
  await refused('handoff_unknown', () => accept(substrate, bob, tampered));
  const gone = await offer(substrate, ann, session);
  await takeBack(substrate, ann, gone.handoff.id);
  await refused('handoff_withdrawn', () => accept(substrate, bob, gone.token));
  const short = await offer(substrate, ann, session, { lifeMs: 1 });
  sources.time += 1;
  await refused('handoff_expired', () => accept(substrate, bob, short.token));
  await refused('holder_alive', () => latest(substrate, carl));
  await refused('forbidden', () => offer(substrate, ann, session, { scopes: ['policy.write'] }));
  const helper = await letIn(substrate, 'helper', { kind: 'helper', ...SCOPES });
  await refused('forbidden', () => latest(substrate, helper));
  await refused('not_found', () => offer(substrate, carl, session));
  await refused('not_found', () => offer(substrate, ann, session, { audience: 'nobody' }));
  const other = await offer(substrate, ann, session);
  await accept(substrate, bob, named.token);
  await refused('handoff_redeemed', () => accept(substrate, bob, named.token, 'another id'));
  await refused('handoff_redeemed', () => takeBack(substrate, ann, named.handoff.id));
  await refused('superseded', () => accept(substrate, carl, other.token));
  await refused('superseded', () => offer(substrate, ann, session));
  const orphan = await offer(substrate, bob, session);
  await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, bob.grant ?? ''));
  await refused('handoff_withdrawn', () => accept(substrate, carl, orphan.token));
});

test('whose session the owner handed on is told so, and the owner is not told that it was the owner’s', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, carl, session } = seed;
  const { token } = await offer(substrate, OWNER, session);
  const told: string[] = [];
  substrate.sessions.onChange(({ grants }) => told.push(...grants));
  await accept(substrate, bob, token);
  expect(told).toContain(ann.grant);
  expect(await codeOf(append(substrate, ann, session, [say('still me')]))).toBe('superseded');
  expect(await codeOf(substrate.read((db) => assertNotSuperseded(db, ann)))).toBe('superseded');
  await substrate.read((db) => assertNotSuperseded(db, OWNER));
  expect(await codeOf(append(substrate, carl, session, [say('a stranger')]))).toBe('not_found');
});

test('a package that was altered in the database is not handed over', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session, home } = seed;
  const { token, handoff } = await offer(substrate, ann, session);
  edit(home, "UPDATE substrate_handoffs SET package = replace(package, 'fence', 'house') WHERE id = ?", handoff.id);
  expect(await codeOf(accept(substrate, bob, token))).toBe('store_corrupt');
  expect(await look(substrate, session)).toMatchObject({ epoch: 1, holderName: 'ann' });
});

test('a closed session is not handed over', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session } = seed;
  const { token } = await offer(substrate, ann, session);
  await endSession(substrate, ann, session);
  expect(await codeOf(accept(substrate, bob, token))).toBe('superseded');
  expect(await codeOf(append(substrate, ann, session, [say('more')]))).toBe('session_closed');
});

test('[LOCK-HANDOFF-3] scopes are what was passed on and what the redeemer holds itself, at that moment', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session } = seed;
  const dave = await letIn(substrate, 'dave', {
    scopes: ['handoff.accept', 'handoff.offer', 'session.use', 'seed.status'],
  });
  const { token } = await offer(substrate, ann, session, { scopes: ['session.use', 'route.complete'] });
  expect((await accept(substrate, dave, token)).session.scopes).toEqual(['session.use']);
  // What was given up does not come back with the next holder.
  const { token: back } = await offer(substrate, dave, session);
  expect((await accept(substrate, bob, back)).session.scopes).toEqual(['session.use']);
  expect(await codeOf(offer(substrate, bob, session, { scopes: ['route.complete'] }))).toBe('forbidden');
});

test('[LOCK-HANDOFF-3] budget moves and is never copied', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, carl } = seed;
  const { id } = await open(substrate, ann, { budgetMicroUsd: 1_000 });
  await spend(substrate, ann, id, 100);
  expect(await codeOf(offer(substrate, ann, id, { budgetMicroUsd: 901 }))).toBe('forbidden');
  const { token } = await offer(substrate, ann, id, { budgetMicroUsd: 300 });
  // Spent after the offer, out of what stays: 1,000 - 100 - 300 = 600.
  await spend(substrate, ann, id, 500);
  const got = await accept(substrate, bob, token);
  expect(got.session).toMatchObject({ budgetMicroUsd: 900, reserveMicroUsd: 100 });
  expect(await codeOf(spend(substrate, bob, id, 301))).toBe('over_ceiling');
  await spend(substrate, bob, id, 300);
  expect(await codeOf(spend(substrate, bob, id, 1))).toBe('over_ceiling');
  // A session without a budget of its own can be given one.
  const free = await open(substrate, ann);
  await spend(substrate, ann, free.id, 50);
  const given = await offer(substrate, ann, free.id, { budgetMicroUsd: 10 });
  await accept(substrate, carl, given.token);
  expect(await codeOf(spend(substrate, carl, free.id, 11))).toBe('over_ceiling');
  await spend(substrate, carl, free.id, 10);
});

test('[LOCK-HANDOFF-3] property: whatever is offered, redeemed and spent, budget and reserve stay what was opened', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, carl } = seed;
  const people = [ann, bob, carl];
  const step = fc.oneof(
    fc.record({ do: fc.constant('spend' as const), amount: fc.nat(400) }),
    fc.record({ do: fc.constant('offer' as const), amount: fc.option(fc.nat(1_200)) }),
    fc.record({ do: fc.constant('redeem' as const), amount: fc.nat(5), who: fc.nat(2) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(2_000), fc.array(step, { minLength: 1, maxLength: 20 }), async (budget, steps) => {
      const { id } = await open(substrate, ann, { budgetMicroUsd: budget });
      const tokens: string[] = [];
      for (const one of steps) {
        const before = await look(substrate, id);
        const holder = people.find(({ grant }) => grant === before.holder) ?? ann;
        if (one.do === 'spend') {
          const rest = (before.budgetMicroUsd ?? 0) - (await used(substrate, id));
          const expected = one.amount <= rest ? 'none' : 'over_ceiling';
          expect(await codeOf(spend(substrate, holder, id, one.amount))).toBe(expected);
        } else if (one.do === 'offer') {
          await offer(substrate, holder, id, { budgetMicroUsd: one.amount }).then(
            ({ token }) => tokens.push(token),
            () => {},
          );
        } else {
          const token = tokens[one.amount];
          if (token !== undefined) await codeOf(accept(substrate, people[one.who]!, token));
        }
        const after = await look(substrate, id);
        expect((after.budgetMicroUsd ?? 0) + after.reserveMicroUsd).toBe(budget);
        expect(after.budgetMicroUsd ?? 0).toBeLessThanOrEqual(before.budgetMicroUsd ?? 0);
        expect(await used(substrate, id)).toBeLessThanOrEqual(after.budgetMicroUsd ?? 0);
      }
      await endSession(substrate, OWNER, id);
    }),
    { numRuns: 60 },
  );
});

test('[LOCK-HANDOFF-1] of twenty who redeem at once, one owns it', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, session } = seed;
  const { token } = await offer(substrate, ann, session);
  const people = await Promise.all(Array.from({ length: 20 }, (_, nr) => letIn(substrate, `p${nr}`, SCOPES)));
  const codes = await Promise.all(people.map((who) => codeOf(accept(substrate, who, token, 'mine'))));
  expect(codes.filter((code) => code === 'none')).toHaveLength(1);
  expect(codes.filter((code) => code === 'handoff_redeemed')).toHaveLength(19);
  const held = await look(substrate, session);
  expect(held.epoch).toBe(2);
  expect(held.holder).toBe(people[codes.indexOf('none')]?.grant);
  // The control: the winner alone may write.
  const writes = await Promise.all(people.map((who) => codeOf(append(substrate, who, session, [say('mine')]))));
  expect(writes.map((code) => code === 'none')).toEqual(codes.map((code) => code === 'none'));
});

test('latest takes what a silent holder left: its connection gone for 30 s, its lease lapsed, or its grant removed', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, sources, ann, bob, carl, session } = seed;
  const goneSince = (grant: string): number | null => (grant === ann.grant ? sources.time - GONE_MS : null);
  const lone = sources.time;
  expect(await codeOf(latest(substrate, bob, { goneSince: () => lone }))).toBe('holder_alive');
  const got = await latest(substrate, bob, { goneSince });
  expect(got.session).toMatchObject({ id: session, epoch: 2, holderName: 'bob' });
  expect(got.handoff.package).toMatchObject({ goal: 'Paint the fence', note: 'ann went silent.' });
  // The same request again, and not another session.
  expect(await latest(substrate, bob, { goneSince })).toMatchObject({ repeated: true, session: { epoch: 2 } });
  sources.time += LEASE_MS;
  expect((await latest(substrate, carl)).session).toMatchObject({ epoch: 3, holderName: 'carl' });
  expect(await codeOf(latest(substrate, ann, { redeemId: 'second' }))).toBe('holder_alive');
  await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, carl.grant ?? ''));
  expect((await latest(substrate, ann, { redeemId: 'second' })).session).toMatchObject({ epoch: 4, holderName: 'ann' });
});

test('latest leaves the sessions of helpers alone, and redeems an offer by name first', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, sources, ann, bob, carl, session } = seed;
  const helper = await letIn(substrate, 'helper', { kind: 'helper', ...SCOPES });
  const { id } = await open(substrate, helper);
  sources.time += LEASE_MS;
  expect(await codeOf(latest(substrate, bob, { session: id }))).toBe('not_found');
  const { handoff } = await offer(substrate, ann, session, { audience: 'carl' });
  const got = await latest(substrate, carl);
  expect(got).toMatchObject({ handoff: { id: handoff.id, status: 'redeemed' }, session: { holderName: 'carl' } });
});

test('[LOCK-HANDOFF-3] an offer is for the grant that was named: whoever has the name next has nothing of it', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session } = seed;
  const { token } = await offer(substrate, ann, session, { audience: 'bob' });
  await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, bob.grant ?? ''));
  const heir = await letIn(substrate, 'bob', SCOPES);
  const readable = (who: Actor) => substrate.read((db) => readableSession(db, session, who, seed.sources.now()));
  expect(await codeOf(readable(heir))).toBe('not_found');
  expect(await substrate.read((db) => listOffersFor(db, heir, seed.sources.now(), 9))).toEqual([]);
  expect(await codeOf(acceptOffered(substrate, heir, session))).toBe('superseded');
  expect(await codeOf(accept(substrate, heir, token))).toBe('handoff_audience');
  expect(await codeOf(latest(substrate, heir))).toBe('holder_alive');
  // The control: named once more, it is the heir that is meant.
  await offer(substrate, ann, session, { audience: 'bob' });
  expect((await readable(heir)).id).toBe(session);
  expect((await latest(substrate, heir)).session).toMatchObject({ id: session, holderName: 'bob', holder: heir.grant });
});

test('offers of before grants were kept with them go to whoever bears the name at the next start', async () => {
  using dir = scratch();
  const { substrate, sources, home, ann, bob, session } = await scene(dir);
  const { token } = await offer(substrate, ann, session, { audience: 'bob' });
  await offer(substrate, ann, session, { audience: 'owner' });
  await substrate.close();
  takeHomeBack(home, 22);
  await using after = await openAgain(home, { sources });
  const listed = (who: Actor) => after.substrate.read((db) => listOffersFor(db, who, sources.now(), 9));
  expect([await listed(bob), await listed(OWNER)].map((offers) => offers.length)).toEqual([1, 1]);
  expect((await accept(after.substrate, bob, token)).session.holder).toBe(bob.grant);
});

test('an offer to the owner is for nobody else, and one by a token alone is on nobody’s list', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, bob, session } = seed;
  const { token, handoff } = await offer(substrate, ann, session, { audience: 'owner' });
  await offer(substrate, ann, session);
  expect(await codeOf(accept(substrate, bob, token))).toBe('handoff_audience');
  const listed = (who: Actor) => substrate.read((db) => listOffersFor(db, who, seed.sources.now(), 9));
  expect([await listed(bob), (await listed(OWNER)).map(({ id }) => id)]).toEqual([[], [handoff.id]]);
  expect((await accept(substrate, OWNER, token)).session.holder).toBeNull();
});

test('what a client of the gateway could not offer goes to no agent when its key is gone', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, bob, carl } = seed;
  const begun = async (name: string, scopes: readonly string[]): Promise<string> => {
    const client = await letIn(substrate, name, { kind: 'helper', scopes });
    const id = newId(substrate.sources);
    const draft = draftSession(client, { id, goal: 'Ask', now: seed.sources.now() });
    await substrate.operate({ action: 'route.attempt', actor: client }, (op) => openConversation(op, client, draft));
    await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, client.grant ?? ''));
    return id;
  };
  const kept = await begun('service', ['session.use', 'route.complete']);
  const passed = await begun('person', ['session.use', 'route.complete', 'handoff.offer']);
  const goneSince = (): null => null;
  const silent = await substrate.read((db) => listSilent(db, { actor: bob, goneSince, now: seed.sources.now() }, 9));
  expect(silent.map(({ id }) => id)).toEqual([passed]);
  expect(await codeOf(latest(substrate, bob, { session: kept }))).toBe('not_found');
  expect((await latest(substrate, carl, { session: passed })).session.holderName).toBe('carl');
});

test('an offer whose session was closed, or whose offerer is gone, keeps nobody from going on with another', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, sources, ann, bob, carl, session } = seed;
  const good = await offer(substrate, ann, session, { audience: 'carl' });
  const closed = await open(substrate, bob);
  await offer(substrate, bob, closed.id, { audience: 'carl' });
  await endSession(substrate, bob, closed.id);
  const dave = await letIn(substrate, 'dave', SCOPES);
  const orphan = await open(substrate, dave);
  await offer(substrate, dave, orphan.id, { audience: 'carl' });
  await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, dave.grant ?? ''));
  expect((await latest(substrate, carl)).handoff.id).toBe(good.handoff.id);
  // What the one who was removed held is taken over as what it is: left behind.
  sources.time += LEASE_MS;
  const got = await latest(substrate, carl, { redeemId: 'other', session: orphan.id });
  expect(got.session).toMatchObject({ id: orphan.id, holderName: 'carl' });
});

test('the open offers of one who went silent keep nobody from taking over', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, sources, ann, bob, session } = seed;
  let code = 'none';
  while (code === 'none') code = await codeOf(offer(substrate, ann, session, { audience: 'carl' }));
  expect(code).toBe('too_many');
  sources.time += LEASE_MS;
  expect((await latest(substrate, bob, { session })).session.holderName).toBe('bob');
});

test('a package stays small, whatever the transcript, and says what it left out', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const { substrate, ann, session } = seed;
  await append(substrate, ann, session, [say('x'.repeat(100_000)), say('short')]);
  for (let nr = 0; nr < 40; nr++) await append(substrate, ann, session, [calls(`c${nr}`)]);
  await append(substrate, ann, session, [say('y'.repeat(50_000)), say('last')]);
  const { handoff } = await offer(substrate, ann, session);
  expect(handoff.package.transcript.tail).toHaveLength(1);
  expect(handoff.package.losses).toEqual([
    '5 of the last messages are too long for the package; session_get has them.',
    '1 or more open tool calls are not listed; session_get has them.',
  ]);
  expect(packageText(handoff.package).length).toBeLessThan(16_000);
});
