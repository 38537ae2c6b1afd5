/** The worker: what it takes on, how it does it, when it stops, and what it never does. */
import { expect, test } from 'vitest';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { writeOrgan } from '../../../../src/substrate/mind/organs.ts';
import { writeWorkerSettings } from '../../../../src/substrate/mind/worker.ts';
import type { WorkerSettings } from '../../../../src/substrate/mind/worker.ts';
import type { Substrate } from '../../../../src/substrate/substrate.ts';
import { changeTask } from '../../../../src/substrate/tasks/tasks.ts';
import { allReceipts, codeOf, openSeed, verifyExport } from '../../../support/home.ts';
import { scratch } from '../../../support/scratch.ts';
import { sessionOf } from '../../../../src/substrate/sessions/sessions.ts';
import { letIn } from '../../../substrate/bus/rig.ts';
import { accept, offer, SESSION_SCOPES } from '../../../substrate/sessions/rig.ts';
import { act, owe, taskOf, worker as colleague } from '../../../substrate/tasks/rig.ts';
import type { Script } from '../../router/rig.ts';
import { applyPolicy, fails, POLICY, says } from '../../router/rig.ts';
import type { WorkerRigOptions } from './rig.ts';
import { plays, resultsOf, runOf, transcriptOf, turnOn, workerOf } from './rig.ts';

async function scene(
  at: Parameters<typeof openSeed>[0],
  script: Script,
  more: Partial<WorkerRigOptions> & { policy?: string; settings?: Partial<WorkerSettings>; off?: boolean } = {},
) {
  const { policy = POLICY, settings = {}, off = false, ...options } = more;
  const seed = await openSeed(at);
  const { substrate } = seed;
  await applyPolicy(substrate, policy);
  if (!off) await turnOn(substrate);
  await set(substrate, settings);
  const rig = workerOf(substrate, { scripts: { 'a/m': script, 'b/m': script }, ...options });
  const see = () => substrate.read((db) => rig.worker.look(db, substrate.sources.now()));
  return { ...seed, ...rig, see, [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

async function set(substrate: Substrate, settings: Partial<WorkerSettings>): Promise<void> {
  await substrate.operate({ action: 'worker.set', actor: OWNER }, (op) => writeWorkerSettings(op, settings));
}

const actions = async (substrate: Substrate): Promise<string[]> =>
  (await allReceipts(substrate)).filter(({ actor }) => actor.id === 'seed-worker').map(({ action }) => action);

test('does a task with its tools, and hands it to somebody else to verify', async () => {
  using dir = scratch();
  const script = plays(
    [['memory_search', { query: 'paint' }]],
    [
      ['memory_write', { text: 'The fence is green.' }],
      ['task_progress', { note: 'Half of it.' }],
    ],
    'The fence is green now; see the memory.',
  );
  await using seed = await scene(dir, script);
  const { substrate } = seed;
  const ann = await colleague(substrate, 'ann');
  const id = await owe(substrate, OWNER, 'Paint the fence', { acceptance: ['It is green.'] });
  expect(await seed.see()).toEqual({ waiting: 1, nextAt: null, held: null });
  expect(await seed.run()).toMatchObject({ done: 1 });
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished', holder_name: 'seed-worker' });
  expect(await runOf(substrate, id)).toMatchObject({ state: 'handed_in', steps: 3 });
  expect(await seed.see()).toMatchObject({ waiting: 0 });
  const [system, user] = seed.calls[0]?.request.messages ?? [];
  expect(system?.role).toBe('system');
  expect(JSON.stringify(user)).toContain('It is green.');
  const done = await substrate.read((db) =>
    db.get<{ checkpoint: string; status: string }>(
      'SELECT checkpoint, status FROM substrate_sessions WHERE holder_name = ?',
      'seed-worker',
    ),
  );
  expect(done?.status).toBe('closed');
  expect(JSON.parse(done?.checkpoint ?? '')).toMatchObject({
    done: ['memory_search', 'memory_write, task_progress'],
    next: 'Somebody else verifies it.',
  });
  await act(substrate, ann, id, 'verify');
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'done', verifier_name: 'ann' });
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
});

test('never verifies: neither its own work nor that of others', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const { substrate } = seed;
  const self = await turnOn(substrate);
  const own = await owe(substrate, OWNER, 'Paint the fence');
  await seed.run();
  const ann = await colleague(substrate, 'ann');
  const hers = await owe(substrate, OWNER, 'Mow the lawn');
  const { lease } = await act(substrate, ann, hers, 'claim');
  await act(substrate, ann, hers, 'finish', { lease });
  for (const id of [own, hers]) {
    expect(await codeOf(seed.act('task_update', { do: 'verify', id }, { actor: self }))).toBe('forbidden');
  }
  // The control: whoever has the scope may.
  await act(substrate, ann, own, 'verify');
});

