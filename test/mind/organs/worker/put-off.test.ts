/** One task that models fail at: it is put off and given up in the end, and keeps no other waiting. */
import { expect, test } from 'vitest';
import type { FaultKind } from '../../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { scratch } from '../../../support/scratch.ts';
import { owe, taskOf } from '../../../substrate/tasks/rig.ts';
import type { Script } from '../../router/rig.ts';
import { plays, runOf, transcriptOf } from './rig.ts';
import { scene } from './scene.ts';

/** A model that fails at the tasks whose title has this in it, and does the others. */
function chokesOn(word: string, kind: FaultKind): Script {
  return async function* (request, context) {
    if (JSON.stringify(request.messages).includes(word)) {
      throw new ProviderFault(kind, 'That makes no sense.', { mayBeBilled: false });
    }
    yield* plays('Done.')(request, context);
  };
}

test.each(['bad_chunk', 'rejected'] as const)(
  'a task that the model chokes on (%s) keeps no other waiting, and is given up after three tries',
  async (kind) => {
    using dir = scratch();
    await using seed = await scene(dir, chokesOn('poison', kind));
    const { substrate, sources } = seed;
    const bad = await owe(substrate, OWNER, 'The poison', { priority: 1 });
    const good = await owe(substrate, OWNER, 'Paint the fence', { priority: 5 });
    await seed.runAll();
    expect(await taskOf(substrate, good)).toMatchObject({ state: 'finished' });
    expect(await runOf(substrate, bad)).toMatchObject({ state: 'waiting', failures: 1, nextAt: sources.time + 30_000 });
    expect(await taskOf(substrate, bad)).toMatchObject({ state: 'open' });
    // Nothing holds the worker; it looks again by itself when the task is due.
    expect(await seed.see()).toEqual({ waiting: 0, nextAt: sources.time + 30_000, held: null });
    sources.time += 30_000;
    await seed.runAll();
    expect(await seed.see()).toMatchObject({ nextAt: sources.time + 60_000, held: null });
    sources.time += 60_000;
    await seed.runAll();
    expect(await runOf(substrate, bad)).toMatchObject({
      state: 'gave_up',
      why: `the models fail at it (${kind}), 3 times in a row`,
      nextAt: null,
    });
    expect(await taskOf(substrate, bad)).toMatchObject({ state: 'open' });
    expect(await seed.see()).toEqual({ waiting: 0, nextAt: null, held: null });
  },
);

test('models that fail at one task after the other hold the worker, and no task is given up for that', async () => {
  using dir = scratch();
  let mended = false;
  const script: Script = async function* (request, context) {
    if (!mended) throw new ProviderFault('rejected', 'There is no such model.', { mayBeBilled: false });
    yield* plays('Done.')(request, context);
  };
  await using seed = await scene(dir, script);
  const { substrate, sources } = seed;
  const ids: string[] = [];
  for (let count = 0; count < 5; count++) ids.push(await owe(substrate, OWNER, `Task ${count}`));
  for (let round = 0; round < 8; round++) {
    await seed.runAll();
    const { held, nextAt } = await seed.see();
    expect(held).not.toBeNull();
    sources.time = nextAt ?? 0;
  }
  expect(seed.calls.length).toBeLessThan(30);
  mended = true;
  await seed.runAll();
  sources.time += 3_600_000;
  await seed.runAll();
  for (const id of ids) expect(await taskOf(substrate, id)).toMatchObject({ state: 'finished' });
});

test('a model that answers nothing three times in a row is not asked a fourth time; one that pulls itself together is', async () => {
  using dir = scratch();
  await using seed = await scene(dir, plays(''));
  const id = await owe(seed.substrate, OWNER, 'Paint the fence');
  await seed.runAll();
  expect(await runOf(seed.substrate, id)).toMatchObject({
    state: 'gave_up',
    steps: 3,
    why: 'its last 3 answers were empty or cut off',
  });
  using other = scratch();
  const looks = [['memory_search', { query: 'paint' }]] as const;
  await using second = await scene(other, plays(' ', ' ', looks, ' ', ' ', 'Done.'));
  const done = await owe(second.substrate, OWNER, 'Paint the fence');
  await second.runAll();
  expect(await taskOf(second.substrate, done)).toMatchObject({ state: 'finished' });
  expect(await transcriptOf(second.substrate, done)).toHaveLength(13);
});
