import * as z from 'zod';
import type { WorkerRun } from '../substrate/mind/worker.ts';
import {
  isWorkerOn,
  listWorkerRuns,
  readWorkerSettings,
  RUN_STATES,
  WorkerSettings,
  workerHold,
} from '../substrate/mind/worker.ts';
import { usedMicroUsd } from '../substrate/sessions/budget.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import { bodyOf, findTask } from '../substrate/tasks/look.ts';
import { defineTool } from './define.ts';

const RUNS_SHOWN = 20;

const RunView = z.object({
  task: z.string(),
  title: z.string(),
  state: z.enum(RUN_STATES),
  why: z.string(),
  tried_again: z.string().nullable().describe('When a task that is put off is taken up again'),
  steps: z.int(),
  worked_s: z.int(),
  spent_micro_usd: z.int(),
  session: z.string(),
  changed: z.string(),
});

export const workerShow = defineTool({
  name: 'worker_show',
  title: 'What the worker does',
  description: 'Use when you want to see which tasks the worker took on, how far it came, why it waits and its limits.',
  scope: 'worker.show',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    on: z.boolean(),
    stopped: z.enum(['halted', 'paused']).nullable().describe('By the owner, with all that the seed does by itself'),
    held: z.string().nullable().describe('Why it asks no model now'),
    held_until: z.string().nullable(),
    settings: WorkerSettings,
    runs: z.array(RunView).describe(`The newest ${RUNS_SHOWN}`),
  }),
  handler: async (_input, { substrate, egress }) => {
    const now = substrate.sources.now();
    return substrate.read(async (db) => {
      const hold = await workerHold(db, now, (target) => egress.canOpen(target));
      const until = hold?.until ?? null;
      const runs: z.infer<typeof RunView>[] = [];
      for (const run of await listWorkerRuns(db, RUNS_SHOWN)) runs.push(await viewRun(db, run, now));
      return {
        on: await isWorkerOn(db),
        stopped: (await readSwitch(db, 'halted')) ? 'halted' : (await readSwitch(db, 'mind_paused')) ? 'paused' : null,
        held: hold?.why ?? null,
        held_until: until === null ? null : isoTime(until),
        settings: await readWorkerSettings(db),
        runs,
      };
    });
  },
});

async function viewRun(db: ReadHandle, run: WorkerRun, now: number): Promise<z.infer<typeof RunView>> {
  const { task: id, state, why, steps, workedMs, spentMicroUsd, session, nextAt, changedAt } = run;
  const task = await findTask(db, id, now);
  // What a try costs is added up when it is over.
  const isOpen = state === 'working' || state === 'waiting';
  const present = isOpen ? await usedMicroUsd(db, session, now) : 0;
  return {
    task: id,
    title: task === null ? '' : (await bodyOf(db, task)).title,
    state,
    why,
    tried_again: state === 'waiting' && nextAt !== null ? isoTime(nextAt) : null,
    steps,
    worked_s: Math.round(workedMs / 1_000),
    spent_micro_usd: spentMicroUsd + present,
    session,
    changed: isoTime(changedAt),
  };
}
