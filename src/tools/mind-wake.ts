import * as z from 'zod';
import { defineTool } from './define.ts';

export const mindWake = defineTool({
  name: 'mind_wake',
  title: 'Let the seed look now',
  description: 'Use when the seed should look for work at once; it does so by itself within a minute.',
  scope: 'task.write',
  surface: 'full',
  // It changes nothing, but only the process that turns the loop can wake it.
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output: z.object({ state: z.string() }),
  text: ({ state }) => `Woken; the mind is ${state}.`,
  handler: async (_input, { mind }) => {
    mind.pulse?.wake();
    return { state: mind.pulse?.state().state ?? 'off' };
  },
});
