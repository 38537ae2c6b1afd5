/**
 * Grants: who may come in, by which door, to do what, until when.
 *
 * The row authorises; whatever an access key says, without its row nobody enters. A grant that
 * another one issued goes when that one goes.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { Reading, ReadHandle, Row, WriteHandle } from '../store/store.ts';

export interface Grant {
  readonly id: string;
  readonly name: string;
  /** `agent`: the local socket. `http`: a key over HTTP. */
  readonly door: 'agent' | 'http';
  readonly kind: 'agent' | 'helper';
  readonly scopes: readonly string[];
  /** Which tools it is shown. */
  readonly surface: 'daily' | 'full';
  /** The grant that issued it; null for the owner's own. */
  readonly parent: string | null;
  /** The helper's own Ed25519 key, base64 of 32 bytes; null for a bearer key. */
  readonly publicKey: string | null;
  readonly createdAt: number;
  /** Milliseconds since the epoch; null for a grant that does not expire. */
  readonly expiresAt: number | null;
}

interface GrantRow extends Row {
  readonly id: string;
  readonly name: string;
  readonly door: Grant['door'];
  readonly kind: Grant['kind'];
  readonly scopes: string;
  readonly surface: Grant['surface'];
  readonly parent: string | null;
  readonly public_key: string | null;
  readonly created_at: number;
  readonly expires_at: number | null;
}

const COLUMNS = 'id, name, door, kind, scopes, surface, parent, public_key, created_at, expires_at';

