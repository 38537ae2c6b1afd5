/**
 * Conversations of clients that know nothing of sessions, as the gateway has them.
 *
 * Such a client sends all that was said each time. What it and its answers came to is one hash, the head; a
 * request whose beginning has that hash goes on from there, and only what is new in it is written. All of it
 * happens inside the transactions of the call itself (`Turn` in `mind/router/request.ts`).
 */
import type { Actor } from '../actor.ts';
import { SEED } from '../actor.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Substrate } from '../substrate.ts';
import type { Message, PreparedMessage } from '../transcript.ts';
import { EMPTY_TRANSCRIPT, prepareMessage } from '../transcript.ts';
import type { Operation } from '../operation.ts';
import type { Session } from './model.ts';
import { NO_CHECKPOINT } from './model.ts';
import { appendPrepared } from './messages.ts';
import { closeSession, findSession, GATEWAY, LEASE_MS, openSession, renewLease, setStepCall } from './sessions.ts';

/** Heads that a request is looked up by, at most: the ends of its last messages. */
export const HEADS_MAX = 8;

/** Conversations of one grant that stay open: of more, those that were idle longest are closed. */
export const OPEN_CONVERSATIONS_MAX = 100;

/** Open ones at once, those under way included: more than calls of one grant may run. */
const OPEN_MAX = 700;

/** A conversation that nobody went on with for so long is closed, in milliseconds. */
export const IDLE_MS = 14 * 24 * 60 * 60 * 1_000;

/** How long a client that said nothing since its last answer counts as there, in milliseconds. */
const SILENCE_MS = 30_000;

const CLOSED_AT_ONCE_MAX = 200;

/** Where a conversation stands. */
export interface Standing {
  readonly session: Session;
  /** The hash of what the client has sent and been answered. */
  readonly head: Uint8Array;
  /** The transcript's length with that; a longer one has gone on without the client. */
  readonly length: number;
  /** A hash of the system prompt and tools that its last call had. */
  readonly frame: Uint8Array;
}

interface StandingRow extends Row {
  readonly session: string;
  readonly head: Uint8Array;
  readonly length: number;
  readonly frame: Uint8Array;
}

async function toStanding(db: ReadHandle, row: StandingRow): Promise<Standing | null> {
  const session = await findSession(db, row.session);
  return session === null ? null : { ...row, session };
}

const BY_HEAD = `SELECT session, head, length, frame FROM substrate_conversations
  WHERE grant_id = ? AND head IN (${Array.from({ length: HEADS_MAX }, () => '?').join(', ')})`;

/** The conversations of a grant that stand at one of these heads. */
export async function findStandings(
  db: ReadHandle,
  grant: string,
  heads: readonly Uint8Array[],
): Promise<readonly Standing[]> {
  const [first] = heads;
  if (first === undefined) return [];
  // One statement for any number of heads: it is prepared once.
  const padded = Array.from({ length: HEADS_MAX }, (_, index) => heads[index] ?? first);
  const rows = await db.all<StandingRow>(BY_HEAD, grant, ...padded);
  const found = [];
  for (const row of rows) found.push(await toStanding(db, row));
  return found.filter((standing) => standing !== null);
}

/** Where the conversation of a session stands; null where it came by no call through the gateway yet. */
export async function standingOf(db: ReadHandle, session: string): Promise<Standing | null> {
  const row = await db.get<StandingRow>(
    'SELECT session, head, length, frame FROM substrate_conversations WHERE session = ?',
    session,
  );
  return row === undefined ? null : toStanding(db, row);
}

export interface Opened {
  readonly id: string;
  readonly goal: string;
  readonly now: number;
}

/** A session as it is going to be when its first call is admitted. */
export function draftSession({ id: holderName, grant: holder, scopes }: Actor, { id, goal, now }: Opened): Session {
  return {
    id,
    holder,
    holderName,
    epoch: 1,
    status: 'open',
    origin: GATEWAY,
    scopes: [...scopes].toSorted(),
    budgetMicroUsd: null,
    reserveMicroUsd: 0,
    deadline: null,
    checkpoint: { ...NO_CHECKPOINT, goal },
    length: 0,
    runningHash: Buffer.from(EMPTY_TRANSCRIPT).toString('hex'),
    stepCall: null,
    createdAt: now,
    changedAt: now,
  };
}

