import { hash } from 'node:crypto';

/**
 * SHA-256 by Node's one-shot hash: the hot path of the log; equal to the portable one by test.
 *
 * By way of a string, one character a byte: a buffer of the hash's own is memory of its own outside
 * the heap, and a digest so short takes up to six times as long to allocate as to compute.
 */
export function fastSha256(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary');
}

/** The same of a well-formed text's UTF-8, without making its bytes first. */
export function fastSha256OfText(text: string): Uint8Array {
  return Buffer.from(hash('sha256', text, 'binary'), 'binary');
}

/** As lower-case hex. */
export function fastSha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** The same of a well-formed text's UTF-8. */
export function fastSha256HexOfText(text: string): string {
  return hash('sha256', text, 'hex');
}
