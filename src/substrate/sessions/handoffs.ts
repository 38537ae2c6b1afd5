/**
 * Handing a session over: an offer bound to an audience, a package and an epoch; one redemption.
 *
 * Offering changes nothing of the session: its holder goes on until somebody redeems. Redeeming is one
 * transaction: check, mark, bump the epoch, move the budget (LOCK-HANDOFF-1, -3).
 */
import { createHash } from 'node:crypto';
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { findGrant, isInForce } from '../identity/grants.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Session } from './model.ts';
import type { HandoffPackage } from './package.ts';
import { makePackage, packageHash, packageText } from './package.ts';
import { leaseUntil, moveSession, sessionOf } from './sessions.ts';

/** Earlier holders that a package names, the latest ones. */
const LINEAGE_MAX = 20;
/** Offers of one session that may be open at once. */
const OPEN_OFFERS_MAX = 20;

/** A handoff as it is kept; the token itself is not. */
export interface Handoff {
  readonly id: string;
  readonly session: string;
  readonly epoch: number;
  /** The grant of whoever offered it, and once it is redeemed, of whoever held the session; null for the owner. */
  readonly offerer: string | null;
  readonly offererName: string;
  /** A name, or `*` for whoever has the token. */
  readonly audience: string;
  /** The grant that bore the name then, which alone may redeem; null for the owner, and for `*`. */
  readonly audienceGrant: string | null;
  readonly package: HandoffPackage;
  readonly packageHash: string;
  readonly budgetMicroUsd: number | null;
  readonly scopes: readonly string[];
  readonly note: string;
  readonly status: 'offered' | 'redeemed' | 'withdrawn';
  readonly redeemer: string | null;
  readonly redeemId: string | null;
  readonly redeemedEpoch: number | null;
  readonly offeredAt: number;
  readonly expiresAt: number;
}

/** Who redeemed, where it was the owner, who has no grant. */
const OWNER_REDEEMS = 'owner';

interface HandoffRow extends Row {
  readonly id: string;
  readonly session: string;
  readonly epoch: number;
  readonly offerer: string | null;
  readonly offerer_name: string;
  readonly audience: string;
  readonly audience_grant: string | null;
  readonly package: string;
  readonly package_hash: string;
  readonly budget_micro_usd: number | null;
  readonly scopes: string;
  readonly note: string;
  readonly status: Handoff['status'];
  readonly redeemer: string | null;
  readonly redeem_id: string | null;
  readonly redeemed_epoch: number | null;
  readonly offered_at: number;
  readonly expires_at: number;
}

function toHandoff(row: HandoffRow): Handoff {
  if (packageHash(row.package) !== row.package_hash) {
    throw new SeedError('store_corrupt', `The package of handoff ${row.id} was altered in the database.`, {
      hint: 'Offer the session again; its transcript is checked by its own hash.',
    });
  }
  return {
    id: row.id,
    session: row.session,
    epoch: row.epoch,
    offerer: row.offerer,
    offererName: row.offerer_name,
    audience: row.audience,
    audienceGrant: row.audience_grant,
    package: JSON.parse(row.package) as HandoffPackage,
    packageHash: row.package_hash,
    budgetMicroUsd: row.budget_micro_usd,
    scopes: JSON.parse(row.scopes) as string[],
    note: row.note,
    status: row.status,
    redeemer: row.redeemer,
    redeemId: row.redeem_id,
    redeemedEpoch: row.redeemed_epoch,
    offeredAt: row.offered_at,
    expiresAt: row.expires_at,
  };
}

/** The only form of a token that is kept. */
function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export interface Offer {
  readonly id: string;
  /** 32 random bytes, base64url; null for the daemon's own handing over, which nobody else can redeem. */
  readonly token: string | null;
  readonly audience: string;
  readonly audienceGrant: string | null;
  readonly expiresAt: number;
  readonly note: string;
  /** How much of what is left of the budget goes along; null: all of it. */
  readonly budgetMicroUsd: number | null;
  readonly scopes: readonly string[];
  readonly seed: string;
  readonly checkpoint: string;
  /** What the session's model calls have cost so far, holds included, micro-dollars. */
  readonly usedMicroUsd: number;
}

/** Makes an offer; the session stays with its holder. @throws SeedError `forbidden` for more than there is */
export async function offerHandoff(op: Operation, actor: Actor, session: Session, offer: Offer): Promise<Handoff> {
  await assertFewOffers(op, session);
  return writeOffer(op, actor, session, offer);
}

