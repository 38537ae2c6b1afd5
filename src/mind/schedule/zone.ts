/**
 * Local clocks: what one reads at an instant, when it is turned, and the instant of a reading.
 *
 * The platform's own table of zones is asked (`Intl`, ECMA-402); nothing is assumed of a zone but that it is
 * turned at most once within a day.
 */
import { remember } from '../../substrate/ledger/remember.ts';
import type { LocalMs } from './cron.ts';

const DAY_MS = 86_400_000;

const formatter = remember(
  (timeZone: string) =>
    new Intl.DateTimeFormat('en-CA-u-ca-gregory-nu-latn', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    }),
);

const READING = /^(\d{4})-(\d\d)-(\d\d), (\d\d):(\d\d):(\d\d)$/;

/** What the clock reads at an instant. @throws RangeError for a zone that is not known */
export function localOf(at: number, zone: string): LocalMs {
  const whole = Math.floor(at / 1_000) * 1_000;
  const [, year, month, day, hour, minute, second] = READING.exec(formatter(zone).format(whole)) ?? [];
  return (
    Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) + at - whole
  );
}

/** How far a local clock is ahead of UTC, in ms. */
function offsetAt(at: number, zone: string): number {
  return localOf(at, zone) - at;
}

/** A clock that is turned: forward, so that readings are missing, or back, so that they come twice. */
export interface Turn {
  /** The first instant with the new offset. */
  readonly at: number;
  /** Offsets from UTC, in ms. */
  readonly before: number;
  readonly after: number;
}

/** The turn after `from`, up to `to`, which is at most two days later; null where the clock runs on. */
export function turnWithin(from: number, to: number, zone: string): Turn | null {
  const [before, after] = [offsetAt(from, zone), offsetAt(to, zone)];
  if (before === after) return null;
  let [early, late] = [from, to];
  while (late - early > 1) {
    const middle = Math.floor((early + late) / 2);
    if (offsetAt(middle, zone) === before) early = middle;
    else late = middle;
  }
  return { at: late, before, after };
}

/**
 * The instant of a reading: the first one where it comes twice; where it does not come at all, the next moment
 * that there is.
 */
export function instantOf(local: LocalMs, zone: string): number {
  const turn = turnWithin(local - DAY_MS, local + DAY_MS, zone);
  if (turn === null) return local - offsetAt(local, zone);
  const early = local - turn.before;
  return early < turn.at ? early : Math.max(turn.at, local - turn.after);
}

/** The latest reading that there has been up to an instant: more than it reads now where it was just turned back. */
export function highestReading(at: number, zone: string): LocalMs {
  const now = localOf(at, zone);
  const turn = turnWithin(at - DAY_MS, at, zone);
  return turn === null ? now : Math.max(now, turn.at - 1 + turn.before);
}

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** A local time as a person says it: `Sun 22 Nov 2026 03:00`, with seconds where there are any. */
export function localWords(at: number, zone: string): string {
  const date = new Date(localOf(at, zone));
  const two = (part: number): string => String(part).padStart(2, '0');
  const clock = [
    date.getUTCHours(),
    date.getUTCMinutes(),
    ...(date.getUTCSeconds() === 0 ? [] : [date.getUTCSeconds()]),
  ];
  return [
    WEEKDAYS[date.getUTCDay()],
    date.getUTCDate(),
    MONTHS[date.getUTCMonth()],
    date.getUTCFullYear(),
    clock.map(two).join(':'),
  ].join(' ');
}
