/**
 * Schedules as text: what `node-cron` takes (5 fields, or 6 with seconds in front; names, steps, `L`, `W`,
 * `#`, `@daily` and its like), and which times of a calendar they name.
 *
 * node-cron reads the syntax and nothing else. When something is due is reckoned here: its own walk skips
 * a day when the clocks go forward, and it knows no occurrence but the next. A day must match the day of
 * the month *and* the day of the week, as node-cron has it; other crons take either.
 *
 * Nothing here knows of zones: a local time is the number of milliseconds that the same reading of the
 * clock would be in UTC.
 */
import type { CronFieldError } from 'node-cron';
import { SeedError } from '../../errors.ts';

/** A reading of a local clock, as if it were UTC, in ms. */
export type LocalMs = number;

type DayToken = number | string;

/** A schedule that was read. */
export interface Cron {
  /** In ascending order, as all lists here. */
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly months: ReadonlySet<number>;
  readonly days: readonly DayToken[];
  readonly weekdays: readonly DayToken[];
  /**
   * It names every hour, so it is a rhythm and no time of the day: where an hour comes twice it goes on
   * through both, and where one is missing nothing is made up.
   */
  readonly isRhythm: boolean;
}

export const CRON_CHARS_MAX = 200;
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** Two Februaries with a 29th that is a given day of the week can be 40 years apart. */
const DAYS_MAX = 366 * 45;

const known = new Map<string, Cron>();
const KNOWN_MAX = 256;

/** @throws SeedError `invalid_input` that names the field, also for what never comes */
export async function readCron(text: string): Promise<Cron> {
  const found = known.get(text);
  if (found !== undefined) return found;
  const cron = await parse(text);
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, cron);
  return cron;
}

async function parse(text: string): Promise<Cron> {
  // Longer numbers are in no field, and node-cron would count up to them.
  const long = /\d{3,}/.exec(text)?.[0];
  if (text.length > CRON_CHARS_MAX || long !== undefined) throw unreadable(text, `${long ?? 'it'} is too long`);
  // Loaded with the first schedule that is read: most commands read none.
  const { validateDetailed } = await import('node-cron');
  const { fields, errors } = validateDetailed(text);
  if (fields === undefined) {
    throw unreadable(text, whyNot(errors[0]));
  }
  const cron = {
    seconds: ascending(fields.second),
    minutes: ascending(fields.minute),
    hours: ascending(fields.hour),
    months: new Set(fields.month),
    days: fields.dayOfMonth,
    weekdays: fields.dayOfWeek,
    isRhythm: new Set(fields.hour).size === 24,
  };
  // What comes once in the 400 years after which the calendar repeats comes again.
  if (findLocal(cron, Date.UTC(2000, 0, 1)) === null) throw unreadable(text, NO_SUCH_DAY);
  return cron;
}

const FIELD_WORDS: Readonly<Record<string, string>> = {
  dayOfMonth: 'day of the month',
  dayOfWeek: 'day of the week',
};

/** node-cron's complaint in words of ours. */
function whyNot(error: CronFieldError | undefined): string {
  const { field = 'expression', value = '', message = '' } = error ?? {};
  if (field === 'expression') return /\d/.test(message) ? message : 'a character in it does not belong there';
  if (/impossible/.test(message)) return NO_SUCH_DAY;
  return `the ${FIELD_WORDS[field] ?? field} cannot be "${value}"`;
}

const NO_SUCH_DAY = 'there is no such day';

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].toSorted((one, other) => one - other);
}

function unreadable(text: string, why: string): SeedError {
  return new SeedError('invalid_input', `The schedule "${text.slice(0, CRON_CHARS_MAX)}" cannot be read: ${why}.`, {
    hint: 'Minute, hour, day of the month, month, day of the week: "0 3 * * *" is every night at three, "30 9 * * 1-5" half past nine on workdays.',
    data: { argument: 'cron' },
  });
}

