/** Files, logs and tables as completions: what is new, what cannot be read, and that nothing is opened that should not be. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEPTH_MAX, ENTRIES_MAX, parsePlace, readFiles } from '../../../../src/mind/coherence/probes/files.ts';
import { assertSpec } from '../../../../src/mind/coherence/probes/index.ts';
import { readJsonl, READ_BYTES_MAX } from '../../../../src/mind/coherence/probes/jsonl.ts';
import type { Sighting } from '../../../../src/mind/coherence/probes/probe.ts';
import { newerThan } from '../../../../src/mind/coherence/probes/probe.ts';
import { readSqlite } from '../../../../src/mind/coherence/probes/sqlite.ts';
import { readTime } from '../../../../src/mind/coherence/probes/time.ts';
import { ROWS_MAX } from '../../../../src/substrate/probes/outside-table.ts';
import { openConnection } from '../../../../src/substrate/store/connection.ts';
import type { SqliteDriver } from '../../../../src/substrate/store/connection.ts';
import { DRIVERS } from '../../../support/home.ts';
import { scratch } from '../../../support/scratch.ts';
import { HOUR_MS, hoursAgo, lookAt, NOW, reasonFor } from './rig.ts';

function touch(path: string, hours: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'x');
  const at = new Date(NOW - hours * HOUR_MS);
  utimesSync(path, at, at);
}

describe('files', () => {
  test('a folder with all below it; then what was changed since', async () => {
    using dir = scratch();
    touch(dir.at('a'), 30);
    touch(dir.at('b', 'c'), 20);
    const first = await lookAt(readFiles, dir.folder);
    expect(hoursAgo(first.times)).toEqual([20, 30]);
    touch(dir.at('a'), 2);
    touch(dir.at('later'), -1);
    const second = await lookAt(readFiles, dir.folder, { cursor: first.cursor });
    // A clock elsewhere may be ahead: counted when that time has come. What is as old as what was seen is given again.
    expect(hoursAgo(second.times)).toEqual([2, 20]);
    const third = await lookAt(readFiles, dir.folder, { cursor: second.cursor, now: NOW + 2 * HOUR_MS });
    expect(hoursAgo(third.times)).toEqual([-1, 2]);
  });

  test.each([
    ['*.gz', [1]],
    ['**/*.gz', [1, 2, 3]],
    ['day?/*.gz', [2, 3]],
    ['day1/**', [2, 4]],
    ['none*', []],
  ])('a pattern: %s', async (pattern, expected) => {
    using dir = scratch();
    touch(dir.at('a.gz'), 1);
    touch(dir.at('day1', 'b.gz'), 2);
    touch(dir.at('day2', 'c.gz'), 3);
    touch(dir.at('day1', 'd.txt'), 4);
    touch(dir.at('.hidden', 'e.gz'), 5);
    expect(hoursAgo((await lookAt(readFiles, dir.at(pattern))).times)).toEqual(expected);
  });

  test('a folder that a pattern cannot mean is not looked into, however much is there', async () => {
    using dir = scratch();
    touch(dir.at('pg', 'a.yaml'), 1);
    touch(dir.at('pg', 'deep', 'b.yaml'), 2);
    for (let index = 0; index < ENTRIES_MAX; index++) writeFileSync(dir.at('pg', 'deep', `${index}`), '');
    const seen = async (pattern: string): Promise<number[]> =>
      hoursAgo((await lookAt(readFiles, dir.at(pattern))).times);
    expect(await seen('p?/*.yaml')).toEqual([1]);
    expect(await reasonFor(lookAt(readFiles, dir.at('p?/**/*.yaml')))).toBe('too_many');
  });

  test('what a pattern means literally stays literal', () => {
    const { base, isMeant } = parsePlace('/a (b)/c+[1].*');
    expect([base, isMeant?.('c+[1].gz'), isMeant?.('cc1.gz')]).toEqual(['/a (b)', true, false]);
  });

  test('links are not followed, and folders only so deep', async () => {
    using dir = scratch();
    touch(dir.at('outside', 'secret'), 9);
    touch(dir.at('inside', 'own'), 1);
    symlinkSync(dir.at('outside'), dir.at('inside', 'folder'));
    symlinkSync(dir.at('outside', 'secret'), dir.at('inside', 'file'));
    symlinkSync(dir.at('inside'), dir.at('inside', 'circle'));
    touch(join(dir.at('inside'), ...Array.from({ length: DEPTH_MAX }, () => 'd'), 'deep'), 2);
    touch(join(dir.at('inside'), ...Array.from({ length: DEPTH_MAX + 1 }, () => 'd'), 'deeper'), 3);
    expect(hoursAgo((await lookAt(readFiles, dir.at('inside'))).times)).toEqual([1, 2]);
    // The place itself was named by the owner.
    symlinkSync(dir.at('outside'), dir.at('link'));
    expect(hoursAgo((await lookAt(readFiles, dir.at('link'))).times)).toEqual([9]);
    expect(hoursAgo((await lookAt(readFiles, dir.at('outside', 'secret'))).times)).toEqual([9]);
  });

  test('gone, and too many', async () => {
    using dir = scratch();
    expect(await reasonFor(lookAt(readFiles, dir.at('nowhere', '*.gz')))).toBe('gone');
    for (let index = 0; index <= ENTRIES_MAX; index++) writeFileSync(dir.at(`${index}`), '');
    expect(await reasonFor(lookAt(readFiles, dir.folder))).toBe('too_many');
  });
});

