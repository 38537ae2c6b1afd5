import * as z from 'zod';
import { drop } from '../substrate/bus/bus.ts';
import { asDeadId, DeadId } from './bus-dead.ts';
import { defineTool } from './define.ts';

export const busDrop = defineTool({
  name: 'bus_drop',
  title: 'Let a dead letter go',
  description: 'Use when a message that nobody could deal with is not wanted any more.',
  scope: 'bus.dead',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ id: DeadId }),
  output: z.object({ receipt: z.int() }),
  handler: async ({ id }, { actor, substrate }) => ({ receipt: (await drop(substrate, actor, asDeadId(id))).seq }),
});