test('is off until the owner turns it on: it sees nothing, and does nothing', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'), { off: true });
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  expect(await seed.see()).toMatchObject({ waiting: 0 });
  expect(await seed.run()).toMatchObject({ done: 0 });
  expect(seed.calls).toHaveLength(0);
  await turnOn(seed.substrate);
  await seed.run();
  expect(await taskOf(seed.substrate, id)).toMatchObject({ state: 'finished' });
});

test('[LOCK-MIND-1] without a usable model it says so, claims nothing, and asks nobody', async () => {
  using dir = scratch();
  const without = POLICY.replace('  worker:', '  other:');
  await using seed = await scene(dir, says('Done.'), { policy: without });
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  expect(await seed.see()).toEqual({ waiting: 1, nextAt: null, held: 'no usable model' });
  expect(await seed.run()).toMatchObject({ done: 0, says: 'waiting: no usable model' });
  expect([seed.calls.length, await actions(substrate)]).toEqual([0, []]);
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'open', lease: 0 });
  // A tier-1 model is the drain's, and a model without a price is nobody's.
  await applyPolicy(substrate, POLICY.replaceAll(/tier: [23]/g, 'tier: 1').replace('dispatch: any', 'dispatch: cron'));
  expect(await seed.see()).toMatchObject({ held: 'no usable model' });
  await applyPolicy(substrate, POLICY);
  expect(await seed.see()).toMatchObject({ waiting: 1, held: null });
});

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

test('goes on with the next model where one is cut off in the middle of an answer', async () => {
  using dir = scratch();
  const cut = fails(new ProviderFault('cut', 'The line broke.', { mayBeBilled: true }), [
    { type: 'accepted' },
    { type: 'text', text: 'The fence ' },
  ]);
  await using seed = await scene(dir, cut, { scripts: { 'a/m': cut, 'b/m': says('is green.') } });
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.run();
  expect(await taskOf(seed.substrate, id)).toMatchObject({ state: 'finished' });
  expect((await transcriptOf(seed.substrate, id)).at(-1)?.parts).toEqual([
    { type: 'text', text: 'The fence is green.' },
  ]);
});

const AGAIN = plays([['memory_search', { query: 'more' }]]);

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

test('takes on what it may serve, by urgency: not what is paused, of other subsystems, or of helpers', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'), {
    pauses: [{ subsystem: 'paused' }],
    settings: { subsystems: ['website', 'paused'] },
  });
  const { substrate } = seed;
  const helper = await letIn(substrate, 'ci', { kind: 'helper', scopes: ['task.write'] });
  const late = await owe(substrate, OWNER, 'Later', { priority: 4 });
  const first = await owe(substrate, OWNER, 'First', { priority: 1 });
  const paused = await owe(substrate, OWNER, 'Paused', { subsystem: 'paused' });
  const other = await owe(substrate, OWNER, 'Of others', { subsystem: 'garden' });
  const helpers = await owe(substrate, helper, 'A helper’s');
  const blocked = await owe(substrate, OWNER, 'Waits', { needs: [other] });
  expect(await seed.see()).toMatchObject({ waiting: 2 });
  await seed.run();
  expect(await taskOf(substrate, first)).toMatchObject({ state: 'finished' });
  expect(await taskOf(substrate, late)).toMatchObject({ state: 'open' });
  await seed.runAll();
  expect(await taskOf(substrate, late)).toMatchObject({ state: 'finished' });
  for (const id of [paused, other, helpers, blocked]) expect(await taskOf(substrate, id)).toMatchObject({ lease: 0 });
  await set(substrate, { helpers: true, subsystems: null });
  expect(await seed.see()).toMatchObject({ waiting: 2 });
});

