import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readNotifierEnvironment } from '../../src/config.ts';
import { Notifiers } from '../../src/membrane/notify.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import type { Telling } from '../../src/substrate/home/notifiers.ts';
import { writeNotifier } from '../../src/substrate/home/notifiers.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

const NEVER = new AbortController().signal;
const TOLD: Telling = {
  v: 1,
  seed: 'ab'.repeat(32),
  event: 'ceiling',
  says: '80 % is used; $(touch evil) `touch evil` --evil',
  todo: 'seed usage',
  time: '2026-11-21T07:00:00.000Z',
};

let dir: Scratch;
beforeEach(() => {
  dir = scratch();
});
afterEach(() => {
  dir[Symbol.dispose]();
});

function notifiers(options: { platform?: NodeJS.Platform; environment?: Record<string, string>; runMs?: number } = {}) {
  return new Notifiers({ home: dir.folder, environment: {}, platform: 'linux', ...options });
}

/** A notifier that is this Node running that code, with `out` as a path it may write to. */
function commandOf(code: string): string {
  const out = dir.at('out');
  const script = `const fs = require('node:fs'); const out = ${JSON.stringify(out)}; ${code}`;
  writeNotifier(dir.folder, 'mine', [process.execPath, '-e', script, '--', 'an argument']);
  return out;
}

describe('a notifier', () => {
  test('is given the event as JSON on its input, and nothing of it as an argument', async () => {
    const out = commandOf(
      'fs.writeFileSync(out, JSON.stringify({ input: fs.readFileSync(0, "utf8"), args: process.argv.slice(1), env: process.env, cwd: process.cwd() }))',
    );
    await notifiers({ environment: { PATH: '/usr/bin' } }).tell('mine', TOLD, NEVER);
    const seen = JSON.parse(readFileSync(out, 'utf8')) as Record<string, unknown>;
    expect(JSON.parse(seen['input'] as string)).toEqual(TOLD);
    expect(seen['args']).toEqual(['an argument']);
    expect(seen['env']).toEqual({ PATH: '/usr/bin' });
    expect(existsSync(dir.at('evil'))).toBe(false);
  });

  test('that fails, cannot be started or is unknown is told so, each in its words', async () => {
    commandOf('process.exit(3)');
    await expect(notifiers().tell('mine', TOLD, NEVER)).rejects.toMatchObject({
      code: 'notifier_failed',
      message: 'The notifier mine ended with status 3.',
    });
    writeNotifier(dir.folder, 'gone', [dir.at('nothing')]);
    await expect(notifiers().tell('gone', TOLD, NEVER)).rejects.toMatchObject({
      code: 'notifier_failed',
      message: `The notifier gone could not be started: there is no program ${dir.at('nothing')}.`,
    });
    await expect(notifiers().tell('other', TOLD, NEVER)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('that does not end is ended, with whatever it started', async () => {
    const out = commandOf(
      `const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
       fs.writeFileSync(out, String(child.pid)); setInterval(() => {}, 1000);`,
    );
    await expect(notifiers({ runMs: 1_500 }).tell('mine', TOLD, NEVER)).rejects.toMatchObject({
      message: 'The notifier mine was stopped after 1.5 s.',
    });
    const pid = Number(readFileSync(out, 'utf8'));
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  });

  test('that was asked for by somebody who is gone is ended', async () => {
    commandOf('setInterval(() => {}, 1000)');
    const gone = new AbortController();
    const telling = notifiers().tell('mine', TOLD, gone.signal);
    gone.abort();
    await expect(telling).rejects.toMatchObject({ message: 'The notifier mine was stopped.' });
  });

  test('does not have to read its input', async () => {
    commandOf('process.exit(0)');
    const long = { ...TOLD, says: 'x'.repeat(1_000_000) };
    await expect(notifiers().tell('mine', long, NEVER)).resolves.toBeUndefined();
  });
});

describe('what a notifier may be', () => {
  test('stands in a file that only the owner can write, and is otherwise not run', async () => {
    const out = commandOf('fs.writeFileSync(out, "ran")');
    chmodSync(homePath(dir.folder, 'notifiers'), 0o666);
    await expect(notifiers().tell('mine', TOLD, NEVER)).rejects.toMatchObject({ code: 'home_damaged' });
    expect(existsSync(out)).toBe(false);
    // The control: the same file, closed.
    chmodSync(homePath(dir.folder, 'notifiers'), 0o600);
    await notifiers().tell('mine', TOLD, NEVER);
    expect(existsSync(out)).toBe(true);
  });

  test('a file that does not parse is told as damaged', () => {
    writeFileSync(homePath(dir.folder, 'notifiers'), '{"v":1,"notifiers":{"mine":["relative"]}}', { mode: 0o600 });
    expect(() => notifiers().names()).toThrow(expect.objectContaining({ code: 'home_damaged' }));
  });

  test('its environment has no credential', () => {
    const env = { PATH: '/bin', HOME: '/home/you', ANTHROPIC_API_KEY: 'canary', SEED_HOME: '/x', DISPLAY: ':0' };
    expect(readNotifierEnvironment(env)).toEqual({ PATH: '/bin', HOME: '/home/you', DISPLAY: ':0' });
  });
});

describe('the desktop', () => {
  test('is told by its own program, the words behind the options', async () => {
    const program = dir.at('notify-send');
    const out = dir.at('out');
    writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > '${out}'\n`, { mode: 0o755 });
    await notifiers({ environment: { PATH: dir.folder } }).tell('desktop', TOLD, NEVER);
    expect(readFileSync(out, 'utf8').split('\n')).toEqual([
      '--app-name=sovereign-seed',
      '--',
      'Your seed',
      `${TOLD.says} — seed usage`,
      '',
    ]);
    expect(existsSync(dir.at('evil'))).toBe(false);
  });

  test('without that program it says so', async () => {
    await expect(notifiers({ environment: { PATH: dir.folder } }).tell('desktop', TOLD, NEVER)).rejects.toMatchObject({
      message: 'The notifier desktop could not be started: there is no program notify-send.',
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
