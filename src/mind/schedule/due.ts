/**
 * When a schedule is due, as instants: its readings of the clock, put into a zone.
 *
 * A time that does not exist, because the clocks went forward, is due at the next moment that does; a time
 * that comes twice is due once, the first time. A schedule of every hour keeps its rhythm instead (`Cron.isRhythm`).
 * Tests compare this with a search over all minutes.
 */
import { SeedError } from '../../errors.ts';
import type { Cron } from './cron.ts';
import { nextLocal } from './cron.ts';
import { highestReading, instantOf, localOf, turnWithin } from './zone.ts';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** The first instant after `after` at which the schedule is due, ms since the epoch. */
export function nextDue(cron: Cron, zone: string, after: number): number {
  const due = cron.isRhythm ? nextBeat(cron, zone, after) : nextTime(cron, zone, after);
  // Whoever asks for one after the other must get on, whatever is wrong with a zone.
  if (due > after) return due;
  throw new SeedError('internal', `A schedule in ${zone} does not get on from ${after}.`, {
    hint: 'Remove it and add another, or one in UTC.',
  });
}

function nextTime(cron: Cron, zone: string, after: number): number {
  return instantOf(nextLocal(cron, highestReading(after, zone) + 1), zone);
}

/** From one turn of the clock to the next, readings and instants go side by side. */
function nextBeat(cron: Cron, zone: string, after: number): number {
  for (let from = after + 1; ; ) {
    const turn = turnWithin(from, from + DAY_MS, zone);
    const end = turn?.at ?? from + DAY_MS;
    const reading = localOf(from, zone);
    const local = nextLocal(cron, reading);
    const beat = from + local - reading;
    if (beat < end) return beat;
    // A turn back brings readings again; without one, nothing is due until a day before the next.
    from = turn === null ? Math.max(end, instantOf(local, zone) - DAY_MS) : end;
  }
}

/** What was due in a time that is over. */
export interface Missed {
  /** The newest of them, oldest first. */
  readonly times: readonly number[];
  /** How many were due in all, or `countMax` where there were as many or more. */
  readonly count: number;
}

/**
 * What was due after `after` and up to `until`: the newest `max` of it, counted up to `countMax`.
 *
 * It is looked for backwards in growing pieces, so that a schedule of every second costs the same after a
 * year as after an hour.
 */
export function dueWithin(
  cron: Cron,
  zone: string,
  { after, until, max, countMax }: { after: number; until: number; max: number; countMax: number },
): Missed {
  for (let span = countMax * SECOND_MS; ; span *= 2) {
    const from = Math.max(after, until - span);
    const times = listDue(cron, zone, from, until);
    if (from > after && times.length < countMax) continue;
    return { times: times.slice(-max), count: Math.min(times.length, countMax) };
  }
}

function listDue(cron: Cron, zone: string, after: number, until: number): number[] {
  const times: number[] = [];
  for (let at = nextDue(cron, zone, after); at <= until; at = nextDue(cron, zone, at)) times.push(at);
  return times;
}

/** The next `count` times. */
export function upcoming(cron: Cron, zone: string, after: number, count: number): number[] {
  const times: number[] = [];
  for (let at = nextDue(cron, zone, after); times.length < count; at = nextDue(cron, zone, at)) {
    times.push(at);
  }
  return times;
}
