import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { toBase64, toHex, utf8 } from '../../src/formats/bytes.ts';
import { canonicalize, type Json } from '../../src/formats/canonical.ts';
import { FormatError } from '../../src/formats/error.ts';
import {
  buildRoot,
  parseRoot,
  type RootContent,
  type RootDocument,
  rootKey,
  rootKeyId,
  seedIdOf,
  type SignedRoot,
  verifyRootChain,
} from '../../src/formats/root.ts';
import { edit, edited, runs } from './arbitraries.ts';
import { buildRoots, nodeSha, rootContent, type TestKey, testKey } from './build-log.ts';

const { roots, seed } = buildRoots('home', 3);
const [first, second, third] = roots as [string, string, string];
const key = (version: number): TestKey => testKey(`home root ${version}`);

function refused(code: string, field?: unknown): Error {
  return expect.objectContaining({ name: 'FormatError', code, ...(field === undefined ? {} : { field }) }) as Error;
}

/** The file again with something changed in `signed`, signed anew by the keys given. */
function resigned(file: string, change: Partial<SignedRoot>, signers: readonly TestKey[]): string {
  const signed = { ...parseRoot(file).signed, ...change };
  const bytes = utf8(canonicalize(signed));
  return canonicalize({
    signed,
    signatures: signers.map((s) => ({ key: rootKeyId(s.publicKey), sig: toBase64(s.sign(bytes)) })),
  });
}

/** A first version with changes, its id made to fit. */
function firstWith(
  change: { readonly [K in keyof SignedRoot]?: unknown },
  signers: readonly TestKey[] = [key(1)],
): string {
  const { seed: _, ...rest } = { ...parseRoot(first).signed, ...change };
  const signed = { ...rest, seed: toHex(nodeSha(utf8(canonicalize(rest as unknown as Json)))) };
  const bytes = utf8(canonicalize(signed as unknown as Json));
  const signatures = signers.map((s) => ({ key: rootKeyId(s.publicKey), sig: toBase64(s.sign(bytes)) }));
  return canonicalize({ signed, signatures } as unknown as Json);
}

