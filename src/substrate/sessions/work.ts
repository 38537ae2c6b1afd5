/**
 * Working in a session: each act one operation with one receipt, by whoever holds it now.
 *
 * While a step is under way (a model is being asked what comes next) nothing else is added to the
 * transcript, so that its answer follows what it was asked about.
 */
import { createHash } from 'node:crypto';
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { findCall } from '../calls.ts';
import { SCOPES } from '../identity/scopes.ts';
import { newId } from '../sources.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Substrate } from '../substrate.ts';
import type { Message } from '../transcript.ts';
import { extendTranscript, EMPTY_TRANSCRIPT, messageHash, messageText } from '../transcript.ts';
import type { Operation, Receipted } from '../operation.ts';
import type { CheckpointInput, Session } from './model.ts';
import type { Writer } from './sessions.ts';
import { appendMessages, findTool, listMessages } from './messages.ts';
import {
  closeSession,
  controlledSession,
  heldSession,
  isConversation,
  LEASE_MS,
  listHeld,
  openSession,
  setCheckpoint,
  setStepCall,
} from './sessions.ts';

/** Held sessions that an error names. */
const NAMED_MAX = 5;
const PAGE = 500;

export interface Opening {
  readonly checkpoint: CheckpointInput;
  readonly budgetMicroUsd: number | null;
  readonly deadline: number | null;
}

function deadlineBehind(): SeedError {
  return new SeedError('invalid_input', 'deadline must be in the future.', {
    hint: 'Leave it out where there is none.',
    data: { argument: 'deadline' },
  });
}

/** Opens a session that its opener holds, with all that the opener may do. @throws SeedError `too_large`, `too_many`, `invalid_input` for a deadline that has passed */
export async function beginSession(substrate: Substrate, actor: Actor, opening: Opening): Promise<Receipted<Session>> {
  const id = newId(substrate.sources);
  const begun = await substrate.operate({ action: 'session.open', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    if (opening.deadline !== null && opening.deadline <= op.now) throw deadlineBehind();
    return openSession(op, actor, { id, scopes: scopesOf(actor), ...opening });
  });
  substrate.sessions.changed(id, [actor.grant]);
  return begun;
}

/** The owner's scopes are all there are, which are not listed in the actor. */
function scopesOf({ grant, scopes }: Actor): string[] {
  return grant === null ? Object.keys(SCOPES) : [...scopes].toSorted();
}

/**
 * The session that is meant: the named one, or the only one that the actor holds; null where it holds none.
 * What its client's conversations became by themselves stands back behind what it opened or took over; of
 * several of those the newest is meant, unless another one goes on beside it.
 *
 * @throws SeedError `invalid_input` where it holds several
 */
export async function pickHeld(db: ReadHandle, actor: Actor, named: string | undefined): Promise<string | null> {
  if (named !== undefined) return named;
  const held = await listHeld(db, actor.grant, NAMED_MAX);
  const own = held.filter((session) => !isConversation(session));
  const [newest, before] = own.length > 0 ? own : held;
  if (newest === undefined || before === undefined) return newest?.id ?? null;
  if (own.length === 0 && newest.changedAt - before.changedAt > LEASE_MS) return newest.id;
  const names = held.map(({ id }) => id).join(', ');
  throw new SeedError('invalid_input', `You hold several sessions: ${names}.`, {
    hint: 'Say which one with session_id.',
    data: { argument: 'session_id' },
  });
}

interface LostRow extends Row {
  readonly id: string;
  readonly holder_name: string;
  readonly epoch: number;
}

/**
 * Stops whoever lost its session and says more of it: what it holds nothing of any more must not begin anew
 * behind its back. Whoever means new work says its goal.
 *
 * @throws SeedError `superseded` where somebody else holds what this actor held last
 */
