/**
 * Canonical JSON: the subset of RFC 8785 that everything signed or hashed here is written in.
 *
 * Values are strings, integers within ±(2^53−1), null, arrays and plain objects; keys match
 * `[a-z0-9_]+`. The subset leaves out whatever two implementations could write differently
 * (fractions, minus zero, keys that sort differently in UTF-8 and UTF-16) or lose on the way
 * (undefined, class instances, lone surrogates). Booleans are left out because a receipt says
 * what was, in words.
 */
import { FormatError } from './error.ts';

export type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

export interface CanonicalLimits {
  /** Largest canonical form, in UTF-8 bytes. */
  readonly bytesMax: number;
  /** How many arrays and objects may stand inside one another. */
  readonly depthMax: number;
}

/** What holds where a caller names no limits. */
export const CANONICAL_LIMITS: CanonicalLimits = { bytesMax: 64 * 1024, depthMax: 32 };

const KEY = /^[a-z0-9_]+$/;
/** Printable ASCII without quote and backslash: needs no escape and cannot be ill formed. */
const PLAIN = /^[ !#-[\]-~]*$/;

interface Walk {
  readonly limits: CanonicalLimits;
  /** UTF-16 units that may still be written; stops a small value that shares parts from exploding. */
  unitsLeft: number;
}

/**
 * The canonical form of a value.
 * @throws FormatError `not_canonical` when the value is outside the subset or over a limit.
 */
export function canonicalize(value: Json, limits: CanonicalLimits = CANONICAL_LIMITS): string {
  const text = write(value, 0, { limits, unitsLeft: limits.bytesMax });
  refuseLongerThan(text, limits.bytesMax);
  return text;
}

/**
 * The value of a text, provided that the text is byte for byte its canonical form.
 * @throws FormatError `not_canonical` for everything else, valid JSON or not.
 */
export function parseCanonical(text: string, limits: CanonicalLimits = CANONICAL_LIMITS): Json {
  refuseLongerThan(text, limits.bytesMax);
  const value = parseJson(text);
  if (canonicalize(value, limits) !== text) throw refusal('The text is valid JSON but not in canonical form.');
  return value;
}

/** `JSON.parse` whose failure is a {@link FormatError}. The result is checked by nobody yet. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw refusal('The text is not JSON.');
  }
}

/**
 * A string as RFC 8785 §3.2.2.2 writes it. `JSON.stringify` does just that, except that it
 * escapes a lone surrogate where the RFC wants an error.
 */
export function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw refusal('A string holds a lone surrogate.');
  return JSON.stringify(text);
}

/** Refuses a text of more than `bytesMax` UTF-8 bytes. */
export function refuseLongerThan(text: string, bytesMax: number): void {
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 > bytesMax && utf8Length(text) > bytesMax) {
    throw refusal(`The canonical form is longer than ${bytesMax} bytes.`);
  }
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair stands for two of the four bytes.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

function write(value: Json | undefined, depth: number, walk: Walk): string {
  if (typeof value === 'string') return spend(walk, quote(value));
  if (typeof value === 'number') return spend(walk, writeInteger(value));
  if (value === null) return spend(walk, 'null');
  if (typeof value !== 'object') throw refusal(`A value of type ${typeof value} has no canonical form here.`);
  if (depth >= walk.limits.depthMax) throw refusal(`More than ${walk.limits.depthMax} levels deep.`);
  return isArray(value) ? writeArray(value, depth, walk) : writeObject(value, depth, walk);
}

function writeInteger(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0))
    throw refusal('A number is not an integer within ±(2^53−1).');
  return String(value);
}

function writeArray(items: readonly Json[], depth: number, walk: Walk): string {
  if (Object.keys(items).length !== items.length) throw refusal('An array has holes or properties.');
  let text = '';
  for (let i = 0; i < items.length; i++) {
    text += (i === 0 ? '' : ',') + write(items[i], depth + 1, walk);
  }
  return spend(walk, '[', items.length) + text + ']';
}

function writeObject(object: { readonly [key: string]: Json }, depth: number, walk: Walk): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw refusal('An object is not a plain one.');
  // Keys are ASCII, where the default order is the RFC's order of UTF-16 units.
  const keys = Object.keys(object).sort();
  let text = '';
  for (const key of keys) {
    // `__proto__` fits the form, but a copy of the object would lose it.
    if (!KEY.test(key) || key === '__proto__') throw refusal('A key is not made of a-z, 0-9 and _.');
    text += `${text === '' ? '' : ','}${spend(walk, `"${key}":`)}${write(object[key], depth + 1, walk)}`;
  }
  return spend(walk, '{', keys.length) + text + '}';
}

function spend(walk: Walk, text: string, separators: number = 0): string {
  walk.unitsLeft -= text.length + separators;
  if (walk.unitsLeft < 0) throw refusal(`The canonical form is longer than ${walk.limits.bytesMax} bytes.`);
  return text;
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

function refusal(message: string): FormatError {
  return new FormatError('not_canonical', message);
}
