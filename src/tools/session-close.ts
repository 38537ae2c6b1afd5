import * as z from 'zod';
import { endSession, pickOne } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import { SessionId } from './session-schema.ts';

export const sessionClose = defineTool({
  name: 'session_close',
  title: 'Close a session',
  description: 'Use when its work is done, or will not be. The transcript stays; nobody can go on with it.',
  scope: 'session.use',
  surface: 'full',
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ session_id: SessionId.optional() }),
  output: z.object({ session_id: z.string(), receipt: z.int() }),
  text: ({ session_id: id, receipt }) => `Closed session ${id}. Receipt ${receipt}.`,
  handler: async ({ session_id: named }, { actor, substrate }) => {
    const id = await substrate.read((db) => pickOne(db, actor, named));
    const { seq } = await endSession(substrate, actor, id);
    return { session_id: id, receipt: seq };
  },
});
