import * as z from 'zod';
import { planPolicy } from '../substrate/policy/apply.ts';
import { defineTool } from './define.ts';
import { Change, PolicyDocument, Remark } from './policy-schema.ts';

export const policyCheck = defineTool({
  name: 'policy_check',
  title: 'Check a policy file',
  description: 'Use when you want to know what is wrong with a policy file, and what it would change. Changes nothing.',
  scope: 'policy.check',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ document: PolicyDocument }),
  output: z.object({
    ok: z.boolean(),
    problems: z.array(Remark),
    warnings: z.array(Remark),
    changes: z.array(Change),
    against: z.string(),
  }),
  handler: async ({ document }, { substrate }) => {
    const { rows, problems, warnings, changes, against } = await planPolicy(substrate, document);
    return {
      ok: rows !== null,
      problems: [...problems],
      warnings: [...warnings],
      changes: [...changes],
      against,
    };
  },
});
