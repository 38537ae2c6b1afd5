/**
 * Sessions as rows. One holder at a time: every write names the epoch that the writer holds, and the
 * epoch of one who has been superseded is refused (LOCK-HANDOFF-1).
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import { EMPTY_TRANSCRIPT } from '../transcript.ts';
import type { Operation } from '../operation.ts';
import type { Checkpoint, CheckpointInput, Session } from './model.ts';
import { CHECKPOINT_BYTES_MAX, NO_CHECKPOINT } from './model.ts';

/** What the origin of a session begins with that came from elsewhere. */
export const IMPORTED = 'imported:';

/** The origin of a session that a client's calls through the gateway became. */
export const GATEWAY = 'gateway';

/** Whether it is a client's conversation still, which nobody has handed over. */
export function isConversation({ origin, epoch }: Session): boolean {
  return (origin.startsWith(IMPORTED) || origin === GATEWAY) && epoch === 1;
}

/** How long a holder that says nothing keeps its session from being taken over, in milliseconds. */
export const LEASE_MS = 10 * 60 * 1_000;

/** Open sessions that one actor may hold. */
const OPEN_MAX = 200;

interface SessionRow extends Row {
  readonly id: string;
  readonly holder: string | null;
  readonly holder_name: string;
  readonly epoch: number;
  readonly status: Session['status'];
  readonly origin: string;
  readonly scopes: string;
  readonly budget_micro_usd: number | null;
  readonly reserve_micro_usd: number;
  readonly deadline: number | null;
  readonly checkpoint: string;
  readonly length: number;
  readonly running_hash: Uint8Array;
  readonly step_call: string | null;
  readonly created_at: number;
  readonly changed_at: number;
}

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    holder: row.holder,
    holderName: row.holder_name,
    epoch: row.epoch,
    status: row.status,
    origin: row.origin,
    scopes: JSON.parse(row.scopes) as string[],
    budgetMicroUsd: row.budget_micro_usd,
    reserveMicroUsd: row.reserve_micro_usd,
    deadline: row.deadline,
    checkpoint: JSON.parse(row.checkpoint) as Checkpoint,
    length: row.length,
    runningHash: Buffer.from(row.running_hash).toString('hex'),
    stepCall: row.step_call,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  };
}

export interface NewSession {
  readonly id: string;
  readonly checkpoint: CheckpointInput;
  readonly scopes: readonly string[];
  readonly budgetMicroUsd: number | null;
  readonly deadline: number | null;
  readonly origin?: string;
  /** How many open sessions its opener may have with it, where that is not the usual number. */
  readonly openMax?: number;
}

