import * as z from 'zod';
import { listHistory } from '../substrate/policy/change.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { Edit, viewEdit } from './policy-schema.ts';

export const policyHistory = defineTool({
  name: 'policy_history',
  title: 'How the policy came to be',
  description: 'Use when you want to see the versions of the policy and what was edited outside, newest first.',
  scope: 'policy.history',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ limit: z.int().min(1).max(500).default(50) }),
  output: z.object({
    entries: z.array(
      z.discriminatedUnion('kind', [
        z.object({
          kind: z.literal('version'),
          version: z.int(),
          at: z.string(),
          hash: z.string(),
          receipt: z.int().nullable(),
        }),
        Edit.extend({ kind: z.literal('edit') }),
      ]),
    ),
  }),
  handler: async ({ limit }, { substrate }) => {
    await noteEditsIfServing(substrate);
    const entries = await substrate.read((db) => listHistory(db, limit));
    return {
      entries: entries.map((entry) => {
        const { kind, id, at, what, receipt } = entry;
        if (kind === 'edit') return { kind, ...viewEdit(entry) };
        return { kind, version: id, at: isoTime(at), hash: what, receipt };
      }),
    };
  },
});
