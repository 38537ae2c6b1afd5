/** What a task promises: one holder at a time, fenced; done only by another's word or by what the seed sees. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { deleteGrantFamily, insertGrant } from '../../../src/substrate/identity/grants.ts';
import { newId } from '../../../src/substrate/sources.ts';
import { countTasks, lastEvents, listOfSubsystem, listTasks, placeOf } from '../../../src/substrate/tasks/look.ts';
import { EVENTS_MAX, LIVE_TASKS_OF_ONE_MAX } from '../../../src/substrate/tasks/model.ts';
import { freeLapsed } from '../../../src/substrate/tasks/tasks.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { get, say } from '../bus/rig.ts';
import { act, doIt, LEASE_MS, owe, taskOf, worker } from './rig.ts';

/** A key that another grant issued. */
async function issuedUnder(substrate: Substrate, parent: Actor, name: string): Promise<Actor> {
  const id = newId(substrate.sources);
  const scopes = ['task.read', 'task.write', 'task.verify'];
  await substrate.operate({ action: 'membrane.register', actor: parent }, (op) =>
    insertGrant(op, {
      id,
      name,
      door: 'http',
      kind: 'helper',
      scopes,
      surface: 'full',
      parent: parent.grant,
      publicKey: null,
      createdAt: op.now,
      expiresAt: null,
    }),
  );
  return { id: name, kind: 'helper', grant: id, scopes: new Set(scopes) };
}

/** Puts something on record, as `outcome`. */
async function record(substrate: Substrate, actor: Actor, action: string, outcome: 'ok' | 'claimed'): Promise<void> {
  await substrate.operate({ action, actor }, async (op) => {
    op.receipt({ outcome });
  });
}

/** What stands in the log of a task: action, outcome, code. */
async function story(substrate: Substrate, id: string): Promise<string[]> {
  const all = await allReceipts(substrate);
  return all
    .filter(({ subject }) => subject.type === 'task' && subject.id === id)
    .map(({ action, outcome, code }) => `${action} ${code ?? outcome}`);
}

/** What the seed wrote to somebody about tasks. */
async function news(substrate: Substrate, actor: Actor): Promise<object[]> {
  return (await get(substrate, actor, { limit: 100 })).map(({ text }) => JSON.parse(text) as object);
}

describe('one way through', () => {
  it('added, claimed, finished and verified: each with a receipt, each told to whom it concerns', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const id = await owe(substrate, ann, 'mend the login', {
      acceptance: ['it works'],
      deadline: seed.sources.time + 1,
    });
    const { lease, leaseUntil } = await act(substrate, bob, id, 'claim');
    expect({ lease, leaseUntil }).toEqual({ lease: 1, leaseUntil: seed.sources.time + LEASE_MS });
    seed.sources.time += LEASE_MS - 1;
    expect(await act(substrate, bob, id, 'progress', { lease, note: 'half' })).toMatchObject({
      leaseUntil: seed.sources.time + LEASE_MS,
    });
    seed.sources.time += LEASE_MS - 1;
    expect(await act(substrate, bob, id, 'finish', { lease })).toMatchObject({ state: 'finished', repeated: false });
    expect(await act(substrate, bob, id, 'finish', { lease })).toMatchObject({ state: 'finished', repeated: true });
    expect(await act(substrate, ann, id, 'verify', { note: 'good' })).toMatchObject({ state: 'done' });
    expect(await act(substrate, bob, id, 'finish', { lease })).toMatchObject({ state: 'done', repeated: true });
    expect(await story(substrate, id)).toEqual(
      ['add', 'claim', 'progress', 'finish', 'finish', 'verify', 'finish'].map((verb) => `task.${verb} ok`),
    );
    expect(await news(substrate, ann)).toMatchObject([
      { task: id, event: 'claim', by: 'bob', state: 'claimed', title: 'mend the login' },
      { task: id, event: 'finish', by: 'bob' },
    ]);
    expect(await news(substrate, bob)).toMatchObject([{ event: 'verify', by: 'ann', state: 'done', note: 'good' }]);
    const [task] = await substrate.read((db) => listOfSubsystem(db, 'website', { now: seed.sources.time, limit: 10 }));
    const start = seed.sources.time - 2 * (LEASE_MS - 1);
    expect(task).toMatchObject({
      added_at: start,
      claimed_at: start,
      finished_at: seed.sources.time,
      verified_at: seed.sources.time,
      verifier_name: 'ann',
    });
    const events = await substrate.read((db) => lastEvents(db, id, 100));
    expect(events.map(({ event, n }) => `${n} ${event}`)).toEqual(
      ['verify', 'finish', 'progress', 'claim', 'add'].map((event, index) => `${5 - index} ${event}`),
    );
  });

  it('sent back it is free again, and the next attempt has another lease', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const id = await owe(substrate, OWNER, 'x');
    const lease = await doIt(substrate, bob, id);
    expect(await act(substrate, ann, id, 'reject', { note: 'not yet' })).toMatchObject({ state: 'open' });
    expect(await codeOf(act(substrate, bob, id, 'finish', { lease }))).toBe('conflict');
    expect(await act(substrate, ann, id, 'claim')).toMatchObject({ lease: 2 });
    expect(await act(substrate, ann, id, 'release', { lease: 2 })).toMatchObject({ state: 'open' });
    expect(await act(substrate, OWNER, id, 'cancel')).toMatchObject({ state: 'cancelled' });
    expect(await act(substrate, OWNER, id, 'reopen')).toMatchObject({ state: 'open', lease: 2 });
    expect(await codeOf(act(substrate, ann, id, 'cancel'))).toBe('forbidden');
    // Both are told only of what others did.
    expect(await news(substrate, bob)).toMatchObject([{ event: 'reject', note: 'not yet' }]);
  });
});

