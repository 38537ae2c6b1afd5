import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { toBase64, utf8 } from '../../src/formats/bytes.ts';
import { FormatError } from '../../src/formats/error.ts';
import { formatProof, parseProof, verifyProof } from '../../src/formats/proof.ts';
import { edit, edited, runs } from './arbitraries.ts';
import { buildLog, checkpointOf, nodeSha, proofOf, testKey } from './build-log.ts';

const log = buildLog({ size: 11 });
const trust = { roots: log.roots, pinnedRoot: log.roots[0]!, sha: nodeSha };
const text = proofOf(log, 6);

function refused(code: string): Error {
  return expect.objectContaining({ name: 'FormatError', code }) as Error;
}

describe('proof of a receipt', () => {
  it('gives the receipt, proven with a pinned root and consistent without', () => {
    const { pinnedRoot: _, ...unpinned } = trust;
    for (const [seq, receipt] of log.receipts.entries()) {
      const proof = proofOf(log, seq);
      expect(verifyProof(proof, trust)).toEqual({ receipt, size: 11, verdict: 'proven' });
      expect(verifyProof(proof, unpinned).verdict).toBe('consistent');
    }
  });

  it('has the lines of the public format', () => {
    const lines = text.split('\n');
    expect(lines[0]).toBe('c2sp.org/tlog-proof@v1');
    expect(lines[1]).toBe(`extra ${toBase64(utf8(log.lines[6]!))}`);
    expect(lines[2]).toBe('index 6');
    expect(lines.slice(3, 8).every((line, n) => (n < 4 ? line.length === 44 : line === ''))).toBe(true);
    expect(lines.slice(8).join('\n')).toBe(log.checkpoint);
  });

  it('is found out after any single edit, pinned or not', () => {
    fc.assert(
      fc.property(edit, fc.boolean(), (change, isPinned) => {
        const bytes = edited(utf8(text), change);
        if (bytes === null) return;
        const given = isPinned ? trust : { roots: trust.roots, sha: nodeSha };
        expect(() => verifyProof(Buffer.from(bytes).toString(), given)).toThrow(FormatError);
      }),
      runs(200, 3_000),
    );
  });

  it('is not good for another receipt, index, tree or root', () => {
    const proof = parseProof(text);
    const other = buildLog({ name: 'elsewhere', size: 11 });
    for (const [change, code] of [
      [{ extra: utf8(log.lines[5]!) }, 'bad_proof'],
      [{ extra: null }, 'bad_proof'],
      [{ index: 7 }, 'bad_proof'],
      [{ index: 11 }, 'bad_proof'],
      [{ path: proof.path.slice(1) }, 'bad_proof'],
      [{ checkpoint: buildLog({ size: 10 }).checkpoint }, 'bad_proof'],
      [{ checkpoint: other.checkpoint }, 'bad_checkpoint'],
    ] as const) {
      expect(() => verifyProof(formatProof({ ...proof, ...change }), trust)).toThrow(refused(code));
    }
    expect(() => verifyProof(proofOf(other, 6), { ...trust, roots: other.roots })).toThrow(refused('bad_root'));
  });

  it('is not good where the log key signed a leaf that is no receipt of that place', () => {
    // The tree over one line that says that it is number 6.
    const misplaced = { ...log, ...sealOne(log.lines[6]!) };
    expect(() => verifyProof(proofOf(misplaced, 0), trust)).toThrow(refused('bad_proof'));
    const foreign = buildLog({ name: 'elsewhere', size: 1 }).lines[0]!;
    expect(() => verifyProof(proofOf({ ...log, ...sealOne(foreign) }, 0), trust)).toThrow(refused('bad_proof'));
    expect(() => verifyProof(proofOf({ ...log, ...sealOne('not a receipt') }, 0), trust)).toThrow(
      refused('not_canonical'),
    );
  });

  it.each([
    ['another header', 'c2sp.org/tlog-proof@v2\nindex 0\n\n'],
    ['no index', 'c2sp.org/tlog-proof@v1\n\n'],
    ['a leading zero', 'c2sp.org/tlog-proof@v1\nindex 00\n\n'],
    ['the lines in another order', 'c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\n'],
    ['a short hash', 'c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n'],
    ['too long a path', `c2sp.org/tlog-proof@v1\nindex 0\n${`${'A'.repeat(43)}=\n`.repeat(60)}\n`],
    ['an index that is not exact', 'c2sp.org/tlog-proof@v1\nindex 9007199254740993\n\n'],
  ])('is refused with %s', (_, head) => {
    expect(() => parseProof(head + log.checkpoint)).toThrow(refused('bad_proof'));
  });

  it('may come without the receipt, and without a path', () => {
    const { checkpoint } = log;
    const bare = `c2sp.org/tlog-proof@v1\nindex 0\n\n${checkpoint}`;
    expect(parseProof(bare)).toEqual({ extra: null, index: 0, path: [], checkpoint });
  });
});

function sealOne(line: string): { lines: string[]; checkpoint: string } {
  return { lines: [line], checkpoint: checkpointOf([line], log.origin, testKey('home log 1')) };
}
