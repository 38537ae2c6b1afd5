/**
 * Requests: what an actor may not do alone, put before the owner.
 *
 * A request never changes. It is decided once, by the owner, who names the hash of what was shown;
 * a row that was altered meanwhile no longer has that hash.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { canonicalize } from '../../formats/canonical.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import { Scope } from './scopes.ts';

/** What is asked for: more scopes for the asking grant. */
export const RequestBody = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  grant: z.string(),
  name: z.string(),
  scopes: z.array(Scope).min(1),
  reason: z.string(),
  created: z.int(),
  expires: z.int(),
});
export type RequestBody = z.infer<typeof RequestBody>;

export interface AccessRequest {
  readonly body: RequestBody;
  /** SHA-256 of the canonical body, hex. */
  readonly hash: string;
  readonly status: 'pending' | 'approved' | 'denied';
}

/** Requests of one grant that may wait at once. */
export const PENDING_REQUESTS_MAX = 10;

interface RequestRow extends Row {
  readonly body: string;
  readonly hash: string;
  readonly status: AccessRequest['status'];
}

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** @throws SeedError `conflict` when the stored row is not what was asked */
function toRequest(row: RequestRow): AccessRequest {
  const altered = new SeedError('conflict', 'The request was altered after it was made.', {
    hint: 'Deny it, and have it asked again.',
  });
  if (hashOf(row.body) !== row.hash) throw altered;
  const body = RequestBody.safeParse(JSON.parse(row.body));
  if (!body.success) throw altered;
  return { body: body.data, hash: row.hash, status: row.status };
}

interface CountRow extends Row {
  readonly pending: number;
}

/** @throws SeedError `busy` when the grant has too many waiting; returns the request's hash */
export async function insertRequest(tx: WriteHandle, body: RequestBody, now: number): Promise<string> {
  const count = await tx.get<CountRow>(
    "SELECT count(*) AS pending FROM substrate_requests WHERE grant_id = ? AND status = 'pending' AND expires_at > ?",
    body.grant,
    now,
  );
  if ((count?.pending ?? 0) >= PENDING_REQUESTS_MAX) {
    throw new SeedError('busy', `${PENDING_REQUESTS_MAX} of your requests wait for the owner already.`, {
      hint: 'Wait until the owner has decided.',
    });
  }
  const text = canonicalize(body);
  const hash = hashOf(text);
  await tx.run(
    "INSERT INTO substrate_requests (id, grant_id, body, hash, status, created_at, expires_at) VALUES (?, ?, ?, ?, 'pending', ?, ?)",
    body.id,
    body.grant,
    text,
    hash,
    body.created,
    body.expires,
  );
  return hash;
}

/** Requests that wait, oldest first. One that was altered meanwhile is left out: nobody can decide it. */
export async function listPendingRequests(db: ReadHandle, now: number): Promise<AccessRequest[]> {
  const rows = await db.all<RequestRow>(
    "SELECT body, hash, status FROM substrate_requests WHERE status = 'pending' AND expires_at > ? ORDER BY created_at LIMIT 200",
    now,
  );
  return rows.flatMap((row) => {
    try {
      return [toRequest(row)];
    } catch {
      return [];
    }
  });
}

/** @throws SeedError `not_found`, or `conflict` when the row was altered */
async function getRequest(db: ReadHandle, id: string): Promise<AccessRequest> {
  const row = await db.get<RequestRow>('SELECT body, hash, status FROM substrate_requests WHERE id = ?', id);
  if (row === undefined)
    throw new SeedError('not_found', `There is no request ${id.slice(0, 64)}.`, { hint: 'See `seed requests list`.' });
  return toRequest(row);
}

/**
 * Decides a request, once.
 *
 * @throws SeedError `conflict` when it was decided, has expired, or is not the one with that hash
 */
export async function decideRequest(
  tx: WriteHandle,
  { id, hash, verdict, now }: { id: string; hash: string; verdict: 'approved' | 'denied'; now: number },
): Promise<RequestBody> {
  const request = await getRequest(tx, id);
  const problem =
    request.hash !== hash
      ? 'is not the one you were shown'
      : request.status !== 'pending'
        ? `was ${request.status} before`
        : request.body.expires <= now
          ? 'has expired'
          : null;
  if (problem !== null) {
    throw new SeedError('conflict', `Request ${id} ${problem}.`, {
      hint: 'See `seed requests list` and decide what is there now.',
      data: { id },
    });
  }
  await tx.run('UPDATE substrate_requests SET status = ?, decided_at = ? WHERE id = ?', verdict, now, id);
  return request.body;
}
