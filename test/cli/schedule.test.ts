/** `seed schedule` and `seed probe` as the owner uses them, up to the first cycle that finds what stopped. */
import { expect, test } from 'vitest';
import { taskOf } from '../../src/cli/commands/schedule.ts';
import { makeRepository } from '../support/repository.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, seed, seedJson } from './seed.ts';

const DAY_MS = 86_400_000;

test('schedule: a new home has its nightly drain; add, look ahead, remove', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  const add = ['schedule', 'add', 'plants', '0 9 29 2 *', '--zone', 'Europe/Berlin', '--title', 'water them'];
  const { stdout: added } = await seed(add, options);
  expect(added).toMatch(/^plants is due next \w{3} 29 Feb \d{4} 09:00 Europe\/Berlin\. Receipt \d+\.\n$/);
  const { stdout: list } = await seed(['schedule', 'list'], options);
  expect(list).toMatch(/^nightly-drain +0 3 \* \* \* +drain +once +at the next start +not yet$/m);
  expect(list).toMatch(/^plants +0 9 29 2 \* +task: water them +once +\w{3} 29 Feb \d{4} 09:00 Europe\/Berlin/m);
  const { stdout: next } = await seed(['schedule', 'next', 'plants', '--count', '2'], options);
  expect(next).toMatch(/^\w{3} 29 Feb (\d{4}) 09:00 Europe\/Berlin +\1-02-29T08:00:00Z +plants$/m);
  const dream = ['schedule', 'next', '--cron', '30 2 28 3 *', '--zone', 'Europe/Berlin', '--count', '40'];
  // A Sunday on which that time does not exist.
  expect((await seed(dream, options)).stdout).toMatch(/^Sun 28 Mar \d{4} 03:00 Europe\/Berlin/m);
  const { code, answer: refused } = await seedJson<ErrorAnswer>(['schedule', 'add', 'x', '0 25 * * *'], options);
  expect([code, refused.error.message]).toEqual([2, expect.stringContaining('job')]);
  expect((await seed(['schedule', 'remove', 'plants'], options)).stdout).toMatch(/^plants is not scheduled any more/);
});

test('schedule: what says which task is added fits together, or is refused by its name', () => {
  const options = { catchUp: 'once' } as const;
  for (const [wrong, message] of [
    [{ job: 'synthesizer', subsystem: 'foo' }, '--subsystem does not belong to the job synthesizer.'],
    [{ job: 'drain', task: { title: 'x' } }, '--task does not belong to the job drain.'],
    [{ task: { title: 'x' }, title: 'y' }, '--title and --task do not go together.'],
    [{ subsystem: 'foo' }, '--title is missing.'],
    [{}, 'Neither a task nor another job is named.'],
    [{ job: 'task' }, 'Neither a task nor another job is named.'],
  ] as const) {
    expect(() => taskOf({ ...options, ...wrong })).toThrow(message);
  }
  expect(taskOf({ ...options, job: 'drain' })).toBeNull();
  expect(taskOf({ ...options, title: 'x', subsystem: 'foo' })).toEqual({ title: 'x', subsystem: 'foo' });
  expect(taskOf({ ...options, task: { title: 'x' } })).toEqual({ title: 'x' });
});

interface Pulse {
  readonly subsystems: readonly { readonly name: string; readonly status: string; readonly last_done: string | null }[];
}

test('probe: work that stopped weeks ago is found by the first cycle, until it is said to be finished', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const stopped = now - 35 * DAY_MS;
  const until = (end: number): { at: number }[] =>
    Array.from({ length: 40 }, (_, index) => ({ at: end - (39 - index) * DAY_MS }));
  makeRepository(dir.at('silent'), until(stopped));
  makeRepository(dir.at('lively'), until(now - DAY_MS / 4));
  const { stdout: added } = await seed(['probe', 'add', 'git', dir.at('silent'), '--name', 'silent'], options);
  const day = new Date(stopped).toISOString().slice(0, 10);
  expect(added).toMatch(new RegExp(`^silent is watched: 40 completions there, the newest of ${day}T\\S+Z\\. Receipt`));
  await seed(['probe', 'add', 'git', 'lively', '--name', 'lively', '--every', '1h'], { ...options, cwd: dir.folder });
  expect((await seed(['mind', 'once'], options)).stdout).toContain('silent: 40 new completions.');
  const statuses = async (): Promise<Record<string, string>> => {
    const { answer } = await seedJson<Pulse>(['coherence'], options);
    return Object.fromEntries(answer.subsystems.map(({ name, status }) => [name, status]));
  };
  expect(await statuses()).toMatchObject({ silent: 'stalled', lively: 'healthy' });
  expect((await seed(['coherence'], options)).stdout).toContain(day);
  const { stdout: list } = await seed(['probe', 'list'], options);
  expect(list).toMatch(new RegExp(`^lively +git +${dir.at('lively')} +\\S+Z +1 h`, 'm'));
  const finish = ['probe', 'add', 'git', dir.at('silent'), '--name', 'silent', '--finished'];
  expect((await seed(finish, options)).stdout).toMatch(/^silent is watched as before\. Its work is finished/);
  expect((await statuses())['silent']).not.toBe('stalled');
  expect((await seed(['probe', 'remove', 'lively'], options)).stdout).toMatch(/^lively is not watched any more/);
  const { code, stderr } = await seed(['probe', 'add', 'git', dir.at('nowhere'), '--name', 'x'], options);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`${dir.at('nowhere')} is not there.`)]);
});