export interface TurnBegin {
  readonly call: string;
  readonly added: readonly PreparedMessage[];
  readonly head: Uint8Array;
  readonly frame: Uint8Array;
}

/** Writes what came with a call into the session's transcript, and that its answer comes next. */
export async function beginTurn(
  op: Operation,
  session: Session,
  { call, added, head, frame }: TurnBegin,
): Promise<void> {
  if (added.length === 0) await setStepCall(op, session, call);
  else await appendPrepared(op, { ...session, stepCall: call }, added);
  await op.run(
    'REPLACE INTO substrate_conversations (session, grant_id, head, length, frame) VALUES (?, ?, ?, ?, ?)',
    session.id,
    session.holder,
    head,
    session.length + added.length,
    frame,
  );
}

/** Opens the session of a draft; those of its holder that were idle longest make room. @throws SeedError `too_many` */
export async function openConversation(op: Operation, actor: Actor, draft: Session): Promise<Session> {
  for (const id of await listIdlest(op, draft.holder)) await endConversation(op, id);
  const { id, scopes, checkpoint, origin } = draft;
  const opening = { id, scopes, origin, checkpoint: { goal: checkpoint.goal }, budgetMicroUsd: null, deadline: null };
  return openSession(op, actor, { ...opening, openMax: OPEN_MAX });
}

async function listIdlest(db: ReadHandle, grant: string | null): Promise<string[]> {
  const rows = await db.all<{ id: string } & Row>(
    `SELECT s.id FROM substrate_conversations c JOIN substrate_sessions s ON s.id = c.session
      WHERE c.grant_id = ? AND s.holder = c.grant_id AND s.status = 'open' AND s.step_call IS NULL
      ORDER BY s.changed_at DESC LIMIT 10 OFFSET ${OPEN_CONVERSATIONS_MAX - 1}`,
    grant,
  );
  return rows.map(({ id }) => id);
}

async function endConversation(op: Operation, id: string): Promise<void> {
  await closeSession(op, { id });
  await op.run('DELETE FROM substrate_conversations WHERE session = ?', id);
}

export interface TurnEnd {
  readonly session: string;
  /** The epoch that the call was made in. */
  readonly epoch: number;
  readonly call: string;
  /** Null where there is no whole one: then the client's next request goes on from its own last one. */
  readonly answer: Message | null;
  /** The head with that answer. */
  readonly head: Uint8Array | null;
}

/**
 * Writes a call's answer into the transcript. One that was taken over meanwhile is left as it is: the call
 * stays named there, and whoever holds the session has its answer by the next step.
 */
export async function endTurn(op: Operation, end: TurnEnd): Promise<void> {
  const session = await findSession(op, end.session);
  if (session === null || session.stepCall !== end.call) return;
  if (session.epoch !== end.epoch || session.status === 'closed') return;
  const { answer, head } = end;
  if (answer === null || head === null) await setStepCall(op, session, null);
  else {
    const { length } = await appendPrepared(op, { ...session, stepCall: null }, [prepareMessage(answer)]);
    await op.run('UPDATE substrate_conversations SET head = ?, length = ? WHERE session = ?', head, length, session.id);
  }
  // Such a client has no connection that could be seen to go: its silence is all there is to tell.
  await renewLease(op, session.id, op.now - LEASE_MS + SILENCE_MS);
}

/** Closes what nobody goes on with, with one receipt if there is any; resolves to how many. */
export async function closeIdle(substrate: Substrate): Promise<number> {
  const before = substrate.sources.now() - IDLE_MS;
  const find = (db: ReadHandle): Promise<({ session: string } & Row)[]> =>
    db.all<{ session: string } & Row>(
      // No call takes as long as that: one that is still named there was cut off by a crash.
      `SELECT c.session FROM substrate_conversations c CROSS JOIN substrate_sessions s ON s.id = c.session
        WHERE s.status = 'closed' OR s.changed_at < ? LIMIT ${CLOSED_AT_ONCE_MAX}`,
      before,
    );
  if ((await substrate.read(find)).length === 0) return 0;
  const { value } = await substrate.operate({ action: 'session.close', actor: SEED }, async (op) => {
    const idle = await find(op);
    for (const { session } of idle) await endConversation(op, session);
    op.receipt({ detail: { idle: idle.length } });
    return idle.length;
  });
  return value;
}
