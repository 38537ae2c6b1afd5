import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { insertRequest } from '../substrate/identity/requests.ts';
import { Scope } from '../substrate/identity/scopes.ts';
import { isoTime, newId } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const REQUEST_MS = 7 * 86_400_000;

export const membraneRequest = defineTool({
  name: 'membrane_request',
  title: 'Ask the owner',
  description:
    'Use when you need a scope that you do not hold. Only the owner can say yes, at the owner’s own door; tell the owner that you asked. Asking again does not help.',
  scope: null,
  surface: 'daily',
  access: 'write',
  input: z.strictObject({
    scopes: z.array(Scope).min(1).max(20),
    reason: z.string().min(1).max(500).describe('What for, in words for the owner'),
  }),
  output: z.object({
    request: z.string(),
    hash: z.string(),
    expires: z.string(),
    owner_decides_with: z.string(),
    receipt: z.int(),
  }),
  handler: async ({ scopes, reason }, { actor, grant, substrate }) => {
    if (grant === null) throw new SeedError('conflict', 'The owner need not ask.', { hint: 'Use `seed key issue`.' });
    const id = newId(substrate.sources).slice(0, 12);
    const { value, seq } = await substrate.operate({ action: 'membrane.request', actor }, async (op) => {
      op.receipt({ subject: { type: 'request', id }, detail: { scopes } });
      const body = {
        v: 1 as const,
        id,
        grant: grant.id,
        name: actor.id,
        scopes,
        reason,
        created: op.now,
        expires: op.now + REQUEST_MS,
      };
      const hash = await insertRequest(op, body, op.now);
      op.receipt({ detail: { scopes, hash } });
      return { hash, expires: body.expires };
    });
    return {
      request: id,
      hash: value.hash,
      expires: isoTime(value.expires),
      owner_decides_with: `seed requests show ${id}`,
      receipt: seq,
    };
  },
});