export async function assertNotSuperseded(db: ReadHandle, actor: Actor): Promise<void> {
  const lost = await db.get<LostRow>(
    `SELECT s.id, s.holder_name, s.epoch FROM substrate_handoffs h JOIN substrate_sessions s ON s.id = h.session
      WHERE h.offerer IS ? AND h.status = 'redeemed' AND s.status = 'open' AND s.holder IS NOT ?
      ORDER BY h.settled_at DESC LIMIT 1`,
    actor.grant,
    actor.grant,
  );
  if (lost === undefined) return;
  throw new SeedError(
    'superseded',
    `Your session ${lost.id} is held by ${lost.holder_name} now (epoch ${lost.epoch}).`,
    {
      hint: 'Stop working on it, or take it over with handoff_accept; for other work, say its goal.',
      data: { session: lost.id, epoch: lost.epoch },
    },
  );
}

/** As {@link pickHeld}. @throws SeedError `not_found` where it holds none */
export async function pickOne(db: ReadHandle, actor: Actor, named: string | undefined): Promise<string> {
  const id = await pickHeld(db, actor, named);
  if (id !== null) return id;
  throw new SeedError('not_found', 'You hold no session.', {
    hint: 'session_checkpoint opens one; handoff_accept takes one over.',
  });
}

/** Writes where the work stands. @throws SeedError `superseded`, `session_closed`, `too_large` */
export async function noteCheckpoint(
  substrate: Substrate,
  id: string,
  { input, ...writer }: Writer & { readonly input: CheckpointInput },
): Promise<Receipted<Session>> {
  const noted = await substrate.operate({ action: 'session.checkpoint', actor: writer.actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const session = await heldSession(op, id, writer);
    op.receipt({ detail: { epoch: session.epoch } });
    return setCheckpoint(op, session, input);
  });
  substrate.sessions.changed(id, [writer.actor.grant]);
  return noted;
}

export interface Addition extends Writer {
  readonly messages: readonly Message[];
  /** The same key again adds nothing. */
  readonly key: string | null;
}

/** What was added, and where. */
export interface Added {
  readonly session: Session;
  /** The index of the first of them. */
  readonly from: number;
  readonly receipt: number | null;
  readonly repeated: boolean;
}

/**
 * Adds messages to the transcript.
 *
 * @throws SeedError `superseded`, `session_closed`; `conflict` while a step is under way, for a key that
 *   belongs to other messages, and for a tool result that answers no open call
 */
export async function appendToSession(substrate: Substrate, id: string, addition: Addition): Promise<Added> {
  const { actor } = addition;
  const before = await substrate.read(async (db) => repeatOf(db, await heldSession(db, id, addition), addition));
  if (before !== null) return before;
  const { value, seq } = await substrate.operate({ action: 'session.append', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const session = await heldSession(op, id, addition);
    // Asked twice at the same moment: one of the two was first.
    const again = await repeatOf(op, session, addition);
    if (again !== null) return again;
    assertNoStep(session);
    const after = await addMessages(op, session, { ...addition, call: null });
    op.receipt({ detail: { ...transcriptFacts(after), from: session.length } });
    return { session: after, from: session.length, receipt: null, repeated: false };
  });
  substrate.sessions.changed(id, [actor.grant]);
  return value.repeated ? value : { ...value, receipt: seq };
}

/** What a receipt says of a transcript: its length, and the hash that every holder must find again. */
function transcriptFacts({ epoch, length, runningHash }: Session): Record<string, string | number> {
  return { epoch, length, hash: runningHash };
}

interface Keyed extends Omit<Addition, 'actor' | 'epoch'> {
  /** The model call that these messages were added for, if one was. */
  readonly call: string | null;
}

/** Adds messages, and keeps under which key. @throws SeedError `conflict` for a result that answers no open call */
async function addMessages(op: Operation, session: Session, { messages, key, call }: Keyed): Promise<Session> {
  await assertAnswerOpenCalls(op, session, messages);
  const after = messages.length === 0 ? session : await appendMessages(op, session, messages);
  if (key !== null) {
    await op.run(
      'INSERT INTO substrate_session_keys (session, key, hash, idx, length, call) VALUES (?, ?, ?, ?, ?, ?)',
      session.id,
      key,
      hashOf(messages),
      session.length,
      after.length,
      call,
    );
  }
  return after;
}

