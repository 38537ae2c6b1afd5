/** Messages as they wait, are given out, settled, held back, expire, die and come back. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { post } from '../../../src/substrate/bus/post.ts';
import { followTopic, retry, drop, sweep } from '../../../src/substrate/bus/bus.ts';
import { getDead, listDead } from '../../../src/substrate/bus/dead.ts';
import { listReceived, peek, unread } from '../../../src/substrate/bus/look.ts';
import {
  ANSWER_BYTES_MAX,
  ATTEMPTS_MAX,
  INBOX_MESSAGES_MAX,
  KEPT_MS,
  LIFE_MS_MAX,
  RECIPIENTS_MAX,
  SENDER_MESSAGES_MAX,
} from '../../../src/substrate/bus/model.ts';
import { listPeers } from '../../../src/substrate/bus/peers.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { SEED } from '../../../src/substrate/actor.ts';
import { deleteGrantFamily, renameGrant } from '../../../src/substrate/identity/grants.ts';
import { eraseContent } from '../../../src/substrate/content.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { TestSeed } from '../../support/home.ts';
import { allReceipts, codeOf, DRIVERS, openSeed, verifyExport } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { ack, get, letIn, nack, OWNER, say, texts } from './rig.ts';

describe.each(DRIVERS)('the bus on %s', (driver) => {
  let room: Scratch;
  let seed: TestSeed;
  let bus: Substrate;
  let ann: Actor;
  let bob: Actor;

  beforeEach(async () => {
    room = scratch();
    seed = await openSeed(room, { driver });
    bus = seed.substrate;
    ann = await letIn(bus, 'ann');
    bob = await letIn(bus, 'bob');
  });

  afterEach(async () => {
    await seed[Symbol.asyncDispose]();
    room[Symbol.dispose]();
  });

  const later = (ms: number): void => {
    seed.sources.time += ms;
  };

  describe('sending', () => {
    it('reaches its recipients and nobody else, counted for each of them', async () => {
      const { to, thread, receipt } = await say(bus, ann, ['bob', 'owner'], 'hello');
      expect(to).toEqual([
        { name: 'bob', seq: 1 },
        { name: 'owner', seq: 1 },
      ]);
      await say(bus, ann, 'bob', 'again');
      expect(await get(bus, bob)).toMatchObject([
        { seq: 1, lease: 1, thread, text: 'hello' },
        { seq: 2, lease: 1, text: 'again' },
      ]);
      expect(await texts(bus, OWNER)).toEqual(['hello']);
      expect(await texts(bus, ann)).toEqual([]);
      const told = (await allReceipts(bus))[receipt];
      expect(told).toMatchObject({
        action: 'bus.send',
        actor: { id: 'ann' },
        outcome: 'ok',
        subject: { type: 'thread', id: thread },
        detail: { to: ['bob', 'owner'] },
      });
      expect(JSON.stringify(told)).not.toContain('hello');
    });

    it('[LOCK-RECEIPT-2] to several is all or nothing', async () => {
      expect(await codeOf(say(bus, ann, ['bob', 'nobody'], 'x'))).toBe('not_found');
      expect(await texts(bus, bob)).toEqual([]);
      // The control: without the one that there is not, it arrives.
      await say(bus, ann, ['bob'], 'x');
      expect(await texts(bus, bob)).toEqual(['x']);
    });

    it('names whom there is not, whose key has expired, and how many are too many', async () => {
      await letIn(bus, 'gone', { kind: 'helper', expiresAt: seed.sources.time + 1_000 });
      await say(bus, ann, 'gone', 'in time');
      later(1_001);
      await expect(say(bus, ann, 'gone', 'late')).rejects.toMatchObject({
        code: 'not_found',
        data: { recipient: 'gone', argument: 'to' },
      });
      const crowd = Array.from({ length: RECIPIENTS_MAX + 1 }, (_, index) => `agent-${index}`);
      for (const name of crowd) await letIn(bus, name);
      expect(await codeOf(say(bus, ann, crowd, 'x'))).toBe('too_large');
      expect((await say(bus, ann, crowd.slice(1), 'x')).to).toHaveLength(RECIPIENTS_MAX);
    });

    it('names somebody once, however often the message does', async () => {
      expect((await say(bus, ann, ['bob', 'bob'], 'x')).to).toHaveLength(1);
    });

    it('an operation sends along with what else it does, or not at all', async () => {
      const draft = { to: ['bob'], format: 'text', body: Buffer.from('done') } as const;
      const failing = bus.operate({ action: 'task.update', actor: SEED }, async (op) => {
        await post(op, SEED, draft, seed.sources);
        throw new Error('no');
      });
      expect(await codeOf(failing)).toBe('internal');
      expect(await texts(bus, bob)).toEqual([]);
      await bus.operate({ action: 'task.update', actor: SEED }, (op) => post(op, SEED, draft, seed.sources));
      expect(await texts(bus, bob)).toEqual(['done']);
    });
  });

  describe('an idempotency key', () => {
    it('makes the same message one message, without a second receipt', async () => {
      const first = await say(bus, ann, 'bob', 'pay', { key: 'k' });
      const { size } = await bus.log();
      const second = await say(bus, ann, 'bob', 'pay', { key: 'k' });
      expect(second).toMatchObject({ ...first, repeated: true, holders: [] });
      expect((await bus.log()).size).toBe(size);
      expect(await texts(bus, bob)).toEqual(['pay']);
      // The control: without the key it comes twice.
      await say(bus, ann, 'bob', 'pay');
      expect(await texts(bus, bob)).toEqual(['pay']);
    });

    it('is a conflict for another body, recipient, thread or life, and another sender’s own affair', async () => {
      const { receipt } = await say(bus, ann, 'bob', 'pay', { key: 'k' });
      for (const again of [
        say(bus, ann, 'bob', 'pay more', { key: 'k' }),
        say(bus, ann, ['bob', 'owner'], 'pay', { key: 'k' }),
        say(bus, ann, 'bob', 'pay', { key: 'k', thread: 't' }),
        say(bus, ann, 'bob', 'pay', { key: 'k', lifeMs: 1_000 }),
        say(bus, ann, 'bob', 'pay', { key: 'k', format: 'json' }),
      ]) {
        await expect(again).rejects.toMatchObject({
          code: 'conflict',
          data: { argument: 'idempotency_key', sent: receipt },
        });
      }
      expect((await say(bus, bob, 'ann', 'pay', { key: 'k' })).repeated).toBe(false);
      expect(await texts(bus, bob)).toEqual(['pay']);
    });

    it('asked for twice at the same moment is one message', async () => {
      const both = await Promise.all([1, 2, 3].map(() => say(bus, ann, 'bob', 'pay', { key: 'k' })));
      expect(both.filter(({ repeated }) => repeated)).toHaveLength(2);
      expect(new Set(both.map(({ receipt }) => receipt)).size).toBe(1);
      expect(await texts(bus, bob)).toEqual(['pay']);
    });

    it('of a message whose content was erased says so, and keeps nothing to guess it by', async () => {
      const { receipt } = await say(bus, ann, 'bob', 'pay', { key: 'k' });
      const hash = (await allReceipts(bus))[receipt]?.input ?? '';
      await bus.operate({ action: 'receipt.erase', actor: OWNER }, (op) => eraseContent(op, [hash]));
      expect(await codeOf(say(bus, ann, 'bob', 'pay', { key: 'k' }))).toBe('content_erased');
      expect(await get(bus, bob)).toMatchObject([{ text: '' }]);
    });
  });

  describe('a lease', () => {
    it('keeps a message from everybody else until it lapses; then it comes again', async () => {
      await say(bus, ann, 'bob', 'x');
      expect(await get(bus, bob, { leaseMs: 1_000 })).toMatchObject([{ lease: 1 }]);
      later(999);
      expect(await get(bus, bob)).toEqual([]);
      later(1);
      expect(await get(bus, bob)).toMatchObject([{ seq: 1, lease: 2, text: 'x' }]);
    });

    it('acknowledged is over, twice as well as once', async () => {
      await say(bus, ann, 'bob', 'x');
      const got = await get(bus, bob);
      expect(await ack(bus, bob, got)).toEqual(['acked']);
      expect(await ack(bus, bob, got)).toEqual(['already']);
      later(3_600_000);
      expect(await get(bus, bob)).toEqual([]);
    });

    it('that lapsed may still be acknowledged, until the message is given out again', async () => {
      await say(bus, ann, 'bob', 'one', { thread: 'a' });
      await say(bus, ann, 'bob', 'two', { thread: 'b' });
      const first = await get(bus, bob, { leaseMs: 1_000, limit: 1 });
      later(5_000);
      expect(await ack(bus, bob, first)).toEqual(['acked']);
      const slow = await get(bus, bob, { leaseMs: 1_000 });
      later(5_000);
      const quick = await get(bus, bob);
      expect(quick).toMatchObject([{ text: 'two', lease: 2 }]);
      expect(await ack(bus, bob, slow)).toEqual(['late']);
      expect(await nack(bus, bob, slow)).toEqual(['late']);
      // The newer one is untouched by that.
      expect(await get(bus, bob)).toEqual([]);
      expect(await ack(bus, bob, quick)).toEqual(['acked']);
      expect(await ack(bus, bob, slow)).toEqual(['already']);
    });

    it('is of one’s own inbox: what another was given cannot be settled', async () => {
      await say(bus, ann, 'bob', 'for bob');
      const got = await get(bus, bob);
      expect(await ack(bus, ann, got)).toEqual(['unknown']);
      expect(await ack(bus, bob, [{ seq: 1, lease: 2 }])).toEqual(['unknown']);
      expect(await ack(bus, bob, got)).toEqual(['acked']);
    });

    it('is not given to a grant that was removed in between', async () => {
      await say(bus, ann, 'bob', 'x');
      await bus.operate({ action: 'key.revoke', actor: OWNER }, async (op) => {
        await deleteGrantFamily(op, bob.grant ?? '');
      });
      expect(await codeOf(get(bus, bob))).toBe('key_revoked');
    });
  });

  describe('a thread', () => {
    it('comes in order: what is behind a message on a lease waits, other threads go on', async () => {
      for (const [thread, text] of [
        ['a', 'a1'],
        ['a', 'a2'],
        ['b', 'b1'],
        ['a', 'a3'],
      ] as const) {
        await say(bus, ann, 'bob', text, { thread });
      }
      const first = await get(bus, bob, { limit: 1 });
      expect(first).toMatchObject([{ text: 'a1' }]);
      expect(await texts(bus, bob)).toEqual(['b1']);
      expect(await ack(bus, bob, first)).toEqual(['acked']);
      expect(await texts(bus, bob)).toEqual(['a2', 'a3']);
    });

    it('is acknowledged in order', async () => {
      await say(bus, ann, 'bob', 'a1', { thread: 'a' });
      await say(bus, ann, 'bob', 'a2', { thread: 'a' });
      const [one, two] = await get(bus, bob);
      expect(await ack(bus, bob, [two!])).toEqual(['out_of_turn']);
      // Together, in whatever order they are named.
      expect(await ack(bus, bob, [two!, one!])).toEqual(['acked', 'acked']);
    });

    it('handed back comes back whole and in order', async () => {
      for (const text of ['a1', 'a2', 'a3']) await say(bus, ann, 'bob', text, { thread: 'a' });
      await say(bus, ann, 'bob', 'b1', { thread: 'b' });
      const [a1, a2, , b1] = await get(bus, bob);
      expect(await nack(bus, bob, [a1!], { delayMs: 5_000 })).toEqual(['returned']);
      expect(await ack(bus, bob, [a2!])).toEqual(['late']);
      expect(await get(bus, bob)).toEqual([]);
      later(5_000);
      expect(await texts(bus, bob)).toEqual(['a1', 'a2', 'a3']);
      expect(await ack(bus, bob, [b1!])).toEqual(['acked']);
    });

    it('without a name is a thread of its own', async () => {
      await say(bus, ann, 'bob', 'one');
      await say(bus, ann, 'bob', 'two');
      expect(await texts(bus, bob, { limit: 1 })).toEqual(['one']);
      expect(await texts(bus, bob, { limit: 1 })).toEqual(['two']);
    });
  });

  describe('a poison message', () => {
    it('goes to the dead letters with the reason, its thread goes on, and it comes back when it is put back', async () => {
      await say(bus, ann, 'bob', 'poison', { thread: 'a' });
      await say(bus, ann, 'bob', 'next', { thread: 'a' });
      for (let attempt = 1; attempt < ATTEMPTS_MAX; attempt++) {
        const [got] = await get(bus, bob, { limit: 1 });
        expect(await nack(bus, bob, [got!])).toEqual(['returned']);
      }
      const [last] = await get(bus, bob, { limit: 1 });
      expect(await nack(bus, bob, [last!], { reason: 'cannot parse it' })).toEqual(['dead']);
      expect((await allReceipts(bus)).at(-1)).toMatchObject({ action: 'bus.ack', detail: { dead: [1], acked: [] } });
      const next = await get(bus, bob);
      expect(next).toMatchObject([{ text: 'next' }]);
      const [letter] = await bus.read((db) => listDead(db, { limit: 10 }));
      expect(letter).toMatchObject({ recipient: 'bob', sender_name: 'ann', seq: 1, lease: ATTEMPTS_MAX });
      expect(letter?.reason).toContain('cannot parse it');

      const { value: name } = await retry(bus, OWNER, letter!);
      expect(name).toBe('bob');
      expect(await bus.read((db) => listDead(db, { limit: 10 }))).toEqual([]);
      // Before what comes later in its thread: that is on a lease, and in nobody's way.
      expect(await get(bus, bob)).toMatchObject([{ seq: 1, text: 'poison', lease: ATTEMPTS_MAX + 1 }]);
      expect(await ack(bus, bob, next)).toEqual(['out_of_turn']);
    });

    it('whose receivers die is buried when somebody looks, on record', async () => {
      await say(bus, ann, 'bob', 'deadly');
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        expect(await get(bus, bob, { leaseMs: 1_000 })).toMatchObject([{ lease: attempt }]);
        later(1_000);
      }
      expect(await get(bus, bob)).toEqual([]);
      expect((await allReceipts(bus)).at(-1)).toMatchObject({
        action: 'bus.bury',
        actor: { id: 'seed' },
        detail: { messages: [1] },
      });
      const letter = await bus.read((db) => getDead(db, { inbox: 1, seq: 1 }));
      expect(letter.reason).toContain('not acknowledged in time');
      await drop(bus, OWNER, letter);
      expect(await codeOf(retry(bus, OWNER, letter))).toBe('not_found');
      const history = await bus.read((db) => listReceived(db, bob.grant!, { limit: 5, before: null }));
      expect(history).toMatchObject([{ seq: 1, state: 'dropped', from: 'ann' }]);
    });

    it('acknowledged at the last moment is not buried', async () => {
      await say(bus, ann, 'bob', 'slow');
      let got = await get(bus, bob, { leaseMs: 1_000 });
      for (let attempt = 2; attempt <= ATTEMPTS_MAX; attempt++) {
        later(1_000);
        got = await get(bus, bob, { leaseMs: 1_000 });
      }
      later(10_000);
      expect(await ack(bus, bob, got)).toEqual(['acked']);
      await sweep(bus);
      expect(await bus.read((db) => listDead(db, { limit: 10 }))).toEqual([]);
    });
  });

  describe('an inbox', () => {
    const fill = (from: Actor, to: string, count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, (_, index) => say(bus, from, to, `${index}`, { lifeMs: 60_000 })));

    it('that is full pushes back on the sender, naming whose it is and how full; nobody gets anything', async () => {
      const carl = await letIn(bus, 'carl');
      const full = INBOX_MESSAGES_MAX - SENDER_MESSAGES_MAX;
      await fill(ann, 'bob', SENDER_MESSAGES_MAX);
      await expect(say(bus, ann, 'bob', 'one more')).rejects.toMatchObject({
        code: 'inbox_full',
        data: { recipient: 'bob', waiting: SENDER_MESSAGES_MAX },
      });
      await fill(carl, 'bob', full);
      await expect(say(bus, OWNER, ['carl', 'bob'], 'one more')).rejects.toMatchObject({
        code: 'inbox_full',
        message: expect.stringContaining(`bob is full (${INBOX_MESSAGES_MAX} messages wait)`) as unknown,
        data: { recipient: 'bob', waiting: INBOX_MESSAGES_MAX },
      });
      expect(await texts(bus, carl)).toEqual([]);
      // A slow receiver takes some: there is room for just that many.
      const got = await get(bus, bob, { limit: 3 });
      expect(await codeOf(say(bus, OWNER, 'bob', 'x'))).toBe('inbox_full');
      await ack(bus, bob, got);
      for (const text of ['x', 'y', 'z']) await say(bus, OWNER, 'bob', text);
      expect(await codeOf(say(bus, OWNER, 'bob', 'x'))).toBe('inbox_full');
      // What has expired takes no room, whether or not anybody has looked.
      later(60_000);
      expect((await say(bus, OWNER, 'bob', 'there is room')).to).toMatchObject([{ name: 'bob' }]);
      expect(await texts(bus, bob)).toEqual(['x', 'y', 'z', 'there is room']);
    });

    it('stays when its holder is renamed, and the name it had is somebody else’s', async () => {
      await say(bus, ann, 'bob', 'before');
      await bus.operate({ action: 'agent.rename', actor: OWNER }, (op) => renameGrant(op, bob.grant ?? '', 'robert'));
      const impostor = await letIn(bus, 'bob');
      await say(bus, ann, 'robert', 'after');
      await say(bus, ann, 'bob', 'for the new one');
      expect(await texts(bus, { ...bob, id: 'robert' })).toEqual(['before', 'after']);
      expect(await texts(bus, impostor)).toEqual(['for the new one']);
    });

    it('of somebody who was removed ends with the dead letters, and is not inherited by name', async () => {
      await say(bus, ann, 'bob', 'too late');
      await bus.operate({ action: 'key.revoke', actor: OWNER }, async (op) => {
        await deleteGrantFamily(op, bob.grant ?? '');
      });
      const next = await letIn(bus, 'bob');
      expect(await texts(bus, next)).toEqual([]);
      await sweep(bus);
      const [letter] = await bus.read((db) => listDead(db, { limit: 10 }));
      expect(letter).toMatchObject({ recipient: null, reason: 'its recipient was removed' });
      expect(await codeOf(retry(bus, OWNER, letter!))).toBe('conflict');
    });

    it('can be looked at without anything being taken', async () => {
      await say(bus, ann, 'bob', 'x');
      await say(bus, OWNER, 'bob', 'y');
      const { grant } = bob;
      const now = seed.sources.time;
      expect(await bus.read((db) => unread(db, grant!, now))).toEqual({ waiting: 2, from: ['ann', 'owner'] });
      expect(await bus.read((db) => peek(db, grant!, { limit: 1, now }))).toMatchObject([{ seq: 1, from: 'ann' }]);
      expect(await bus.read((db) => unread(db, ann.grant!, now))).toEqual({ waiting: 0, from: [] });
      expect(await texts(bus, bob)).toEqual(['x', 'y']);
    });

    it('gives out no more at once than an answer holds, but always one', async () => {
      const big = 'x'.repeat(ANSWER_BYTES_MAX);
      await say(bus, ann, 'bob', big);
      await say(bus, ann, 'bob', 'small');
      expect(await texts(bus, bob)).toEqual([big]);
      expect(await texts(bus, bob)).toEqual(['small']);
    });
  });

  describe('time', () => {
    it('ends a message that nobody took; one in somebody’s hands may be finished', async () => {
      await say(bus, ann, 'bob', 'short', { lifeMs: 1_000 });
      await say(bus, ann, 'bob', 'taken', { lifeMs: 1_000 });
      await say(bus, ann, 'bob', 'long');
      later(500);
      const got = await get(bus, bob, { limit: 2, leaseMs: 10_000 });
      await nack(bus, bob, [got[0]!]);
      later(500);
      expect(await texts(bus, bob)).toEqual(['long']);
      expect(await ack(bus, bob, [got[1]!])).toEqual(['acked']);
      await sweep(bus);
      const history = await bus.read((db) => listReceived(db, bob.grant!, { limit: 5, before: null }));
      expect(history.map(({ seq, state }) => [seq, state])).toEqual([
        [3, 'waiting'],
        [2, 'acked'],
        [1, 'expired'],
      ]);
    });

    it('ends what is kept, keys and history included; the receipts stay and still verify', async () => {
      const { receipt } = await say(bus, ann, 'bob', 'x', { key: 'k' });
      await ack(bus, bob, await get(bus, bob));
      later(KEPT_MS - 1);
      await sweep(bus);
      expect((await say(bus, ann, 'bob', 'x', { key: 'k' })).repeated).toBe(true);
      later(1);
      await sweep(bus);
      expect(await bus.read((db) => listReceived(db, bob.grant!, { limit: 5, before: null }))).toEqual([]);
      expect((await say(bus, ann, 'bob', 'x', { key: 'k' })).repeated).toBe(false);
      expect((await allReceipts(bus))[receipt]).toMatchObject({ action: 'bus.send' });
      const content = await bus.read((db) => db.all<{ erase_at: number }>('SELECT erase_at FROM substrate_content'));
      expect(content[0]?.erase_at).toBeLessThanOrEqual(seed.sources.time + LIFE_MS_MAX + KEPT_MS);
      expect(await verifyExport(bus, { out: room.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
        verdict: 'proven',
      });
    });
  });

  describe('a topic', () => {
    it('reaches whoever follows it, but not its sender; nobody is an error', async () => {
      const carl = await letIn(bus, 'carl');
      expect(await codeOf(say(bus, ann, 'topic:builds', 'x'))).toBe('not_found');
      for (const who of [ann, bob, bob]) await followTopic(bus, who, { topic: 'builds', on: true });
      expect((await say(bus, ann, 'topic:builds', 'green')).to).toEqual([{ name: 'bob', seq: 1 }]);
      expect((await say(bus, carl, ['topic:builds', 'bob'], 'red')).to).toHaveLength(2);
      expect(await texts(bus, bob)).toEqual(['green', 'red']);
      expect(await texts(bus, ann)).toEqual(['red']);
      await followTopic(bus, bob, { topic: 'builds', on: false });
      expect(await codeOf(say(bus, ann, 'topic:builds', 'x'))).toBe('not_found');
    });
  });

  describe('a helper', () => {
    it('writes only to whom its scopes name, compared whole, and follows only such topics', async () => {
      const scopes = ['bus.send', 'bus.receive', 'bus.send:bob', 'bus.send:topic:builds', 'bus.receive:topic:news'];
      const helper = await letIn(bus, 'helper', { kind: 'helper', scopes });
      await letIn(bus, 'bobby');
      await followTopic(bus, bob, { topic: 'builds', on: true });
      const codes: Record<string, string> = {};
      for (const to of ['bob', 'topic:builds', 'bobby', 'bo', 'owner', 'ann', 'topic:news', 'helper']) {
        codes[to] = await codeOf(say(bus, helper, to, 'x'));
      }
      expect(codes).toEqual({
        bob: 'none',
        'topic:builds': 'none',
        bobby: 'forbidden',
        bo: 'forbidden',
        owner: 'forbidden',
        ann: 'forbidden',
        'topic:news': 'forbidden',
        helper: 'forbidden',
      });
      expect(await codeOf(say(bus, helper, ['bob', 'ann'], 'x'))).toBe('forbidden');
      expect(await codeOf(followTopic(bus, helper, { topic: 'news', on: true }))).toBe('none');
      expect(await codeOf(followTopic(bus, helper, { topic: 'builds', on: true }))).toBe('forbidden');
      const { peers, topics } = await bus.read((db) => listPeers(db, helper));
      expect(peers.map(({ name }) => name)).toEqual(['bob']);
      expect(topics).toEqual(['builds']);
      // The control: a local agent with fewer scopes may reach them all.
      const everyone = await bus.read((db) => listPeers(db, ann));
      expect(everyone.peers.map(({ name }) => name)).toEqual(['bob', 'bobby', 'helper', 'owner', 'seed']);
    });

    it('reads on record, quietly, and only when there is something to read', async () => {
      const helper = await letIn(bus, 'helper', { kind: 'helper' });
      const { size } = await bus.log();
      expect(await get(bus, helper)).toEqual([]);
      expect((await bus.log()).size).toBe(size);
      await say(bus, ann, 'helper', 'x');
      let changes = 0;
      bus.onChange(() => changes++);
      expect(await texts(bus, helper)).toEqual(['x']);
      expect(changes).toBe(0);
      expect((await allReceipts(bus)).at(-1)).toMatchObject({
        action: 'bus.receive',
        actor: { id: 'helper', kind: 'helper' },
        detail: { messages: [1] },
      });
      // A local agent's leases are upkeep.
      await say(bus, ann, 'bob', 'y');
      const { size: before } = await bus.log();
      expect(await texts(bus, bob)).toEqual(['y']);
      expect((await bus.log()).size).toBe(before);
    });
  });
});
