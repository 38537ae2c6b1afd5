/** Sessions by the beginning of their id. */
import { expect, test } from 'vitest';
import type { Ask } from '../../src/cli/ask.ts';
import { parseSessionId, wholeSessionId } from '../../src/cli/session-id.ts';

const IDS = ['4f2a91c0', '4f2abb00', 'c0ffee00'].map((id) => id.padEnd(32, '0'));

/** A seed with those sessions, one a page. */
function seedWith(ids: readonly string[]): { question: Ask; asked: unknown[] } {
  const asked: unknown[] = [];
  const question = async ({ input }: { input?: unknown }): Promise<never> => {
    asked.push(input);
    const { cursor = '0' } = input as { cursor?: string };
    const page = Number(cursor);
    const sessions = ids.slice(page, page + 1).map((id) => ({ session_id: id }));
    return { sessions, next_cursor: page + 1 < ids.length ? String(page + 1) : null } as never;
  };
  return { question, asked };
}

test('a beginning that only one has is that one, on whichever page it stands; a whole id is taken as it is', async () => {
  const { question, asked } = seedWith(IDS);
  expect(await wholeSessionId(question, 'f'.repeat(32))).toBe('f'.repeat(32));
  expect(asked).toEqual([]);
  expect(await wholeSessionId(question, '4f2a9')).toBe(IDS[0]);
  expect(await wholeSessionId(question, 'c0ff')).toBe(IDS[2]);
});

test('one that several have, or none, is refused', async () => {
  const { question } = seedWith(IDS);
  await expect(wholeSessionId(question, '4f2a')).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(wholeSessionId(question, 'dead')).rejects.toMatchObject({ code: 'not_found' });
  for (const wrong of ['4f2', 'xyz0', `${IDS[0]}0`, '']) expect(() => parseSessionId(wrong)).toThrow('32 hex digits');
});

test('one is not taken for the only one because many others stand between it and the next', async () => {
  const others = Array.from({ length: 30 }, (_, nr) => `beef${nr.toString(16).padStart(28, '0')}`);
  const { question } = seedWith([...IDS, ...others, 'c0ffee11'.padEnd(32, '0')]);
  await expect(wholeSessionId(question, 'c0ff')).rejects.toMatchObject({ code: 'invalid_input' });
  expect(await wholeSessionId(question, 'c0ffee1')).toBe('c0ffee11'.padEnd(32, '0'));
});
