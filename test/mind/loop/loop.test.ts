/** The loop: what wakes it, what it does with whom, and what it survives. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SeedError } from '../../../src/errors.ts';
import { switchOrgan } from '../../../src/mind/loop/seat.ts';
import { OWNER, SEED } from '../../../src/substrate/actor.ts';
import { deleteGrantFamily } from '../../../src/substrate/identity/grants.ts';
import { findService } from '../../../src/substrate/identity/service.ts';
import { readCursor } from '../../../src/substrate/mind/log.ts';
import { listOrganRows } from '../../../src/substrate/mind/organs.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { writeSwitch } from '../../../src/substrate/switches.ts';
import { until } from '../../support/child.ts';
import type { TestSeed } from '../../support/home.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import type { LoopRig, LoopRigOptions } from './rig.ts';
import { loopOf, seatOf, testOrgan, work } from './rig.ts';
import type { Seat } from '../../../src/mind/loop/seat.ts';

const MINUTE_MS = 60_000;
const NEVER = new AbortController().signal;

let dir: Scratch;
let seed: TestSeed;
let substrate: Substrate;
let rigs: LoopRig[];

beforeEach(async () => {
  dir = scratch();
  seed = await openSeed(dir);
  ({ substrate } = seed);
  rigs = [];
});

afterEach(async () => {
  for (const rig of rigs) await rig[Symbol.asyncDispose]();
  await seed[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

function loop(seats: readonly Seat[], options: LoopRigOptions = {}): LoopRig {
  const rig = loopOf(seed, seats, options);
  rigs.push(rig);
  return rig;
}

/** Something that happens, on record, as everything that wakes does. */
async function happens(action: string, actor = OWNER): Promise<void> {
  await substrate.operate({ action, actor }, async () => {});
}

async function pause(on: boolean): Promise<void> {
  await substrate.operate({ action: on ? 'mind.pause' : 'mind.resume', actor: OWNER }, (op) =>
    writeSwitch(op, 'mind_paused', on),
  );
}

describe('waking', () => {
  test('[LOCK-MIND-1] a wake is a hint: without work it does nothing, and work without a wake is found', async () => {
    const one = testOrgan('one');
    const { pass, pulse } = loop([seatOf(one)]);
    await pass(0);
    for (let wakes = 0; wakes < 20; wakes++) {
      pulse.wake();
      await pass(10);
    }
    expect(one.looks).toBeGreaterThanOrEqual(20);
    expect(one.runs).toHaveLength(0);
    // Nobody tells it.
    one.sight = work(1);
    await pass(MINUTE_MS);
    expect(one.runs).toHaveLength(1);
    // The control: a wake that was no hint but an order would have run it twenty times.
    expect(one.sight.waiting).toBe(0);
  });

  test('what happens wakes it at once, by what it is; the commonest does not', async () => {
    const one = testOrgan('one');
    const { pass, pulse } = loop([seatOf(one)]);
    await pass(0);
    const { rounds } = pulse.state();
    for (const action of ['route.attempt', 'bus.send', 'receipt.note', 'task.progress']) await happens(action, SEED);
    await pass(1_000);
    expect(pulse.state().rounds).toBe(rounds);
    for (const action of ['task.add', 'key.revoke', 'policy.apply', 'schedule.add']) {
      const before = pulse.state().rounds;
      await happens(action);
      await pass(20);
      expect([action, pulse.state().rounds - before]).toEqual([action, 1]);
    }
    substrate.mail.arrived(['somebody']);
    await pass(20);
    expect(pulse.state().rounds).toBe(rounds + 4);
    substrate.mail.arrived(['seed']);
    await pass(20);
    expect(pulse.state().rounds).toBe(rounds + 5);
  });

  test('wakes that come together make few rounds, and one during a round makes another', async () => {
    const one = testOrgan('one');
    const { pass, pulse } = loop([seatOf(one)]);
    await pass(0);
    const before = pulse.state().rounds;
    for (let wakes = 0; wakes < 10_000; wakes++) pulse.wake();
    await pass(5);
    await pass(1_000);
    expect(pulse.state().rounds - before).toBe(1);
    const { look } = one.organ;
    let isFirst = true;
    Object.assign(one.organ, {
      look: async (...args: Parameters<typeof look>) => {
        if (isFirst) pulse.wake();
        isFirst = false;
        return look(...args);
      },
    });
    pulse.wake();
    await pass(1_000);
    expect(pulse.state().rounds - before).toBe(3);
  });

  test('it rests until the first thing that the clock brings, whichever way the clock jumps', async () => {
    const one = testOrgan('one');
    const { pass } = loop([seatOf(one)]);
    const due = seed.sources.time + 7 * 86_400_000;
    Object.assign(one.organ, {
      look: async (_db: unknown, now: number) => (now < due ? { waiting: 0, nextAt: due, held: null } : one.sight),
    });
    one.sight = work(1);
    await pass(3 * MINUTE_MS);
    expect(one.runs).toHaveLength(0);
    // A week forward: seen within the minute, not when the old timer would have come.
    seed.sources.time += 7 * 86_400_000;
    await pass(MINUTE_MS);
    expect(one.runs).toHaveLength(1);
    seed.sources.time -= 14 * 86_400_000;
    await pass(5 * MINUTE_MS);
    expect(one.runs).toHaveLength(1);
  });

  test('something due in a moment is done in a moment', async () => {
    const one = testOrgan('one');
    const { pass } = loop([seatOf(one)]);
    const due = seed.sources.time + 1_500;
    Object.assign(one.organ, {
      look: async (_db: unknown, now: number) => (now < due ? { waiting: 0, nextAt: due, held: null } : one.sight),
    });
    one.sight = work(1);
    await pass(1_499);
    expect(one.runs).toHaveLength(0);
    await pass(20);
    expect(one.runs).toHaveLength(1);
  });
});