async function writeOffer(op: Operation, actor: Actor, session: Session, offer: Offer): Promise<Handoff> {
  assertNarrower(offer.scopes, session);
  const budget = moved(session, offer);
  const lineage = [...(await lineageOf(op, session)), { epoch: session.epoch, holder: session.holderName }];
  const { seed, checkpoint, note } = offer;
  const handoff = await makePackage(op, session, { seed, checkpoint, note, lineage, budgetMicroUsd: budget });
  const text = packageText(handoff);
  await op.run(
    `INSERT INTO substrate_handoffs (id, session, epoch, offerer, offerer_name, audience, audience_grant, token_hash, package,
       package_hash, budget_micro_usd, scopes, note, status, offered_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'offered', ?, ?)`,
    offer.id,
    session.id,
    session.epoch,
    actor.grant,
    actor.id,
    offer.audience,
    offer.audienceGrant,
    offer.token === null ? null : tokenHash(offer.token),
    text,
    packageHash(text),
    budget,
    JSON.stringify(offer.scopes),
    note,
    op.now,
    offer.expiresAt,
  );
  return handoffOf(op, offer.id);
}

async function assertFewOffers(op: Operation, { id, epoch }: Session): Promise<void> {
  const row = await op.get<{ open: number } & Row>(
    `SELECT count(*) AS open FROM substrate_handoffs
      WHERE session = ? AND epoch = ? AND status = 'offered' AND expires_at > ?`,
    id,
    epoch,
    op.now,
  );
  if ((row?.open ?? 0) < OPEN_OFFERS_MAX) return;
  throw new SeedError('too_many', `The session has ${OPEN_OFFERS_MAX} open offers already.`, {
    hint: 'Take some back with handoff_withdraw.',
  });
}

function assertNarrower(scopes: readonly string[], session: Session): void {
  const wider = scopes.filter((scope) => !session.scopes.includes(scope));
  if (wider.length === 0) return;
  throw new SeedError('forbidden', `The session does not have ${wider.join(', ')} to pass on.`, {
    hint: 'Pass on scopes that the session has.',
    data: { argument: 'scopes' },
  });
}

/** How much budget goes along: never more than is left. Without a budget of its own it may be given one. */
function moved(session: Session, { budgetMicroUsd, usedMicroUsd }: Offer): number | null {
  if (session.budgetMicroUsd === null) return budgetMicroUsd;
  const left = Math.max(0, session.budgetMicroUsd - usedMicroUsd);
  if (budgetMicroUsd === null) return left;
  if (budgetMicroUsd <= left) return budgetMicroUsd;
  throw new SeedError('forbidden', `The session has ${left} micro-dollars left to pass on, not ${budgetMicroUsd}.`, {
    hint: 'Pass on less, or leave it out to pass on all that is left.',
    data: { argument: 'budget_micro_usd', left_micro_usd: left },
  });
}

async function lineageOf(db: ReadHandle, { id }: Session): Promise<HandoffPackage['lineage']> {
  const rows = await db.all<{ epoch: number; offerer_name: string } & Row>(
    "SELECT epoch, offerer_name FROM substrate_handoffs WHERE session = ? AND status = 'redeemed' ORDER BY epoch DESC LIMIT ?",
    id,
    LINEAGE_MAX,
  );
  return rows.toReversed().map(({ epoch, offerer_name: holder }) => ({ epoch, holder }));
}

async function findHandoff(db: ReadHandle, id: string): Promise<Handoff | null> {
  const row = await db.get<HandoffRow>('SELECT * FROM substrate_handoffs WHERE id = ?', id);
  return row === undefined ? null : toHandoff(row);
}

/** @throws SeedError `not_found` */
export async function handoffOf(db: ReadHandle, id: string): Promise<Handoff> {
  const handoff = await findHandoff(db, id);
  if (handoff !== null) return handoff;
  throw new SeedError('not_found', `There is no handoff ${id}.`, { hint: 'List them with handoff_status.' });
}

export async function findHandoffByToken(db: ReadHandle, token: string): Promise<Handoff | null> {
  const row = await db.get<HandoffRow>('SELECT * FROM substrate_handoffs WHERE token_hash = ?', tokenHash(token));
  return row === undefined ? null : toHandoff(row);
}

/**
 * Offers that somebody is named in and can redeem now, newest first; what became of their sessions and offerers has
 * not undone them.
 */
