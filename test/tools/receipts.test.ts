/** The tools that show, note, prove, export and erase receipts, through the pipeline that runs them all. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import type { Call } from '../../src/doors/call.ts';
import { verifyProof } from '../../src/formats/proof.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { LocalSeed } from '../../src/main.ts';
import { initHome, openLocally } from '../../src/main.ts';
import type { Actor } from '../../src/substrate/actor.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let room: Scratch;
let seed: LocalSeed;

beforeAll(async () => {
  room = scratch();
  const config = readConfig({ home: room.at('home') }, { SEED_PORT: '0' });
  await initHome(config, null);
  seed = await openLocally(config);
});

afterAll(async () => {
  await seed.close();
  room[Symbol.dispose]();
});

interface ListAnswer {
  readonly receipts: readonly Receipt[];
  readonly next_cursor: number | null;
}

/** An agent that may do these things and nothing else; with no grant row, since none is looked up here. */
function agent(...scopes: readonly string[]): Actor {
  return { id: 'cursor', kind: 'agent', grant: null, scopes: new Set(scopes) };
}

interface Answered<T> {
  readonly answer: T;
}

async function ask<T>(
  tool: string,
  input: unknown = {},
  more: Partial<Parameters<Call>[0]> = {},
): Promise<Answered<T>> {
  return { answer: (await seed.call({ tool, input, actor: OWNER, ...more })) as T };
}

async function note(text: string): Promise<number> {
  const { answer } = await ask<{ receipt: number }>('receipt_note', { text });
  return answer.receipt;
}

async function newest(): Promise<Receipt> {
  const { answer } = await ask<ListAnswer>('receipt_list', { limit: 1 });
  const [receipt] = answer.receipts;
  if (receipt === undefined) throw new Error('The log is empty.');
  return receipt;
}

test('a note is claimed, under the name given, with its text beside it', async () => {
  const { answer } = await ask<{ receipt: number }>(
    'receipt_note',
    { text: 'shipped 🌱', action: 'deploy.finished' },
    { actor: agent('receipt.note') },
  );
  const { answer: got } = await ask<{ receipt: Receipt }>('receipt_get', { seq: answer.receipt });
  expect(got).toMatchObject({
    receipt: { outcome: 'claimed', action: 'deploy.finished', actor: { id: 'cursor', kind: 'agent' } },
    input: { text: 'shipped 🌱', cut: false },
    output: null,
  });
  expect(JSON.stringify(got.receipt)).not.toContain('shipped');
});

test('who may read receipts does not thereby read their content', async () => {
  const seq = await note('for the owner');
  const { answer } = await ask('receipt_get', { seq }, { actor: agent('receipt.read') });
  expect(answer).toMatchObject({ receipt: { seq }, input: null });
  const { answer: more } = await ask('receipt_get', { seq }, { actor: agent('receipt.read', 'content.read') });
  expect(more).toMatchObject({ input: { text: 'for the owner' } });
});

test('long content is cut in an answer, and says so', async () => {
  const seq = await note('x'.repeat(30_000));
  const { answer } = await ask<{ input: { text: string; cut: boolean } }>('receipt_get', { seq });
  expect(answer.input.cut).toBe(true);
  expect(answer.input.text).toHaveLength(20_000);
});

test('no scope, no call: refused, with a receipt under the tool’s own action', async () => {
  const actor = agent('receipt.read');
  await expect(ask('receipt_note', { text: 'x' }, { actor })).rejects.toMatchObject({
    code: 'forbidden',
    data: { scope: 'receipt.note' },
  });
  expect(await newest()).toMatchObject({
    action: 'receipt.note',
    outcome: 'refused',
    code: 'forbidden',
    actor: { id: 'cursor' },
  });
});

test.each([
  ['receipt_get', {}, 'seq'],
  ['receipt_get', { seq: -1 }, 'seq'],
  ['receipt_get', { seq: 0.5 }, 'seq'],
  ['receipt_get', { seq: '0' }, 'seq'],
  ['receipt_note', { text: 'x', action: 'Not A Name' }, 'action'],
  ['receipt_note', { text: 'x', action: 'seed.halt' }, 'action'],
  ['receipt_list', { limit: 201 }, 'limit'],
  ['receipt_list', { outcome: 'fine' }, 'outcome'],
  ['receipt_export', { out: 'relative/path' }, 'out'],
])('%s %j: the wrong argument is named', async (tool, input, argument) => {
  await expect(ask(tool, input)).rejects.toMatchObject({ code: 'invalid_input', data: { argument } });
});

test('a tool that there is not, and a receipt that there is not', async () => {
  await expect(ask('receipt_forge')).rejects.toMatchObject({ code: 'not_found' });
  await expect(ask('receipt_get', { seq: 9_999_999 })).rejects.toMatchObject({ code: 'not_found' });
  await expect(ask('receipt_prove', { seq: 9_999_999 })).rejects.toMatchObject({ code: 'not_found' });
});

test('list: pages join without gap or repetition, in both orders', async () => {
  for (let i = 0; i < 7; i++) await note(`page ${i}`);
  for (const order of ['newest', 'oldest'] as const) {
    const seqs: number[] = [];
    let cursor: number | undefined;
    for (let page = 0; page < 50; page++) {
      const { answer } = await ask<ListAnswer>('receipt_list', { order, limit: 3, cursor });
      seqs.push(...answer.receipts.map(({ seq }) => seq));
      if (answer.next_cursor === null) break;
      cursor = answer.next_cursor;
    }
    const all = Array.from({ length: Math.max(...seqs) + 1 }, (_, seq) => seq);
    expect(seqs).toEqual(order === 'oldest' ? all : all.toReversed());
  }
});

