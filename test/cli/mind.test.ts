/** `seed mind`: with a daemon, which does what is written to it by itself, and without one. */
import { expect, test } from 'vitest';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import { seed, serving, startSeed } from '../support/seed-command.ts';

interface OrganView {
  readonly name: string;
  readonly on: boolean;
  readonly why: string;
}

async function organs(home: string): Promise<ReadonlyMap<string, OrganView>> {
  const { json } = await seed(home, ['mind', 'status']);
  return new Map((json!['organs'] as OrganView[]).map((organ) => [organ.name, organ]));
}

async function tasks(home: string): Promise<unknown[]> {
  return (await seed(home, ['task', 'list'])).json?.['tasks'] as unknown[];
}

test('[LOCK-MIND-1] without a daemon it is off, and does what waits when it is told to', async () => {
  using dir = scratch();
  const home = dir.at('home');
  await seed(home, ['init']);
  expect((await seed(home, ['mind', 'status'])).json).toMatchObject({ state: 'off', paused: false });
  expect((await organs(home)).get('worker')).toMatchObject({ on: false, why: 'it is switched off' });
  await seed(home, ['bus', 'send', 'seed', 'task: mend the fence']);
  expect(await tasks(home)).toEqual([]);
  const { code, json } = await seed(home, ['mind', 'once']);
  expect(code).toBe(0);
  expect(json?.['runs']).toContainEqual({
    organ: 'digestor',
    because: '1 piece waits',
    done: 1,
    says: '1 × task',
    code: null,
  });
  expect(await tasks(home)).toMatchObject([{ title: 'mend the fence' }]);
  // Again there is nothing, since all of it was done the first time; coherence looks in each new process.
  const again = (await seed(home, ['mind', 'once'])).json?.['runs'] as { organ: string; says: string | null }[];
  expect(again.filter(({ organ, says }) => organ !== 'coherence' || says !== null)).toEqual([]);
  const { decisions } = (await seed(home, ['mind', 'log', '--organ', 'digestor'])).json as { decisions: unknown[] };
  expect(decisions).toMatchObject([{ organ: 'digestor', act: 'run', done: 1, says: '1 × task' }]);
  expect(await seed(home, ['mind', 'on', 'nobody'])).toMatchObject({
    code: 1,
    json: { error: { code: 'not_found', hint: expect.stringContaining('digestor') as string } },
  });
});

test('a daemon does it by itself, unless it is paused or the organ is off, and goes on after a kill', async () => {
  using dir = scratch();
  const home = dir.at('home');
  await seed(home, ['init']);
  await using first = startSeed(home, ['up']);
  await serving(first);
  expect((await seed(home, ['status'])).json).toMatchObject({ serving: true, mind: expect.any(String) as string });
  await seed(home, ['bus', 'send', 'seed', 'task: one']);
  await until(async () => (await tasks(home)).length === 1, 'the message to become a task');
  expect((await seed(home, ['mind', 'pause'])).json).toMatchObject({ changed: true });
  expect((await seed(home, ['mind', 'pause'])).json).toEqual({ changed: false, receipt: null });
  await seed(home, ['bus', 'send', 'seed', 'task: two']);
  expect((await seed(home, ['status'])).json).toMatchObject({ mind: 'paused' });
  expect((await organs(home)).get('digestor')).toMatchObject({ on: true, why: 'the owner has paused the mind' });
  first.kill('SIGKILL');
  await first.ended;
  await using second = startSeed(home, ['up']);
  await serving(second);
  expect(await tasks(home)).toHaveLength(1);
  await seed(home, ['mind', 'off', 'digestor']);
  await seed(home, ['mind', 'resume']);
  expect((await organs(home)).get('digestor')).toMatchObject({ on: false });
  expect(await tasks(home)).toHaveLength(1);
  expect((await seed(home, ['mind', 'on', 'digestor'])).json).toMatchObject({
    scopes: expect.arrayContaining(['task.write']) as string[],
  });
  await until(async () => (await tasks(home)).length === 2, 'the second to become one');
}, 60_000);
