/** Schedules as tools show them. */
import * as z from 'zod';
import { localWords } from '../mind/schedule/zone.ts';
import type { Schedule } from '../substrate/schedules/model.ts';
import { CATCH_UPS, JOBS, OCCURRENCE_STATES, ScheduledTask } from '../substrate/schedules/model.ts';
import { listOccurrences } from '../substrate/schedules/occurrences.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';

/** Occurrences that are looked at for what waits. */
const LOOKED_AT_MAX = 200;

const OccurrenceView = z.object({
  due: z.string(),
  due_local: z.string(),
  state: z.enum(OCCURRENCE_STATES),
  says: z.string().nullable(),
  result: z.string().nullable(),
  receipt: z.int(),
});

export const ScheduleView = z.object({
  name: z.string(),
  cron: z.string(),
  zone: z.string().nullable().describe('null: the policy’s'),
  job: z.enum(JOBS),
  task: z.string().nullable().describe('the title of the task that it adds'),
  catch_up: z.enum(CATCH_UPS),
  next: z.string().nullable().describe('null: not reckoned yet'),
  next_local: z.string().nullable(),
  waiting: z.int(),
  last: OccurrenceView.nullable(),
});
export type ScheduleView = z.infer<typeof ScheduleView>;

export async function viewSchedule(db: ReadHandle, schedule: Schedule): Promise<ScheduleView> {
  const { name, cron, zone, job, draft, catch_up, next_due: next, next_zone: nextZone } = schedule;
  const newest = await listOccurrences(db, { schedule: schedule.id, limit: LOOKED_AT_MAX });
  const [last] = newest;
  const place = nextZone ?? zone ?? 'UTC';
  return {
    name,
    cron,
    zone,
    job,
    catch_up,
    task: draft === null ? null : ScheduledTask.parse(JSON.parse(draft)).title,
    next: next === null ? null : isoTime(next),
    next_local: next === null ? null : inWords(next, place),
    waiting: newest.filter(({ state }) => state === 'due' || state === 'running').length,
    last:
      last === undefined
        ? null
        : {
            due: isoTime(last.due),
            due_local: inWords(last.due, place),
            state: last.state,
            says: last.says,
            result: last.result,
            receipt: last.receipt,
          },
  };
}

/** `Sun 22 Nov 2026 03:00 Europe/Berlin`. */
export function inWords(at: number, zone: string): string {
  return `${localWords(at, zone)} ${zone}`;
}
