/** The worker as the owner meets it: its limits, what it took on, and what a task says while it waits. */
import { expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import { bench } from '../../src/substrate/benched.ts';
import { writeOrgan } from '../../src/substrate/mind/organs.ts';
import { allReceipts, codeOf, openSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { letIn } from '../substrate/bus/rig.ts';
import { owe } from '../substrate/tasks/rig.ts';
import { applyPolicy, POLICY, says } from '../mind/router/rig.ts';
import { turnOn, workerOf } from '../mind/organs/worker/rig.ts';

const NO_ROLE = POLICY.replace('  worker:', '  other:');

async function scene(at: Parameters<typeof openSeed>[0], policy = POLICY) {
  const seed = await openSeed(at);
  const { substrate } = seed;
  await applyPolicy(substrate, policy);
  const rig = workerOf(substrate, { scripts: { 'a/m': says('Done.') } });
  const ask = <T>(tool: string, input: Readonly<Record<string, unknown>> = {}): Promise<T> =>
    rig.act(tool, input, { actor: OWNER }) as Promise<T>;
  const on = async (): Promise<void> => {
    await turnOn(substrate);
    await substrate.operate({ action: 'mind.on', actor: OWNER }, (op) =>
      writeOrgan(op, 'worker', { isOn: true, admitted: true }),
    );
  };
  return { ...seed, ...rig, ask, on, [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

interface Shown {
  readonly on: boolean;
  readonly held: string | null;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly runs: readonly Readonly<Record<string, unknown>>[];
}

const USUAL = { steps: 20, budget_micro_usd: 500_000, minutes: 30, subsystems: null, helpers: false };

test('the owner sees what it took on and why it waits, and sets its limits, on record', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  expect(await seed.ask<Shown>('worker_show')).toMatchObject({ on: false, settings: USUAL, runs: [] });
  await seed.on();
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.run();
  const shown = await seed.ask<Shown>('worker_show');
  expect(shown).toMatchObject({ on: true, held: null });
  expect(shown.runs).toMatchObject([
    { task: id, title: 'Paint the fence', state: 'handed_in', steps: 1, spent_micro_usd: 20 },
  ]);
  const set = await seed.ask<Shown & { receipt: number }>('worker_set', { steps: 5, subsystems: ['website'] });
  expect(set.settings).toEqual({ ...USUAL, steps: 5, subsystems: ['website'] });
  expect((await allReceipts(seed.substrate))[set.receipt]).toMatchObject({
    action: 'worker.set',
    detail: { steps: 5, subsystems: ['website'] },
  });
  await seed.ask('worker_set', { subsystems: null });
  expect((await seed.ask<Shown>('worker_show')).settings).toEqual({ ...USUAL, steps: 5 });
});

test.each([{}, { steps: 0 }, { budget_micro_usd: -1 }, { minutes: 1.5 }, { subsystems: [] }, { pace: 3 }])(
  'what is no setting is refused: %j',
  async (input) => {
    using dir = scratch();
    await using seed = await scene(dir);
    expect(await codeOf(seed.ask('worker_set', input))).toBe('invalid_input');
    const ann = await letIn(seed.substrate, 'ann', { scopes: ['task.write'] });
    expect(await codeOf(seed.act('worker_set', { steps: 1 }, { actor: ann }))).toBe('not_found');
    expect((await seed.ask<Shown>('worker_show')).settings).toEqual(USUAL);
  },
);

test('a setting that was altered in the database stops the worker and is named', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  await seed.on();
  await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.substrate.operate({ action: 'test.alter', actor: OWNER }, (op) =>
    op.run("REPLACE INTO substrate_worker_settings (name, value) VALUES ('minutes', 'soon')"),
  );
  await expect(seed.run()).rejects.toThrow('The worker’s setting minutes cannot be read.');
  expect(seed.calls).toHaveLength(0);
});

test('without a usable model an open task of the worker’s says so; others, and while it is off, do not', async () => {
  using dir = scratch();
  await using seed = await scene(dir, NO_ROLE);
  const { substrate } = seed;
  const helper = await letIn(substrate, 'ci', { kind: 'helper', scopes: ['task.write'] });
  const own = await owe(substrate, OWNER, 'Paint the fence');
  const other = await owe(substrate, OWNER, 'Mow the lawn', { subsystem: 'garden' });
  const theirs = await owe(substrate, helper, 'Look');
  const blocked = await owe(substrate, OWNER, 'Then', { needs: [own] });
  const notes = async (): Promise<Record<string, string | null>> => {
    const { tasks } = await seed.ask<{ tasks: { id: string; note: string | null }[] }>('task_list');
    return Object.fromEntries(tasks.map(({ id, note }) => [id, note]));
  };
  const nothing = { [own]: null, [other]: null, [theirs]: null, [blocked]: null };
  expect(await notes()).toEqual(nothing);
  await seed.on();
  await seed.ask('worker_set', { subsystems: ['website'] });
  expect(await notes()).toEqual({ ...nothing, [own]: 'waiting: no usable model' });
  await applyPolicy(substrate, POLICY);
  expect(await notes()).toEqual(nothing);
});

test('says that it is paused with the mind, and when a task that is put off is tried again', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  await seed.on();
  expect(await seed.ask('worker_show')).toMatchObject({ stopped: null });
  await seed.ask('mind_pause');
  expect(await seed.ask('worker_show')).toMatchObject({ stopped: 'paused', held: null });
  expect(await seed.ask('mind_wake')).toEqual({ state: 'paused' });
  expect((await allReceipts(seed.substrate)).at(-1)).toMatchObject({ action: 'mind.wake', outcome: 'ok' });
  await seed.ask('mind_resume');
  expect(await seed.ask('mind_wake')).toEqual({ state: 'off' });
});

test('a task at its limit waits for no model; one that it has not taken on does', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  await seed.on();
  await seed.ask('worker_set', { steps: 1 });
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.run();
  await seed.ask('task_update', { do: 'verify', ok: false, id, note: 'It is blue.' });
  const other = await owe(seed.substrate, OWNER, 'Mow the lawn');
  await applyPolicy(seed.substrate, NO_ROLE);
  const { tasks } = await seed.ask<{ tasks: { id: string; note: string | null }[] }>('task_list');
  expect(Object.fromEntries(tasks.map((task) => [task.id, task.note]))).toEqual({
    [id]: null,
    [other]: 'waiting: no usable model',
  });
});

test('a model that sits out is named', async () => {
  using dir = scratch();
  await using seed = await scene(dir, POLICY);
  await seed.on();
  const sits = (target: string) => ({ target, model: '*', reason: 'overloaded', policyVersion: '1' }) as const;
  await seed.substrate.operate({ action: 'test.bench', actor: OWNER }, async (op) => {
    for (const target of ['a', 'b', 'c']) await bench(op, { ...sits(target), untilMs: op.now + 60_000 });
  });
  expect((await seed.ask<Shown>('worker_show')).held).toMatch(
    /^no usable model \(a\/m: It asked to be left alone \(overloaded\) until \d{4}-/,
  );
});

test('the log of an organ that there is not is refused, and names those that there are', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  const log = (organ: string) => seed.ask('mind_log', { organ });
  await expect(log('nope')).rejects.toMatchObject({
    code: 'not_found',
    hint: expect.stringContaining('digestor') as string,
  });
  expect(await log('worker')).toMatchObject({ decisions: [] });
  expect(await log('all')).toMatchObject({ decisions: [] });
});

test('whoever revokes an organ as a key is told how it is done; a name that is nobody’s is not', async () => {
  using dir = scratch();
  await using seed = await scene(dir);
  await seed.on();
  const revoke = (key: string) => seed.ask('key_revoke', { key });
  await expect(revoke('seed-worker')).rejects.toMatchObject({
    code: 'not_found',
    hint: expect.stringContaining('`seed agents forget seed-worker`') as string,
  });
  await expect(revoke('nobody')).rejects.toMatchObject({ hint: 'See `seed key list`.' });
});
