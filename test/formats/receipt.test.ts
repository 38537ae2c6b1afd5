import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { canonicalize, type Json } from '../../src/formats/canonical.ts';
import { encodeReceipt, parseReceipt, RECEIPT_BYTES_MAX, type Receipt } from '../../src/formats/receipt.ts';
import { isTime } from '../../src/formats/time.ts';
import { receipt, runs } from './arbitraries.ts';
import { sampleReceipt } from './build-log.ts';

const sample = sampleReceipt('a'.repeat(64), 5);

describe('receipt', () => {
  it('is written by hand as the canonical form would be, and read back', () => {
    fc.assert(
      fc.property(receipt, (value) => {
        const line = encodeReceipt(value);
        expect(line).toBe(canonicalize(value as unknown as Json));
        expect(parseReceipt(line)).toEqual(value);
      }),
      runs(300, 20_000),
    );
  });

  it('is never written where it would not be read', () => {
    const anything = fc.record({ field: fc.constantFrom(...Object.keys(sample)), value: fc.anything() });
    fc.assert(
      fc.property(anything, ({ field, value }) => {
        let line: string;
        try {
          line = encodeReceipt({ ...sample, [field]: value });
        } catch (error) {
          expect(error).toHaveProperty('name', 'FormatError');
          return;
        }
        expect(encodeReceipt(parseReceipt(line))).toBe(line);
      }),
      runs(500, 50_000),
    );
  });

  it.each([
    ['an unknown field', { ...sample, extra: 1 }, '*'],
    ['a lone surrogate in an id', { ...sample, subject: { type: 'a', id: '\ud800' } }, null],
    ['a boolean in detail', { ...sample, detail: { done: true } }, null],
    ['a seq of minus zero', { ...sample, of: null, seq: -0 }, 'seq'],
  ])('refuses %s', (_, value, field) => {
    expect(() => encodeReceipt(value as unknown as Receipt)).toThrow(expect.objectContaining({ field }) as Error);
  });

  it('has a largest size, in bytes', () => {
    const room = RECEIPT_BYTES_MAX - encodeReceipt({ ...sample, detail: { a: '' } }).length;
    const ofLength = (length: number): Receipt => ({ ...sample, detail: { a: 'é'.repeat(length / 2) } });
    expect(parseReceipt(encodeReceipt(ofLength(room - (room % 2)))).detail).toBeDefined();
    expect(() => encodeReceipt(ofLength(room - (room % 2) + 2))).toThrow(/longer/);
  });

  it('goes as deep as the canonical form, not deeper', () => {
    const nested = (levels: number): Json => (levels === 0 ? 1 : [nested(levels - 1)]);
    // Receipt and `detail` are the first two of 32 levels.
    const deep = (levels: number): Receipt => ({ ...sample, detail: { a: nested(levels) } });
    expect(encodeReceipt(deep(30))).toBe(canonicalize(deep(30) as unknown as Json));
    expect(() => encodeReceipt(deep(31))).toThrow(/deep/);
  });
});

describe('time', () => {
  it('is exactly what a real clock writes', () => {
    const digits = fc.tuple(fc.nat(9999), fc.nat(13), fc.nat(32), fc.nat(25), fc.nat(61), fc.nat(61), fc.nat(999));
    fc.assert(
      fc.property(digits, ([year, month, day, hour, minute, second, ms]) => {
        const two = (n: number): string => String(n).padStart(2, '0');
        const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
        const text = `${date}T${two(hour)}:${two(minute)}:${two(second)}.${String(ms).padStart(3, '0')}Z`;
        const parsed = new Date(text);
        expect(isTime(text)).toBe(!Number.isNaN(parsed.getTime()) && parsed.toISOString() === text);
      }),
      runs(2_000, 200_000),
    );
  });
});
