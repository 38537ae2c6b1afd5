/** What coherence keeps: completions from outside, subsystems, history; each bounded. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { OWNER } from '../../../src/substrate/actor.ts';
import { governedPauses, listAlarms } from '../../../src/substrate/coherence/alarms.ts';
import { addCompletions, COMPLETIONS_MAX, listCompletions } from '../../../src/substrate/coherence/completions.ts';
import { addEntry, listHistory, observedSince } from '../../../src/substrate/coherence/history.ts';
import {
  findSubsystem,
  listSubsystems,
  registerProbed,
  SUBSYSTEMS_MAX,
  unregisterProbed,
} from '../../../src/substrate/coherence/subsystems.ts';
import { countCompleted, ITEMS_MAX, readWork, workMark } from '../../../src/substrate/coherence/work.ts';
import type { Looked } from '../../../src/substrate/probes/probes.ts';
import { keepLook, saveProbe } from '../../../src/substrate/probes/probes.ts';
import { ScheduledTask } from '../../../src/substrate/schedules/model.ts';
import { insertSchedule } from '../../../src/substrate/schedules/schedules.ts';
import { homePath } from '../../../src/substrate/home/layout.ts';
import { openConnection } from '../../../src/substrate/store/connection.ts';
import type { Value } from '../../../src/substrate/store/store.ts';
import type { ReadHandle, Substrate } from '../../../src/substrate/substrate.ts';
import { codeOf, DRIVERS, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { watched } from '../../support/watched.ts';
import { pastAlarm, put } from '../../mind/coherence/rig.ts';
import { act, owe } from '../tasks/rig.ts';

const see = (substrate: Substrate, times: readonly number[], subsystem = 'repo'): Promise<number> =>
  substrate.maintain((tx) => addCompletions(tx, { subsystem, source: 'git', times }));

const seen = (substrate: Substrate, until: number, subsystem = 'repo'): Promise<number[]> =>
  substrate.read((db) => listCompletions(db, subsystem, { until, limit: 5_000 }));

describe.each(DRIVERS)('completions from outside, on %s', (driver) => {
  it('are a set: read again they are no more, in whatever order and portions they come', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    let name = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 20 }), { maxLength: 6 }),
        async (portions) => {
          const subsystem = `repo-${name++}`;
          let added = 0;
          for (const times of portions) added += await see(substrate, times, subsystem);
          const all = [...new Set(portions.flat())].toSorted((a, b) => a - b);
          expect(await seen(substrate, 100, subsystem)).toEqual(all);
          expect(added).toBe(all.length);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('are bounded: the newest stay, and what is older than those is not taken', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const many = Array.from({ length: COMPLETIONS_MAX + 500 }, (_, i) => i * 10);
    expect(await see(substrate, many)).toBe(COMPLETIONS_MAX);
    expect((await seen(substrate, 1e6))[0]).toBe(5_000);
    expect(await see(substrate, [4_999, 5_001])).toBe(1);
    const kept = await seen(substrate, 1e6);
    expect([kept.length, kept[0]]).toEqual([COMPLETIONS_MAX, 5_001]);
  });

  it('count once they have come: a clock elsewhere may be ahead', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    await see(seed.substrate, [100, 200]);
    expect(await seen(seed.substrate, 150)).toEqual([100]);
    expect(await seen(seed.substrate, 200)).toEqual([100, 200]);
  });
});

describe('subsystems', () => {
  it('are those of tasks and probes, each once; a probe that goes takes with it what it saw', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await owe(substrate, OWNER, 'a', { subsystem: 'website' });
    await owe(substrate, OWNER, 'b', { subsystem: 'website' });
    const add = (name: string, finished = false) =>
      substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => registerProbed(op, { name, finished }));
    const remove = (name: string) =>
      substrate.operate({ action: 'probe.remove', actor: OWNER }, (op) => unregisterProbed(op, name));
    await add('website');
    await add('repo', true);
    const list = async () =>
      (await substrate.read(listSubsystems)).map(({ name, kind, finished, stage }) => [name, kind, finished, stage]);
    expect(await list()).toEqual([
      ['repo', 'probe', true, 'observe'],
      ['website', 'probe', false, 'observe'],
    ]);
    await put(substrate, 'website', 'shadow');
    await add('website', true);
    await pastAlarm(substrate, 'repo');
    await see(substrate, [1, 2]);
    await remove('repo');
    await remove('website');
    // It still has tasks, so what coherence may do about it stays.
    expect(await list()).toEqual([['website', 'tasks', false, 'shadow']]);
    expect(await seen(substrate, 1e6)).toEqual([]);
    expect(await substrate.read((db) => listAlarms(db, { subsystem: 'repo', limit: 10 }))).toEqual([]);
    expect(await substrate.read((db) => findSubsystem(db, 'repo'))).toBeNull();
  });

  it('are bounded, whatever names are made up: the most recently active', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const names = Array.from({ length: SUBSYSTEMS_MAX + 20 }, (_, i) => `s${i}`);
    await Promise.all(names.map((subsystem) => owe(substrate, OWNER, 'x', { subsystem })));
    const found = await substrate.read(listSubsystems);
    expect(found.map(({ name }) => name)).toEqual(names.slice(20).toSorted());
  });
});

describe('the record of work', () => {
  it('has the newest items, and those that are live however old they are', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const first = await owe(substrate, OWNER, 'the oldest');
    const half = Array.from({ length: ITEMS_MAX / 2 }, (_, i) => `${i}`);
    const given = await Promise.all(half.map((title) => owe(substrate, OWNER, title)));
    await Promise.all(given.map((id) => act(substrate, OWNER, id, 'cancel')));
    const read = () => substrate.read((db) => readWork(db, 'website', sources.now()));
    expect((await read()).items).toHaveLength(1 + half.length);
    // From here on the oldest is not among the newest any more.
    await Promise.all(half.map((title) => owe(substrate, OWNER, title)));
    const { items } = await read();
    expect(items).toHaveLength(1 + ITEMS_MAX);
    expect(items[0]).toMatchObject({ id: first, verifiedAt: null, cancelledAt: null });
    expect(items.filter(({ cancelledAt }) => cancelledAt !== null)).toHaveLength(half.length);
  });

  it('its mark is another one after anything that is measured, and the same after anything else', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const mark = () => substrate.read(workMark);
    const marks = [await mark()];
    const id = await owe(substrate, OWNER, 'x');
    marks.push(await mark());
    await act(substrate, OWNER, id, 'cancel');
    marks.push(await mark());
    await see(substrate, [1]);
    marks.push(await mark());
    await substrate.operate({ action: 'probe.add', actor: OWNER }, (op) =>
      registerProbed(op, { name: 'repo', finished: false }),
    );
    marks.push(await mark());
    const draft = { name: 'repo', kind: 'git', place: '/r', spec: {}, everyMs: 900_000 } as const;
    await substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => saveProbe(op, draft, { finished: false }));
    const added = { name: 'repo', kind: 'git', addedAt: substrate.sources.now() } as const;
    const lookAt = (problem: Looked['problem']) =>
      substrate.maintain((tx) => keepLook(tx, added, { at: 9, times: [], cursor: null, problem }));
    marks.push(await mark());
    await lookAt({ reason: 'gone', says: 'It is gone.' });
    marks.push(await mark());
    expect(new Set(marks).size).toBe(marks.length);
    await lookAt(null);
    expect(await mark()).not.toBe(marks.pop());
    await substrate.operate({ action: 'note.put', actor: OWNER }, async () => {});
    await see(substrate, [1]);
    expect(await mark()).toBe(marks.at(-1));
  });

  it('knows of what a schedule should have added to it, once that is due', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const due = sources.now() + 1_000;
    const task = ScheduledTask.parse({ title: 'look', subsystem: 'website' });
    const draft = { name: 'daily', cron: '0 9 * * *', zone: 'UTC', job: 'task', task, catchUp: 'once' } as const;
    await substrate.operate({ action: 'schedule.add', actor: OWNER }, (op) =>
      insertSchedule(op, draft, { sources, next: { due, zone: 'UTC' } }),
    );
    const since = (name: string, now: number) =>
      substrate.read(async (db) => (await readWork(db, name, now)).scheduledSince);
    expect([await since('website', due - 1), await since('website', due), await since('other', due)]).toEqual([
      null,
      due,
      null,
    ]);
  });

  it('counts what was completed since a moment, inside and outside', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await see(seed.substrate, [10, 20, 30]);
    expect(await seed.substrate.read((db) => countCompleted(db, 'repo', 20))).toBe(2);
  });
});

describe('history', () => {
  it('keeps the newest 400 entries of each subsystem', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const entry = {
      kind: 'day',
      status: 'healthy',
      provisional: false,
      reason: 'It goes.',
      scores: { stall: 0.5 },
    } as const;
    await substrate.maintain(async (tx) => {
      for (let at = 1; at <= 450; at++) await addEntry(tx, 'site', { at, ...entry });
      await addEntry(tx, 'other', { at: 1, ...entry });
    });
    const kept = await substrate.read((db) => listHistory(db, 'site', { limit: 1_000 }));
    expect([kept.length, kept[0]?.at, kept.at(-1)?.at]).toEqual([400, 450, 51]);
    expect(kept[0]?.scores).toEqual({ stall: 0.5 });
    expect(await substrate.read((db) => observedSince(db, 'site'))).toBe(51);
    expect(await substrate.read((db) => observedSince(db, 'other'))).toBe(1);
  });

  it('an alarm of which one is open is not raised a second time', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const twice = substrate.maintain(async (tx) => {
      for (let i = 0; i < 2; i++) {
        await tx.run(
          `INSERT INTO substrate_alarms (subsystem, kind, stage, provisional, since, reason, raised_at)
           VALUES ('site', 'stall', 'observe', 0, 1, 'It was silent.', 1)`,
        );
      }
    });
    expect(await codeOf(twice)).toBe('internal');
  });
});

describe('open alarms', () => {
  it('are found by their own index, however many there were', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const plan = (ask: (db: ReadHandle) => Promise<unknown>): Promise<string> =>
      seed.substrate.read(async (db) => {
        const steps: string[] = [];
        const explain = (sql: string, params: readonly Value[]): void => {
          const store = openConnection('better-sqlite3', homePath(seed.home, 'database'), { readonly: true });
          const found = store.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...params) as { detail: string }[];
          steps.push(...found.map(({ detail }) => detail));
          store.close();
        };
        await ask(watched(db, explain));
        return steps.join('; ');
      });
    const [limit, subsystem] = [10, 'repo'];
    expect(await plan((db) => listAlarms(db, { limit, open: true }))).toContain('substrate_alarms_open');
    expect(await plan((db) => listAlarms(db, { limit, open: true, subsystem }))).toContain(
      'substrate_alarms_open (subsystem=? AND kind=?)',
    );
    expect(await plan((db) => listAlarms(db, { limit, subsystem }))).toContain('substrate_alarms_subsystem');
    const pauses = await plan(governedPauses);
    expect(pauses).toContain('SCAN a USING INDEX substrate_alarms_open');
    // The control: all of them are read as they stand.
    expect(await plan((db) => listAlarms(db, { limit }))).toBe('SCAN substrate_alarms');
  });
});
