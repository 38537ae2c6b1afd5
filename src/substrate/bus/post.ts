/**
 * Puts a message into inboxes, within an operation: what an operation does and what it tells others
 * commit together. All recipients get it, or none.
 */
import { SeedError } from '../../errors.ts';
import { canonicalize } from '../../formats/canonical.ts';
import type { Actor } from '../actor.ts';
import { getContent, putContent } from '../content.ts';
import type { Sources } from '../sources.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import { assertReach } from './address.ts';
import { expireDue } from './settled.ts';
import type { Recipient } from './inbox.ts';
import { assertRoom, openInbox, resolveAddress } from './inbox.ts';
import type { BodyFormat } from './model.ts';
import { holderOf, INBOX_MESSAGES_MAX, KEPT_MS, LIFE_MS_MAX, RECIPIENTS_MAX, SENDER_MESSAGES_MAX } from './model.ts';

/** What is to be sent. */
export interface Draft {
  /** Addresses: names, `owner`, `topic:NAME`. */
  readonly to: readonly string[];
  readonly format: BodyFormat;
  /** The body, as UTF-8; JSON text where the format says so. */
  readonly body: Uint8Array;
  /** Messages of one thread come in order; null begins one. */
  readonly thread?: string | null;
  /** Within a sender the same key means the same message. */
  readonly key?: string | null;
  readonly lifeMs?: number;
}

/** Where a message went. */
export interface Posted {
  /** The receipt of the sending. */
  readonly receipt: number;
  readonly thread: string;
  readonly to: readonly { readonly name: string; readonly seq: number }[];
  /** It had been sent before, under the same key. */
  readonly repeated: boolean;
  /** Whose inboxes got it: to be told with `MailSignals.arrived` after the commit. */
  readonly holders: readonly string[];
}

/**
 * @throws SeedError `forbidden`, `not_found`, `inbox_full`, `conflict` (the key was used for something
 *   else), `content_erased` (what the key was used for is gone)
 */
