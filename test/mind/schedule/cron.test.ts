/** What node-cron takes is taken, with its meaning; what it refuses is refused in words. */
import * as fc from '../../support/fast-check.ts';
import { createTask, validate } from 'node-cron';
import { describe, expect, test } from 'vitest';
import { nextLocal, readCron } from '../../../src/mind/schedule/cron.ts';
import { codeOf } from '../../support/home.ts';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

async function next(cron: string, from: string): Promise<string> {
  return new Date(nextLocal(await readCron(cron), Date.parse(`${from}Z`))).toISOString().slice(0, 19);
}

/** One field: `*`, a step, numbers, a range that may go round the end. */
function field(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max });
  return fc.oneof(
    fc.constant('*'),
    fc.integer({ min: 1, max: max - min }).map((step) => `*/${step}`),
    fc.uniqueArray(value, { minLength: 1, maxLength: 4 }).map((list) => list.join(',')),
    fc.tuple(value, value).map(([from, to]) => `${from}-${to}`),
  );
}

const day = fc.oneof(field(1, 31), fc.constantFrom('L', 'LW', 'L-3', '15W', '1W', '31W', '?', 'L,10'));
const weekday = fc.oneof(field(0, 7), fc.constantFrom('5L', '1#2', '3#5', '7', 'mon-fri', 'sun', '?', '0L', '7#1'));
const month = fc.oneof(field(1, 12), fc.constantFrom('jan', 'feb-apr', 'Dec'));
const expression = fc
  .tuple(fc.option(field(0, 59)), field(0, 59), field(0, 23), day, month, weekday)
  .map(([second, ...rest]) => (second === null ? rest : [second, ...rest]).join(' '));

describe('next', () => {
  test.each([
    ['0 3 * * *', '2026-11-21T02:59:59', '2026-11-21T03:00:00'],
    ['0 3 * * *', '2026-11-21T03:00:00', '2026-11-21T03:00:00'],
    ['0 3 * * *', '2026-11-21T03:00:01', '2026-11-22T03:00:00'],
    ['*/20 30 9 * * mon', '2026-11-23T09:30:21', '2026-11-23T09:30:40'],
    ['0 0 29 2 *', '2026-03-01T00:00:00', '2028-02-29T00:00:00'],
    ['0 0 29 2 *', '2096-03-01T00:00:00', '2104-02-29T00:00:00'],
    ['0 0 29 2 mon', '2072-03-01T00:00:00', '2112-02-29T00:00:00'],
    ['0 9 L * *', '2028-02-01T00:00:00', '2028-02-29T09:00:00'],
    ['0 9 LW * *', '2026-05-01T00:00:00', '2026-05-29T09:00:00'],
    ['0 9 * * 5L', '2026-11-01T00:00:00', '2026-11-27T09:00:00'],
    ['0 9 * * 1#2', '2026-11-01T00:00:00', '2026-11-09T09:00:00'],
    // Both the day of the month and the day of the week must match, as node-cron has it.
    ['0 0 13 * fri', '2026-01-01T00:00:00', '2026-02-13T00:00:00'],
    ['@daily', '2026-12-31T00:00:01', '2027-01-01T00:00:00'],
    ['59 59 23 31 12 *', '2026-12-31T23:59:59', '2026-12-31T23:59:59'],
  ])('%s from %s is %s', async (cron, from, expected) => {
    expect(await next(cron, from)).toBe(expected);
  });

  test('agrees with node-cron on which moments match, in a zone that turns no clocks', async () => {
    await fc.assert(
      fc.asyncProperty(expression, fc.integer({ min: 0, max: 20_000 * 86_400 }), async (text, second) => {
        fc.pre(validate(text));
        const cron = await readCron(text).catch(() => null);
        fc.pre(cron !== null);
        const task = createTask(text, () => {}, { timezone: 'UTC' });
        const from = second * SECOND_MS;
        const found = nextLocal(cron, from);
        expect([text, task.match(new Date(found))]).toEqual([text, true]);
        // Nothing between matches: each day at the found time, and the seconds just before it.
        for (let at = found - SECOND_MS; at >= from && at > found - 5 * SECOND_MS; at -= SECOND_MS) {
          expect([text, at, task.match(new Date(at))]).toEqual([text, at, false]);
        }
        for (let at = found - DAY_MS; at >= from && at > found - 400 * DAY_MS; at -= DAY_MS) {
          expect([text, at, task.match(new Date(at))]).toEqual([text, at, false]);
        }
        expect(nextLocal(cron, found + 1)).toBeGreaterThan(found);
      }),
      { numRuns: 150, seed: 26 },
    );
  });
});

describe('what is refused', () => {
  test.each([
    ['0 25 * * *', /the hour cannot be "25"/],
    ['0 3 30 2 *', /no such day/],
    ['0 3 * *', /5 or 6 fields/],
    ['* * * * * * *', /5 or 6 fields/],
    ['*/0 * * * *', /the minute cannot be/],
    ['0 0 32 * *', /the day of the month cannot be "32"/],
    ['0\t3 * * ;', /a character in it/],
    ['', /cannot be read/],
    ['every night', /5 or 6 fields/],
    // node-cron would count up to it before it looks.
    ['0-4000000000 * * * *', /4000000000 is too long/],
    [`${'1,'.repeat(100)}1 * * * *`, /too long/],
    // Each is a day by itself; both together there is none, which node-cron finds out after a hundred years.
    ['0 0 L-30 2 *', /no such day/],
    ['0 0 1-7 * 1#3', /no such day/],
  ])('%s', async (cron, message) => {
    await expect(readCron(cron)).rejects.toThrow(message);
    expect(await codeOf(readCron(cron))).toBe('invalid_input');
  });
});
