/** Answers that are written in pieces: the message that the pieces make is the one that was meant. */
import * as fc from '../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { answerWriter, metaOf } from '../../src/doors/answer-text.ts';

const INFO = { name: 'seed', title: 'Sämann 😀', version: '1.0.0' };
const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

const write = answerWriter(INFO);
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('— name\n', '"\\', '\u2028', ''));
const result = fc.record(
  {
    isError: fc.boolean(),
    content: fc.array(fc.record({ type: fc.constant('text' as const), text }), { maxLength: 2 }),
    structuredContent: fc.dictionary(text, fc.jsonValue()),
  },
  { requiredKeys: ['content'] },
);
const about = fc.record({ checkpoint: text, receipt: fc.nat() }, { requiredKeys: [] });
const id = fc.oneof(fc.integer(), text);

describe('the text of an answer', () => {
  test('is the message of revision 2026-07-28, or of one before it', () => {
    fc.assert(
      fc.property(id, result, about, (each, given, more) => {
        const plain = JSON.parse(JSON.stringify(given)) as object;
        const message = { jsonrpc: '2.0', id: each };
        expect(JSON.parse(write(each, 'modern', { result: given, about: more }))).toEqual({
          ...message,
          result: { ...plain, resultType: 'complete', _meta: { ...metaOf(more), [SERVER_INFO]: INFO } },
        });
        const meta = metaOf(more);
        expect(JSON.parse(write(each, 'legacy', { result: given, about: more }))).toEqual({
          ...message,
          result: Object.keys(meta).length === 0 ? plain : { ...plain, _meta: meta },
        });
      }),
    );
  });

  test('is whole where the first checkpoint is that of an empty log', () => {
    const line = answerWriter(INFO)(1, 'modern', { result: { content: [] }, about: { checkpoint: '' } });
    expect(JSON.parse(line)).toMatchObject({ result: { _meta: { 'sovereign-seed/checkpoint': '' } } });
  });

  test('is one line, of the checkpoint that it is given', () => {
    const checkpoints = ['seed\n1\nAA=\n\n— seed BB\n', 'seed\n2\nAA=\n\n— seed BB\n'];
    for (const checkpoint of [...checkpoints, ...checkpoints]) {
      const line = write(1, 'modern', { result: { content: [] }, about: { checkpoint } });
      expect(line).not.toContain('\n');
      expect(JSON.parse(line)).toMatchObject({ result: { _meta: { 'sovereign-seed/checkpoint': checkpoint } } });
    }
  });

  test('is in ASCII but for what the tool has answered', () => {
    const signed = { checkpoint: '— seed\n' };
    const isAscii = (line: string): boolean => Buffer.byteLength(line) === line.length;
    expect(isAscii(write(1, 'modern', { result: { content: [] }, about: signed }))).toBe(true);
    expect(isAscii(write(1, 'modern', { result: { content: [{ type: 'text', text: 'ä' }] }, about: signed }))).toBe(
      false,
    );
  });
});
