/**
 * A session that goes from one model to the next in the middle of a call, while its holder waits.
 *
 * It is a handing over like any other, but for who hands to whom: the holder stays, and so does the epoch,
 * which fences holders from each other and not models. The seed itself offers when a model fails and
 * redeems for the next one, each in the transaction of that attempt's own receipt. Where the session went to
 * another holder meanwhile there is nobody to go on for, and neither happens.
 */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Session } from './model.ts';

/** One hop, with the receipts that prove it. */
export interface Hop {
  readonly call: string;
  /** The holder's epoch. */
  readonly epoch: number;
  /** `target/model`. */
  readonly from: string;
  /** Why it could not go on: an error code, or a provider's fault. */
  readonly why: string;
  /** The receipt of how that one ended. */
  readonly offered: number;
  /** The transcript when it was offered: how many messages, and its running hash, hex. */
  readonly messages: number;
  readonly hash: string;
  /** Who went on; null where nobody did. */
  readonly to: string | null;
  /** The receipt with which that one began. */
  readonly redeemed: number | null;
  /** The transcript's running hash then, hex. */
  readonly hashAfter: string | null;
  readonly at: number;
}

/** A model could not go on: whoever is next may take over what the session holds now. */
export async function offerHop(
  op: Operation,
  session: Session,
  { call, from, why }: { call: string; from: string; why: string },
): Promise<void> {
  await op.run(
    `INSERT INTO substrate_session_hops (session, offered, call, epoch, from_model, why, messages, hash, at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.id,
    op.seq,
    call,
    session.epoch,
    from,
    why,
    session.length,
    Buffer.from(session.runningHash, 'hex'),
    op.now,
  );
}

interface HopRow extends Row {
  readonly offered: number;
  readonly call: string;
  readonly epoch: number;
  readonly from_model: string;
  readonly why: string;
  readonly messages: number;
  readonly hash: Uint8Array;
  readonly to_model: string | null;
  readonly redeemed: number | null;
  readonly hash_after: Uint8Array | null;
  readonly at: number;
}

/** The hop of a call that waits for its next model; null where none does. */
export async function openHop(
  db: ReadHandle,
  { session, call }: { session: string; call: string },
): Promise<Hop | null> {
  const row = await db.get<HopRow>(
    'SELECT * FROM substrate_session_hops WHERE session = ? AND call = ? AND redeemed IS NULL ORDER BY offered DESC',
    session,
    call,
  );
  return row === undefined ? null : toHop(row);
}

/** The next model begins. */
export async function redeemHop(op: Operation, session: Session, { hop, to }: { hop: Hop; to: string }): Promise<void> {
  await op.run(
    'UPDATE substrate_session_hops SET to_model = ?, redeemed = ?, hash_after = ? WHERE session = ? AND offered = ?',
    to,
    op.seq,
    Buffer.from(session.runningHash, 'hex'),
    session.id,
    hop.offered,
  );
}

/** The newest hops of a session, oldest first. */
export async function listHops(db: ReadHandle, session: string, limit: number): Promise<Hop[]> {
  const rows = await db.all<HopRow>(
    'SELECT * FROM substrate_session_hops WHERE session = ? ORDER BY offered DESC LIMIT ?',
    session,
    limit,
  );
  return rows.toReversed().map(toHop);
}

function toHop({ from_model: from, to_model: to, hash, hash_after: after, ...rest }: HopRow): Hop {
  const { call, epoch, why, offered, messages, redeemed, at } = rest;
  const hashAfter = after === null ? null : Buffer.from(after).toString('hex');
  return {
    call,
    epoch,
    from,
    why,
    offered,
    messages,
    hash: Buffer.from(hash).toString('hex'),
    to,
    redeemed,
    hashAfter,
    at,
  };
}
