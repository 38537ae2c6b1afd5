import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { concat, toHex, utf8 } from '../../src/formats/bytes.ts';
import {
  CompactRange,
  consistencyRanges,
  inclusionRanges,
  type LeafRange,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/formats/merkle.ts';
import { LONG, runs } from './arbitraries.ts';
import { nodeSha, treeHash } from './build-log.ts';

const SIZE_MAX = LONG ? 1_030 : 130;
const leaves = Array.from({ length: SIZE_MAX }, (_, n) => leafHash(utf8(`leaf ${n}`), nodeSha));
const roots = [treeHash([])];
for (let size = 1; size <= SIZE_MAX; size++) roots.push(treeHash(leaves.slice(0, size)));
const hashOf = ({ start, end }: LeafRange): Uint8Array => treeHash(leaves.slice(start, end));
const twoSizes = fc
  .tuple(fc.nat(SIZE_MAX), fc.nat(SIZE_MAX))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

it.each([4_097, 0, 1, 4_094, 4_095, 4_096, 65_536, 3])(
  'the hash of a leaf is of all its %i bytes and of no others',
  (length) => {
    const bytes = Uint8Array.from({ length }, (_, n) => n % 251);
    expect(toHex(leafHash(bytes, nodeSha))).toBe(toHex(nodeSha(concat(Uint8Array.of(0), bytes))));
  },
);

describe('compact range', () => {
  it('has the root of the tree at every size, and survives being stored', () => {
    let tree = new CompactRange(nodeSha);
    for (const [size, leaf] of leaves.entries()) {
      expect(toHex(tree.root())).toBe(toHex(roots[size]!));
      tree = CompactRange.decode(tree.size, tree.encode(), nodeSha);
      tree.append(leaf);
    }
  });

  it('is not changed through its clone', () => {
    const tree = new CompactRange(nodeSha);
    for (const leaf of leaves.slice(0, 7)) tree.append(leaf);
    const clone = tree.clone();
    clone.append(leaves[7]!);
    expect([tree.size, toHex(tree.root())]).toEqual([7, toHex(roots[7]!)]);
    expect([clone.size, toHex(clone.root())]).toEqual([8, toHex(roots[8]!)]);
  });

  it.each([
    [3, 32],
    [3, 63],
    [0, 32],
    [-1, 32],
    [1.5, 32],
  ])('is not decoded as %d leaves from %d bytes', (size, length) => {
    expect(() => CompactRange.decode(size, new Uint8Array(length))).toThrow(/do not fit/);
  });

  it('counts beyond 32 bits', () => {
    const size = 2 ** 40 + 1;
    const left = leaves[0]!;
    const tree = CompactRange.decode(size, concat(left, leaves[1]!), nodeSha);
    tree.append(leaves[2]!);
    expect(tree.size).toBe(size + 1);
    const right = nodeHash(leaves[1]!, leaves[2]!, nodeSha);
    expect(toHex(tree.root())).toBe(toHex(nodeHash(left, right, nodeSha)));
    const claim = { leaf: leaves[2]!, index: size, size: size + 1, root: tree.root(), sha: nodeSha };
    expect(inclusionRanges(size, size + 1)).toEqual([
      { start: size - 1, end: size },
      { start: 0, end: size - 1 },
    ]);
    expect(verifyInclusion({ ...claim, path: [leaves[1]!, left] })).toBe(true);
  });
});

describe('inclusion proof', () => {
  it('proves every leaf of every size, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: SIZE_MAX }), fc.nat(), fc.nat(), fc.nat(), (size, a, b, c) => {
        const index = a % size;
        const path = inclusionRanges(index, size).map(hashOf);
        const claim = { leaf: leaves[index]!, index, size, path, root: roots[size]!, sha: nodeSha };
        expect(verifyInclusion(claim)).toBe(true);
        const other = b % SIZE_MAX;
        if (other !== index) {
          expect(verifyInclusion({ ...claim, leaf: leaves[other]! })).toBe(false);
          expect(verifyInclusion({ ...claim, index: other })).toBe(false);
        }
        expect(verifyInclusion({ ...claim, path: [...path, leaves[0]!] })).toBe(false);
        expect(verifyInclusion({ ...claim, root: roots[(size + 1) % SIZE_MAX]! })).toBe(false);
        if (path.length === 0) return;
        const at = c % path.length;
        expect(verifyInclusion({ ...claim, path: path.toSpliced(at, 1) })).toBe(false);
        expect(verifyInclusion({ ...claim, path: path.with(at, leaves[index]!.toReversed()) })).toBe(false);
      }),
      runs(300, 5_000),
    );
  });

  it.each([
    [0, 0],
    [5, 5],
    [-1, 5],
    [0.5, 5],
    [0, 2 ** 53],
  ])('has no ranges for leaf %d of %d', (index, size) => {
    expect(() => inclusionRanges(index, size)).toThrow(RangeError);
    expect(verifyInclusion({ leaf: leaves[0]!, index, size, path: [], root: leaves[0]! })).toBe(false);
  });
});

describe('a proof of another shape than its sizes ask for', () => {
  // The hashes add up, so only the shape tells: whoever lies about a size or an index makes these.
  const [a, b] = [leaves[0]!, leaves[1]!];

  it('is no inclusion proof', () => {
    const claim = { leaf: a, index: 0, path: [b], root: roots[2]!, sha: nodeSha };
    expect(verifyInclusion({ ...claim, size: 2 })).toBe(true);
    expect(verifyInclusion({ ...claim, size: 4 })).toBe(false);
    expect(verifyInclusion({ ...claim, leaf: b, path: [a], size: 1 })).toBe(false);
  });

  it('is no consistency proof', () => {
    const claim = {
      oldSize: 2,
      oldRoot: roots[2]!,
      newRoot: roots[4]!,
      path: [hashOf({ start: 2, end: 4 })],
      sha: nodeSha,
    };
    expect(verifyConsistency({ ...claim, newSize: 4 })).toBe(true);
    expect(verifyConsistency({ ...claim, newSize: 5 })).toBe(false);
  });
});

describe('consistency proof', () => {
  it('proves every older size, and nothing else', () => {
    fc.assert(
      fc.property(twoSizes, fc.nat(), ([oldSize, newSize], c) => {
        const path = consistencyRanges(oldSize, newSize).map(hashOf);
        const claim = { oldSize, oldRoot: roots[oldSize]!, newSize, newRoot: roots[newSize]!, path, sha: nodeSha };
        expect(verifyConsistency(claim)).toBe(true);
        expect(verifyConsistency({ ...claim, oldRoot: leaves[0]!.toReversed() })).toBe(false);
        expect(verifyConsistency({ ...claim, path: [...path, leaves[0]!] })).toBe(false);
        if (oldSize > 0) expect(verifyConsistency({ ...claim, newRoot: leaves[0]!.toReversed() })).toBe(false);
        if (path.length === 0) return;
        const at = c % path.length;
        expect(verifyConsistency({ ...claim, path: path.toSpliced(at, 1) })).toBe(false);
        expect(verifyConsistency({ ...claim, path: path.with(at, leaves[0]!.toReversed()) })).toBe(false);
      }),
      runs(300, 5_000),
    );
  });

  it('refuses sizes in the wrong order', () => {
    expect(() => consistencyRanges(3, 2)).toThrow(RangeError);
    const claim = { oldSize: 3, oldRoot: roots[3]!, newSize: 2, newRoot: roots[2]!, path: [] };
    expect(verifyConsistency(claim)).toBe(false);
  });
});
