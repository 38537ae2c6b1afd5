/** What an evaluation writes: an alarm once, what changed once, and nothing beyond its stage. */
import { describe, expect, it } from 'vitest';
import { label } from '../../../src/mind/coherence/acts.ts';
import { readCoherence } from '../../../src/mind/coherence/state.ts';
import { createCoherence } from '../../../src/mind/organs/coherence.ts';
import { OWNER, SEED } from '../../../src/substrate/actor.ts';
import { governedPauses } from '../../../src/substrate/coherence/alarms.ts';
import { listHistory } from '../../../src/substrate/coherence/history.ts';
import { unregisterProbed } from '../../../src/substrate/coherence/subsystems.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { get, say } from '../../substrate/bus/rig.ts';
import { act, doIt, owe, worker } from '../../substrate/tasks/rig.ts';
import { HOUR_MS } from './random.ts';
import { alarmsOf, complete, hourly, look, probe, put, rows } from './rig.ts';

/** A subsystem whose tasks all miss their deadline. */
async function fail(substrate: Substrate, name: string, time: { time: number }): Promise<void> {
  for (let i = 0; i < 24; i++) {
    await owe(substrate, OWNER, `task ${i}`, { subsystem: name, deadline: substrate.sources.now() + 1_000 + i });
  }
  time.time += HOUR_MS;
}

async function actions(substrate: Substrate): Promise<string[]> {
  return (await allReceipts(substrate)).map(({ action, outcome }) => `${action} ${outcome}`);
}

describe('an evaluation', () => {
  it('flags the one that stopped and not the one beside it, once, with the date', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'stopped', { hoursAgo: hourly(60, 35 * 24) });
    await probe(substrate, 'going', { hoursAgo: hourly(60, 0) });
    expect(await look(substrate)).toMatchObject({
      subsystems: 2,
      changed: ['going', 'stopped'],
      raised: 1,
      cleared: 0,
    });
    const [alarm, ...more] = await alarmsOf(substrate, 'stopped');
    expect(more).toEqual([]);
    expect(alarm).toMatchObject({ kind: 'stall', stage: 'observe', act: null, clearedAt: null, label: null });
    expect(alarm?.reason).toContain('2026-10-17T07:00:00Z, 35 days ago');
    expect(await alarmsOf(substrate, 'going')).toEqual([]);
    const coherence = await readCoherence(substrate);
    expect(coherence.overall).toBe('stalled');
    expect(coherence.subsystems.map(({ subsystem, status }) => [subsystem.name, status])).toEqual([
      ['stopped', 'stalled'],
      ['going', 'healthy'],
    ]);
    // Looking again, and again a minute later, changes nothing at all.
    const before = await rows(substrate, 'own');
    for (const minutes of [0, 1]) {
      seed.sources.time += minutes * 60_000;
      expect(await look(substrate)).toMatchObject({ changed: [], raised: 0 });
    }
    expect(await rows(substrate, 'own')).toBe(before);
  });

  it('clears an alarm when work goes on, and raises another one when it stops again', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 5) });
    await look(substrate);
    seed.sources.time += 1;
    await complete(substrate, 'site', [0]);
    expect(await look(substrate)).toMatchObject({ raised: 0, cleared: 1 });
    seed.sources.time += 13 * HOUR_MS;
    expect(await look(substrate)).toMatchObject({ raised: 1, cleared: 0 });
    const alarms = await alarmsOf(substrate, 'site');
    expect(alarms.map(({ n, clearedAt }) => [n, clearedAt === null])).toEqual([
      [2, true],
      [1, false],
    ]);
    const history = await substrate.read((db) => listHistory(db, 'site', { limit: 10 }));
    expect(history.map(({ status }) => status)).toEqual(['stalled', 'healthy', 'stalled']);
  });

  it('writes no more than a handful on a quiet day, and at most an entry a day where scores move', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'over', { hoursAgo: hourly(200, 0), finished: true });
    await look(substrate);
    const count = async () => (await substrate.read((db) => listHistory(db, 'over', { limit: 1_000 }))).length;
    const first = await count();
    for (let hour = 0; hour < 24; hour++) {
      seed.sources.time += HOUR_MS;
      await look(substrate);
    }
    expect((await count()) - first).toBeLessThanOrEqual(1);
    const quiet = await count();
    for (let hour = 0; hour < 10 * 24; hour += 8) {
      // Now more, now less, so that the scores move with every look.
      seed.sources.time += 8 * HOUR_MS;
      await complete(substrate, 'over', hourly((hour % 7) + 1, 0));
      await look(substrate);
    }
    expect((await count()) - quiet).toBeGreaterThan(5);
    expect((await count()) - quiet).toBeLessThanOrEqual(10);
  });
});

