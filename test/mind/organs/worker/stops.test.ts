/** When the worker leaves a task, why, and what becomes of it then. */
import { expect, test } from 'vitest';
import { wakingOf } from '../../../../src/mind/loop/events.ts';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { writeOrgan } from '../../../../src/substrate/mind/organs.ts';
import type { Row } from '../../../../src/substrate/substrate.ts';
import { getContent } from '../../../../src/substrate/content.ts';
import { lastEvents } from '../../../../src/substrate/tasks/look.ts';
import { NOTE_CHARS_MAX } from '../../../../src/substrate/tasks/model.ts';
import { addTask, changeTask } from '../../../../src/substrate/tasks/tasks.ts';
import { scratch } from '../../../support/scratch.ts';
import { sessionOf } from '../../../../src/substrate/sessions/sessions.ts';
import { letIn } from '../../../substrate/bus/rig.ts';
import { accept, offer, SESSION_SCOPES } from '../../../substrate/sessions/rig.ts';
import { act, owe, taskOf, worker as colleague } from '../../../substrate/tasks/rig.ts';
import type { Script } from '../../router/rig.ts';
import { POLICY, says } from '../../router/rig.ts';
import { plays, runOf, workerOf } from './rig.ts';
import { AGAIN, gated, powerWent, scene, set } from './scene.ts';

test('models that fail put everything off, for longer each time; the same session goes on later', async () => {
  using dir = scratch();
  let down = false;
  const script: Script = async function* (request, context) {
    if (down) throw new ProviderFault('unreachable', 'Nobody is there.', { mayBeBilled: false });
    down = true;
    yield* plays([['task_progress', { note: 'begun' }]], 'Done.')(request, context);
  };
  await using seed = await scene(dir, script);
  const { substrate, sources } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const other = await owe(substrate, OWNER, 'Mow the lawn', { priority: 5 });
  await seed.runAll();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open' });
  const before = await runOf(substrate, id);
  expect(before).toMatchObject({ state: 'waiting', why: 'no usable model' });
  expect(await seed.see()).toEqual({ waiting: 2, nextAt: sources.time + 30_000, held: 'no usable model' });
  sources.time += 30_000;
  await seed.runAll();
  expect(await seed.see()).toMatchObject({ nextAt: sources.time + 60_000 });
  expect(await taskOf(substrate, other)).toMatchObject({ state: 'open', lease: 0 });
  down = false;
  sources.time += 60_000;
  await seed.run();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
  expect((await runOf(substrate, id)).session).toBe(before.session);
  down = false;
  await seed.runAll();
  // One answer came in between: the next wait is a short one again.
  expect(await seed.see()).toMatchObject({ nextAt: sources.time + 30_000 });
});

test.each([
  ['steps', { steps: 3 }, 'the limit of 3 steps is reached', 3],
  ['money', { budget_micro_usd: 5_000 }, 'the limit of its budget is reached', null],
])('stops at its limit of %s, and leaves the task to others', async (_what, settings, why, calls) => {
  using dir = scratch();
  await using seed = await scene(dir, AGAIN, { settings: { steps: 100, ...settings } });
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  expect(await runOf(substrate, id)).toMatchObject({ state: 'spent', why });
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open', lease: 1 });
  if (calls !== null) expect(seed.calls).toHaveLength(calls);
  const money = await substrate.read((db) =>
    db.get<{ spent: number; held: number }>(
      'SELECT sum(spent_micro_usd) AS spent, sum(held_micro_usd) AS held FROM substrate_spending WHERE scope LIKE ?',
      'session:%',
    ),
  );
  expect(money?.held).toBe(0);
  expect(money?.spent).toBeLessThanOrEqual(5_000);
});

test('stops at its limit of time, which counts the work and not a clock that was set', async () => {
  using dir = scratch();
  const day = 86_400_000;
  const script: Script = async function* (request, context) {
    seed.sources.time += request.messages.length < 4 ? 7 * day : 40_000;
    yield* AGAIN(request, context);
  };
  await using seed = await scene(dir, script, { settings: { steps: 100, minutes: 3 } });
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  const run = await runOf(seed.substrate, id);
  expect(run).toMatchObject({ state: 'spent', why: 'the limit of 3 minutes is reached' });
  expect(run.steps).toBeGreaterThan(3);
});