function toGrant(row: GrantRow): Grant {
  return {
    id: row.id,
    name: row.name,
    door: row.door,
    kind: row.kind,
    scopes: JSON.parse(row.scopes) as string[],
    surface: row.surface,
    parent: row.parent,
    publicKey: row.public_key,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}

/** The grant with that id, or null. */
export async function findGrant(db: ReadHandle, id: string): Promise<Grant | null> {
  const row = await db.get<GrantRow>(`SELECT ${COLUMNS} FROM substrate_grants WHERE id = ?`, id);
  return row === undefined ? null : toGrant(row);
}

/** The grant of that name at that door, or null. */
export async function findGrantByName(db: ReadHandle, door: Grant['door'], name: string): Promise<Grant | null> {
  const row = await db.get<GrantRow>(`SELECT ${COLUMNS} FROM substrate_grants WHERE door = ? AND name = ?`, door, name);
  return row === undefined ? null : toGrant(row);
}

/** The grants that go by a name, whichever their door; there is one at most, except in a home of an early version. */
export async function findGrantsNamed(db: ReadHandle, name: string): Promise<Grant[]> {
  const rows = await db.all<GrantRow>(`SELECT ${COLUMNS} FROM substrate_grants WHERE name = ? ORDER BY door`, name);
  return rows.map(toGrant);
}

/** The grants of a door, by name. */
export async function listGrants(db: ReadHandle, door: Grant['door']): Promise<Grant[]> {
  const rows = await db.all<GrantRow>(`SELECT ${COLUMNS} FROM substrate_grants WHERE door = ? ORDER BY name`, door);
  return rows.map(toGrant);
}

/** Whether a grant is in force at that moment. */
export function isInForce(grant: Grant, now: number): boolean {
  return grant.expiresAt === null || grant.expiresAt > now;
}

/**
 * A name is one grant's, whichever its door: the owner decides, and reads receipts, by names.
 *
 * @throws SeedError `conflict` when a key or an agent has it
 */
async function assertNameFree(db: ReadHandle, name: string): Promise<void> {
  const [holder] = await findGrantsNamed(db, name);
  if (holder === undefined) return;
  const what = holder.door === 'http' ? 'a key' : 'an agent';
  throw new SeedError('conflict', `There is ${what} named "${name}" already.`, {
    hint: 'Choose another name.',
    data: { name },
  });
}

/** @throws SeedError `conflict` when a key or an agent has the name */
export async function insertGrant(tx: WriteHandle, grant: Grant): Promise<void> {
  await assertNameFree(tx, grant.name);
  await tx.run(
    `INSERT INTO substrate_grants (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    grant.id,
    grant.name,
    grant.door,
    grant.kind,
    JSON.stringify(grant.scopes),
    grant.surface,
    grant.parent,
    grant.publicKey,
    grant.createdAt,
    grant.expiresAt,
  );
}

/** Gives a grant other scopes. */
export async function setGrantScopes(tx: WriteHandle, id: string, scopes: readonly string[]): Promise<void> {
  await tx.run('UPDATE substrate_grants SET scopes = ? WHERE id = ?', JSON.stringify(scopes), id);
}

/**
 * Gives a grant another name; the id, and with it every receipt, stays.
 *
 * @throws SeedError `conflict` when a key or an agent has the name
 */
export async function renameGrant(tx: WriteHandle, id: string, name: string): Promise<void> {
  await assertNameFree(tx, name);
  await tx.run('UPDATE substrate_grants SET name = ? WHERE id = ?', name, id);
}

interface IdRow extends Row {
  readonly id: string;
}

/** A grant and every grant issued under it, itself first. */
export async function grantFamily(db: ReadHandle, id: string): Promise<string[]> {
  const rows = await db.all<IdRow>(
    `WITH RECURSIVE family (id, depth) AS (
       SELECT id, 0 FROM substrate_grants WHERE id = ?
       UNION ALL
       SELECT g.id, f.depth + 1 FROM substrate_grants g JOIN family f ON g.parent = f.id
     ) SELECT id FROM family ORDER BY depth`,
    id,
  );
  return rows.map((row) => row.id);
}

/**
 * The name of the grant at the top of the chain that an actor's was issued by: whose spending it is.
 * Otherwise whoever may register keys could spend under as many names as it likes.
 */
export async function payerOf(db: ReadHandle, { id, grant }: Pick<Actor, 'id' | 'grant'>): Promise<string> {
  return grant === null ? id : ((await db.recall(PAYER, grant)) ?? id);
}

/** By grant; null where there is none of that id. */
export const PAYER: Reading<string | null> = {
  tables: ['substrate_grants'],
  read: async (db, grant) => {
    const row = await db.get<{ name: string } & Row>(
      `WITH RECURSIVE chain (id, name, parent) AS (
         SELECT id, name, parent FROM substrate_grants WHERE id = ?
         UNION ALL
         SELECT g.id, g.name, g.parent FROM substrate_grants g JOIN chain c ON g.id = c.parent
       ) SELECT name FROM chain WHERE parent IS NULL`,
      grant,
    );
    return row?.name ?? null;
  },
};

/** Removes a grant and everything issued under it; resolves to the ids removed. */
export async function deleteGrantFamily(tx: WriteHandle, id: string): Promise<string[]> {
  const family = await grantFamily(tx, id);
  // Children first: a row may not point at one that is gone.
  for (const member of family.toReversed()) await tx.run('DELETE FROM substrate_grants WHERE id = ?', member);
  return family;
}

/**
 * Checks, inside the operation's own transaction, that the acting grant is still in force.
 *
 * @throws SeedError `key_revoked`, `key_expired` or `halted`
 */
export async function assertGrantInForce(db: ReadHandle, id: string, now: number): Promise<void> {
  const force = await db.recall(FORCE, id);
  if (force === null) throw keyRevoked();
  if (force.expiresAt !== null && force.expiresAt <= now) throw keyExpired();
  if (force.isHalted) throw seedHalted();
}

interface ForceRow extends Row {
  readonly expires_at: number | null;
  readonly halted: number;
}

/** By grant; null where there is none of that id. */
export const FORCE: Reading<{ readonly expiresAt: number | null; readonly isHalted: boolean } | null> = {
  tables: ['substrate_grants', 'substrate_switches'],
  read: async (db, grant) => {
    const row = await db.get<ForceRow>(
      `SELECT expires_at, EXISTS (SELECT 1 FROM substrate_switches WHERE name = 'halted' AND value = 'on') AS halted
       FROM substrate_grants WHERE id = ?`,
      grant,
    );
    return row === undefined ? null : { expiresAt: row.expires_at, isHalted: row.halted === 1 };
  },
};

/** What a grant that is gone is told, at every door. */
export function keyRevoked(): SeedError {
  return new SeedError('key_revoked', 'The key was removed.', { hint: 'Ask the owner for a new one.' });
}

/** What one is told whose key was good once. */
export function keyExpired(): SeedError {
  return new SeedError('key_expired', 'The key has expired.', {
    hint: 'Ask the owner for a new one. If you sign for tokens yourself, fetch the next one.',
  });
}

/** What everybody but the owner is told while the seed is halted. */
export function seedHalted(): SeedError {
  return new SeedError('halted', 'The owner has halted the seed.', { hint: 'Wait until the owner resumes it.' });
}

interface UseRow extends Row {
  readonly last_seen: number;
  readonly calls: number;
}

/** When a grant was last used, and how often; null when it never was. */
export async function readGrantUse(db: ReadHandle, id: string): Promise<{ lastSeen: number; calls: number } | null> {
  const row = await db.get<UseRow>('SELECT last_seen, calls FROM substrate_grant_use WHERE grant_id = ?', id);
  return row === undefined ? null : { lastSeen: row.last_seen, calls: row.calls };
}

/** Adds to a grant's use. */
export async function noteGrantUse(tx: WriteHandle, id: string, lastSeen: number, calls: number): Promise<void> {
  await tx.run(
    `INSERT INTO substrate_grant_use (grant_id, last_seen, calls) VALUES (?, ?, ?)
     ON CONFLICT (grant_id) DO UPDATE SET last_seen = excluded.last_seen, calls = calls + excluded.calls`,
    id,
    lastSeen,
    calls,
  );
}
