/** `seed receipts …`: what was done, shown, proven, exported, verified and erased. */
import { appendFileSync, cpSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer, RunOptions } from './seed.ts';
import { initHome, seed, seedJson } from './seed.ts';

interface List {
  readonly receipts: readonly Receipt[];
  readonly next_cursor: number | null;
}

interface Verdict {
  readonly verdict: string;
  readonly size: number;
  readonly broken: { readonly seq: number | null; readonly problem: string } | null;
  readonly continues_checkpoint: boolean | null;
}

// One home for all: init, four notes and what the tests add. Each test looks only at its own.
let room: Scratch;
let options: RunOptions;

beforeAll(async () => {
  room = scratch();
  options = { env: { SEED_HOME: room.at('home') }, cwd: room.folder };
  await initHome(room.at('home'));
  for (const text of ['first', 'se\u001b[31mcond', 'third']) await seed(['receipts', 'note', text], options);
  await seed(['receipts', 'note', '--action', 'deploy.finished', '=1+1'], options);
});

afterAll(() => {
  room[Symbol.dispose]();
});

test('list: a table with a way to go on', async () => {
  const { code, stdout } = await seed(['receipts', 'list', '--to', '4', '--limit', '2'], options);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^SEQ +TIME +ACTOR +ACTION +OUTCOME +SUBJECT$/);
  expect(lines[1]).toMatch(/^4 +\S+Z +owner +deploy\.finished +claimed$/);
  expect(lines[3]).toBe('There are more: add --limit 20, or --cursor 3 to go on.');
  const { answer } = await seedJson<List>(['receipts', 'list', '--limit', '2', '--cursor', '3'], options);
  expect(answer.receipts.map(({ seq }) => seq)).toEqual([2, 1]);
  expect(answer.next_cursor).toBe(1);
});

test('list: filters, order, nothing that matches, and a time that is none', async () => {
  const oldest = await seedJson<List>(['receipts', 'list', '--oldest', '--to', '4'], options);
  expect(oldest.answer.receipts.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4]);
  const claims = await seedJson<List>(['receipts', 'list', '--action', 'note.claim', '--to', '4'], options);
  expect(claims.answer.receipts.map(({ seq }) => seq)).toEqual([3, 2, 1]);
  const none = await seed(['receipts', 'list', '--actor', 'nobody'], options);
  expect(none).toMatchObject({ code: 0, stdout: 'No receipts match.\n' });
  const wrong = await seedJson<ErrorAnswer>(['receipts', 'list', '--from', 'yesterday'], options);
  expect(wrong).toMatchObject({ code: 2, answer: { error: { code: 'invalid_input' } } });
});

test('list --csv: all of them, a row each', async () => {
  const { code, stdout } = await seed(['receipts', 'list', '--csv', '--to', '4', '--oldest'], options);
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(6);
  expect(lines[0]).toBe('seq,time,actor,kind,grant,action,subject_type,subject_id,outcome,code,of,input,output,detail');
  expect(lines[5]).toMatch(/^4,[^,]+Z,owner,human,,deploy\.finished,seed,[0-9a-f]{64},claimed,,,[0-9a-f]{64},,\{\}$/);
});

test('show: every field, the content, and nothing that a terminal would act on', async () => {
  const { code, stdout } = await seed(['receipts', 'show', '2'], options);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^receipt +2$/m);
  expect(stdout).toContain('se\\u001b[31mcond');
  expect(stdout).not.toContain('\u001b');
  const { answer } = await seedJson(['receipts', 'show', '2'], options);
  expect(answer).toMatchObject({ receipt: { seq: 2, outcome: 'claimed' }, input: { text: 'se\u001b[31mcond' } });
  const none = await seedJson<ErrorAnswer>(['receipts', 'show', '4000'], options);
  expect(none).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
});

test('prove: a proof that verifies by the root of trust, and by nothing less', async () => {
  const root = path.join('home', 'root', '1.json');
  const { stdout: proof } = await seed(['receipts', 'prove', '2'], options);
  writeFileSync(room.at('2.tlog-proof'), proof);
  const proven = await seedJson<Verdict>(['receipts', 'verify', '2.tlog-proof', '--root', root], options);
  expect(proven).toMatchObject({ code: 0, answer: { verdict: 'proven' } });
  const unpinned = await seedJson<ErrorAnswer>(['receipts', 'verify', '2.tlog-proof'], options);
  expect(unpinned).toMatchObject({ code: 2, answer: { error: { data: { argument: 'root' } } } });
  writeFileSync(room.at('other.tlog-proof'), proof.replace('index 2', 'index 1'));
  const broken = await seedJson<Verdict>(['receipts', 'verify', 'other.tlog-proof', '--root', root], options);
  expect(broken).toMatchObject({ code: 1, answer: { verdict: 'broken' } });
});

