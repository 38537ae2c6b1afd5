/**
 * Handing over: offer, accept, take back, each one operation with one receipt; whoever is concerned is
 * told after the commit.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { Grant } from '../identity/grants.ts';
import { findGrant, findGrantsNamed, isInForce } from '../identity/grants.ts';
import { isServiceName } from '../identity/names.ts';
import { newId } from '../sources.ts';
import type { ReadHandle } from '../store/store.ts';
import type { Substrate } from '../substrate.ts';
import type { Operation, Receipted } from '../operation.ts';
import { usedMicroUsd } from './budget.ts';
import type { Handoff, Redemption } from './handoffs.ts';
import {
  findHandoffByToken,
  findRedeemed,
  handoffOf,
  GONE_MS,
  listOffersFor,
  offerHandoff,
  redeemHandoff,
  takeOver,
  withdrawHandoff,
} from './handoffs.ts';
import type { Session } from './model.ts';
import { controlledSession, findSession, GATEWAY, heldSession, leaseUntil, listLast, sessionOf } from './sessions.ts';

const TOKEN_BYTES = 32;
/** Sessions that `latest` looks at. */
const CANDIDATES_MAX = 50;

/** Anybody who has the token. */
export const ANYBODY = '*';

export interface Offering {
  readonly session: string;
  /** A name, or {@link ANYBODY}. */
  readonly audience: string;
  readonly lifeMs: number;
  readonly note: string;
  /** How much of the budget goes along, whole micro-dollars; null: all that is left. */
  readonly budgetMicroUsd: number | null;
  /** Null: all that the session has. */
  readonly scopes: readonly string[] | null;
}

/** An offer as its maker gets it: the token is told now and never again. */
export interface Offered {
  readonly handoff: Handoff;
  readonly token: string;
}

/**
 * Offers a session. Its holder goes on until somebody redeems.
 *
 * @throws SeedError `not_found` for a session or a name, `superseded`, `session_closed`, `forbidden` for more
 *   than there is, `too_many`
 */
export async function offerSession(
  substrate: Substrate,
  actor: Actor,
  offering: Offering,
): Promise<Receipted<Offered>> {
  const { sources, seed } = substrate;
  const id = newId(sources);
  const token = Buffer.from(sources.random(TOKEN_BYTES)).toString('base64url');
  const { checkpoint } = await substrate.log();
  const { value, ...receipted } = await substrate.operate({ action: 'handoff.offer', actor }, async (op) => {
    op.receipt({ subject: { type: 'handoff', id } });
    const session = await controlledSession(op, offering.session, actor);
    const { audience, note, budgetMicroUsd, scopes } = offering;
    const audienceGrant = await audienceOf(op, audience);
    const handoff = await offerHandoff(op, actor, session, {
      id,
      token,
      audience,
      audienceGrant,
      note,
      budgetMicroUsd,
      scopes: scopes ?? session.scopes,
      expiresAt: op.now + offering.lifeMs,
      seed,
      checkpoint,
      usedMicroUsd: await usedMicroUsd(op, session.id, op.now),
    });
    op.receipt({ detail: handoffFacts(handoff) });
    return { handoff, grants: [session.holder, audienceGrant] };
  });
  const { handoff, grants } = value;
  tell(substrate, { handoff, what: 'offered', to: handoff.audience, grants, receipt: receipted.seq });
  return { ...receipted, value: { handoff, token } };
}

/** The grant of a name; null for anybody, and for the owner. @throws SeedError `not_found` */
async function audienceOf(db: ReadHandle, audience: string): Promise<string | null> {
  if (audience === ANYBODY || audience === 'owner') return null;
  const [grant] = await findGrantsNamed(db, audience);
  if (grant !== undefined) return grant.id;
  throw new SeedError('not_found', `There is nobody by the name "${audience}" here.`, {
    hint: 'Leave "to" out for whoever has the token, or name an agent or helper that has come in.',
    data: { argument: 'to' },
  });
}

