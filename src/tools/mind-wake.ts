import * as z from 'zod';
import { readSwitch } from '../substrate/switches.ts';
import { defineTool } from './define.ts';
import { pulseOf } from './mind-view.ts';

export const mindWake = defineTool({
  name: 'mind_wake',
  title: 'Let the seed look now',
  description: 'Use when the seed should look for work at once; it does so by itself within a minute.',
  scope: 'task.write',
  surface: 'full',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output: z.object({ state: z.string() }),
  text: ({ state }) =>
    state === 'paused' || state === 'halted'
      ? `The owner has ${state} it: nothing is done now.`
      : `Woken; the mind is ${state}.`,
  handler: async (_input, { actor, substrate, mind }) => {
    await substrate.operate({ action: 'mind.wake', actor }, async () => null);
    const { halted, paused } = await substrate.read(async (db) => ({
      halted: await readSwitch(db, 'halted'),
      paused: await readSwitch(db, 'mind_paused'),
    }));
    const pulse = await pulseOf(mind);
    pulse?.wake();
    return { state: halted ? 'halted' : paused ? 'paused' : (pulse?.state().state ?? 'off') };
  },
});