test('a limit is a task’s over all tries; what is sent back is told why', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Green.'), { settings: { steps: 2 } });
  const { substrate } = seed;
  const ann = await colleague(substrate, 'ann');
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await seed.run();
  const first = await runOf(substrate, id);
  await act(substrate, ann, id, 'reject', { note: 'It is blue.' });
  // It reads the task itself: a message to it would wait for ever.
  const inboxes = await substrate.read((db) =>
    db.all<{ holder: string } & Row>('SELECT holder FROM substrate_inboxes'),
  );
  expect(inboxes).toEqual([{ holder: 'owner' }]);
  await seed.runAll();
  const second = await runOf(substrate, id);
  expect(second).toMatchObject({ state: 'handed_in', steps: 2 });
  expect(second.session).not.toBe(first.session);
  expect(JSON.stringify(seed.calls[1]?.request.messages)).toContain('ann (reject): It is blue.');
  await act(substrate, ann, id, 'reject', { note: 'Still blue.' });
  expect(await seed.see()).toMatchObject({ waiting: 0 });
  await set(substrate, { steps: 3 });
  expect(await seed.see()).toMatchObject({ waiting: 1 });
});

test('a limit that is raised wakes the mind, and what was left at its limit is gone on with', async () => {
  using dir = scratch();
  const answer = plays([['memory_search', { query: 'more' }]], [['memory_search', { query: 'more' }]], 'Green.');
  await using seed = await scene(dir, answer, { settings: { steps: 2 } });
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  expect(await runOf(substrate, id)).toMatchObject({ state: 'spent', steps: 2 });
  // What says nothing of its limits, or leaves no room, is no reason to look again.
  await set(substrate, { helpers: true });
  await set(substrate, { steps: 1 });
  expect(await seed.see()).toMatchObject({ waiting: 0 });
  await set(substrate, { steps: 10 });
  expect(wakingOf('worker.set')).toBe('now');
  expect(await seed.see()).toMatchObject({ waiting: 1 });
  await seed.runAll();
  expect(await runOf(substrate, id)).toMatchObject({ state: 'handed_in', steps: 5 });
});

test('gives up what it cannot do, says why, and comes back to it only when something happened', async () => {
  using dir = scratch();
  await using seed = await scene(dir, plays([['task_release', { note: 'There is no paint.' }]]));
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open' });
  expect(await runOf(substrate, id)).toMatchObject({ state: 'gave_up' });
  expect(await seed.see()).toMatchObject({ waiting: 0 });
  await changeTask(substrate, OWNER, { act: 'amend', id, note: 'There is paint now.' });
  expect(await seed.see()).toMatchObject({ waiting: 1 });
});

test('stops at once when its task is cancelled; the call under way is cancelled and settled', async () => {
  using dir = scratch();
  const { script, asked } = gated();
  await using seed = await scene(dir, script);
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const running = seed.run();
  await asked;
  await changeTask(substrate, OWNER, { act: 'cancel', id });
  expect(await running).toMatchObject({ done: 0, says: `${id}: it is cancelled` });
  expect(await runOf(substrate, id)).toMatchObject({ state: 'lost' });
  const held = await substrate.read((db) =>
    db.get<{ held: number }>('SELECT count(*) AS held FROM substrate_ledger WHERE cost_micro_usd IS NULL'),
  );
  expect(held).toEqual({ held: 0 });
});

test('renews its lease in a long step; one that lapsed and was claimed by another stops it', async () => {
  using dir = scratch();
  const { script, asked, release } = gated();
  await using seed = await scene(dir, script, { settings: { minutes: 600 } });
  const { substrate, sources } = seed;
  const ann = await colleague(substrate, 'ann');
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const running = seed.run();
  await asked;
  sources.time += 20 * 60_000;
  const renewed = sources.time + 30 * 60_000;
  await expect.poll(async () => (await taskOf(substrate, id)).lease_until, { timeout: 10_000 }).toBe(renewed);
  // The machine slept; somebody took it.
  sources.time += 31 * 60_000;
  await act(substrate, ann, id, 'claim');
  expect(await running).toMatchObject({ says: `${id}: ann has claimed it` });
  release();
  expect(await taskOf(substrate, id)).toMatchObject({ holder_name: 'ann', state: 'claimed' });
  expect(seed.signs()).toBeGreaterThan(2);
});

