import * as z from 'zod';
import { writeSwitch } from '../substrate/switches.ts';
import type { WriteContext } from './define.ts';
import { defineTool } from './define.ts';

async function set(
  halted: boolean,
  { actor, substrate, keys }: WriteContext,
): Promise<{ receipt: number; cut: number }> {
  const { seq } = await substrate.operate({ action: halted ? 'seed.halt' : 'seed.resume', actor }, (op) =>
    writeSwitch(op, 'halted', halted),
  );
  return { receipt: seq, cut: halted ? keys.cutEverything() : 0 };
}

const output = z.object({ receipt: z.int(), cut: z.int() });

export const seedHalt = defineTool({
  name: 'seed_halt',
  title: 'Halt for all outsiders',
  description: 'Use when every agent and helper should be shut out, and all spending stopped, now.',
  scope: 'seed.halt',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output,
  handler: (_input, context) => set(true, context),
});

export const seedResume = defineTool({
  name: 'seed_resume',
  title: 'Let agents in again',
  description: 'Use when a halted seed should serve its agents and helpers again.',
  scope: 'seed.halt',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output,
  handler: (_input, context) => set(false, context),
});
