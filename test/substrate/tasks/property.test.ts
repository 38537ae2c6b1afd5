/** Whatever anybody tries, in any order and at any time: tasks are where a naive model says they are. */
import * as fc from '../../support/fast-check.ts';
import { expect, it } from 'vitest';
import type { Actor } from '../../../src/substrate/actor.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { TaskAct } from '../../../src/substrate/tasks/tasks.ts';
import { freeLapsed } from '../../../src/substrate/tasks/tasks.ts';
import { allReceipts, codeOf, openSeed, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { act, LEASE_MS, owe, taskOf, worker } from './rig.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

const PEOPLE = ['owner', 'ann', 'bob', 'cy'] as const;
type Person = (typeof PEOPLE)[number];

/** As little as is needed to say where a task is: no row, no lease column, no table of rules. */
interface Modelled {
  adder: Person;
  state: 'open' | 'claimed' | 'finished' | 'done' | 'cancelled';
  holder: Person | null;
  lease: number;
  until: number;
}

// What leads somewhere is tried more often, and by whom it may be.
const ACTS = [
  'claim',
  'claim',
  'finish',
  'finish',
  'verify',
  'verify',
  'progress',
  'release',
  'reject',
  'cancel',
  'reopen',
  'amend',
] as const;
const WHO = [...PEOPLE, 'holder', 'holder', 'holder'] as const;

interface Try {
  readonly who: Person;
  readonly verb: TaskAct;
  /** How far behind the newest lease the one is that is named. */
  readonly behind: number;
}

/** What should come of it, written down one by one; changes the model where it is allowed. */
function expected(task: Modelled, { who, verb, behind }: Try, now: number): 'ok' | 'no' {
  if (task.state === 'claimed' && now >= task.until) Object.assign(task, { state: 'open', holder: null });
  const holds = task.holder === who && behind === 0;
  const { state } = task;
  const ok = (change: Partial<Modelled>): 'ok' => {
    Object.assign(task, change);
    return 'ok';
  };
  switch (verb) {
    case 'claim':
      if (state !== 'open') return 'no';
      return ok({ state: 'claimed', holder: who, lease: task.lease + 1, until: now + LEASE_MS });
    case 'progress':
      return state === 'claimed' && holds ? ok({ until: now + LEASE_MS }) : 'no';
    case 'finish':
      // Said twice is said once.
      if ((state === 'finished' || state === 'done') && holds) return 'ok';
      return state === 'claimed' && holds ? ok({ state: 'finished' }) : 'no';
    case 'release':
      return state === 'claimed' && (holds || who === 'owner') ? ok({ state: 'open', holder: null }) : 'no';
    case 'verify':
      return state === 'finished' && task.holder !== who && behind === 0 ? ok({ state: 'done' }) : 'no';
    case 'reject':
      return state === 'finished' && task.holder !== who && behind === 0 ? ok({ state: 'open', holder: null }) : 'no';
    case 'cancel':
      if (who !== task.adder && who !== 'owner') return 'no';
      return state === 'done' || state === 'cancelled' ? 'no' : ok({ state: 'cancelled' });
    case 'reopen':
      if (who !== task.adder && who !== 'owner') return 'no';
      return state === 'done' || state === 'cancelled' ? ok({ state: 'open', holder: null }) : 'no';
    case 'amend':
      if (who !== task.adder && who !== 'owner') return 'no';
      return state === 'done' || state === 'cancelled' ? 'no' : 'ok';
  }
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('try' as const),
      task: fc.nat(1),
      who: fc.constantFrom(...WHO),
      verb: fc.constantFrom(...ACTS),
      behind: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, LEASE_MS - 1, LEASE_MS) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
);

it('[LOCK-RECEIPT-2] any run of acts by anybody ends where a naive model ends, with one receipt each', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate, sources } = seed;
  const actors: Record<Person, Actor> = {
    owner: OWNER,
    ann: await worker(substrate, 'ann'),
    bob: await worker(substrate, 'bob'),
    cy: await worker(substrate, 'cy'),
  };
  let done = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
      const tasks = await Promise.all(
        (['ann', 'owner'] as const).map(async (adder) => ({
          id: await owe(substrate, actors[adder], 'x'),
          model: { adder, state: 'open', holder: null, lease: 0, until: 0 } as Modelled,
        })),
      );
      for (const each of steps) {
        if (each.kind === 'wait') sources.time += each.ms;
        if (each.kind === 'sweep') await freeLapsed(substrate);
        if (each.kind !== 'try') continue;
        const { id, model } = tasks[each.task] ?? tasks[0]!;
        const attempt: Try = { ...each, who: each.who === 'holder' ? (model.holder ?? 'bob') : each.who };
        const before = (await substrate.log()).size;
        const lease = model.lease - each.behind;
        const code = await codeOf(act(substrate, actors[attempt.who], id, each.verb, { lease }));
        const wanted = expected(model, attempt, sources.time);
        expect([attempt, code === 'none' ? 'ok' : 'no']).toEqual([attempt, wanted]);
        expect((await substrate.log()).size).toBe(before + 1);
        const found = await taskOf(substrate, id);
        expect([each, found.state, found.lease]).toEqual([each, model.state, model.lease]);
        if (found.state === 'done') done++;
      }
      // So that no run is in the way of the next.
      for (const { id, model } of tasks) {
        if (model.state !== 'done' && model.state !== 'cancelled') await act(substrate, OWNER, id, 'cancel');
      }
    }),
    { numRuns: IS_LONG ? 1_500 : 60 },
  );
  // The control: runs get as far as there is to get.
  expect(done).toBeGreaterThan(0);
  const refused = (await allReceipts(substrate)).filter(({ outcome }) => outcome === 'refused');
  expect(refused.length).toBeGreaterThan(50);
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
});

it('nothing that waits for anything can wait for itself, whatever is asked for', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ids: string[] = [];
  for (let nr = 0; nr < 7; nr++) ids.push(await owe(substrate, OWNER, `${nr}`));
  const edges = new Map<string, string[]>(ids.map((id) => [id, []]));
  const reaches = (from: string, to: string): boolean =>
    from === to || (edges.get(from) ?? []).some((next) => reaches(next, to));
  let [taken, refused] = [0, 0];
  const change = fc.record({
    task: fc.constantFrom(...ids),
    needs: fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 15, size: 'max' }), async (changes) => {
      for (const { task, needs } of changes) {
        const goesRound = needs.some((need) => reaches(need, task));
        const code = await codeOf(act(substrate, OWNER, task, 'amend', { needs }));
        expect([task, needs, code]).toEqual([task, needs, goesRound ? 'conflict' : 'none']);
        if (goesRound) refused++;
        else {
          taken++;
          edges.set(task, needs);
        }
      }
    }),
    // Each task may see a thousand acts.
    { numRuns: 40 },
  );
  expect(taken).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(20);
});