describe('who may say that it is done', () => {
  it('not the doer, nor a key under the doer’s, nor whose key the doer’s is under; the refusal is on record', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const [child, sibling] = [await issuedUnder(substrate, bob, 'bob-1'), await issuedUnder(substrate, bob, 'bob-2')];
    const grandchild = await issuedUnder(substrate, child, 'bob-3');
    for (const doer of [bob, child]) {
      const id = await owe(substrate, ann, 'x');
      await doIt(substrate, doer, id);
      for (const no of [bob, child, sibling, grandchild]) {
        expect([no.id, await codeOf(act(substrate, no, id, 'verify'))]).toEqual([no.id, 'forbidden']);
        expect([no.id, await codeOf(act(substrate, no, id, 'reject'))]).toEqual([no.id, 'forbidden']);
      }
      expect((await taskOf(substrate, id)).state).toBe('finished');
      expect((await story(substrate, id)).filter((line) => line === 'task.verify forbidden')).toHaveLength(4);
      // The control: anybody else may.
      expect(await act(substrate, doer === bob ? ann : OWNER, id, 'verify')).toMatchObject({ state: 'done' });
    }
  });

  it('the owner does not verify what the owner did', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const ann = await worker(substrate, 'ann');
    const id = await owe(substrate, ann, 'x');
    await doIt(substrate, OWNER, id);
    expect(await codeOf(act(substrate, OWNER, id, 'verify'))).toBe('forbidden');
    expect(await act(substrate, ann, id, 'verify')).toMatchObject({ state: 'done' });
  });

  it('whose key the doer’s was under still counts when the doer’s key is gone', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const bob = await worker(substrate, 'bob');
    const child = await issuedUnder(substrate, bob, 'bob-1');
    const id = await owe(substrate, OWNER, 'x');
    await doIt(substrate, child, id);
    await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, child.grant ?? ''));
    expect(await codeOf(act(substrate, bob, id, 'verify'))).toBe('forbidden');
  });
});