export async function post(op: Operation, actor: Actor, draft: Draft, sources: Sources): Promise<Posted> {
  assertReach(actor, draft.to);
  const sender = holderOf(actor);
  const before = await findSent(op, sender, draft);
  if (before !== null) {
    // Sent twice at the same moment: one of the two was first.
    op.receipt({ subject: { type: 'thread', id: before.thread }, detail: { repeats: before.receipt } });
    return before;
  }
  const recipients = await recipientsOf(op, draft.to, sender);
  const thread = draft.thread ?? `r${op.seq}`;
  const lifeMs = Math.min(draft.lifeMs ?? LIFE_MS_MAX, LIFE_MS_MAX);
  const expiresAt = op.now + lifeMs;
  const body = await putContent(op, draft.body, { sources, eraseAt: expiresAt + KEPT_MS });
  const to: { name: string; seq: number }[] = [];
  for (const recipient of recipients) {
    const { inbox, seq } = await makeRoom(op, recipient, sender);
    await op.run(
      `INSERT INTO substrate_messages
         (inbox, seq, receipt, sender, sender_name, thread, format, body, sent_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      inbox,
      seq,
      op.seq,
      sender,
      actor.id,
      thread,
      draft.format,
      body,
      op.now,
      expiresAt,
    );
    to.push({ name: recipient.name, seq });
  }
  op.receipt({
    input: body,
    subject: { type: 'thread', id: thread },
    detail: { to: to.map(({ name }) => name) },
  });
  await keepKey(op, { sender, draft, body, answer: { receipt: op.seq, thread, to } });
  return { receipt: op.seq, thread, to, repeated: false, holders: recipients.map(({ holder }) => holder) };
}

async function recipientsOf(op: Operation, addresses: readonly string[], sender: string): Promise<Recipient[]> {
  const found = new Map<string, Recipient>();
  for (const address of addresses) {
    for (const recipient of await resolveAddress(op, address, { sender, now: op.now })) {
      found.set(recipient.holder, recipient);
    }
  }
  if (found.size === 0) {
    throw new SeedError('not_found', `to: Nobody follows ${addresses.join(', ')}; nothing was sent.`, {
      hint: 'Send to a name; whoever wants a topic follows it with bus_follow.',
      data: { argument: 'to' },
    });
  }
  if (found.size <= RECIPIENTS_MAX) return [...found.values()];
  throw new SeedError('too_large', `to: That would be ${found.size} recipients; ${RECIPIENTS_MAX} is the limit.`, {
    hint: 'Send to fewer at once; nothing was sent.',
    data: { argument: 'to' },
  });
}

/** The place in a recipient's inbox, once it is sure that there is room. */
async function makeRoom(
  op: Operation,
  { holder, name, inbox, last_seq: last, waiting }: Recipient,
  sender: string,
): Promise<{ inbox: number; seq: number }> {
  if (inbox === null || last === null) return { inbox: await openInbox(op, holder), seq: 1 };
  let left = waiting ?? 0;
  // What has expired waits no longer, whether or not anybody has looked.
  if (left >= SENDER_MESSAGES_MAX) left -= await expireDue(op, inbox, { now: op.now, limit: INBOX_MESSAGES_MAX });
  await assertRoom(op, { name, inbox, waiting: left }, sender);
  return { inbox, seq: last + 1 };
}

/** What the key stands for besides the body, which is compared itself. */
function requestOf({ to, format, thread = null, lifeMs = LIFE_MS_MAX }: Draft): string {
  return canonicalize({ to: [...new Set(to)].toSorted(), format, thread, life_ms: lifeMs });
}

interface KeyRow extends Row {
  readonly body: string;
  readonly request: string;
  readonly answer: string;
}

type Answer = Pick<Posted, 'receipt' | 'thread' | 'to'>;

async function keepKey(
  op: Operation,
  { sender, draft, body, answer }: { sender: string; draft: Draft; body: string; answer: Answer },
): Promise<void> {
  if (draft.key === undefined || draft.key === null) return;
  await op.run(
    `INSERT INTO substrate_send_keys (sender, key, receipt, body, request, answer, sent_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    sender,
    draft.key,
    op.seq,
    body,
    requestOf(draft),
    JSON.stringify(answer),
    op.now,
  );
}

/**
 * What was sent under the draft's key before; null when nothing was.
 *
 * The body is compared with what is kept of it: a hash of it beside the key would outlive its erasure.
 *
 * @throws SeedError `conflict`, `content_erased`
 */
export async function findSent(db: ReadHandle, sender: string, draft: Draft): Promise<Posted | null> {
  const { key = null } = draft;
  if (key === null) return null;
  const row = await db.get<KeyRow>(
    'SELECT body, request, answer FROM substrate_send_keys WHERE sender = ? AND key = ?',
    sender,
    key,
  );
  if (row === undefined) return null;
  const answer = JSON.parse(row.answer) as Answer;
  const body = await getContent(db, row.body);
  if (body === null) {
    throw new SeedError('content_erased', 'What was sent under this idempotency_key was erased since.', {
      hint: 'Use another key to send anew.',
      data: { argument: 'idempotency_key', sent: answer.receipt },
    });
  }
  if (row.request !== requestOf(draft) || !Buffer.from(body).equals(draft.body)) {
    throw new SeedError('conflict', 'You sent something else under this idempotency_key before.', {
      hint: `Receipt ${answer.receipt} tells of it; use another key for another message.`,
      data: { argument: 'idempotency_key', sent: answer.receipt },
    });
  }
  return { ...answer, repeated: true, holders: [] };
}

/** Forgets up to `limit` keys whose message is no longer kept. */
export async function forgetKeys(tx: WriteHandle, now: number, limit: number): Promise<number> {
  return tx.run(
    `DELETE FROM substrate_send_keys WHERE (sender, key) IN
       (SELECT sender, key FROM substrate_send_keys WHERE sent_at <= ? LIMIT ?)`,
    now - KEPT_MS,
    limit,
  );
}
