/** Changes of the policy that go through the seed itself: each one transaction, marked as its own. */
import { createHash } from 'node:crypto';
import { SeedError } from '../../errors.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { PolicyRows, PriceRow } from './rows.ts';
import { readPolicyRows, writePolicyRows, writePriceRows } from './rows.ts';
import type { Seal } from './seal.ts';
import { newestChange, sealPolicy } from './seal.ts';

/** What a change of the policy's tables is marked with; an edit from outside has none. */
export type ChangeOrigin = 'apply' | 'rollback' | 'prices';

/**
 * Runs `edit` and marks the changes that it made, and no others, as the seed's own: those above the
 * newest of before, since an outside editor cannot write while this transaction is open.
 */
async function changePolicy(op: Operation, origin: ChangeOrigin, edit: () => Promise<void>): Promise<void> {
  const before = await newestChange(op);
  await edit();
  await op.run('UPDATE policy_change SET origin = ?, receipt = ? WHERE id > ?', origin, op.seq, before);
}

export interface PolicyVersion {
  readonly version: number;
  /** SHA-256 of the document, hex. */
  readonly hash: string;
}

export interface NewPolicy {
  /** The document as it is kept: the owner's own text. */
  readonly document: string;
  /** What it says, the prices of the catalogue among its rows. */
  readonly rows: PolicyRows;
  readonly origin: 'apply' | 'rollback';
}

/**
 * Makes a document the policy, as a new version. What was edited outside before is settled by it: the
 * owner has decided on every row. What was spent stays spent.
 */
export async function putPolicy(op: Operation, { document, rows, origin }: NewPolicy): Promise<PolicyVersion & Seal> {
  const newest = await op.get<VersionRow>('SELECT max(version) AS version FROM substrate_policy_versions');
  const version = (newest?.version ?? 0) + 1;
  const { prices: old } = await readPolicyRows(op);
  const prices = rows.prices.map((price) => withEdition(price, old, version));
  await changePolicy(op, origin, () => writePolicyRows(op, { ...rows, prices }));
  await markAcknowledged(op);
  const hash = createHash('sha256').update(document).digest('hex');
  await op.run(
    `INSERT INTO substrate_policy_versions (version, applied_at, document, hash, receipt, last_change)
     VALUES (?, ?, ?, ?, ?, ?)`,
    version,
    op.now,
    document,
    hash,
    op.seq,
    await newestChange(op),
  );
  return { version, hash, ...(await sealPolicy(op)) };
}

/** An owner's price is called by the version that brought it. */
function withEdition(price: PriceRow, old: readonly PriceRow[], version: number): PriceRow {
  if (price.source !== 'owner') return price;
  const same = old.find((row) => JSON.stringify({ ...row, edition: '' }) === JSON.stringify({ ...price, edition: '' }));
  return { ...price, edition: same?.edition ?? String(version) };
}

/** Brings the catalogue's prices up to date, the owner's own left alone. */
export async function putPrices(op: Operation, prices: readonly PriceRow[]): Promise<Seal> {
  const owners = (await readPolicyRows(op)).prices.filter(({ source }) => source === 'owner');
  await changePolicy(op, 'prices', () => writePriceRows(op, [...owners, ...prices]));
  return sealPolicy(op);
}

export interface Acknowledged extends Seal {
  /** How many edits there were. */
  readonly changes: number;
}

/**
 * Acknowledges every edit from outside; the caller's receipt says so with what this gives back.
 *
 * @param upTo the newest change that the owner looked at
 * @throws SeedError `conflict` when there is a newer one
 */
export async function acknowledgeEdits(op: Operation, upTo: number | null): Promise<Acknowledged> {
  const seal = await sealPolicy(op);
  if (upTo !== null && upTo < seal.last_change) {
    throw new SeedError('conflict', `There are newer edits than change ${upTo}; nothing was acknowledged.`, {
      hint: 'Look at them with `seed policy history`, then say `seed policy ack` again.',
      data: { newest: seal.last_change },
    });
  }
  return { changes: await markAcknowledged(op), ...seal };
}

function markAcknowledged(op: Operation): Promise<number> {
  return op.run(
    'UPDATE policy_change SET acknowledged_at = ? WHERE origin IS NULL AND acknowledged_at IS NULL',
    op.now,
  );
}

// ---------------------------------------------------------------------------------------------
// History

interface VersionRow extends Row {
  readonly version: number | null;
}

interface DocumentRow extends Row {
  readonly document: string;
  readonly hash: string;
}

/** The document of a version. @throws SeedError `not_found`, or `store_corrupt` where it was altered */
export async function getDocument(db: ReadHandle, version: number): Promise<string> {
  const row = await db.get<DocumentRow>(
    'SELECT document, hash FROM substrate_policy_versions WHERE version = ?',
    version,
  );
  if (row === undefined) {
    throw new SeedError('not_found', `There is no version ${version} of the policy.`, {
      hint: 'See `seed policy history`.',
    });
  }
  if (createHash('sha256').update(row.document).digest('hex') === row.hash) return row.document;
  throw new SeedError('store_corrupt', `Version ${version} of the policy was altered in the database.`, {
    hint: 'Apply a file of your own, or roll back to another version.',
  });
}

export interface HistoryEntry {
  readonly kind: 'version' | 'edit';
  /** The version's number, or the change's. */
  readonly id: number;
  readonly at: number;
  /** Null while an edit from outside is not on record yet. */
  readonly receipt: number | null;
  /** A version's hash; an edit's table. */
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
  /** When the owner acknowledged an edit, ms; null for a version and for what waits. */
  readonly acknowledged: number | null;
}

interface HistoryRow extends Row {
  readonly kind: 'version' | 'edit';
  readonly id: number;
  readonly at: number;
  readonly receipt: number | null;
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly acknowledged: number | null;
}

/** Versions and edits from outside, newest first. */
export async function listHistory(db: ReadHandle, limit: number): Promise<readonly HistoryEntry[]> {
  return db.all<HistoryRow>(
    `SELECT kind, id, at, receipt, what, before, after, acknowledged FROM (
       SELECT 'version' AS kind, version AS id, applied_at AS at, receipt, hash AS what, NULL AS before, NULL AS after,
              NULL AS acknowledged, last_change AS place FROM substrate_policy_versions
       UNION ALL
       SELECT 'edit', id, at_ms, receipt, source_table, before, after, acknowledged_at, id FROM policy_change
       WHERE origin IS NULL
     ) ORDER BY place DESC, kind DESC, id DESC LIMIT ?`,
    limit,
  );
}