/** What a receipt says of a handoff; the package and the token stay out of it. */
function handoffFacts({ session, epoch, audience, packageHash, budgetMicroUsd, scopes }: Handoff) {
  const budget = budgetMicroUsd === null ? {} : { budget_micro_usd: budgetMicroUsd };
  return { session, epoch, audience, package: packageHash, scopes, ...budget };
}

interface Telling {
  readonly handoff: Handoff;
  readonly what: 'offered' | 'redeemed' | 'withdrawn';
  readonly to: string;
  readonly grants: readonly (string | null)[];
  readonly receipt: number;
}

function tell(substrate: Substrate, { handoff, what, to, grants, receipt }: Telling): void {
  const { id, session, offererName: from, epoch } = handoff;
  substrate.sessions.changed(session, grants);
  substrate.sessions.handedOver({ what, handoff: id, session, from, to, epoch, receipt });
}

/**
 * Redeems a token. The same redeemer with the same `redeemId` gets the same answer again, without another
 * receipt.
 *
 * @throws SeedError `handoff_unknown`, and as {@link redeemHandoff}
 */
export async function acceptToken(
  substrate: Substrate,
  actor: Actor,
  { token, redeemId }: { token: string; redeemId: string },
): Promise<Accepted> {
  const before = await substrate.read(async (db) => {
    const handoff = await findHandoffByToken(db, token);
    const isOwn = handoff?.redeemId === redeemId && handoff.redeemer === redeemerOf(actor);
    return handoff !== null && isOwn ? sameAgain(db, handoff) : null;
  });
  if (before !== null) return before;
  return redeem(substrate, actor, async (op) => {
    const handoff = await findHandoffByToken(op, token);
    if (handoff === null) {
      throw new SeedError('handoff_unknown', 'No handoff has that token.', {
        hint: 'Copy the whole token again, or ask its offerer for a new one.',
      });
    }
    op.receipt({ subject: { type: 'handoff', id: handoff.id }, detail: handoffFacts(handoff) });
    const used = await usedMicroUsd(op, handoff.session, op.now);
    return redeemHandoff(op, handoff, { actor, redeemId, usedMicroUsd: used });
  });
}

/** A redemption and its receipt; null where it was a repeat, which leaves none. */
export interface Accepted extends Redemption {
  readonly receipt: number | null;
}

function redeemerOf({ grant }: Actor): string {
  return grant ?? 'owner';
}

async function sameAgain(db: ReadHandle, handoff: Handoff): Promise<Accepted> {
  const session = await sessionOf(db, handoff.session);
  const superseded = session.epoch !== handoff.redeemedEpoch;
  return { handoff, session, repeated: true, superseded, receipt: null };
}

async function redeem(
  substrate: Substrate,
  actor: Actor,
  work: (op: Operation) => Promise<Redemption>,
): Promise<Accepted> {
  const { value, seq } = await substrate.operate({ action: 'handoff.accept', actor }, async (op) => {
    const redemption = await work(op);
    const { handoff, session } = redemption;
    op.receipt({
      subject: { type: 'handoff', id: handoff.id },
      detail: { ...handoffFacts(handoff), epoch: session.epoch, length: session.length, hash: session.runningHash },
    });
    return redemption;
  });
  if (value.repeated) return { ...value, receipt: seq };
  const { handoff } = value;
  tell(substrate, {
    handoff,
    what: 'redeemed',
    to: actor.id,
    grants: [handoff.offerer, actor.grant],
    receipt: seq,
  });
  return { ...value, receipt: seq };
}

export interface Latest {
  readonly redeemId: string;
  /** This session and no other. */
  readonly session: string | null;
  /** When a local agent's last connection went, ms; null while it has one. */
  readonly goneSince: (grant: string) => number | null;
}

/**
 * Picks up without a token, for a local agent of the owner: the newest offer that names it, else the
 * newest session whose holder is gone.
 *
 * @throws SeedError `forbidden` for helpers, `holder_alive` with the seconds to wait, `not_found`
 */
