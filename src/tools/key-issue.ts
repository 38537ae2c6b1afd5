import * as z from 'zod';
import { KEY_MS_DEFAULT } from '../membrane/keys.ts';
import { Scope } from '../substrate/identity/scopes.ts';
import { isoTime } from '../substrate/sources.ts';
import { readSwitch } from '../substrate/switches.ts';
import { defineTool } from './define.ts';
import { GrantName, LifetimeSeconds } from './grant-view.ts';

export const keyIssue = defineTool({
  name: 'key_issue',
  title: 'Issue an access key',
  description: 'Use when a helper from outside should get in over HTTP.',
  scope: 'key.issue',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({
    name: GrantName,
    scopes: z.array(Scope).min(1).max(50),
    expires_in_s: LifetimeSeconds.default(KEY_MS_DEFAULT / 1_000),
    public_key: z.string().max(100).nullable().default(null),
    tools: z.enum(['daily', 'full']).default('full'),
  }),
  output: z.object({
    id: z.string(),
    name: z.string(),
    key: z.string().nullable(),
    scopes: z.array(z.string()),
    expires: z.string(),
    url: z.string(),
    token_endpoint: z.string().nullable(),
    receipt: z.int(),
    halted: z.boolean().describe('Nobody can come in, with this key or another, until the owner resumes the seed'),
    problem: z.string().nullable().describe('Why nobody is to be sent to the address now: another program may have it'),
  }),
  handler: async (
    { name, scopes, expires_in_s: seconds, public_key: publicKey, tools },
    { actor, keys, substrate, daemon },
  ) => {
    const { grant, key, receipt } = await keys.issue(actor, {
      name,
      scopes,
      surface: tools,
      lifetimeMs: seconds * 1_000,
      publicKey,
    });
    return {
      id: grant.id,
      name,
      key,
      scopes: [...grant.scopes],
      expires: isoTime(grant.expiresAt ?? 0),
      url: keys.audience,
      token_endpoint: publicKey === null ? null : keys.tokenEndpoint,
      receipt,
      halted: await substrate.read((db) => readSwitch(db, 'halted')),
      problem: daemon.doors.problem,
    };
  },
});
