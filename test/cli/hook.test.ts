/** The hooks as a client runs them: a shell command out of its settings, with JSON on standard input. */
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { connect } from '../interop/clients.ts';
import { startDaemon } from '../interop/daemon.ts';
import { CLAUDE_RECORDS, CLAUDE_TAIL, jsonl } from '../mind/sessions/import/fixtures.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Ran } from './seed.ts';
import { plainEnvironment, seed } from './seed.ts';

interface Settings {
  readonly hooks: Readonly<Record<string, readonly { hooks: readonly { command: string }[] }[]>>;
}

/** Sets the hooks and gives a pretend client, which runs those of an event. */
async function pretend(dir: Scratch): Promise<(event: string, input: unknown) => Promise<Ran>> {
  const settings = dir.at('settings.json');
  const args = ['connect', 'claude-code', '--write', '--hooks', '--home', dir.at('home')];
  const { code } = await seed([...args, '--config-file', dir.at('claude.json'), '--settings-file', settings]);
  expect(code).toBe(0);
  const { hooks } = JSON.parse(readFileSync(settings, 'utf8')) as Settings;
  return (event, input) => shell(hooks[event]?.[0]?.hooks[0]?.command ?? '', input);
}

function shell(command: string, input: unknown): Promise<Ran> {
  // Whatever a client was started from, a hook has no more than this.
  const env = { PATH: '/usr/bin:/bin', HOME: plainEnvironment()['HOME'] ?? '/' };
  const child = spawn('/bin/sh', ['-c', command], { cwd: '/', env, timeout: 20_000, killSignal: 'SIGKILL' });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => {});
  child.stdin.end(typeof input === 'string' ? input : JSON.stringify(input));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

const quiet: Ran = { code: 0, stdout: '', stderr: '' };

