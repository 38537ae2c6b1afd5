/** A request as tools show it. */
import * as z from 'zod';
import type { AccessRequest } from '../substrate/identity/requests.ts';
import { REQUEST_STATUSES } from '../substrate/identity/requests.ts';
import { isoTime } from '../substrate/sources.ts';

export const RequestView = z.object({
  id: z.string(),
  /** The name that the grant had when it asked. */
  agent: z.string(),
  grant: z.string(),
  scopes: z.array(z.string()),
  reason: z.string(),
  hash: z.string(),
  status: z.enum(REQUEST_STATUSES),
  created: z.string(),
  expires: z.string(),
  decided: z.string().nullable(),
});

export function viewRequest({ body, hash, status, decidedAt }: AccessRequest): z.infer<typeof RequestView> {
  return {
    id: body.id,
    agent: body.name,
    grant: body.grant,
    scopes: [...body.scopes],
    reason: body.reason,
    hash,
    status,
    created: isoTime(body.created),
    expires: isoTime(body.expires),
    decided: decidedAt === null ? null : isoTime(decidedAt),
  };
}
