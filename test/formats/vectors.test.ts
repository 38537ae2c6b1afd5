/** The vectors were made by another implementation (`test/vectors/make_vectors.py`); both hashes must agree with it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fromHex, sha256, toHex, utf8 } from '../../src/formats/bytes.ts';
import { canonicalize, parseCanonical, parseJson } from '../../src/formats/canonical.ts';
import { checkpointSigner, checkpointText, openCheckpoint } from '../../src/formats/checkpoint.ts';
import { verifySignature } from '../../src/formats/ed25519.ts';
import { FormatError } from '../../src/formats/error.ts';
import {
  CompactRange,
  consistencyRanges,
  inclusionRanges,
  leafHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/formats/merkle.ts';
import { formatNote, keyId, parseNote, verifierKey } from '../../src/formats/note.ts';
import { formatProof, parseProof, verifyProof } from '../../src/formats/proof.ts';
import { encodeReceipt, parseReceipt, receiptHash } from '../../src/formats/receipt.ts';
import { parseRoot, seedIdOf, verifyRootChain } from '../../src/formats/root.ts';
import { keyOfSecret, nodeSha, treeHash } from './build-log.ts';

const FOLDER = fileURLToPath(new URL('../vectors/', import.meta.url));
const HASHES = [
  ['node:crypto', nodeSha],
  ['noble', sha256],
] as const;

interface Vectors {
  canonical: {
    accept: { name: string; json: string; canonical: string; sha256: string }[];
    refuse: { name: string; json: string }[];
    not_canonical: { name: string; text: string }[];
  };
  receipts: { accept: { line: string; hash: string }[]; refuse: { field: string; line: string }[] };
  merkle: {
    leaves: string[];
    roots: string[];
    inclusion: { index: number; size: number; path: string[] }[];
    consistency: { old: number; new: number; path: string[] }[];
  };
  checkpoints: {
    secret: string;
    public: string;
    origin: string;
    key_id: string;
    vkey: string;
    notes: { size: number; root: string; text: string; note: string }[];
    go_note: { name: string; vkey: string; note: string };
  };
  roots: { seed: string; seed_from: string; files: string[]; log_keys: string[] };
  proofs: { proofs: { index: number; size: number; text: string }[] };
}

function vectors<K extends keyof Vectors>(name: K): Vectors[K] {
  return JSON.parse(readFileSync(`${FOLDER}${name}.json`, 'utf8')) as Vectors[K];
}

function bytes(hex: string): Uint8Array {
  const value = fromHex(hex);
  if (value === null) throw new Error('a vector is not hex');
  return value;
}

function refusalOf(act: () => unknown): FormatError {
  try {
    act();
  } catch (error) {
    if (error instanceof FormatError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('canonical form', () => {
  const { accept, refuse, not_canonical: notCanonical } = vectors('canonical');

  it.each(accept)('$name', ({ json, canonical, sha256: expected }) => {
    expect(canonicalize(parseJson(json))).toBe(canonical);
    expect(canonicalize(parseCanonical(canonical))).toBe(canonical);
    for (const [, sha] of HASHES) expect(toHex(sha(utf8(canonical)))).toBe(expected);
  });

  it.each(refuse)('has none for $name', ({ json }) => {
    expect(refusalOf(() => canonicalize(parseJson(json))).code).toBe('not_canonical');
    expect(refusalOf(() => parseCanonical(json)).code).toBe('not_canonical');
  });

  it.each(notCanonical)('is not a text with $name', ({ text }) => {
    expect(refusalOf(() => parseCanonical(text)).code).toBe('not_canonical');
  });
});

describe('receipts', () => {
  const { accept, refuse } = vectors('receipts');

  it.each(HASHES)('are read, written and hashed alike with %s', (_, sha) => {
    for (const { line, hash } of accept) {
      expect(encodeReceipt(parseReceipt(line))).toBe(line);
      expect(receiptHash(line, sha)).toBe(hash);
    }
  });

  it.each(refuse)('are refused for $field', ({ field, line }) => {
    const refusal = refusalOf(() => parseReceipt(line));
    expect([refusal.code, refusal.field]).toEqual(['bad_receipt', field]);
  });
});

describe.each(HASHES)('tree with %s', (_, sha) => {
  const { leaves, roots, inclusion, consistency } = vectors('merkle');
  const hashes = leaves.map((leaf) => leafHash(bytes(leaf), sha));

  it('is known from the certificate-transparency test suite', () => {
    expect(roots[1]).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    expect(roots[7]).toBe('ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c');
    expect(roots[8]).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
  });

  it('has the root of every size', () => {
    const tree = new CompactRange(sha);
    for (const [size, root] of roots.entries()) {
      expect(toHex(tree.root())).toBe(root);
      expect(tree.size).toBe(size);
      const hash = hashes[size];
      if (hash !== undefined) tree.append(hash);
    }
  });

  it('proves inclusion', () => {
    for (const { index, size, path } of inclusion) {
      expect(inclusionRanges(index, size).map(({ start, end }) => toHex(treeHash(hashes.slice(start, end))))).toEqual(
        path,
      );
      const claim = { leaf: hashes[index]!, index, size, path: path.map(bytes), root: bytes(roots[size]!), sha };
      expect(verifyInclusion(claim)).toBe(true);
    }
  });

  it('proves consistency', () => {
    for (const { old, new: newSize, path } of consistency) {
      const ranges = consistencyRanges(old, newSize);
      expect(ranges.map(({ start, end }) => toHex(treeHash(hashes.slice(start, end))))).toEqual(path);
      const sizes = { oldSize: old, oldRoot: bytes(roots[old]!), newSize, newRoot: bytes(roots[newSize]!) };
      expect(verifyConsistency({ ...sizes, path: path.map(bytes), sha })).toBe(true);
    }
  });
});

describe.each(HASHES)('checkpoints with %s', (_, sha) => {
  const { secret, public: publicHex, origin, key_id: id, vkey, notes, go_note: goNote } = vectors('checkpoints');
  const key = keyOfSecret(bytes(secret));

  it('name the key alike', () => {
    expect(toHex(key.publicKey)).toBe(publicHex);
    expect(toHex(keyId(origin, key.publicKey, sha))).toBe(id);
    expect(verifierKey(origin, key.publicKey, sha)).toBe(vkey);
  });

  it.each(notes)('sign $size receipts alike', ({ size, root, text, note }) => {
    const checkpoint = { origin, size, root: bytes(root) };
    expect(checkpointText(checkpoint)).toBe(text);
    expect(checkpointSigner(checkpoint.origin, key, sha)(checkpoint)).toBe(note);
    expect(openCheckpoint(note, { origin, publicKeys: [key.publicKey], sha })).toEqual(checkpoint);
  });

  it('read the note in the documentation of sumdb/note', () => {
    const [, , encoded] = goNote.vkey.split('+');
    const publicKey = new Uint8Array(Buffer.from(encoded!, 'base64').subarray(1));
    expect(verifierKey(goNote.name, publicKey, sha)).toBe(goNote.vkey);
    const { text, signatures } = parseNote(goNote.note);
    expect(formatNote(text, signatures)).toBe(goNote.note);
    expect(signatures.map(({ name }) => name)).toEqual([goNote.name]);
    expect(signatures[0]!.keyId).toEqual(new Uint8Array(keyId(goNote.name, publicKey, sha)));
    expect(verifySignature(signatures[0]!.signature, utf8(text), publicKey)).toBe(true);
  });
});

describe.each(HASHES)('roots and proofs with %s', (_, sha) => {
  const { seed, seed_from: seedFrom, files, log_keys: logKeys } = vectors('roots');
  const lines = vectors('receipts').accept.map(({ line }) => line);

  it('make the same seed', () => {
    expect(toHex(sha(utf8(seedFrom)))).toBe(seed);
    expect(seedIdOf(parseRoot(files[0]!, sha).signed, sha)).toBe(seed);
    const chain = verifyRootChain(files, { sha, pinned: files[0]! });
    expect([chain.seed, chain.logKeys.map(toHex), chain.everyLogKey.map(toHex)]).toEqual([
      seed,
      logKeys.slice(1),
      logKeys,
    ]);
  });

  it.each(vectors('proofs').proofs)('prove receipt $index of $size', ({ index, size, text }) => {
    expect(formatProof(parseProof(text))).toBe(text);
    const proven = verifyProof(text, { roots: files.slice(0, 1), pinnedRoot: files[0]!, sha });
    expect(proven).toEqual({ receipt: parseReceipt(lines[index]!), size, verdict: 'proven' });
  });
});

const OPENSSL = ((): boolean => {
  try {
    return /^OpenSSL [3-9]/.test(execFileSync('openssl', ['version'], { encoding: 'utf8' }));
  } catch {
    return false;
  }
})();
const PYTHON = ((): boolean => {
  try {
    execFileSync('python3', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

describe('the vectors themselves', () => {
  it.skipIf(!OPENSSL || !PYTHON)('are what their script makes', () => {
    execFileSync('python3', [`${FOLDER}make_vectors.py`, '--check']);
  });
});
