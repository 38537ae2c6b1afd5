import * as z from 'zod';
import { takeBack } from '../substrate/sessions/handover.ts';
import { defineTool } from './define.ts';
import { HandoffId } from './session-schema.ts';

export const handoffWithdraw = defineTool({
  name: 'handoff_withdraw',
  title: 'Take an offer back',
  description: 'Use when nobody should go on with your session after all. Too late once it was accepted.',
  scope: 'handoff.offer',
  surface: 'full',
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({ handoff: HandoffId }),
  output: z.object({ handoff: z.string(), session_id: z.string(), receipt: z.int() }),
  text: ({ handoff, receipt }) => `Handoff ${handoff} is taken back. Receipt ${receipt}.`,
  handler: async ({ handoff }, { actor, substrate }) => {
    const { value, seq } = await takeBack(substrate, actor, handoff);
    return { handoff, session_id: value.session, receipt: seq };
  },
});
