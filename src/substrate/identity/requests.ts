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

/** `closed`: nobody is left who could be given what was asked for. */
export const REQUEST_STATUSES = ['pending', 'approved', 'denied', 'expired', 'closed'] as const;
export type RequestStatus = (typeof REQUEST_STATUSES)[number];

export interface AccessRequest {
  readonly body: RequestBody;
  /** SHA-256 of the canonical body, hex. */
  readonly hash: string;
  /** What has become of it by now. */
  readonly status: RequestStatus;
  /** When the owner decided, ms since the epoch; null where nobody did. */
  readonly decidedAt: number | null;
}

/** Requests of one grant that may wait at once. */
export const PENDING_REQUESTS_MAX = 10;

interface RequestRow extends Row {
  readonly body: string;
  readonly hash: string;
  readonly status: 'pending' | 'approved' | 'denied';
  readonly decided_at: number | null;
  /** Whether the grant that asked is still there. */
  readonly held: number;
}

const SELECT = `SELECT body, hash, status, decided_at,
  EXISTS (SELECT 1 FROM substrate_grants g WHERE g.id = grant_id) AS held FROM substrate_requests`;
/** What can be decided: the key of a request that is gone is not coming back. */
const PENDING =
  "status = 'pending' AND expires_at > ? AND EXISTS (SELECT 1 FROM substrate_grants g WHERE g.id = grant_id)";

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** @throws SeedError `conflict` when the stored row is not what was asked */
function toRequest(row: RequestRow, now: number): AccessRequest {
  const altered = new SeedError('conflict', 'The request was altered after it was made; nobody can decide it.', {
    hint: 'Have it asked again.',
  });
  if (hashOf(row.body) !== row.hash) throw altered;
  const body = RequestBody.safeParse(JSON.parse(row.body));
  if (!body.success) throw altered;
  const open = row.held === 0 ? 'closed' : body.data.expires <= now ? 'expired' : 'pending';
  const status = row.status === 'pending' ? open : row.status;
  return { body: body.data, hash: row.hash, status, decidedAt: row.decided_at };
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

/** Requests shown at once. */
const LISTED_MAX = 200;

/** Requests that wait, oldest first; of one grant, or of all. */
export async function listPendingRequests(
  db: ReadHandle,
  now: number,
  grant: string | null = null,
): Promise<AccessRequest[]> {
  const whose = grant === null ? '' : ' AND grant_id = ?';
  const sql = `${SELECT} WHERE ${PENDING}${whose} ORDER BY created_at LIMIT ${LISTED_MAX}`;
  return unaltered(await db.all<RequestRow>(sql, now, ...(grant === null ? [] : [grant])), now);
}

/** The newest requests, whatever became of them, newest first. */
export async function listRequests(db: ReadHandle, now: number): Promise<AccessRequest[]> {
  return unaltered(await db.all<RequestRow>(`${SELECT} ORDER BY created_at DESC, id LIMIT ${LISTED_MAX}`), now);
}

/** One that was altered meanwhile is left out of lists: nobody can decide it, and it must hide no other. */
function unaltered(rows: readonly RequestRow[], now: number): AccessRequest[] {
  return rows.flatMap((row) => {
    try {
      return [toRequest(row, now)];
    } catch {
      return [];
    }
  });
}

/** @throws SeedError `not_found`, or `conflict` when the row was altered */
export async function getRequest(db: ReadHandle, id: string, now: number): Promise<AccessRequest> {
  const row = await db.get<RequestRow>(`${SELECT} WHERE id = ?`, id);
  if (row !== undefined) return toRequest(row, now);
  throw new SeedError('not_found', `There is no request ${id.slice(0, 64)}.`, {
    hint: 'See `seed requests list --all`.',
  });
}

const PROBLEMS: Readonly<Record<Exclude<RequestStatus, 'pending'>, string>> = {
  approved: 'was approved before',
  denied: 'was denied before',
  expired: 'has expired',
  closed: 'is closed: the key or agent that asked is gone',
};

/**
 * Decides a request, once.
 *
 * @throws SeedError `conflict` when it was decided, has expired, nobody is left who asked, or it is
 *   not the one with that hash
 */
export async function decideRequest(
  tx: WriteHandle,
  { id, hash, verdict, now }: { id: string; hash: string; verdict: 'approved' | 'denied'; now: number },
): Promise<RequestBody> {
  const { body, hash: stored, status } = await getRequest(tx, id, now);
  if (stored !== hash || status !== 'pending') {
    const problem = status === 'pending' ? 'is not the one you were shown' : PROBLEMS[status];
    throw new SeedError('conflict', `Request ${id} ${problem}.`, {
      hint: `See \`seed requests show ${id}\` for what is there now.`,
      data: { id },
    });
  }
  await tx.run('UPDATE substrate_requests SET status = ?, decided_at = ? WHERE id = ?', verdict, now, id);
  return body;
}
