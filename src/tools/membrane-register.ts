import * as z from 'zod';
import { Scope } from '../substrate/identity/scopes.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { GrantName, LifetimeSeconds } from './grant-view.ts';
import { lines } from './text.ts';

export const membraneRegister = defineTool({
  name: 'membrane_register',
  title: 'Let a helper in under your key',
  description:
    'Use when a helper of yours should get in by its own key. You pass its public key; it keeps the private one. It can do no more than you, no longer than you, and goes when you go.',
  scope: 'membrane.register',
  surface: 'full',
  access: 'write',
  input: z.strictObject({
    name: GrantName,
    public_key: z.string().max(100).describe('Ed25519 public key, 32 bytes in base64'),
    scopes: z.array(Scope).min(1).max(50),
    expires_in_s: LifetimeSeconds.optional().describe('30 days, or what is left of yours, unless given'),
  }),
  output: z.object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    expires: z.string().nullable(),
    token_endpoint: z.string(),
    receipt: z.int(),
  }),
  text: ({ id, name, scopes, expires, token_endpoint: endpoint, receipt }) =>
    lines(
      `${name} can come in ${expires === null ? 'without an end' : `until ${expires}`}, for: ${scopes.join(', ')} (receipt ${receipt}).`,
      `It fetches tokens at ${endpoint} with a client assertion (private_key_jwt, EdDSA); its client id is ${id}.`,
    ),
  handler: async ({ name, public_key: publicKey, scopes, expires_in_s: seconds }, { actor, keys }) => {
    const { grant, receipt } = await keys.issue(actor, {
      name,
      scopes,
      surface: 'daily',
      lifetimeMs: seconds === undefined ? null : seconds * 1_000,
      publicKey,
    });
    const expires = grant.expiresAt === null ? null : isoTime(grant.expiresAt);
    return { id: grant.id, name, scopes: [...grant.scopes], expires, token_endpoint: keys.tokenEndpoint, receipt };
  },
});
