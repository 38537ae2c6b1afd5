/**
 * Serves those who wait for what is being sent: it is leased to them in the commit that sends it, and they have
 * it as soon as that is durable. Without this a wake is followed by a commit of its own for the lease.
 */
import { SeedError } from '../../errors.ts';
import { assertGrantInForce } from '../identity/grants.ts';
import type { Operation } from '../operation.ts';
import { findInbox } from './inbox.ts';
import type { Claim, MailSignals, Order, Received } from './signals.ts';
import type { Outlook } from './take.ts';
import { lease, lookAhead } from './take.ts';

/** Those served by one sending. To be given after its commit; whoever was not given anything is let go at the end. */
export class Serving implements Disposable {
  readonly #mail: MailSignals;
  #served: { readonly claim: Claim; readonly received: Received }[] = [];

  constructor(mail: MailSignals) {
    this.#mail = mail;
  }

  /** Leases what these inboxes have to those who wait for it, one each. */
  async lease(op: Operation, holders: readonly string[]): Promise<void> {
    // A transaction that is run again has lost what it leased before.
    this[Symbol.dispose]();
    for (const holder of holders) {
      const claim = this.#mail.claim(holder);
      if (claim === null) continue;
      const received = await leaseFor(op, holder, claim.order).catch((error: unknown) => {
        claim.release();
        throw error;
      });
      if (received === null) claim.release();
      else this.#served.push({ claim, received });
    }
  }

  /** The leases are durable. */
  give(): void {
    for (const { claim, received } of this.#served.splice(0)) claim.give(received);
  }

  [Symbol.dispose](): void {
    for (const { claim } of this.#served.splice(0)) claim.release();
  }
}

/** Null where the receiver has to look itself: nothing is ready for it, something must be buried first, or it may not. */
async function leaseFor(op: Operation, holder: string, order: Order): Promise<Received | null> {
  const found = await lookFor(op, holder, order).catch((error: unknown) => {
    // What is wrong with the receiver or its inbox is told to the receiver, when it looks; the sender has no part in it.
    if (error instanceof SeedError) return null;
    throw error;
  });
  if (found === null || found.ready.length === 0 || found.doomed.length > 0) return null;
  // What goes wrong from here on undoes the sending: half a lease would keep messages back that nobody was given.
  return { ready: await lease(op, found.ready, op.now + order.leaseMs), more: found.more };
}

async function lookFor(op: Operation, holder: string, { actor, limit }: Order): Promise<Outlook | null> {
  const inbox = await findInbox(op, holder);
  if (inbox === null) return null;
  if (actor.grant !== null) await assertGrantInForce(op, actor.grant, op.now);
  return lookAhead(op, inbox, { limit, now: op.now });
}