describe('one holder', () => {
  it('of many who claim at once exactly one wins', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const people = await Promise.all(Array.from({ length: 8 }, (_, nr) => worker(substrate, `agent-${nr}`)));
    for (let round = 0; round < 20; round++) {
      const id = await owe(substrate, OWNER, `${round}`);
      const codes = await Promise.all(people.map((each) => codeOf(act(substrate, each, id, 'claim'))));
      expect(codes.filter((code) => code === 'none')).toHaveLength(1);
      expect(codes.filter((code) => code === 'conflict')).toHaveLength(people.length - 1);
      expect((await story(substrate, id)).filter((line) => line === 'task.claim ok')).toHaveLength(1);
    }
  });

  it('a lapsed lease frees it: at once for whoever claims, and whoever had it is fenced off', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const id = await owe(substrate, OWNER, 'x');
    await act(substrate, ann, id, 'claim');
    sources.time += LEASE_MS - 1;
    expect(await codeOf(act(substrate, bob, id, 'claim'))).toBe('conflict');
    sources.time += 1;
    expect((await taskOf(substrate, id)).state).toBe('open');
    for (const verb of ['progress', 'finish', 'release'] as const) {
      expect([verb, await codeOf(act(substrate, ann, id, verb, { lease: 1 }))]).toEqual([verb, 'conflict']);
    }
    expect(await act(substrate, bob, id, 'claim')).toMatchObject({ lease: 2 });
    expect(await codeOf(act(substrate, ann, id, 'finish', { lease: 1 }))).toBe('forbidden');
    // The same agent under an old lease is fenced off as well.
    await act(substrate, bob, id, 'release', { lease: 2 });
    await act(substrate, ann, id, 'claim');
    expect(await codeOf(act(substrate, ann, id, 'finish', { lease: 1 }))).toBe('conflict');
    expect(await codeOf(act(substrate, ann, id, 'finish'))).toBe('invalid_input');
    expect(await act(substrate, ann, id, 'finish', { lease: 3 })).toMatchObject({ state: 'finished' });
    expect(await codeOf(act(substrate, bob, id, 'verify', { lease: 2 }))).toBe('conflict');
    expect(await act(substrate, bob, id, 'verify', { lease: 3 })).toMatchObject({ state: 'done' });
  });

  it('a claim is over with the grant that holds it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const id = await owe(substrate, ann, 'x');
    await act(substrate, bob, id, 'claim');
    await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, bob.grant ?? ''));
    expect((await taskOf(substrate, id)).state).toBe('open');
    expect(await act(substrate, ann, id, 'claim')).toMatchObject({ lease: 2 });
  });

  it('lapses are put on record once, and told', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const [late, held] = [await owe(substrate, ann, 'late'), await owe(substrate, ann, 'held')];
    await act(substrate, bob, late, 'claim');
    sources.time += LEASE_MS;
    await act(substrate, bob, held, 'claim');
    expect(await freeLapsed(substrate)).toBe(1);
    expect(await freeLapsed(substrate)).toBe(0);
    expect(await story(substrate, late)).toEqual(['task.add ok', 'task.claim ok', 'task.lapse ok']);
    expect(await taskOf(substrate, late)).toMatchObject({ state: 'open', holder: null, lapsed: 0 });
    expect((await taskOf(substrate, held)).state).toBe('claimed');
    expect(await news(substrate, bob)).toMatchObject([{ task: late, event: 'lapse', state: 'open' }]);
  });
});

describe('what it needs', () => {
  it('must be done before it is claimed; then those who wait are told', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const first = await owe(substrate, OWNER, 'first');
    const second = await owe(substrate, ann, 'second', { needs: [first] });
    expect(await codeOf(act(substrate, ann, second, 'claim'))).toBe('conflict');
    const claimable = () =>
      substrate.read((db) => listTasks(db, { state: 'claimable' }, { now: seed.sources.time, limit: 10 }));
    expect((await claimable()).map(({ id }) => id)).toEqual([first]);
    await doIt(substrate, bob, first);
    expect(await codeOf(act(substrate, ann, second, 'claim'))).toBe('conflict');
    await act(substrate, OWNER, first, 'verify');
    expect(await news(substrate, ann)).toMatchObject([{ task: first, event: 'verify', state: 'done' }]);
    expect((await claimable()).map(({ id }) => id)).toEqual([second]);
    expect(await act(substrate, bob, second, 'claim')).toMatchObject({ state: 'claimed' });
  });

  it('never goes round in a circle', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const ann = await worker(substrate, 'ann');
    const a = await owe(substrate, ann, 'a');
    const b = await owe(substrate, ann, 'b', { needs: [a] });
    const c = await owe(substrate, ann, 'c', { needs: [b] });
    for (const [id, needs] of [
      [a, [a]],
      [a, [b]],
      [a, [c]],
      [b, [a, c]],
    ] as const) {
      expect([id, needs, await codeOf(act(substrate, ann, id, 'amend', { needs }))]).toEqual([id, needs, 'conflict']);
    }
    expect(await codeOf(owe(substrate, ann, 'd', { needs: ['t999999'] }))).toBe('not_found');
    // The control: what goes round no circle is taken, and what was refused left nothing.
    await act(substrate, ann, c, 'amend', { needs: [a], priority: 1 });
    await act(substrate, ann, b, 'amend', { needs: [c] });
    expect(await codeOf(act(substrate, ann, a, 'amend', { needs: [b] }))).toBe('conflict');
    expect((await taskOf(substrate, c)).priority).toBe(1);
  });
});

