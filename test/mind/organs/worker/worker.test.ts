/** The worker: what it takes on, how it does it, and what it never does. */
import { expect, test } from 'vitest';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import type { Substrate } from '../../../../src/substrate/substrate.ts';
import { allReceipts, codeOf, verifyExport } from '../../../support/home.ts';
import { scratch } from '../../../support/scratch.ts';
import { watched } from '../../../support/watched.ts';
import { letIn } from '../../../substrate/bus/rig.ts';
import { act, owe, taskOf, worker as colleague } from '../../../substrate/tasks/rig.ts';
import { pauseIntake } from '../../coherence/rig.ts';
import { applyPolicy, fails, POLICY, says } from '../../router/rig.ts';
import { plays, resultsOf, runOf, transcriptOf, turnOn, workerOf } from './rig.ts';

import { powerWent, scene, set } from './scene.ts';

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

test('takes on what it may serve, by urgency: not what is paused, of other subsystems, or of helpers', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'), {
    settings: { subsystems: ['website', 'paused'] },
  });
  const { substrate } = seed;
  const helper = await letIn(substrate, 'ci', { kind: 'helper', scopes: ['task.write'] });
  const late = await owe(substrate, OWNER, 'Later', { priority: 4 });
  const first = await owe(substrate, OWNER, 'First', { priority: 1 });
  const paused = await owe(substrate, OWNER, 'Paused', { subsystem: 'paused' });
  await pauseIntake(substrate, 'paused');
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

test('a look asks as little of a long queue as of a short one, and finds the one task behind those it may not have', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const { substrate, worker, sources } = seed;
  const look = () =>
    substrate.read(async (db) => {
      let statements = 0;
      const spy = watched(db, () => statements++);
      const { waiting } = await worker.look(spy, sources.time);
      return { waiting, statements };
    });
  const helper = await letIn(substrate, 'ci', { kind: 'helper', scopes: ['task.write'] });
  await owe(substrate, OWNER, 'The owner’s', { priority: 5 });
  // The first look makes sense of the policy, which is kept.
  await look();
  const { statements } = await look();
  for (let count = 0; count < 40; count++) await owe(substrate, OWNER, 'Another', { priority: 5 });
  expect(await look()).toEqual({ waiting: 20, statements });
  for (let count = 0; count < 40; count++) await owe(substrate, helper, 'A helper’s', { priority: 1 });
  // One more page of them, and who the helper is.
  const { waiting, statements: more } = await look();
  expect(waiting).toBe(41);
  expect(more).toBeLessThanOrEqual(statements + 3);
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
    if (point === 'worker.tool.done' && ++passed === nth) throw powerWent();
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
