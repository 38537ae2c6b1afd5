import * as z from 'zod';
import { findGrant, setGrantScopes } from '../substrate/identity/grants.ts';
import { decideRequest } from '../substrate/identity/requests.ts';
import type { WriteContext } from './define.ts';
import { defineTool } from './define.ts';

const input = z.strictObject({
  id: z.string().min(1).max(64),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'the hash that is shown with the request (64 hex digits)'),
});
const output = z.object({ receipt: z.int(), scopes: z.array(z.string()) });

type Verdict = 'approved' | 'denied';

/** The decision and what follows from it are one transaction; the hash says what was decided on. */
async function decide(
  verdict: Verdict,
  { id, hash }: z.infer<typeof input>,
  { actor, substrate }: WriteContext,
): Promise<z.infer<typeof output>> {
  const action = verdict === 'approved' ? 'request.approve' : 'request.deny';
  const { value, seq } = await substrate.operate({ action, actor }, async (op) => {
    op.receipt({ subject: { type: 'request', id }, detail: { hash } });
    const body = await decideRequest(op, { id, hash, verdict, now: op.now });
    if (verdict === 'denied') return [];
    const grant = await findGrant(op, body.grant);
    if (grant === null) throw new Error(`Request ${id} was taken for one of a grant that is there.`);
    const scopes = [...new Set([...grant.scopes, ...body.scopes])].toSorted();
    await setGrantScopes(op, grant.id, scopes);
    op.receipt({ detail: { hash, grant: grant.id, scopes: [...body.scopes] } });
    return scopes;
  });
  return { receipt: seq, scopes: value };
}

export const requestApprove = defineTool({
  name: 'request_approve',
  title: 'Approve a request',
  description: 'Use when an agent should get what it asked for. You name the hash of what you were shown.',
  scope: 'request.decide',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input,
  output,
  handler: (given, context) => decide('approved', given, context),
});

export const requestDeny = defineTool({
  name: 'request_deny',
  title: 'Deny a request',
  description: 'Use when an agent should not get what it asked for.',
  scope: 'request.decide',
  surface: 'owner',
  access: 'write',
  input,
  output,
  handler: (given, context) => decide('denied', given, context),
});