const line = (hours: number, more: object = {}): string =>
  `${JSON.stringify({ time: new Date(NOW - hours * HOUR_MS).toISOString(), ...more })}\n`;

describe('a log of JSON lines', () => {
  const look = (place: string, cursor: string | null = null, field = 'time'): Promise<Sighting> =>
    lookAt(readJsonl, place, { cursor, spec: { field } });

  test('its past, then what was appended; a line that is being written waits for its end', async () => {
    using dir = scratch();
    const log = dir.at('log');
    writeFileSync(log, `${line(30)}no json\n${line(20)}{"other":1}\n`);
    const first = await look(log);
    expect(hoursAgo(first.times)).toEqual([20, 30]);
    expect((await look(log, first.cursor)).times).toEqual([]);
    appendFileSync(log, `${line(9)}${line(8).slice(0, 20)}`);
    const second = await look(log, first.cursor);
    expect(hoursAgo(second.times)).toEqual([9]);
    appendFileSync(log, line(8).slice(20));
    expect(hoursAgo((await look(log, second.cursor)).times)).toEqual([8]);
  });

  test('begun anew: by another file in its place, or cut off', async () => {
    using dir = scratch();
    const log = dir.at('log');
    writeFileSync(log, line(30) + line(29) + line(28));
    const { cursor } = await look(log);
    renameSync(log, dir.at('log.1'));
    writeFileSync(log, line(5));
    const rotated = await look(log, cursor);
    expect(hoursAgo(rotated.times)).toEqual([5]);
    appendFileSync(log, line(4));
    const { cursor: later } = await look(log, rotated.cursor);
    truncateSync(log, 0);
    appendFileSync(log, line(1));
    expect(hoursAgo((await look(log, later)).times)).toEqual([1]);
  });

  test('of a long one the end alone, whole lines and a thousand times at most', async () => {
    using dir = scratch();
    const log = dir.at('log');
    const count = Math.ceil((READ_BYTES_MAX * 1.5) / line(1, { pad: 'x'.repeat(900) }).length);
    writeFileSync(
      log,
      Array.from({ length: count }, (_, index) => line(count - index, { pad: 'x'.repeat(900) })).join(''),
    );
    const { times, cursor } = await look(log);
    expect([times.length, Math.min(...hoursAgo(times))]).toEqual([1_000, 1]);
    appendFileSync(log, line(0));
    expect(hoursAgo((await look(log, cursor)).times)).toEqual([0]);
  });

  test('members of members; and what cannot be read says why', async () => {
    using dir = scratch();
    const log = dir.at('log');
    writeFileSync(log, `{"done":{"at":${NOW / 1_000 - 3_600}}}\n`);
    expect(hoursAgo((await look(log, null, 'done.at')).times)).toEqual([1]);
    for (const field of ['time', 'done', 'done.at.more', '__proto__.x']) {
      expect([field, await reasonFor(look(log, null, field))]).toEqual([field, 'no_times']);
    }
    for (const [begun, text] of Object.entries({ empty: '', blank: '\n \n', first: '{"time":' })) {
      writeFileSync(dir.at(begun), text);
      expect((await look(dir.at(begun))).times).toEqual([]);
    }
    // Without a line of JSON, and without any line.
    for (const [name, text] of Object.entries({ prose: 'Dear\nall', binary: 'PATH=/bin\0HOME=/\0', list: '[1]' })) {
      writeFileSync(dir.at(name), text);
      expect([name, await reasonFor(look(dir.at(name)))]).toEqual([name, 'no_times']);
    }
    expect(await reasonFor(look(dir.at('nowhere')))).toBe('gone');
    expect(await reasonFor(look(dir.folder))).toBe('unreadable');
    // Opened, it would be waited for for ever.
    execFileSync('mkfifo', [dir.at('pipe')]);
    expect(await reasonFor(look(dir.at('pipe')))).toBe('unreadable');
  });
});

