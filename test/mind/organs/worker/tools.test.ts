/** What the worker's model can reach, whatever it or anybody whose words it reads asks for. */
import { expect, test } from 'vitest';
import type { Actor } from '../../../../src/substrate/actor.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { remember } from '../../../../src/substrate/memory/memory.ts';
import { writeWorkerSettings } from '../../../../src/substrate/mind/worker.ts';
import { Toolbox } from '../../../../src/mind/organs/worker/tools.ts';
import { acceptLatest } from '../../../../src/substrate/sessions/handover.ts';
import { TOOLS } from '../../../support/tools.ts';
import { codeOf, openSeed } from '../../../support/home.ts';
import { scratch } from '../../../support/scratch.ts';
import { letIn } from '../../../substrate/bus/rig.ts';
import { SESSION_SCOPES } from '../../../substrate/sessions/rig.ts';
import { owe, taskOf } from '../../../substrate/tasks/rig.ts';
import { applyPolicy, POLICY } from '../../router/rig.ts';
import type { Wanted } from './rig.ts';
import { plays, resultsOf, runOf, turnOn, workerOf } from './rig.ts';

async function scene(at: Parameters<typeof openSeed>[0], wanted: readonly Wanted[]) {
  const seed = await openSeed(at);
  const { substrate } = seed;
  await applyPolicy(substrate, POLICY);
  const self = await turnOn(substrate);
  const rig = workerOf(substrate, {
    scripts: { 'a/m': wanted.length === 0 ? plays('Done.') : plays(wanted, 'Done.') },
  });
  /** Has a task done that somebody added; resolves to the results of its tools. */
  const has = async (adder: Actor): Promise<string[]> => {
    const id = await owe(substrate, adder, 'Look after the fence');
    await rig.run();
    expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
    return resultsOf(substrate, id);
  };
  return { ...seed, ...rig, self, has, [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

const names = (calls: Awaited<ReturnType<typeof scene>>['calls']): string[] =>
  (calls[0]?.request.tools ?? []).map(({ name }) => name);

test('is offered a fixed list of tools, with the arguments that are its to give', async () => {
  using dir = scratch();
  await using seed = await scene(dir, []);
  await seed.has(OWNER);
  expect(names(seed.calls)).toEqual([
    'memory_search',
    'memory_get',
    'memory_write',
    'bus_send',
    'receipt_note',
    'task_list',
    'task_progress',
    'task_release',
  ]);
  const tools = seed.calls[0]?.request.tools ?? [];
  const parameters = Object.fromEntries(
    tools.map((tool) => [tool.name, JSON.parse(tool.parameters) as { properties: object; required?: string[] }]),
  );
  expect(parameters['memory_write']).toMatchObject({
    required: ['text'],
    properties: { space: { default: 'shared' } },
  });
  expect(Object.keys(parameters['bus_send']?.properties ?? {})).toEqual(['to', 'text', 'thread']);
  expect(Object.keys(parameters['task_progress']?.properties ?? {})).toEqual(['note']);
});

test('whatever else it calls or gives is refused, and changes nothing', async () => {
  using dir = scratch();
  await using seed = await scene(dir, [
    ['key_issue', { name: 'me' }],
    ['task_update', { do: 'verify', id: 't1' }],
    ['policy_apply', {}],
    ['task_progress', { note: 'x', id: 't1' }],
    ['memory_write', { text: 'x', idempotency_key: 'mine' }],
    ['memory_write', { text: 'x', space: 'private' }],
    ['memory_search', { query: 'x', space: 'team' }],
    ['memory_search', {}],
    ['receipt_note', { text: 'x', action: 'task.verify' }],
  ]);
  const results = await seed.has(OWNER);
  expect(results).toHaveLength(9);
  for (const result of results) expect(result).toMatch(/^error: /);
  expect(results[0]).toBe('error: There is no tool key_issue.');
  expect(results[3]).toContain('task_progress takes note');
  expect(results[5]).toContain('forbidden');
});

test('an answer may call so many tools and no more', async () => {
  using dir = scratch();
  await using seed = await scene(
    dir,
    Array.from({ length: 18 }, (_, nr): Wanted => ['memory_search', { query: `fence ${nr}` }]),
  );
  const results = await seed.has(OWNER);
  expect(results.map((result) => result.slice(0, 5))).toEqual([
    ...Array<string>(16).fill('ok: N'),
    ...Array<string>(2).fill('error'),
  ]);
});

const SEND: readonly Wanted[] = [
  ['bus_send', { to: 'owner', text: 'Hello.' }],
  ['bus_send', { to: 'ann', text: 'Hello.' }],
  ['bus_send', { to: 'ci', text: 'All that the shared memory has.' }],
  ['bus_send', { to: ['owner', 'ci'], text: 'The same.' }],
  ['bus_send', { to: 'topic:news', text: 'The same.' }],
  ['bus_send', { to: 'seed', text: 'Give me more to do.' }],
  ['bus_send', { to: 'seed-worker', text: 'Give me more to do.' }],
];

test('what it reads cannot make it a way out: it writes to the owner and local agents', async () => {
  using dir = scratch();
  await using seed = await scene(dir, SEND);
  const ann = await letIn(seed.substrate, 'ann', { scopes: ['task.write', 'bus.send', 'bus.receive'] });
  await letIn(seed.substrate, 'ci', { kind: 'helper', scopes: ['bus.receive'] });
  const results = await seed.has(ann);
  expect(results.map((result) => result.slice(0, 8))).toEqual([
    'ok: Sent',
    'ok: Sent',
    ...Array<string>(5).fill('error: T'),
  ]);
});

test('does no more for somebody than they may do themselves', async () => {
  using dir = scratch();
  await using seed = await scene(dir, [
    ['memory_search', { query: 'secret' }],
    ['memory_write', { text: 'x' }],
    ...SEND,
  ]);
  const { substrate } = seed;
  await remember(substrate, OWNER, { text: 'The secret is 7.', space: 'shared' });
  await substrate.operate({ action: 'worker.set', actor: OWNER }, (op) => writeWorkerSettings(op, { helpers: true }));
  const scopes = ['task.write', 'bus.send', 'bus.send:owner', 'memory.read:private', 'bus.receive'];
  const helper = await letIn(substrate, 'ci', { kind: 'helper', scopes });
  const results = await seed.has(helper);
  expect(names(seed.calls)).toEqual(['bus_send', 'task_progress', 'task_release']);
  expect(results.slice(0, 2)).toEqual([
    'error: There is no tool memory_search.',
    'error: There is no tool memory_write.',
  ]);
  // The owner, and whoever added it: nobody else.
  expect(results.slice(2).map((result) => result.slice(0, 8))).toEqual([
    'ok: Sent',
    'error: T',
    'ok: Sent',
    'ok: Sent',
    ...Array<string>(3).fill('error: T'),
  ]);
  // The control: for the owner it finds it.
  expect((await seed.has(OWNER))[0]).toContain('The secret is 7.');
});

test('what a schedule adds is the owner’s; another organ has no more than its own scopes', async () => {
  using dir = scratch();
  await using seed = await scene(dir, [['memory_search', { query: 'fence' }]]);
  const clock = await letIn(seed.substrate, 'seed-clock', { scopes: ['task.write'] });
  expect(await seed.has(clock)).toEqual([expect.stringMatching(/^ok: /) as string]);
  const other = await letIn(seed.substrate, 'seed-digestor', { scopes: ['task.write'] });
  expect(await seed.has(other)).toEqual(['error: There is no tool memory_search.']);
});

test('nobody answers for a task whose adder is gone: it is not taken on', async () => {
  using dir = scratch();
  await using seed = await scene(dir, []);
  const { substrate, sources } = seed;
  const ann = await letIn(substrate, 'ann', { scopes: ['task.write'], expiresAt: sources.time + 1_000 });
  const id = await owe(substrate, ann, 'Look after the fence');
  sources.time += 1_000;
  expect(await seed.run()).toMatchObject({ done: 0 });
  expect(await taskOf(substrate, id)).toMatchObject({ lease: 0 });
});

test('[LOCK-HANDOFF-1] its session is not taken over as one of a client that went silent', async () => {
  using dir = scratch();
  const gate = Promise.withResolvers<void>();
  await using seed = await scene(dir, []);
  const { substrate, sources } = seed;
  const asked = Promise.withResolvers<void>();
  const rig = workerOf(substrate, {
    scripts: {
      async *'a/m'(request, context) {
        asked.resolve();
        await gate.promise;
        yield* plays('Done.')(request, context);
      },
    },
  });
  const bob = await letIn(substrate, 'bob', { scopes: SESSION_SCOPES });
  const id = await owe(substrate, OWNER, 'Look after the fence');
  const running = rig.run();
  await asked.promise;
  sources.time += 11 * 60_000;
  const { session } = await runOf(substrate, id);
  const take = { redeemId: 'one', session, goneSince: () => 0 };
  expect(await codeOf(acceptLatest(substrate, bob, take))).toBe('not_found');
  gate.resolve();
  expect(await running).toMatchObject({ done: 1 });
});

test('where the seed lacks a tool of its list it says so when it is made', async () => {
  using dir = scratch();
  await using seed = await scene(dir, []);
  const parts = { substrate: seed.substrate, act: seed.act, fault: () => {} };
  expect(
    () =>
      new Toolbox(
        parts,
        TOOLS.filter(({ name }) => name !== 'bus_send'),
      ),
  ).toThrow('bus_send');
  expect(() => new Toolbox(parts, TOOLS)).not.toThrow();
});
