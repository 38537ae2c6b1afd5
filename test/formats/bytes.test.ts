import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { concat, decodeUtf8, equal, fromBase64, fromHex, toBase64, toHex, utf8 } from '../../src/formats/bytes.ts';
import { splitLines } from '../../src/formats/lines.ts';
import { runs } from './arbitraries.ts';

const bytes = fc.uint8Array({ maxLength: 80 });

describe('bytes', () => {
  it('agree with the platform in hex, base64 and UTF-8', () => {
    fc.assert(
      fc.property(bytes, fc.string({ unit: 'grapheme' }), (value, text) => {
        expect(toHex(value)).toBe(Buffer.from(value).toString('hex'));
        expect(toBase64(value)).toBe(Buffer.from(value).toString('base64'));
        expect(fromHex(toHex(value))).toEqual(value);
        expect(fromBase64(toBase64(value))).toEqual(value);
        expect(decodeUtf8(utf8(text))).toBe(text);
      }),
      runs(300, 20_000),
    );
  });

  it.each([3_071, 3_072, 3_073, 6_144, 10_000])('agree in base64 where it is made in pieces: %i', (length) => {
    const value = Uint8Array.from({ length }, (_, index) => (index * 31) % 256);
    expect(toBase64(value)).toBe(Buffer.from(value).toString('base64'));
  });

  it('have one base64 text only', () => {
    const almost = fc.stringMatching(/^[A-Za-z0-9+/=\-_ \n]{0,12}$/);
    fc.assert(
      fc.property(fc.oneof(almost, fc.string()), (text) => {
        const decoded = fromBase64(text);
        if (decoded !== null) expect(toBase64(decoded)).toBe(text);
        if (toBase64(Buffer.from(text, 'base64')) === text) expect(decoded).not.toBeNull();
      }),
      runs(1_000, 100_000),
    );
  });

  it.each(['AB', 'A===', 'AAB=', 'AB==', 'AA=A', '====', 'AAAA\n', 'AA AA', '-_--'])('refuse %j as base64', (text) => {
    expect(fromBase64(text)).toBeNull();
  });

  it.each(['a', 'AA', '0x', 'g0', ' 00', '00\n'])('refuse %j as hex', (text) => {
    expect(fromHex(text)).toBeNull();
  });

  it('keep a byte order mark and refuse what is not UTF-8', () => {
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
    for (const wrong of [[0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
      expect(decodeUtf8(Uint8Array.from(wrong))).toBeNull();
    }
  });

  it('are compared and joined whole', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(equal(a, b)).toBe(Buffer.compare(a, b) === 0);
        expect(concat(a, b)).toEqual(new Uint8Array(Buffer.concat([a, b])));
      }),
    );
  });
});

describe('line splitter', () => {
  function split(chunks: readonly Uint8Array[], bytesMax = 1_000): { lines: string[]; hasRest: boolean } {
    const lines: string[] = [];
    const splitter = splitLines(bytesMax, (line) => lines.push(Buffer.from(line).toString('latin1')));
    for (const chunk of chunks) splitter.write(chunk);
    return { lines, hasRest: splitter.hasRest() };
  }

  it('gives the same lines however the file is cut', () => {
    const file = fc.array(fc.constantFrom('a', 'b', '\n')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(file, fc.array(fc.nat(20)), (text, sizes) => {
        const chunks: Uint8Array[] = [];
        let rest = Buffer.from(text);
        for (const size of [...sizes, rest.length]) {
          chunks.push(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        const expected = text.split('\n');
        expect(split(chunks)).toEqual({ hasRest: expected.pop() !== '', lines: expected });
      }),
      runs(300, 20_000),
    );
  });

  it('hands over an endless line once, cut', () => {
    const chunk = utf8('x'.repeat(7));
    expect(split([chunk, chunk, chunk, utf8('\na\n')], 9).lines).toEqual(['x'.repeat(10), 'a']);
  });
});
