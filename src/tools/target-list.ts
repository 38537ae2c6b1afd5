import * as z from 'zod';
import { toSeedError } from '../errors.ts';
import type { Egress } from '../membrane/egress.ts';
import { listBenched, whyBenched } from '../substrate/benched.ts';
import type { TargetRow } from '../substrate/policy/rows.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import { parseOrigin } from '../substrate/origins.ts';
import { isReady } from './credential-schema.ts';
import { defineTool } from './define.ts';

export const targetList = defineTool({
  name: 'target_list',
  title: 'List the places where models answer',
  description:
    'Use when it should be seen which model providers the policy names, and what keeps one from being called.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    targets: z.array(
      z.object({
        name: z.string(),
        provider: z.string(),
        base_url: z.string(),
        credential: z.string().nullable(),
        models: z.array(z.object({ role: z.string(), model: z.string(), tier: z.int() })),
        /** Why it cannot be called, as far as that can be told without calling it. */
        problem: z.string().nullable(),
        /** Models of it that are not asked now, and until when. */
        sits_out: z.array(z.object({ model: z.string().describe('* for all'), why: z.string() })),
      }),
    ),
  }),
  handler: async (_input, { substrate, egress }) => {
    const { targets, routing, benched } = await substrate.read(async (db) => {
      const { rows, policyVersion } = await readPolicy(db);
      return { ...rows, benched: await listBenched(db, substrate.sources.now(), policyVersion) };
    });
    return {
      targets: targets.map((row) => ({
        ...row,
        models: routing
          .filter(({ target }) => target === row.name)
          .map(({ role, model, tier }) => ({ role, model, tier })),
        problem: problemOf(egress, row),
        sits_out: benched
          .filter(({ target }) => target === row.name)
          .map((one) => ({ model: one.model, why: whyBenched(one) })),
      })),
    };
  },
});

function problemOf({ credentials }: Egress, { name, base_url: baseUrl, credential }: TargetRow): string | null {
  try {
    const origin = parseOrigin(new URL('/', baseUrl).href);
    if (credential === null) return null;
    const facts = credentials.facts(credential);
    if (facts.origin !== origin) return `The credential ${credential} goes to ${facts.origin} only.`;
    if (isReady(credentials, facts) || facts.source.kind === 'file') return null;
    return `${facts.source.variable} is not set in the environment of the seed.`;
  } catch (thrown) {
    return thrown instanceof TypeError ? `The base_url of ${name} is no address.` : toSeedError(thrown).message;
  }
}
