import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Point } from '@noble/ed25519';
import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/formats/bytes.ts';
import { type Checkpoint, checkpointSigner, checkpointText, openCheckpoint } from '../../src/formats/checkpoint.ts';
import { isAcceptablePublicKey, isSmallOrder, verifySignature } from '../../src/formats/ed25519.ts';
import { FormatError } from '../../src/formats/error.ts';
import { EMPTY_ROOT } from '../../src/formats/merkle.ts';
import { formatNote, keyId, parseNote } from '../../src/formats/note.ts';
import { edit, edited, runs } from './arbitraries.ts';
import { nodeSha, testKey } from './build-log.ts';

const key = testKey('log');
const other = testKey('another log');
const origin = `sovereign-seed/${'ab'.repeat(32)}`;
const checkpoint: Checkpoint = { origin, size: 17, root: nodeSha(utf8('root')) };
const sign = checkpointSigner(origin, key);
const note = sign(checkpoint);
const trust = { origin, publicKeys: [key.publicKey] };

function refused(code: string, field: string | null = null): Error {
  return expect.objectContaining({ name: 'FormatError', code, field }) as Error;
}

/** The note with another signature line behind its own. */
function cosigned(name: string, publicKey: Uint8Array, signature: Uint8Array): string {
  const { text, signatures } = parseNote(note);
  return formatNote(text, [...signatures, { name, keyId: keyId(name, publicKey), signature }]);
}

