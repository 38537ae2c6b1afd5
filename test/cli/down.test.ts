/** Stopping a daemon that has the home and does not answer: by a signal, which may come too late. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterEach, expect, test, vi } from 'vitest';
import { stopDaemon } from '../../src/cli/commands/down.ts';
import { readConfig } from '../../src/config.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { makeHome } from '../support/home.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A home that is held under the name of a process that is gone; `release` lets it go. */
async function heldHome({ at }: Scratch): Promise<{ home: string; pid: number; release: () => void }> {
  const home = at('home');
  await makeHome(home);
  const { pid } = spawnSync(process.execPath, ['--version']);
  const db = new Database(homePath(home, 'lock'));
  db.exec('BEGIN EXCLUSIVE');
  writeFileSync(homePath(home, 'holder'), JSON.stringify({ pid, role: 'daemon' }));
  return { home, pid, release: () => void db.close() };
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`kill ${code}`), { code });
}

test('one that has gone before the signal reaches it was stopped', async () => {
  using room = scratch();
  const { home, pid, release } = await heldHome(room);
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    release();
    throw failure('ESRCH');
  });
  expect(await stopDaemon(readConfig({ home }, {}))).toBe(pid);
  expect(kill).toHaveBeenCalledExactlyOnceWith(pid, 'SIGTERM');
});

test('one that may not be signalled is said to be somebody else’s', async () => {
  using room = scratch();
  const { home, pid, release } = await heldHome(room);
  vi.spyOn(process, 'kill').mockImplementation(() => {
    throw failure('EPERM');
  });
  await expect(stopDaemon(readConfig({ home }, {}))).rejects.toMatchObject({
    code: 'forbidden',
    message: `You may not stop the daemon (pid ${pid}).`,
  });
  release();
});