describe('[LOCK-MIND-2] coherence observes before it governs', () => {
  it.each(['observe', 'shadow'] as const)('in %s nothing but its own record is written', async (stage) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await fail(substrate, 'site', seed.sources);
    await probe(substrate, 'stopped', { hoursAgo: hourly(60, 400) });
    for (const name of ['site', 'stopped']) await put(substrate, name, stage);
    const before = await rows(substrate, 'others');
    expect(await look(substrate)).toMatchObject({ raised: 2 });
    expect(await rows(substrate, 'others')).toBe(before);
    expect(await substrate.read(governedPauses)).toEqual([]);
    const acts = [...(await alarmsOf(substrate, 'site')), ...(await alarmsOf(substrate, 'stopped'))];
    expect(acts.map((alarm) => alarm.act)).toEqual(
      stage === 'observe'
        ? [null, null]
        : ['would have told the owner and, governing, paused intake', 'would have told the owner'],
    );
  });

  it.each(['advise', 'govern'] as const)('in %s the owner is told, with a receipt, once', async (stage) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'stopped', { hoursAgo: hourly(60, 400) });
    await put(substrate, 'stopped', stage);
    for (let i = 0; i < 2; i++) await look(substrate);
    expect(await actions(substrate)).toContain('coherence.alarm ok');
    expect((await actions(substrate)).filter((action) => action.startsWith('coherence.'))).toHaveLength(1);
    expect((await allReceipts(substrate)).at(-1)).toMatchObject({
      action: 'coherence.alarm',
      actor: { id: 'seed', kind: 'substrate' },
      subject: { type: 'subsystem', id: 'stopped' },
      detail: { stage, raised: ['stall'], cleared: [], told: 1 },
    });
    const told = await get(substrate, OWNER);
    expect(told).toHaveLength(1);
    expect(told[0]?.thread).toBe('coherence:stopped');
    expect(told[0]?.text).toMatch(
      /^1 alarm of stopped: Nothing was completed since 2026-11-04T15:00:00Z, .* \(told the owner\)$/,
    );
    // A stall is no reason to hold work back.
    expect(await substrate.read(governedPauses)).toEqual([]);
    await complete(substrate, 'stopped', [0]);
    await look(substrate);
    const all = await allReceipts(substrate);
    expect(all.at(-1)).toMatchObject({
      action: 'coherence.clear',
      actor: { id: 'seed' },
      subject: { type: 'subsystem', id: 'stopped' },
      detail: { stage, raised: [], cleared: ['a1'] },
    });
  });

  it('governing, it holds back failing work until the owner has looked, and of that subsystem alone', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await fail(substrate, 'site', seed.sources);
    await fail(substrate, 'other', seed.sources);
    await put(substrate, 'site', 'govern');
    await look(substrate);
    const [pause, ...more] = await substrate.read(governedPauses);
    expect(more).toEqual([]);
    expect(pause).toMatchObject({ subsystem: 'site', since: seed.sources.time });
    expect(pause?.reason).toMatch(/^More of its work fails than is done/);
    await label(substrate, { alarm: 2, label: 'right', actor: OWNER });
    expect(await substrate.read(governedPauses)).toEqual([]);
  });

  it('a stage that changes while it looks counts: nothing is done under the one before', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'stopped', { hoursAgo: hourly(60, 400) });
    // Between what it read and what it writes the owner promotes.
    const maintain: Substrate['maintain'] = async (fn) => {
      await put(substrate, 'stopped', 'advise');
      return substrate.maintain(fn);
    };
    const raced = new Proxy(substrate, {
      get: (target, name) => {
        if (name === 'maintain') return maintain;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
    expect(await look(raced)).toMatchObject({ raised: 0, changed: [] });
    expect(await alarmsOf(substrate, 'stopped')).toEqual([]);
    await look(substrate);
    expect(await alarmsOf(substrate, 'stopped')).toMatchObject([{ stage: 'advise', act: 'told the owner' }]);
  });

  it('a full inbox of the owner costs the message, not the alarm', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'stopped', { hoursAgo: hourly(60, 400) });
    await put(substrate, 'stopped', 'advise');
    await Promise.all(Array.from({ length: 500 }, (_, i) => say(substrate, SEED, 'owner', `${i}`)));
    expect(await codeOf(say(substrate, SEED, 'owner', 'one more'))).toBe('inbox_full');
    expect(await look(substrate)).toMatchObject({ raised: 1 });
    expect(await alarmsOf(substrate, 'stopped')).toHaveLength(1);
  });
});

