/** `seed memory`: what the owner writes, finds, forgets, and takes in and out. */
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, seed, seedJson, startDaemon } from './seed.ts';

/** Each test starts the command a dozen times. */
const RUNS_MS_MAX = 120_000;

interface Results {
  readonly results: readonly { readonly id: string; readonly text: string; readonly subject?: string }[];
}

const search = async (home: string, query: string): Promise<Results['results']> =>
  (await seedJson<Results>(['memory', 'search', query, '--home', home])).answer.results;

test('write, search, show, forget, restore, erase; made harmless to the terminal', {
  timeout: RUNS_MS_MAX,
}, async () => {
  using room = scratch();
  const home = room.at('home');
  await using _daemon = await startDaemon(home);
  const to = ['--home', home];
  const wrote = await seed(['memory', 'write', 'The gate opens at seven.\u001b[31m', '--kind', 'fact', ...to]);
  expect(wrote).toMatchObject({ code: 0, stderr: '' });
  expect(wrote.stdout).toMatch(/^Remembered as 1\.1\. Receipt \d+\.\n$/);
  const found = await seed(['memory', 'search', 'when', 'does', 'the', 'gate', 'open', ...to]);
  expect(found.stdout).toMatch(/^1\.1 {2}shared, fact, \S+, by owner\n {2}The gate opens at seven\.\\u001b\[31m\n$/);
  expect((await seed(['memory', 'show', '1.1', ...to])).stdout).toMatch(/receipt {2}\d+/);
  expect((await seed(['memory', 'list', ...to])).stdout).toMatch(/SPACE {3}MEMORIES\nshared {2}1\n1\.1 /);
  expect((await seed(['memory', 'forget', '1.1', ...to])).stdout).toContain('memory restore 1.1');
  expect((await seed(['memory', 'search', 'gate', ...to])).stdout).toContain('Nothing is remembered');
  expect((await seed(['memory', 'list', '--forgotten', ...to])).stdout).toContain('1.1');
  expect((await seed(['memory', 'restore', '1.1', ...to])).code).toBe(0);
  expect((await search(home, 'gate')).length).toBe(1);
  expect((await seed(['memory', 'forget', '1.1', '--now', ...to])).stdout).toMatch(
    /^1\.1 is erased\. Receipt \d+\.\n$/,
  );
  for (const verb of ['show', 'forget', 'restore']) {
    const gone = await seedJson<ErrorAnswer>(['memory', verb, '1.1', ...to]);
    expect(gone).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
  }
  expect((await seed(['memory', 'show', 'x', ...to])).code).toBe(2);
});

test('what is exported is imported elsewhere, once, with what took the place of what', {
  timeout: RUNS_MS_MAX,
}, async () => {
  using room = scratch();
  const [home, other, file] = [room.at('home'), room.at('other'), room.at('out.jsonl')];
  await initHome(home);
  await initHome(other);
  const old = await seedJson<{ id: string }>([
    'memory',
    'write',
    'The lock is red.',
    '--subject',
    'lock',
    '--home',
    home,
  ]);
  const correct = ['memory', 'write', 'The lock is blue.', '--supersedes', old.answer.id, '--home', home];
  expect((await seed(correct)).code).toBe(0);
  await seed(['memory', 'write', 'for my eyes', '--space', 'private', '--home', home]);
  const exported = await seedJson<object>(['memory', 'export', '--out', file, '--home', home]);
  expect(exported).toMatchObject({ code: 0, answer: { memories: 3 } });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await seed(['memory', 'export', '--out', file, '--home', home])).code).not.toBe(0);
  // Where it came from, all of it is there.
  const same = await seedJson<object>(['memory', 'import', file, '--home', home]);
  expect(same.answer).toMatchObject({ memories: 0, repeated: 3 });
  const bring = ['memory', 'import', file, '--home', other];
  expect((await seedJson<object>(bring)).answer).toMatchObject({ memories: 3, repeated: 0 });
  expect((await seedJson<object>(bring)).answer).toMatchObject({ memories: 0, repeated: 3 });
  const found = await search(other, 'which colour is the lock');
  const [blue, red] = found;
  expect(blue).toMatchObject({ text: 'The lock is blue.', supersedes: red?.id });
  expect(red).toMatchObject({ text: 'The lock is red.', superseded_by: blue?.id, subject: 'lock' });
  const back = await seed(['memory', 'export', '--home', other]);
  const essence = (text: string): object[] =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .map(({ text: said, space, subject, at }) => ({ said, space, subject, at }));
  expect(essence(back.stdout)).toEqual(essence(readFileSync(file, 'utf8')));
});

