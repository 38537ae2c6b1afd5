/** `seed up`, `down` and `status`: one daemon a home, however it was started or ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startNode, until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, LAUNCHER, plainEnvironment, run, seed, seedJson, startDaemon } from './seed.ts';

interface Status {
  readonly serving: boolean;
  readonly pid: number | null;
  readonly home: string;
  readonly receipts: number;
}

interface List {
  readonly receipts: readonly { readonly seq: number; readonly action: string; readonly outcome: string }[];
}

test('up makes the home, says what to do next, and one daemon is enough', async () => {
  using room = scratch();
  const home = room.at('home');
  await using daemon = await startDaemon(home);
  const text = daemon.lines.join('\n');
  expect(text).toContain(`lives in  ${home} (made just now)`);
  expect(text).toContain('`seed receipts list`');

  const status = await seedJson<Status>(['status', '--home', home]);
  expect(status).toMatchObject({ code: 0, answer: { serving: true, pid: daemon.pid, home } });

  const second = await seedJson<ErrorAnswer>(['up', '--home', home]);
  expect(second.code).toBe(1);
  expect(second.answer.error).toMatchObject({ code: 'home_locked', data: { pid: daemon.pid, role: 'daemon' } });

  const noted = await seedJson<{ receipt: number }>(['receipts', 'note', 'hello', '--home', home]);
  expect(noted.code).toBe(0);

  const down = await seedJson(['down', '--home', home]);
  expect(down).toEqual({ code: 0, answer: { stopped: true, pid: daemon.pid } });
  expect(await daemon.ended).toEqual({ code: 0, signal: null });
  expect(daemon.lines.at(-1)).toBe('Stopped; everything is on disk.');
  const whole = daemon.lines.join('\n');
  expect(whole).toContain(`keep      a copy of ${home}/root/1.json elsewhere`);
  expect(whole).toContain('owner     No passphrase: whatever runs as you can act as the owner.');

  const after = await seed(['status', '--home', home]);
  expect(after).toMatchObject({ code: 4, stderr: '' });
  expect(after.stdout).toContain('No daemon serves this home; start one with `seed up`.');
  const none = await seedJson(['down', '--home', home]);
  expect(none).toEqual({ code: 0, answer: { stopped: false, pid: null } });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s stops it in good order', async (signal) => {
  using room = scratch();
  const home = room.at('home');
  await using daemon = await startDaemon(home);
  daemon.kill(signal);
  // As it comes where the whole group gets it, and each parent passes it on.
  daemon.kill(signal);
  expect(await daemon.ended).toEqual({ code: 0, signal: null });
  expect(daemon.lines).toContain('Stopped; everything is on disk.');
  const { answer } = await seedJson<List>(['receipts', 'list', '--home', home, '--limit', '1']);
  expect(answer.receipts).toMatchObject([{ action: 'seed.stop', outcome: 'ok' }]);
});

test('an address whose port another program has is shown with a warning, and the doctor calls it bad', async () => {
  using room = scratch();
  const home = room.at('home');
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await using daemon = startNode([LAUNCHER, 'up', '--home', home], { env: { SEED_PORT: String(port) } });
  await daemon.line((line) => line.includes('Ctrl+C'));
  const problem = `Port ${port} is taken by another program; the HTTP door stays shut.`;
  const issue = ['key', 'issue', 'helper-one', '--home', home];
  expect((await seedJson<object>(issue)).answer).toMatchObject({ problem });
  for (const args of [
    ['key', 'issue', 'helper-two'],
    ['connect', 'http'],
    ['connect', 'openai-sdk'],
  ]) {
    const shown = await seed([...args, '--home', home]);
    expect([args, shown.code]).toEqual([args, 0]);
    expect(shown.stdout).toContain(`Do not use that address yet. ${problem}`);
  }
  const { stdout } = await seed(['doctor', '--home', home]);
  expect(stdout).toMatch(new RegExp(`bad +daemon +${problem}`));
  other.close();
});

test('SIGTERM while it starts stops it in good order, too', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  await using daemon = startNode([LAUNCHER, 'up', '--home', home], { env: { SEED_PORT: '0' } });
  const socket = path.join(home, 'owner', 'owner.sock');
  await until(() => existsSync(socket), 'the first door to open');
  daemon.kill('SIGTERM');
  expect(await daemon.ended).toEqual({ code: 0, signal: null });
  const { answer } = await seedJson<List>(['receipts', 'list', '--home', home, '--limit', '1']);
  expect(answer.receipts).toMatchObject([{ action: 'seed.stop', outcome: 'ok' }]);
});

test('a killed daemon leaves a home that commands use and the next daemon takes', async () => {
  using room = scratch();
  const home = room.at('home');
  await using killed = await startDaemon(home);
  killed.kill('SIGKILL');
  await killed.ended;
  expect(existsSync(path.join(home, 'owner', 'owner.sock'))).toBe(true);
  const status = await seedJson<Status>(['status', '--home', home]);
  expect(status).toMatchObject({ code: 4, answer: { serving: false, pid: null } });
  expect((await seed(['receipts', 'note', 'alone', '--home', home])).code).toBe(0);
  expect((await seedJson(['down', '--home', home])).answer).toEqual({ stopped: false, pid: null });
  await using next = await startDaemon(home);
  expect((await seedJson<Status>(['status', '--home', home])).answer.pid).toBe(next.pid);
});

test('a door that cannot be opened closes those that were: one error, and the home is free again', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const inTheWay = path.join(home, 'agent.sock');
  mkdirSync(inTheWay);
  const { code, answer } = await seedJson<ErrorAnswer>(['up', '--home', home]);
  expect(code).toBe(1);
  expect(answer.error).toMatchObject({ code: 'daemon_failed' });
  expect(answer.error.message).toBe(`The socket ${inTheWay} cannot be opened.`);
  const told = await seed(['up', '--home', home]);
  expect(told.code).toBe(1);
  expect(told.stderr.match(/^seed: /gm)).toHaveLength(1);
  expect(told.stderr).not.toMatch(/defect|Error:|^ +at /m);

  const status = await seedJson<Status>(['status', '--home', home]);
  expect(status).toMatchObject({ code: 4, answer: { serving: false, pid: null } });
  expect((await seed(['receipts', 'note', 'free', '--home', home])).code).toBe(0);
  rmdirSync(inTheWay);
  await using daemon = await startDaemon(home);
  expect((await seedJson<Status>(['status', '--home', home])).answer.pid).toBe(daemon.pid);
});

test('up --json says when it is ready, and to what', async () => {
  using room = scratch();
  await using daemon = await startDaemon(room.at('home'), ['--json']);
  const facts = JSON.parse(daemon.lines.join('\n')) as object;
  expect(facts).toMatchObject({ ready: true, pid: daemon.pid, home: room.at('home'), created: true, distrust: null });
});

test('a daemon goes on when nobody reads its output any more', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const child = spawn(process.execPath, [LAUNCHER, 'up', '--home', home], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const { answer } = await seedJson<Status>(['status', '--home', home]);
    expect(answer.pid).toBe(child.pid);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(0);
    const { answer: list } = await seedJson<List>(['receipts', 'list', '--home', home, '--limit', '1']);
    expect(list.receipts).toMatchObject([{ action: 'seed.stop' }]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a reader that has seen enough is no error', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const child = spawn(process.execPath, [LAUNCHER, 'receipts', 'list', '--csv', '--home', home], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  child.stdout.destroy();
  const [code] = (await once(child, 'close')) as [number | null];
  expect({ code, stderr: Buffer.concat(errors).toString('utf8') }).toEqual({ code: 0, stderr: '' });
});

test.runIf(existsSync('/dev/full'))('output that cannot be written is an error in one line', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const child = spawn(process.execPath, [LAUNCHER, 'receipts', 'list', '--home', home], {
    env: plainEnvironment(),
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
  });
  const errors: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(1);
  expect(Buffer.concat(errors).toString('utf8')).toBe('seed: The output could not be written (ENOSPC).\n');
});

test('from a checkout, texts say what works there and paths are meant from where npm was called', async () => {
  using room = scratch();
  const [home, bootstrap] = [room.at('home'), path.join(import.meta.dirname, '..', '..', 'scripts', 'run.cjs')];
  await initHome(home);
  const env = { SEED_HOME: home, npm_lifecycle_event: 'seed', INIT_CWD: room.folder };
  const status = await run([bootstrap, 'seed', 'status'], { env });
  expect(status).toMatchObject({ code: 4 });
  expect(status.stdout).toContain('start one with `npm run -s seed -- up`.');
  const help = await run([bootstrap, 'seed', 'receipts', 'show', '--help'], { env });
  expect(help.stdout).toContain('Usage: npm run -s seed -- receipts show [options] <seq>');
  expect(help.stdout).toContain('$ npm run -s seed -- receipts show 17\n');
  const exported = await run([bootstrap, 'seed', 'receipts', 'export', '--out', './receipts'], { env });
  expect(exported.code).toBe(0);
  expect(exported.stdout).toContain(`npm run -s seed -- receipts verify ${room.at('receipts')} --root `);
  expect(readFileSync(room.at('receipts', 'receipts.jsonl'), 'utf8')).toContain('"action":"seed.init"');
});
