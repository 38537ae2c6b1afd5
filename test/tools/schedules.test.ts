/** The owner's tools for schedules and probes: what they refuse, in words, and that the passphrase guards them. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProber } from '../../src/mind/organs/prober.ts';
import type { Rig } from '../doors/rig.ts';
import { askOwner, asOwner, openRig, receipts } from '../doors/rig.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;

beforeEach(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterEach(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

interface Listed {
  readonly schedules: readonly { readonly name: string; readonly task: string | null; readonly next: string | null }[];
}

/** The code and the words that a call is refused with. */
async function refusal(tool: string, input: object): Promise<string> {
  const { error } = await askOwner(rig, tool, input);
  return error === undefined ? 'done' : `${error.code}: ${error.message}`;
}

test('a schedule is added as it was said, is seen and is due when it says', async () => {
  const task = { title: 'water the plants', subsystem: 'home', deadline_s: 3_600 };
  const cron = '0 9 * * sat';
  const added = await asOwner<{ next: string }>(rig, 'schedule_add', { name: 'plants', cron, job: 'task', task });
  const { schedules } = await asOwner<Listed>(rig, 'schedule_list');
  expect(schedules.map(({ name }) => name)).toEqual(['nightly-drain', 'plants']);
  expect(schedules[1]).toMatchObject({ cron, task: task.title, next: added.next, waiting: 0, last: null });
  const next = await asOwner<{ times: { at: string }[] }>(rig, 'schedule_next', { name: 'plants', count: 3 });
  expect(next.times).toHaveLength(3);
  expect(next.times[0]?.at).toBe(added.next);
  const [receipt] = await receipts(rig, { action: 'schedule.add' });
  expect(receipt).toMatchObject({ subject: { type: 'schedule', id: 'plants' }, detail: { cron, job: 'task' } });
});

/** What is wrong with a schedule, and what is said of it. */
const WRONG_SCHEDULES = [
  [{ cron: '0 25 * * *' }, 'invalid_input: The schedule "0 25 * * *" cannot be read: the hour cannot be "25".'],
  [{ cron: '* * * * * *' }, 'invalid_input: The schedule "* * * * * *" is due more than once a minute.'],
  [{ cron: '1,31 * * * * *' }, 'invalid_input: The schedule "1,31 * * * * *" is due more than once a minute.'],
  [{ zone: 'Berlin' }, 'invalid_input: zone must be an IANA time zone, such as Europe/Berlin; it was "Berlin".'],
  [{ job: 'task' }, 'invalid_input: task is missing.'],
  [{ task: { title: 'x' } }, 'invalid_input: task does not belong to "drain".'],
  [{ name: 'nightly-drain' }, 'conflict: There is a schedule "nightly-drain" already.'],
  [{ job: 'task', task: { title: 'x', check: { file: '/etc/hosts' } } }, /^invalid_input: check: That file is there/],
] as const;

test('what no schedule can be is not tried either, nor another zone for one that has its own', async () => {
  const tried = (input: object) => refusal('schedule_next', input);
  const often = 'invalid_input: The schedule "* * * * * *" is due more than once a minute.';
  expect(await tried({ cron: '* * * * * *' })).toBe(often);
  expect(await tried({ zone: 'Europe/Berlin' })).toBe('invalid_input: zone: A schedule that is kept has its own.');
  expect(await tried({ cron: '0 3 * * *', zone: 'Europe/Berlin' })).toBe('done');
});

test('a schedule that cannot be is refused in words', async () => {
  for (const [wrong, message] of WRONG_SCHEDULES) {
    const said = await refusal('schedule_add', { name: 'x', cron: '0 3 * * *', job: 'drain', ...wrong });
    expect(said).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  }
});

test('once a minute is not too often, whatever second that is', async () => {
  for (const [index, cron] of ['* * * * *', '30 * * * * *'].entries()) {
    expect(await refusal('schedule_add', { name: `s${index}`, cron, job: 'drain' })).toBe('done');
  }
});

