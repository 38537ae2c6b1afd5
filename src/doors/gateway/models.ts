/** The names that clients may ask by: roles of the policy, and models that the owner mapped to one. */
import { listMappings, mappingOf, rolesOnDemand } from '../../substrate/gateway-models.ts';
import { readPolicy } from '../../substrate/policy/policy.ts';
import type { ReadHandle } from '../../substrate/substrate.ts';
import type { ListedModel } from './wire.ts';

/** The role that a name means: itself, where policy has it, else what the owner mapped it to; null for any other. */
export async function roleOf(db: ReadHandle, model: string): Promise<string | null> {
  const { roles } = await readPolicy(db);
  if (roles.includes(model)) return model;
  return (await mappingOf(db, model))?.role ?? null;
}

/** What may be asked for on demand at this moment, roles first. A pattern with `*` is a name for nothing by itself. */
export async function listModels(db: ReadHandle): Promise<ListedModel[]> {
  const usable = new Set(rolesOnDemand(await readPolicy(db)));
  const mapped = (await listMappings(db)).filter(({ pattern, role }) => usable.has(role) && !pattern.endsWith('*'));
  return [
    ...[...usable].map((id) => ({ id, createdAt: 0 })),
    ...mapped
      .filter(({ pattern }) => !usable.has(pattern))
      .map(({ pattern, mappedAt }) => ({ id: pattern, createdAt: mappedAt })),
  ];
}

/** Any name that a request may ask by at this moment, one that a pattern fits among them; null for any other. */
export async function findModel(db: ReadHandle, id: string): Promise<ListedModel | null> {
  const policy = await readPolicy(db);
  const usable = rolesOnDemand(policy);
  // A role of the policy is never looked for among the mapped names, whether it may be asked or not.
  if (policy.roles.includes(id)) return usable.includes(id) ? { id, createdAt: 0 } : null;
  const mapping = await mappingOf(db, id);
  return mapping !== null && usable.includes(mapping.role) ? { id, createdAt: mapping.mappedAt } : null;
}