test('is stopped by the owner in the middle: the answer is kept, and the next run goes on with it', async () => {
  using dir = scratch();
  const { script, asked, release } = gated();
  await using seed = await scene(dir, script);
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const stop = new AbortController();
  const running = seed.run(stop.signal);
  await asked;
  stop.abort();
  expect(await running).toMatchObject({ done: 0, more: false });
  release();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'claimed' });
  await seed.run();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
  expect(seed.calls).toHaveLength(1);
});

test('turned off in the middle it leaves the task to others; turned on again it goes on in the same session', async () => {
  using dir = scratch();
  const { script, asked, release } = gated();
  await using seed = await scene(dir, script);
  const { substrate } = seed;
  const turn = (isOn: boolean) =>
    substrate.operate({ action: isOn ? 'mind.on' : 'mind.off', actor: OWNER }, (op) =>
      writeOrgan(op, 'worker', { isOn, admitted: true }),
    );
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const stop = new AbortController();
  const running = seed.run(stop.signal);
  await asked;
  const { session } = await runOf(substrate, id);
  await turn(false);
  stop.abort();
  expect(await running).toMatchObject({ says: `${id}: the worker was turned off` });
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open' });
  await turn(true);
  release();
  await seed.runAll();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
  expect(await runOf(substrate, id)).toMatchObject({ session, steps: 2 });
});

test('waits for a ceiling of the owner’s to turn over; that is not its own limit', async () => {
  using dir = scratch();
  const tight = POLICY.replace('usd: "1.00"', 'usd: "0.000001"');
  await using seed = await scene(dir, says('Done.'), { policy: tight });
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  expect(await runOf(substrate, id)).toMatchObject({ state: 'waiting', why: 'over the ceiling seed/day' });
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open' });
  const midnight = Date.UTC(2026, 10, 22);
  expect(await seed.see()).toEqual({ waiting: 1, nextAt: midnight, held: 'over the ceiling seed/day' });
  expect(seed.calls).toHaveLength(0);
});

test('what only this conversation fails at ends this task, and holds up no other', async () => {
  using dir = scratch();
  const no = new ProviderFault('rejected', 'Too long.', { mayBeBilled: false });
  let begun = 0;
  const script: Script = async function* (request, context) {
    if (request.messages.some(({ role }) => role === 'assistant')) throw no;
    yield* (begun++ === 0 ? AGAIN : says('Done.'))(request, context);
  };
  await using seed = await scene(dir, script);
  const { substrate } = seed;
  const poor = await owe(substrate, OWNER, 'Paint the fence', { priority: 1 });
  const good = await owe(substrate, OWNER, 'Mow the lawn');
  await seed.runAll();
  expect(await runOf(substrate, poor)).toMatchObject({ state: 'gave_up' });
  expect(await taskOf(substrate, poor)).toMatchObject({ state: 'open' });
  expect(await taskOf(substrate, good)).toMatchObject({ state: 'finished' });
});

test('a claim that lapsed while nothing ran is taken up again, in the same session', async () => {
  using dir = scratch();
  let fall = true;
  const fault = (point: string): void => {
    if (point !== 'worker.tool.kept' || !fall) return;
    fall = false;
    throw powerWent();
  };
  await using seed = await scene(dir, plays([['task_progress', { note: 'begun' }]], 'Done.'), { fault });
  const { substrate, sources } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await expect(seed.run()).rejects.toThrow('The power went.');
  const { session } = await runOf(substrate, id);
  sources.time += 86_400_000;
  await seed.runAll();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished', lease: 2 });
  expect(await runOf(substrate, id)).toMatchObject({ session, steps: 2 });
  expect((await runOf(substrate, id)).workedMs).toBeLessThan(60_000);
});