test('list: what is asked for together must hold together', async () => {
  await ask('receipt_note', { text: 'x', action: 'deploy.failed' }, { actor: agent('receipt.note') });
  const { answer } = await ask<ListAnswer>('receipt_list', { actor: 'cursor', action: 'deploy.failed' });
  expect(answer.receipts).toMatchObject([{ actor: { id: 'cursor' }, action: 'deploy.failed' }]);
  const { answer: none } = await ask<ListAnswer>('receipt_list', { actor: 'owner', action: 'deploy.failed' });
  expect(none).toEqual({ receipts: [], next_cursor: null });
  const { answer: refused } = await ask<ListAnswer>('receipt_list', { outcome: 'refused', limit: 200 });
  expect(new Set(refused.receipts.map(({ outcome }) => outcome))).toEqual(new Set(['refused']));
});

test('prove: what it gives verifies with the root of trust alone', async () => {
  const seq = await note('proven');
  const { answer } = await ask<{ proof: string }>('receipt_prove', { seq });
  const { rootFiles } = await import('../../src/substrate/identity/root.ts').then(({ loadRoot }) => ({
    rootFiles: loadRoot(room.at('home', 'root')).files,
  }));
  const proven = verifyProof(answer.proof, { roots: rootFiles, pinnedRoot: rootFiles[0] ?? '' });
  expect(proven.receipt.seq).toBe(seq);
});

test('export: an intent, a folder, and an outcome that settles the intent', async () => {
  const out = room.at('export');
  const steps: number[] = [];
  const { answer } = await ask<{ out: string; receipts: number; receipt: number }>(
    'receipt_export',
    { out },
    { onProgress: ({ done }) => steps.push(done) },
  );
  expect(answer.receipts).toBe(answer.receipt + 1);
  expect(steps.at(-1)).toBe(answer.receipts);
  expect(readdirSync(out).toSorted()).toEqual(['README.txt', 'checkpoint', 'receipts.jsonl', 'root']);
  expect(await newest()).toMatchObject({ action: 'receipt.export', outcome: 'ok', of: answer.receipt });
});

test('export: a folder that holds something is left as it is, and no intent is written', async () => {
  mkdirSync(room.at('mine'));
  writeFileSync(room.at('mine', 'letter'), '');
  const before = await newest();
  await expect(ask('receipt_export', { out: room.at('mine') })).rejects.toMatchObject({ code: 'conflict' });
  expect(readdirSync(room.at('mine'))).toEqual(['letter']);
  expect((await newest()).seq).toBe(before.seq);
});

test('export: stopped half way, it leaves nothing but a failed outcome', async () => {
  const stop = new AbortController();
  stop.abort();
  await expect(ask('receipt_export', { out: room.at('half') }, { signal: stop.signal })).rejects.toMatchObject({
    code: 'interrupted',
  });
  expect(readdirSync(room.folder).filter((name) => name.includes('half'))).toEqual([]);
  const outcome = await newest();
  expect(outcome).toMatchObject({ action: 'receipt.export', outcome: 'failed', code: 'interrupted' });
  expect(outcome.of).toBe(outcome.seq - 1);
});

test('erase: the content is gone, the receipt is not; once is enough', async () => {
  const seq = await note('to be forgotten');
  const { answer } = await ask<{ receipt: number; erased: number }>('receipt_erase', { seq });
  expect(answer.erased).toBe(1);
  expect(await newest()).toMatchObject({
    seq: answer.receipt,
    action: 'receipt.erase',
    subject: { type: 'receipt', id: String(seq) },
    detail: { pieces: 1 },
  });
  const { answer: got } = await ask('receipt_get', { seq });
  expect(got).toMatchObject({ receipt: { seq, outcome: 'claimed' }, input: null });
  await expect(ask('receipt_erase', { seq })).rejects.toMatchObject({ code: 'content_erased' });
  await expect(ask('receipt_erase', { seq: 9_999_999 })).rejects.toMatchObject({ code: 'not_found' });
});

test('there is nothing to accept in a log that is in order, and nothing to stop without a daemon', async () => {
  await expect(ask('log_accept')).rejects.toMatchObject({ code: 'conflict' });
  await expect(ask('seed_stop')).rejects.toMatchObject({ code: 'daemon_absent' });
});

test('status and doctor tell of a home in order', async () => {
  const { answer } = await ask<{ receipts: number }>('seed_status');
  expect(answer).toMatchObject({ serving: false, pid: null, home: room.at('home'), store: 'better-sqlite3' });
  expect(answer.receipts).toBe((await newest()).seq + 1);
  const { answer: examined } = await ask<{ worst: string; findings: readonly { check: string; verdict: string }[] }>(
    'seed_doctor',
  );
  expect(examined.findings.filter(({ verdict }) => verdict === 'bad')).toEqual([]);
  expect(examined.findings.map(({ check }) => check)).toEqual(
    expect.arrayContaining(['home', 'keys', 'passphrase', 'root', 'log', 'disk']),
  );
});
