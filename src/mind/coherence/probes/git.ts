/**
 * Commits of a git repository: when each was made, on the branch that is checked out. In a folder within a
 * repository, those that touch that folder.
 *
 * `git` runs as a child process, without a shell, for a bounded time and with bounded output. The repository
 * may be somebody else's: its configuration can start no program (no pager, no hook, no file-system monitor, no
 * signature check), nothing is fetched, and nothing is written.
 */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { ProbeLook, ReadPlace, Sighting } from './probe.ts';
import { asPlaceError, probeFailed, TIMES_MAX } from './probe.ts';

const GIT_MS_MAX = 20_000;
const OUTPUT_BYTES_MAX = 1_048_576;

/** Where git is, on the systems that the seed runs on: what the daemon was started from must not decide that. */
const SEARCH = ['/usr/local/bin', '/usr/bin', '/bin', '/opt/homebrew/bin', '/run/current-system/sw/bin'];

/** The user's own configuration counts: it says which repositories of others may be read (`safe.directory`). */
const ENVIRONMENT = {
  PATH: SEARCH.join(':'),
  HOME: homedir(),
  LC_ALL: 'C',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_LAZY_FETCH: '1',
};

const HARDENED = [
  '--no-pager',
  ...['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'log.showSignature=false', 'protocol.allow=never'].flatMap(
    (setting) => ['-c', setting],
  ),
];

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The newest commits; the cursor is the commit that was the last. */
export const readGit: ReadPlace = async (look): Promise<Sighting> => {
  const { place, cursor } = look;
  await assertFolder(place);
  const where = await git(look, ['rev-parse', '--show-prefix', '--verify', 'HEAD^{commit}']);
  if (where.code !== 0) throw whyNot(place, where);
  const [prefix = '', head = ''] = where.stdout.split('\n');
  if (head === cursor) return { times: [], cursor: head };
  const within = prefix === '' ? [] : ['--', '.'];
  const log = (range: string): Promise<Ran> =>
    git(look, ['log', '--format=%ct', `--max-count=${TIMES_MAX}`, '--end-of-options', range, ...within]);
  // After a history was rewritten, the commit seen last may be gone: then all is read again, and known times stay known.
  const since = cursor !== null && /^[0-9a-f]{40,64}$/.test(cursor) ? await log(`${cursor}..HEAD`) : null;
  const ran = since?.code === 0 ? since : await log('HEAD');
  if (ran.code !== 0) throw whyNot(place, ran);
  const times = ran.stdout.split('\n').filter((line) => /^\d{1,12}$/.test(line));
  return { times: times.map((line) => Number(line) * 1_000), cursor: head };
};

async function assertFolder(place: string): Promise<void> {
  try {
    if ((await stat(place)).isDirectory()) return;
  } catch (error) {
    throw asPlaceError(error, place);
  }
  throw probeFailed('no_repository', `${place} is no folder.`, { hint: 'Name the repository’s folder.' });
}

function git({ place, signal }: ProbeLook, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(
      'git',
      [...HARDENED, '-C', place, ...args],
      {
        env: ENVIRONMENT,
        signal,
        timeout: GIT_MS_MAX,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        windowsHide: true,
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (signal.aborted) reject(new Error('git was stopped.', { cause: error }));
        else if (error.code === 'ENOENT') {
          const hint = 'Install git, or remove the probe.';
          reject(probeFailed('no_program', `git was not found in ${SEARCH.join(', ')}.`, { hint, cause: error }));
        } else if (error.killed === true) {
          const hint = 'Name a folder with less history.';
          reject(probeFailed('slow', `git needed more than ${GIT_MS_MAX / 1_000} s in ${place}.`, { hint }));
        } else resolve({ code: typeof error.code === 'number' ? error.code : 1, stdout, stderr });
      },
    );
  });
}

function whyNot(place: string, { stderr }: Ran): Error {
  if (/dubious ownership/.test(stderr)) {
    return probeFailed('foreign', `The repository ${place} belongs to another user, so git does not read it.`, {
      hint: `If you trust it, allow it: git config --global --add safe.directory ${place}`,
    });
  }
  if (/not a git repository/i.test(stderr)) {
    return probeFailed('no_repository', `${place} is no git repository.`, { hint: 'Name a folder with one.' });
  }
  if (/Needed a single revision|unknown revision|ambiguous argument|bad revision/.test(stderr)) {
    return probeFailed('no_commits', `The repository ${place} has no commit yet.`, { hint: 'Commit something first.' });
  }
  const [first = 'it did not say why'] = stderr.split('\n').filter((line) => line !== '');
  return probeFailed('unreadable', `git cannot read ${place}: ${first.slice(0, 200)}.`, {
    hint: 'Try `git log` in that folder.',
  });
}
