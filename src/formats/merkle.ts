/**
 * The Merkle tree of RFC 6962 §2.1 over SHA-256, and its proofs.
 *
 * Sizes and indexes go to 2^53−1, beyond what bitwise operators hold, hence the divisions. Proofs
 * are made from ranges of leaves: this file says which ranges, whoever stores the leaves says
 * their hashes.
 */
import { concat, equal, fromHex, type Sha256, sha256 } from './bytes.ts';
import { FormatError } from './error.ts';

/** Leaves `start` to `end - 1`. Its hash is the tree hash (RFC 6962 §2.1) of just those leaves. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

const HASH_BYTES = 32;
const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = 1;
/** Written anew for each node: every operation hashes a dozen, and an array for each costs as much as its hash. */
const nodeBytes = new Uint8Array(1 + 2 * HASH_BYTES);
nodeBytes[0] = NODE_PREFIX;
/** The same for leaves, as long as nearly every receipt is. */
const leafBytes = new Uint8Array(4_096);

/** The root of a tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array =
  fromHex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855') ?? new Uint8Array();

/** Hash of a leaf that holds these bytes. */
export function leafHash(bytes: Uint8Array, sha: Sha256 = sha256): Uint8Array {
  if (bytes.length >= leafBytes.length) return sha(concat(LEAF_PREFIX, bytes));
  leafBytes.set(bytes, 1);
  return sha(leafBytes.subarray(0, 1 + bytes.length));
}

/** Hash of the node over two subtrees. */
export function nodeHash(left: Uint8Array, right: Uint8Array, sha: Sha256 = sha256): Uint8Array {
  nodeBytes.set(left, 1);
  nodeBytes.set(right, 1 + HASH_BYTES);
  return sha(nodeBytes);
}

/**
 * A tree that only grows, kept as the roots of its perfect subtrees from left to right (one for
 * each bit set in its size, so at most 53 hashes).
 */
export class CompactRange {
  #size: number;
  // Hashes are never written to, so that a clone may share them.
  readonly #roots: Uint8Array[];
  readonly #sha: Sha256;

  constructor(sha: Sha256 = sha256, size: number = 0, roots: Uint8Array[] = []) {
    this.#sha = sha;
    this.#size = size;
    this.#roots = roots;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds the next leaf, given its {@link leafHash}. `onSubtree` is told the hash of each perfect
   * subtree of two leaves or more that it completes, of 2^height leaves, the `index`-th of its size.
   */
  append(hash: Uint8Array, onSubtree?: (height: number, index: number, hash: Uint8Array) => void): void {
    let root = hash;
    let height = 0;
    for (let rest = this.#size; rest % 2 === 1; ) {
      root = nodeHash(this.#roots.pop() as Uint8Array, root, this.#sha);
      rest = (rest - 1) / 2;
      height += 1;
      onSubtree?.(height, rest, root);
    }
    this.#roots.push(root);
    this.#size += 1;
  }

  /** The root of the tree as it stands. */
  root(): Uint8Array {
    return (
      this.#roots.reduceRight<Uint8Array | null>(
        (right, left) => (right === null ? left : nodeHash(left, right, this.#sha)),
        null,
      ) ?? EMPTY_ROOT
    );
  }

  /** An independent copy; cheap. */
  clone(): CompactRange {
    return new CompactRange(this.#sha, this.#size, this.#roots.slice());
  }

  /** The subtree roots after one another, largest subtree first: 32 bytes for each bit set in the size. */
  encode(): Uint8Array {
    return concat(...this.#roots);
  }

  /**
   * The tree of that size, from what {@link encode} gave.
   * @throws FormatError `bad_tree` when the bytes do not fit the size.
   */
  static decode(size: number, bytes: Uint8Array, sha: Sha256 = sha256): CompactRange {
    if (!isSize(size) || bytes.length !== bitCount(size) * HASH_BYTES) {
      throw new FormatError('bad_tree', 'The stored subtree hashes do not fit the size of the tree.');
    }
    const roots: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += HASH_BYTES) roots.push(bytes.slice(at, at + HASH_BYTES));
    return new CompactRange(sha, size, roots);
  }
}

/**
 * The ranges whose hashes are the inclusion proof of leaf `index` in the tree of `size` leaves, in
 * the order of the proof, from the leaf's sibling up (RFC 6962 §2.1.1). Every range but those at
 * the right edge of the tree is a perfect subtree.
 * @throws RangeError unless 0 ≤ index < size.
 */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!isSize(index) || !isSize(size) || index >= size) throw new RangeError('index must be below size');
  const fromRoot: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + largestPowerBelow(end - start);
    if (index < middle) {
      fromRoot.push({ start: middle, end });
      end = middle;
    } else {
      fromRoot.push({ start, end: middle });
      start = middle;
    }
  }
  return fromRoot.reverse();
}

/**
 * The ranges whose hashes are the consistency proof between two sizes of one tree, in the order of
 * the proof (RFC 6962 §2.1.2). Empty when the sizes are equal or the older tree is.
 * @throws RangeError unless 0 ≤ oldSize ≤ newSize.
 */
export function consistencyRanges(oldSize: number, newSize: number): LeafRange[] {
  if (!isSize(oldSize) || !isSize(newSize) || oldSize > newSize)
    throw new RangeError('oldSize must not exceed newSize');
  if (oldSize === 0) return [];
  const fromRoot: LeafRange[] = [];
  let start = 0;
  let end = newSize;
  while (end !== oldSize) {
    const middle = start + largestPowerBelow(end - start);
    if (oldSize <= middle) {
      fromRoot.push({ start: middle, end });
      end = middle;
    } else {
      fromRoot.push({ start, end: middle });
      start = middle;
    }
  }
  // Whoever checks the proof knows the old root, so the old tree itself is left out of it.
  if (start !== 0) fromRoot.push({ start, end });
  return fromRoot.reverse();
}

export interface InclusionClaim {
  /** The {@link leafHash}. */
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
  readonly sha?: Sha256;
}

/** Whether the path shows that the tree with that root holds the leaf there (RFC 9162 §2.1.3.2). */
export function verifyInclusion(claim: InclusionClaim): boolean {
  const { leaf, index, size, path, root, sha = sha256 } = claim;
  if (!isSize(index) || !isSize(size) || index >= size || !areHashes([leaf, root, ...path])) return false;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash, sha);
      [node, last] = skipLeftEdges(node, last);
    } else {
      hash = nodeHash(hash, sibling, sha);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equal(hash, root);
}

