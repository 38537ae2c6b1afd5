import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { assertMinutely, CRON_CHARS_MAX, readCron } from '../mind/schedule/cron.ts';
import { upcoming } from '../mind/schedule/due.ts';
import { readTimezone } from '../substrate/policy/policy.ts';
import { ScheduleName } from '../substrate/schedules/model.ts';
import { getSchedule, listSchedules } from '../substrate/schedules/schedules.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { defineTool } from './define.ts';
import { Zone } from './schedule-add.ts';
import { inWords } from './schedule-view.ts';

interface Planned {
  readonly name: string;
  readonly cron: string;
  readonly zone: string;
  /** When it begins to count: what is kept may be later than now, after a clock was set back. */
  readonly from: number;
}

export const scheduleNext = defineTool({
  name: 'schedule_next',
  title: 'See what is due next',
  description: 'Use when you want to see the next times of the schedules, of one, or of one that you only think of.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({
    name: ScheduleName.optional(),
    cron: z.string().min(1).max(CRON_CHARS_MAX).optional(),
    zone: Zone.optional(),
    count: z.int().min(1).max(100).default(10),
  }),
  output: z.object({ times: z.array(z.object({ name: z.string(), at: z.string(), local: z.string() })) }),
  handler: async ({ name, cron, zone, count }, { substrate }) => {
    if (name !== undefined && cron !== undefined) throw notBoth();
    if (zone !== undefined && cron === undefined) throw zoneOfNone();
    const now = substrate.sources.now();
    const planned = await substrate.read((db) => plan(db, { name, cron, zone, now }));
    const times: { name: string; due: number; zone: string }[] = [];
    for (const each of planned) {
      const rhythm = await readCron(each.cron);
      // What no schedule may be has no times either.
      assertMinutely(each.cron, rhythm);
      const found = upcoming(rhythm, each.zone, each.from, count);
      times.push(...found.map((due) => ({ name: each.name, zone: each.zone, due })));
    }
    const first = times.toSorted((one, other) => one.due - other.due).slice(0, count);
    return {
      times: first.map((each) => ({ name: each.name, at: isoTime(each.due), local: inWords(each.due, each.zone) })),
    };
  },
});

async function plan(
  db: ReadHandle,
  {
    name,
    cron,
    zone,
    now,
  }: { name?: string | undefined; cron?: string | undefined; zone?: string | undefined; now: number },
): Promise<Planned[]> {
  if (cron !== undefined) return [{ name: cron, cron, zone: zone ?? (await readTimezone(db)), from: now }];
  const schedules = name === undefined ? await listSchedules(db) : [await getSchedule(db, name)];
  const planned: Planned[] = [];
  for (const schedule of schedules) {
    planned.push({
      name: schedule.name,
      cron: schedule.cron,
      zone: schedule.zone ?? (await readTimezone(db)),
      from: Math.max(now, (schedule.next_due ?? 0) - 1),
    });
  }
  return planned;
}

function zoneOfNone(): SeedError {
  return new SeedError('invalid_input', 'zone: A schedule that is kept has its own.', {
    hint: 'Name it for one that you try.',
    data: { argument: 'zone' },
  });
}

function notBoth(): SeedError {
  return new SeedError('invalid_input', 'cron: Name a schedule or try one, not both.', {
    hint: 'Leave out the name.',
    data: { argument: 'cron' },
  });
}
