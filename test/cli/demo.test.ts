/** `seed demo ceiling`, as a person starts it: what it shows is so, and nothing of it stays. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isAsPromised } from '../../src/cli/demo/ceiling.ts';
import { startNode, until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
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

// Each starts a command that starts two daemons.
vi.setConfig({ testTimeout: 60_000 });

type Told = Parameters<typeof isAsPromised>[0];

test('[LOCK-RUNTIME-3] exactly what the ceiling pays for is admitted, the rest has its receipts, and a kill leaves nothing held', async () => {
  const { code, answer } = await seedJson<Told & { simulated: boolean; as_promised: boolean }>(['demo', 'ceiling'], {
    env,
  });
  expect(code).toBe(0);
  expect(answer).toMatchObject({
    simulated: true,
    as_promised: true,
    rush: {
      calls: 50,
      admitted: 5,
      refused: 45,
      requests: 5,
      under_way: { spent_micro_usd: 0, held_micro_usd: 500_000 },
      settled: { spent_micro_usd: 500_000, held_micro_usd: 0 },
    },
    crash: {
      before: { spent_micro_usd: 500_000, held_micro_usd: 100_000 },
      after: { spent_micro_usd: 600_000, held_micro_usd: 0 },
      outcome: 'incomplete',
      code: 'interrupted',
    },
    proof: { verdict: 'proven' },
  });
  expect(new Set(answer.rush.refusals.map(({ receipt }) => receipt)).size).toBe(45);
  expect(readdirSync(room.at('tmp'))).toEqual([]);
  // The control: had one call more come through, or had anything stayed held, it would say so.
  const { rush, crash, proof } = answer;
  expect(isAsPromised({ rush, crash, proof })).toBe(true);
  expect(isAsPromised({ rush: { ...rush, requests: 6 }, crash, proof })).toBe(false);
  expect(isAsPromised({ rush: { ...rush, admitted: 6, refused: 44 }, crash, proof })).toBe(false);
  expect(isAsPromised({ rush, crash: { ...crash, after: crash.before }, proof })).toBe(false);
  expect(isAsPromised({ rush, crash, proof: { ...proof, verdict: 'broken' } })).toBe(false);
});

test('says to a person that it is simulated, what came through and what did not; and removes its folder', async () => {
  const { code, stdout, stderr } = await seed(['demo', 'ceiling', '--home', room.at('stage')], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const said of [
    'The provider is simulated: there is no model and no key',
    'admitted   5\n',
    'refused    45, before anything was sent',
    'has seen 5 requests',
    '$0.00 spent, $0.50 held, of $0.50',
    'over_ceiling  seed/day',
    '(kill -9)',
    '$0.60 spent, $0.00 held, of $1.00',
    'proven',
    `${room.at('stage')} is removed.`,
  ]) {
    expect(stdout).toContain(said);
  }
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  expect(readdirSync(room.folder)).toEqual(['tmp']);
});

test('a folder that is there already is left alone', async () => {
  writeFileSync(room.at('tmp', 'letter.txt'), 'Dear aunt');
  const { code, answer } = await seedJson<ErrorAnswer>(['demo', 'ceiling', '--home', room.at('tmp')]);
  expect([code, answer.error.code]).toEqual([1, 'conflict']);
  expect(readdirSync(room.at('tmp'))).toEqual(['letter.txt']);
});

/** Processes that were started with a path, by /proc where there is one. */
function processesWith(path: string): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && commandLine(name).includes(path));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test.runIf(existsSync('/proc/self/cmdline'))(
  'Ctrl+C takes everything with it, a daemon that is only starting too',
  async () => {
    const home = room.at('stage', 'home');
    await using child = startNode([LAUNCHER, 'demo', 'ceiling', '--home', room.at('stage')], { env });
    await until(() => processesWith(home).length > 0, 'the daemon to be started');
    child.kill('SIGINT');
    expect(await child.ended).toEqual({ code: 1, signal: null });
    await until(() => processesWith(home).length === 0, 'the daemon to be gone');
    expect(existsSync(room.at('stage'))).toBe(false);
  },
);
