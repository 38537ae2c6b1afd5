/**
 * The drain, by the clock: takes up the work that waits for tier 1 when the schedule says so (LOCK-RUNTIME-5).
 * The dispatch that this needs stays inside what it is handed. `seed route drain` is the owner's way to the same.
 */
import { SEED } from '../../substrate/actor.ts';
import type { Occurrence } from '../../substrate/schedules/model.ts';
import { dueOccurrences } from '../../substrate/schedules/occurrences.ts';
import type { Substrate } from '../../substrate/substrate.ts';
import type { Mind } from '../mind.ts';
import type { Organ, OrganRun } from '../organ.ts';
import { beginDue, endDue } from './occurrences.ts';

/** Calls of one go; the list has room for ten of these. */
const GO_CALLS = 100;
const GOES_MAX = 10;
/** A tier-1 model may think for long, and gives no sign before its answer is there. */
const SILENCE_MS_MAX: number = 45 * 60_000;

export function createDrain({ substrate, drain }: { substrate: Substrate; drain: Mind['drain'] }): Organ {
  return {
    name: 'drain',
    purpose: 'takes up the queued tier-1 work when its schedule says so',
    silenceMsMax: SILENCE_MS_MAX,
    look: async (db) => {
      const due = await dueOccurrences(db, 'drain');
      return { waiting: due.length, nextAt: null, held: null };
    },
    run: async (run) => {
      const due = await substrate.read((db) => dueOccurrences(db, 'drain'));
      let done = 0;
      let calls = 0;
      for (const occurrence of due) {
        if (run.signal.aborted) break;
        calls += await drainDue({ substrate, drain }, occurrence, run);
        done += 1;
      }
      return { done, more: false, says: done === 0 ? null : `${calls} queued calls taken up` };
    },
  };
}

/** One time of the schedule; a run that was stopped leaves it as begun, and the next one goes on. */
async function drainDue(
  { substrate, drain }: { substrate: Substrate; drain: Mind['drain'] },
  due: Occurrence,
  { signal, alive }: OrganRun,
): Promise<number> {
  const begun = await beginDue(substrate, SEED, due);
  if (begun === null) return 0;
  const statuses: string[] = [];
  for (let goes = 0; goes < GOES_MAX && !signal.aborted; goes++) {
    const reports = await drain({ limit: GO_CALLS, signal, onCall: alive });
    statuses.push(...reports.map(({ outcome }) => outcome.status));
    if (reports.length < GO_CALLS) break;
  }
  if (signal.aborted) return statuses.length;
  await endDue(substrate, SEED, { begun, ending: { state: 'done', says: sayStatuses(statuses) } });
  return statuses.length;
}

function sayStatuses(statuses: readonly string[]): string {
  if (statuses.length === 0) return 'Nothing waited for the drain.';
  const counts = [...Map.groupBy(statuses, (status) => status)].map(([status, own]) => `${own.length} ${status}`);
  return `${statuses.length} calls: ${counts.join(', ')}.`;
}