describe('organs', () => {
  test('run beside each other, one run each, again while there is more, and the log says why', async () => {
    const [one, two] = [testOrgan('one'), testOrgan('two')];
    const gate = Promise.withResolvers<void>();
    one.does = async () => {
      await gate.promise;
      one.sight = work(0);
      return { done: 1, more: false, says: 'one thing' };
    };
    one.sight = work(1);
    two.sight = work(3);
    const { pass, pulse, log, settled } = loop([seatOf(one), seatOf(two)]);
    await pass(1_000);
    expect([one.runs.length, two.runs.length]).toEqual([1, 3]);
    expect(pulse.state()).toMatchObject({ state: 'working', running: ['one'] });
    gate.resolve();
    await settled();
    await pass(1_000);
    expect(pulse.state()).toMatchObject({ state: 'resting', running: [] });
    const rows = await log();
    expect(rows.map(({ organ, act, because, done, says }) => [organ, act, because, done, says])).toEqual([
      ['two', 'run', '3 pieces wait', 1, 'one piece'],
      ['two', 'run', '2 pieces wait', 1, 'one piece'],
      ['two', 'run', '1 piece waits', 1, 'one piece'],
      ['one', 'run', '1 piece waits', 1, 'one thing'],
    ]);
  });

  test('one that throws is left alone for twice as long each time, on record; the others go on', async () => {
    const [bad, good] = [testOrgan('bad'), testOrgan('good')];
    bad.sight = work(1);
    bad.does = async () => {
      throw new Error('no good');
    };
    const { pass, defects, log } = loop([seatOf(bad), seatOf(good)]);
    await pass(16_000);
    // At 0, 1, 3, 7 and 15 seconds.
    expect(bad.runs).toHaveLength(5);
    good.sight = work(2);
    await happens('task.add');
    await pass(50);
    expect(good.runs).toHaveLength(2);
    await pass(60 * MINUTE_MS);
    const runs = bad.runs.length;
    expect(runs).toBeLessThan(20);
    const failures = (await allReceipts(substrate)).filter(({ action }) => action === 'mind.organ');
    expect(failures).toHaveLength(runs);
    expect(failures.at(2)).toMatchObject({
      outcome: 'failed',
      code: 'internal',
      actor: { id: 'seed' },
      subject: { type: 'organ', id: 'bad' },
      detail: { failures: 3 },
    });
    expect(defects).toHaveLength(runs);
    expect((await log()).find(({ organ }) => organ === 'bad')).toMatchObject({ says: 'failed (internal): no good' });
    // Once it works it is as if nothing had been.
    bad.does = async () => {
      bad.sight = work(0);
      return { done: 1, more: false, says: null };
    };
    await pass(11 * MINUTE_MS);
    bad.sight = work(1);
    await happens('task.add');
    await pass(50);
    expect(bad.runs).toHaveLength(runs + 2);
  });

  test('one that hangs is stopped after its time and given up; one that gives signs is not', async () => {
    const [dead, slow] = [testOrgan('dead', 10_000), testOrgan('slow', 10_000)];
    dead.sight = work(1);
    slow.sight = work(1);
    dead.does = () => new Promise(() => {});
    const gate = Promise.withResolvers<void>();
    slow.does = async () => {
      await gate.promise;
      slow.sight = work(0);
      return { done: 1, more: false, says: null };
    };
    const { pass, pulse, settled } = loop([seatOf(dead), seatOf(slow)]);
    for (let seconds = 0; seconds < 9; seconds++) {
      await pass(1_000);
      slow.runs[0]?.alive();
    }
    expect(dead.runs[0]?.signal.aborted).toBe(false);
    await pass(1_000);
    expect(dead.runs[0]?.signal.aborted).toBe(true);
    expect(slow.runs[0]?.signal.aborted).toBe(false);
    for (let seconds = 0; seconds < 30; seconds++) {
      await pass(1_000);
      slow.runs[0]?.alive();
    }
    expect(dead.runs).toHaveLength(3);
    expect(slow.runs).toHaveLength(1);
    expect((await allReceipts(substrate)).filter(({ action }) => action === 'mind.organ')[0]).toMatchObject({
      code: 'interrupted',
      subject: { id: 'dead' },
    });
    gate.resolve();
    await settled();
    expect(pulse.state().running).not.toContain('slow');
  });

  test('one that says it has work and comes to nothing does not turn for ever', async () => {
    const idle = testOrgan('idle');
    idle.sight = work(1);
    idle.does = async () => ({ done: 0, more: false, says: null });
    const { pass, pulse } = loop([seatOf(idle)]);
    await pass(5 * MINUTE_MS);
    expect(idle.runs.length).toBeLessThan(12);
    expect(pulse.state().decisions).toMatchObject([
      { rule: 'backing off', because: expect.stringContaining('its run came to nothing, ') as string },
    ]);
    // It is no failure: nothing is on record, and once it has rested it runs at once.
    expect((await allReceipts(substrate)).filter(({ action }) => action === 'mind.organ')).toEqual([]);
  });

  test('one that cannot look blinds no other', async () => {
    const [blind, good] = [testOrgan('blind'), testOrgan('good')];
    Object.assign(blind.organ, {
      look: () => Promise.reject(new SeedError('policy_invalid', 'unreadable', { hint: '' })),
    });
    good.sight = work(1);
    const { pass, pulse } = loop([seatOf(blind), seatOf(good)]);
    await pass(500);
    expect(good.runs).toHaveLength(1);
    await pass(0);
    expect(pulse.state().decisions[0]).toMatchObject({ organ: 'blind', act: 'rest' });
    expect((await allReceipts(substrate)).at(-1)).toMatchObject({ action: 'mind.organ', code: 'policy_invalid' });
  });
});

