/**
 * What must fit together before a home is used: its keys, its root of trust, its database and the
 * checkpoint kept outside it. A start refuses by these checks, and the doctor reports by them.
 */
import { existsSync } from 'node:fs';
import { SeedError, toSeedError } from '../errors.ts';
import type { Signer } from '../formats/checkpoint.ts';
import { openCheckpoint, originOf } from '../formats/checkpoint.ts';
import { FormatError } from '../formats/error.ts';
import { receiptHash } from '../formats/receipt.ts';
import type { RootChain } from '../formats/root.ts';
import { homePath } from './home/layout.ts';
import { loadKey, passphrasePath } from './identity/keys.ts';
import { fastVerify } from './identity/verify.ts';
import { assertContinues, readHeld } from './receipts/held.ts';
import type { LogState } from './receipts/log.ts';
import { emptyLog, readLogState } from './receipts/log.ts';
import { findReceipt, getReceiptLine } from './receipts/query.ts';
import { fastSha256 } from './receipts/sha256.ts';
import { sqliteCode } from './store/connection.ts';
import type { ReadHandle, Row, Store } from './store/store.ts';

/** One consistent view of the database. */
export type Read = Store['read'];

/** The keys that a daemon signs with, and where the root of trust names them. */
const NAMED = { log: 'logKeys', issuer: 'issuerKeys' } as const satisfies Record<string, keyof RootChain>;

/**
 * A key that the root of trust names: a seed that signs with another proves nothing.
 *
 * @throws SeedError `home_damaged`
 */
export function loadNamedKey(home: string, name: keyof typeof NAMED, root: RootChain): Signer {
  const signer = loadKey(homePath(home, 'keys'), name);
  if (root[NAMED[name]].some((key) => Buffer.from(key).equals(signer.publicKey))) return signer;
  throw new SeedError('home_damaged', `The ${name} key is not the one that the root of trust names.`, {
    hint: 'Restore the folders keys and root from the same backup.',
  });
}

/** The log as the database has it, and why it is not trusted; null where it is. */
export interface OpenedLog {
  readonly state: LogState;
  /** Receipts that the checkpoint kept outside covers; 0 where it is not trusted or there is none. */
  readonly held: number;
  readonly distrust: SeedError | null;
}

/**
 * Reads the log's head, and holds it against its own receipts and the checkpoint kept outside.
 *
 * @throws SeedError `home_damaged` when the database is another seed's or the passphrase's file is
 *   gone, `store_corrupt` when the head or the first receipt does not parse
 */
export async function openLog(read: Read, root: RootChain, home: string): Promise<OpenedLog> {
  const path = homePath(home, 'checkpoint');
  return read(async (db) => {
    // Before the database: a daemon at work raises its log first, then the checkpoint outside.
    const note = attempt(() => readHeld(path));
    const state = await readHead(db, root.seed);
    assertSameSeed(state, root, home);
    await assertPassphraseKept(db, state, home);
    try {
      await assertHead(db, state, root);
      if ('error' in note) throw note.error;
      if (note.value === null && state.size > 0) throw checkpointMissing(path, state.size);
      const held = note.value === null ? 0 : await assertContinues(db, { state, held: note.value, root, path });
      return { state, held, distrust: null };
    } catch (thrown) {
      const error = toSeedError(thrown);
      // A disk that cannot be read is no reason to distrust what stands on it.
      if (!DISTRUST.has(error.code)) throw error;
      return { state, held: 0, distrust: error };
    }
  });
}

const DISTRUST: ReadonlySet<string> = new Set(['log_rolled_back', 'log_forked', 'home_damaged']);

function attempt<T>(fn: () => T): { value: T } | { error: unknown } {
  try {
    return { value: fn() };
  } catch (error) {
    return { error };
  }
}

/** The log's head; that of an empty one where there is none. @throws SeedError `store_corrupt` */
export async function readHead(db: ReadHandle, seed: string): Promise<LogState> {
  try {
    return (await readLogState(db)) ?? emptyLog(seed);
  } catch (cause) {
    if (sqliteCode(cause) === 'SQLITE_ERROR') throw schemaAltered(cause);
    if (!(cause instanceof FormatError)) throw cause;
    throw new SeedError('store_corrupt', 'The head of the log in the database was altered and cannot be read.', {
      hint: 'Restore the home from a backup.',
      cause,
    });
  }
}

/** For a table that is not there, or is there too early: statements of ours do not fail otherwise. */
export function schemaAltered(cause: unknown): SeedError {
  return new SeedError(
    'store_corrupt',
    `The tables of the database are not as a seed made them: ${(cause as Error).message}.`,
    {
      hint: 'It was changed by another program; restore the home from a backup.',
      cause,
    },
  );
}

function assertSameSeed(state: LogState, root: RootChain, home: string): void {
  if (state.seed === root.seed) return;
  throw new SeedError('home_damaged', `The database in ${home} belongs to another seed.`, {
    hint: 'Restore seed.db and root from the same backup.',
    data: { database: state.seed, root: root.seed },
  });
}

/** The first receipt says whether a passphrase was set: taking its file away must not undo it. */
async function assertPassphraseKept(db: ReadHandle, { size }: LogState, home: string): Promise<void> {
  if (size === 0 || existsSync(passphrasePath(home))) return;
  const first = await findReceipt(db, 0);
  if (first === null || first.detail['passphrase'] !== 'set') return;
  throw new SeedError('home_damaged', `An owner passphrase was set, and its file ${passphrasePath(home)} is missing.`, {
    hint: 'Restore the file from a backup of the home.',
  });
}

interface NewestRow extends Row {
  readonly seq: number | null;
}

/**
 * That the head is what its signed checkpoint says, and ends with the newest receipt there is:
 * whatever is appended goes on from here. One row and one signature, whatever the log's length.
 *
 * @throws SeedError `log_forked`
 */
export async function assertHead(db: ReadHandle, state: LogState, root: RootChain): Promise<void> {
  const newest = await db.get<NewestRow>('SELECT max(seq) AS seq FROM substrate_receipts');
  if ((newest?.seq ?? -1) !== state.size - 1) throw logDamaged(state.size);
  if (state.size === 0) return;
  const line = await getReceiptLine(db, state.size - 1);
  if (receiptHash(line, fastSha256) !== state.prev || !isSigned(state, root)) throw logDamaged(state.size);
}

function isSigned({ seed, checkpoint, size, range }: LogState, { everyLogKey }: RootChain): boolean {
  try {
    const signed = openCheckpoint(checkpoint, {
      origin: originOf(seed),
      publicKeys: everyLogKey,
      sha: fastSha256,
      verify: fastVerify,
    });
    return signed.size === size && Buffer.from(signed.root).equals(range.root());
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

export function logDamaged(size: number): SeedError {
  return new SeedError(
    'log_forked',
    `The ${size} receipts in the database are not those that its own checkpoint covers.`,
    {
      hint: 'Only a restore from a backup helps; an export and `seed receipts verify` name the first one that is wrong.',
    },
  );
}

/** A home has one from its first receipt on; without it an older copy of the log would pass for it. */
function checkpointMissing(path: string, size: number): SeedError {
  return new SeedError('log_rolled_back', `The checkpoint kept outside the log is missing (${path}).`, {
    hint: 'Put the file back. If it is lost, take the log as it is with `seed receipts accept-rollback`.',
    data: { size },
  });
}
