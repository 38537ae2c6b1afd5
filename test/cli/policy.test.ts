/** `seed policy`: what an owner types, and what comes of it. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { editOutside, POLICY } from '../substrate/policy/support.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { hasPty, initHome, seed, seedAtTerminal, seedJson, startDaemon } from './seed.ts';

let room: Scratch;
let home: string;

beforeEach(async () => {
  room = scratch();
  home = room.at('home');
  await initHome(home);
});

afterEach(() => {
  room[Symbol.dispose]();
});

/** A file with that text. */
function file(text: string, name = 'policy.yaml'): string {
  const path = room.at(name);
  writeFileSync(path, text);
  return path;
}

interface Applied {
  readonly version: number;
  readonly hash: string;
  readonly receipt: number;
  readonly changes: readonly { readonly kind: string; readonly what: string }[];
}

interface History {
  readonly entries: readonly {
    readonly kind: string;
    readonly version?: number;
    readonly table?: string;
    readonly receipt: number | null;
  }[];
}

test('check tells every problem with its line, and ends with 1', async () => {
  const wrong = file(POLICY.replace('tier: 3', 'tier: 9').replace('usd: "5.00"', 'usd: 5.00'));
  const { code, stdout } = await seed(['policy', 'check', wrong, '--home', home]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/policy\.yaml:\d+: .*tier must be 1, 2 or 3; it was 9/);
  expect(stdout).toMatch(/policy\.yaml:\d+: .*usd must be in quotes/);
  const good = await seed(['policy', 'check', '-', '--home', home], { input: POLICY });
  expect(good.code).toBe(0);
  expect(good.stdout).toContain('+ ceiling seed/day: $5.00');
  expect(good.stdout).toContain('nobody knows a price of gemini another');
});