export async function acceptLatest(substrate: Substrate, actor: Actor, latest: Latest): Promise<Accepted> {
  const before = await substrate.read(async (db) => {
    const handoff = await findRedeemed(db, actor, latest.redeemId);
    return handoff === null ? null : sameAgain(db, handoff);
  });
  if (before !== null) return before;
  const { checkpoint } = await substrate.log();
  const id = newId(substrate.sources);
  return redeem(substrate, actor, async (op) => {
    op.receipt(latest.session === null ? {} : { subject: { type: 'session', id: latest.session } });
    assertLocal(actor);
    const again = await findRedeemed(op, actor, latest.redeemId);
    if (again !== null) return sameAgain(op, again);
    const offered = (await listOffersFor(op, actor, op.now, CANDIDATES_MAX)).find(
      ({ session }) => latest.session === null || session === latest.session,
    );
    if (offered !== undefined) {
      const used = await usedMicroUsd(op, offered.session, op.now);
      return redeemHandoff(op, offered, { actor, redeemId: latest.redeemId, usedMicroUsd: used });
    }
    const { session, goneSince } = await pickSilent(op, actor, latest);
    op.receipt({ subject: { type: 'session', id: session.id } });
    const used = await usedMicroUsd(op, session.id, op.now);
    const { seed } = substrate;
    const taking = { actor, redeemId: latest.redeemId, usedMicroUsd: used, id, seed, checkpoint, goneSince };
    return takeOver(op, session, taking);
  });
}

/**
 * Redeems the newest offer of one session that names the actor: for whoever has no other way to say so than to go on
 * with it. That is no picking up of what was left, so helpers may too.
 *
 * @throws SeedError `superseded` where there is none any more
 */
export async function acceptOffered(substrate: Substrate, actor: Actor, session: string): Promise<Accepted> {
  return redeem(substrate, actor, async (op) => {
    op.receipt({ subject: { type: 'session', id: session } });
    const offers = await listOffersFor(op, actor, op.now, CANDIDATES_MAX);
    const offered = offers.find((offer) => offer.session === session);
    if (offered === undefined) {
      throw new SeedError('superseded', `The session ${session} is not offered to you any more.`, {
        hint: 'Ask whoever holds it for a new offer.',
        data: { session },
      });
    }
    const used = await usedMicroUsd(op, session, op.now);
    return redeemHandoff(op, offered, { actor, redeemId: offered.id, usedMicroUsd: used });
  });
}

/** A helper comes in from outside: what it may go on with, somebody must have given it. */
function assertLocal({ kind }: Actor): void {
  if (kind !== 'helper') return;
  throw new SeedError('forbidden', 'A helper takes over by a token alone.', {
    hint: 'Ask for a handoff and accept it with its token.',
    data: { argument: 'latest' },
  });
}

interface Candidate {
  readonly session: Session;
  readonly goneSince: number | null;
  readonly silent: boolean;
}

export interface Look {
  readonly actor: Actor;
  readonly goneSince: Latest['goneSince'];
  readonly now: number;
}

/** Open sessions of others that a local agent may take over once their holders are silent, newest first. */
async function candidates(db: ReadHandle, sessions: readonly Session[], look: Look): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const session of sessions) {
    if (session.holder === look.actor.grant || session.status === 'closed') continue;
    const grant = session.holder === null ? null : await findGrant(db, session.holder);
    const goneSince = goneOf(session, { grant, ...look });
    if (goneSince === 'not ours') continue;
    const silent = await isSilent(db, session, { goneSince, now: look.now });
    found.push({ session, goneSince, silent });
  }
  return found;
}

/** Sessions of holders that are silent, newest first: `latest` takes the first of them. */
export async function listSilent(db: ReadHandle, look: Look, limit: number): Promise<Session[]> {
  const all = await candidates(db, await listLast(db, CANDIDATES_MAX), look);
  return all.flatMap(({ session, silent }) => (silent ? [session] : [])).slice(0, limit);
}

