/** What a schedule owes at a moment: which of the times that have passed become occurrences. */
import type { CatchUp } from '../../substrate/schedules/model.ts';
import { WAITING_MAX } from '../../substrate/schedules/model.ts';
import type { Cron } from './cron.ts';
import { dueWithin } from './due.ts';

/** Later than this a time was missed. The clock looks once a minute at least, and other work may be in its way. */
const LATE_MS_MAX = 300_000;
/** Missed times are counted up to here. */
const MISSED_MAX = 1_000;

export interface Owed {
  /** Times that become occurrences, oldest first; ms since the epoch. */
  readonly times: readonly number[];
  /** Times that passed and become none. */
  readonly skipped: number;
  /** There were more of them: nobody counts beyond {@link MISSED_MAX}. */
  readonly uncounted: boolean;
}

/** What a schedule owes at `now` that has been due since `since`, a time of its own. */
export function whatIsOwed(
  cron: Cron,
  zone: string,
  { since, catchUp, now }: { since: number; catchUp: CatchUp; now: number },
): Owed {
  const missed = dueWithin(cron, zone, { after: since - 1, until: now, max: WAITING_MAX, countMax: MISSED_MAX });
  const times = choose(catchUp, missed.times, now);
  return { times, skipped: missed.count - times.length, uncounted: missed.count >= MISSED_MAX };
}

function choose(catchUp: CatchUp, times: readonly number[], now: number): readonly number[] {
  if (catchUp === 'all') return times;
  const newest = times.slice(-1);
  return catchUp === 'once' ? newest : newest.filter((time) => now - time <= LATE_MS_MAX);
}
