/** The clock: each occurrence once, through restarts, downtime and clocks that jump. */
import { describe, expect, test } from 'vitest';
import { createClock } from '../../../src/mind/organs/clock.ts';
import { readCron } from '../../../src/mind/schedule/cron.ts';
import { SEED } from '../../../src/substrate/actor.ts';
import type { Occurrence, ScheduleDraft } from '../../../src/substrate/schedules/model.ts';
import { ATTEMPTS_MAX, KEPT_MAX, WAITING_MAX } from '../../../src/substrate/schedules/model.ts';
import {
  dueOccurrences,
  finishOccurrence,
  listOccurrences,
  startOccurrence,
} from '../../../src/substrate/schedules/occurrences.ts';
import {
  getSchedule,
  insertSchedule,
  listSchedules,
  removeSchedule,
  setNextDue,
} from '../../../src/substrate/schedules/schedules.ts';
import { starterSchedules } from '../../../src/substrate/schedules/starter.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { changeTask } from '../../../src/substrate/tasks/tasks.ts';
import { listTasks } from '../../../src/substrate/tasks/look.ts';
import type { TestSeed } from '../../support/home.ts';
import { allReceipts, codeOf, CURSOR, openAgain, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

const owner = async (): Promise<typeof SEED> => SEED;

/** One look and, where there is something to do, one run, as the loop would. */
async function beat({ substrate, sources }: Pick<TestSeed, 'substrate' | 'sources'>): Promise<string | null> {
  const clock = createClock({ substrate, actor: owner });
  const { waiting } = await substrate.read((db) => clock.look(db, sources.now()));
  if (waiting === 0) return null;
  const run = { because: 'test', signal: new AbortController().signal, alive: () => {} };
  return (await clock.run(run)).says;
}

const NIGHTLY: ScheduleDraft = {
  name: 'nightly',
  cron: '0 3 * * *',
  zone: 'Europe/Berlin',
  job: 'drain',
  task: null,
  catchUp: 'once',
};
const TASK = { title: 'water the plants', text: '', subsystem: 'home', acceptance: [], priority: 3 };

/** A seed with this one schedule, whose next time was reckoned. */
async function openWith(dir: ReturnType<typeof scratch>, draft: Partial<ScheduleDraft>): Promise<TestSeed> {
  const seed = await openSeed(dir);
  await seed.substrate.operate({ action: 'schedule.add', actor: SEED }, async (op) => {
    await removeSchedule(op, 'nightly-drain');
    await insertSchedule(op, { ...NIGHTLY, ...draft }, { sources: seed.sources });
  });
  await beat(seed);
  return seed;
}

async function occurrences(substrate: Substrate, name = 'nightly'): Promise<Occurrence[]> {
  return substrate.read(async (db) => {
    const { id } = await getSchedule(db, name);
    return (await listOccurrences(db, { schedule: id, limit: 1_000 })).toReversed();
  });
}

async function states(substrate: Substrate): Promise<string[]> {
  return (await occurrences(substrate)).map(({ due, state }) => `${new Date(due).toISOString().slice(0, 16)} ${state}`);
}

async function finish(substrate: Substrate): Promise<void> {
  for (const { schedule, due } of await substrate.read((db) => dueOccurrences(db, 'drain'))) {
    await substrate.operate({ action: 'schedule.finish', actor: SEED }, async (op) => {
      const started = await startOccurrence(op, { schedule, due });
      if (started === null) throw new Error('It does not wait.');
      await finishOccurrence(op, started, { attempt: started.attempts, state: 'done', says: 'Done.' });
    });
  }
}

describe('an occurrence', () => {
  test('is made when it is due, once, and the next look says when there is more', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, {});
    const { substrate, sources } = seed;
    const clock = createClock({ substrate, actor: owner });
    const look = (): Promise<unknown> => substrate.read((db) => clock.look(db, sources.now()));
    const due = Date.parse('2026-11-22T02:00Z');
    expect(await look()).toEqual({ waiting: 0, nextAt: due, held: null });
    sources.time = due - 1;
    expect(await beat(seed)).toBeNull();
    sources.time = due;
    expect(await look()).toEqual({ waiting: 1, nextAt: null, held: null });
    expect(await beat(seed)).toBe('nightly was due 2026-11-22T02:00:00Z.');
    expect(await look()).toEqual({ waiting: 0, nextAt: due + DAY_MS, held: null });
    expect(await beat(seed)).toBeNull();
    expect(await states(substrate)).toEqual(['2026-11-22T02:00 due']);
    const [receipt] = (await allReceipts(substrate)).slice(-1);
    expect(receipt).toMatchObject({
      action: 'schedule.due',
      subject: { type: 'schedule', id: 'nightly' },
      detail: { due: '2026-11-22T02:00:00.000Z', next: '2026-11-23T02:00:00.000Z', made: 1, skipped: 0 },
    });
  });

  test('is made once by two clocks that saw the same', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, {});
    seed.sources.time += DAY_MS;
    await Promise.all([beat(seed), beat(seed), beat(seed)]);
    expect(await states(seed.substrate)).toEqual(['2026-11-22T02:00 due']);
  });

  test('is neither lost nor repeated by a restart, before or after it was made', async () => {
    using dir = scratch();
    const first = await openWith(dir, {});
    const { home, sources } = first;
    await first.substrate.close();
    sources.time = Date.parse('2026-11-22T02:00Z');
    const second = await openAgain(home, { sources });
    await beat(second);
    await second.substrate.close();
    await using third = await openAgain(home, { sources });
    expect(await beat(third)).toBeNull();
    expect(await states(third.substrate)).toEqual(['2026-11-22T02:00 due']);
  });

  test('is begun, finished, and given up when it was cut off too often', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, {});
    const { substrate } = seed;
    seed.sources.time += DAY_MS;
    await beat(seed);
    const [waiting] = await substrate.read((db) => dueOccurrences(db, 'drain'));
    if (waiting === undefined) throw new Error('Nothing is due.');
    const start = async (): Promise<Occurrence | null> =>
      (await substrate.operate({ action: 'schedule.start', actor: SEED }, (op) => startOccurrence(op, waiting))).value;
    const end = async (attempt: number): Promise<boolean> =>
      (
        await substrate.operate({ action: 'schedule.finish', actor: SEED }, (op) =>
          finishOccurrence(op, waiting, { attempt, state: 'done', says: 'Done.' }),
        )
      ).value;
    expect(await start()).toMatchObject({ state: 'running', attempts: 1 });
    // Cut off: it waits still, and whoever had it before has it no more.
    expect(await substrate.read((db) => dueOccurrences(db, 'drain'))).toHaveLength(1);
    expect(await start()).toMatchObject({ attempts: 2 });
    expect(await end(1)).toBe(false);
    expect(await start()).toMatchObject({ attempts: ATTEMPTS_MAX });
    expect(await start()).toBeNull();
    expect(await occurrences(substrate)).toMatchObject([{ state: 'failed', says: 'It was cut off 3 times.' }]);
    expect(await end(ATTEMPTS_MAX)).toBe(false);
    expect(await substrate.read((db) => dueOccurrences(db, 'drain'))).toEqual([]);
  });

  test('that nobody took gives way to the next, and few that are over are kept', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, {});
    for (let night = 0; night < 3; night++) {
      seed.sources.time += DAY_MS;
      await beat(seed);
    }
    expect(await states(seed.substrate)).toEqual([
      '2026-11-22T02:00 skipped',
      '2026-11-23T02:00 skipped',
      '2026-11-24T02:00 due',
    ]);
    for (let night = 0; night < KEPT_MAX + 5; night++) {
      seed.sources.time += DAY_MS;
      await beat(seed);
      await finish(seed.substrate);
    }
    // And the one that is over since the last was made.
    expect(await occurrences(seed.substrate)).toHaveLength(KEPT_MAX + 1);
  });
});

