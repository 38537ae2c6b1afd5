/** Tasks as tools take and show them. */
import * as z from 'zod';
import { getContent } from '../substrate/content.ts';
import { isoTime } from '../substrate/sources.ts';
import type { WorkerStance } from '../substrate/mind/worker.ts';
import { workerWaitsWith } from '../substrate/mind/worker.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { readCheck } from '../substrate/tasks/check.ts';
import { bodyOf, lastEvents, needsOf, unmetNeeds } from '../substrate/tasks/look.ts';
import type { TaskRow } from '../substrate/tasks/model.ts';
import { STATES, StatedCheck } from '../substrate/tasks/model.ts';
import { lines } from './text.ts';

// A refinement and not a pattern: whoever lists the tools pays for each word of a schema.
export const TaskId = z
  .string()
  .max(64)
  .refine((text) => /^t\d{1,15}$/.test(text), 'the id of a task, such as t17');

/** A moment as a caller writes it. */
export const Moment = z
  .string()
  .max(64)
  .refine(
    (text) => /^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text)),
    'a date, or a time such as 2026-12-01T17:00:00Z',
  );

export const TaskView = z.object({
  id: z.string(),
  subsystem: z.string(),
  title: z.string(),
  state: z.enum(STATES),
  priority: z.int(),
  deadline: z.string().nullable(),
  overdue: z.boolean(),
  added_by: z.string(),
  held_by: z.string().nullable().describe('Who holds it, or did it'),
  lease: z.int().nullable().describe('The newest claim'),
  lease_until: z.string().nullable(),
  waits_for: z.array(z.string()).describe('What it needs that is not done'),
  attempts: z.int(),
  verified_by: z.string().nullable(),
  note: z.string().nullable().describe('Why the seed’s own worker does not take it now'),
});
export type TaskView = z.infer<typeof TaskView>;

const EventView = z.object({
  at: z.string(),
  by: z.string(),
  event: z.string(),
  state: z.enum(STATES),
  receipt: z.int(),
  note: z.string().nullable(),
});

/** One task with all that is to be known of it. */
export const TaskDetail = TaskView.extend({
  text: z.string(),
  acceptance: z.array(z.string()),
  check: StatedCheck.nullable(),
  needs: z.array(z.string()),
  history: z.array(EventView),
});
export type TaskDetail = z.infer<typeof TaskDetail>;

/** As of when, and how the seed's own worker stands then. */
interface AsOf {
  readonly now: number;
  readonly stance: WorkerStance | null;
}

export async function viewTask(db: ReadHandle, task: TaskRow, as: AsOf): Promise<TaskView> {
  const { now, stance } = as;
  const { id, subsystem, state, priority, deadline, adder_name: adder, lease, lease_until: until } = task;
  const isHeld = state !== 'open' && task.holder !== null;
  const isOver = state === 'done' || state === 'cancelled';
  const waitsFor = isOver ? [] : await unmetNeeds(db, id);
  return {
    id,
    subsystem,
    title: (await bodyOf(db, task)).title,
    state,
    priority,
    deadline: deadline === null ? null : isoTime(deadline),
    overdue: !isOver && deadline !== null && deadline <= now,
    added_by: adder,
    held_by: isHeld ? task.holder_name : null,
    lease: isHeld ? lease : null,
    lease_until: state === 'claimed' ? isoTime(until) : null,
    waits_for: waitsFor,
    attempts: lease,
    verified_by: task.verifier_name,
    note: stance !== null && state === 'open' && waitsFor.length === 0 ? await workerWaitsWith(db, task, stance) : null,
  };
}

/** Events shown; the receipts have all of them. */
const EVENTS_SHOWN = 30;

export async function viewDetail(db: ReadHandle, task: TaskRow, as: AsOf): Promise<TaskDetail> {
  const { text, acceptance } = await bodyOf(db, task);
  const history: TaskDetail['history'] = [];
  for (const { at, actor: by, event, state, receipt, note } of await lastEvents(db, task.id, EVENTS_SHOWN)) {
    history.push({ at: isoTime(at), by, event, state, receipt, note: note === null ? null : await noteText(db, note) });
  }
  const needs = await needsOf(db, task.id);
  return { ...(await viewTask(db, task, as)), text, acceptance, check: readCheck(task.stated_check), needs, history };
}

async function noteText(db: ReadHandle, hash: string): Promise<string> {
  const content = await getContent(db, hash);
  return content === null ? '(erased)' : Buffer.from(content).toString('utf8');
}

/** A task in one line. */
export function taskLine(task: TaskView): string {
  const { id, title, subsystem, state, priority, deadline, held_by: holder, waits_for: waits } = task;
  const facts = [
    subsystem,
    `priority ${priority}`,
    ...(deadline === null ? [] : [`${task.overdue ? 'OVERDUE since' : 'due'} ${deadline}`]),
    ...(waits.length === 0 ? [] : [`waits for ${waits.join(', ')}`]),
    ...(task.note === null ? [] : [task.note]),
    `added by ${task.added_by}`,
  ];
  const whose = holder === null ? '' : ` ${state === 'claimed' ? 'by' : ', done by'} ${holder}`.replace(' ,', ',');
  return `${id} [${state}${whose}] ${title} (${facts.join('; ')})`;
}

/** A task with everything, in words. */
export function taskBlock(task: TaskDetail): string {
  const { text, acceptance, check, needs, lease, lease_until: until, verified_by: verifier, history } = task;
  return lines(
    taskLine(task),
    text,
    acceptance.length === 0 ? '' : 'It is done when:',
    ...acceptance.map((line) => `- ${line}`),
    check === null ? '' : `The seed itself looks: ${checkText(check)}.`,
    needs.length === 0 ? '' : `Needs ${needs.join(', ')}.`,
    until === null ? '' : `Lease ${lease} until ${until}.`,
    verifier === null ? '' : `Verified by ${verifier === 'check' ? 'its check' : verifier}.`,
    'History, newest first:',
    ...history.map(
      ({ at, by, event, receipt, note }) =>
        `- ${at} ${by} ${event} (receipt ${receipt})${note === null ? '' : `: ${note}`}`,
    ),
  );
}

function checkText(check: StatedCheck): string {
  if (check.file !== undefined) return `whether the file ${check.file} is there`;
  const by = check.by === undefined ? '' : ` of ${check.by}`;
  return `whether there is a receipt${by} of ${check.receipt}${check.claimed === true ? ', as claimed' : ''}`;
}
