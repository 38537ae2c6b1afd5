/** Parts of what the credentials' tools take and give; a secret is in no answer. */
import * as z from 'zod';
import type { CredentialFacts, Credentials } from '../substrate/home/credentials.ts';
import { CREDENTIAL_NAME, CREDENTIAL_VARIABLES } from '../substrate/home/credentials.ts';

export const CredentialName = z.string().regex(CREDENTIAL_NAME);

/** Where the secret is: in the home, or in a variable of the environment that the seed was started with. */
export const CredentialSource = z.union([z.literal('file'), z.enum(CREDENTIAL_VARIABLES)]);

export function viewSource({ source }: CredentialFacts): z.infer<typeof CredentialSource> {
  return source.kind === 'file' ? 'file' : source.variable;
}

/** Whether the secret is there for this process to send. */
export function isReady(credentials: Credentials, { source }: CredentialFacts): boolean {
  return source.kind === 'file' || credentials.isSet(source.variable);
}
