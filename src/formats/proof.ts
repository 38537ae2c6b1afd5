/**
 * Proofs that one receipt stands in the log (C2SP tlog-proof), checkable offline. The `extra` line
 * carries the receipt's stored bytes; the format calls it unauthenticated, so it is believed only
 * once it hashes to the leaf that the path proves.
 */
import { decodeUtf8, fromBase64, type Sha256, sha256, toBase64 } from './bytes.ts';
import { openCheckpoint, originOf } from './checkpoint.ts';
import { FormatError } from './error.ts';
import { leafHash, verifyInclusion } from './merkle.ts';
import { parseNote } from './note.ts';
import { parseReceipt, type Receipt, RECEIPT_BYTES_MAX } from './receipt.ts';
import { verifyRootChain } from './root.ts';

export interface LogProof {
  /** The receipt's line, without newline; null when the proof came without it. */
  readonly extra: Uint8Array | null;
  /** The receipt's `seq`. */
  readonly index: number;
  /** Hashes of `inclusionRanges(index, size)`. */
  readonly path: readonly Uint8Array[];
  /** The signed note, as it is. */
  readonly checkpoint: string;
}

export interface VerifyProofOptions {
  /** Exact texts of all versions of the root of trust, in order. */
  readonly roots: readonly string[];
  /** Exact text of any one version, known from elsewhere. */
  readonly pinnedRoot?: string;
  readonly sha?: Sha256;
}

export interface ProvenReceipt {
  readonly receipt: Receipt;
  /** Receipts covered by the checkpoint. */
  readonly size: number;
  /** `proven` with a pinned root, else `consistent`; see `Verdict`. */
  readonly verdict: 'proven' | 'consistent';
}

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';
const INDEX = 'index ';
const HASH_BYTES = 32;
/** A path has at most one hash for each of the 53 levels of the largest tree. */
const PATH_MAX = 53;
const PROOF_UNITS_MAX = 1024 * 1024;
const DECIMAL = /^(0|[1-9][0-9]{0,15})$/;

/**
 * The text of a proof, to be stored as `.tlog-proof`.
 * @throws FormatError `bad_proof` or `bad_note` when a part cannot stand in one.
 */
export function formatProof({ extra, index, path, checkpoint }: LogProof): string {
  if (!Number.isSafeInteger(index) || index < 0) throw bad('The index is not a number of a receipt.', 'index');
  if (path.length > PATH_MAX || path.some((hash) => hash.length !== HASH_BYTES))
    throw bad('The path is not hashes of 32 bytes.', 'path');
  if (extra !== null && extra.length > RECEIPT_BYTES_MAX) throw bad('The receipt is too long.', 'extra');
  parseNote(checkpoint);
  const extraLine = extra === null ? [] : [`${EXTRA}${toBase64(extra)}`];
  return [HEADER, ...extraLine, `${INDEX}${index}`, ...path.map(toBase64), '', checkpoint].join('\n');
}

/**
 * The parts of a proof. Nothing is verified yet.
 * @throws FormatError `bad_proof` or `bad_note` unless {@link formatProof} writes the very same text.
 */
export function parseProof(text: string): LogProof {
  if (text.length > PROOF_UNITS_MAX) throw bad('The proof is too long.', null);
  const split = text.indexOf('\n\n');
  if (split < 0) throw bad('A proof is a head, an empty line and a checkpoint.', null);
  const lines = text.slice(0, split).split('\n', PATH_MAX + 4);
  if (lines.shift() !== HEADER) throw bad(`A proof begins with ${HEADER}.`, 'header');
  const extra = lines[0]?.startsWith(EXTRA) ? decode(lines.shift()?.slice(EXTRA.length), 'extra') : null;
  const indexLine = lines.shift() ?? '';
  const index = indexLine.slice(INDEX.length);
  if (!indexLine.startsWith(INDEX) || !DECIMAL.test(index))
    throw bad('The index is not a number of a receipt.', 'index');
  const path = lines.map((line) => decode(line, 'path'));
  const proof = { extra, index: Number(index), path, checkpoint: text.slice(split + 2) };
  if (formatProof(proof) !== text) throw bad('The proof is not in the form that would be written.', null);
  return proof;
}

/**
 * The receipt of a proof, verified up to the root of trust.
 * @throws FormatError `bad_proof` when the path or the receipt is not of that log, and every error
 * of the parts.
 */
export function verifyProof(text: string, options: VerifyProofOptions): ProvenReceipt {
  const { roots, pinnedRoot, sha = sha256 } = options;
  const { extra, index, path, checkpoint: note } = parseProof(text);
  const chain = verifyRootChain(roots, pinnedRoot === undefined ? { sha } : { pinned: pinnedRoot, sha });
  const { size, root } = openCheckpoint(note, { origin: originOf(chain.seed), publicKeys: chain.logKeys, sha });
  if (extra === null) throw bad('The proof carries no receipt.', 'extra');
  if (!verifyInclusion({ leaf: leafHash(extra, sha), index, size, path, root, sha })) {
    throw bad('The checkpoint does not cover this receipt at this index.', 'path');
  }
  const line = decodeUtf8(extra);
  if (line === null) throw bad('The receipt is not UTF-8.', 'extra');
  const receipt = parseReceipt(line);
  if (receipt.seq !== index || receipt.seed !== chain.seed)
    throw bad('The receipt is of another place or seed.', 'extra');
  return { receipt, size, verdict: pinnedRoot === undefined ? 'consistent' : 'proven' };
}

function decode(base64: string | undefined, field: string): Uint8Array {
  const bytes = base64 === undefined ? null : fromBase64(base64);
  if (bytes === null) throw bad('A line is not base64.', field);
  return bytes;
}

function bad(message: string, field: string | null): FormatError {
  return new FormatError('bad_proof', message, field);
}