/**
 * What is due each second would leave its receipts each second, for ever, also where there is nothing to do.
 *
 * @throws SeedError `invalid_input` for a schedule that names more than one second of a minute
 */
export function assertMinutely(text: string, { seconds }: Cron): void {
  if (seconds.length === 1) return;
  throw new SeedError('invalid_input', `The schedule "${text}" is due more than once a minute.`, {
    hint: 'Once a minute is the most: leave the seconds out ("* * * * *"), or name one of them in front.',
    data: { argument: 'cron' },
  });
}

/** The first local time from `from` on that the schedule names. */
export function nextLocal(cron: Cron, from: LocalMs): LocalMs {
  const found = findLocal(cron, from);
  if (found !== null) return found;
  throw new SeedError('internal', `A schedule names no time after ${new Date(from).toISOString()}.`, {
    hint: 'Remove it and add another.',
  });
}

function findLocal(cron: Cron, from: LocalMs): LocalMs | null {
  const start = Math.ceil(from / SECOND_MS) * SECOND_MS;
  let day = Math.floor(start / DAY_MS) * DAY_MS;
  for (let count = 0; count < DAYS_MAX; count++, day += DAY_MS) {
    if (!namesDay(cron, new Date(day))) continue;
    const time = timeOfDay(cron, Math.max(0, start - day) / SECOND_MS);
    if (time !== null) return day + time * SECOND_MS;
  }
  return null;
}

/** The first second of a day from `from` on that is named; null where the day has none left. */
function timeOfDay({ hours, minutes, seconds }: Cron, from: number): number | null {
  const [hour, minute, second] = [Math.floor(from / 3_600), Math.floor(from / 60) % 60, from % 60];
  for (const h of hours) {
    if (h < hour) continue;
    for (const m of minutes) {
      if (h === hour && m < minute) continue;
      const s = h === hour && m === minute ? seconds.find((each) => each >= second) : seconds[0];
      if (s !== undefined) return h * 3_600 + m * 60 + s;
    }
  }
  return null;
}

function namesDay({ months, days, weekdays }: Cron, date: Date): boolean {
  const [day, weekday] = [date.getUTCDate(), date.getUTCDay()];
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return (
    days.some((token) => token === day || dayOf(token, { day, weekday, last }) === day) &&
    weekdays.some((token) => token === weekday || isWeekday(token, { day, weekday, last }))
  );
}

interface Day {
  readonly day: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** The month's last day. */
  readonly last: number;
}

/** The day of this month that a token means: `L`, `L-3`, `15W`, `LW`; null where the month has none. */
function dayOf(token: DayToken, at: Day): number | null {
  const text = String(token);
  const [, before] = /^L(?:-(\d+))?$/.exec(text) ?? [text];
  if (/^L(?:-|$)/.test(text)) return at.last - Number(before ?? 0);
  const [, near] = /^(\d+|L)W$/.exec(text) ?? [];
  return near === undefined ? null : nearestWorkday(near === 'L' ? at.last : Number(near), at);
}

/** The workday next to a day, within its month. */
function nearestWorkday(target: number, { day, weekday, last }: Day): number | null {
  if (target < 1 || target > last) return null;
  // What day of the week the target is follows from what this one is.
  const on = (((weekday + target - day) % 7) + 7) % 7;
  if (on === 6) return target === 1 ? target + 2 : target - 1;
  if (on === 0) return target === last ? target - 2 : target + 1;
  return target;
}

/** `5L` is the last Friday, `1#2` the second Monday; 7 is Sunday as well. */
function isWeekday(token: DayToken, { day, weekday, last }: Day): boolean {
  const [, wanted, nth] = /^([0-7])(?:L|#([1-5]))$/.exec(String(token)) ?? [];
  if (wanted === undefined || Number(wanted) % 7 !== weekday) return false;
  return nth === undefined ? day + 7 > last : Math.ceil(day / 7) === Number(nth);
}
