/** Calls to models as rows: who asked for what, how it stands, what came of it. */
import { SEED } from './actor.ts';
import { OPEN_INTENTS } from './receipts/log.ts';
import type { ReadHandle, Row, WriteHandle } from './store/store.ts';
import type { Substrate } from './substrate.ts';

export const CALL_STATUSES = ['queued', 'running', 'complete', 'incomplete', 'refused', 'failed', 'in_doubt'] as const;
export type CallStatus = (typeof CALL_STATUSES)[number];

/** One call. What was asked and answered stands apart, as content under its hash. */
export interface StoredCall {
  readonly id: string;
  /** The grant that it belongs to; null for the owner and the seed itself. */
  readonly grant: string | null;
  readonly actor: string;
  readonly role: string;
  readonly session: string | null;
  readonly status: CallStatus;
  readonly idempotencyKey: string | null;
  /** Content hash of the request. */
  readonly input: string;
  /** Content hash of the answer; null while there is none. */
  readonly output: string | null;
  /** What the router wrote of its end, as JSON; null while there is none. */
  readonly outcome: string | null;
  readonly createdAt: number;
}

interface CallRow extends Row {
  readonly id: string;
  readonly grant_id: string | null;
  readonly actor: string;
  readonly role: string;
  readonly session: string | null;
  readonly status: CallStatus;
  readonly idempotency_key: string | null;
  readonly input: string;
  readonly output: string | null;
  readonly outcome: string | null;
  readonly created_at: number;
}

const COLUMNS =
  'id, grant_id, actor, role, session, status, idempotency_key, input, output, outcome, created_at' as const;

function toCall({
  grant_id: grant,
  idempotency_key: idempotencyKey,
  created_at: createdAt,
  ...rest
}: CallRow): StoredCall {
  return { ...rest, grant, idempotencyKey, createdAt };
}

/** Adds a call; its id and, within a grant, its idempotency key are new. */
export async function insertCall(tx: WriteHandle, call: Omit<StoredCall, 'output' | 'outcome'>): Promise<void> {
  await tx.run(
    `INSERT INTO substrate_calls (id, grant_id, actor, role, session, status, idempotency_key, input, created_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    call.id,
    call.grant,
    call.actor,
    call.role,
    call.session,
    call.status,
    call.idempotencyKey,
    call.input,
    call.createdAt,
  );
}

/** How a call ended, or that it runs now. */
export interface CallChange {
  readonly status: CallStatus;
  readonly output?: string | null;
  readonly outcome?: string | null;
}

export async function updateCall(tx: WriteHandle, id: string, change: CallChange): Promise<void> {
  const { status, output = null, outcome = null } = change;
  await tx.run(
    'UPDATE substrate_calls SET status = ?, output = ?, outcome = ?, halfway = NULL WHERE id = ?',
    status,
    output,
    outcome,
    id,
  );
}

/** Marks a call that goes on with another attempt: until then it has no intent that a start would find it by. */
export async function markHalfway(tx: WriteHandle, id: string): Promise<void> {
  await tx.run('UPDATE substrate_calls SET halfway = 1 WHERE id = ?', id);
}

export async function findCall(db: ReadHandle, id: string): Promise<StoredCall | null> {
  const row = await db.get<CallRow>(`SELECT ${COLUMNS} FROM substrate_calls WHERE id = ?`, id);
  return row === undefined ? null : toCall(row);
}

/** The call that a grant made under an idempotency key. */
export async function findCallByKey(db: ReadHandle, grant: string | null, key: string): Promise<StoredCall | null> {
  const row = await db.get<CallRow>(
    `SELECT ${COLUMNS} FROM substrate_calls WHERE coalesce(grant_id, '') = ? AND idempotency_key = ?`,
    grant ?? '',
    key,
  );
  return row === undefined ? null : toCall(row);
}

/** What waits for the drain, oldest first. */
export async function listQueued(db: ReadHandle, limit: number): Promise<StoredCall[]> {
  const rows = await db.all<CallRow>(
    `SELECT ${COLUMNS} FROM substrate_calls WHERE status = 'queued' ORDER BY created_at, id LIMIT ?`,
    limit,
  );
  return rows.map(toCall);
}

/** How much waits for the drain: in all, and of one grant. */
export async function countQueued(db: ReadHandle, grant: string | null): Promise<{ total: number; own: number }> {
  const row = await db.get<{ total: number; own: number } & Row>(
    `SELECT count(*) AS total, count(*) FILTER (WHERE coalesce(grant_id, '') = ?) AS own
      FROM substrate_calls WHERE status = 'queued'`,
    grant ?? '',
  );
  return { total: row?.total ?? 0, own: row?.own ?? 0 };
}

interface IdRow extends Row {
  readonly id: string;
}

/** Calls under way, by their open intents and by the mark of those between two attempts. */
const UNDER_WAY = `SELECT c.id FROM ${OPEN_INTENTS} o CROSS JOIN substrate_calls c
    ON c.id = json_extract(o.bytes, '$.subject.id') WHERE c.status = 'running'
  UNION SELECT id FROM substrate_calls WHERE halfway IS NOT NULL AND status = 'running'`;

/**
 * Marks what an earlier boot left running, with one receipt if there is any: nobody knows how it ended,
 * and it is not called again. Resolves to how many there were. To be called before what settles the
 * intents that were left open, since those lead to the calls.
 */
export async function doubtCalls(substrate: Substrate): Promise<number> {
  const left = await substrate.read((db) => db.all<IdRow>(UNDER_WAY));
  if (left.length === 0) return 0;
  const { value } = await substrate.operate({ action: 'route.doubt', actor: SEED }, async (op) => {
    const doubted = await op.run(
      `UPDATE substrate_calls SET status = 'in_doubt', halfway = NULL
        WHERE status = 'running' AND id IN (SELECT value FROM json_each(?))`,
      JSON.stringify(left.map(({ id }) => id)),
    );
    op.receipt({ detail: { calls: doubted } });
    return doubted;
  });
  return value;
}
