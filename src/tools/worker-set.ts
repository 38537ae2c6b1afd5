import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { readWorkerSettings, WorkerSettings, writeWorkerSettings } from '../substrate/mind/worker.ts';
import { defineTool } from './define.ts';

export const workerSet = defineTool({
  name: 'worker_set',
  title: 'Set the worker’s limits',
  description: 'Use when the worker should have other limits for a task, or take on other tasks.',
  scope: 'worker.set',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: WorkerSettings.partial(),
  output: z.object({ settings: WorkerSettings, receipt: z.int() }),
  handler: async (input, { actor, substrate }) => {
    if (Object.keys(input).length === 0) {
      throw new SeedError('invalid_input', 'Nothing was named to set.', {
        hint: 'Name a limit, such as `seed worker set --steps 30`.',
      });
    }
    const { value, seq } = await substrate.operate({ action: 'worker.set', actor }, async (op) => {
      await writeWorkerSettings(op, input);
      const settings = await readWorkerSettings(op);
      const { subsystems, ...limits } = settings;
      op.receipt({ detail: { ...limits, helpers: limits.helpers ? 'on' : 'off', subsystems: subsystems ?? 'all' } });
      return settings;
    });
    return { settings: value, receipt: seq };
  },
});
