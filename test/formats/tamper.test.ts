/**
 * LOCK-RECEIPT-1 as a property: no single edit of any file of an export goes unseen. And, for each
 * of the checks that it rests on, what would pass without it.
 */
import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { equal, utf8 } from '../../src/formats/bytes.ts';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { FormatError } from '../../src/formats/error.ts';
import { CompactRange, leafHash } from '../../src/formats/merkle.ts';
import { GENESIS_PREV, parseReceipt, receiptHash } from '../../src/formats/receipt.ts';
import { verifyRootChain } from '../../src/formats/root.ts';
import { edit, edited, LONG, runs } from './arbitraries.ts';
import { buildLog, chained, fileOf, nodeSha, seal, type TestExport, testKey, verdictOf } from './build-log.ts';

const log = buildLog({ size: 7, versions: 2 });

describe('LOCK-RECEIPT-1: any single edit', () => {
  const files = fc.constantFrom('receipts', 'checkpoint', 'root 1', 'root 2');

  function tampered(file: string, change: Parameters<typeof edited>[1]): TestExport | null {
    const replace = (bytes: Uint8Array): Uint8Array | null => edited(bytes, change);
    // Read as a lenient program would read it: what is not UTF-8 becomes U+FFFD.
    const replaceText = (text: string): string | undefined => {
      const bytes = replace(utf8(text));
      return bytes === null ? undefined : Buffer.from(bytes).toString();
    };
    if (file === 'receipts') {
      const bytes = replace(log.file);
      return bytes === null ? null : { ...log, file: bytes };
    }
    if (file === 'checkpoint') return { ...log, checkpoint: replaceText(log.checkpoint) ?? '' };
    const index = file === 'root 1' ? 0 : 1;
    return { ...log, roots: log.roots.with(index, replaceText(log.roots[index]!) ?? '') };
  }

  it.each([
    ['with the root of trust pinned', { pinnedRoot: log.roots[0]! }],
    ['with its newest version pinned', { pinnedRoot: log.roots[1]! }],
    // Nothing escapes here either: an edit is not a forgery, and all that is signed stays signed.
    ['without a pinned root', {}],
  ])('is found %s', (_, trust) => {
    fc.assert(
      fc.property(files, edit, (file, change) => {
        const given = tampered(file, change);
        if (given === null) return;
        const verdict = verdictOf(given, trust);
        expect(verdict.verdict).toBe('broken');
        expect(verdict.firstBroken?.message).toMatch(/./);
      }),
      runs(120, 3_000),
    );
  });

  it('is found in the receipt where it was made, or in the file as a whole', () => {
    const starts = log.lines.map((_, seq) => fileOf(log.lines.slice(0, seq)).length);
    fc.assert(
      fc.property(edit, (change) => {
        const bytes = edited(log.file, change);
        if (bytes === null) return;
        const at = Math.floor(change.at * log.file.length);
        const hit = starts.findLastIndex((start) => start <= at);
        const { firstBroken } = verdictOf({ ...log, file: bytes });
        if (firstBroken?.problem === 'root_mismatch') {
          expect(hit).toBe(log.lines.length - 1);
          return;
        }
        // A newline belongs to the line before it: without it two lines become one.
        expect(firstBroken?.seq).toBe(hit);
      }),
      runs(150, 3_000),
    );
  });

  it.skipIf(!LONG)('is found for every bit of every file', () => {
    const small = buildLog({ size: 2 });
    const [root, checkpoint] = [utf8(small.roots[0]!), utf8(small.checkpoint)];
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
    for (const flipped of everyFlip(small.file)) expectFound({ ...small, file: flipped });
    for (const flipped of everyFlip(checkpoint)) expectFound({ ...small, checkpoint: text(flipped) });
    for (const flipped of everyFlip(root)) expectFound({ ...small, roots: [text(flipped)] });
  });

  function* everyFlip(bytes: Uint8Array): Generator<Uint8Array> {
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const at = Math.floor(bit / 8);
      yield bytes.with(at, bytes[at]! ^ (1 << (bit % 8)));
    }
  }

  function expectFound(given: TestExport): void {
    expect(verdictOf(given).verdict).toBe('broken');
  }
});

interface Checks {
  readonly roots: boolean;
  readonly checkpoint: boolean;
  readonly chain: boolean;
}

/** A verifier of the same pieces from which a check can be taken out. True when nothing was found. */
function passes({ roots, checkpoint, file }: TestExport, pinned: string, checks: Checks): boolean {
  try {
    const chain = verifyRootChain(roots, checks.roots ? { pinned } : {});
    const signed = openCheckpoint(checkpoint, { origin: `sovereign-seed/${chain.seed}`, publicKeys: chain.logKeys });
    const tree = new CompactRange(nodeSha);
    let prev = GENESIS_PREV;
    for (const line of Buffer.from(file).toString().split('\n').slice(0, -1)) {
      if (checks.chain && parseReceipt(line).prev !== prev) return false;
      prev = receiptHash(line, nodeSha);
      tree.append(leafHash(utf8(line), nodeSha));
    }
    return !checks.checkpoint || (tree.size === signed.size && equal(tree.root(), signed.root));
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

describe('negative control: without the check of', () => {
  const all: Checks = { roots: true, checkpoint: true, chain: true };
  const forger = { ...log, logKey: testKey('forger') };
  const rewritten = chained(log.receipts.with(3, { ...log.receipts[3]!, detail: { other: 'history' } }));
  const tampers: readonly [keyof Checks, TestExport][] = [
    ['chain', seal(log.receipts.with(3, { ...log.receipts[3]!, detail: { other: 'history' } }), log)],
    ['checkpoint', { ...seal(rewritten, forger), checkpoint: log.checkpoint }],
    ['roots', buildLog({ name: 'forger', size: 7 })],
  ];

  it.each(tampers)('%s, a tamper passes', (check, given) => {
    const pinned = log.roots[0]!;
    expect(passes(log, pinned, all)).toBe(true);
    expect(passes(given, pinned, all)).toBe(false);
    expect(passes(given, pinned, { ...all, [check]: false })).toBe(true);
    expect(verdictOf(given, { pinnedRoot: pinned }).verdict).toBe('broken');
  });
});