/** A model that waits until it is let go, or its call is cancelled. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const script: Script = async function* (request, context) {
    asked.resolve();
    const cut = new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason as Error), { once: true });
    });
    await Promise.race([gate.promise, cut]);
    yield* says('Done.')(request, context);
  };
  return { script, release: gate.resolve, asked: asked.promise };
}

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

test('an answer that was cut at its length is asked for again, an empty one too, and neither is handed in', async () => {
  using dir = scratch();
  const cut = [
    { type: 'text', text: 'The fence is gr' },
    { type: 'end', stop: 'max_tokens', usage: { input: 10, output: 5, cachedInput: 0, cacheWrite: 0 } },
  ] as const;
  await using seed = await scene(dir, plays(cut, ' ', 'Green.'));
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.run();
  expect(await taskOf(seed.substrate, id)).toMatchObject({ state: 'finished' });
  expect((await transcriptOf(seed.substrate, id)).map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'user',
    'assistant',
    'user',
    'assistant',
  ]);
});

test.each([
  [1, 'error: Nobody knows', 'ok: Sent to'],
  [2, 'ok: On record', 'ok: Sent before'],
])('what a crash cut off after tool %i is not done again: it is in doubt, or under its key', async (nth, ...became) => {
  using dir = scratch();
  const script = plays(
    [
      ['receipt_note', { text: 'Painted.' }],
      ['bus_send', { to: 'owner', text: 'Painted.' }],
    ],
    'Done.',
  );
  let passed = 0;
  const fault = (point: string): void => {
    if (point === 'worker.tool.done' && ++passed === nth) throw new Error('The power went.');
  };
  await using seed = await scene(dir, script, { fault });
  const { substrate } = seed;
  const id = await owe(substrate, OWNER, 'Paint the fence');
  await expect(seed.run()).rejects.toThrow('The power went.');
  await seed.runAll();
  expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
  expect((await actions(substrate)).filter((action) => action === 'note.claim')).toHaveLength(1);
  const sent = await substrate.read((db) =>
    db.get("SELECT count(*) AS sent FROM substrate_messages WHERE sender_name = 'seed-worker'"),
  );
  expect(sent).toEqual({ sent: 1 });
  const results = await resultsOf(substrate, id);
  expect(results.map((line, index) => line.startsWith(became[index] ?? '?'))).toEqual([true, true]);
});

test('a target that cannot be opened is no usable model', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'), { callable: [] });
  await owe(seed.substrate, OWNER, 'Paint the fence');
  expect(await seed.see()).toMatchObject({ waiting: 1, held: 'no usable model' });
  const other = workerOf(seed.substrate, { scripts: { 'b/m': says('Done.') }, callable: ['b'] });
  expect(await seed.substrate.read((db) => other.worker.look(db, seed.sources.time))).toMatchObject({ held: null });
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
    throw new Error('The power went.');
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
    if (point === 'worker.tool.kept') throw new Error('The power went.');
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

test('[LOCK-MIND-1] a day with nothing to do: it sees nothing, asks nobody and writes nothing', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const { substrate, sources } = seed;
  const { size } = await substrate.log();
  for (let hour = 0; hour < 24; hour++) {
    sources.time += 3_600_000;
    expect(await seed.see()).toMatchObject({ waiting: 0, nextAt: null });
    expect(await seed.run()).toMatchObject({ done: 0, more: false });
  }
  expect([seed.calls.length, (await substrate.log()).size]).toEqual([0, size]);
});