describe('the owner', () => {
  test('pauses, halts, switches off and on: what runs is stopped, and stays so across a start', async () => {
    const one = testOrgan('one');
    one.sight = work(1);
    one.does = ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ done: 0, more: false, says: null }), { once: true });
      });
    const { pass, log, pulse } = loop([seatOf(one)]);
    await pass(50);
    expect(one.runs).toHaveLength(1);
    await pause(true);
    await pass(50);
    expect(one.runs[0]?.signal.aborted).toBe(true);
    await pass(10 * MINUTE_MS);
    expect(one.runs).toHaveLength(1);
    expect((await log()).find(({ act }) => act === 'run')).toMatchObject({
      says: 'stopped: the owner has paused the mind',
    });
    expect(pulse.state().decisions).toMatchObject([{ rule: 'paused' }]);
    // Another process, later.
    await rigs.pop()?.[Symbol.asyncDispose]();
    const next = loop([seatOf(one)]);
    await next.pass(MINUTE_MS);
    expect(one.runs).toHaveLength(1);
    await pause(false);
    await next.pass(50);
    expect(one.runs).toHaveLength(2);
    const named = { name: 'one', isOn: true, scopes: [], takesWorkOn: false };
    await switchOrgan(substrate, OWNER, { named, isOn: false });
    await next.pass(MINUTE_MS);
    expect(one.runs.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    await switchOrgan(substrate, OWNER, { named, isOn: true });
    await next.pass(50);
    expect(one.runs).toHaveLength(3);
    await substrate.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', true));
    await next.pass(MINUTE_MS);
    expect([one.runs.length, one.runs[2]?.signal.aborted]).toEqual([3, true]);
  });

  test('an organ gets its grant when it first has something to do, and does nothing once that was removed', async () => {
    const one = testOrgan('one');
    const { pass, pulse } = loop([seatOf(one, { scopes: ['task.write'] })]);
    await pass(MINUTE_MS);
    expect(await substrate.read((db) => findService(db, 'one'))).toBeNull();
    one.sight = work(1);
    await pass(MINUTE_MS);
    const actor = await substrate.read((db) => findService(db, 'one'));
    expect(actor).toMatchObject({ id: 'seed-one', kind: 'service', scopes: new Set(['task.write']) });
    expect(one.runs).toHaveLength(1);
    expect((await allReceipts(substrate)).filter(({ action }) => action === 'mind.admit')).toMatchObject([
      { subject: { type: 'organ', id: 'one' }, detail: { on: 1, scopes: ['task.write'] } },
    ]);
    await substrate.operate({ action: 'key.revoke', actor: OWNER }, async (op) => {
      await deleteGrantFamily(op, actor?.grant ?? '');
    });
    one.sight = work(1);
    await pass(5 * MINUTE_MS);
    expect(one.runs).toHaveLength(1);
    expect(pulse.state().decisions).toMatchObject([{ rule: 'orphaned' }]);
    const named = { name: 'one', isOn: true, scopes: ['task.write' as const], takesWorkOn: false };
    await switchOrgan(substrate, OWNER, { named, isOn: true });
    await pass(50);
    expect(one.runs).toHaveLength(2);
    expect(await substrate.read(listOrganRows)).toMatchObject([{ name: 'one', is_on: 1, admitted: 1 }]);
  });

  test('asks for one round: all there is, also while it is paused or in a process where nothing turns', async () => {
    const [one, bad] = [testOrgan('one'), testOrgan('bad')];
    await pause(true);
    one.sight = work(3);
    bad.sight = work(1);
    bad.does = async () => {
      throw new Error('no good');
    };
    const still = loop([seatOf(one), seatOf(bad)], { start: false });
    const ends = await still.pulse.once({ signal: NEVER });
    expect(ends.map(({ organ, done, error }) => [organ, done, error?.code ?? null])).toEqual([
      ['one', 1, null],
      ['bad', 0, 'internal'],
      ['one', 1, null],
      ['one', 1, null],
    ]);
    expect(await still.pulse.once({ signal: NEVER })).toEqual([]);
    expect(still.pulse.state().state).toBe('off');
    // In a daemon whose mind is paused: the pause counts again afterwards.
    const turning = loop([seatOf(one)]);
    await turning.pass(50);
    one.sight = work(2);
    const asked = turning.pulse.once({ signal: NEVER });
    await turning.pass(0);
    expect(await asked).toHaveLength(2);
    one.sight = work(1);
    await turning.pass(5 * MINUTE_MS);
    expect(one.runs).toHaveLength(5);
  });
});

