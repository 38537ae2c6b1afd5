/**
 * A session's transcript as rows: its messages under a running hash, and how far each tool call of them has come.
 */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Message, PreparedMessage } from '../transcript.ts';
import { extendTranscript, prepareMessage } from '../transcript.ts';
import type { Operation } from '../operation.ts';
import type { Session, StoredMessage, ToolState } from './model.ts';
import { renewLease } from './sessions.ts';

/** Adds messages to the end of the transcript; the running hash goes with them. */
export async function appendMessages(op: Operation, session: Session, messages: readonly Message[]): Promise<Session> {
  return appendPrepared(op, session, messages.map(prepareMessage));
}

/** The same, and puts on record which call's answer comes next: the one that `session` says. */
export async function appendPrepared(
  op: Operation,
  session: Session,
  messages: readonly PreparedMessage[],
): Promise<Session> {
  let running = new Uint8Array(Buffer.from(session.runningHash, 'hex'));
  let index = session.length;
  for (const { message, body, hash } of messages) {
    running = new Uint8Array(extendTranscript(running, hash));
    await op.run(
      'INSERT INTO substrate_session_messages (session, idx, epoch, body, hash, at) VALUES (?, ?, ?, ?, ?, ?)',
      session.id,
      index,
      session.epoch,
      body,
      hash,
      op.now,
    );
    await noteTools(op, session.id, message);
    index += 1;
  }
  await op.run(
    'UPDATE substrate_sessions SET length = ?, running_hash = ?, step_call = ?, changed_at = ? WHERE id = ?',
    index,
    running,
    session.stepCall,
    op.now,
    session.id,
  );
  await renewLease(op, session.id, op.now);
  return { ...session, length: index, runningHash: Buffer.from(running).toString('hex'), changedAt: op.now };
}

/** A tool call of an answer has not started; its result makes it done. */
async function noteTools(op: Operation, session: string, { parts }: Message): Promise<void> {
  for (const part of parts) {
    if (part.type === 'tool_call') {
      await op.run(
        `INSERT INTO substrate_session_tools (session, call, name, idempotency_key, state)
          VALUES (?, ?, ?, ?, 'not_started')
          ON CONFLICT (session, call) DO UPDATE SET name = excluded.name, state = 'not_started'`,
        session,
        part.id,
        part.name,
        `${session}.${part.id}`,
      );
    } else if (part.type === 'tool_result') {
      await op.run(
        "UPDATE substrate_session_tools SET state = 'done' WHERE session = ? AND call = ?",
        session,
        part.call,
      );
    }
  }
}

interface ToolRow extends Row {
  readonly call: string;
  readonly name: string;
  readonly idempotency_key: string;
  readonly state: ToolState['state'];
}

/** The tool calls that have no result yet. */
export async function listOpenTools(db: ReadHandle, session: string, limit: number): Promise<ToolState[]> {
  const rows = await db.all<ToolRow>(
    `SELECT call, name, idempotency_key, state FROM substrate_session_tools
      WHERE session = ? AND state <> 'done' ORDER BY call LIMIT ?`,
    session,
    limit,
  );
  return rows.map(({ idempotency_key: idempotencyKey, ...rest }) => ({ ...rest, idempotencyKey }));
}

/** Where a tool call of the transcript stands; null where the transcript has none by that id. */
export async function findTool(db: ReadHandle, session: string, call: string): Promise<ToolState | null> {
  const row = await db.get<ToolRow>(
    'SELECT call, name, idempotency_key, state FROM substrate_session_tools WHERE session = ? AND call = ?',
    session,
    call,
  );
  return row === undefined ? null : { ...row, idempotencyKey: row.idempotency_key };
}

/** Tool calls of a session of which nobody knows whether they were carried out. */
export async function countInDoubt(db: ReadHandle, session: string): Promise<number> {
  const row = await db.get<{ open: number } & Row>(
    "SELECT count(*) AS open FROM substrate_session_tools WHERE session = ? AND state = 'in_doubt'",
    session,
  );
  return row?.open ?? 0;
}

interface MessageRow extends Row {
  readonly idx: number;
  readonly epoch: number;
  readonly body: string;
  readonly at: number;
}

/** Messages from an index on, oldest first. */
export async function listMessages(
  db: ReadHandle,
  session: string,
  { from, limit }: { from: number; limit: number },
): Promise<StoredMessage[]> {
  const rows = await db.all<MessageRow>(
    'SELECT idx, epoch, body, at FROM substrate_session_messages WHERE session = ? AND idx >= ? ORDER BY idx LIMIT ?',
    session,
    from,
    limit,
  );
  return rows.map(({ idx: index, ...rest }) => ({ index, ...rest }));
}
