import * as z from 'zod';
import { readSwitch, writeSwitch } from '../substrate/switches.ts';
import type { WriteContext } from './define.ts';
import { defineTool } from './define.ts';

const output = z.object({ changed: z.boolean(), receipt: z.int().nullable(), cut: z.int() });

async function set(halted: boolean, { actor, substrate, keys, egress }: WriteContext): Promise<z.infer<typeof output>> {
  const changed = (await substrate.read((db) => readSwitch(db, 'halted'))) !== halted;
  const action = halted ? 'seed.halt' : 'seed.resume';
  const receipt = changed
    ? (await substrate.operate({ action, actor }, (op) => writeSwitch(op, 'halted', halted))).seq
    : null;
  // Spending stops with it: nothing goes out, and what is under way to a model is ended.
  if (halted) egress.halt();
  else egress.resume();
  return { changed, receipt, cut: halted ? keys.cutEverything() : 0 };
}

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
