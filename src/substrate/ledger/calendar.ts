/**
 * Local days: which one an instant belongs to, when it ends, and the week and month around it.
 *
 * A day is its ISO date (`2026-11-21`), so that days compare as text and a window is a range of them.
 * Weeks begin on Monday (ISO 8601).
 */
import { SeedError } from '../../errors.ts';
import type { CeilingWindow } from '../policy/model.ts';
import { remember } from './remember.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAY = /^\d{4}-\d\d-\d\d$/;

// Canada writes dates as ISO 8601 does.
const formatter = remember(
  (timeZone: string) =>
    new Intl.DateTimeFormat('en-CA-u-ca-gregory-nu-latn', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    }),
);

/**
 * The local day of an instant.
 * @throws SeedError `invalid_input` for a zone that is not known, or a clock beyond the year 9999
 */
export function dayOf(now: number, timezone: string): string {
  let day = '';
  try {
    day = formatter(timezone).format(now);
  } catch {
    // Said below.
  }
  if (DAY.test(day)) return day;
  throw new SeedError('invalid_input', `There is no day for the instant ${now} in the time zone "${timezone}".`, {
    hint: 'Put an IANA zone such as Europe/Berlin into the policy, and look at the clock.',
  });
}

/** The day `count` days later. */
export function addDays(day: string, count: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + count * DAY_MS).toISOString().slice(0, 10);
}

/**
 * When a day is over: the first millisecond of a later one. Found by halving, so that nothing is assumed
 * of a zone: neither that a day has 24 hours nor that it begins at midnight, nor that it exists.
 */
export const dayEnd: (day: string, timezone: string) => number = remember((day: string, timezone: string) => {
  const next = Date.parse(`${day}T00:00:00Z`) + DAY_MS;
  let [before, after] = [next - 16 * HOUR_MS, next + 16 * HOUR_MS];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (dayOf(middle, timezone) > day) after = middle;
    else before = middle;
  }
  return after;
});

/** A range of days, both included. */
export interface Days {
  readonly from: string;
  readonly to: string;
}

/** The first and the last of all days. */
const ALL_DAYS: Days = { from: '0000-01-01', to: '9999-12-31' };

/** The days of the calendar window that `day` stands in; null for a single call, which has no sums. */
export const windowDays: (window: CeilingWindow, day: string) => Days | null = remember(findWindow);

function findWindow(window: CeilingWindow, day: string): Days | null {
  switch (window) {
    case 'call':
      return null;
    case 'day':
      return { from: day, to: day };
    case 'week': {
      const weekday = (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7;
      return { from: addDays(day, -weekday), to: addDays(day, 6 - weekday) };
    }
    case 'month': {
      const [year = 0, month = 1] = day.split('-').map(Number);
      const last = new Date(Date.UTC(year, month, 0));
      return { from: `${day.slice(0, 7)}-01`, to: last.toISOString().slice(0, 10) };
    }
    case 'life':
      return ALL_DAYS;
  }
}

/** The day that spending is booked on, and until when: at first nobody has seen one. */
export interface LedgerDay {
  readonly day: string;
  /** ms since the epoch */
  readonly endsAt: number;
}

/**
 * The day that an admission at `now` belongs to, after the newest day that an admission has seen.
 *
 * Days only go forward. A clock set back stays in the newest day until it has caught up. When the zone
 * changes, the day that stands ends when it is over in both zones: the change opens no window early, and
 * what was spent stays where it was booked.
 */
export function presentDay(newest: LedgerDay | null, now: number, timezone: string): LedgerDay {
  if (newest !== null && now < newest.endsAt) {
    return { day: newest.day, endsAt: Math.max(newest.endsAt, dayEnd(newest.day, timezone)) };
  }
  const today = dayOf(now, timezone);
  const day = newest !== null && newest.day > today ? newest.day : today;
  return { day, endsAt: dayEnd(day, timezone) };
}

/** When the window that stands on `present` turns over, ms since the epoch; null where it never does. */
export function windowEnd(window: CeilingWindow, present: LedgerDay, timezone: string): number | null {
  if (window === 'call' || window === 'life') return null;
  const days = windowDays(window, present.day);
  if (days === null || days.to === present.day) return present.endsAt;
  return Math.max(present.endsAt, dayEnd(days.to, timezone));
}