describe('root of trust', () => {
  it('makes the id of the seed and names the newest keys', () => {
    const chain = verifyRootChain(roots);
    expect(chain.seed).toBe(seed);
    expect(seedIdOf(parseRoot(first).signed)).toBe(seed);
    expect(chain.current.signed.version).toBe(3);
    expect(chain.logKeys.map(toHex)).toEqual([toHex(testKey('home log 3').publicKey)]);
    expect(chain.everyLogKey).toHaveLength(3);
    expect(chain.issuerKeys).toHaveLength(1);
  });

  it.each([1, 2, 3])('may be pinned by version %d', (version) => {
    expect(verifyRootChain(roots, { pinned: roots[version - 1]! }).seed).toBe(seed);
  });

  it('is refused where the pinned version is not in it', () => {
    const foreign = buildRoots('elsewhere', 1).roots[0]!;
    expect(() => verifyRootChain(roots, { pinned: foreign })).toThrow(refused('bad_root', 'pinned'));
    expect(() => verifyRootChain([first, second], { pinned: third })).toThrow(refused('bad_root', 'pinned'));
    expect(() => verifyRootChain(roots, { pinned: `${first}\n` })).toThrow(refused('bad_root', 'pinned'));
  });

  it.each([
    ['none', []],
    ['a gap', [first, third]],
    ['no beginning', [second, third]],
    ['another order', [second, first]],
    ['a version twice', [first, first]],
    ['two seeds', [first, buildRoots('elsewhere', 2).roots[1]!]],
  ])('is refused with %s', (_, files) => {
    expect(() => verifyRootChain(files)).toThrow(refused('bad_root'));
  });

  it('is refused after any single edit, pinned or not', () => {
    fc.assert(
      fc.property(edit, fc.nat(1), (change, index) => {
        const bytes = edited(utf8(roots[index]!), change);
        if (bytes === null) return;
        const files = [first, second].with(index, Buffer.from(bytes).toString());
        expect(() => verifyRootChain(files)).toThrow(FormatError);
      }),
      runs(150, 5_000),
    );
  });

  it.each([
    ['only its own key', [key(2)]],
    ['only the key before it', [key(1)]],
    ['nobody who may', [testKey('stranger'), key(2)]],
  ])('does not go on in a version signed by %s', (_, signers) => {
    expect(() => verifyRootChain([first, resigned(second, {}, signers)])).toThrow(refused('bad_signature'));
  });

  it.each([
    ['a number left out', { version: 3 }, 'version 3'],
    ['another seed', { seed: 'ab'.repeat(32) }, 'version 2: signed.seed'],
    ['another predecessor', { prev: 'ab'.repeat(32) }, 'version 2: signed.prev'],
    ['an earlier date', { created: '2026-11-21T06:00:00.000Z' }, 'version 2: signed.created'],
  ])('does not go on in a version with %s', (_, change, field) => {
    expect(() => verifyRootChain([first, resigned(second, change, [key(1), key(2)])])).toThrow(
      refused('bad_root', field),
    );
  });

  it('goes on only with the root key that was announced', () => {
    const usurper = testKey('usurper');
    const content = {
      ...rootContent('home', 2),
      keys: { ...rootContent('home', 2).keys, root: [rootKey(usurper.publicKey)] },
    };
    const options = { previous: first, signers: [key(1), usurper] };
    expect(() => buildRoot(content, options)).toThrow(refused('bad_root', 'version 2: signed.keys.root'));
    // Control: with nothing announced, the key before may name any successor.
    const open = buildRoot({ ...rootContent('home', 1), next_root: null }, { signers: [key(1)] });
    expect(parseRoot(buildRoot(content, { ...options, previous: open })).signed.version).toBe(2);
  });

  it('needs its threshold of different keys', () => {
    const trio = ['a', 'b', 'c'].map(testKey) as [TestKey, TestKey, TestKey];
    const content: RootContent = {
      ...rootContent('home', 1),
      next_root: null,
      threshold: 2,
      keys: { ...rootContent('home', 1).keys, root: trio.map((k) => rootKey(k.publicKey)) },
    };
    expect(() => buildRoot(content, { signers: [trio[0]] })).toThrow(refused('bad_signature'));
    expect(() => buildRoot(content, { signers: [trio[0], trio[0]] })).toThrow(refused('bad_root'));
    const file = buildRoot(content, { signers: [trio[0], trio[2]] });
    const next: RootContent = { ...rootContent('home', 2), threshold: 1 };
    const build = (...signers: TestKey[]): string => buildRoot(next, { previous: file, signers });
    expect(() => build(trio[1], key(2))).toThrow(refused('bad_signature'));
    expect(verifyRootChain([file, build(trio[1], trio[0], key(2))]).current.signed.version).toBe(2);
  });

  const log = rootKey(testKey('home log 1').publicKey);
  const weak = new Uint8Array(32).with(0, 1);
  it.each<[string, object, string]>([
    ['another format', { v: 2 }, 'signed.v'],
    ['a predecessor', { prev: 'ab'.repeat(32) }, 'signed.prev'],
    ['no date', { created: null }, 'signed.created'],
    ['an end before its beginning', { expires: '2020-01-01T00:00:00.000Z' }, 'signed.expires'],
    ['no threshold', { threshold: 0 }, 'signed.threshold'],
    ['too high a threshold', { threshold: 2 }, 'signed.threshold'],
    ['a strange successor', { next_root: 'soon' }, 'signed.next_root'],
    ['another field', { note: 'hello' }, 'signed'],
    ['no log key', { keys: { root: [rootKey(key(1).publicKey)], log: [], issuer: [] } }, 'signed.keys.log'],
    [
      'a key with two jobs',
      { keys: { root: [rootKey(key(1).publicKey)], log: [log], issuer: [log] } },
      'signed.keys.issuer[0].id',
    ],
    [
      'a small-order key',
      { keys: { root: [rootKey(key(1).publicKey)], log: [rootKey(weak)], issuer: [] } },
      'signed.keys.log[0].public',
    ],
    [
      "another key's id",
      { keys: { root: [rootKey(key(1).publicKey)], log: [{ ...log, id: '0'.repeat(16) }], issuer: [] } },
      'signed.keys.log[0].id',
    ],
  ])('is refused with %s, though signed', (_, change, field) => {
    expect(() => verifyRootChain([firstWith(change)])).toThrow(refused('bad_root', field));
  });

  it('control: the same change of nothing is accepted', () => {
    expect(verifyRootChain([firstWith({})]).seed).toBe(seed);
  });

  it('is refused with an id that is not its hash', () => {
    expect(() => parseRoot(resigned(first, { seed: 'ab'.repeat(32) }, [key(1)]))).toThrow(
      refused('bad_root', 'signed.seed'),
    );
  });

  it('carries no signature that nobody checks', () => {
    const document: RootDocument = parseRoot(first);
    const stray = { key: rootKeyId(testKey('stranger').publicKey), sig: toBase64(testKey('stranger').sign(utf8('x'))) };
    const file = canonicalize({ ...document, signatures: [...document.signatures, stray] });
    expect(() => verifyRootChain([file])).toThrow(refused('bad_signature'));
  });
});
