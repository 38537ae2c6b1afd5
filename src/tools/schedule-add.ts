import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { assertMinutely, CRON_CHARS_MAX, readCron } from '../mind/schedule/cron.ts';
import { nextDue } from '../mind/schedule/due.ts';
import { OWNER } from '../substrate/actor.ts';
import { Timezone } from '../substrate/policy/fields.ts';
import { readTimezone } from '../substrate/policy/policy.ts';
import { CATCH_UPS, JOBS, ScheduledTask, ScheduleName } from '../substrate/schedules/model.ts';
import { insertSchedule } from '../substrate/schedules/schedules.ts';
import { isoTime } from '../substrate/sources.ts';
import { assertStatable } from '../substrate/tasks/check.ts';
import { defineTool } from './define.ts';
import { inWords } from './schedule-view.ts';

export const Zone = z
  .string()
  .max(64)
  .refine((text) => Timezone.safeParse(text).success, 'an IANA time zone, such as Europe/Berlin')
  .describe('the policy’s without one');

export const scheduleAdd = defineTool({
  name: 'schedule_add',
  title: 'Add a schedule',
  description: 'Use when something should happen by the clock: the drain, the synthesizer, or a task that is added.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({
    name: ScheduleName,
    cron: z.string().min(1).max(CRON_CHARS_MAX),
    zone: Zone.optional(),
    job: z.enum(JOBS),
    task: ScheduledTask.optional(),
    catch_up: z.enum(CATCH_UPS).default('once'),
  }),
  output: z.object({ name: z.string(), next: z.string(), next_local: z.string(), receipt: z.int() }),
  handler: async ({ name, cron: text, zone = null, job, task = null, catch_up: catchUp }, { actor, substrate }) => {
    assertFits(job, task);
    if (task?.check !== undefined) await assertStatable(task.check, OWNER);
    const cron = await readCron(text);
    assertMinutely(text, cron);
    const place = zone ?? (await substrate.read(readTimezone));
    const due = nextDue(cron, place, substrate.sources.now());
    const { seq } = await substrate.operate({ action: 'schedule.add', actor }, async (op) => {
      op.receipt({ subject: { type: 'schedule', id: name }, detail: { cron: text, job, catch_up: catchUp } });
      const next = { due, zone: place };
      const draft = { name, cron: text, zone, job, task, catchUp };
      await insertSchedule(op, draft, { sources: substrate.sources, next });
    });
    return { name, next: isoTime(due), next_local: inWords(due, place), receipt: seq };
  },
});

/** @throws SeedError `invalid_input` unless just the job `task` has a task */
function assertFits(job: string, task: ScheduledTask | null): void {
  if ((job === 'task') === (task !== null)) return;
  throw new SeedError('invalid_input', task === null ? 'task is missing.' : `task does not belong to "${job}".`, {
    hint: 'The job "task" takes a task with a title; the others take none.',
    data: { argument: 'task' },
  });
}
