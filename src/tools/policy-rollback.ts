import * as z from 'zod';
import { rollbackPolicy } from '../substrate/policy/apply.ts';
import { defineTool } from './define.ts';
import { Applied } from './policy-schema.ts';

export const policyRollback = defineTool({
  name: 'policy_rollback',
  title: 'Bring an earlier policy back',
  description: 'Use when an earlier version of the policy should hold again. It becomes a new version.',
  scope: 'policy.rollback',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ version: z.int().min(1) }),
  output: Applied,
  handler: async ({ version }, { actor, substrate }) => {
    const applied = await rollbackPolicy(substrate, { version, actor });
    return { ...applied, changes: [...applied.changes], warnings: [...applied.warnings] };
  },
});