test('export and verify: 0 proven, 3 origin not proven, 1 broken', async () => {
  const root = path.join('home', 'root', '1.json');
  const { stdout: checkpoint } = await seed(['receipts', 'checkpoint'], options);
  expect(checkpoint).toMatch(/^sovereign-seed\/[0-9a-f]{64}\n\d+\n\S{44}\n\n— \S+ \S+\n$/);
  writeFileSync(room.at('kept'), checkpoint);

  const exported = await seed(['receipts', 'export', '--out', './receipts'], options);
  expect(exported).toMatchObject({ code: 0, stderr: '' });
  const command = /^ {2}seed (receipts verify .*)$/m.exec(exported.stdout)?.[1] ?? '';
  const asPrinted = await seedJson<Verdict>(command.split(' '), options);
  expect(asPrinted).toMatchObject({ code: 0, answer: { verdict: 'proven', continues_checkpoint: null } });

  const kept = await seedJson<Verdict>(
    ['receipts', 'verify', 'receipts', '--root', root, '--checkpoint', 'kept'],
    options,
  );
  expect(kept).toMatchObject({ code: 0, answer: { verdict: 'proven', continues_checkpoint: true } });
  const unpinned = await seedJson<Verdict>(['receipts', 'verify', 'receipts'], options);
  expect(unpinned).toMatchObject({ code: 3, answer: { verdict: 'consistent' } });

  cpSync(room.at('receipts'), room.at('cut'), { recursive: true });
  const lines = readFileSync(room.at('cut', 'receipts.jsonl'), 'utf8');
  writeFileSync(room.at('cut', 'receipts.jsonl'), lines.replace('"deploy.finished"', '"deploy.failed"'));
  const broken = await seedJson<Verdict>(['receipts', 'verify', 'cut', '--root', root], options);
  expect(broken).toMatchObject({ code: 1, answer: { verdict: 'broken', broken: { seq: 4, problem: 'altered' } } });

  // A file of another kind says nothing about the receipts.
  const mistaken = await seedJson<ErrorAnswer>(['receipts', 'verify', 'receipts', '--root', 'kept'], options);
  expect(mistaken).toMatchObject({ code: 2, answer: { error: { code: 'invalid_input' } } });
  expect(mistaken.answer.error.message).toContain('kept is not a root of trust.');

  // Nor does what is no checkpoint: intact receipts are not broken by it.
  writeFileSync(room.at('empty'), '');
  for (const name of ['empty', root]) {
    const args = ['receipts', 'verify', 'receipts', '--root', root, '--checkpoint', name];
    const other = await seedJson<ErrorAnswer>(args, options);
    expect(other).toMatchObject({ code: 2, answer: { error: { code: 'invalid_input' } } });
    expect(other.answer.error.message).toContain(`${name} is not a checkpoint.`);
  }

  // What cannot be shown by a proof is not passed over.
  const { stdout: proof } = await seed(['receipts', 'prove', '1'], options);
  writeFileSync(room.at('1.tlog-proof'), proof);
  const alone = ['receipts', 'verify', '1.tlog-proof', '--root', root];
  expect(await seedJson<Verdict>(alone, options)).toMatchObject({ code: 0, answer: { verdict: 'proven' } });
  const passed = await seedJson<ErrorAnswer>([...alone, '--checkpoint', 'kept'], options);
  expect(passed).toMatchObject({
    code: 2,
    answer: { error: { code: 'invalid_input', data: { argument: 'checkpoint' } } },
  });

  const taken = await seedJson<ErrorAnswer>(['receipts', 'export', '--out', 'receipts'], options);
  expect(taken).toMatchObject({ code: 1, answer: { error: { code: 'conflict' } } });
});

test('verify: what is no export is said in words', async () => {
  const none = await seed(['receipts', 'verify', 'nothing-here'], options);
  expect(none.code).toBe(1);
  expect(none.stderr).toContain('There is no file nothing-here.');
  const folder = await seed(['receipts', 'verify', '.'], options);
  expect(folder.code).toBe(1);
  expect(folder.stderr).toMatch(/^seed: \. is not an export: .*\n +Name a folder that `seed receipts export` made/);
  const empty = await seed(['receipts', 'verify', ''], options);
  expect(empty.stderr).toContain('The name of what to verify is empty.');
});

