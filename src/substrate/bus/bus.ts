/**
 * The bus: durable messages between the owner, agents and helpers, at least once.
 *
 * Sending, settling and burying are operations with receipts; leases, expiry and retention are
 * upkeep without one. Whoever was given a message and does not settle it in time may see it again, so
 * receivers must be able to do a thing twice. Wakes go out after the commit and only hint: see
 * `signals.ts`.
 */
import type { Actor } from '../actor.ts';
import { SEED } from '../actor.ts';
import { assertGrantInForce } from '../identity/grants.ts';
import type { Row, Substrate } from '../substrate.ts';
import type { Receipted } from '../operation.ts';
import { assertMayFollow, assertReach } from './address.ts';
import type { DeadId } from './dead.ts';
import { dropDead, retryDead } from './dead.ts';
import { findInbox, openInbox } from './inbox.ts';
import { ATTEMPTS_MAX, holderOf, KEPT_MS } from './model.ts';
import type { Draft, Posted } from './post.ts';
import { findSent, forgetKeys, post } from './post.ts';
import { Serving } from './serve.ts';
import type { Handle, Settled, Verdict } from './settle.ts';
import { bury, buryAll, settle } from './settle.ts';
import { expireDue } from './settled.ts';
import type { Received } from './signals.ts';
import type { Outlook } from './take.ts';
import { lookAhead, take } from './take.ts';
import { follow, leave } from './topics.ts';

export type { Draft, Posted } from './post.ts';
export type { Received } from './signals.ts';

/** Rows that one transaction of upkeep touches at most. */
const BATCH_ROWS = 500;

/**
 * Sends one message; durable when this resolves. A repeat under the same key changes nothing and
 * leaves no receipt.
 *
 * @throws SeedError as {@link post}
 */
export async function send(substrate: Substrate, actor: Actor, draft: Draft): Promise<Posted> {
  if (draft.key !== undefined) {
    assertReach(actor, draft.to);
    const before = await substrate.read((db) => findSent(db, holderOf(actor), draft));
    if (before !== null) return before;
  }
  using serving = new Serving(substrate.mail);
  const { value } = await substrate.operate({ action: 'bus.send', actor }, async (op) => {
    const posted = await post(op, actor, draft, substrate.sources);
    await serving.lease(op, posted.holders);
    return posted;
  });
  serving.give();
  substrate.mail.arrived(value.holders);
  return value;
}

