import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { receiptEffect } from '../substrate/effect.ts';
import { readPolicyRows } from '../substrate/policy/rows.ts';
import { CredentialName } from './credential-schema.ts';
import { defineTool } from './define.ts';

export const credentialRemove = defineTool({
  name: 'credential_remove',
  title: 'Remove a credential',
  description: 'Use when a secret should be kept no longer; the targets that use it cannot be called from then on.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ name: CredentialName }),
  output: z.object({ name: z.string(), targets: z.array(z.string()), receipt: z.int() }),
  handler: async ({ name }, { actor, substrate, egress }) => {
    if (!egress.credentials.has(name)) throw noSuch(name);
    const { targets } = await substrate.read(readPolicyRows);
    const users = targets.filter(({ credential }) => credential === name).map((target) => target.name);
    const options = { action: 'credential.remove', actor, subject: { type: 'credential', id: name }, detail: {} };
    const receipt = await receiptEffect(substrate, options, () => {
      egress.credentials.remove(name);
    });
    return { name, targets: users, receipt };
  },
});

function noSuch(name: string): SeedError {
  return new SeedError('not_found', `There is no credential ${name}.`, { hint: 'See `seed credential list`.' });
}
