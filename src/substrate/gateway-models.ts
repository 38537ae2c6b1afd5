/** Names of models that clients may ask for, and the role of the policy that each means: the owner's to say. */
import type { PolicySnapshot } from './policy/policy.ts';
import type { ReadHandle, Row } from './store/store.ts';
import type { Operation } from './operation.ts';

/** Names that may be mapped, at most: all are read for each call whose model is no role. */
export const MAPPINGS_MAX = 200;

/** `*` at the end stands for anything, and nowhere else. */
export const MODEL_PATTERN: RegExp = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}\*?$/;

export interface ModelMapping {
  readonly pattern: string;
  readonly role: string;
  /** ms since the epoch. */
  readonly mappedAt: number;
}

interface MappingRow extends Row {
  readonly pattern: string;
  readonly role: string;
  readonly mapped_at: number;
}

/** All mappings, by name. */
export async function listMappings(db: ReadHandle): Promise<ModelMapping[]> {
  const rows = await db.all<MappingRow>(
    `SELECT pattern, role, mapped_at FROM substrate_gateway_models ORDER BY pattern LIMIT ${MAPPINGS_MAX}`,
  );
  return rows.map(({ mapped_at: mappedAt, ...rest }) => ({ ...rest, mappedAt }));
}

/** The roles that may be asked on demand at this moment; each is a name of a model by itself. */
export function rolesOnDemand(policy: Pick<PolicySnapshot, 'roles' | 'resolve'>): string[] {
  return policy.roles.filter((role) => policy.resolve(role, 'any').routing !== null);
}

/** What gives a model's name its role: the mapping of its whole name, else of its longest beginning; null without any. */
export async function mappingOf(db: ReadHandle, model: string): Promise<ModelMapping | null> {
  const fitting = (await listMappings(db)).filter(({ pattern }) =>
    pattern.endsWith('*') ? model.startsWith(pattern.slice(0, -1)) : model === pattern,
  );
  const whole = fitting.find(({ pattern }) => pattern === model);
  return whole ?? fitting.toSorted((a, b) => b.pattern.length - a.pattern.length)[0] ?? null;
}

/** Maps a name, or maps it anew. */
export async function mapModel(op: Operation, { pattern, role }: { pattern: string; role: string }): Promise<void> {
  await op.run(
    'REPLACE INTO substrate_gateway_models (pattern, role, mapped_at) VALUES (?, ?, ?)',
    pattern,
    role,
    op.now,
  );
}

/** Takes a mapping away; resolves to whether there was one. */
export async function unmapModel(op: Operation, pattern: string): Promise<boolean> {
  return (await op.run('DELETE FROM substrate_gateway_models WHERE pattern = ?', pattern)) > 0;
}