test('a schedule or one that is only thought of, not both; and none that is not there', async () => {
  expect(await refusal('schedule_next', { name: 'nightly-drain', cron: '* * * * *' })).toMatch(/^invalid_input/);
  expect(await refusal('schedule_next', { name: 'none' })).toMatch(/^not_found/);
  expect(await refusal('schedule_remove', { name: 'none' })).toMatch(/^not_found/);
});

const WRONG_PROBES = [
  [{ kind: 'git', path: '/nowhere' }, /^probe_failed: \/nowhere is not there/],
  [{ kind: 'git', path: 'relative' }, /^invalid_input: path must be an absolute path/],
  [{ kind: 'git', path: '/', field: 'x' }, /^invalid_input: field does not belong to a probe of git/],
  [{ kind: 'sqlite', path: '/x', table: 't' }, /^invalid_input: column is missing for a probe of sqlite/],
  [{ kind: 'files', path: '/nowhere/*' }, /^probe_failed/],
] as const;

test('a probe of what cannot be read is refused in words, and none is added', async () => {
  for (const [wrong, message] of WRONG_PROBES) {
    expect(await refusal('probe_add', { name: 'x', ...wrong })).toMatch(message);
  }
  expect(await asOwner(rig, 'probe_list')).toEqual({ probes: [] });
});

test('a probe says what is there now, and the same again changes what may change', async () => {
  mkdirSync(folder.at('out'));
  writeFileSync(folder.at('out', 'a'), '');
  utimesSync(folder.at('out', 'a'), rig.sources.time / 1_000 - 60, rig.sources.time / 1_000 - 60);
  const probe = { kind: 'files', path: folder.at('out'), name: 'out' };
  expect(await asOwner(rig, 'probe_add', probe)).toMatchObject({ known: false, found: 1 });
  expect(await asOwner(rig, 'probe_add', { ...probe, finished: true, every_s: 60 })).toMatchObject({ known: true });
  const { probes } = await asOwner<{ probes: object[] }>(rig, 'probe_list');
  expect(probes).toMatchObject([{ name: 'out', every_s: 60, finished: true, problem: null }]);
  expect(await refusal('probe_add', { ...probe, path: folder.at('home') })).toMatch(/^conflict/);
});

test('a time to come is not counted before it has come, and two of one moment are one', async () => {
  const [log, now] = [folder.at('log'), rig.sources.time];
  const line = (time: number): string => `${JSON.stringify({ time })}\n`;
  writeFileSync(log, [now - 60_000, now - 60_000, now - 30_000, now + 3_600_000].map(line).join(''));
  const probe = { kind: 'jsonl', path: log, name: 'jobs', field: 'time' };
  const last = new Date(now - 30_000).toISOString();
  expect(await asOwner(rig, 'probe_add', probe)).toMatchObject({ found: 2, last_done: last });
  const run = { because: 'test', signal: new AbortController().signal, alive: () => {} };
  expect((await createProber(rig).run(run)).says).toBe('jobs: 2 new completions.');
  expect(await asOwner(rig, 'probe_list')).toMatchObject({ probes: [{ last_done: last }] });
});

test('the passphrase guards what changes, and nothing that only looks', async () => {
  await rig.close();
  rig = await openRig(folder.at('guarded'), { passphrase: 'correct horse battery' });
  for (const [tool, input] of [
    ['schedule_add', { name: 'x', cron: '0 3 * * *', job: 'drain' }],
    ['schedule_remove', { name: 'nightly-drain' }],
    ['probe_add', { kind: 'files', path: '/', name: 'x' }],
    ['probe_remove', { name: 'x' }],
  ] as const) {
    expect([tool, await refusal(tool, input)]).toEqual([tool, expect.stringMatching(/^passphrase_required/)]);
  }
  for (const tool of ['schedule_list', 'schedule_next', 'probe_list']) expect(await refusal(tool, {})).toBe('done');
});
