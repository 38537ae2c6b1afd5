import * as z from 'zod';
import { listSchedules } from '../substrate/schedules/schedules.ts';
import { defineTool } from './define.ts';
import { ScheduleView, viewSchedule } from './schedule-view.ts';

export const scheduleList = defineTool({
  name: 'schedule_list',
  title: 'List schedules',
  description: 'Use when you want to see what happens by the clock: when it is due next, and how the last time went.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ schedules: z.array(ScheduleView) }),
  handler: async (_input, { substrate }) =>
    substrate.read(async (db) => {
      const schedules: ScheduleView[] = [];
      for (const schedule of await listSchedules(db)) schedules.push(await viewSchedule(db, schedule));
      return { schedules };
    }),
});