test('apply shows the difference, never asks without a terminal, and what it put in force comes back as a file', async () => {
  const { code, stdout, stderr } = await seed(['policy', 'apply', file(POLICY), '--home', home]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('+ role worker #1: anthropic a-tier-2-model, tier 2');
  expect(stdout).toMatch(/Policy 1 is in force\. Receipt \d+ says so\./);
  const shown = await seed(['policy', 'show', '--home', home]);
  const again = await seed(['policy', 'apply', '-', '--home', home], { input: shown.stdout });
  expect(again.stdout).toContain('It changes nothing.');
  expect(again.stdout).toContain('Policy 2 is in force, and says what the one before said.');
  const { answer } = await seedJson<Applied>(['policy', 'apply', file(POLICY.replace('5.00', '7.50')), '--home', home]);
  expect(answer).toMatchObject({ version: 3, changes: [{ kind: 'changed', what: 'ceiling seed/day' }] });
  const back = await seedJson<Applied>(['policy', 'rollback', '1', '--home', home]);
  expect(back.answer).toMatchObject({ version: 4, changes: [{ kind: 'changed', what: 'ceiling seed/day' }] });
});

test('the history has the newest version first, also of those that change nothing', async () => {
  const policy = file(POLICY);
  for (let n = 0; n < 3; n++) await seed(['policy', 'apply', policy, '--home', home]);
  const { answer } = await seedJson<History>(['policy', 'history', '--home', home]);
  expect(answer.entries.map(({ version }) => version)).toEqual([3, 2, 1]);
  const missing = await seed(['policy', 'check', room.at('nowhere.yaml'), '--home', home]);
  expect(missing.stderr).toContain(`There is no file ${room.at('nowhere.yaml')}.`);
});

const TIGHT = `version: 1
targets:
  here: { provider: nvidia, base_url: "http://127.0.0.1:9/v1" }
roles:
  worker:
    dispatch: any
    candidates:
      - { target: here, model: m, tier: 2 }
ceilings:
  - { scope: seed, window: day, usd: "0.000001" }
prices:
  - { target: here, model: m, input_usd_per_mtok: "3.00", output_usd_per_mtok: "15.00" }
`;

test('a trace says in dollars what a call would have cost, and which ceiling was in its way', async () => {
  await seed(['policy', 'apply', file(TIGHT), '--home', home]);
  expect((await seed(['route', 'ask', 'worker', 'Hello?', '--home', home])).stdout).toContain(
    'Over the ceiling seed/day',
  );
  const { answer } = await seedJson<{ receipts: readonly { readonly seq: number }[] }>([
    'receipts',
    'list',
    '--action',
    'route.attempt',
    '--home',
    home,
  ]);
  const { stdout } = await seed(['trace', String(answer.receipts[0]?.seq), '--home', home]);
  expect(stdout).toContain('    limit: $0.000001\n');
  expect(stdout).not.toContain('micro');
});

test('a file that is wrong is not applied, and an answer for a program is one', async () => {
  const { code, answer } = await seedJson<ErrorAnswer>([
    'policy',
    'apply',
    file(POLICY.replace('any', 'all')),
    '--home',
    home,
  ]);
  expect(code).toBe(1);
  expect(answer.error).toMatchObject({ code: 'policy_invalid', data: { problems: 1 } });
  const missing = await seedJson<ErrorAnswer>(['policy', 'check', room.at('nowhere.yaml'), '--home', home]);
  expect(missing).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
});

test('explain names the candidates in order, or each row that is wrong and what to do', async () => {
  await seed(['policy', 'apply', file(POLICY), '--home', home]);
  const { code, stdout } = await seed(['policy', 'explain', 'worker', '--home', home]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/1 +anthropic +anthropic +a-tier-2-model +2 +owner:1\n2 +gemini/);
  const scheduled = ['policy', 'explain', 'synthesizer', '--home', home];
  expect((await seed(scheduled)).stdout).toContain('synthesizer resolves to nothing');
  expect((await seed([...scheduled, '--dispatch', 'cron'])).stdout).toContain('synthesizer asks, in this order');
  editOutside(
    home,
    "UPDATE substrate_targets SET base_url = 'http://user:hidden@example.org' WHERE name = 'anthropic'",
  );
  const broken = await seed(['policy', 'explain', 'worker', '--home', home]);
  expect(broken.code).toBe(1);
  expect(broken.stdout).toContain('substrate_targets anthropic: base_url must be an https address');
  expect(broken.stdout).not.toContain('hidden');
});

test('explain fails for a role of which nobody has a price: no call would be made', async () => {
  const unpriced = `
version: 1
timezone: UTC
targets: { gemini: { provider: gemini, base_url: "https://generativelanguage.googleapis.com" } }
roles: { worker: { dispatch: any, candidates: [ { target: gemini, model: unheard-of, tier: 2 } ] } }
`;
  await seed(['policy', 'apply', file(unpriced), '--home', home]);
  const { code, stdout } = await seed(['policy', 'explain', 'worker', '--home', home]);
  expect(code).toBe(1);
  expect(stdout).toContain('Nobody knows a price of any of them, so no call is made');
});

test('with a daemon: an edit by plain SQL shows in the policy and in the history, with its receipt', async () => {
  await using daemon = await startDaemon(home);
  await seed(['policy', 'apply', file(POLICY), '--home', home]);
  editOutside(home, "UPDATE substrate_ceilings SET limit_micro_usd = 1000000 WHERE scope = 'seed'");
  const shown = await seed(['policy', 'show', '--home', home]);
  expect(shown.stdout).toMatch(/^# Policy 1\+1$/m);
  expect(shown.stdout).toMatch(/# Edited outside: change \d+, .*substrate_ceilings.*5000000.*1000000.*\(receipt \d+\)/);
  expect(shown.stdout).toContain('usd: "1.00"');
  const { answer } = await seedJson<History>(['policy', 'history', '--home', home]);
  expect(answer.entries).toMatchObject([
    { kind: 'edit', table: 'substrate_ceilings', receipt: expect.any(Number) as number },
    { kind: 'version', version: 1 },
  ]);
  const { answer: receipt } = await seedJson<{ receipt: object }>([
    'receipts',
    'show',
    String(answer.entries[0]?.receipt),
    '--home',
    home,
  ]);
  expect(JSON.stringify(receipt)).toContain('external-sql');
  expect((await seed(['policy', 'ack', '--home', home])).stdout).toContain('Acknowledged 1 edit.');
  daemon.kill('SIGTERM');
  await daemon.ended;
});

describe.runIf(hasPty)('at a terminal', () => {
  const QUESTION = 'Put this in force? [y/N] ';

  test('apply asks after it has shown the difference; no is no, and --yes does not ask', async () => {
    const policy = file(POLICY);
    const no = await seedAtTerminal(['policy', 'apply', policy, '--home', home], [[QUESTION, 'n\r']]);
    expect(no.code).toBe(1);
    expect(no.shown).toContain('+ ceiling seed/day');
    expect(no.shown).toContain('Nothing was changed.');
    const yes = await seedAtTerminal(['policy', 'apply', policy, '--home', home], [[QUESTION, 'y\r']]);
    expect(yes.shown).toContain('Policy 1 is in force.');
    const unasked = await seedAtTerminal(['policy', 'apply', policy, '--yes', '--home', home], []);
    expect(unasked.shown).toContain('Policy 2 is in force, and says what the one before said.');
    expect(unasked.shown).not.toContain(QUESTION);
  });

  test('where a passphrase is set, apply is an owner act, and an edit from outside waits for ack', async () => {
    const guarded = room.at('guarded');
    const passphrase = 'correct horse battery';
    const ask = 'Owner passphrase: ';
    await seedAtTerminal(
      ['init', '--passphrase', '--home', guarded],
      [
        [ask, `${passphrase}\r`],
        ['The same again: ', `${passphrase}\r`],
      ],
    );
    const policy = file(POLICY);
    for (const argv of [['apply', policy], ['rollback', '1'], ['ack']]) {
      const refused = await seedJson<ErrorAnswer>(['policy', ...argv, '--home', guarded], { input: `${passphrase}\n` });
      expect(refused).toMatchObject({ code: 1, answer: { error: { code: 'passphrase_required' } } });
    }
    const applied = await seedAtTerminal(
      ['policy', 'apply', policy, '--yes', '--home', guarded],
      [[ask, `${passphrase}\r`]],
    );
    expect(applied.code, applied.shown).toBe(0);
    editOutside(guarded, "UPDATE substrate_routing_config SET tier = 2 WHERE role = 'scout'");
    const waits = await seed(['policy', 'explain', 'scout', '--home', guarded]);
    expect(waits).toMatchObject({ code: 1, stdout: expect.stringContaining('seed policy ack') as string });
    expect((await seed(['policy', 'explain', 'worker', '--home', guarded])).code).toBe(0);
    const acked = await seedAtTerminal(['policy', 'ack', '--home', guarded], [[ask, `${passphrase}\r`]]);
    expect(acked.code, acked.shown).toBe(0);
    expect((await seed(['policy', 'explain', 'scout', '--home', guarded])).code).toBe(0);
  });
});
