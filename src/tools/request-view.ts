/** A request as tools show it. */
import * as z from 'zod';
import type { AccessRequest } from '../substrate/identity/requests.ts';
import { REQUEST_STATUSES } from '../substrate/identity/requests.ts';
import { findGrant } from '../substrate/identity/grants.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';

export const RequestView = z.object({
  id: z.string(),
  /** The name that the grant had when it asked. */
  agent: z.string(),
  grant: z.string(),
  issued_by: z
    .string()
    .nullable()
    .describe('Who issued that key, where an agent did: the key may come to do more than they'),
  scopes: z.array(z.string()),
  reason: z.string(),
  hash: z.string(),
  status: z.enum(REQUEST_STATUSES),
  created: z.string(),
  expires: z.string(),
  decided: z.string().nullable(),
});

export async function viewRequest(
  db: ReadHandle,
  { body, hash, status, decidedAt }: AccessRequest,
): Promise<z.infer<typeof RequestView>> {
  const parent = (await findGrant(db, body.grant))?.parent ?? null;
  const issuer = parent === null ? null : await findGrant(db, parent);
  return {
    id: body.id,
    agent: body.name,
    grant: body.grant,
    issued_by: issuer?.name ?? null,
    scopes: [...body.scopes],
    reason: body.reason,
    hash,
    status,
    created: isoTime(body.created),
    expires: isoTime(body.expires),
    decided: decidedAt === null ? null : isoTime(decidedAt),
  };
}