describe('downtime over three occurrences', () => {
  test.each([
    ['skip', [], 3],
    ['once', ['2026-11-24T02:00 due'], 2],
    ['all', ['2026-11-22T02:00 due', '2026-11-23T02:00 due', '2026-11-24T02:00 due'], 0],
  ] as const)('%s', async (catchUp, expected, skipped) => {
    using dir = scratch();
    const seed = await openWith(dir, { catchUp });
    await seed.substrate.close();
    seed.sources.time = Date.parse('2026-11-24T09:00Z');
    await using later = await openAgain(seed.home, { sources: seed.sources });
    await beat(later);
    expect(await states(later.substrate)).toEqual(expected);
    const [receipt] = (await allReceipts(later.substrate)).slice(-1);
    expect(receipt?.detail).toMatchObject({ made: expected.length, skipped });
    expect(await beat(later)).toBeNull();
  });

  test('all of them are no more than a hundred, and the words say so', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, { catchUp: 'all', cron: '0 * * * *' });
    seed.sources.time += 200 * HOUR_MS;
    expect(await beat(seed)).toMatch(/; 100 missed, not made up for\.$/);
    expect(await occurrences(seed.substrate)).toHaveLength(WAITING_MAX);
  });
});

describe('a clock that jumps', () => {
  test.each(['skip', 'once', 'all'] as const)('back by a week: nothing is due twice (%s)', async (catchUp) => {
    using dir = scratch();
    await using seed = await openWith(dir, { catchUp });
    for (let night = 0; night < 3; night++) {
      seed.sources.time = Date.parse('2026-11-22T02:00Z') + night * DAY_MS;
      await beat(seed);
      await finish(seed.substrate);
    }
    const before = await states(seed.substrate);
    expect(before).toHaveLength(3);
    seed.sources.time -= 7 * DAY_MS;
    for (let hour = 0; hour < 7 * 24; hour++) {
      seed.sources.time += HOUR_MS;
      await beat(seed);
    }
    expect(await states(seed.substrate)).toEqual(before);
    seed.sources.time += DAY_MS;
    await beat(seed);
    expect((await states(seed.substrate)).slice(3)).toEqual(['2026-11-25T02:00 due']);
  });

  test.each([
    ['skip', 0],
    ['once', 1],
    ['all', 7],
  ] as const)(
    'forward by a week: as after downtime (%s), and back again nothing is repeated',
    async (catchUp, made) => {
      using dir = scratch();
      await using seed = await openWith(dir, { catchUp });
      const start = seed.sources.time;
      seed.sources.time += 7 * DAY_MS;
      await beat(seed);
      const after = await states(seed.substrate);
      expect(after).toHaveLength(made);
      seed.sources.time = start;
      await beat(seed);
      for (let day = 0; day < 7; day++) {
        seed.sources.time += DAY_MS;
        await beat(seed);
      }
      expect(await states(seed.substrate)).toEqual(after);
    },
  );

  test('turned in spring and in autumn, every night has its one', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, { cron: '30 2 * * *' });
    const dues = async (from: string, nights: number): Promise<string[]> => {
      seed.sources.time = Date.parse(from);
      await beat(seed);
      await finish(seed.substrate);
      for (let step = 0; step < nights * 48; step++) {
        seed.sources.time += 30 * MINUTE_MS;
        await beat(seed);
        await finish(seed.substrate);
      }
      const all = await occurrences(seed.substrate);
      return all.filter(({ due }) => due > Date.parse(from)).map(({ due }) => new Date(due).toISOString().slice(5, 16));
    };
    expect(await dues('2027-03-26T12:00Z', 3)).toEqual(['03-27T01:30', '03-28T01:00', '03-29T00:30']);
    expect(await dues('2027-10-29T12:00Z', 3)).toEqual(['10-30T00:30', '10-31T00:30', '11-01T01:30']);
  });
});

