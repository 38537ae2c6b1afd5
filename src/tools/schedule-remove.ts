import * as z from 'zod';
import { ScheduleName } from '../substrate/schedules/model.ts';
import { removeSchedule } from '../substrate/schedules/schedules.ts';
import { defineTool } from './define.ts';

export const scheduleRemove = defineTool({
  name: 'schedule_remove',
  title: 'Remove a schedule',
  description: 'Use when something should no longer happen by the clock; what waits of it is dropped.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ name: ScheduleName }),
  output: z.object({ name: z.string(), receipt: z.int() }),
  handler: async ({ name }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'schedule.remove', actor }, async (op) => {
      op.receipt({ subject: { type: 'schedule', id: name } });
      await removeSchedule(op, name);
    });
    return { name, receipt: seq };
  },
});
