import * as z from 'zod';
import { assertNotSuperseded, beginSession, noteCheckpoint, pickHeld } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import { CHECKPOINT_FIELDS, checkpointOf } from './session-schema.ts';

export const sessionCheckpoint = defineTool({
  name: 'session_checkpoint',
  title: 'Say where your work stands',
  description:
    'Use when you begin a piece of work, finish a part of it, or are about to stop: goal, done, next, open. If you vanish, another agent goes on from here. Opens a session if you hold none. What you leave out stays as it was.',
  scope: 'session.use',
  surface: 'daily',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    session_id: z
      .string()
      .regex(/^(?:new|[0-9a-f]{32})$/, 'an id, or new')
      .optional()
      .describe('new begins another'),
    ...CHECKPOINT_FIELDS,
  }),
  output: z.object({ session_id: z.string(), epoch: z.int(), opened: z.boolean(), receipt: z.int() }),
  text: ({ session_id: id, epoch, opened, receipt }) =>
    `${opened ? 'Opened' : 'Noted in'} session ${id} (epoch ${epoch}). Receipt ${receipt}.`,
  handler: async ({ session_id: named, ...input }, { actor, substrate }) => {
    const checkpoint = checkpointOf(input);
    const id = named === 'new' ? null : await substrate.read((db) => pickHeld(db, actor, named));
    if (id === null && named !== 'new' && checkpoint.goal === undefined) {
      await substrate.read((db) => assertNotSuperseded(db, actor));
    }
    const { value, seq } =
      id === null
        ? await beginSession(substrate, actor, { checkpoint, budgetMicroUsd: null, deadline: null })
        : await noteCheckpoint(substrate, id, { actor, epoch: null, input: checkpoint });
    return { session_id: value.id, epoch: value.epoch, opened: id === null, receipt: seq };
  },
});
