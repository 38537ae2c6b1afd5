/**
 * Transcripts that came from elsewhere, such as a client's own file on this disk; `staging.ts` brings them in.
 *
 * How far a file was read is kept with the session: a file read before is told by the hash of what was
 * read of it, and only what was added since is taken.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { OWNER } from '../actor.ts';
import { findGrantByName, isInForce } from '../identity/grants.ts';
import { SCOPES } from '../identity/scopes.ts';
import { newId } from '../sources.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Substrate } from '../substrate.ts';
import type { Operation } from '../operation.ts';
import type { CheckpointInput, Session } from './model.ts';
import { closeSession, IMPORTED, LEASE_MS, openSession, renewLease, sessionOf } from './sessions.ts';
import type { Staging } from './staging.ts';

/** Sessions that came from the conversations of one agent's client and stay open. */
export const OPEN_IMPORTS_MAX = 20;

/** Sessions that began with the same line, such as one client session that was resumed twice. */
const CANDIDATES_MAX = 20;

/** What is known of a file that was imported. */
export interface ImportRecord {
  readonly session: string;
  /** `claude-code`, `codex` or `seed`. */
  readonly client: string;
  /** SHA-256 of the file's first line, hex. */
  readonly head: string;
  /** How many bytes of it were read, and their SHA-256, hex. */
  readonly bytes: number;
  readonly hash: string;
  /** The session as the import left it. */
  readonly epoch: number;
  readonly length: number;
  /** What the format's reader needs to go on from there, JSON. */
  readonly carry: string;
  /** What was left out of it, counted by kind. */
  readonly leftOut: Readonly<Record<string, number>>;
}

interface ImportRow extends Row {
  readonly session: string;
  readonly client: string;
  readonly head: string;
  readonly bytes: number;
  readonly hash: string;
  readonly epoch: number;
  readonly length: number;
  readonly carry: string;
  readonly losses: string;
}

const COLUMNS = 'session, client, head, bytes, hash, epoch, length, carry, losses';

function toRecord(row: ImportRow): ImportRecord {
  const { losses, ...rest } = row;
  return { ...rest, leftOut: JSON.parse(losses) as Record<string, number> };
}

/** Imports of files that begin with the same line, the longest first. */
export async function findImports(db: ReadHandle, client: string, head: string): Promise<ImportRecord[]> {
  const rows = await db.all<ImportRow>(
    `SELECT ${COLUMNS} FROM substrate_session_imports WHERE client = ? AND head = ? ORDER BY bytes DESC, at DESC LIMIT ?`,
    client,
    head,
    CANDIDATES_MAX,
  );
  return rows.map(toRecord);
}

/** Where a session's transcript came from; null for one that was written here. */
async function findImport(db: ReadHandle, session: string): Promise<ImportRecord | null> {
  const row = await db.get<ImportRow>(`SELECT ${COLUMNS} FROM substrate_session_imports WHERE session = ?`, session);
  return row === undefined ? null : toRecord(row);
}

/** The client's own bookkeeping, which nobody misses. */
const NO_LOSS = /^(?:records|items) of type /;
const LOSSES_MAX = 10;

/** What a session lacks of the transcript that it came from, in words; nothing for one that was written here. */
export async function importLosses(db: ReadHandle, session: string): Promise<string[]> {
  const record = await findImport(db, session);
  if (record === null) return [];
  const losses = Object.entries(record.leftOut).filter(([kind]) => !NO_LOSS.test(kind));
  return losses.slice(0, LOSSES_MAX).map(([kind, count]) => `Not imported from ${record.client}: ${count} ${kind}.`);
}

/** Who is to hold what is imported: a local agent, by its name, or the owner. @throws SeedError `not_found` */
export async function holderNamed(db: ReadHandle, name: string | null, now: number): Promise<Actor> {
  if (name === null) return OWNER;
  const grant = await findGrantByName(db, 'agent', name);
  if (grant === null || !isInForce(grant, now)) {
    throw new SeedError('not_found', `There is no local agent ${name}.`, {
      hint: '`seed agents list` shows them; a client’s agent is there once the client has connected.',
      data: { argument: 'as' },
    });
  }
  return { id: grant.name, kind: grant.kind, grant: grant.id, scopes: new Set(grant.scopes) };
}

/** A file as far as it was read. */
export interface ReadFile {
  readonly client: string;
  readonly head: string;
  readonly bytes: number;
  readonly hash: string;
  readonly carry: string;
  readonly leftOut: Readonly<Record<string, number>>;
}