describe('seed hook', () => {
  test('tells at a start what waits, and takes the transcript over after each turn', async () => {
    using dir = scratch();
    await using daemon = await startDaemon(dir.at('home'));
    const run = await pretend(dir);
    const path = dir.at('session.jsonl');
    const input = { session_id: 's', transcript_path: path, cwd: dir.folder };
    const start = { ...input, hook_event_name: 'SessionStart', source: 'startup' };
    const stop = { ...input, hook_event_name: 'Stop', stop_hook_active: false };

    // Before its agent has ever connected nothing waits for it, and nothing can be held by it.
    expect(await run('SessionStart', start)).toEqual(quiet);
    writeFileSync(path, jsonl(CLAUDE_RECORDS));
    const early = await run('Stop', stop);
    expect(early).toMatchObject({ code: 0, stdout: '' });
    expect(early.stderr).toMatch(/^seed hook stop: There is no local agent claude-code\. .*\n$/);

    await using client = await connect(daemon, 'SDK 2, modern era', 'socket', 'claude-code');
    expect(await run('Stop', stop)).toEqual(quiet);
    const held = await client.call('session_get');
    expect(held.structured).toMatchObject({ origin: 'imported:claude-code', messages: 9, holder: 'claude-code' });

    // A turn without news leaves no receipt, and one with news exactly one.
    const receipts = async () =>
      (await client.call('receipt_list', { action: 'session.import' })).structured['receipts'];
    expect(await receipts()).toHaveLength(1);
    expect(await run('Stop', stop)).toEqual(quiet);
    expect(await receipts()).toHaveLength(1);
    appendFileSync(path, jsonl(CLAUDE_TAIL));
    expect(await run('Stop', stop)).toEqual(quiet);
    expect(await receipts()).toHaveLength(2);
    expect((await client.call('session_get')).structured).toMatchObject({ messages: 11 });

    // What the agent notes itself goes with the session that its transcript became.
    const noted = await client.call('session_checkpoint', { done: ['weeks'], next: 'release' });
    expect(noted).toMatchObject({ isError: false, structured: { session_id: held.structured['session_id'] } });
    const told = await run('SessionStart', start);
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect(told.stdout).toMatch(/^In your seed this waits for you.*\n- You hold session .*ISO weeks.*release.*\n$/);
    // A conversation that was compacted has been told already.
    expect(await run('SessionStart', { ...start, source: 'compact' })).toEqual(quiet);
  });

  test('never fails the client, whatever is wrong', async () => {
    using dir = scratch();
    const run = await pretend(dir);
    const line = /^seed hook [a-z?-]+: [^\n]+\n$/;
    for (const event of ['SessionStart', 'Stop']) {
      for (const input of [
        '',
        'no JSON',
        '[]',
        { transcript_path: 7 },
        { transcript_path: '/dev/zero' },
        'x'.repeat(2_000_000),
      ]) {
        const ran = await run(event, input);
        expect([event, ran.code, ran.stdout]).toEqual([event, 0, '']);
        expect(ran.stderr).toMatch(line);
      }
    }
    // Help says that every command takes it; what a hook prints is its client's.
    const json = await seed(['hook', 'stop', '--json'], { env: { SEED_HOME: dir.at('home') } });
    expect([json.code, json.stdout]).toEqual([0, '']);
    expect(json.stderr).not.toContain('That is no hook');
    // There is a home now, and still nobody who serves it.
    mkdirSync(dir.at('other'));
    await seed(['init', '--home', dir.at('home')], { env: { SEED_PORT: '0' } });
    const absent = await run('Stop', { transcript_path: dir.at('none.jsonl') });
    expect(absent).toMatchObject({ code: 0, stdout: '' });
    expect(absent.stderr).toContain('No daemon serves this home');
    for (const args of [['hook'], ['hook', 'nonsense'], ['hook', 'stop', '--nonsense'], ['hook', 'stop', 'twice']]) {
      const ran = await seed(args);
      expect([args, ran.code, ran.stdout]).toEqual([args, 0, '']);
      expect(ran.stderr).toMatch(line);
    }
    expect((await seed(['hook', '--help'])).stdout).toContain('session-start');
  });

  test('is set with absolute paths, once, and taken out again by disconnect', async () => {
    using dir = scratch();
    const files = ['--config-file', dir.at('claude.json'), '--settings-file', dir.at('settings.json')];
    const before = '{\n  "model": "opus"\n}\n';
    writeFileSync(dir.at('settings.json'), before);
    const connecting = ['connect', 'claude-code', '--write', '--hooks', ...files, '--json', '--home', dir.at('home')];
    const shown = JSON.parse((await seed(connecting.filter((word) => word !== '--write'))).stdout) as {
      hooks: { config: Settings };
    };
    expect(readFileSync(dir.at('settings.json'), 'utf8')).toBe(before);
    const first = JSON.parse((await seed(connecting)).stdout) as { hooks: object };
    expect(first.hooks).toMatchObject({ change: 'added', backup: `${dir.at('settings.json')}.seed-backup` });
    expect(JSON.parse((await seed(connecting)).stdout)).toMatchObject({
      change: 'none',
      hooks: { change: 'none', backup: null },
    });
    const { hooks } = JSON.parse(readFileSync(dir.at('settings.json'), 'utf8')) as Settings;
    expect(shown.hooks.config.hooks).toEqual(hooks);
    for (const [group] of Object.values(hooks)) {
      expect(group?.hooks[0]?.command).toMatch(
        /^'?\/.+\/node'? '?\/.+\/seed\.cjs'? hook (session-start|stop) --as claude-code --home '?\//,
      );
    }
    const gone = JSON.parse((await seed(['disconnect', 'claude-code', ...files, '--json'])).stdout) as {
      hooks: object;
    };
    expect(gone).toMatchObject({ change: 'removed', hooks: { change: 'removed' } });
    expect(readFileSync(dir.at('settings.json'), 'utf8')).toBe(before);
    const cursor = await seed(['connect', 'cursor', '--write', '--hooks', ...files]);
    expect(cursor).toMatchObject({ code: 2, stdout: '' });
  });
});
