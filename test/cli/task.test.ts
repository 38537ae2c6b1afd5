/** `seed task`, `today`, `watch` and `todo` as the owner uses them. */
import { expect, test } from 'vitest';
import { startNode, until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, LAUNCHER, seed, seedJson, startDaemon } from './seed.ts';

interface Changed {
  readonly id: string;
  readonly state: string;
  readonly lease: number;
  readonly receipt: number;
}

test('task: from adding to cancelling, in words and as JSON, without a daemon', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  const add = ['task', 'add', 'mend the login', '--subsystem', 'website', '--accept', 'it works', 'no errors'];
  const { answer: added } = await seedJson<Changed>([...add, '--deadline', '2020-01-01', '--priority', '1'], options);
  expect(added.state).toBe('open');
  const { id } = added;
  const second = ['task', 'add', 'tell of it', '--needs', id, '--check', 'claim:site.announced@ci'];
  expect((await seed(second, options)).stdout).toMatch(/^t\d+ is open: tell of it/);
  const { stdout: list } = await seed(['task', 'list'], options);
  expect(list).toMatch(
    new RegExp(`^${id} +open +1 +website +2020-01-01T00:00:00.000Z \\(overdue\\) +mend the login$`, 'm'),
  );
  expect(list).toContain(`tell of it (waits for ${id})`);
  expect(await seed(['task', 'claim', id, '--for', '2h'], options)).toMatchObject({ code: 0 });
  expect(await seed(['task', 'progress', id, '--note', 'half of it'], options)).toMatchObject({ code: 0 });
  expect((await seed(['task', 'finish', id], options)).stdout).toContain(`${id} is finished`);
  const { code, answer } = await seedJson<ErrorAnswer>(['task', 'verify', id], options);
  expect([code, answer.error.code]).toEqual([1, 'forbidden']);
  const { stdout: show } = await seed(['task', 'show', id], options);
  for (const part of ['- it works', '- no errors', 'owner progress', ': half of it']) expect(show).toContain(part);
  const { stdout: today } = await seed(['today'], options);
  expect(today).toMatch(/^owner: .*added 2 tasks.*was refused once.*\(receipts \d+ to \d+\)$/m);
  expect(today).toMatch(/^Money: \$0\.00 spent\.$/m);
  expect(today).toMatch(/^Tasks: 1 open, 0 claimed, 1 to verify, 1 overdue\.$/m);
  expect(today).toContain(`owner was refused (forbidden): task.verify on task ${id}`);
  const { stdout: todo } = await seed(['todo'], options);
  expect(todo).toContain('Tasks overdue (1)');
  expect(todo).toContain(`task show ${id}`);
  expect(todo).not.toContain('Tasks to verify');
  expect(await seed(['task', 'cancel', id, '--note', 'not needed'], options)).toMatchObject({ code: 0 });
  expect((await seed(['todo'], options)).stdout).toBe('Nothing waits for you.\n');
  for (const wrong of [
    ['claim', '17'],
    ['add', 'x', '--check', 'what'],
    ['add', 'x', '--priority', '9'],
    ['list', '--limit', '0'],
  ]) {
    expect([wrong, (await seed(['task', ...wrong], options)).code]).toEqual([wrong, 2]);
  }
});

test('a day with one receipt, and a task that is not there, in words for whoever has commands', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  expect((await seed(['today'], options)).stdout).toMatch(/: receipt 0\.\n\nowner: .* \(receipt 0\)\n/);
  const nowhere = await seed(['task', 'show', 't99'], options);
  expect(nowhere.stderr).toBe('seed: There is no task t99.\n      `seed task list` shows them.\n');
});

test('watch follows what happens through a restart of the daemon, and ends with Ctrl+C', async () => {
  using dir = scratch();
  const home = dir.at('home');
  const options = { env: { SEED_HOME: home } };
  await initHome(home);
  expect((await seed(['watch'], options)).code).toBe(4);
  const first = await startDaemon(home);
  await using watch = startNode([LAUNCHER, 'watch', '--home', home, '--last', '20', '--json'], {});
  await watch.line((line) => line.includes('seed.start'));
  const { answer: one } = await seedJson<Changed>(['task', 'add', 'one'], options);
  await watch.line((line) => line.includes(`added task ${one.id}`));
  expect((await seed(['down'], options)).code).toBe(0);
  await first.ended;
  await until(() => watch.errors().includes('waiting until it is back'), 'word that the daemon is away');
  await using second = await startDaemon(home);
  const { answer: two } = await seedJson<Changed>(['task', 'add', 'two'], options);
  await watch.line((line) => line.includes(`added task ${two.id}`));
  watch.kill('SIGINT');
  expect(await watch.ended).toEqual({ code: 0, signal: null });
  // Every receipt since, once and in order.
  const seqs = watch.lines.map((line) => (JSON.parse(line) as { receipt: number }).receipt);
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => (seqs[0] ?? 0) + index));
  expect(seqs.at(-1)).toBe(two.receipt);
  second.kill('SIGTERM');
  await second.ended;
});
