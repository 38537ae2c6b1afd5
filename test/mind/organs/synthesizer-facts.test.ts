/** What a synthesis is told of a period: no more than fits, and nothing is referred to that is not in it. */
import { expect, test } from 'vitest';
import { gather } from '../../../src/mind/organs/synthesizer/facts.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { act, owe, worker } from '../../substrate/tasks/rig.ts';

const periodOf = (substrate: Substrate) =>
  substrate.read(async (db) => ({
    first: 0,
    last: ((await db.get<{ size: number }>('SELECT size FROM substrate_log WHERE id = 1'))?.size ?? 0) - 1,
  }));

const named = (lines: readonly string[]): number[] => {
  const all = lines.flatMap((line) => [...line.matchAll(/#(\d+)/g)].map(([, number]) => Number(number)));
  return [...new Set(all)].toSorted((a, b) => a - b);
};

test('the newest events and faults are shown, and only what is shown may be referred to', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await worker(substrate, 'ann');
  const old = await owe(substrate, OWNER, 'The oldest');
  for (let count = 0; count < 40; count++) {
    // Refused: who did a task does not verify it, and a task that is open is not finished.
    expect(await codeOf(act(substrate, ann, old, 'verify'))).toBe('conflict');
  }
  for (let count = 0; count < 62; count++) await owe(substrate, OWNER, `Number ${count}`);
  const newest = await owe(substrate, OWNER, 'The newest');
  const { lease } = await act(substrate, ann, newest, 'claim');
  await act(substrate, ann, newest, 'progress', { lease });
  await act(substrate, ann, newest, 'finish', { lease });
  const { lines, shown } = await gather(substrate, await periodOf(substrate));
  expect(shown).toEqual(named(lines));
  const tasks = lines.filter((line) => / task\.[a-z]+ of /.test(line));
  expect(tasks).toHaveLength(60);
  expect(tasks.at(-1)).toMatch(/^- #\d+ ann: task\.finish of t\d+ "The newest"$/);
  expect(tasks.at(-2)).toMatch(/owner: task\.add of t\d+ "The newest"$/);
  expect(lines.join('\n')).not.toContain('The oldest');
  const faults = lines.filter((line) => line.includes('task.verify refused (conflict) on task'));
  expect(faults).toHaveLength(30);
  const receipts = faults.map((line) => named([line])[0] ?? NaN);
  expect(receipts).toEqual(receipts.toSorted((a, b) => a - b));
});

test('a period is its receipts: what was before and after is in none of its lines', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  await owe(substrate, OWNER, 'Before');
  const first = (await periodOf(substrate)).last + 1;
  const id = await owe(substrate, OWNER, 'Within');
  const { last } = await periodOf(substrate);
  await owe(substrate, OWNER, 'After');
  const { lines, shown } = await gather(substrate, { first, last });
  expect(lines.filter((line) => / task\.[a-z]+ of /.test(line))).toEqual([
    `- #${last} owner: task.add of ${id} "Within"`,
  ]);
  expect(shown).toEqual([last]);
  expect(await gather(substrate, { first: last, last: first - 1 })).toEqual({ lines: [], shown: [] });
});