test('verify: what never ends, or is no file, is not read', async () => {
  const out = room.at('endless');
  expect(await seed(['receipts', 'export', '--out', out], options)).toMatchObject({ code: 0 });
  const root = path.join(out, 'root', '1.json');
  symlinkSync('/dev/zero', room.at('zero'));
  for (const [args, wanted] of [
    [['/dev/null', '--root', root], '/dev/null is a device or a pipe, not a file.'],
    [[room.at('zero'), '--root', root], 'zero is a device or a pipe, not a file.'],
    [[out, '--root', '/dev/zero'], '/dev/zero is a device or a pipe, not a file.'],
    [[out, '--root', out], 'is a folder, not a file.'],
    [[out, '--checkpoint', '/dev/zero'], '/dev/zero is a device or a pipe, not a file.'],
  ] as const) {
    const { code, stderr } = await seed(['receipts', 'verify', ...args], options);
    expect(code).toBe(1);
    expect(stderr).toContain(wanted);
  }
  for (const name of ['receipts.jsonl', 'checkpoint', 'root/1.json']) {
    const broken = room.at(`endless-${path.basename(name)}`);
    cpSync(out, broken, { recursive: true });
    rmSync(path.join(broken, name));
    symlinkSync('/dev/zero', path.join(broken, name));
    const { code, stderr } = await seed(['receipts', 'verify', broken], options);
    expect(code).toBe(1);
    expect(stderr).toContain(`${name} is a device or a pipe, not a file.`);
  }
  // A terabyte without a newline: the first receipt that is wrong ends it.
  truncateSync(path.join(out, 'receipts.jsonl'), 2 ** 40);
  const { code, stdout } = await seed(['receipts', 'verify', out], options);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^Broken: /);
});

test('list: a limit that is too large is said with the largest one', async () => {
  const far = await seed(['receipts', 'list', '--limit', '99999999999'], options);
  expect(far).toMatchObject({ code: 2, stdout: '' });
  expect(far.stderr).toContain('A limit is a whole number from 1 to 999999999.');
  const much = await seed(['receipts', 'list', '--limit', '100001'], options);
  expect(much).toMatchObject({ code: 2, stdout: '' });
  expect(much.stderr).toContain('add --csv, which lists as many as there are');
  expect(await seed(['receipts', 'list', '--csv', '--limit', '100001'], options)).toMatchObject({ code: 0 });
});

test('erase: the content goes, the receipt stays', async () => {
  const { answer: noted } = await seedJson<{ receipt: number }>(['receipts', 'note', 'a secret slip'], options);
  const seq = String(noted.receipt);
  expect(await seed(['receipts', 'erase', seq], options)).toMatchObject({ code: 0 });
  const shown = await seed(['receipts', 'show', seq], options);
  expect(shown.stdout).toContain('(erased, or not kept)');
  const again = await seedJson<ErrorAnswer>(['receipts', 'erase', seq], options);
  expect(again).toMatchObject({ code: 1, answer: { error: { code: 'content_erased' } } });
  const home = room.at('home');
  for (const file of ['seed.db', 'seed.db-wal']) {
    const bytes = readFileSync(path.join(home, file), { flag: 'a+' });
    expect(bytes.includes('a secret slip')).toBe(false);
  }
});

test('a note of nothing is asked wrongly', async () => {
  const { code, answer } = await seedJson<ErrorAnswer>(['receipts', 'note', ''], options);
  expect({ code, error: answer.error.code }).toEqual({ code: 2, error: 'invalid_input' });
});

test('a log that was put back is refused until its owner accepts it', async () => {
  const env = { SEED_HOME: room.at('older') };
  await initHome(room.at('older'));
  cpSync(room.at('older'), room.at('backup'), { recursive: true });
  await seed(['receipts', 'note', 'lost'], { env });
  for (const file of ['seed.db', 'seed.db-wal', 'seed.db-shm']) rmSync(room.at('older', file), { force: true });
  cpSync(room.at('backup', 'seed.db'), room.at('older', 'seed.db'));

  const refused = await seedJson<ErrorAnswer>(['receipts', 'note', 'next'], { env });
  expect(refused).toMatchObject({
    code: 1,
    answer: { error: { code: 'log_rolled_back', data: { size: 1, held: 2 } } },
  });
  expect((await seed(['doctor'], { env })).code).toBe(1);
  const copy = await seedJson(['receipts', 'export', '--out', room.at('evidence')], { env });
  expect(copy).toMatchObject({ code: 0, answer: { receipts: 1, receipt: null } });
  const accepted = await seedJson(['receipts', 'accept-rollback'], { env });
  expect(accepted).toMatchObject({ code: 0, answer: { accepted: 'log_rolled_back' } });
  expect((await seed(['receipts', 'note', 'next'], { env })).code).toBe(0);
  const nothing = await seedJson<ErrorAnswer>(['receipts', 'accept-rollback'], { env });
  expect(nothing).toMatchObject({ code: 1, answer: { error: { code: 'conflict' } } });
});

test('a damaged export is told from a missing one', async () => {
  await seed(['receipts', 'export', '--out', 'tail'], options);
  appendFileSync(room.at('tail', 'receipts.jsonl'), '{}');
  const { code, answer } = await seedJson<Verdict>(['receipts', 'verify', 'tail'], options);
  expect({ code, verdict: answer.verdict }).toEqual({ code: 1, verdict: 'broken' });
  rmSync(room.at('tail', 'receipts.jsonl'));
  const gone = await seedJson<ErrorAnswer>(['receipts', 'verify', 'tail'], options);
  expect(gone).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
});
