/** `seed coherence` as the owner uses it: how the work goes, in words, as JSON and as it changes; labels and stages. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startNode, until } from '../support/child.ts';
import { newsOf } from '../../src/cli/commands/coherence.ts';
import type { CoherenceView, SubsystemView } from '../../src/tools/coherence-view.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, LAUNCHER, seed, seedJson, startDaemon } from './seed.ts';

const DAY_MS = 86_400_000;

/** A log of work: one line a day, the last one so many days ago. */
function writeWork(
  { at }: Scratch,
  name: string,
  { days, lastDaysAgo }: { days: number; lastDaysAgo: number },
): string {
  const path = at(`${name}.jsonl`);
  const now = Date.now();
  const line = (_: unknown, i: number): string =>
    JSON.stringify({ time: new Date(now - (lastDaysAgo + days - 1 - i) * DAY_MS).toISOString() });
  writeFileSync(path, `${Array.from({ length: days }, line).join('\n')}\n`);
  return path;
}

interface Coherence {
  readonly overall: string;
  readonly subsystems: readonly Readonly<Record<string, unknown>>[];
}

test('how the work goes in words and as JSON: what stalled since when and what was owed; labels, and stages to be earned', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  expect((await seed(['coherence'], options)).stdout).toMatch(
    /^Nothing is measured yet: .*`.*task add`.*`.*probe add`/,
  );
  const stopped = writeWork(dir, 'blog', { days: 40, lastDaysAgo: 35 });
  const going = writeWork(dir, 'shop', { days: 40, lastDaysAgo: 0 });
  await seed(['probe', 'add', 'jsonl', stopped, '--name', 'blog', '--field', 'time'], options);
  await seed(['probe', 'add', 'jsonl', going, '--name', 'shop', '--field', 'time'], options);
  expect((await seed(['mind', 'once'], options)).code).toBe(0);

  const { stdout: screen } = await seed(['coherence'], options);
  expect(screen).toMatch(/^Work has stalled\.\n/);
  expect(screen).toMatch(/^blog +stalled\? +·{28} +\d{4}-\d\d-\d\d +1 +observe$/m);
  expect(screen).toMatch(/^shop +healthy\? +█{28} +\d{4}-\d\d-\d\d +1 +observe$/m);
  expect(screen).toMatch(/^blog is stalled since \d{4}-\d\d-\d\dT[\d:]{8}Z\.$/m);
  expect(screen).toMatch(
    /^ {2}Nothing was completed since .*, 35 days ago; up to 2 days is usual\. The next one is owed\.$/m,
  );
  expect(screen).toMatch(/^ {2}Alarm a1: was it right\? `.*coherence label a1 right`, or wrong\.$/m);

  const { answer } = await seedJson<Coherence>(['coherence'], options);
  expect(answer.overall).toBe('stalled');
  expect(answer.subsystems).toHaveLength(2);
  expect(answer.subsystems[0]).toMatchObject({
    name: 'blog',
    status: 'stalled',
    provisional: true,
    expected_within_s: 2 * 86_400,
    owed: 1,
    stage: 'observe',
  });
  expect(answer.subsystems[0]?.['since']).toBe(answer.subsystems[0]?.['last_done']);
  const { stdout: one } = await seed(['coherence', '--subsystem', 'blog', '--history'], options);
  for (const part of ['MEASURE', 'silent for 35 days; up to 2 days is usual', 'WHEN (UTC)', 'ALARM']) {
    expect(one).toContain(part);
  }

  expect((await seed(['coherence', 'label', 'a1', 'right'], options)).stdout).toMatch(
    /^Alarm a1 of blog is labelled right\. Receipt \d+\.\n$/,
  );
  const { code, answer: early } = await seedJson<ErrorAnswer>(['coherence', 'promote', 'blog'], options);
  expect([code, early.error.code]).toEqual([1, 'conflict']);
  expect(early.error.message).toMatch(/has not earned "shadow" for blog yet\. .* takes 3 right ones; there are 1\./);
  const { answer: low } = await seedJson<ErrorAnswer>(['coherence', 'demote', 'blog'], options);
  expect(low.error.message).toBe('Coherence is at "observe" for blog. It only logs what it finds.');
  expect((await seedJson<ErrorAnswer>(['coherence', 'label', 'a9', 'wrong'], options)).answer.error.code).toBe(
    'not_found',
  );
  for (const wrong of [['label', '9', 'right'], ['label', 'a1', 'maybe'], ['label', 'a1'], ['promote']]) {
    expect([wrong, (await seed(['coherence', ...wrong], options)).code]).toEqual([wrong, 2]);
  }
});

test('what time alone changes is no news to whoever watches; what became of the work is', async () => {
  using dir = scratch();
  const options = { env: { SEED_HOME: dir.at('home') } };
  await initHome(dir.at('home'));
  const log = writeWork(dir, 'shop', { days: 40, lastDaysAgo: 0 });
  await seed(['probe', 'add', 'jsonl', log, '--name', 'shop', '--field', 'time'], options);
  await seed(['mind', 'once'], options);
  const { answer: before } = await seedJson<CoherenceView>(['coherence'], options);
  await until(async () => {
    const { answer: now } = await seedJson<CoherenceView>(['coherence'], options);
    // Some seconds of silence more; nothing else.
    if (JSON.stringify(now) === JSON.stringify(before)) return false;
    expect(newsOf(now)).toBe(newsOf(before));
    return true;
  }, 'a measure to go along with time');
  const [shop] = before.subsystems;
  if (shop === undefined) throw new Error('There is no shop.');
  const changes: readonly Partial<SubsystemView>[] = [
    { status: 'stalled' },
    { last_done: null },
    { owed: 7 },
    { finished: true },
  ];
  for (const change of changes) {
    expect(newsOf({ ...before, subsystems: [{ ...shop, ...change }] })).not.toBe(newsOf(before));
  }
});

test('a name behind it: how one subsystem is asked for', async () => {
  const { code, stderr } = await seed(['coherence', 'blog']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/has no command "blog"[^]*--subsystem blog/);
});

test('watch: a line of JSON for each change, until Ctrl+C', async () => {
  using dir = scratch();
  const home = dir.at('home');
  const options = { env: { SEED_HOME: home } };
  await initHome(home);
  await using daemon = await startDaemon(home);
  await using watch = startNode([LAUNCHER, 'coherence', '--watch', '--home', home, '--json'], {});
  await watch.line((line) => line.includes('"overall":"unknown"'));
  const path = writeWork(dir, 'blog', { days: 40, lastDaysAgo: 35 });
  // Added while the daemon serves: it looks there by itself, at once.
  await seed(['probe', 'add', 'jsonl', path, '--name', 'blog', '--field', 'time'], options);
  await watch.line((line) => line.includes('"overall":"stalled"'));
  watch.kill('SIGINT');
  expect(await watch.ended).toEqual({ code: 0, signal: null });
  expect(new Set(watch.lines).size).toBe(watch.lines.length);
  daemon.kill('SIGTERM');
  await daemon.ended;
});
