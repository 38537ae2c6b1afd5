import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { workerStance } from '../substrate/mind/worker.ts';
import type { Place } from '../substrate/tasks/look.ts';
import { getTask, listTasks, placeOf } from '../substrate/tasks/look.ts';
import { STATES, SubsystemName } from '../substrate/tasks/model.ts';
import { defineTool } from './define.ts';
import { taskBlock, TaskDetail, TaskId, taskLine, TaskView, viewDetail, viewTask } from './task-view.ts';
import { lines, more } from './text.ts';

const DAY_MS = 86_400_000;
const DUE_WITHIN_MS = { overdue: 0, day: DAY_MS, week: 7 * DAY_MS } as const;

export const taskList = defineTool({
  name: 'task_list',
  title: 'List tasks',
  description:
    'Use when you want to see what work is owed, the most urgent first; with id, one task whole: its text, when it is done, what happened to it.',
  scope: 'task.read',
  surface: 'daily',
  access: 'read',
  subject: ({ id }) => ({ type: 'task', id: id ?? '*' }),
  input: z.strictObject({
    id: TaskId.optional(),
    mine: z.boolean().optional().describe('Held or added by you'),
    subsystem: SubsystemName.optional(),
    state: z.enum(['live', 'claimable', ...STATES]).default('live'),
    due: z.enum(['overdue', 'day', 'week']).optional(),
    limit: z.int().min(1).max(100).default(20),
    cursor: z.string().max(64).optional(),
  }),
  output: z.object({
    tasks: z.array(TaskView),
    task: TaskDetail.optional(),
    next_cursor: z.string().nullable(),
  }),
  text: ({ tasks, task, next_cursor: next }) => {
    if (task !== undefined) return taskBlock(task);
    return lines(tasks.length === 0 ? 'No such tasks.' : '', ...tasks.map(taskLine), more(next));
  },
  handler: async ({ id, mine, due, limit, cursor, state, subsystem }, { actor, substrate, egress }) => {
    const now = substrate.sources.now();
    const after = cursor === undefined ? null : parseCursor(cursor);
    return substrate.read(async (db) => {
      const as = { now, stance: await workerStance(db, { now, canCall: (target) => egress.canOpen(target) }) };
      if (id !== undefined) {
        const task = await viewDetail(db, await getTask(db, id, now), as);
        return { tasks: [], task, next_cursor: null };
      }
      const filter = {
        state,
        subsystem,
        ...(mine === true ? { mine: holderOf(actor) } : {}),
        ...(due === undefined ? {} : { dueBy: now + DUE_WITHIN_MS[due] }),
      };
      const found = await listTasks(db, filter, { now, limit: limit + 1, after });
      const page = found.slice(0, limit);
      const tasks: TaskView[] = [];
      for (const task of page) tasks.push(await viewTask(db, task, as));
      const last = page.at(-1);
      return { tasks, next_cursor: found.length > limit && last !== undefined ? placeOf(last).join('.') : null };
    });
  },
});

/** `PRIORITY.DEADLINE.NUMBER` of the last task of the page before. */
function parseCursor(cursor: string): Place {
  const match = /^(\d)\.(\d{1,16})\.(\d{1,15})$/.exec(cursor);
  if (match !== null) return [Number(match[1]), Number(match[2]), Number(match[3])];
  throw new SeedError('invalid_input', 'cursor: It is none that task_list gave.', {
    hint: 'Give next_cursor of the page before.',
    data: { argument: 'cursor' },
  });
}