export async function listOffersFor(
  db: ReadHandle,
  { id, grant }: Pick<Actor, 'id' | 'grant'>,
  now: number,
  limit: number,
): Promise<Handoff[]> {
  const rows = await db.all<HandoffRow>(
    `SELECT h.* FROM substrate_handoffs h JOIN substrate_sessions s ON s.id = h.session AND s.epoch = h.epoch
      WHERE h.audience_grant IS ? AND (h.audience_grant IS NOT NULL OR h.audience = ?) AND h.status = 'offered' AND h.expires_at > ? AND s.status = 'open'
        AND (h.offerer IS NULL OR EXISTS (
          SELECT 1 FROM substrate_grants g
            WHERE g.id = h.offerer AND (g.expires_at IS NULL OR g.expires_at > ?)))
      ORDER BY h.offered_at DESC LIMIT ?`,
    grant,
    id,
    now,
    now,
    limit,
  );
  return rows.map(toHandoff);
}

/** What a redeemer redeemed under an id of its own. */
export async function findRedeemed(db: ReadHandle, { grant }: Actor, redeemId: string): Promise<Handoff | null> {
  const row = await db.get<HandoffRow>(
    'SELECT * FROM substrate_handoffs WHERE redeemer = ? AND redeem_id = ? ORDER BY settled_at DESC LIMIT 1',
    grant ?? OWNER_REDEEMS,
    redeemId,
  );
  return row === undefined ? null : toHandoff(row);
}

/** The handoffs of a session, newest first. */
export async function listHandoffs(db: ReadHandle, session: string, limit: number): Promise<Handoff[]> {
  const rows = await db.all<HandoffRow>(
    'SELECT * FROM substrate_handoffs WHERE session = ? ORDER BY offered_at DESC, id LIMIT ?',
    session,
    limit,
  );
  return rows.map(toHandoff);
}

export interface Redemption {
  readonly handoff: Handoff;
  readonly session: Session;
  /** The same redeemer asked again: this is what it got then. */
  readonly repeated: boolean;
  /** It moved on since: the epoch that this redemption gave is not the session's any more. */
  readonly superseded: boolean;
}

export interface Redeemer {
  readonly actor: Actor;
  /** Chosen by the redeemer; the same one again gets the same answer. */
  readonly redeemId: string;
  /** What the session's model calls have cost so far, holds included, micro-dollars. */
  readonly usedMicroUsd: number;
}

/** Names are given anew: who is meant is the grant that bore it. */
function isFor({ audience, audienceGrant }: Handoff, { id, grant }: Actor): boolean {
  if (audience === '*') return true;
  return grant === null ? audience === id : audienceGrant === grant;
}

/**
 * Redeems an offer: the redeemer holds the session from this transaction on.
 *
 * @throws SeedError `handoff_audience`, `handoff_withdrawn`, `handoff_redeemed`, `handoff_expired`, `superseded`
 */
export async function redeemHandoff(op: Operation, handoff: Handoff, redeemer: Redeemer): Promise<Redemption> {
  const { actor, redeemId } = redeemer;
  if (!isFor(handoff, actor)) {
    throw new SeedError('handoff_audience', 'That handoff is for somebody else.', {
      hint: 'Ask its offerer for one that names you.',
    });
  }
  if (handoff.status === 'redeemed') return redeemAgain(op, handoff, redeemer);
  await assertOpen(op, handoff);
  const session = await sessionOf(op, handoff.session);
  if (session.epoch !== handoff.epoch || session.status === 'closed') {
    throw new SeedError('superseded', 'The session has moved on since that offer.', {
      hint: 'Ask whoever holds it for a new one.',
      data: { session: session.id, epoch: session.epoch },
    });
  }
  const scopes = handoff.scopes.filter((scope) => actor.scopes.has(scope));
  const after = await moveSession(op, session, { actor, scopes, ...share(session, handoff, redeemer.usedMicroUsd) });
  await op.run(
    `UPDATE substrate_handoffs
        SET status = 'redeemed', offerer = ?, redeemer = ?, redeem_id = ?, redeemed_epoch = ?, settled_at = ?
      WHERE id = ?`,
    // The owner may offer what somebody else holds, who has to be known again as an earlier holder.
    session.holder,
    actor.grant ?? OWNER_REDEEMS,
    redeemId,
    after.epoch,
    op.now,
    handoff.id,
  );
  return { handoff: await handoffOf(op, handoff.id), session: after, repeated: false, superseded: false };
}

async function redeemAgain(db: ReadHandle, handoff: Handoff, { actor, redeemId }: Redeemer): Promise<Redemption> {
  if (handoff.redeemer !== (actor.grant ?? OWNER_REDEEMS) || handoff.redeemId !== redeemId) {
    throw new SeedError('handoff_redeemed', 'That handoff was redeemed already.', {
      hint: 'Repeat it with the redeem_id of the first time, or ask for a new one.',
    });
  }
  const session = await sessionOf(db, handoff.session);
  return { handoff, session, repeated: true, superseded: session.epoch !== handoff.redeemedEpoch };
}