describe('the zone of policy', () => {
  test('counts where a schedule has none, from the moment it is changed', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const nextOf = async (): Promise<string> => {
      const [schedule] = await substrate.read(listSchedules);
      return `${new Date(schedule?.next_due ?? 0).toISOString().slice(0, 16)} ${schedule?.next_zone}`;
    };
    expect(await substrate.read(listSchedules)).toMatchObject([{ name: 'nightly-drain', next_due: null }]);
    await beat(seed);
    expect(await nextOf()).toBe('2026-11-22T03:00 UTC');
    await substrate.operate({ action: 'policy.apply', actor: SEED }, async (op) => {
      await op.run("INSERT INTO substrate_policy (id, timezone) VALUES (1, 'America/New_York')");
    });
    await beat(seed);
    expect(await nextOf()).toBe('2026-11-21T08:00 America/New_York');
    expect(await beat(seed)).toBeNull();
    sources.time = Date.parse('2026-11-21T08:00Z');
    expect(await beat(seed)).toBe('nightly-drain was due 2026-11-21T08:00:00Z.');
  });

  test('what a new seed starts with can be read, and is of jobs that there are', async () => {
    const drafts = await starterSchedules();
    expect(drafts.map(({ name, job, catchUp }) => [name, job, catchUp])).toEqual([['nightly-drain', 'drain', 'once']]);
    for (const { cron } of drafts) await readCron(cron);
  });
});