export interface ConsistencyClaim {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly newSize: number;
  readonly newRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly sha?: Sha256;
}

/**
 * Whether the path shows that the newer tree begins with all of the older one
 * (RFC 9162 §2.1.4.2). Every tree continues the empty one, with an empty path.
 */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { oldSize, oldRoot, newSize, newRoot, path } = claim;
  if (!isSize(oldSize) || !isSize(newSize) || oldSize > newSize) return false;
  if (!areHashes([oldRoot, newRoot, ...path])) return false;
  if (oldSize === newSize) return path.length === 0 && equal(oldRoot, newRoot);
  if (oldSize === 0) return path.length === 0 && equal(oldRoot, EMPTY_ROOT);
  return path.length > 0 && foldConsistency(claim);
}

function foldConsistency({ oldSize, oldRoot, newSize, newRoot, path, sha = sha256 }: ConsistencyClaim): boolean {
  const hashes = isPowerOfTwo(oldSize) ? [oldRoot, ...path] : path;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = half(node);
    last = half(last);
  }
  let [oldHash, newHash] = [hashes[0] as Uint8Array, hashes[0] as Uint8Array];
  for (const sibling of hashes.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash, sha);
      newHash = nodeHash(sibling, newHash, sha);
      [node, last] = skipLeftEdges(node, last);
    } else {
      newHash = nodeHash(newHash, sibling, sha);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(newHash, newRoot);
}

/** A node at the right edge without a sibling is its own parent: go up to where it has one. */
function skipLeftEdges(node: number, last: number): [number, number] {
  let [n, l] = [node, last];
  while (n % 2 === 0 && n !== 0) {
    n = half(n);
    l = half(l);
  }
  return [n, l];
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(values: readonly Uint8Array[]): boolean {
  return values.every((value) => value.length === HASH_BYTES);
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function bitCount(value: number): number {
  let count = 0;
  for (let rest = value; rest > 0; rest = half(rest)) count += rest % 2;
  return count;
}

function isPowerOfTwo(value: number): boolean {
  return bitCount(value) === 1;
}

/** Where RFC 6962 splits a tree of `size` > 1 leaves: the largest power of two below the size. */
function largestPowerBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
