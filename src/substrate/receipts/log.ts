/**
 * The receipt log: appends receipts and covers each commit group with one signed checkpoint.
 *
 * A `LogWriter` belongs to one transaction. What it changes in memory is adopted only when the
 * transaction has committed, so a lost group leaves no trace.
 */
import { SeedError } from '../../errors.ts';
import type { Json } from '../../formats/canonical.ts';
import type { Signer, SignCheckpoint } from '../../formats/checkpoint.ts';
import { checkpointSigner, originOf } from '../../formats/checkpoint.ts';
import { CompactRange } from '../../formats/merkle.ts';
import type { Outcome, Receipt, ReceiptActor } from '../../formats/receipt.ts';
import { encodeReceipt, GENESIS_PREV } from '../../formats/receipt.ts';
import { isoTime } from '../sources.ts';
import type { ReadHandle, Row, Transaction } from '../store/store.ts';
import { listTile } from './lists.ts';
import { fastSha256, fastSha256HexOfText, fastSha256OfText } from './sha256.ts';
import { TILE_HEIGHT } from './tree.ts';

/** The log as of its newest commit. */
export interface LogState {
  readonly seed: string;
  /** Receipts in the log; also the next `seq`. */
  readonly size: number;
  readonly range: CompactRange;
  /** SHA-256 of the newest receipt, hex. */
  readonly prev: string;
  /** The newest receipt's time; the next is never before it. */
  readonly time: string;
  /** The newest checkpoint, a C2SP signed note; empty while the log is. */
  readonly checkpoint: string;
}

/** The log as whoever appends to it has to know it. */
export interface WritableLog extends LogState {
  /** The `seq` of each intent without an outcome, in order. */
  readonly open: ReadonlySet<number>;
}

/** What one receipt says, as far as its writer decides it. */
export interface ReceiptDraft {
  readonly actor: ReceiptActor;
  readonly action: string;
  readonly outcome: Outcome;
  readonly subject: Receipt['subject'];
  readonly code: string | null;
  /** The `seq` of the intent that this settles. */
  readonly of: number | null;
  /** Salted content hashes, see `content.ts`. */
  readonly input: string | null;
  readonly output: string | null;
  /** Small facts; names and ids, never content. */
  readonly detail: Readonly<Record<string, Json>>;
}

interface LogRow extends Row {
  readonly seed: string;
  readonly size: number;
  readonly frontier: Uint8Array;
  readonly prev: string;
  readonly time: string;
  readonly checkpoint: string;
}

/** Intents without an outcome, as a table for other statements. The head says where the earliest stands. */
export const OPEN_INTENTS = `(SELECT seq, bytes FROM substrate_receipts r
  WHERE seq >= (SELECT open_from FROM substrate_log WHERE id = 1) AND outcome = 'intent'
    AND NOT EXISTS (SELECT 1 FROM substrate_receipts WHERE of_seq = r.seq))`;

export function emptyLog(seed: string): WritableLog {
  const range = new CompactRange(fastSha256);
  return { seed, size: 0, range, prev: GENESIS_PREV, time: '', checkpoint: '', open: new Set() };
}

/** The log's newest committed state; null in a database that has none yet. */
export async function readLogState(db: ReadHandle): Promise<LogState | null> {
  const row = await db.get<LogRow>(
    'SELECT seed, size, frontier, prev, time, checkpoint FROM substrate_log WHERE id = 1',
  );
  if (row === undefined) return null;
  const { frontier, ...rest } = row;
  return { ...rest, range: CompactRange.decode(row.size, new Uint8Array(frontier), fastSha256) };
}

/** The `seq` of each committed intent without an outcome, in order. */
export async function readOpenIntents(db: ReadHandle): Promise<ReadonlySet<number>> {
  const rows = await db.all<{ seq: number }>(`SELECT seq FROM ${OPEN_INTENTS} ORDER BY seq`);
  return new Set(rows.map(({ seq }) => seq));
}

/** Signs the checkpoints of that seed's log. */
export function logSigner(seed: string, signer: Signer): SignCheckpoint {
  return checkpointSigner(originOf(seed), signer, fastSha256);
}

/** What a leaf's hash begins with (RFC 6962 §2.1), as a text: zero is one byte of UTF-8. */
const LEAF_PREFIX = '\0';

export class LogWriter {
  readonly #before: WritableLog;
  readonly #sign: SignCheckpoint;
  readonly #range: CompactRange;
  #prev: string;
  #time: string;
  #changedOpen: Set<number> | null = null;
  #halfDone = false;