export interface Landing {
  readonly actor: Actor;
  readonly holder: Actor;
  readonly file: ReadFile;
  /** For a session that is made now. */
  readonly checkpoint: CheckpointInput;
  /** The import that this one goes on from. */
  readonly before: ImportRecord | null;
}

/** What an import came to. */
export interface Landed {
  readonly session: Session;
  readonly inDoubt: number;
  readonly receipt: number;
}

/**
 * Makes a session of what was staged, or adds it to the one that the same file became before.
 *
 * @throws SeedError `superseded`, `session_closed` or `conflict` where that one has gone on without the file
 */
export async function landImport(substrate: Substrate, staging: Staging, landing: Landing): Promise<Landed> {
  const { actor, holder, file, before, checkpoint } = landing;
  const id = before?.session ?? newId(substrate.sources);
  const { value, seq } = await substrate.operate({ action: 'session.import', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const closed = before === null && holder.grant !== null ? await closeOldest(op, holder.grant) : 0;
    const base =
      before === null
        ? await openSession(op, holder, {
            id,
            checkpoint,
            scopes: holder.grant === null ? Object.keys(SCOPES) : [...holder.scopes].toSorted(),
            budgetMicroUsd: null,
            deadline: null,
            origin: `${IMPORTED}${file.client}`,
          })
        : await continued(op, before);
    const landed = await staging.land(op, base);
    await keepRecord(op, landed.session, file);
    await leaseAfter(op, landed.session, { holder, isNew: before === null });
    const { messages, calls } = staging.counts;
    op.receipt({
      detail: {
        closed,
        from: file.client,
        bytes: file.bytes - (before?.bytes ?? 0),
        messages,
        calls,
        in_doubt: landed.inDoubt,
        length: landed.session.length,
        hash: landed.session.runningHash,
        left_out: Object.values(file.leftOut).reduce((sum, count) => sum + count, 0),
      },
    });
    return landed;
  });
  substrate.sessions.changed(id, [value.session.holder]);
  return { ...value, receipt: seq };
}

/**
 * A client that has every conversation taken over must not fill its agent's room with them: all but the
 * newest are closed, and can still be read.
 */
async function closeOldest(op: Operation, grant: string): Promise<number> {
  const old = `SELECT id FROM substrate_sessions WHERE holder = ? AND status = 'open' AND epoch = 1 AND origin LIKE '${IMPORTED}%'
    ORDER BY changed_at DESC, id LIMIT 100 OFFSET ${OPEN_IMPORTS_MAX - 1}`;
  const closed = await op.all<{ id: string } & Row>(old, grant);
  for (const session of closed) await closeSession(op, session);
  return closed.length;
}

/**
 * A file says nothing of whether its client lives: what the owner imports may be taken over at once. Where the
 * client itself has it read, it is alive.
 */
async function leaseAfter(
  op: Operation,
  { id, holder: grant }: Session,
  { holder, isNew }: { holder: Actor; isNew: boolean },
): Promise<void> {
  if (holder.grant === null && isNew) await renewLease(op, id, op.now - LEASE_MS);
  else if (holder.grant !== null && holder.grant === grant) await renewLease(op, id, op.now);
}

/**
 * The session that a file became before, if it is still as the import left it: what the client wrote since
 * follows what it wrote before, and nothing in between.
 */
export async function continued(db: ReadHandle, before: ImportRecord): Promise<Session> {
  const session = await sessionOf(db, before.session);
  const now = await findImport(db, before.session);
  if (session.status === 'closed') {
    throw new SeedError('session_closed', `The session ${session.id} that this file became is closed.`, {
      hint: 'What was imported before stays as it is.',
      data: { session: session.id },
    });
  }
  if (session.epoch !== before.epoch) {
    throw new SeedError('superseded', `${session.holderName} has taken over the session ${session.id} meanwhile.`, {
      hint: 'What the file has since then is not in it; tell whoever goes on with it.',
      data: { session: session.id, epoch: session.epoch },
    });
  }
  const isAsLeft = session.length === before.length && now?.bytes === before.bytes && session.stepCall === null;
  if (!isAsLeft) {
    throw new SeedError('conflict', `The session ${session.id} that this file became has gone on by itself.`, {
      hint: 'Look at it with `seed session show`; what was imported before stays as it is.',
      data: { session: session.id },
    });
  }
  return session;
}

async function keepRecord(op: Operation, session: Session, file: ReadFile): Promise<void> {
  await op.run(
    `REPLACE INTO substrate_session_imports (${COLUMNS}, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.id,
    file.client,
    file.head,
    file.bytes,
    file.hash,
    session.epoch,
    session.length,
    file.carry,
    JSON.stringify(file.leftOut),
    op.now,
  );
}