describe('a stated check', () => {
  it('is passed by what is on record since, of the actor that it names', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob, ci] = [
      await worker(substrate, 'ann'),
      await worker(substrate, 'bob'),
      await worker(substrate, 'ci'),
    ];
    await record(substrate, ci, 'tests.passed', 'claimed');
    const id = await owe(substrate, ann, 'x', { check: { receipt: 'tests.passed', by: 'ci', claimed: true } });
    await act(substrate, bob, id, 'claim');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({
      state: 'finished',
      checkHolds: false,
    });
    for (const [actor, outcome] of [
      [bob, 'claimed'],
      [ann, 'claimed'],
      [ci, 'ok'],
    ] as const) {
      await record(substrate, actor, 'tests.passed', outcome);
      expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({
        state: 'finished',
        repeated: true,
      });
    }
    await record(substrate, ci, 'tests.passed', 'claimed');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ state: 'done', checkHolds: true });
    expect(await taskOf(substrate, id)).toMatchObject({ verifier_name: 'check', holder_name: 'bob' });
  });

  it('is not passed by what the doer claims, nor by a key of the doer’s, in force or gone', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const child = await issuedUnder(substrate, bob, 'bob-1');
    const id = await owe(substrate, ann, 'x', { check: { receipt: 'tests.passed', claimed: true } });
    await act(substrate, bob, id, 'claim');
    await record(substrate, bob, 'tests.passed', 'claimed');
    await record(substrate, child, 'tests.passed', 'claimed');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({
      state: 'finished',
      checkHolds: false,
    });
    await substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) => deleteGrantFamily(op, child.grant ?? ''));
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({
      state: 'finished',
      checkHolds: false,
    });
    // The control: somebody else’s word passes it.
    await record(substrate, ann, 'tests.passed', 'claimed');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ state: 'done' });
  });

  it('that the doer stated is not passed by the doer’s own acts; what the seed itself did for a doer passes another’s', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    for (const [adder, expected] of [
      [bob, 'finished'],
      [ann, 'done'],
    ] as const) {
      const id = await owe(substrate, adder, 'x', { check: { receipt: 'bus.send' } });
      await act(substrate, bob, id, 'claim');
      await say(substrate, bob, 'ann', 'hello');
      expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ state: expected });
    }
  });

  it('on a file looks whether it is there, and no further', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const helper = await worker(substrate, 'helper', { kind: 'helper' });
    const file = dir.at('report.txt');
    expect(await codeOf(owe(substrate, helper, 'x', { check: { file } }))).toBe('forbidden');
    const id = await owe(substrate, ann, 'x', { check: { file } });
    await act(substrate, bob, id, 'claim');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({
      state: 'finished',
      checkHolds: false,
    });
    writeFileSync(file, '');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ checkHolds: false });
    writeFileSync(file, 'x');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ state: 'done', checkHolds: true });
    expect(await codeOf(owe(substrate, ann, 'x', { check: { file } }))).toBe('invalid_input');
    // Whoever states such a check does not pass it as well.
    const own = await owe(substrate, bob, 'x', { check: { file: dir.at('own.txt') } });
    await act(substrate, bob, own, 'claim');
    writeFileSync(dir.at('own.txt'), 'x');
    expect(await act(substrate, bob, own, 'finish', { lease: 1 })).toMatchObject({ state: 'finished' });
    expect(await codeOf(owe(substrate, ann, 'x', { check: { receipt: 'task.claim' } }))).toBe('invalid_input');
  });
});

