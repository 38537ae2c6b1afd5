/** The verifier of a start says of every signature what the portable one says. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import * as fc from '../support/fast-check.ts';
import { expect, it } from 'vitest';
import { verifySignature } from '../../src/formats/ed25519.ts';
import { fastVerify } from '../../src/substrate/identity/verify.ts';

/** The order of the group (RFC 8032 §5.1), little endian. */
const L = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');
/** What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410 §7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

interface Signed {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const signed: fc.Arbitrary<Signed> = fc
  .record({ secret: bytes(32), message: fc.uint8Array({ maxLength: 200 }) })
  .map(({ secret, message }) => {
    const key = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' });
    const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
    return { publicKey: Buffer.from(x, 'base64url'), message, signature: sign(null, message, key) };
  });

/** The same signature with L added to its second half, which a careless verifier takes too. */
function malleated(signature: Uint8Array): Uint8Array {
  const other = Uint8Array.from(signature);
  let carry = 0;
  for (const [nth, byte] of L.entries()) {
    const sum = (other[32 + nth] ?? 0) + byte + carry;
    other[32 + nth] = sum & 255;
    carry = sum >> 8;
  }
  return other;
}

function flipped(of: Uint8Array, bit: number): Uint8Array {
  const other = Uint8Array.from(of);
  const nth = (bit >> 3) % Math.max(1, other.length);
  other[nth] = (other[nth] ?? 0) ^ (1 << (bit & 7));
  return other;
}

it('takes what was signed', () => {
  fc.assert(
    fc.property(signed, ({ publicKey, message, signature }) => {
      expect(fastVerify(signature, message, publicKey)).toBe(true);
      expect(verifySignature(signature, message, publicKey)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

it('refuses what was altered, cut or signed by another', () => {
  fc.assert(
    fc.property(signed, signed, fc.nat(), (mine, other, bit) => {
      const { publicKey, message, signature } = mine;
      const cases: readonly Signed[] = [
        { ...mine, signature: flipped(signature, bit) },
        { ...mine, signature: malleated(signature) },
        { ...mine, signature: signature.subarray(1) },
        { ...mine, signature: other.signature },
        { ...mine, signature: new Uint8Array(64).fill(255) },
        { ...mine, message: Buffer.concat([message, Buffer.of(0)]) },
        { ...mine, publicKey: other.publicKey },
        { ...mine, publicKey: publicKey.subarray(1) },
      ];
      for (const each of cases) {
        const isSame = each.publicKey === other.publicKey && Buffer.from(publicKey).equals(other.publicKey);
        if (isSame || Buffer.from(signature).equals(each.signature)) continue;
        expect(fastVerify(each.signature, each.message, each.publicKey)).toBe(false);
        expect(verifySignature(each.signature, each.message, each.publicKey)).toBe(false);
      }
    }),
    { numRuns: 50 },
  );
});
