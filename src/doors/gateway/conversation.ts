/**
 * Which session a request goes on in, and what of it is new there.
 *
 * A request is a conversation where somebody has answered in it already, where it brings tools (an agent at
 * work), or where its client says so. A question by itself is none, and leaves no session.
 */
import { setImmediate } from 'node:timers/promises';
import { FormatError } from '../../formats/error.ts';
import { SeedError } from '../../errors.ts';
import { findCall } from '../../substrate/calls.ts';
import type { CompletionRequest, Turn } from '../../mind/router/request.ts';
import { turnText } from '../../mind/router/request.ts';
import type { Actor } from '../../substrate/actor.ts';
import type { Standing } from '../../substrate/sessions/conversations.ts';
import {
  beginTurn,
  draftSession,
  endTurn,
  findStandings,
  HEADS_MAX,
  openConversation,
  standingOf,
} from '../../substrate/sessions/conversations.ts';
import { listOffersFor } from '../../substrate/sessions/handoffs.ts';
import type { Session } from '../../substrate/sessions/model.ts';
import { findSession, heldSession } from '../../substrate/sessions/sessions.ts';
import { readTranscript } from '../../substrate/sessions/work.ts';
import type { Operation, ReadHandle } from '../../substrate/substrate.ts';
import { CONTENT_BYTES_MAX } from '../../substrate/content.ts';
import type { Message, PreparedMessage } from '../../substrate/transcript.ts';
import { extendTranscript, prepareMessage } from '../../substrate/transcript.ts';
import type { AskedSession } from './asked.ts';
import { isLarger } from './parts.ts';
import { frameOf, goalOf, headAfter, headsOf, NO_HEAD } from './standing.ts';

/** Offers of one name that are looked at. */
const OFFERS_MAX = 50;

/** The session that a request goes on in. */
export interface Plan {
  readonly session: Session;
  /** It is opened with this call. */
  readonly isNew: boolean;
  /** The first of the request's messages that the transcript does not have. */
  readonly from: number;
  /** The hash of the system prompt and tools of its last call; null where there was none. */
  readonly frame: Uint8Array | null;
  /** Where the conversation stands with the request. */
  readonly head: Uint8Array;
}

/** A session that somebody else holds, and offers to whoever asks: it is theirs to redeem, then to plan anew. */
export interface Offered {
  readonly offered: string;
}

export interface Planning {
  readonly actor: Actor;
  readonly asked: AskedSession;
  readonly request: Pick<CompletionRequest, 'messages' | 'tools'>;
  /** The id of a session that would be opened. */
  readonly id: string;
  readonly now: number;
  /** Whether another request of this process goes on in a session at this moment. */
  readonly isTaken: (session: string) => boolean;
}

/**
 * Resolves to null where the request is no conversation, or its key may not have sessions.
 *
 * @throws SeedError `superseded` where somebody else has taken the conversation over, `forbidden`, `not_found`,
 *   `session_closed`, and `conflict` for a named session that the request does not go on from
 */
export async function planTurn(db: ReadHandle, planning: Planning): Promise<Plan | Offered | null> {
  const { actor, asked, request } = planning;
  if (asked === 'none' || !mayHaveSessions(planning)) return null;
  if (asked === 'any' && !isConversation(request) && !isTooMuchAlone(request)) return null;
  const heads = headsOf(request.messages);
  if (typeof asked === 'object') return planNamed(db, planning, { id: asked.named, heads });
  const found = asked === 'new' ? null : await recognise(db, planning, heads);
  if (found !== null) return found;
  const goal = goalOf(request.messages);
  const session = draftSession(actor, { id: planning.id, goal, now: planning.now });
  return { session, isNew: true, from: 0, frame: null, head: heads.at(-1) ?? NO_HEAD };
}

/** What was planned once nothing was left to redeem. @throws SeedError `conflict` */
export function assertPlanned(plan: Plan | Offered | null): Plan | null {
  if (plan === null || !('offered' in plan)) return plan;
  throw new SeedError('conflict', `The session ${plan.offered} was handed on at this very moment.`, {
    hint: 'Ask again.',
    data: { session: plan.offered },
  });
}

/**
 * Whether a session is offered to the asker by name. A client of the gateway has no tool to redeem with: its next
 * request that goes on with the conversation says as much.
 */
async function isOffered(db: ReadHandle, session: Session, { actor, now }: Planning): Promise<boolean> {
  if (session.holder === actor.grant || session.status === 'closed') return false;
  const offers = await listOffersFor(db, actor, now, OFFERS_MAX);
  return offers.some((offer) => offer.session === session.id);
}

