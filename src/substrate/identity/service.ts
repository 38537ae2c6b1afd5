/**
 * Grants of the seed's own organs: what works by itself works under a grant like everyone's, with scopes
 * that the owner sees, receipts under its name, and an end when the grant is removed.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { newId } from '../sources.ts';
import type { Sources } from '../sources.ts';
import type { ReadHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Grant } from './grants.ts';
import { findGrantByName, insertGrant, setGrantScopes } from './grants.ts';
import type { Scope } from './scopes.ts';

/** The name that an organ's receipts and grants go by; no client can come in by it. */
export function serviceName(organ: string): string {
  return `seed-${organ}`;
}

/** The actor of an organ, as its grant stands now; null when it has none, or the owner removed it. */
export async function findService(db: ReadHandle, organ: string): Promise<Actor | null> {
  const grant = await findGrantByName(db, 'agent', serviceName(organ));
  return grant === null ? null : actorOf(grant);
}

/** The actor of an organ that cannot do without. @throws SeedError `key_revoked` where it has no grant */
export async function serviceActor(db: ReadHandle, organ: string): Promise<Actor> {
  const actor = await findService(db, organ);
  if (actor !== null) return actor;
  throw new SeedError('key_revoked', `The ${organ} has no grant.`, {
    hint: `Give it one with \`seed mind on ${organ}\`.`,
  });
}

/** Gives an organ its grant with just these scopes; for the operation by which it is switched on. */
export async function admitService(
  op: Operation,
  { organ, scopes, sources }: { organ: string; scopes: readonly Scope[]; sources: Sources },
): Promise<Actor> {
  const name = serviceName(organ);
  const wanted = scopes.toSorted();
  const known = await findGrantByName(op, 'agent', name);
  if (known !== null) {
    await setGrantScopes(op, known.id, wanted);
    return actorOf({ ...known, scopes: wanted });
  }
  const grant: Grant = {
    id: newId(sources),
    name,
    door: 'agent',
    kind: 'agent',
    scopes: wanted,
    surface: 'full',
    parent: null,
    publicKey: null,
    createdAt: op.now,
    expiresAt: null,
  };
  await insertGrant(op, grant);
  return actorOf(grant);
}

function actorOf({ id, name, scopes }: Grant): Actor {
  return { id: name, kind: 'service', grant: id, scopes: new Set(scopes) };
}