test.runIf(existsSync('/proc/self/environ'))('what the system makes up as it is read is no log', async () => {
  expect(await reasonFor(lookAt(readJsonl, '/proc/self/environ', { spec: { field: 'time' } }))).toBe('no_times');
});

describe.each(DRIVERS)('a table (%s)', (driver) => {
  const look = (
    place: string,
    given: { cursor?: string | null; table?: string; column?: string; driver?: SqliteDriver } = {},
  ): Promise<Sighting> => {
    const { cursor = null, table = 'jobs', column = 'done_at' } = given;
    return lookAt(readSqlite, place, { cursor, spec: { table, column }, driver });
  };

  function make(path: string, values: readonly (string | number | null)[], type = ''): void {
    const db = openConnection(driver, path);
    db.exec(`CREATE TABLE jobs (id INTEGER PRIMARY KEY, done_at ${type})`);
    for (const value of values) db.prepare('INSERT INTO jobs (done_at) VALUES (?)').run(value);
    db.close();
  }

  const at = (hours: number): number => NOW - hours * HOUR_MS;

  test('times in every form, what is new since, and one that is filled in later', async () => {
    using dir = scratch();
    const path = dir.at('db');
    const text = new Date(at(4)).toISOString().replace('T', ' ').slice(0, 19);
    make(path, [at(1), at(2) / 1_000, at(3) * 1_000, text, null, 'never', -5]);
    const first = await look(path);
    expect(hoursAgo(first.times)).toEqual([1, 2, 3, 4]);
    expect((await look(path, { cursor: first.cursor })).times).toEqual([at(1)]);
    const db = openConnection(driver, path);
    db.prepare('UPDATE jobs SET done_at = ? WHERE done_at IS NULL').run(at(0.5));
    db.close();
    expect(hoursAgo((await look(path, { cursor: first.cursor })).times)).toEqual([0.5, 1]);
  });

  test('the newest rows alone, and nothing is written', async () => {
    using dir = scratch();
    const path = dir.at('db');
    const db = openConnection(driver, path);
    db.exec('CREATE TABLE "a ""b""" ("the time" REAL, pad TEXT)');
    db.exec('BEGIN');
    const insert = db.prepare('INSERT INTO "a ""b""" VALUES (?, ?)');
    for (let index = ROWS_MAX + 100; index > 0; index--) insert.run(at(index) / 1_000, 'x');
    db.exec('COMMIT');
    db.close();
    const hash = (): string => createHash('sha256').update(readFileSync(path)).digest('hex');
    const before = hash();
    const { times } = await look(path, { table: 'a "b"', column: 'the time' });
    expect([times.length, Math.min(...hoursAgo(times))]).toEqual([1_000, 1]);
    expect([hash(), readdirSync(dir.folder)]).toEqual([before, ['db']]);
  });

  test('what cannot be read says why', async () => {
    using dir = scratch();
    const path = dir.at('db');
    make(path, ['never', 'ever']);
    expect(await reasonFor(look(path))).toBe('no_times');
    expect(await reasonFor(look(path, { table: 'none' }))).toBe('no_times');
    expect(await reasonFor(look(path, { column: 'none' }))).toBe('no_times');
    expect(await reasonFor(look(path, { table: "jobs'; DROP TABLE jobs; --" }))).toBe('no_times');
    expect(await reasonFor(look(dir.at('nowhere')))).toBe('gone');
    writeFileSync(dir.at('text'), 'no database, but long enough to be looked at as if it were one');
    expect(await reasonFor(look(dir.at('text')))).toBe('damaged');
    const db = openConnection(driver, path);
    db.exec('CREATE TABLE odd (done_at PRIMARY KEY) WITHOUT ROWID');
    db.exec('CREATE VIEW seen AS SELECT * FROM jobs');
    db.close();
    expect(await reasonFor(look(path, { table: 'odd' }))).toBe('no_times');
    expect(await reasonFor(look(path, { table: 'seen' }))).toBe('no_times');
  });

  test('one that is being written is waited for, a moment', async () => {
    using dir = scratch();
    const path = dir.at('db');
    make(path, [at(1)]);
    const writer = openConnection(driver, path);
    writer.exec('BEGIN EXCLUSIVE');
    expect(await reasonFor(look(path))).toBe('busy');
    const waiting = look(path);
    writer.exec('COMMIT');
    expect(hoursAgo((await waiting).times)).toEqual([1]);
    writer.close();
  });
});