/** The session that is meant: the newest one of a silent holder, else the newest at all, whose holder then is alive. */
async function pickSilent(op: Operation, actor: Actor, { session: named, goneSince }: Latest): Promise<Candidate> {
  const sessions = named === null ? await listLast(op, CANDIDATES_MAX) : await namedSession(op, named);
  const all = await candidates(op, sessions, { actor, goneSince, now: op.now });
  const found = all.find(({ silent }) => silent) ?? all[0];
  if (found !== undefined) return found;
  throw new SeedError('not_found', 'There is no session to take over.', {
    hint: 'seed_start names what you hold yourself; a helper’s session needs a token.',
  });
}

async function namedSession(db: ReadHandle, id: string): Promise<Session[]> {
  const session = await findSession(db, id);
  return session === null ? [] : [session];
}

/**
 * Since when the holder is gone; a helper's session is handed on by a token alone, as long as its key is good.
 * A client of the gateway cannot offer: that its conversations may be taken over once it is silent, its key says.
 */
function goneOf(
  { holder, origin, scopes }: Session,
  { grant, goneSince, now }: { grant: Grant | null; goneSince: Latest['goneSince']; now: number },
): number | null | 'not ours' {
  if (holder === null) return null;
  // Whose grant is gone cannot come back to it. What it could not offer goes to nobody by that either.
  if (grant === null || !isInForce(grant, now)) {
    return origin === GATEWAY && !scopes.includes('handoff.offer') ? 'not ours' : 0;
  }
  // What the seed's own organs began they go on with themselves; no door knows them.
  if (isServiceName(grant.name)) return 'not ours';
  if (grant.door === 'agent') return goneSince(grant.id);
  return origin === GATEWAY && grant.scopes.includes('handoff.offer') ? null : 'not ours';
}

async function isSilent(
  db: ReadHandle,
  { id }: Session,
  { goneSince, now }: { goneSince: number | null; now: number },
): Promise<boolean> {
  return (goneSince !== null && now >= goneSince + GONE_MS) || now >= (await leaseUntil(db, id));
}

/**
 * A session, for whoever may read it: its holder, whom it is offered to by name, the owner.
 *
 * @throws SeedError `not_found`, `superseded` for an earlier holder
 */
export async function readableSession(db: ReadHandle, id: string, actor: Actor, now: number): Promise<Session> {
  const session = await sessionOf(db, id);
  if (actor.grant === null || session.holder === actor.grant) return session;
  const offers = await listOffersFor(db, actor, now, CANDIDATES_MAX);
  if (offers.some((offer) => offer.session === id)) return session;
  return heldSession(db, id, { actor, epoch: null });
}

/**
 * Takes an offer back; by its offerer, whoever holds the session, or the owner.
 *
 * @throws SeedError `not_found`, `handoff_redeemed` when it is too late
 */
export async function takeBack(substrate: Substrate, actor: Actor, id: string): Promise<Receipted<Handoff>> {
  const taken = await substrate.operate({ action: 'handoff.withdraw', actor }, async (op) => {
    op.receipt({ subject: { type: 'handoff', id } });
    const handoff = await handoffOf(op, id);
    const session = await sessionOf(op, handoff.session);
    if (actor.grant !== null && actor.grant !== handoff.offerer && actor.grant !== session.holder) throw notYours(id);
    await withdrawHandoff(op, handoff);
    op.receipt({ detail: handoffFacts(handoff) });
    return handoff;
  });
  const { value: handoff, seq } = taken;
  const grants = [handoff.offerer, handoff.audienceGrant];
  tell(substrate, { handoff, what: 'withdrawn', to: handoff.audience, grants, receipt: seq });
  return taken;
}

function notYours(id: string): SeedError {
  return new SeedError('not_found', `There is no handoff ${id} of yours.`, { hint: 'List them with handoff_status.' });
}
