import * as z from 'zod';
import { writeSwitch } from '../substrate/switches.ts';
import { defineTool } from './define.ts';

export const configSet = defineTool({
  name: 'config_set',
  title: 'Turn something on or off',
  description: 'Use when OAuth discovery documents should be served, or not.',
  scope: 'config.set',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ name: z.enum(['oauth']), value: z.enum(['on', 'off']) }),
  output: z.object({ receipt: z.int() }),
  handler: async ({ name, value }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'config.set', actor }, async (op) => {
      op.receipt({ detail: { name, value } });
      await writeSwitch(op, name, value === 'on');
    });
    return { receipt: seq };
  },
});