describe('tasks', () => {
  const draft = { job: 'task', task: { ...TASK, deadline_s: 3_600 } } as const;

  test('are added in the owner’s name, with a deadline from the time they were due', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, draft);
    const { substrate, sources } = seed;
    sources.time = Date.parse('2026-11-22T02:00:30Z');
    expect(await beat(seed)).toMatch(/^nightly was due 2026-11-22T02:00:00Z\. nightly: task t\d+ added\.$/);
    const tasks = await substrate.read((db) =>
      listTasks(db, { state: 'live' }, { now: sources.now(), limit: 9, after: null }),
    );
    expect(tasks).toMatchObject([
      { subsystem: 'home', adder: 'owner', adder_principal: 'owner', deadline: Date.parse('2026-11-22T03:00Z') },
    ]);
    const [receipt] = (await allReceipts(substrate)).slice(-1);
    expect(receipt).toMatchObject({ action: 'task.add', actor: { id: 'seed' }, detail: { schedule: 'nightly' } });
    expect(await occurrences(substrate)).toMatchObject([{ state: 'done', result: tasks[0]?.id }]);
  });

  test('are not added again while the one before is not over, and are once it is', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, draft);
    const { substrate, sources } = seed;
    sources.time += DAY_MS;
    await beat(seed);
    sources.time += DAY_MS;
    expect(await beat(seed)).toMatch(/no task was added\. t\d+ of the time before is not over yet\.$/);
    const [first] = await occurrences(substrate);
    await changeTask(substrate, CURSOR, { act: 'claim', id: first?.result ?? '', leaseMs: HOUR_MS });
    await changeTask(substrate, SEED, { act: 'cancel', id: first?.result ?? '' }).catch(() => {});
    expect(
      await codeOf(changeTask(substrate, { ...SEED, id: 'owner' }, { act: 'cancel', id: first?.result ?? '' })),
    ).toBe('none');
    sources.time += DAY_MS;
    expect(await beat(seed)).toMatch(/task t\d+ added/);
    expect((await occurrences(substrate)).map(({ state }) => state)).toEqual(['done', 'skipped', 'done']);
  });

  test('each of them is added under all; a schedule that was removed adds none', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, { ...draft, catchUp: 'all' });
    const { substrate, sources } = seed;
    sources.time += 3 * DAY_MS;
    await beat(seed);
    expect((await occurrences(substrate)).map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    await substrate.operate({ action: 'schedule.remove', actor: SEED }, (op) => removeSchedule(op, 'nightly'));
    sources.time += DAY_MS;
    expect(await beat(seed)).toBeNull();
  });

  test('with a check that proves nothing any more, it failed, in words', async () => {
    using dir = scratch();
    await using seed = await openWith(dir, { ...draft, task: { ...TASK, check: { file: '/etc/hosts' } } });
    seed.sources.time += DAY_MS;
    expect(await beat(seed)).toMatch(/no task was added\. check: That file is there already/);
    expect(await occurrences(seed.substrate)).toMatchObject([{ state: 'failed' }]);
  });
});

test('a schedule that cannot be read holds up no other, and is told of', async () => {
  using dir = scratch();
  await using seed = await openWith(dir, {});
  const { substrate, sources } = seed;
  await substrate.operate({ action: 'schedule.add', actor: SEED }, (op) =>
    insertSchedule(op, { ...NIGHTLY, name: 'broken', cron: 'every night' }, { sources }),
  );
  sources.time += DAY_MS;
  await expect(beat(seed)).rejects.toThrow(/every night/);
  expect(await states(substrate)).toEqual(['2026-11-22T02:00 due']);
});

test('what was reckoned from a schedule that is another by now changes nothing', async () => {
  using dir = scratch();
  await using seed = await openWith(dir, {});
  const { substrate } = seed;
  const stale = await substrate.read((db) => getSchedule(db, 'nightly'));
  const set = async (nextDue: number): Promise<boolean> =>
    (
      await substrate.operate({ action: 'schedule.due', actor: SEED }, (op) =>
        setNextDue(op, stale, { nextDue, zone: 'UTC', lastDue: null }),
      )
    ).value;
  expect(await set(stale.next_due === null ? 0 : stale.next_due + DAY_MS)).toBe(true);
  expect(await set(0)).toBe(false);
  expect((await substrate.read((db) => getSchedule(db, 'nightly'))).next_due).toBe((stale.next_due ?? 0) + DAY_MS);
});

test('without a grant to act under it says so, and does nothing', async () => {
  using dir = scratch();
  await using seed = await openWith(dir, {});
  const clock = createClock({ substrate: seed.substrate, actor: async () => null });
  seed.sources.time += DAY_MS;
  expect(await seed.substrate.read((db) => clock.look(db, seed.sources.now()))).toMatchObject({
    waiting: 1,
    held: 'it has no grant to act under',
  });
  const run = { because: 'test', signal: new AbortController().signal, alive: () => {} };
  expect(await clock.run(run)).toEqual({ done: 0, more: false, says: null });
  expect(await states(seed.substrate)).toEqual([]);
});