/** What a receiver asks for. */
export interface Want {
  readonly limit: number;
  readonly leaseMs: number;
  /** How long to wait for a first message. */
  readonly waitMs: number;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

const NOTHING: Outlook = { ready: [], doomed: [], nextAt: null, more: false };

/**
 * Gives out messages of the actor's own inbox on leases, waiting for the first if there is none.
 *
 * Nothing is polled: the wait ends with an arrival, with the moment at which something held back may
 * come, when nobody waits any more, or when the seed stops. What arrives meanwhile is leased in the commit
 * that sends it.
 *
 * @throws SeedError `key_revoked`, `key_expired`, `halted`
 */
export async function receive(substrate: Substrate, actor: Actor, want: Want): Promise<Received> {
  const { signal, waitMs, limit, leaseMs } = want;
  const started = performance.now();
  // What a helper reads has a receipt of its own, so it is not served by whoever sends.
  const order = actor.kind === 'helper' ? null : { actor, limit, leaseMs };
  using waiter = substrate.mail.wait(holderOf(actor), order);
  // Whoever hung up must not be given what it will never see.
  while (!signal.aborted) {
    const { ready, more, nextAt } = await takeNow(substrate, actor, want);
    const leftMs = waitMs - (performance.now() - started);
    if (ready.length > 0 || leftMs <= 0 || substrate.mail.closed) return { ready, more };
    const untilNextMs = nextAt === null ? leftMs : Math.max(nextAt - substrate.sources.now(), 1);
    const served = await waiter.next(Math.min(leftMs, untilNextMs), signal);
    if (served !== null) return served;
  }
  return NOTHING;
}

async function takeNow(substrate: Substrate, actor: Actor, { limit, leaseMs }: Want): Promise<Outlook> {
  const holder = holderOf(actor);
  const now = substrate.sources.now();
  // Looked at first where that costs no commit: most looks find nothing.
  const { inbox, outlook } = await substrate.read(async (db) => {
    const found = await findInbox(db, holder);
    return { inbox: found, outlook: found === null ? NOTHING : await lookAhead(db, found, { limit: 1, now }) };
  });
  if (inbox === null) return NOTHING;
  if (outlook.doomed.length > 0) {
    await buryDoomed(substrate, inbox);
    return takeNow(substrate, actor, { limit, leaseMs, waitMs: 0, signal: NEVER });
  }
  if (outlook.ready.length === 0) return outlook;
  const how = { limit, now, until: now + leaseMs };
  if (actor.kind !== 'helper') {
    return substrate.maintain(async (tx) => {
      if (actor.grant !== null) await assertGrantInForce(tx, actor.grant, now);
      return take(tx, inbox, how);
    });
  }
  // What a helper from outside reads is on record before it goes out.
  const { value } = await substrate.operate({ action: 'bus.receive', actor, quiet: true }, async (op) => {
    const taken = await take(op, inbox, how);
    op.receipt({ subject: { type: 'inbox', id: holder }, detail: { messages: taken.ready.map(({ seq }) => seq) } });
    return taken;
  });
  return value;
}

const NEVER = new AbortController().signal;

/** Moves what failed too often to the dead letters, on record. */
async function buryDoomed(substrate: Substrate, inbox: number): Promise<number> {
  const { value } = await substrate.operate({ action: 'bus.bury', actor: SEED }, async (op) => {
    const seqs = await bury(op, inbox, BATCH_ROWS);
    op.receipt({ subject: { type: 'inbox', id: String(inbox) }, detail: { messages: seqs } });
    return seqs.length;
  });
  return value;
}

/** What became of each handle, and the receipt of it. */
export type SettledAll = Receipted<readonly { readonly handle: Handle; readonly became: Settled }[]>;

/**
 * Ends the leases of an inbox now: for one that alone receives from it, when it begins again. Where it `failed`
 * before, what was in its hands counts as failed once more, so that a message which ends every receiver that
 * takes it becomes a dead letter; where it was only stopped, nothing does.
 */
export async function lapseLeases(
  substrate: Substrate,
  actor: Actor,
  { failed }: { failed: boolean },
): Promise<number> {
  return substrate.maintain(async (tx) => {
    const inbox = await findInbox(tx, holderOf(actor));
    if (inbox === null) return 0;
    return tx.run(
      'UPDATE substrate_messages SET not_before = 0, leased = ? WHERE inbox = ? AND leased = 1 AND not_before > 0',
      failed ? 1 : 0,
      inbox,
    );
  });
}

/** Acknowledges or hands back messages of the actor's own inbox. */
export async function settleAll(
  substrate: Substrate,
  actor: Actor,
  { handles, verdict }: { handles: readonly Handle[]; verdict: Verdict },
): Promise<SettledAll> {
  const holder = holderOf(actor);
  const settled = await substrate.operate({ action: 'bus.ack', actor }, async (op) => {
    const inbox = await openInbox(op, holder);
    const results = await settle(op, inbox, { handles, verdict });
    const of = (wanted: Settled): number[] =>
      results.filter(({ became }) => became === wanted).map(({ handle }) => handle.seq);
    op.receipt({
      subject: { type: 'inbox', id: holder },
      detail: { acked: of('acked'), returned: of('returned'), dead: of('dead') },
    });
    return results;
  });
  // What was behind them in their threads may come now.
  substrate.mail.freed(holder);
  return settled;
}

/** Follows a topic, or leaves it. */
export async function followTopic(
  substrate: Substrate,
  actor: Actor,
  { topic, on }: { topic: string; on: boolean },
): Promise<Receipted<void>> {
  if (on) assertMayFollow(actor, topic);
  return substrate.operate({ action: 'bus.follow', actor }, async (op) => {
    op.receipt({ subject: { type: 'topic', id: topic }, detail: { on: on ? 1 : 0 } });
    const inbox = await openInbox(op, holderOf(actor));
    await (on ? follow(op, inbox, topic) : leave(op, inbox, topic));
  });
}

/** Puts a dead letter back into its inbox. */
export async function retry(substrate: Substrate, actor: Actor, id: DeadId): Promise<Receipted<string>> {
  const { value, ...rest } = await substrate.operate({ action: 'bus.retry', actor }, async (op) => {
    op.receipt({ subject: { type: 'message', id: `${id.inbox}.${id.seq}` } });
    return retryDead(op, id);
  });
  substrate.mail.arrived([value.holder]);
  return { ...rest, value: value.name };
}

/** Lets a dead letter go. */
export async function drop(substrate: Substrate, actor: Actor, id: DeadId): Promise<Receipted<void>> {
  return substrate.operate({ action: 'bus.drop', actor }, async (op) => {
    op.receipt({ subject: { type: 'message', id: `${id.inbox}.${id.seq}` } });
    await dropDead(op, id);
  });
}

interface InboxRow extends Row {
  readonly id: number;
  readonly orphaned: number;
  readonly doomed: number;
}

/** Every inbox, with whether its holder is gone and whether something in it failed too often. */
const INBOXES = `SELECT i.id,
    i.holder NOT IN ('owner', 'seed') AND g.id IS NULL
      AND EXISTS (SELECT 1 FROM substrate_messages m WHERE m.inbox = i.id) AS orphaned,
    EXISTS (SELECT 1 FROM substrate_messages m
      WHERE m.inbox = i.id AND m.leased = 1 AND m.not_before <= ? AND m.failed + 1 >= ${ATTEMPTS_MAX}) AS doomed
  FROM substrate_inboxes i LEFT JOIN substrate_grants g ON g.id = i.holder`;

/**
 * What is due now and then: expiry, dead letters of receivers that never came back and of inboxes
 * whose holder was removed, and the end of what is kept.
 */
export async function sweep(substrate: Substrate): Promise<void> {
  const now = substrate.sources.now();
  const inboxes = await substrate.read((db) => db.all<InboxRow>(INBOXES, now));
  for (const { id, orphaned, doomed } of inboxes) {
    if (orphaned === 1) await buryOrphans(substrate, id);
    else if (doomed === 1) while ((await buryDoomed(substrate, id)) === BATCH_ROWS);
    await inBatches(() => substrate.maintain((tx) => expireDue(tx, id, { now, limit: BATCH_ROWS })));
    await inBatches(() =>
      substrate.maintain((tx) =>
        tx.run(
          `DELETE FROM substrate_settled_messages WHERE inbox = ? AND seq IN
             (SELECT seq FROM substrate_settled_messages WHERE inbox = ? AND settled_at <= ? LIMIT ?)`,
          id,
          id,
          now - KEPT_MS,
          BATCH_ROWS,
        ),
      ),
    );
  }
  await inBatches(() => substrate.maintain((tx) => forgetKeys(tx, now, BATCH_ROWS)));
}

async function inBatches(work: () => Promise<number>): Promise<void> {
  while ((await work()) === BATCH_ROWS);
}

async function buryOrphans(substrate: Substrate, inbox: number): Promise<void> {
  await inBatches(async () => {
    const { value } = await substrate.operate({ action: 'bus.bury', actor: SEED }, async (op) => {
      const count = await buryAll(op, inbox, BATCH_ROWS);
      op.receipt({ subject: { type: 'inbox', id: String(inbox) }, detail: { messages: count } });
      return count;
    });
    return value;
  });
}