  constructor(state: WritableLog, sign: SignCheckpoint) {
    this.#before = state;
    this.#sign = sign;
    this.#range = state.range.clone();
    this.#prev = state.prev;
    this.#time = state.time;
  }

  get seed(): string {
    return this.#before.seed;
  }

  /** The `seq` of the receipt that is appended next. */
  get nextSeq(): number {
    return this.#range.size;
  }

  /**
   * Appends one receipt and resolves to its `seq`.
   *
   * @throws FormatError when a field cannot stand in a receipt, SeedError `conflict` when `of` is
   *   no open intent; nothing is appended then
   */
  async append(tx: Transaction, draft: ReceiptDraft, now: number): Promise<number> {
    // After a receipt that was counted and not stored no other may close the gap.
    this.#assertWhole();
    const time = laterOf(isoTime(now), this.#time);
    const seq = this.nextSeq;
    const receipt: Receipt = { v: 1, seed: this.#before.seed, seq, prev: this.#prev, time, ...draft };
    if (draft.of !== null && !this.#open.has(draft.of)) throw notOpen(draft.of);
    const line = encodeReceipt(receipt);
    await tx.run(
      'INSERT INTO substrate_receipts (seq, bytes, actor, grant_id, action, outcome, of_seq) VALUES (?, ?, ?, ?, ?, ?, ?)',
      seq,
      line,
      draft.actor.id,
      draft.actor.grant,
      draft.action,
      draft.outcome,
      draft.of,
    );
    this.#halfDone = true;
    this.#prev = fastSha256HexOfText(line);
    this.#time = time;
    if (draft.of !== null) this.#ownOpen().delete(draft.of);
    if (draft.outcome === 'intent') this.#ownOpen().add(seq);
    const tiles: [level: number, index: number, hash: Uint8Array][] = [];
    this.#range.append(fastSha256OfText(LEAF_PREFIX + line), (height, index, hash) => {
      if (height % TILE_HEIGHT === 0) tiles.push([height / TILE_HEIGHT, index, hash]);
    });
    for (const tile of tiles) {
      await tx.run('INSERT INTO substrate_tree (level, idx, hash) VALUES (?, ?, ?)', ...tile);
      const [level, index] = tile;
      if (level === 1) await listTile(tx, index);
    }
    this.#halfDone = false;
    return seq;
  }

  get #open(): ReadonlySet<number> {
    return this.#changedOpen ?? this.#before.open;
  }

  /** Copied once a group: the state before must stay what it was, should the group be lost. */
  #ownOpen(): Set<number> {
    this.#changedOpen ??= new Set(this.#before.open);
    return this.#changedOpen;
  }

  #assertWhole(): void {
    if (this.#halfDone) throw new Error('A receipt was counted but not stored; the group must not commit.');
  }

  /** Signs a checkpoint over everything appended and writes the log's head. */
  async seal(tx: Transaction): Promise<WritableLog> {
    this.#assertWhole();
    const { seed, size } = this.#before;
    if (this.#range.size === size) return this.#before;
    const state: WritableLog = {
      seed,
      size: this.#range.size,
      range: this.#range,
      prev: this.#prev,
      time: this.#time,
      checkpoint: this.#sign({ size: this.#range.size, root: this.#range.root() }),
      open: this.#open,
    };
    await writeHead(tx, state);
    return state;
  }
}

async function writeHead(
  tx: Transaction,
  { seed, size, range, prev, time, checkpoint, open }: WritableLog,
): Promise<void> {
  const [earliest = size] = open;
  const head = [size, range.encode(), prev, time, checkpoint, earliest] as const;
  const changed = await tx.run(
    'UPDATE substrate_log SET size = ?, frontier = ?, prev = ?, time = ?, checkpoint = ?, open_from = ? WHERE id = 1',
    ...head,
  );
  if (changed > 0) return;
  await tx.run(
    `INSERT INTO substrate_log (id, size, frontier, prev, time, checkpoint, open_from, seed)
      VALUES (1, ?, ?, ?, ?, ?, ?, ?)`,
    ...head,
    seed,
  );
}

function notOpen(of: number): SeedError {
  return new SeedError('conflict', `Receipt ${of} is not an open intent.`, {
    hint: 'An outcome settles one intent, once.',
    data: { of },
  });
}

/** ISO times of one form order as text does. */
function laterOf(a: string, b: string): string {
  return a < b ? b : a;
}
