/** What waits for the owner and has no module of its own that tells it. Each list is bounded. */
import { needsAcknowledgement, readUnconfirmed } from './policy/seal.ts';
import { readPolicyRows } from './policy/rows.ts';
import type { ReadHandle, Row } from './store/store.ts';

/** A model call that a crash cut off. */
export interface DoubtfulCall extends Row {
  readonly id: string;
  readonly actor: string;
  readonly role: string;
  readonly input: string;
  readonly created_at: number;
}

/** Calls of which nobody knows how they ended, the newest first. */
export async function listInDoubt(
  db: ReadHandle,
  { since, limit }: { since: number; limit: number },
): Promise<DoubtfulCall[]> {
  return db.all<DoubtfulCall>(
    `SELECT id, actor, role, input, created_at FROM substrate_calls
     WHERE status = 'in_doubt' AND created_at >= ? ORDER BY created_at DESC LIMIT ?`,
    since,
    limit,
  );
}

/** A key or an agent whose time runs out. */
export interface Expiring extends Row {
  readonly name: string;
  readonly expires_at: number;
}

/**
 * Grants in force that expire until then and have no more than a third of their life left, the first first: a key
 * that is meant for a day is not about to expire on its first morning. What was issued under another is its
 * issuer's business.
 */
export async function listExpiring(
  db: ReadHandle,
  { now, until, limit }: { now: number; until: number; limit: number },
): Promise<Expiring[]> {
  return db.all<Expiring>(
    `SELECT name, expires_at FROM substrate_grants
     WHERE parent IS NULL AND expires_at > ? AND expires_at <= ? AND 3 * (expires_at - ?) <= expires_at - created_at
     ORDER BY expires_at, name LIMIT ?`,
    now,
    until,
    now,
    limit,
  );
}

/** Edits of the policy that count only once the owner has said yes; null where the rows were altered unseen. */
export async function countUnconfirmed(db: ReadHandle): Promise<number | null> {
  if (!(await needsAcknowledgement(db))) return 0;
  const { pending, isWhole } = await readUnconfirmed(db, await readPolicyRows(db));
  return pending.length === 0 && !isWhole ? null : pending.length;
}