test('the file of server-memory is imported: entities, observations, relations', { timeout: RUNS_MS_MAX }, async () => {
  using room = scratch();
  const [home, file] = [room.at('home'), room.at('memory.json')];
  await initHome(home);
  const graph = [
    {
      type: 'entity',
      name: 'Ada Lovelace',
      entityType: 'Person',
      observations: ['Wrote the first program', 'Likes tea'],
    },
    { type: 'entity', name: 'Engine', entityType: 'machine', observations: [] },
    { type: 'relation', from: 'Ada Lovelace', to: 'Engine', relationType: 'programmed' },
  ];
  writeFileSync(file, graph.map((line) => JSON.stringify(line)).join('\n'));
  const bring = ['memory', 'import', file, '--format', 'server-memory', '--home', home];
  expect((await seedJson<object>(bring)).answer).toMatchObject({ memories: 4, repeated: 0 });
  expect((await search(home, 'who wrote a program'))[0]).toMatchObject({
    text: 'Wrote the first program',
    subject: 'Ada Lovelace',
    kind: 'person',
    space: 'shared',
  });
  expect((await search(home, 'programmed engine'))[0]).toMatchObject({ text: 'Ada Lovelace programmed Engine' });
  writeFileSync(file, '{"type":"thing"}\n');
  expect(await seedJson<ErrorAnswer>(bring)).toMatchObject({ answer: { error: { code: 'invalid_input' } } });
  writeFileSync(file, 'not JSON\n');
  expect((await seedJson<ErrorAnswer>(bring)).answer.error.message).toContain('Line 1');
});

test('a folder of notes is imported: front matter, sections, no links', { timeout: RUNS_MS_MAX }, async () => {
  using room = scratch();
  const [home, notes, secret] = [room.at('home'), room.at('notes'), room.at('secret.md')];
  await initHome(home);
  mkdirSync(`${notes}/deep/.hidden`, { recursive: true });
  writeFileSync(secret, 'secret mongoose');
  symlinkSync(secret, `${notes}/link.md`);
  writeFileSync(`${notes}/deep/.hidden/x.md`, 'hidden mongoose');
  writeFileSync(`${notes}/other.txt`, 'plain mongoose');
  const matter = '---\ntitle: Garden plan\ndate: 2026-03-04\nkind: Plan\n---\n';
  writeFileSync(
    `${notes}/deep/garden.md`,
    `${matter}# Beds\n\nTomatoes in the south.\n\n## Water\n\nEvery second day.\n`,
  );
  const long = Array.from({ length: 300 }, (_, nr) => `Paragraph ${nr} of a long note.`).join('\n\n');
  writeFileSync(`${notes}/long.md`, long);
  const bring = ['memory', 'import', notes, '--format', 'notes', '--space', 'notes', '--home', home];
  const { answer } = await seedJson<{ memories: number }>(bring);
  expect(answer.memories).toBeGreaterThan(4);
  expect((await search(home, 'where do tomatoes grow'))[0]).toMatchObject({
    subject: 'Garden plan',
    kind: 'plan',
    at: '2026-03-04T00:00:00.000Z',
    source: 'file:deep/garden.md',
    space: 'notes',
  });
  expect((await search(home, 'paragraph 299'))[0]?.text).toContain('Paragraph 299 of');
  expect(await search(home, 'mongoose')).toEqual([]);
  expect((await seedJson<object>(bring)).answer).toMatchObject({ memories: 0 });
  const linked = room.at('linked');
  symlinkSync(notes, linked);
  const refused = await seedJson<ErrorAnswer>(['memory', 'import', linked, '--format', 'notes', '--home', home]);
  expect(refused).toMatchObject({ answer: { error: { code: 'invalid_input' } } });
  writeFileSync(`${notes}/bad.md`, '---\n a: b: c\n---\nx');
  expect((await seedJson<ErrorAnswer>(bring)).answer.error.message).toContain('bad.md');
  writeFileSync(`${notes}/bad.md`, `---\na: &a [x]\nb: [${'*a,'.repeat(200)}]\n---\nx`);
  expect((await seedJson<ErrorAnswer>(bring)).answer.error.code).toBe('invalid_input');
});
