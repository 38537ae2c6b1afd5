import * as z from 'zod';
import { acknowledgeEdits } from '../substrate/policy/change.ts';
import { noteOutsideEdits } from '../substrate/policy/outside.ts';
import { defineTool } from './define.ts';

export const policyAck = defineTool({
  name: 'policy_ack',
  title: 'Acknowledge edits from outside',
  description:
    'Use when policy rows were edited outside and that is as you want it. Where an owner passphrase is set they do not count before.',
  scope: 'policy.ack',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    up_to: z.int().min(1).optional().describe('The newest change that you looked at; a newer one is a conflict'),
  }),
  output: z.object({ acknowledged: z.int(), receipt: z.int() }),
  handler: async ({ up_to: upTo }, { actor, substrate }) => {
    await noteOutsideEdits(substrate);
    const { value, seq } = await substrate.operate({ action: 'policy.ack', actor }, async (op) => {
      const acknowledged = await acknowledgeEdits(op, upTo ?? null);
      op.receipt({ detail: { ...acknowledged } });
      return acknowledged.changes;
    });
    return { acknowledged: value, receipt: seq };
  },
});
