import * as z from 'zod';
import { beginSession } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import { CHECKPOINT_FIELDS, checkpointOf, Micro } from './session-schema.ts';

const { goal, constraints, more } = CHECKPOINT_FIELDS;

export const sessionOpen = defineTool({
  name: 'session_open',
  title: 'Open a session',
  description:
    'Use when work should have a transcript here, and perhaps a budget or a deadline of its own. session_step lets models work in it.',
  scope: 'session.use',
  surface: 'full',
  access: 'write',
  input: z.strictObject({
    goal: goal.unwrap(),
    constraints,
    more,
    budget_micro_usd: Micro.optional().describe('What its model calls may cost in all'),
    deadline: z.iso.datetime().optional(),
  }),
  output: z.object({ session_id: z.string(), epoch: z.int(), receipt: z.int() }),
  text: ({ session_id: id, receipt }) => `Opened session ${id}. Receipt ${receipt}.`,
  handler: async ({ budget_micro_usd: budget, deadline, ...input }, { actor, substrate }) => {
    const { value, seq } = await beginSession(substrate, actor, {
      checkpoint: checkpointOf(input),
      budgetMicroUsd: budget ?? null,
      deadline: deadline === undefined ? null : Date.parse(deadline),
    });
    return { session_id: value.id, epoch: value.epoch, receipt: seq };
  },
});