/** @throws SeedError `forbidden` where one is asked for by name */
function mayHaveSessions({ actor, asked }: Planning): boolean {
  if (actor.scopes.has('session.use')) return true;
  if (asked === 'any') return false;
  throw new SeedError('forbidden', 'This key may not have sessions: it needs the scope session.use.', {
    hint: 'Leave the header x-seed-session out, or ask the owner for a key with that scope.',
    data: { scope: 'session.use' },
  });
}

function isConversation({ messages, tools }: Planning['request']): boolean {
  return tools.length > 0 || messages.some(({ role }) => role === 'assistant');
}

/** What stands around the messages of a request where it is kept, in bytes. */
const AROUND_BYTES = 16_384;

/** Whether a request is more than is kept of one by itself; in a session each of its messages is kept for itself. */
function isTooMuchAlone({ messages }: Pick<CompletionRequest, 'messages'>): boolean {
  return isLarger(messages, CONTENT_BYTES_MAX - AROUND_BYTES);
}

/** @throws SeedError `too_large` for a request outside any session that is more than can be kept of it */
export function assertKept(request: Planning['request']): void {
  if (!isTooMuchAlone(request)) return;
  throw tooMuch(
    'messages',
    'outside a session',
    'or ask by a key with the scope session.use, with no "x-seed-session: none"',
  );
}

function tooMuch(argument: 'messages' | 'tools', where: string, hint: string): SeedError {
  return new SeedError(
    'too_large',
    `The ${argument} are larger than ${CONTENT_BYTES_MAX} bytes, all that is kept of them ${where}.`,
    {
      hint: `Send less at once, ${hint}.`,
      data: { argument },
    },
  );
}

/** The conversation whose end is a beginning of the request; of several the one that reaches furthest. */
async function recognise(
  db: ReadHandle,
  planning: Planning,
  heads: readonly Uint8Array[],
): Promise<Plan | Offered | null> {
  const grant = planning.actor.grant ?? '';
  const ends = heads.map((head, index) => ({ head, from: index + 1 })).filter(({ head }) => head !== NO_HEAD);
  const last = ends.slice(-HEADS_MAX).toReversed();
  const standings = await findStandings(
    db,
    grant,
    last.map(({ head }) => head),
  );
  for (const { head, from } of last) {
    for (const standing of standings.filter((one) => Buffer.compare(one.head, head) === 0)) {
      const { session, length } = standing;
      // What has gone on without the client is not what it would go on with.
      if (session.length === length && (await isOffered(db, session, planning))) return { offered: session.id };
      if (!(await goesOn(db, planning, { standing, from }))) continue;
      return { session: standing.session, isNew: false, from, frame: standing.frame, head: heads.at(-1) ?? NO_HEAD };
    }
  }
  return null;
}

/**
 * Whether a client goes on in a conversation that it left there. One that went on without it, or goes on at this
 * moment, is another by now: the request begins one of its own.
 *
 * @throws SeedError `superseded` where somebody else holds it
 */
async function goesOn(
  db: ReadHandle,
  { actor, request, isTaken }: Planning,
  { standing: { session, length }, from }: { standing: Standing; from: number },
): Promise<boolean> {
  if (session.status === 'closed') return false;
  if (session.holder !== actor.grant) {
    const wasAnswered = request.messages.slice(0, from).some(({ role }) => role === 'assistant');
    if (wasAnswered) throw takenOver(session, actor);
    return false;
  }
  return session.length === length && !isTaken(session.id) && !(await isUnderWay(db, session));
}

/** Whether an answer is still to come. A call that was cut off, by a crash say, brings none. */
async function isUnderWay(db: ReadHandle, { stepCall }: Session): Promise<boolean> {
  if (stepCall === null) return false;
  const call = await findCall(db, stepCall);
  return call === null || ['running', 'queued', 'complete'].includes(call.status);
}

function takenOver({ id, holderName, epoch }: Session, { id: name }: Actor): SeedError {
  return new SeedError(
    'superseded',
    `This conversation, session ${id}, is held by ${holderName} now (epoch ${epoch}).`,
    {
      hint: `Leave it to them, or begin a new conversation. The holder (handoff_offer) or the owner (\`seed handoff offer ${id} --to ${name}\`) can give it back: your next request goes on with it then, unless it has gone on meanwhile.`,
      data: { session: id, epoch },
    },
  );
}

/** The session of an id that a client of an API gave, who knows of no tools. */
async function namedSession(db: ReadHandle, id: string, actor: Actor): Promise<Session> {
  try {
    return await heldSession(db, id, { actor, epoch: null });
  } catch (thrown) {
    if (!(thrown instanceof SeedError) || thrown.code !== 'not_found') throw thrown;
    throw new SeedError('not_found', thrown.message, {
      hint: 'Send an id that came back in x-seed-session under this key, "new" to begin a session, or no such header.',
      data: { argument: 'x-seed-session' },
      cause: thrown,
    });
  }
}

