/**
 * What the owner last said yes to, as a receipt has it: the digest of all rows, and the newest change.
 *
 * Where an owner passphrase is set, this tells an edit from outside, and not what the record of edits
 * says of itself: whoever can edit a policy row can edit that record too, and receipts only in the open.
 */
import { createHash } from 'node:crypto';
import { getReceiptLines, parseStored } from '../receipts/query.ts';
import { POLICY_SEALS } from '../store/migrations/0003-policy.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { PolicyRows } from './rows.ts';
import { readPolicyRows } from './rows.ts';
import type { PendingChange } from './snapshot.ts';

/** The part of a receipt's detail by which the owner's word on the policy is found again. */
export interface Seal {
  readonly rows: string;
  readonly last_change: number;
}

const NOTHING: PolicyRows = { timezone: null, targets: [], routing: [], prices: [], ceilings: [], notices: [] };

/** Without notices it is what it was before there were any, so that the owner's word of then still holds. */
function digest({ notices, ...rest }: PolicyRows): string {
  const sealed = notices.length === 0 ? rest : { ...rest, notices };
  return createHash('sha256').update(JSON.stringify(sealed)).digest('hex');
}

interface NewestRow extends Row {
  readonly newest: number;
}

/** The id of the newest change, whoever made it; 0 before the first. */
export async function newestChange(db: ReadHandle): Promise<number> {
  const row = await db.get<NewestRow>('SELECT coalesce(max(id), 0) AS newest FROM policy_change');
  return row?.newest ?? 0;
}

/** The policy as it stands in this transaction, for the receipt that confirms it. */
export async function sealPolicy(db: ReadHandle): Promise<Seal> {
  return { rows: digest(await readPolicyRows(db)), last_change: await newestChange(db) };
}

interface BytesRow extends Row {
  readonly bytes: string;
}

async function readSeal(db: ReadHandle): Promise<Seal> {
  const row = await db.get<BytesRow>(
    `SELECT bytes FROM substrate_receipts WHERE ${POLICY_SEALS} ORDER BY seq DESC LIMIT 1`,
  );
  if (row === undefined) return { rows: digest(NOTHING), last_change: 0 };
  const { rows, last_change: last } = parseStored(row.bytes).detail;
  // Whatever else stands there is the digest of nothing.
  return { rows: typeof rows === 'string' ? rows : '', last_change: typeof last === 'number' ? last : 0 };
}

/** Whether an owner passphrase was set when the home was made, which the first receipt says. */
export async function needsAcknowledgement(db: ReadHandle): Promise<boolean> {
  const [first] = await getReceiptLines(db, 0, 1);
  return first !== undefined && parseStored(first).detail['passphrase'] === 'set';
}

/** Edits that are looked at one by one; more of them concern all roles. */
const PENDING_MAX = 256;

interface PendingRow extends Row {
  readonly id: number;
  readonly source_table: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface Unconfirmed {
  /** The edits since the owner's word, oldest first. */
  readonly pending: readonly PendingChange[];
  /** False where the rows are others and the record of edits does not say how they came to be. */
  readonly isWhole: boolean;
}

/** What has changed since the owner's word. */
export async function readUnconfirmed(db: ReadHandle, rows: PolicyRows): Promise<Unconfirmed> {
  const seal = await readSeal(db);
  const last = seal.last_change;
  const found = await db.all<PendingRow>(
    'SELECT id, source_table, before, after FROM policy_change WHERE id > ? ORDER BY id LIMIT ?',
    last,
    PENDING_MAX + 1,
  );
  const tooMany = found.length > PENDING_MAX;
  const pending = found.map(({ id, source_table, before, after }) => ({
    id,
    table: tooMany ? 'the policy' : source_table,
    before,
    after,
  }));
  // Ids are given out one by one and never again: a gap, also at the end, is an edit taken off the record.
  const isGapless = found.every(({ id }, index) => id === last + 1 + index);
  const counted = await db.get<NewestRow>(
    "SELECT coalesce(max(seq), 0) AS newest FROM sqlite_sequence WHERE name = 'policy_change'",
  );
  const isToTheEnd = tooMany || (counted?.newest ?? 0) === (found.at(-1)?.id ?? last);
  const isSame = pending.length > 0 || digest(rows) === seal.rows;
  return { pending, isWhole: isGapless && isToTheEnd && isSame };
}