interface KeyRow extends Row {
  readonly hash: string;
  readonly idx: number;
  readonly length: number;
  readonly call: string | null;
}

/** What was done before under a key. @throws SeedError `conflict` when it was something else */
export async function findKey(
  db: ReadHandle,
  session: Session,
  { key, messages }: Pick<Addition, 'key' | 'messages'>,
): Promise<KeyRow | null> {
  if (key === null) return null;
  const row = await db.get<KeyRow>(
    'SELECT hash, idx, length, call FROM substrate_session_keys WHERE session = ? AND key = ?',
    session.id,
    key,
  );
  if (row === undefined || row.hash === hashOf(messages)) return row ?? null;
  throw new SeedError('conflict', 'That idempotency key belongs to other messages.', {
    hint: 'Use a new key for new messages.',
    data: { argument: 'idempotency_key' },
  });
}

async function repeatOf(db: ReadHandle, session: Session, addition: Addition): Promise<Added | null> {
  const row = await findKey(db, session, addition);
  return row === null ? null : { session, from: row.idx, receipt: null, repeated: true };
}

function hashOf(messages: readonly Message[]): string {
  const hash = createHash('sha256');
  for (const message of messages) hash.update(messageHash(messageText(message)));
  return hash.digest('hex');
}

/** @throws SeedError `conflict` */
function assertNoStep({ id, stepCall }: Session): void {
  if (stepCall === null) return;
  throw new SeedError('conflict', 'A step of the session is under way; its answer comes first.', {
    hint: 'Call session_step: it waits for that answer and adds it.',
    data: { session: id, call: stepCall },
  });
}

/** A result belongs to a call that waits for one: of the transcript, or of these messages. */
async function assertAnswerOpenCalls(db: ReadHandle, session: Session, messages: readonly Message[]): Promise<void> {
  const states = new Map<string, 'open' | 'done'>();
  for (const part of messages.flatMap(({ parts }) => parts)) {
    if (part.type === 'tool_call') states.set(part.id, 'open');
    if (part.type !== 'tool_result') continue;
    const state = states.get(part.call) ?? (await findTool(db, session.id, part.call))?.state;
    if (state === undefined) throw notOpen(part.call, 'is none of this session');
    if (state === 'done') throw notOpen(part.call, 'has its result already');
    states.set(part.call, 'done');
  }
}

function notOpen(call: string, why: string): SeedError {
  return new SeedError('conflict', `The tool call ${call} ${why}; nothing was added.`, {
    hint: 'session_get names the open calls.',
    data: { argument: 'messages', call },
  });
}

/** An answer that is on its way would be paid for and lost. One that was cut off, by a crash say, never comes. */
async function assertNobodyAnswers(db: ReadHandle, { id, stepCall }: Session): Promise<void> {
  const call = stepCall === null ? null : await findCall(db, stepCall);
  if (call === null || (call.status !== 'running' && call.status !== 'queued')) return;
  throw new SeedError('conflict', `The call ${call.id} of the session is under way; its answer comes first.`, {
    hint: 'Wait for its end, or end it with route_result and cancel: true.',
    data: { session: id, call: call.id },
  });
}

/**
 * Ends a session; its transcript stays.
 *
 * @throws SeedError `not_found`, `superseded`, `session_closed`, `conflict` while a call of it is under way
 */
export async function endSession(substrate: Substrate, actor: Actor, id: string): Promise<Receipted<Session>> {
  const ended = await substrate.operate({ action: 'session.close', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const session = await controlledSession(op, id, actor);
    await assertNobodyAnswers(op, session);
    await closeSession(op, session);
    op.receipt({ detail: transcriptFacts(session) });
    return { ...session, status: 'closed' as const };
  });
  substrate.sessions.changed(id, [ended.value.holder]);
  return ended;
}

