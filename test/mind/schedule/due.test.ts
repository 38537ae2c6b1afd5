/** When a schedule is due, where clocks are turned: against a search over all minutes that shares no code with it. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { whatIsOwed } from '../../../src/mind/schedule/catch-up.ts';
import type { Cron } from '../../../src/mind/schedule/cron.ts';
import { readCron } from '../../../src/mind/schedule/cron.ts';
import { dueWithin, nextDue, upcoming } from '../../../src/mind/schedule/due.ts';
import { localWords } from '../../../src/mind/schedule/zone.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

async function times(cron: string, zone: string, after: string, count: number): Promise<string[]> {
  const found = upcoming(await readCron(cron), zone, Date.parse(after), count);
  return found.map((at) => new Date(at).toISOString().slice(0, 16));
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** What the clock on the wall shows, by another locale and another way through `Intl` than the code's. */
function wall(at: number, timeZone: string): string {
  let format = formatters.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', { timeZone, dateStyle: 'short', timeStyle: 'short', hourCycle: 'h23' });
    formatters.set(timeZone, format);
  }
  const { year, month, day, hour, minute } = Object.fromEntries(
    format.formatToParts(at).map(({ type, value }) => [type, Number(value)]),
  ) as Record<string, number>;
  return new Date(Date.UTC(2000 + (year ?? 0), (month ?? 0) - 1, day, hour, minute)).toISOString();
}

function names({ minutes, hours, days, months, weekdays }: Cron, reading: string): boolean {
  const date = new Date(reading);
  return (
    minutes.includes(date.getUTCMinutes()) &&
    hours.includes(date.getUTCHours()) &&
    days.includes(date.getUTCDate()) &&
    months.has(date.getUTCMonth() + 1) &&
    weekdays.includes(date.getUTCDay())
  );
}

/** Every minute of a span, in order: due times of a schedule by the rule's own words. */
function search(cron: Cron, zone: string, from: number, until: number): number[] {
  const shown = new Map<string, number>();
  const due = new Set<number>();
  let before: string | null = null;
  for (let at = from; at <= until; at += MINUTE_MS) {
    const reading = wall(at, zone);
    if (cron.isRhythm) {
      if (names(cron, reading)) due.add(at);
      continue;
    }
    // A time that comes twice: the first time.
    if (!shown.has(reading)) {
      shown.set(reading, at);
      if (names(cron, reading)) due.add(at);
      // A time that does not exist: the next moment that does.
      for (let lost = Date.parse(before ?? reading) + MINUTE_MS; lost < Date.parse(reading); lost += MINUTE_MS) {
        if (names(cron, new Date(lost).toISOString())) due.add(at);
      }
      if (before === null || reading > before) before = reading;
    }
  }
  return [...due].toSorted((one, other) => one - other);
}

/** Zones and days on which they turn their clocks: by an hour, by half of one, at midnight, by a whole day. */
const TURNS = [
  ['Europe/Berlin', '2027-03-28T01:00Z'],
  ['Europe/Berlin', '2027-10-31T01:00Z'],
  ['America/New_York', '2027-03-14T07:00Z'],
  ['America/New_York', '2027-11-07T06:00Z'],
  ['Australia/Lord_Howe', '2027-10-02T15:30Z'],
  ['Australia/Lord_Howe', '2027-04-03T15:00Z'],
  // Midnight itself is missing, or comes twice.
  ['America/Santiago', '2026-09-06T04:00Z'],
  ['America/Santiago', '2027-04-04T03:00Z'],
  ['Africa/Cairo', '2026-04-23T22:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00Z'],
  ['Asia/Kathmandu', '2027-06-01T00:00Z'],
  ['UTC', '2028-02-29T00:00Z'],
] as const;

const list = (min: number, max: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant('*'),
    fc.integer({ min: 1, max: 12 }).map((step) => `*/${step}`),
    fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 3 }).map((values) => values.join(',')),
  );
const minutesAndHours = fc.tuple(
  list(0, 59),
  fc.oneof(list(0, 23), list(0, 3), list(1, 2)),
  fc.constantFrom('*', '28-31', '1-7'),
);

