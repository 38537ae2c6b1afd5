import * as z from 'zod';
import { readSwitch, writeSwitch } from '../substrate/switches.ts';
import type { WriteContext } from './define.ts';
import { defineTool } from './define.ts';

const output = z.object({ changed: z.boolean(), receipt: z.int().nullable() });

async function set(paused: boolean, { actor, substrate }: WriteContext): Promise<z.infer<typeof output>> {
  if ((await substrate.read((db) => readSwitch(db, 'mind_paused'))) === paused)
    return { changed: false, receipt: null };
  const action = paused ? 'mind.pause' : 'mind.resume';
  const { seq } = await substrate.operate({ action, actor }, (op) => writeSwitch(op, 'mind_paused', paused));
  return { changed: true, receipt: seq };
}

export const mindPause = defineTool({
  name: 'mind_pause',
  title: 'Let the mind rest',
  description: 'Use when no organ should work by itself until you say so; what works now is stopped.',
  scope: 'mind.pause',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output,
  handler: (_input, context) => set(true, context),
});

export const mindResume = defineTool({
  name: 'mind_resume',
  title: 'Let the mind work again',
  description: 'Use when the organs of a paused mind should work again.',
  scope: 'mind.pause',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({}),
  output,
  handler: (_input, context) => set(false, context),
});
