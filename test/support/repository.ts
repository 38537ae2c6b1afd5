/** Git repositories for tests, with commits at given moments; made in one stroke by `git fast-import`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export interface MadeCommit {
  /** ms since the epoch, whole seconds. */
  readonly at: number;
  /** The file that it changes. */
  readonly file?: string;
}

/** As somebody who has no configuration of their own, and no repository of the outer shell's. */
export function git(folder: string, args: readonly string[], input = ''): string {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };
  return execFileSync('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args], {
    env,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

export function makeRepository(folder: string, commits: readonly MadeCommit[]): void {
  mkdirSync(folder, { recursive: true });
  git(folder, ['init', '--quiet', '--initial-branch=main']);
  addCommits(folder, commits);
}

/** Further commits on top of what is there. */
export function addCommits(folder: string, commits: readonly MadeCommit[]): void {
  const stream = commits.map(({ at, file = 'file.txt' }, index) => {
    const who = `x <x@example.org> ${Math.floor(at / 1_000)} +0000`;
    const from = index === 0 && hasCommits(folder) ? 'from refs/heads/main^0\n' : '';
    const text = `${at} ${index}`;
    return `commit refs/heads/main\ncommitter ${who}\ndata 1\nx\n${from}M 644 inline ${file}\ndata ${text.length}\n${text}\n`;
  });
  git(folder, ['fast-import', '--quiet', '--force'], stream.join(''));
}

function hasCommits(folder: string): boolean {
  try {
    git(folder, ['rev-parse', '--verify', '--quiet', 'refs/heads/main']);
    return true;
  } catch {
    return false;
  }
}