/** @throws SeedError `handoff_withdrawn` (also when its offerer was removed), `handoff_expired` */
async function assertOpen(db: ReadHandle & { readonly now: number }, handoff: Handoff): Promise<void> {
  const { status, offerer, expiresAt } = handoff;
  const grant = offerer === null ? null : await findGrant(db, offerer);
  if (status === 'withdrawn') throw withdrawn('It was withdrawn.');
  if (offerer !== null && (grant === null || !isInForce(grant, db.now))) throw withdrawn('Its offerer was removed.');
  if (db.now < expiresAt) return;
  throw new SeedError('handoff_expired', 'That handoff has expired.', { hint: 'Ask its offerer for a new one.' });
}

function withdrawn(why: string): SeedError {
  return new SeedError('handoff_withdrawn', `That handoff is no more. ${why}`, {
    hint: 'Ask whoever holds the session for a new one.',
  });
}

/**
 * Budget moves and is never copied: what does not go along is kept back in the session's reserve, so that
 * budget + reserve stays what it was.
 */
function share(
  session: Session,
  { budgetMicroUsd }: Handoff,
  usedMicroUsd: number,
): { budgetMicroUsd: number | null; reserveMicroUsd: number } {
  const { budgetMicroUsd: whole, reserveMicroUsd: reserve } = session;
  if (budgetMicroUsd === null) return { budgetMicroUsd: whole, reserveMicroUsd: reserve };
  // What was spent between offer and redemption comes out of what stays; then out of what goes along.
  const budget = usedMicroUsd + budgetMicroUsd;
  if (whole === null) return { budgetMicroUsd: budget, reserveMicroUsd: reserve };
  const narrowed = Math.min(whole, budget);
  return { budgetMicroUsd: narrowed, reserveMicroUsd: reserve + whole - narrowed };
}

/** Takes an offer back; one that was taken back already stays so. @throws SeedError `handoff_redeemed` when it is too late */
export async function withdrawHandoff(op: Operation, handoff: Handoff): Promise<void> {
  if (handoff.status === 'withdrawn') return;
  if (handoff.status === 'redeemed') {
    throw new SeedError('handoff_redeemed', 'It was redeemed already and cannot be taken back.', {
      hint: 'Ask the new holder to hand it back.',
    });
  }
  await op.run("UPDATE substrate_handoffs SET status = 'withdrawn', settled_at = ? WHERE id = ?", op.now, handoff.id);
}

export interface Takeover extends Redeemer {
  readonly id: string;
  readonly seed: string;
  readonly checkpoint: string;
  /** When the holder's last connection went, ms since the epoch; null while it has one. */
  readonly goneSince: number | null;
}

/** A holder whose connection has been gone this long is gone. */
export const GONE_MS = 30_000;

/**
 * Takes over a session whose holder died without a word: its lease has lapsed, or its connection has been
 * gone for {@link GONE_MS}. The same as an offer to the taker and its redemption, in one transaction.
 *
 * @throws SeedError `holder_alive` with the seconds until it may be taken
 */
export async function takeOver(op: Operation, session: Session, takeover: Takeover): Promise<Redemption> {
  const { actor, goneSince } = takeover;
  const lapses = await leaseUntil(op, session.id);
  const gone = goneSince === null ? Number.POSITIVE_INFINITY : goneSince + GONE_MS;
  const from = Math.min(lapses, gone);
  if (op.now < from) {
    const seconds = Math.ceil((from - op.now) / 1_000);
    throw new SeedError('holder_alive', `${session.holderName} still holds the session ${session.id}.`, {
      hint: `Ask it for a handoff, or try again in ${seconds} seconds if it stays silent.`,
      data: { session: session.id, retry_after_s: seconds },
    });
  }
  const holder: Actor = { ...actor, id: session.holderName, grant: session.holder };
  // Whatever the one who went silent had offered: it must not keep others from going on.
  const handoff = await writeOffer(op, holder, session, {
    ...takeover,
    token: null,
    audience: actor.id,
    audienceGrant: actor.grant,
    expiresAt: op.now + 1,
    note: `${session.holderName} went silent.`,
    budgetMicroUsd: null,
    scopes: session.scopes,
  });
  return redeemHandoff(op, { ...handoff, offerer: null }, takeover);
}