/** The whole transcript, held against its running hash. @throws SeedError `store_corrupt` */
export async function readTranscript(db: ReadHandle, { id, length, runningHash }: Session): Promise<Message[]> {
  const messages: Message[] = [];
  let running = EMPTY_TRANSCRIPT;
  while (messages.length < length) {
    const page = await listMessages(db, id, { from: messages.length, limit: Math.min(PAGE, length - messages.length) });
    for (const { body } of page) {
      running = extendTranscript(running, messageHash(body));
      // Written by `messageText` and told unaltered by the hash below.
      messages.push(JSON.parse(body) as Message);
    }
    if (page.length === 0) break;
  }
  if (messages.length === length && Buffer.from(running).toString('hex') === runningHash) return messages;
  throw new SeedError('store_corrupt', `The transcript of session ${id} was altered in the database.`, {
    hint: 'Restore the database from a backup; receipts say what its hash must be.',
    data: { session: id },
  });
}

/** A step that begins, or the one that is under way. */
export interface StepBegin {
  readonly session: Session;
  readonly call: string;
  readonly fresh: boolean;
}

export interface NewStep extends Addition {
  /** The model call to begin. */
  readonly call: string;
  /** A call that never began, which this one takes the place of. */
  readonly instead: string | null;
}

/** Puts the messages of a step and the name of its model call on record, before anything is asked. */
export async function beginStep(substrate: Substrate, id: string, step: NewStep): Promise<StepBegin> {
  const { actor, call, instead } = step;
  const { value } = await substrate.operate({ action: 'session.step', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const session = await heldSession(op, id, step);
    const known = await findKey(op, session, step);
    const done = known?.call ?? null;
    if (done !== null && done !== instead && (await findCall(op, done)) !== null) {
      return { session, call: done, fresh: false };
    }
    if (session.stepCall !== null && session.stepCall !== instead) {
      return { session, call: session.stepCall, fresh: false };
    }
    // What takes the place of a call that never began has its messages in the transcript already.
    const isIn = known !== null || session.stepCall !== null;
    const after = isIn ? session : await addMessages(op, session, step);
    if (known !== null) {
      await op.run('UPDATE substrate_session_keys SET call = ? WHERE session = ? AND key = ?', call, id, step.key);
    }
    await setStepCall(op, after, call);
    op.receipt({ detail: { ...transcriptFacts(after), call } });
    return { session: { ...after, stepCall: call }, call, fresh: true };
  });
  substrate.sessions.changed(id, [actor.grant]);
  return value;
}

/** What became of a step: its answer to add, or none. */
export interface StepEnd {
  readonly call: string;
  readonly status: string;
  readonly answer: Message | null;
}

/**
 * Adds a step's answer to the transcript, once: whoever comes second finds that it is done and changes
 * nothing.
 *
 * @throws SeedError `superseded` for one who does not hold the session any more
 */
export async function endStep(substrate: Substrate, actor: Actor, id: string, end: StepEnd): Promise<Session> {
  const { call, status, answer } = end;
  const before = await substrate.read((db) => heldSession(db, id, { actor, epoch: null }));
  if (before.stepCall !== call) return before;
  const { value } = await substrate.operate({ action: 'session.append', actor }, async (op) => {
    op.receipt({ subject: { type: 'session', id } });
    const session = await heldSession(op, id, { actor, epoch: null });
    if (session.stepCall !== call) return session;
    const after = answer === null ? session : await appendMessages(op, session, [answer]);
    await setStepCall(op, after, null);
    op.receipt({ detail: { ...transcriptFacts(after), from: session.length, call, status } });
    return { ...after, stepCall: null };
  });
  substrate.sessions.changed(id, [actor.grant]);
  return value;
}
