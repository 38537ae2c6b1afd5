import * as z from 'zod';
import { listHistory } from '../substrate/policy/change.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import { defineTool } from './define.ts';
import { Edit, Problem, viewEdit } from './policy-schema.ts';

const EDITS_MAX = 100;

export const policyShow = defineTool({
  name: 'policy_show',
  title: 'The policy as it stands',
  description:
    'Use when you want to see what is in force: as a file that can be applied again, with what is wrong and what was edited outside since.',
  scope: 'policy.show',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    policy: z.string(),
    document: z.string(),
    roles: z.array(z.object({ role: z.string(), resolves: z.boolean() })),
    problems: z.array(Problem),
    edits: z.array(Edit),
    /** Whether edits from outside wait for the owner before they count. */
    needs_ack: z.boolean(),
  }),
  handler: async (_input, { substrate }) => {
    await noteEditsIfServing(substrate);
    const { renderPolicy } = await import('../substrate/policy/render.ts');
    return substrate.read(async (db) => {
      const policy = await readPolicy(db);
      const entries = await listHistory(db, EDITS_MAX);
      const applied = entries.findIndex(({ kind }) => kind === 'version');
      const edits = (applied === -1 ? entries : entries.slice(0, applied)).map(viewEdit);
      // Asked as the drain would, so that a role for the drain alone is not shown as a fault.
      const resolved = policy.roles.map((role) => ({ role, ...policy.resolve(role, 'cron') }));
      const problems = [...policy.common, ...resolved.flatMap((one) => one.problems)];
      return {
        policy: policy.policyVersion,
        document: renderPolicy(policy.rows),
        roles: resolved.map(({ role, routing }) => ({ role, resolves: routing !== null })),
        problems: [...new Map(problems.map((one) => [`${one.row} ${one.problem}`, one])).values()],
        edits,
        needs_ack: policy.pendingEdits > 0,
      };
    });
  },
});
