/** The first schedules of a new seed: `policies/schedules.yaml`, as rows. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { Timezone } from '../policy/fields.ts';
import type { Sources } from '../sources.ts';
import type { Operation } from '../operation.ts';
import type { ScheduleDraft } from './model.ts';
import { CATCH_UPS, JOBS, ScheduledTask, ScheduleName } from './model.ts';
import { insertSchedule } from './schedules.ts';

/** Beside the program, in a checkout and in a package alike. */
const STARTER = new URL('../../../policies/schedules.yaml', import.meta.url);

const Document = z.strictObject({
  version: z.literal(1),
  schedules: z.record(
    ScheduleName,
    z.strictObject({
      cron: z.string(),
      zone: Timezone.nullable().default(null),
      job: z.enum(JOBS),
      task: ScheduledTask.nullable().default(null),
      catch_up: z.enum(CATCH_UPS),
    }),
  ),
});

/** @throws SeedError `internal` for a file that somebody has damaged */
export async function starterSchedules(): Promise<readonly ScheduleDraft[]> {
  const { parse } = await import('yaml');
  const read = Document.safeParse(parse(readFileSync(STARTER, 'utf8')));
  if (!read.success) {
    throw new SeedError('internal', 'The file policies/schedules.yaml does not parse.', {
      hint: 'Install the program again.',
    });
  }
  return Object.entries(read.data.schedules).map(([name, { catch_up: catchUp, ...rest }]) => ({
    name,
    catchUp,
    ...rest,
  }));
}

/** Writes them, in the operation that makes the home; the clock reckons when they are due. */
export async function plantSchedules(op: Operation, drafts: readonly ScheduleDraft[], sources: Sources): Promise<void> {
  for (const draft of drafts) await insertSchedule(op, draft, { sources });
}
