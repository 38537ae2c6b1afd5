import * as fc from '../../support/fast-check.ts';
import { expect, test } from 'vitest';
import { splitLines } from '../../../src/cli/mcp/lines.ts';
import { clientInfoOf, idAtEnds, readMessage } from '../../../src/cli/mcp/message.ts';

const LIMIT = 1_000;

/** What comes of a stream that arrives in pieces cut at these places. */
function split(text: string, cuts: readonly number[]): { lines: string[]; tooLong: string[] } {
  const lines: string[] = [];
  const tooLong: string[] = [];
  const take = splitLines(LIMIT, {
    onLine: (line) => lines.push(line.toString('utf8')),
    onTooLong: (head, tail) => tooLong.push(`${head}…${tail}`),
  });
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  for (const [at, place] of places.entries()) take(bytes.subarray(places[at - 1] ?? 0, place));
  return { lines, tooLong };
}

test('however a stream is cut, its lines are the same; a long one is left out with its ends kept', () => {
  const line = fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', ' ')) },
    { weight: 1, arbitrary: fc.integer({ min: LIMIT - 2, max: LIMIT * 4 }).map((length) => 'x'.repeat(length)) },
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(20_000), { maxLength: 30 }), (written, cuts) => {
      const { lines, tooLong } = split(written.map((text) => `${text}\n`).join(''), cuts);
      const fits = (text: string): boolean => Buffer.byteLength(text) <= LIMIT;
      expect(lines).toEqual(written.filter((text) => text !== '' && fits(text)));
      expect(tooLong).toEqual(written.filter((text) => !fits(text)).map(() => `${'x'.repeat(256)}…${'x'.repeat(256)}`));
    }),
  );
});

test('the id of a message of which the ends are left', () => {
  const id = fc.oneof(fc.integer(), fc.string({ maxLength: 30 }));
  fc.assert(
    fc.property(id, fc.boolean(), (value, isFirst) => {
      const params = { long: 'x'.repeat(2_000), id: 'not this' };
      const message = isFirst
        ? { jsonrpc: '2.0', id: value, method: 'm', params }
        : { method: 'm', params, jsonrpc: '2.0', id: value };
      const text = JSON.stringify(message);
      expect(idAtEnds(text.slice(0, 256), text.slice(-256))).toBe(value);
    }),
  );
  expect(idAtEnds('{"method":"m","params":{"x":"', '"},"note":"id"}')).toBeNull();
});

test('any line is a message or garbage, and none throws', () => {
  const json = fc.json();
  fc.assert(
    fc.property(fc.oneof(json, fc.string()), (text) => {
      const message = readMessage(Buffer.from(text));
      expect(['request', 'notification', 'response', 'garbage']).toContain(message.kind);
      clientInfoOf(message);
    }),
  );
});