test('a task that reached a limit before its record said so is settled, and its session closed', async () => {
  using dir = scratch();
  const fault = (point: string): void => {
    if (point === 'worker.tool.kept') throw powerWent();
  };
  await using seed = await scene(dir, AGAIN, { fault });
  const { substrate, sources } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await expect(seed.run()).rejects.toThrow('The power went.');
  sources.time += 86_400_000;
  await set(substrate, { steps: 1 });
  await seed.runAll();
  expect(await runOf(substrate, id)).toMatchObject({ state: 'spent' });
  expect(
    await substrate.read((db) => db.get("SELECT 1 FROM substrate_sessions WHERE status = 'open'")),
  ).toBeUndefined();
});

test('leaves the task when the owner hands its session on, and when whoever added it is gone', async () => {
  using dir = scratch();
  const { script, asked, release } = gated();
  await using seed = await scene(dir, script);
  const { substrate, sources } = seed;
  const bob = await letIn(substrate, 'bob', { scopes: SESSION_SCOPES });
  const id = await owe(substrate, OWNER, 'Paint the fence');
  const running = seed.run();
  await asked;
  const { session } = await runOf(substrate, id);
  const { token } = await offer(substrate, OWNER, session);
  await accept(substrate, bob, token);
  release();
  expect(await running).toMatchObject({ done: 0 });
  expect(await runOf(substrate, id)).toMatchObject({ state: 'lost', why: 'its session was handed on or closed' });
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open' });
  expect(await substrate.read((db) => sessionOf(db, session))).toMatchObject({ holderName: 'bob', status: 'open' });

  const ann = await colleague(substrate, 'ann', { expiresAt: sources.time + 1_000 });
  const hers = await owe(substrate, ann, 'Mow the lawn');
  const late = workerOf(substrate, {
    scripts: {
      async *'a/m'(request, context) {
        sources.time += 1_000;
        yield* AGAIN(request, context);
      },
    },
  });
  await late.run();
  expect(await runOf(substrate, hers)).toMatchObject({ state: 'lost', why: 'whoever added it is gone' });
});

test('a task that fails inside is left to others, on record, and keeps no other waiting', async () => {
  using dir = scratch();
  let nth = 0;
  const fault = (point: string): void => {
    if (point === 'worker.stepped' && nth++ === 0) throw new TypeError('A defect.');
  };
  await using seed = await scene(dir, says('Done.'), { fault });
  const { substrate } = seed;
  const poor = await owe(substrate, OWNER, 'Paint the fence', { priority: 1 });
  const good = await owe(substrate, OWNER, 'Mow the lawn');
  await expect(seed.run()).rejects.toThrow('A defect.');
  expect(await runOf(substrate, poor)).toMatchObject({ state: 'gave_up', why: 'it failed inside (internal)' });
  expect(await taskOf(substrate, poor)).toMatchObject({ state: 'open' });
  await seed.runAll();
  expect(await taskOf(substrate, good)).toMatchObject({ state: 'finished' });
  expect(await taskOf(substrate, poor)).toMatchObject({ lease: 1 });
});

test('a task with as many words as there may be is begun like any other', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('x'.repeat(20_000)));
  const { substrate } = seed;
  const acceptance = Array.from({ length: 64 }, () => '\u{1F33F}'.repeat(250));
  const body = { title: '\u0007'.repeat(200), text: '\u{1F33F}'.repeat(4_000), acceptance };
  const draft = { subsystem: 'website', check: null, deadline: null, priority: 3, needs: [], body };
  const { value } = await addTask(substrate, OWNER, draft);
  await seed.run();
  expect(await taskOf(substrate, value.id)).toMatchObject({ state: 'finished' });
  expect(JSON.stringify(seed.calls[0]?.request.messages)).toContain(body.text);
  const [{ note } = { note: null }] = await substrate.read((db) => lastEvents(db, value.id, 1));
  const kept = note === null ? null : await substrate.read((db) => getContent(db, note));
  expect(kept).toHaveLength(NOTE_CHARS_MAX + 2);
  const { session } = await runOf(substrate, value.id);
  expect(Buffer.from(kept ?? []).toString()).toMatch(new RegExp(`20000 characters; .* session ${session}\\)$`));
});