/** Opens a session that its opener holds. @throws SeedError `too_large`, `too_many` */
export async function openSession(op: Operation, actor: Actor, session: NewSession): Promise<Session> {
  const checkpoint = merged(NO_CHECKPOINT, session.checkpoint);
  await assertRoom(op, actor, session.openMax ?? OPEN_MAX);
  await op.run(
    `INSERT INTO substrate_sessions (id, holder, holder_name, epoch, status, origin, scopes, budget_micro_usd,
       deadline, checkpoint, length, running_hash, created_at, changed_at)
     VALUES (?, ?, ?, 1, 'open', ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
    session.id,
    actor.grant,
    actor.id,
    session.origin ?? 'native',
    JSON.stringify(session.scopes),
    session.budgetMicroUsd,
    session.deadline,
    JSON.stringify(checkpoint),
    EMPTY_TRANSCRIPT,
    op.now,
    op.now,
  );
  await renewLease(op, session.id, op.now);
  return sessionOf(op, session.id);
}

/** Whoever never closes anything must not fill every list with it. */
async function assertRoom(db: ReadHandle, { grant }: Actor, openMax: number): Promise<void> {
  const row = await db.get<{ open: number } & Row>(
    "SELECT count(*) AS open FROM substrate_sessions WHERE holder IS ? AND status = 'open'",
    grant,
  );
  if ((row?.open ?? 0) < openMax) return;
  throw new SeedError('too_many', `You hold ${openMax} open sessions already.`, {
    hint: 'Close those that are done with session_close.',
  });
}

export async function findSession(db: ReadHandle, id: string): Promise<Session | null> {
  const row = await db.get<SessionRow>('SELECT * FROM substrate_sessions WHERE id = ?', id);
  return row === undefined ? null : toSession(row);
}

/** @throws SeedError `not_found` */
export async function sessionOf(db: ReadHandle, id: string): Promise<Session> {
  const session = await findSession(db, id);
  if (session !== null) return session;
  throw noSession(id);
}

/** The open sessions that a grant holds, the one changed last first; null for the owner's own. */
export async function listHeld(db: ReadHandle, holder: string | null, limit: number): Promise<Session[]> {
  const rows = await db.all<SessionRow>(
    `SELECT * FROM substrate_sessions WHERE holder IS ? AND status = 'open' ORDER BY changed_at DESC, id LIMIT ?`,
    holder,
    limit,
  );
  return rows.map(toSession);
}

/** The open sessions of everybody, the one changed last first. */
export async function listLast(db: ReadHandle, limit: number): Promise<Session[]> {
  const rows = await db.all<SessionRow>(
    "SELECT * FROM substrate_sessions WHERE status = 'open' ORDER BY changed_at DESC, id LIMIT ?",
    limit,
  );
  return rows.map(toSession);
}

/** Every session, the one changed last first, below a cursor of its time and id. */
export async function listSessions(
  db: ReadHandle,
  { limit, before = null }: { limit: number; before?: { readonly at: number; readonly id: string } | null },
): Promise<Session[]> {
  const rows = await db.all<SessionRow>(
    `SELECT * FROM substrate_sessions WHERE changed_at < ? OR (changed_at = ? AND id > ?)
      ORDER BY changed_at DESC, id LIMIT ?`,
    before?.at ?? Number.MAX_SAFE_INTEGER,
    before?.at ?? Number.MAX_SAFE_INTEGER,
    before?.id ?? '',
    limit,
  );
  return rows.map(toSession);
}

/** Who writes, and the epoch they believe to hold; null where they hold only one and need not say. */
export interface Writer {
  readonly actor: Actor;
  readonly epoch: number | null;
}

/**
 * The session, for whoever holds it now.
 *
 * @throws SeedError `not_found` (also for a stranger: a session's id tells nothing), `superseded` for an
 *   earlier holder or epoch, `session_closed`
 */
export async function heldSession(db: ReadHandle, id: string, { actor, epoch }: Writer): Promise<Session> {
  const session = await sessionOf(db, id);
  if (session.holder !== actor.grant) {
    if (actor.grant === null || (await hasHeld(db, id, actor.grant))) throw superseded(session);
    throw noSession(id);
  }
  if (epoch !== null && epoch !== session.epoch) throw superseded(session);
  if (session.status === 'closed') throw closed(session);
  return session;
}

/** Whoever held a session is on the redeemed handoff that moved it on, whoever offered that (`redeemHandoff`). */
async function hasHeld(db: ReadHandle, session: string, grant: string): Promise<boolean> {
  const row = await db.get(
    "SELECT 1 FROM substrate_handoffs WHERE session = ? AND offerer = ? AND status = 'redeemed' LIMIT 1",
    session,
    grant,
  );
  return row !== undefined;
}

/** The session, for its holder or the owner, who may give it on or end it whoever holds it. */
export async function controlledSession(db: ReadHandle, id: string, actor: Actor): Promise<Session> {
  if (actor.grant !== null) return heldSession(db, id, { actor, epoch: null });
  const session = await sessionOf(db, id);
  if (session.status === 'closed') throw closed(session);
  return session;
}

function noSession(id: string): SeedError {
  return new SeedError('not_found', `There is no session ${id} of yours.`, {
    hint: 'seed_start names the sessions that you hold.',
  });
}

function closed({ id }: Session): SeedError {
  return new SeedError('session_closed', `The session ${id} is closed.`, { hint: 'Open a new one.' });
}

function superseded({ id, holderName, epoch }: Session): SeedError {
  return new SeedError('superseded', `The session ${id} is held by ${holderName} (epoch ${epoch}).`, {
    hint: 'Stop working on it, or take it over with handoff_accept.',
    data: { session: id, epoch },
  });
}

/** @throws SeedError `too_large` */
function merged(before: Checkpoint, input: CheckpointInput): Checkpoint {
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const checkpoint = { ...before, ...Object.fromEntries(given) } as Checkpoint;
  const bytes = Buffer.byteLength(JSON.stringify(checkpoint));
  if (bytes <= CHECKPOINT_BYTES_MAX) return checkpoint;
  throw new SeedError('too_large', `The checkpoint has ${bytes} bytes; ${CHECKPOINT_BYTES_MAX} is the limit.`, {
    hint: 'Say it in fewer words; what is long belongs in a file or in the transcript.',
    data: { bytes_max: CHECKPOINT_BYTES_MAX },
  });
}

/** Writes where the work stands; what the input leaves out stays as it was. @throws SeedError `too_large` */
export async function setCheckpoint(op: Operation, session: Session, input: CheckpointInput): Promise<Session> {
  const checkpoint = merged(session.checkpoint, input);
  await op.run(
    'UPDATE substrate_sessions SET checkpoint = ?, changed_at = ? WHERE id = ?',
    JSON.stringify(checkpoint),
    op.now,
    session.id,
  );
  await renewLease(op, session.id, op.now);
  return { ...session, checkpoint, changedAt: op.now };
}

/** Names the model call whose answer is to be written next, or none any more. */
export async function setStepCall(op: Operation, { id }: Session, call: string | null): Promise<void> {
  await op.run('UPDATE substrate_sessions SET step_call = ?, changed_at = ? WHERE id = ?', call, op.now, id);
  await renewLease(op, id, op.now);
}

export async function closeSession(op: Operation, { id }: Pick<Session, 'id'>): Promise<void> {
  await op.run("UPDATE substrate_sessions SET status = 'closed', changed_at = ? WHERE id = ?", op.now, id);
  await op.run('DELETE FROM substrate_session_leases WHERE session = ?', id);
}

/** The holder is alive, as of now. */
export async function renewLease(tx: WriteHandle, session: string, now: number): Promise<void> {
  await tx.run('REPLACE INTO substrate_session_leases (session, until) VALUES (?, ?)', session, now + LEASE_MS);
}

/** Until when the holder's silence is no death, ms since the epoch. */
export async function leaseUntil(db: ReadHandle, session: string): Promise<number> {
  const row = await db.get<{ until: number } & Row>(
    'SELECT until FROM substrate_session_leases WHERE session = ?',
    session,
  );
  return row?.until ?? 0;
}

/** Gives the session to another holder: the epoch goes up by one, and whoever held it before is fenced off. */
export async function moveSession(
  op: Operation,
  session: Session,
  to: { actor: Actor; scopes: readonly string[]; budgetMicroUsd: number | null; reserveMicroUsd: number },
): Promise<Session> {
  const epoch = session.epoch + 1;
  const moved = await op.run(
    `UPDATE substrate_sessions SET holder = ?, holder_name = ?, epoch = ?, scopes = ?, budget_micro_usd = ?,
       reserve_micro_usd = ?, changed_at = ? WHERE id = ? AND epoch = ?`,
    to.actor.grant,
    to.actor.id,
    epoch,
    JSON.stringify(to.scopes),
    to.budgetMicroUsd,
    to.reserveMicroUsd,
    op.now,
    session.id,
    session.epoch,
  );
  if (moved === 0) throw superseded(session);
  await renewLease(op, session.id, op.now);
  // What the last holder was doing when it was fenced off may or may not have happened.
  await op.run(
    "UPDATE substrate_session_tools SET state = 'in_doubt' WHERE session = ? AND state = 'not_started'",
    session.id,
  );
  return sessionOf(op, session.id);
}
