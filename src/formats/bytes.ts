/**
 * Bytes, text and hashes without any platform's own types, so that the kernel runs in a browser.
 *
 * Comparisons here are not constant-time: nothing in this folder handles a secret.
 */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/** SHA-256, synchronous: any bytes in, 32 bytes out. A caller may hand in its platform's own. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** The portable SHA-256, used wherever the caller hands in none. */
export const sha256: Sha256 = (bytes) => nobleSha256(bytes);

const encoder = new TextEncoder();
// A byte order mark is content: dropping it would let two different files read the same.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 of a text. The text must be well formed; a lone surrogate would become U+FFFD. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes, or null when they are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

const HEX_OF_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hex, two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX_OF_BYTE[byte];
  return text;
}

/** The bytes of lower-case hex, or null when the text is anything else. */
export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const SEXTET_OF_CODE: ReadonlyMap<string, number> = new Map(Array.from(ALPHABET, (char, sextet) => [char, sextet]));

const toText: (this: null, ...units: number[]) => string = String.fromCharCode;
/** Bytes that become text at once; a multiple of three, so that only the last piece is padded. */
const BASE64_BYTES = 3_072;

/** Standard base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += BASE64_BYTES) {
    const piece = bytes.subarray(start, start + BASE64_BYTES);
    text += btoa(toText.apply(null, piece as ArrayLike<number> as number[]));
  }
  return text;
}

/**
 * The bytes of standard base64 with padding, or null. Only the one text that {@link toBase64}
 * would write is accepted: unused bits set, missing padding or white space are refused, so that
 * two different texts never stand for the same bytes.
 */
export function fromBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const sextets = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let bitCount = 0;
  let written = 0;
  for (let i = 0; i < sextets; i++) {
    const sextet = SEXTET_OF_CODE.get(text.charAt(i));
    if (sextet === undefined) return null;
    bits = ((bits << 6) | sextet) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[written++] = (bits >> bitCount) & 255;
    }
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : null;
}

/** All parts after one another, in a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Whether both hold the same bytes. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