describe('work in tasks', () => {
  it('is a stall once an item waits for longer than is usual, and none while nothing is owed', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const bob = await worker(substrate, 'bob');
    for (let i = 0; i < 12; i++) {
      const id = await owe(substrate, OWNER, `task ${i}`);
      const lease = await doIt(substrate, bob, id);
      sources.time += HOUR_MS;
      await act(substrate, OWNER, id, 'verify', { lease });
    }
    sources.time += 1_000 * HOUR_MS;
    await look(substrate);
    expect((await readCoherence(substrate)).subsystems[0]).toMatchObject({ status: 'healthy', owed: 0 });
    const waiting = await owe(substrate, OWNER, 'one more');
    const { due } = await look(substrate);
    expect((await readCoherence(substrate)).subsystems[0]).toMatchObject({ status: 'healthy', owed: 1 });
    sources.time = due ?? 0;
    await look(substrate);
    const [site] = (await readCoherence(substrate)).subsystems;
    expect(site).toMatchObject({ status: 'stalled', provisional: true, oldestOwed: [waiting] });
    expect(site?.alarms.map(({ kind }) => kind)).toEqual(['stall']);
  });
});

describe('the organ', () => {
  const run = { because: 'test', signal: new AbortController().signal, alive: () => {} };

  it('looks after each change and when time alone makes one, and not otherwise', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    const organ = createCoherence({ substrate });
    const sight = () => substrate.read((db) => organ.look(db, sources.now()));
    expect(await sight()).toMatchObject({ waiting: 1, held: null });
    expect(await organ.run(run)).toMatchObject({ done: 1, more: false, says: 'site: noted how it is' });
    // Two hours are usual; the silence began now.
    const calm = await sight();
    expect(calm).toEqual({ waiting: 0, nextAt: sources.time + 2 * HOUR_MS + 1, held: null });
    sources.time = calm.nextAt ?? 0;
    expect(await sight()).toMatchObject({ waiting: 1 });
    expect((await organ.run(run)).says).toBe('site: 1 alarm raised');
    expect(await sight()).toMatchObject({ waiting: 0 });
    for (const change of [() => complete(substrate, 'site', [0]), () => owe(substrate, OWNER, 'something')]) {
      await change();
      expect(await sight()).toMatchObject({ waiting: 1 });
      await organ.run(run);
      expect(await sight()).toMatchObject({ waiting: 0 });
    }
    // A clock that is set back does not put it off.
    sources.time -= 7 * 24 * HOUR_MS;
    expect(await sight()).toMatchObject({ waiting: 1 });
  });

  it('has done its piece where nothing changed, too; after a long look it rests', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    const organ = createCoherence({ substrate });
    await organ.run(run);
    expect(await organ.run(run)).toEqual({ done: 1, more: false, says: null });
    const sight = () => substrate.read((db) => organ.look(db, sources.now()));
    const began = sources.time;
    await organ.run({ ...run, alive: () => void (sources.time = began + 200) });
    await complete(substrate, 'site', [0]);
    // Ten times as long as it took, from its beginning; then what is new waits for it.
    expect(await sight()).toEqual({ waiting: 0, nextAt: began + 2_000, held: null });
    sources.time = began + 2_000;
    expect(await sight()).toEqual({ waiting: 1, nextAt: null, held: null });
    // Who waits for it waits for no rest, until it has seen all there is.
    organ.hurry?.();
    await organ.run({ ...run, alive: () => void (sources.time = began + 3_000) });
    await complete(substrate, 'site', [0]);
    expect(await sight()).toMatchObject({ waiting: 1 });
    await organ.run({ ...run, alive: () => void (sources.time = began + 4_000) });
    expect(await sight()).toMatchObject({ waiting: 0 });
    await complete(substrate, 'site', [0]);
    expect(await sight()).toMatchObject({ waiting: 0, nextAt: began + 13_000 });
  });

  it('stopped in the middle, it looks again', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    const organ = createCoherence({ substrate });
    await organ.run({ ...run, signal: AbortSignal.abort() });
    expect(await substrate.read((db) => organ.look(db, sources.now()))).toMatchObject({ waiting: 1 });
  });

  it('tells those who listen when something changed, and not when nothing did', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    let told = 0;
    const stop = substrate.coherence.onChange(() => told++);
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    await look(substrate);
    await look(substrate);
    expect(told).toBe(1);
    stop();
    await complete(substrate, 'site', [0]);
    await substrate.operate({ action: 'probe.remove', actor: OWNER }, (op) => unregisterProbed(op, 'site'));
    await look(substrate);
    expect(told).toBe(1);
  });
});
