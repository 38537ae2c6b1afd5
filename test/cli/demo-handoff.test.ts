/** `seed demo handoff`, as a person starts it: what it shows is so, and nothing of it stays. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Handoff } from '../../src/cli/demo/handoff.ts';
import { only, promisesOf } from '../../src/cli/demo/handoff.ts';
import { startNode, until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { LAUNCHER, seed, seedJson } from './seed.ts';

let room: Scratch;
let env: Record<string, string>;

beforeEach(() => {
  room = scratch();
  mkdirSync(room.at('tmp'));
  // What the environment has of keys is not looked at.
  env = { TMPDIR: room.at('tmp'), ANTHROPIC_API_KEY: 'sk-canary-demo' };
});

afterEach(() => room[Symbol.dispose]());

type Told = Handoff & { simulated: boolean; as_promised: boolean; promises: Record<string, boolean> };

function keptOf(handoff: Handoff): string[] {
  return Object.entries(promisesOf(handoff)).flatMap(([promise, kept]) => (kept ? [] : [promise]));
}

test('[LOCK-HANDOFF-1] three models give one answer, and a second client ends what a killed one began', async () => {
  const { code, answer } = await seedJson<Told>(['demo', 'handoff'], { env });
  expect(answer).toMatchObject({ simulated: true, as_promised: true, written: `${answer.total}` });
  expect(code).toBe(0);
  const { first, second, spoken, record } = answer;
  expect(spoken.map(({ target, ended }) => [target, ended]).slice(0, 4)).toEqual([
    ['first-cloud', 'whole'],
    ['first-cloud', 'limit'],
    ['second-cloud', 'cut'],
    ['this-machine', 'whole'],
  ]);
  expect(only(first, 'about_to').name).toBe('write_file');
  expect(only(second, 'looked')).toMatchObject({ name: 'write_file', state: 'in_doubt', happened: false });
  expect(first.pid).not.toBe(second.pid);
  expect(record.filter(({ what }) => what === 'offered' || what === 'accepted').map(({ who }) => who)).toEqual([
    'desk',
    'travel',
  ]);
  expect(answer.before.messages).toBeLessThan(answer.end.messages);
  expect(JSON.stringify(answer)).not.toContain('sk-canary');
  expect(readdirSync(room.at('tmp'))).toEqual([]);

  // The controls: each promise would be seen to be broken.
  expect(keptOf(answer)).toEqual([]);
  const other = '0'.repeat(64);
  const [call = ''] = answer.carried_out;
  const broken: readonly [string, Partial<Handoff>][] = [
    ['the total is right', { total: answer.total + 1 }],
    ['each answer is what its models said, in one piece', { spoken: spoken.slice(1) }],
    ['each tool call was carried out once', { carried_out: [...answer.carried_out, call] }],
    ['each failure was gone on from', { record: record.filter(({ from }) => from === null) }],
    ['the transcript is the same before and after', { after: { ...answer.after, hash: other } }],
    ['its hash can be computed again', { recomputed: { ...answer.recomputed, at_the_kill: other } }],
    ['the receipts are proven', { proof: { ...answer.proof, verdict: 'broken' } }],
  ];
  for (const [promise, change] of broken) expect(keptOf({ ...answer, ...change })).toEqual([promise]);
});

test('says to a person that the models are simulated, and shows every hop; in 80 columns', async () => {
  const { code, stdout, stderr } = await seed(['demo', 'handoff', '--home', room.at('stage')], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const said of [
    'The models are simulated: there is no key',
    'is killed without warning (kill -9 ',
    'first-cloud   fails: stream_error\n',
    'second-cloud  fails: cut\n',
    'this-machine  goes on from ',
    'write_file is in_doubt: looks first; it was not done',
    'checked against the root of trust: proven',
    'yes  the transcript is the same before and after',
    `${room.at('stage')} is removed.`,
  ]) {
    expect(stdout).toContain(said);
  }
  expect(stdout).not.toContain('NO ');
  const shown = stdout.split('\n').filter((line) => !line.includes(room.folder));
  expect(shown.filter((line) => line.length > 80)).toEqual([]);
  expect(readdirSync(room.folder)).toEqual(['tmp']);
});

test('Ctrl+C in the middle takes everything with it, the clients too', async () => {
  await using child = startNode([LAUNCHER, 'demo', 'handoff', '--home', room.at('stage')], { env });
  const begun = await child.line((line) => line.startsWith('1. '));
  await child.line((line) => line.includes('list_files'));
  const client = Number(/process (\d+)/.exec(begun)?.[1]);
  child.kill('SIGINT');
  expect(await child.ended).toEqual({ code: 1, signal: null });
  await until(() => isGone(client), 'the client to be gone');
  expect(existsSync(room.at('stage'))).toBe(false);
});

test('Ctrl+C while the stage is set leaves nothing of it', async () => {
  await using child = startNode([LAUNCHER, 'demo', 'handoff', '--home', room.at('stage')], { env });
  await until(() => existsSync(room.at('stage')), 'the stage to be begun');
  child.kill('SIGINT');
  expect(await child.ended).toEqual({ code: 1, signal: null });
  expect(existsSync(room.at('stage'))).toBe(false);
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
