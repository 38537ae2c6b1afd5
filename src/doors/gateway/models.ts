/** The names that clients may ask by: roles of the policy, and models that the owner mapped to one. */
import { listMappings, mappedRole } from '../../substrate/gateway-models.ts';
import { readPolicy } from '../../substrate/policy/policy.ts';
import type { ReadHandle } from '../../substrate/substrate.ts';
import type { ListedModel } from './wire.ts';

/** The role that a name means: itself, where policy has it, else what the owner mapped it to; null for any other. */
export async function roleOf(db: ReadHandle, model: string): Promise<string | null> {
  const { roles } = await readPolicy(db);
  if (roles.includes(model)) return model;
  return mappedRole(db, model);
}

/** What may be asked for on demand at this moment, roles first. A pattern with `*` is a name for nothing by itself. */
export async function listModels(db: ReadHandle): Promise<ListedModel[]> {
  const policy = await readPolicy(db);
  const usable = new Set(policy.roles.filter((role) => policy.resolve(role, 'any').routing !== null));
  const mapped = (await listMappings(db)).filter(({ pattern, role }) => usable.has(role) && !pattern.endsWith('*'));
  return [
    ...[...usable].map((id) => ({ id, createdAt: 0 })),
    ...mapped
      .filter(({ pattern }) => !usable.has(pattern))
      .map(({ pattern, mappedAt }) => ({ id: pattern, createdAt: mappedAt })),
  ];
}
