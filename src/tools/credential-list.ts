import * as z from 'zod';
import { toSeedError } from '../errors.ts';
import { readPolicyRows } from '../substrate/policy/rows.ts';
import { isoTime } from '../substrate/sources.ts';
import { CredentialSource, isReady, viewSource } from './credential-schema.ts';
import { defineTool } from './define.ts';

export const credentialList = defineTool({
  name: 'credential_list',
  title: 'List credentials',
  description: 'Use when it should be seen which credentials there are, where each may go, and who uses it.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    credentials: z.array(
      z.object({
        name: z.string(),
        /** Null where the file cannot be used. */
        origin: z.string().nullable(),
        source: CredentialSource.nullable(),
        /** Whether the process that answers has the secret. */
        ready: z.boolean(),
        problem: z.string().nullable(),
        targets: z.array(z.string()),
        /** Since this process began; null when it was not. */
        last_used: z.string().nullable(),
      }),
    ),
  }),
  handler: async (_input, { substrate, egress }) => {
    const { credentials } = egress;
    const { targets } = await substrate.read(readPolicyRows);
    const usersOf = (name: string): string[] =>
      targets.filter(({ credential }) => credential === name).map((target) => target.name);
    const view = (name: string) => {
      const used = egress.lastUsed(name);
      const known = { name, targets: usersOf(name), last_used: used === null ? null : isoTime(used) };
      try {
        const facts = credentials.facts(name);
        const ready = isReady(credentials, facts);
        return { ...known, origin: facts.origin, source: viewSource(facts), ready, problem: null };
      } catch (thrown) {
        return { ...known, origin: null, source: null, ready: false, problem: toSeedError(thrown).message };
      }
    };
    return { credentials: credentials.names().map(view) };
  },
});
