/**
 * Ed25519 verification that runs anywhere. Signing belongs to whoever holds the key.
 */
import { hashes, Point, verify } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';

// The library's synchronous face works only once it has been given a hash.
hashes.sha512 = sha512;

/** 32 bytes (RFC 8032 §5.1.5). */
export const PUBLIC_KEY_BYTES = 32;
/** 64 bytes (RFC 8032 §5.1.6). */
export const SIGNATURE_BYTES = 64;

/** Whether a signature of a message is that key's. Never throws: malformed input is false. */
export type VerifySignature = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;

/**
 * RFC 8032 §5.1.7 with canonical encodings required and small-order keys refused; the looser
 * rules of ZIP 215 would let one key of small order verify any message.
 */
export const verifySignature: VerifySignature = (signature, message, publicKey) => {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false;
  try {
    return verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
};

/** Whether the bytes encode a point of small order, in any encoding that some verifier accepts. */
export function isSmallOrder(publicKey: Uint8Array): boolean {
  try {
    return Point.fromBytes(publicKey, true).isSmallOrder();
  } catch {
    return false;
  }
}

/**
 * Whether a public key may be registered: canonically encoded, on the curve and in the group of
 * prime order. Every honestly made key is; verifiers disagree about signatures of the others.
 */
export function isAcceptablePublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES) return false;
  try {
    const point = Point.fromBytes(publicKey, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}