test('times: ISO 8601 and numbers told apart by their size; anything else is none', () => {
  const second = Date.UTC(2026, 10, 21, 7, 0, 1);
  for (const value of [
    second,
    second / 1_000,
    second * 1_000,
    second * 1e6,
    String(second),
    '2026-11-21T07:00:01Z',
    '2026-11-21 07:00:01',
    '2026-11-21T08:00:01+01:00',
    '2026-11-21T02:00:01.000-0500',
  ]) {
    expect([value, readTime(value)]).toEqual([value, second]);
  }
  expect(readTime('2026-11-21')).toBe(Date.UTC(2026, 10, 21));
  for (const value of ['', 'now', '12:00', 7, -second, Number.NaN, null, undefined, {}, '2026-13-01', '21.11.2026']) {
    expect([value, readTime(value)]).toEqual([value, null]);
  }
});

test('a sighting by time: bounded, what is to come left for later, a little given again', () => {
  const hour = (hours: number): number => NOW - hours * HOUR_MS;
  expect(newerThan(null, [], NOW)).toEqual({ times: [], cursor: '0' });
  expect(newerThan(String(hour(2)), [hour(3)], NOW)).toEqual({ times: [], cursor: String(hour(2)) });
  const { times, cursor } = newerThan(String(hour(2)), [hour(3), hour(2), hour(1), hour(-1)], NOW);
  expect([times, cursor]).toEqual([[hour(1), hour(2)], String(hour(1))]);
  expect(
    newerThan(
      null,
      Array.from({ length: 2_000 }, (_, index) => hour(index)),
      NOW,
    ).times,
  ).toHaveLength(1_000);
});

test('what a kind must be told, and what does not belong to it', () => {
  assertSpec('sqlite', { table: 'a', column: 'b' });
  expect(() => assertSpec('sqlite', { table: 'a' })).toThrow('column is missing for a probe of sqlite.');
  expect(() => assertSpec('git', { field: 'time' })).toThrow('field does not belong to a probe of git.');
});