describe('limits', () => {
  it('live tasks of one principal, and what happens to one task', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    await Promise.all(Array.from({ length: LIVE_TASKS_OF_ONE_MAX }, (_, nr) => owe(substrate, ann, `${nr}`)));
    expect(await codeOf(owe(substrate, ann, 'x'))).toBe('too_many');
    const id = await owe(substrate, bob, 'x');
    await act(substrate, bob, id, 'claim');
    for (let n = 2; n < EVENTS_MAX; n++) await act(substrate, bob, id, 'progress', { lease: 1 });
    expect(await codeOf(act(substrate, bob, id, 'progress', { lease: 1 }))).toBe('too_many');
    expect(await act(substrate, bob, id, 'finish', { lease: 1 })).toMatchObject({ state: 'finished' });
    expect(await substrate.read((db) => countTasks(db, { state: 'live' }, seed.sources.time))).toBe(
      LIVE_TASKS_OF_ONE_MAX + 1,
    );
  });

  it('a full inbox holds up no work', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const id = await owe(substrate, ann, 'x');
    for (let n = 0; n < 500; n++) {
      const { lease } = await act(substrate, bob, id, 'claim');
      // Each of the two leaves a message for ann, until there is no room.
      if (n < 260) await act(substrate, bob, id, 'release', { lease });
      else break;
    }
    expect((await taskOf(substrate, id)).state).toBe('claimed');
    const waiting = await substrate.read((db) =>
      db.get<{ count: number }>("SELECT count(*) AS count FROM substrate_messages WHERE sender = 'seed'"),
    );
    expect(waiting?.count).toBe(500);
  });
});

describe('lists', () => {
  it('come by urgency, page without gap or repetition, and take their filters', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const [ann, bob] = [await worker(substrate, 'ann'), await worker(substrate, 'bob')];
    const now = sources.time;
    const late = await owe(substrate, ann, 'late', { priority: 2, deadline: now - 1, subsystem: 'a' });
    const soon = await owe(substrate, ann, 'soon', { priority: 2, deadline: now + 10, subsystem: 'b' });
    const some = await owe(substrate, bob, 'some', { priority: 2, subsystem: 'a' });
    const first = await owe(substrate, bob, 'first', { priority: 1, subsystem: 'b' });
    const find = async (filter: object, limit = 10, after?: TaskPlace) => {
      const rows = await substrate.read((db) =>
        listTasks(db, { state: 'live', ...filter }, { now, limit, after: after ?? null }),
      );
      return rows;
    };
    type TaskPlace = ReturnType<typeof placeOf>;
    const ids = async (filter: object): Promise<string[]> => (await find(filter)).map(({ id }) => id);
    expect(await ids({})).toEqual([first, late, soon, some]);
    const paged: string[] = [];
    for (let after: TaskPlace | undefined; ; ) {
      const [row] = await find({}, 1, after);
      if (row === undefined) break;
      paged.push(row.id);
      after = placeOf(row);
    }
    expect(paged).toEqual([first, late, soon, some]);
    expect(await ids({ subsystem: 'a' })).toEqual([late, some]);
    expect(await ids({ dueBy: now })).toEqual([late]);
    await act(substrate, bob, soon, 'claim');
    expect(await ids({ mine: bob.grant })).toEqual([first, soon, some]);
    expect(await ids({ state: 'claimed' })).toEqual([soon]);
    await act(substrate, bob, soon, 'finish', { lease: 1 });
    expect(await ids({ state: 'finished', notDoneBy: bob.grant })).toEqual([]);
    expect(await ids({ state: 'finished', notDoneBy: ann.grant })).toEqual([soon]);
    await act(substrate, ann, soon, 'verify');
    await act(substrate, ann, late, 'cancel');
    expect(await ids({ state: 'done' })).toEqual([soon]);
    expect(await ids({ state: 'cancelled' })).toEqual([late]);
    expect(await ids({})).toEqual([first, some]);
  });
});
