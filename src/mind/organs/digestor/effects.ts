/**
 * What comes of a message that has been sorted, in the one operation that also takes it out of the inbox:
 * whatever stops the process in between, a message has its effect once or is still there.
 *
 * The digestor does nothing for a sender that the sender may not do: a task is added as the sender's, and
 * only where the sender may add tasks or was let write to the seed by name (`bus.send:seed`); a note goes
 * into the shared space where the sender may write there, otherwise into `inbox`, which the owner reads.
 */
import { SeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import { OWNER, SEED } from '../../../substrate/actor.ts';
import { openInbox, SEED_INBOX } from '../../../substrate/bus/inbox.ts';
import type { Posted } from '../../../substrate/bus/post.ts';
import { post } from '../../../substrate/bus/post.ts';
import { settle } from '../../../substrate/bus/settle.ts';
import type { Delivery } from '../../../substrate/bus/take.ts';
import { findGrant, isInForce } from '../../../substrate/identity/grants.ts';
import { isServiceName } from '../../../substrate/identity/names.ts';
import { memoryId, TEXT_BYTES_MAX } from '../../../substrate/memory/model.ts';
import { keep } from '../../../substrate/memory/write.ts';
import type { Forwarded } from '../../../substrate/mind/forwarded.ts';
import type { MessageKind } from '../../../substrate/mind/sorted.ts';
import { countReplies, noteSorted } from '../../../substrate/mind/sorted.ts';
import type { Operation, ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import { PRIORITIES, TEXT_CHARS_MAX } from '../../../substrate/tasks/model.ts';
import { insertAddedTask } from '../../../substrate/tasks/tasks.ts';
import { hasRoom } from '../../../substrate/tasks/tell.ts';
import { tellOrKeep } from './tell-owner.ts';
import type { Letter, Verdict } from './verdict.ts';
import { plainWords } from './verdict.ts';

/** Where a note goes whose sender may not write into the shared space. */
const INBOX_SPACE = 'inbox';
const SHARED_SPACE = 'shared';
/** Answers of the seed in one thread: of two machines that answer each other one must stop. */
const REPLIES_MAX = 10;
const REPLY_LIFE_MS = 7 * 86_400_000;

/** A message with its verdict. */
export interface Sorting {
  readonly delivery: Delivery;
  readonly letter: Letter;
  readonly verdict: Verdict;
}

/** What came of a message. */
interface Effect {
  readonly kind: MessageKind;
  /** A task's or a memory's id. */
  readonly became: string | null;
  /** What its sender is told. */
  readonly says: string;
  readonly holders: readonly string[];
  /** The hash of what the owner is told later, for want of room. */
  readonly untold?: string | null;
}

/**
 * Takes one message out of the inbox with its effect, its answer and its receipt.
 *
 * @throws SeedError `conflict` where somebody else settled it meanwhile, and what the effect is refused with
 */
export async function digest(substrate: Substrate, actor: Actor, sorting: Sorting): Promise<MessageKind> {
  const { delivery, letter, verdict } = sorting;
  const { value } = await substrate.operate({ action: 'mind.digest', actor }, async (op) => {
    const subject = { type: 'message', id: `${SEED_INBOX}.${delivery.seq}` };
    op.receipt({ subject, detail: { from: letter.from, kind: verdict.kind, sorted_by: verdict.sortedBy } });
    await takeOut(op, delivery);
    const sender = await senderOf(op, delivery);
    const effect = await effectOf(op, actor, { ...sorting, sender }, substrate);
    const reply = await answer(op, { ...sorting, effect, sender }, substrate);
    const { thread } = delivery;
    const { kind, became } = effect;
    const { sortedBy, call } = verdict;
    await noteSorted(op, {
      seq: delivery.seq,
      sender: letter.from,
      thread,
      kind,
      sortedBy,
      became,
      replied: reply !== null,
      untold: effect.untold ?? null,
    });
    // Said last: what it did has said something of its own.
    op.receipt({
      subject,
      input: delivery.body,
      detail: {
        from: letter.from,
        kind,
        sorted_by: sortedBy,
        ...(call === undefined ? {} : { call }),
        ...(became === null ? {} : { became }),
      },
    });
    return { kind, holders: [...effect.holders, ...(reply?.holders ?? [])] };
  });
  substrate.mail.arrived(value.holders);
  return value.kind;
}

async function takeOut(op: Operation, { seq, lease }: Delivery): Promise<void> {
  const inbox = await openInbox(op, SEED_INBOX);
  const [settled] = await settle(op, inbox, { handles: [{ seq, lease }], verdict: { kind: 'ack' } });
  if (settled?.became === 'acked') return;
  throw new SeedError('conflict', `Message ${seq} to the seed is no longer to be sorted: ${settled?.became}.`, {
    hint: 'Nothing is to be done: it was settled, or comes again.',
    data: { message: seq },
  });
}

/** Who sent it, with the rights of this moment; null for one that is gone. */
async function senderOf(db: ReadHandle & { readonly now: number }, { sender }: Delivery): Promise<Actor | null> {
  if (sender === OWNER.id) return OWNER;
  const grant = await findGrant(db, sender);
  if (grant === null || !isInForce(grant, db.now)) return null;
  return { id: grant.name, kind: grant.kind, grant: grant.id, scopes: new Set(grant.scopes) };
}

type Sent = Sorting & { readonly sender: Actor | null };

async function effectOf(op: Operation, actor: Actor, sent: Sent, substrate: Substrate): Promise<Effect> {
  const { verdict, sender } = sent;
  // A key that was removed asks for nothing any more, and what it sent before tells nobody anything.
  if (sender === null) return nothing('Its sender was removed.');
  // What organs tell the seed must not make them work for ever.
  if (verdict.kind === 'task' && isServiceName(sender.id)) return remember(op, actor, { ...sent, sender }, substrate);
  switch (verdict.kind) {
    case 'task':
      return mayAddTasks(sender)
        ? addTaskOf(op, { ...sent, sender }, substrate)
        : tellOwner(op, { ...sent, sender }, substrate);
    case 'note':
      return remember(op, actor, { ...sent, sender }, substrate);
    case 'question':
    case 'alert':
      return tellOwner(op, { ...sent, sender }, substrate);
    case 'noise':
      return nothing('Nothing came of it.');
  }
}

function nothing(says: string): Effect {
  return { kind: 'noise', became: null, says, holders: [] };
}

function mayAddTasks({ scopes }: Actor): boolean {
  return scopes.has('task.write') || scopes.has(`bus.send:${SEED_INBOX}`);
}

type SentBy = Sorting & { readonly sender: Actor };

async function addTaskOf(
  op: Operation,
  { letter, verdict, sender }: SentBy,
  { sources }: Pick<Substrate, 'sources'>,
): Promise<Effect> {
  const { title, subsystem } = verdict;
  const text = cut(plainWords(letter), TEXT_CHARS_MAX);
  const draft = { subsystem, body: { title, text, acceptance: [] }, check: null, deadline: null, needs: [] };
  const { id } = await insertAddedTask(op, { adder: sender, draft: { ...draft, priority: PRIORITIES.usual }, sources });
  return { kind: 'task', became: id, says: `It became your task ${id}, in ${subsystem}.`, holders: [] };
}

async function remember(
  op: Operation,
  actor: Actor,
  { delivery, letter, verdict, sender }: SentBy,
  { sources }: Pick<Substrate, 'sources'>,
): Promise<Effect> {
  const space = sender.scopes.has(`memory.write:${SHARED_SPACE}`) ? SHARED_SPACE : INBOX_SPACE;
  const { nr } = await keep(
    op,
    actor,
    {
      space,
      text: cut(plainWords(letter), Math.floor(TEXT_BYTES_MAX / 4)),
      kind: 'note',
      subject: letter.from,
      at: delivery.sent_at,
      source:
        `message ${letter.seq} to the seed, from ${letter.from}, receipt ${delivery.receipt}: ${verdict.title}`.slice(
          0,
          200,
        ),
    },
    sources,
  );
  const became = memoryId(nr);
  return { kind: 'note', became, says: `It is remembered as ${became} in the space ${space}.`, holders: [] };
}

/** Questions and alarms go to the owner, in the thread they came in, so that an answer finds its way. */
async function tellOwner(
  op: Operation,
  { delivery, letter, verdict, sender }: SentBy,
  { sources }: Pick<Substrate, 'sources'>,
): Promise<Effect> {
  const kind = verdict.kind === 'alert' ? 'alert' : 'question';
  if (sender.kind === 'human') return { ...nothing('You are the owner: it is yours to settle.'), kind };
  const { title } = verdict;
  const { from, seq } = letter;
  const told: Forwarded = { kind, from, title, text: plainWords(letter), message: seq, receipt: delivery.receipt };
  const { holders, untold } = await tellOrKeep(op, { told, thread: delivery.thread }, { sources });
  const why = verdict.kind === 'task' ? 'You may not add tasks, so the owner was asked.' : 'The owner was told.';
  const later = 'The owner’s inbox is full: it is on the owner’s list, and goes there when there is room.';
  return { kind, became: null, says: untold === null ? why : later, holders, untold };
}

/** Tells the sender what became of it; null where nobody is to be told, or cannot be. */
async function answer(
  op: Operation,
  { delivery, letter, verdict, effect, sender }: Sent & { readonly effect: Effect },
  { sources }: Pick<Substrate, 'sources'>,
): Promise<Posted | null> {
  if (sender === null || effect.kind === 'noise' || isServiceName(sender.id)) return null;
  if ((await countReplies(op, delivery.thread)) >= REPLIES_MAX) return null;
  // Whoever reads nothing must not hold up the work.
  if (!(await hasRoom(op, sender.id))) return null;
  const { kind, became, says } = effect;
  const { title, sortedBy } = verdict;
  const body = { message: letter.seq, kind, sorted_by: sortedBy, title, ...(became === null ? {} : { became }), says };
  return post(
    op,
    SEED,
    {
      to: [sender.id],
      format: 'json',
      body: Buffer.from(JSON.stringify(body)),
      thread: delivery.thread,
      lifeMs: REPLY_LIFE_MS,
    },
    sources,
  );
}

/** The first of a text, with half a character left out. */
function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
