/** A day of the whole mind, and the same events with and without coherence. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { governedPauses } from '../../../src/substrate/coherence/alarms.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { insertSchedule } from '../../../src/substrate/schedules/schedules.ts';
import type { Row, Substrate } from '../../../src/substrate/substrate.ts';
import { addTask, changeTask } from '../../../src/substrate/tasks/tasks.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import type { TestSeed } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { testSources } from '../../support/sources.ts';
import { letIn, say } from '../../substrate/bus/rig.ts';
import type { Seat } from '../../../src/mind/loop/seat.ts';
import type { OrgansRig } from '../organs/rig.ts';
import { organsOf } from '../organs/rig.ts';
import { applyPolicy, POLICY, says } from '../router/rig.ts';
import type { LoopRig, LoopRigOptions } from './rig.ts';
import { loopOf } from './rig.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let dir: Scratch;

beforeEach(() => {
  dir = scratch();
});

afterEach(() => {
  dir[Symbol.dispose]();
});

interface World extends AsyncDisposable {
  readonly seed: TestSeed;
  readonly substrate: Substrate;
  readonly organs: OrgansRig;
  readonly loop: LoopRig;
}

/** A seed with every organ of the daemon, under a policy that has all roles. */
async function world(
  name: string,
  options: LoopRigOptions & { readonly without?: readonly string[] } = {},
): Promise<World> {
  const sources = testSources('day', Date.UTC(2026, 10, 21, 2, 25));
  const seed = await openSeed({ ...dir, at: (...parts) => dir.at(name, ...parts) }, { sources });
  const { substrate } = seed;
  await applyPolicy(
    substrate,
    POLICY.replace(
      'roles:',
      'roles:\n  digestor: { dispatch: any, max_output_tokens: 300, candidates: [ { target: b, model: m, tier: 3 } ] }',
    ),
  );
  await substrate.operate({ action: 'schedule.add', actor: OWNER }, async (op) => {
    for (const [job, cron] of [
      ['drain', '0 3 * * *'],
      ['synthesizer', '30 2 * * *'],
    ] as const) {
      await insertSchedule(op, { name: job, cron, zone: 'UTC', job, task: null, catchUp: 'once' }, { sources });
    }
  });
  const answer = says('{"kind":"note","title":"a model was asked"}');
  const organs = organsOf(substrate, { scripts: { 'a/m': answer, 'b/m': answer, 'a/big': answer } });
  const { without = [] } = options;
  const seats: readonly Seat[] = organs.seats.filter(({ organ }) => !without.includes(organ.name));
  const loop = loopOf(seed, seats, { brakes: governedPauses, ...options });
  return {
    seed,
    substrate,
    organs,
    loop,
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await organs.close();
      await seed[Symbol.asyncDispose]();
    },
  };
}

/** Rows of every table of the mind's, and receipts. */
async function rowsOf(substrate: Substrate): Promise<number> {
  const tables = await substrate.read((db) =>
    db.all<{ name: string } & Row>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'substrate_%' AND name NOT LIKE '%index%'",
    ),
  );
  let rows = 0;
  for (const { name } of tables) {
    const found = await substrate.read((db) =>
      db.get<{ count: number } & Row>(`SELECT count(*) AS count FROM ${name}`),
    );
    rows += found?.count ?? 0;
  }
  return rows;
}

test('[LOCK-MIND-1] a day with nothing to do: no model is asked, and a handful of rows is written', async () => {
  await using day = await world('idle');
  const { loop, organs, substrate } = day;
  // What a new seed does first is not the day's; its first synthesis and drain come soon.
  await loop.pass(60 * MINUTE_MS);
  const asked = organs.calls.length;
  expect(asked).toBe(1);
  const [rows, receipts] = [await rowsOf(substrate), (await substrate.log()).size];
  const { rounds } = loop.pulse.state();
  await loop.pass(DAY_MS);
  expect(organs.calls).toHaveLength(asked);
  expect(loop.pulse.state().rounds - rounds).toBeGreaterThan(24 * 60 - 1);
  expect((await substrate.log()).size - receipts).toBeLessThanOrEqual(12);
  expect((await rowsOf(substrate)) - rows).toBeLessThanOrEqual(30);
  expect(loop.defects).toEqual([]);
  // The control: with something to do a model is asked, and it is on record.
  const ann = await letIn(substrate, 'ann', { scopes: ['bus.send', 'memory.write:shared'] });
  await say(substrate, ann, 'seed', 'The door is open.');
  await loop.pass(1_000);
  expect(organs.calls.slice(asked).map(({ target }) => target)).toEqual(['b']);
}, 60_000);

/** Events of a morning: tasks that come and go, messages, a revocation. The same each time. */
async function morning({ substrate, loop }: World): Promise<void> {
  const people: Actor[] = [];
  for (const name of ['ann', 'bob']) {
    people.push(
      await letIn(substrate, name, { scopes: ['bus.send', 'task.write', 'task.verify', 'memory.write:shared'] }),
    );
  }
  const [ann, bob] = people as [Actor, Actor];
  const body = { title: 'a piece of work', text: '', acceptance: [] };
  const draft = { subsystem: 'billing', body, check: null, deadline: null, priority: 3, needs: [] };
  for (let nr = 0; nr < 14; nr++) {
    const { value } = await addTask(substrate, ann, draft);
    await loop.pass(MINUTE_MS);
    const { value: claimed } = await changeTask(substrate, bob, { act: 'claim', id: value.id, leaseMs: 3_600_000 });
    await loop.pass(2 * MINUTE_MS);
    await changeTask(substrate, bob, { act: 'finish', id: value.id, lease: claimed.lease });
    await changeTask(substrate, ann, { act: 'verify', id: value.id });
    await say(substrate, ann, 'seed', `note: piece ${nr} is done`);
    await loop.pass(MINUTE_MS);
  }
  await loop.pass(3 * 3_600_000);
}

/**
 * What was decided and done in a morning, in order, without coherence's own. A decision has no time: a round
 * more or less in between moves the next one by a hundredth of a second.
 */
async function decisionsOf(name: string, options: Parameters<typeof world>[1]): Promise<string> {
  await using one = await world(name, options);
  await morning(one);
  const log = await one.loop.log();
  const ran = log
    .filter(({ organ }) => organ !== 'coherence')
    .map(({ organ, act, because, done, says: said }) => [organ, act, because, done, said]);
  const last = one.loop.pulse.state().decisions.filter(({ organ }) => organ !== 'coherence');
  const acts = (await allReceipts(one.substrate))
    .filter(({ action }) => !action.startsWith('coherence.'))
    .map(({ action, actor, outcome, subject }) => [action, actor.id, outcome, subject.type]);
  return JSON.stringify({ ran, last, acts });
}

test('[LOCK-MIND-2] the same morning with coherence off and on, in observe, gives the same decisions, byte for byte', async () => {
  const off = await decisionsOf('off', { without: ['coherence'], brakes: async () => [] });
  const on = await decisionsOf('on', {});
  expect(on).toBe(off);
  expect(JSON.parse(on)).toMatchObject({
    ran: expect.arrayContaining([expect.arrayContaining(['digestor', 'run'])]) as [],
  });
  // The control: the same look finds a difference that there is.
  const other = await decisionsOf('other', { without: ['coherence', 'drain'], brakes: async () => [] });
  expect(other).not.toBe(off);
}, 60_000);
