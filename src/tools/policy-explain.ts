import * as z from 'zod';
import { benchOf, listBenched, whyBenched } from '../substrate/benched.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { explainRouting } from '../substrate/policy/policy.ts';
import { defineTool } from './define.ts';
import { Problem } from './policy-schema.ts';

export const policyExplain = defineTool({
  name: 'policy_explain',
  title: 'Why a role resolves as it does',
  description: 'Use when you want to know which models a role would ask, in which order, or why none.',
  scope: 'policy.explain',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ role: z.string().min(1).max(200), dispatch: z.enum(['any', 'cron']).default('any') }),
  output: z.object({
    role: z.string(),
    dispatch: z.enum(['any', 'cron']),
    policy: z.string(),
    resolves: z.boolean(),
    candidates: z.array(
      z.object({
        target: z.string(),
        provider: z.string(),
        base_url: z.string(),
        credential: z.string().nullable(),
        model: z.string(),
        tier: z.int(),
        context_tokens: z.int().nullable(),
        price: z.string().nullable(),
        sits_out: z.string().nullable().describe('Why it is not asked now, and until when'),
      }),
    ),
    max_output_tokens: z.int().nullable(),
    on_ceiling: z.enum(['stop', 'next']).nullable(),
    problems: z.array(Problem),
  }),
  handler: async ({ role, dispatch }, { substrate }) => {
    await noteEditsIfServing(substrate);
    const { policyVersion, routing, problems, benched } = await substrate.read(async (db) => {
      const explained = await explainRouting(db, role, dispatch);
      return { ...explained, benched: await listBenched(db, substrate.sources.now(), explained.policyVersion) };
    });
    const sitsOut = (target: string, model: string): string | null => {
      const found = benchOf(benched, { target, model });
      return found === undefined ? null : whyBenched(found);
    };
    return {
      role,
      dispatch,
      policy: policyVersion,
      resolves: routing !== null,
      candidates: (routing?.candidates ?? []).map(({ target, model, tier, contextTokens, price }) => ({
        target: target.name,
        provider: target.provider,
        base_url: target.baseUrl,
        credential: target.credential,
        model,
        tier,
        context_tokens: contextTokens,
        price: price?.version ?? null,
        sits_out: sitsOut(target.name, model),
      })),
      max_output_tokens: routing?.maxOutputTokens ?? null,
      on_ceiling: routing?.onCeiling ?? null,
      problems: [...problems],
    };
  },
});
