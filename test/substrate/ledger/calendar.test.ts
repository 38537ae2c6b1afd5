/** Local days, weeks and months, through every irregularity that zones have. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { addDays, dayEnd, dayOf, presentDay, windowDays, windowEnd } from '../../../src/substrate/ledger/calendar.ts';

const HOUR = 3_600_000;
const at = (iso: string): number => Date.parse(iso);

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Kiritimati',
  'Pacific/Honolulu',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'America/Havana',
  'Africa/Cairo',
  'America/Santiago',
] as const;

describe('a day', () => {
  it.each([
    ['Europe/Berlin', '2026-11-21T22:59:59.999Z', '2026-11-21'],
    ['Europe/Berlin', '2026-11-21T23:00:00.000Z', '2026-11-22'],
    ['America/New_York', '2027-01-01T04:59:59Z', '2026-12-31'],
    ['Pacific/Kiritimati', '2026-11-21T10:00:00Z', '2026-11-22'],
    ['UTC', '2028-02-29T12:00:00Z', '2028-02-29'],
  ])('in %s at %s is %s', (zone, instant, day) => {
    expect(dayOf(at(instant), zone)).toBe(day);
  });

  it.each([
    // Spring forward and fall back: 23 and 25 hours.
    ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
    ['Europe/Berlin', '2026-10-25', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
    // No midnight: clocks go from 23:59:59 to 01:00.
    ['America/Havana', '2026-03-08', '2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z'],
    ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00:00Z', '2026-04-24T21:00:00Z'],
    // A day that never was: Samoa went from the 29th to the 31st.
    ['Pacific/Apia', '2011-12-29', '2011-12-29T10:00:00Z', '2011-12-30T10:00:00Z'],
    ['Pacific/Apia', '2011-12-31', '2011-12-30T10:00:00Z', '2011-12-31T10:00:00Z'],
    // Half an hour of daylight saving.
    ['Australia/Lord_Howe', '2026-10-04', '2026-10-03T13:30:00Z', '2026-10-04T13:00:00Z'],
  ])('in %s: %s lasts from %s to %s', (zone, day, begin, end) => {
    expect(dayOf(at(begin), zone)).toBe(day);
    expect(dayOf(at(begin) - 1, zone) < day).toBe(true);
    expect(new Date(dayEnd(day, zone)).toISOString()).toBe(new Date(at(end)).toISOString());
    expect(dayOf(at(end) - 1, zone)).toBe(day);
  });

  it('holds every instant until its end, in every zone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        fc.integer({ min: at('2020-01-01T00:00Z'), max: at('2035-01-01T00:00Z') }),
        (zone, now) => {
          const day = dayOf(now, zone);
          const end = dayEnd(day, zone);
          expect(end).toBeGreaterThan(now);
          expect(end - now).toBeLessThanOrEqual(26 * HOUR);
          expect(dayOf(end - 1, zone)).toBe(day);
          expect(dayOf(end, zone)).toBe(addDays(day, 1));
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each(['Mars/Olympus', '', '../etc'])('in the zone "%s" is refused', (zone) => {
    expect(() => dayOf(0, zone)).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  it('beyond four digits of year, or without a clock, is refused', () => {
    expect(() => dayOf(8.64e15, 'UTC')).toThrow(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => dayOf(Number.NaN, 'UTC')).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });
});

describe('a window', () => {
  it.each([
    ['day', '2028-02-29', '2028-02-29', '2028-02-29'],
    ['week', '2026-11-21', '2026-11-16', '2026-11-22'],
    ['week', '2026-11-16', '2026-11-16', '2026-11-22'],
    ['week', '2026-11-22', '2026-11-16', '2026-11-22'],
    ['week', '2027-01-01', '2026-12-28', '2027-01-03'],
    ['month', '2028-02-10', '2028-02-01', '2028-02-29'],
    ['month', '2026-02-10', '2026-02-01', '2026-02-28'],
    ['month', '2026-12-31', '2026-12-01', '2026-12-31'],
    ['life', '2026-11-21', '0000-01-01', '9999-12-31'],
  ] as const)('%s around %s is %s to %s', (window, day, from, to) => {
    expect(windowDays(window, day)).toEqual({ from, to });
  });

  it('of a call is none', () => {
    expect(windowDays('call', '2026-11-21')).toBeNull();
  });

  it.each([
    ['day', '2026-11-21T23:00:00.000Z'],
    ['week', '2026-11-22T23:00:00.000Z'],
    ['month', '2026-11-30T23:00:00.000Z'],
  ] as const)('%s turns over at local midnight', (window, end) => {
    const present = presentDay(null, at('2026-11-21T12:00:00Z'), 'Europe/Berlin');
    expect(new Date(windowEnd(window, present, 'Europe/Berlin')!).toISOString()).toBe(end);
  });

  it.each(['call', 'life'] as const)('%s never does', (window) => {
    expect(windowEnd(window, presentDay(null, 0, 'UTC'), 'UTC')).toBeNull();
  });
});

describe('the day that is booked on', () => {
  const zone = 'Europe/Berlin';
  const evening = presentDay(null, at('2026-11-21T20:00:00Z'), zone);

  it('is the local one, and the next one from its first moment', () => {
    expect(evening).toEqual({ day: '2026-11-21', endsAt: at('2026-11-21T23:00:00Z') });
    expect(presentDay(evening, evening.endsAt - 1, zone)).toEqual(evening);
    expect(presentDay(evening, evening.endsAt, zone).day).toBe('2026-11-22');
  });

  it('is never before the newest one, whatever the clock says', () => {
    for (const back of ['2026-11-20T12:00:00Z', '2026-10-01T00:00:00Z', '1970-01-01T00:00:00Z']) {
      expect(presentDay(evening, at(back), zone)).toEqual(evening);
    }
  });

  it('ends when it is over in both zones after a change of zone', () => {
    // East: it is tomorrow there already, but not yet here.
    const east = presentDay(evening, at('2026-11-21T20:30:00Z'), 'Pacific/Kiritimati');
    expect(east).toEqual(evening);
    expect(presentDay(east, evening.endsAt, 'Pacific/Kiritimati').day).toBe('2026-11-22');
    // West: over here, but not yet there.
    const west = presentDay(evening, at('2026-11-21T20:30:00Z'), 'Pacific/Honolulu');
    expect(west).toEqual({ day: '2026-11-21', endsAt: at('2026-11-22T10:00:00Z') });
    // The same when nothing was admitted between the change and the old midnight.
    expect(presentDay(evening, at('2026-11-22T05:00:00Z'), 'Pacific/Honolulu')).toEqual(west);
    // Back again before that: the later end stays.
    expect(presentDay(west, at('2026-11-22T05:00:00Z'), zone)).toEqual(west);
  });

  it('only goes forward, and no day begins before it has begun in some zone', () => {
    const first = at('2026-01-01T00:00Z');
    fc.assert(
      fc.property(
        fc.array(fc.record({ zone: fc.constantFrom(...ZONES), hours: fc.integer({ min: -60, max: 60 }) }), {
          maxLength: 40,
        }),
        (steps) => {
          let [now, newest, latest] = [first, presentDay(null, first, 'UTC'), first];
          for (const step of steps) {
            now += step.hours * HOUR;
            latest = Math.max(latest, now);
            const next = presentDay(newest, now, step.zone);
            expect(next.day >= newest.day).toBe(true);
            expect(next.endsAt).toBeGreaterThanOrEqual(newest.endsAt);
            expect(next.endsAt).toBeGreaterThan(now);
            expect(next.day <= dayOf(latest, 'Pacific/Kiritimati')).toBe(true);
            newest = next;
          }
        },
      ),
    );
  });
});
