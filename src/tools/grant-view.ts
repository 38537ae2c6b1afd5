/** A grant as tools show it. */
import * as z from 'zod';
import type { Grant } from '../substrate/identity/grants.ts';
import { readGrantUse } from '../substrate/identity/grants.ts';
import { GRANT_NAME, GRANT_NAME_RULE, isReserved, RESERVED_RULE } from '../substrate/identity/names.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { counted } from './text.ts';

export const GrantView = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  tools: z.enum(['daily', 'full']),
  kind: z.enum(['bearer', 'public_key', 'local']),
  issued_under: z.string().nullable(),
  created: z.string(),
  expires: z.string().nullable(),
  last_seen: z.string().nullable(),
  calls: z.int(),
});
export type GrantView = z.infer<typeof GrantView>;

export async function viewGrant(db: ReadHandle, grant: Grant): Promise<GrantView> {
  const use = await readGrantUse(db, grant.id);
  return {
    id: grant.id,
    name: grant.name,
    scopes: [...grant.scopes],
    tools: grant.surface,
    kind: grant.door === 'agent' ? 'local' : grant.publicKey === null ? 'bearer' : 'public_key',
    issued_under: grant.parent,
    created: isoTime(grant.createdAt),
    expires: grant.expiresAt === null ? null : isoTime(grant.expiresAt),
    last_seen: use === null ? null : isoTime(use.lastSeen),
    calls: use?.calls ?? 0,
  };
}

/** A grant in one line. */
export function grantLine({ id, name, kind, scopes, expires, last_seen: lastSeen, calls }: GrantView): string {
  const what = { bearer: 'a bearer key', public_key: 'a helper with its own key', local: 'a local agent' }[kind];
  const until = expires === null ? 'without an end' : `until ${expires}`;
  const used = lastSeen === null ? 'never used' : `last seen ${lastSeen}, ${counted(calls, 'call')}`;
  return `${name} (${what}, id ${id}): ${scopes.join(', ')}; ${until}; ${used}.`;
}

/** A name that a key or an agent can be given. */
export const GrantName = z
  .string()
  .regex(GRANT_NAME, GRANT_NAME_RULE)
  .refine((name) => !isReserved(name), RESERVED_RULE);

/** A lifetime in seconds. */
export const LifetimeSeconds = z
  .int()
  .min(60)
  .max(366 * 86_400);
