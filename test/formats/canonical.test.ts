import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { canonicalize, type Json, parseCanonical } from '../../src/formats/canonical.ts';
import { FormatError } from '../../src/formats/error.ts';
import { json, runs } from './arbitraries.ts';

const refused = expect.objectContaining({ name: 'FormatError', code: 'not_canonical' }) as unknown;

function refusal(value: unknown): unknown {
  try {
    return canonicalize(value as Json);
  } catch (error) {
    return error;
  }
}

describe('canonical form', () => {
  it('is read back as the same value, and written as the same text', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalize(value);
        const read = parseCanonical(text);
        expect(read).toEqual(value);
        expect(canonicalize(read)).toBe(text);
      }),
      runs(300, 20_000),
    );
  });

  it('does not depend on the order in which keys were set', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z0-9]{1,5}$/), json, { noNullPrototype: true }), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).reverse());
        expect(canonicalize(reversed)).toBe(canonicalize(object));
      }),
      runs(200, 5_000),
    );
  });

  it('is one text only: any JSON text that differs is refused', () => {
    fc.assert(
      fc.property(json, fc.nat(), fc.constantFrom(' ', '\n', '\t', '0', '\\'), (value, at, extra) => {
        const text = canonicalize(value);
        const index = at % (text.length + 1);
        const other = text.slice(0, index) + extra + text.slice(index);
        try {
          // Inside a string the edit makes another value, which is then canonical for itself.
          expect(canonicalize(parseCanonical(other))).toBe(other);
          expect(other).not.toBe(text);
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
      runs(300, 20_000),
    );
  });

  class Point {
    x = 1;
  }
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  const doubled = Array.from({ length: 30 }).reduce<unknown[]>((inner) => [inner, inner], []);
  const holed: unknown[] = [];
  holed[2] = 1;

  it.each([
    ['undefined', undefined],
    ['an undefined member', { a: undefined }],
    ['a boolean', true],
    ['a bigint', 1n],
    ['a symbol', Symbol('a')],
    ['a function', () => 1],
    ['a date', new Date(0)],
    ['a class instance', new Point()],
    ['a map', new Map()],
    ['bytes', new Uint8Array(2)],
    ['a boxed string', Object('a')],
    ['an object with toJSON', { toJSON: () => 'a' }],
    ['an array with holes', holed],
    ['an array with properties', Object.assign([1], { a: 1 })],
    ['minus zero', { a: -0 }],
    ['a fraction', 0.5],
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['an integer that is not exact', 2 ** 53],
    ['a lone surrogate', 'a\ud800'],
    ['a value that holds itself', cyclic],
    ['a small value that is huge when written', doubled],
  ])('refuses %s', (_, value) => {
    expect(refusal(value)).toEqual(refused);
  });

  it('accepts an object without prototype', () => {
    expect(canonicalize(Object.assign(Object.create(null) as object, { a: 1 }) as Json)).toBe('{"a":1}');
  });

  it.each([
    ['ASCII', 'a', 1],
    ['two bytes', 'é', 2],
    ['three bytes', '€', 3],
    ['four bytes', '🌱', 4],
  ])('counts its limit in bytes: %s', (_, char, bytesEach) => {
    const limits = { bytesMax: 2 + 10 * bytesEach, depthMax: 32 };
    expect(parseCanonical(canonicalize(char.repeat(10), limits), limits)).toBe(char.repeat(10));
    expect(() => canonicalize(char.repeat(11), limits)).toThrow(FormatError);
    expect(() => parseCanonical(`"${char.repeat(11)}"`, limits)).toThrow(FormatError);
  });
});