describe('the loop itself', () => {
  test('that stands still is seen from outside and replaced, on record', async () => {
    const one = testOrgan('one');
    const { pass, pulse, defects } = loop([seatOf(one)]);
    await pass(MINUTE_MS);
    const { read } = substrate;
    // A reading that never comes back.
    let isStuck = true;
    Object.assign(substrate, {
      read: (fn: Parameters<typeof read>[0]) => (isStuck ? new Promise(() => {}) : read.call(substrate, fn)),
    });
    one.sight = work(1);
    await pass(90_000);
    expect(pulse.state()).toMatchObject({ restarts: 0 });
    isStuck = false;
    await pass(2 * MINUTE_MS);
    expect(pulse.state()).toMatchObject({ restarts: 1, state: 'resting' });
    expect(one.runs).toHaveLength(1);
    expect(defects).toMatchObject([{ code: 'internal', message: expect.stringContaining('stood still') as string }]);
    expect((await allReceipts(substrate)).find(({ action }) => action === 'mind.restart')).toMatchObject({
      detail: { restarts: 1 },
    });
    // The control: one that turns is left alone.
    await pass(30 * MINUTE_MS);
    expect(pulse.state()).toMatchObject({ restarts: 1 });
  });

  test('that cannot read goes on when it can', async () => {
    const one = testOrgan('one');
    one.sight = work(1);
    const { read } = substrate;
    let isBroken = true;
    Object.assign(substrate, {
      read: (fn: Parameters<typeof read>[0]) =>
        isBroken
          ? Promise.reject(new SeedError('store_corrupt', 'unreadable', { hint: '' }))
          : read.call(substrate, fn),
    });
    const { pass, defects } = loop([seatOf(one)]);
    await pass(20_000);
    expect(defects.length).toBeGreaterThan(2);
    expect(defects.length).toBeLessThan(8);
    isBroken = false;
    await pass(10_000);
    expect(one.runs).toHaveLength(1);
  });

  test('perceives what happened while it was away, from where it had come', async () => {
    const one = testOrgan('one');
    const first = loop([seatOf(one)]);
    await first.pass(2_000);
    await happens('task.add');
    await first.pass(2_000);
    const before = await substrate.read(readCursor);
    expect(before).toBe((await substrate.log()).size);
    await rigs.pop()?.[Symbol.asyncDispose]();
    // Nobody is there; 3,000 things happen that do not matter, and two that do.
    await Promise.all(Array.from({ length: 3_000 }, () => happens('receipt.note')));
    await happens('task.add');
    await happens('key.revoke');
    one.sight = work(1);
    const next = loop([seatOf(one)]);
    await next.pass(2_000);
    expect((await next.log()).at(-1)).toMatchObject({
      because: '1 piece waits; since the last look: 1 × change of a task, 1 × revocation',
    });
    await next.pass(2_000);
    expect(await substrate.read(readCursor)).toBe((await substrate.log()).size);
  });

  test('a storm of 10,000 events is handled in few rounds and bounded rows', async () => {
    const one = testOrgan('one');
    let events = 0;
    let seen = 0;
    Object.assign(one.organ, { look: async () => work(events - seen) });
    one.does = async () => {
      const all = events - seen;
      seen = events;
      return { done: all, more: false, says: null };
    };
    const { pass, pulse, log } = loop([seatOf(one)]);
    await pass(100);
    const rounds = pulse.state().rounds;
    const heap = process.memoryUsage().heapUsed;
    for (let part = 0; part < 100; part++) {
      events += 100;
      await Promise.all(Array.from({ length: 100 }, () => happens('task.add')));
      await pass(1);
    }
    await until(async () => {
      await pass(20);
      return seen === 10_000;
    }, 'the storm to pass');
    expect(pulse.state().rounds - rounds).toBeLessThan(220);
    expect((await log()).length).toBeLessThan(120);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(100 * 1024 * 1024);
  });
});
