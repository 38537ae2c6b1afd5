import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { receiptEffect } from '../substrate/effect.ts';
import type { NewCredential } from '../substrate/home/credentials.ts';
import { CREDENTIAL_VARIABLES, parseSecret, SECRET_UNITS_MAX } from '../substrate/home/credentials.ts';
import { parseOrigin } from '../substrate/origins.ts';
import { CredentialName, CredentialSource } from './credential-schema.ts';
import { defineTool } from './define.ts';

export const credentialSet = defineTool({
  name: 'credential_set',
  title: 'Keep a credential',
  description: 'Use when a secret for a model provider should be kept under a name, for one origin and no other.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({
    name: CredentialName,
    origin: z.string().min(1).max(2_048),
    // What a secret may consist of is said without it: see parseSecret.
    secret: z.string().max(SECRET_UNITS_MAX).optional(),
    variable: z.enum(CREDENTIAL_VARIABLES).optional(),
  }),
  output: z.object({
    name: z.string(),
    origin: z.string(),
    source: CredentialSource,
    replaced: z.boolean(),
    receipt: z.int(),
  }),
  handler: async ({ name, origin: given, secret, variable }, { actor, substrate, egress }) => {
    const origin = parseOrigin(given);
    const kept = chooseSource(secret, variable);
    const source = variable ?? 'file';
    const replaced = egress.credentials.has(name);
    const detail = { origin, source, replaced: replaced ? 'yes' : 'no' };
    const subject = { type: 'credential', id: name };
    const receipt = await receiptEffect(substrate, { action: 'credential.set', actor, subject, detail }, () =>
      egress.credentials.set({ name, origin, secret: kept }),
    );
    return { name, origin, source, replaced, receipt };
  },
});

/** @throws SeedError `invalid_input` unless exactly one of the two is given, and the secret is one */
function chooseSource(
  secret: string | undefined,
  variable: (typeof CREDENTIAL_VARIABLES)[number] | undefined,
): NewCredential['secret'] {
  if (secret !== undefined && variable === undefined) return parseSecret(secret);
  if (variable !== undefined && secret === undefined) return { variable };
  throw new SeedError('invalid_input', 'A credential is either a secret or the name of an environment variable.', {
    hint: 'Give one of the two.',
    data: { argument: 'secret' },
  });
}