describe('checkpoint', () => {
  it('opens for the key that signed it, old or new', () => {
    expect(openCheckpoint(note, trust)).toEqual({ ...checkpoint, root: new Uint8Array(checkpoint.root) });
    expect(openCheckpoint(note, { origin, publicKeys: [other.publicKey, key.publicKey] }).size).toBe(17);
  });

  it('is the note that its parts make', () => {
    const { text, signatures } = parseNote(note);
    expect(formatNote(text, signatures)).toBe(note);
    expect(text).toBe(checkpointText(checkpoint));
  });

  it('does not open for another key, origin or no key', () => {
    expect(() => openCheckpoint(note, { origin, publicKeys: [other.publicKey] })).toThrow(refused('bad_signature'));
    expect(() => openCheckpoint(note, { origin, publicKeys: [] })).toThrow(refused('bad_signature'));
    const elsewhere = `sovereign-seed/${'cd'.repeat(32)}`;
    expect(() => openCheckpoint(note, { ...trust, origin: elsewhere })).toThrow(refused('bad_checkpoint', 'origin'));
  });

  it('carries cosignatures of witnesses unread', () => {
    const { text } = parseNote(note);
    expect(openCheckpoint(cosigned('witness.example', other.publicKey, other.sign(utf8(text))), trust).size).toBe(17);
    expect(openCheckpoint(cosigned('witness.example', other.publicKey, new Uint8Array(5000)), trust).size).toBe(17);
    // Same name, unknown key: nobody's business either.
    expect(openCheckpoint(cosigned(origin, other.publicKey, new Uint8Array(64)), trust).size).toBe(17);
  });

  it('is refused for a false signature in the name of a known key, even beside a true one', () => {
    expect(() => openCheckpoint(cosigned(origin, key.publicKey, new Uint8Array(64)), trust)).toThrow(
      refused('bad_signature'),
    );
  });

  it('does not open after any single edit', () => {
    fc.assert(
      fc.property(edit, (change) => {
        const bytes = edited(utf8(note), change);
        if (bytes === null) return;
        expect(() => openCheckpoint(Buffer.from(bytes).toString(), trust)).toThrow(FormatError);
      }),
      runs(200, 3_000),
    );
  });

  it.each([
    ['an extension line', `${origin}\n17\n${'A'.repeat(43)}=\nmore\n`, null],
    ['a missing root', `${origin}\n17\n`, null],
    ['a leading zero', `${origin}\n017\n${'A'.repeat(43)}=\n`, 'size'],
    ['a negative size', `${origin}\n-1\n${'A'.repeat(43)}=\n`, 'size'],
    ['a size that is not exact', `${origin}\n9007199254740993\n${'A'.repeat(43)}=\n`, 'size'],
    ['a short root', `${origin}\n17\nAAAA\n`, 'root'],
    ['a root of an empty log that is not empty', `${origin}\n0\n${'A'.repeat(43)}=\n`, 'root'],
  ])('is refused with %s, though signed', (_, text, field) => {
    const signature = { name: origin, keyId: keyId(origin, key.publicKey), signature: key.sign(utf8(text)) };
    expect(() => openCheckpoint(formatNote(text, [signature]), trust)).toThrow(refused('bad_checkpoint', field));
  });

  it('is not signed for a size or root that nothing could have', () => {
    expect(() => sign({ ...checkpoint, size: -1 })).toThrow(refused('bad_checkpoint', 'size'));
    expect(() => sign({ ...checkpoint, root: new Uint8Array(31) })).toThrow(refused('bad_checkpoint', 'root'));
    expect(() => sign({ size: 0, root: new Uint8Array(32) })).toThrow(refused('bad_checkpoint', 'root'));
    for (const name of ['two\nlines', 'a space', 'a+plus', ''])
      expect(() => checkpointSigner(name, key)).toThrow(FormatError);
    expect(openCheckpoint(sign({ size: 0, root: EMPTY_ROOT }), trust).size).toBe(0);
  });

  it('is verified by openssl', () => {
    const folder = mkdtempSync(join(tmpdir(), 'seed-checkpoint-'));
    try {
      const { text, signatures } = parseNote(note);
      const [pem, message, signature] = ['key.pem', 'text', 'signature'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      writeFileSync(pem, createPublicKey(key.privateKey).export({ format: 'pem', type: 'spki' }));
      writeFileSync(signature, signatures[0]!.signature);
      const verify = (): string =>
        execFileSync(
          'openssl',
          ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', pem, '-in', message, '-sigfile', signature],
          { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
        );
      writeFileSync(message, text);
      expect(verify()).toContain('Signature Verified Successfully');
      writeFileSync(message, `${text} `);
      expect(verify).toThrow(/Command failed/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('note', () => {
  const text = 'a\n';
  const line = '— name AAAAAAA=\n';

  it.each([
    ['nothing', ''],
    ['no signature', `${text}\n`],
    ['no empty line', `${text}${line}`],
    ['no newline at the end', `${text}\n${line.trimEnd()}`],
    ['an empty line at the end', `${text}\n${line}\n`],
    ['a hyphen for the dash', `${text}\n- name AAAAAAA=\n`],
    ['no name', `${text}\n—  AAAAAAA=\n`],
    ['a plus in the name', `${text}\n— a+b AAAAAAA=\n`],
    ['a no-break space in the name', `${text}\n— a\u00a0b AAAAAAA=\n`],
    ['a next-line character in the name', `${text}\n— a\u0085b AAAAAAA=\n`],
    ['only a key id', `${text}\n— name AAAAAA==\n`],
    ['another base64 text of the same bytes', `${text}\n— name AAAAAAB=\n`],
    ['a tab in the text', `a\tb\n\n${line}`],
    ['a carriage return', `a\r\n\n${line}`],
    ['a lone surrogate', `\ud800\n\n${line}`],
    ['65 signatures', `${text}\n${line.repeat(65)}`],
  ])('is refused with %s', (_, wrong) => {
    expect(() => parseNote(wrong)).toThrow(refused('bad_note'));
  });

  it('may hold empty lines and 64 signatures', () => {
    const many = `a\n\n\nb\n\n${line.repeat(64)}`;
    const { text: read, signatures } = parseNote(many);
    expect([read, signatures.length]).toEqual(['a\n\n\nb\n', 64]);
    expect(formatNote(read, signatures)).toBe(many);
  });
});

describe('Ed25519', () => {
  const message = utf8('message');
  const signature = key.sign(message);
  const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
  // All points of order 1, 2, 4 and 8, and encodings of them that are not canonical.
  const smallOrder = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '0000000000000000000000000000000000000000000000000000000000000000',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];

  it('accepts what the platform signs, and not another message, key or signature', () => {
    expect(verifySignature(signature, message, key.publicKey)).toBe(true);
    expect(verifySignature(signature, utf8('massage'), key.publicKey)).toBe(false);
    expect(verifySignature(signature, message, other.publicKey)).toBe(false);
    expect(verifySignature(signature.with(63, signature[63]! ^ 0x10), message, key.publicKey)).toBe(false);
    expect(verifySignature(signature.subarray(1), message, key.publicKey)).toBe(false);
    expect(verifySignature(signature, message, new Uint8Array(31))).toBe(false);
    expect(verifySignature(new Uint8Array(64).fill(255), message, key.publicKey)).toBe(false);
  });

  it.each(smallOrder)('knows the small-order key %s, which could sign anything', (encoded) => {
    const weak = hex(encoded);
    expect(isSmallOrder(weak)).toBe(true);
    expect(isAcceptablePublicKey(weak)).toBe(false);
    // R = identity, S = 0 satisfies the equation for every message under the identity key.
    const forged = new Uint8Array(64).with(0, 1);
    expect(verifySignature(forged, message, weak)).toBe(false);
  });

  it('refuses an honest key with a small-order point added, about which verifiers disagree', () => {
    const mixed = Point.fromBytes(key.publicKey)
      .add(Point.fromBytes(hex(smallOrder[4]!)))
      .toBytes();
    expect(isSmallOrder(mixed)).toBe(false);
    expect(isAcceptablePublicKey(mixed)).toBe(false);
  });

  it('accepts honest keys only', () => {
    expect(isSmallOrder(key.publicKey)).toBe(false);
    expect(isAcceptablePublicKey(key.publicKey)).toBe(true);
    expect(isAcceptablePublicKey(key.publicKey.subarray(1))).toBe(false);
    // y = 2 is on no point of the curve.
    expect(isAcceptablePublicKey(new Uint8Array(32).with(0, 2))).toBe(false);
  });
});
