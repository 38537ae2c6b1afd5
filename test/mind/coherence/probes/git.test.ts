/** Commits as completions; and that no repository can make the seed run something, fetch or write. */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { readGit } from '../../../../src/mind/coherence/probes/git.ts';
import { addCommits, git, makeRepository } from '../../../support/repository.ts';
import { scratch } from '../../../support/scratch.ts';
import { DAY_MS, HOUR_MS, hoursAgo, lookAt, NOW, reasonFor } from './rig.ts';

const ago = (hours: number): { at: number } => ({ at: NOW - hours * HOUR_MS });

describe('commits', () => {
  test('their past at first, then what is new alone, and nothing where nothing is', async () => {
    using dir = scratch();
    const place = dir.at('site');
    makeRepository(place, [ago(30), ago(20), ago(10)]);
    const first = await lookAt(readGit, place);
    expect(hoursAgo(first.times)).toEqual([10, 20, 30]);
    expect(await lookAt(readGit, place, { cursor: first.cursor })).toEqual({ times: [], cursor: first.cursor });
    addCommits(place, [ago(5), ago(1)]);
    const second = await lookAt(readGit, place, { cursor: first.cursor });
    expect(hoursAgo(second.times)).toEqual([1, 5]);
    expect(second.cursor).not.toBe(first.cursor);
  });

  test('of a long history the newest thousand', async () => {
    using dir = scratch();
    const commits = Array.from({ length: 1_200 }, (_, index) => ago(1_200 - index));
    makeRepository(dir.at('old'), commits);
    const { times } = await lookAt(readGit, dir.at('old'));
    expect([times.length, Math.max(...hoursAgo(times))]).toEqual([1_000, 1_000]);
  });

  test('all again where the history was rewritten', async () => {
    using dir = scratch();
    const place = dir.at('site');
    makeRepository(place, [ago(30)]);
    const gone = 'f'.repeat(40);
    expect(hoursAgo((await lookAt(readGit, place, { cursor: gone })).times)).toEqual([30]);
    expect(hoursAgo((await lookAt(readGit, place, { cursor: '--output=/tmp/x' })).times)).toEqual([30]);
  });

  test('in a folder within a repository those that touch it; a bare one as well', async () => {
    using dir = scratch();
    const place = dir.at('mono');
    makeRepository(place, [
      { ...ago(30), file: 'web/a' },
      { ...ago(20), file: 'api/a' },
    ]);
    git(place, ['checkout', '--quiet', '--force', 'main']);
    expect(hoursAgo((await lookAt(readGit, join(place, 'web'))).times)).toEqual([30]);
    git(dir.folder, ['clone', '--quiet', '--bare', place, 'bare.git']);
    expect(hoursAgo((await lookAt(readGit, dir.at('bare.git'))).times)).toEqual([20, 30]);
  });

  test('on the branch that is checked out', async () => {
    using dir = scratch();
    const place = dir.at('site');
    makeRepository(place, [ago(30)]);
    git(place, ['checkout', '--quiet', '--force', '-b', 'side']);
    addCommits(place, [ago(2)]);
    expect(hoursAgo((await lookAt(readGit, place)).times)).toEqual([30]);
  });
});

describe('what cannot be read says why', () => {
  test('gone, no repository, no commit, a file', async () => {
    using dir = scratch();
    expect(await reasonFor(lookAt(readGit, dir.at('nowhere')))).toBe('gone');
    mkdirSync(dir.at('plain'));
    expect(await reasonFor(lookAt(readGit, dir.at('plain')))).toBe('no_repository');
    makeRepository(dir.at('empty'), []);
    expect(await reasonFor(lookAt(readGit, dir.at('empty')))).toBe('no_commits');
    writeFileSync(dir.at('file'), '');
    expect(await reasonFor(lookAt(readGit, dir.at('file')))).toBe('no_repository');
  });

  test.runIf(process.getuid?.() === 0)('a repository of another user', async () => {
    using dir = scratch();
    makeRepository(dir.at('theirs'), [ago(1)]);
    for (const path of [dir.at('theirs'), dir.at('theirs', '.git')]) chownSync(path, 65_534, 65_534);
    const look = lookAt(readGit, dir.at('theirs'));
    await expect(look).rejects.toThrow(/belongs to another user/);
    expect(await reasonFor(look)).toBe('foreign');
  });

  test('a look that is stopped ends at once', async () => {
    using dir = scratch();
    makeRepository(dir.at('site'), [ago(1)]);
    await expect(lookAt(readGit, dir.at('site'), { signal: AbortSignal.abort() })).rejects.toThrow(/stopped/);
  });
});

/** A repository whose own configuration wants to run a program, which leaves a mark. */
function hostile(folder: string, mark: string): void {
  makeRepository(folder, [{ at: NOW - DAY_MS }]);
  const program = join(folder, 'program.sh');
  writeFileSync(program, `#!/bin/sh\necho ran >> '${mark}'\nexit 1\n`);
  chmodSync(program, 0o755);
  const tree = git(folder, ['rev-parse', 'main^{tree}']).trim();
  const who = `x <x@example.org> ${(NOW - DAY_MS) / 1_000} +0000`;
  const signature = 'gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----';
  const signed = git(
    folder,
    ['hash-object', '-t', 'commit', '-w', '--stdin'],
    `tree ${tree}\nauthor ${who}\ncommitter ${who}\n${signature}\n\nx\n`,
  ).trim();
  git(folder, ['update-ref', 'refs/heads/main', signed]);
  for (const [name, value] of [
    ['log.showSignature', 'true'],
    ['gpg.program', program],
    ['core.fsmonitor', program],
    ['core.pager', program],
    ['pager.log', program],
    ['core.sshCommand', program],
    ['core.hooksPath', folder],
    ['diff.external', program],
    ['alias.log', `!${program}`],
  ] as const) {
    git(folder, ['config', name, value]);
  }
}

describe('a hostile repository', () => {
  test('runs nothing, and is read all the same', async () => {
    using dir = scratch();
    const mark = dir.at('mark');
    hostile(dir.at('theirs'), mark);
    const before = readdirSync(dir.at('theirs', '.git')).toSorted();
    expect(hoursAgo((await lookAt(readGit, dir.at('theirs'))).times)).toEqual([24]);
    expect(existsSync(mark)).toBe(false);
    expect(readdirSync(dir.at('theirs', '.git')).toSorted()).toEqual(before);
    // The control: git by itself does run it.
    git(dir.at('theirs'), ['log', '--format=%ct', 'main']);
    expect(existsSync(mark)).toBe(true);
  });

  test('what the seed was started from does not lead git elsewhere', async () => {
    using dir = scratch();
    makeRepository(dir.at('meant'), [ago(3)]);
    makeRepository(dir.at('other'), [ago(7)]);
    vi.stubEnv('GIT_DIR', dir.at('other', '.git'));
    vi.stubEnv('GIT_CONFIG_COUNT', '1');
    vi.stubEnv('PATH', dir.folder);
    try {
      expect(hoursAgo((await lookAt(readGit, dir.at('meant'))).times)).toEqual([3]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
