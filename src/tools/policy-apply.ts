import * as z from 'zod';
import { applyPolicy } from '../substrate/policy/apply.ts';
import { defineTool } from './define.ts';
import { Applied, PolicyDocument } from './policy-schema.ts';

export const policyApply = defineTool({
  name: 'policy_apply',
  title: 'Put a policy in force',
  description:
    'Use when a policy file should be what holds from now on. It replaces the whole policy in one step; what was spent stays spent.',
  scope: 'policy.apply',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({
    document: PolicyDocument,
    against: z.string().max(64).optional().describe('The policy that you saw the difference to'),
  }),
  output: Applied,
  handler: async ({ document, against = null }, { actor, substrate }) => {
    const applied = await applyPolicy(substrate, { document, actor, against });
    return { ...applied, changes: [...applied.changes], warnings: [...applied.warnings] };
  },
});
