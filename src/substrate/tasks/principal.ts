/**
 * Who stands behind an actor: the grant that the owner gave, whatever was issued under it. Two keys of
 * one line are one principal, or whoever can issue a key could verify its own work by it.
 */
import type { Actor } from '../actor.ts';
import type { ReadHandle, Row } from '../store/store.ts';

interface IdRow extends Row {
  readonly id: string;
}

/** The first grant of a grant's line; null when that one is gone. */
export async function rootGrant(db: ReadHandle, grant: string): Promise<string | null> {
  const row = await db.get<IdRow>(
    `WITH RECURSIVE line (id, parent) AS (
       SELECT id, parent FROM substrate_grants WHERE id = ?
       UNION SELECT g.id, g.parent FROM substrate_grants g JOIN line l ON g.id = l.parent
     ) SELECT id FROM line WHERE parent IS NULL`,
    grant,
  );
  return row?.id ?? null;
}

/** The principal of an actor that is let in now: a grant's id, `owner`, or `seed`. */
export async function principalOf(db: ReadHandle, { id, grant }: Pick<Actor, 'id' | 'grant'>): Promise<string> {
  return grant === null ? id : ((await rootGrant(db, grant)) ?? grant);
}
