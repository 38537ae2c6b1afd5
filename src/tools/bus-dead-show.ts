import * as z from 'zod';
import { getDead } from '../substrate/bus/dead.ts';
import { getContent } from '../substrate/content.ts';
import { asDeadId, DeadId, DeadView, viewDead } from './bus-dead.ts';
import { viewBody } from './bus-view.ts';
import { defineTool } from './define.ts';

export const busDeadShow = defineTool({
  name: 'bus_dead_show',
  title: 'Read a dead letter',
  description: 'Use when you want to read a message that nobody could deal with.',
  scope: 'bus.dead',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ id: DeadId }),
  output: DeadView.extend({ text: z.string().optional(), data: z.unknown().optional() }),
  handler: async ({ id }, { substrate }) =>
    substrate.read(async (db) => {
      const letter = await getDead(db, asDeadId(id));
      return {
        ...viewDead(letter),
        ...viewBody({ format: letter.format, content: await getContent(db, letter.body) }),
      };
    }),
});