async function planNamed(
  db: ReadHandle,
  planning: Planning,
  { id, heads }: { id: string; heads: readonly Uint8Array[] },
): Promise<Plan | Offered> {
  const { actor, request, isTaken } = planning;
  const found = await findSession(db, id);
  if (found !== null && (await isOffered(db, found, planning))) return { offered: id };
  const session = await namedSession(db, id, actor);
  if (isTaken(id) || (await isUnderWay(db, session))) {
    throw new SeedError('conflict', `A call of the session ${id} is under way; its answer comes first.`, {
      hint: 'Wait for it, or leave the header x-seed-session out.',
      data: { session: id },
    });
  }
  const standing = await standingOf(db, id);
  const isAsLeft = standing !== null && standing.length === session.length;
  const head = isAsLeft ? standing.head : (headsOf(await readTranscript(db, session)).at(-1) ?? NO_HEAD);
  const from = head === NO_HEAD ? 0 : heads.findLastIndex((one) => Buffer.compare(one, head) === 0) + 1;
  if (from > 0 || session.length === 0) {
    return { session, isNew: false, from, frame: standing?.frame ?? null, head: heads.at(-1) ?? NO_HEAD };
  }
  throw new SeedError('conflict', `The messages do not begin with what was said in the session ${id} so far.`, {
    hint: 'Send the whole conversation, as the API has it, with what is new at its end; session_get shows the transcript.',
    data: { session: id, messages: request.messages.length },
  });
}

/** What goes into the call's own transactions; the request is the whole one, with the plan's session in it. */
export async function turnOf(
  { session, isNew, from, frame: before, head }: Plan,
  actor: Actor,
  request: CompletionRequest,
): Promise<Turn> {
  const { messages, tools } = request;
  const frame = frameOf(messages, tools);
  const added = await allPrepared(messages.slice(from).filter(({ role }) => isNew || role !== 'system'));
  const isSameFrame = before !== null && Buffer.compare(before, frame.hash) === 0;
  const text = turnText(request, {
    transcript: { from: session.length, to: session.length + added.length, hash: runningHash(session, added) },
    // What is as it was in the call before is named by its hash: it stands there, or in one before that.
    frame: Buffer.from(frame.hash).toString('hex'),
    ...(isSameFrame ? {} : { system: frame.system, tools: frame.tools }),
    ...(frame.beside.length === 0 ? {} : { beside: frame.beside }),
  });
  if (Buffer.byteLength(text) > CONTENT_BYTES_MAX) {
    throw tooMuch('tools', 'with a call, the instructions included', 'or describe them in fewer words');
  }
  return {
    text,
    find: async (op) => (isNew ? session : stillThere(op, session, actor)),
    begin: async (op, found, call) => {
      const opened = isNew ? await openConversation(op, actor, session) : found;
      await beginTurn(op, opened, { call, added, head, frame: frame.hash });
    },
    end: (op, call, answer) =>
      endTurn(op, {
        session: session.id,
        epoch: session.epoch,
        call,
        answer,
        head: answer === null ? null : headAfter(head, answer),
      }),
  };
}

/** The transcript's running hash with what is added, hex: so the receipt of the request binds all that was said before. */
function runningHash({ runningHash: before }: Session, added: readonly PreparedMessage[]): string {
  let running: Uint8Array = Buffer.from(before, 'hex');
  for (const { hash } of added) running = extendTranscript(running, hash);
  return Buffer.from(running).toString('hex');
}

/** @throws SeedError `conflict` where it has gone on since it was looked at */
async function stillThere(op: Operation, { id, epoch, length, stepCall }: Session, actor: Actor): Promise<Session> {
  const now = await heldSession(op, id, { actor, epoch });
  if (now.length === length && now.stepCall === stepCall) return now;
  throw new SeedError('conflict', `The session ${id} has gone on at this very moment.`, {
    hint: 'Ask again.',
    data: { session: id },
  });
}

/** Messages that are prepared before others get their turn: some milliseconds' worth. */
const PREPARED_AT_ONCE = 250;

/** @throws SeedError `too_large` */
async function allPrepared(messages: readonly Message[]): Promise<PreparedMessage[]> {
  const all: PreparedMessage[] = [];
  for (const message of messages) {
    if (all.length > 0 && all.length % PREPARED_AT_ONCE === 0) await setImmediate();
    all.push(prepared(message));
  }
  return all;
}

/** @throws SeedError `too_large` */
function prepared(message: Message): PreparedMessage {
  try {
    return prepareMessage(message);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    throw new SeedError('too_large', `A message is larger than a transcript takes. ${thrown.message}`, {
      hint: 'Send smaller images or files, or say "x-seed-session: none" where no transcript is wanted.',
      data: { argument: 'messages' },
      cause: thrown,
    });
  }
}
