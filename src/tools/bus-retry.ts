import * as z from 'zod';
import { retry } from '../substrate/bus/bus.ts';
import { asDeadId, DeadId } from './bus-dead.ts';
import { defineTool } from './define.ts';

export const busRetry = defineTool({
  name: 'bus_retry',
  title: 'Put a dead letter back',
  description: 'Use when what kept a message from being dealt with is mended: it goes back to its place in the inbox.',
  scope: 'bus.dead',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ id: DeadId }),
  output: z.object({ recipient: z.string(), receipt: z.int() }),
  handler: async ({ id }, { actor, substrate }) => {
    const { value: recipient, seq: receipt } = await retry(substrate, actor, asDeadId(id));
    return { recipient, receipt };
  },
});