describe('the turning of clocks', () => {
  test('agrees with a search over all minutes, from any moment around every turn', async () => {
    await fc.assert(
      fc.asyncProperty(
        minutesAndHours,
        fc.constantFrom(...TURNS),
        // Mostly within the hours that are missing, or come twice.
        fc.oneof(fc.integer({ min: -70, max: 130 }), fc.integer({ min: -600, max: 600 })),
        async ([minute, hour, day], [zone, turn], shift) => {
          const cron = await readCron(`${minute} ${hour} ${day} * *`);
          const around = Date.parse(turn);
          const after = around + shift * MINUTE_MS;
          const until = around + 8 * HOUR_MS;
          const expected = search(cron, zone, around - 12 * HOUR_MS, until).filter((at) => at > after);
          const found: number[] = [];
          for (let at = nextDue(cron, zone, after); at <= until; at = nextDue(cron, zone, at)) found.push(at);
          expect(found.map((at) => new Date(at).toISOString())).toEqual(
            expected.map((at) => new Date(at).toISOString()),
          );
        },
      ),
      { numRuns: 160, seed: 32 },
    );
  });

  test('the control: taking a local time for an instant would be found out', async () => {
    const cron = await readCron('30 2 * * *');
    const around = Date.parse('2027-03-28T01:00Z');
    const [found] = search(cron, 'Europe/Berlin', around - 36 * HOUR_MS, around + HOUR_MS).slice(-1);
    expect(new Date(found ?? 0).toISOString()).toBe('2027-03-28T01:00:00.000Z');
    expect(Date.UTC(2027, 2, 28, 2, 30) - HOUR_MS).not.toBe(found);
  });

  test('in spring, a time that does not exist is due at the next that does, once', async () => {
    expect(await times('30 2 * * *', 'Europe/Berlin', '2027-03-27T00:00Z', 3)).toEqual([
      '2027-03-27T01:30',
      '2027-03-28T01:00',
      '2027-03-29T00:30',
    ]);
    // 02:00, 02:30 and 03:00 are one moment then.
    expect(await times('0,30 2,3 28 3 *', 'Europe/Berlin', '2027-03-27T00:00Z', 2)).toEqual([
      '2027-03-28T01:00',
      '2027-03-28T01:30',
    ]);
  });

  test('in autumn, a time that comes twice is due the first time, and not again', async () => {
    // Asked in the midst of the second time.
    expect(await times('30 2 * * *', 'Europe/Berlin', '2027-10-31T01:10Z', 1)).toEqual(['2027-11-01T01:30']);
    expect(await times('30 2 * * *', 'Europe/Berlin', '2027-10-30T00:00Z', 3)).toEqual([
      '2027-10-30T00:30',
      '2027-10-31T00:30',
      '2027-11-01T01:30',
    ]);
  });

  test('a rhythm goes on through both: an hour that comes twice has its beats twice, a missing one none', async () => {
    expect(await times('30 * * * *', 'Europe/Berlin', '2027-10-30T23:00Z', 4)).toEqual([
      '2027-10-30T23:30',
      '2027-10-31T00:30',
      '2027-10-31T01:30',
      '2027-10-31T02:30',
    ]);
    expect(await times('30 * * * *', 'Europe/Berlin', '2027-03-28T00:00Z', 2)).toEqual([
      '2027-03-28T00:30',
      '2027-03-28T01:30',
    ]);
  });

  test('a leap day, and a day that a zone left out', async () => {
    expect(await times('0 12 29 2 *', 'Europe/Berlin', '2026-03-01T00:00Z', 2)).toEqual([
      '2028-02-29T11:00',
      '2032-02-29T11:00',
    ]);
    expect(await times('0 12 30 12 *', 'Pacific/Apia', '2011-12-01T00:00Z', 1)).toEqual(['2011-12-30T10:00']);
  });

  test('is said in words of the place', () => {
    expect(localWords(Date.parse('2027-03-28T01:00Z'), 'Europe/Berlin')).toBe('Sun 28 Mar 2027 03:00');
    expect(localWords(Date.parse('2027-03-28T01:00:07Z'), 'Asia/Kathmandu')).toBe('Sun 28 Mar 2027 06:45:07');
  });
});

describe('what is owed after downtime', () => {
  const since = Date.parse('2026-11-18T03:00Z');
  const now = Date.parse('2026-11-20T10:00Z');
  const day = (date: number): number => Date.UTC(2026, 10, date, 3);

  test.each([
    ['skip', [], 3],
    ['once', [day(20)], 2],
    ['all', [day(18), day(19), day(20)], 0],
  ] as const)('three nights under %s', async (catchUp, expected, skipped) => {
    const cron = await readCron('0 3 * * *');
    expect(whatIsOwed(cron, 'UTC', { since, catchUp, now })).toEqual({ times: expected, skipped, uncounted: false });
  });

  test.each(['skip', 'once', 'all'] as const)('just in time, %s is due', async (catchUp) => {
    const cron = await readCron('0 3 * * *');
    const owed = whatIsOwed(cron, 'UTC', { since, catchUp, now: since + MINUTE_MS });
    expect(owed).toEqual({ times: [since], skipped: 0, uncounted: false });
  });

  test('a year of every second is bounded, in what it gives and in what it costs', async () => {
    const cron = await readCron('* * * * * *');
    const until = since + 365 * DAY_MS;
    const found = dueWithin(cron, 'Europe/Berlin', { after: since, until, max: 100, countMax: 1_000 });
    expect([found.count, found.times.length, found.times.at(-1)]).toEqual([1_000, 100, until]);
    expect(whatIsOwed(cron, 'UTC', { since, catchUp: 'all', now: until })).toMatchObject({
      skipped: 900,
      uncounted: true,
    });
  });

  test('counts the same as a walk from the front', async () => {
    await fc.assert(
      fc.asyncProperty(
        minutesAndHours,
        fc.integer({ min: 0, max: 40 * 24 }),
        fc.integer({ min: 1, max: 50 }),
        async ([minute, hour], hours, max) => {
          const cron = await readCron(`${minute} ${hour} * * *`);
          const until = since + hours * HOUR_MS;
          const all: number[] = [];
          for (let at = nextDue(cron, 'Europe/Berlin', since); at <= until && all.length < 5_000; ) {
            all.push(at);
            at = nextDue(cron, 'Europe/Berlin', at);
          }
          fc.pre(all.length < 5_000);
          const found = dueWithin(cron, 'Europe/Berlin', { after: since, until, max, countMax: 300 });
          expect(found).toEqual({ times: all.slice(-max), count: Math.min(all.length, 300) });
        },
      ),
      { numRuns: 15, seed: 7 },
    );
  });
});
