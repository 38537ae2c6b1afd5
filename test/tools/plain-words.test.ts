/** What a wrong input is told: which argument, what it should be, what it was; never an expression of zod's. */
import * as fc from '../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { TOOLS } from '../support/tools.ts';
import { explainIssues } from '../../src/tools/plain-words.ts';
import { toMessages, toRequest } from '../../src/tools/route-schema.ts';
import { checkpointOf } from '../../src/tools/session-schema.ts';

const SCHEMA = z.strictObject({
  seq: z.int().min(0).max(100).optional(),
  share: z.number().gt(0).lt(1).optional(),
  name: z
    .string()
    .min(1)
    .max(5)
    .regex(/^[a-z]+$/, 'lower-case letters')
    .optional(),
  scopes: z
    .array(z.enum(['a.read', 'a.write']))
    .min(1)
    .max(2)
    .optional(),
  from: z.union([z.int(), z.string()]).optional(),
  on: z.boolean().optional(),
  deep: z.object({ list: z.array(z.object({ id: z.string() })) }).optional(),
  choice: z.union([z.object({ kind: z.literal('x'), size: z.int() }), z.object({ kind: z.literal('y') })]).optional(),
});

function words(input: unknown, schema: z.ZodType = SCHEMA): string {
  const parsed = schema.safeParse(input);
  if (parsed.success) throw new Error('This should not parse.');
  return explainIssues(parsed.error.issues, input).message;
}

describe('a wrong input', () => {
  test.each([
    [{ seq: 'first' }, 'seq must be a number; it was "first".'],
    [{ seq: 1.5 }, 'seq must be a whole number; it was 1.5.'],
    [{ seq: -1 }, 'seq must be at least 0; it was -1.'],
    [{ seq: 101 }, 'seq must be at most 100; it was 101.'],
    [{ seq: null }, 'seq must be a number; it was null.'],
    [{ share: 0 }, 'share must be more than 0; it was 0.'],
    [{ share: 1 }, 'share must be less than 1; it was 1.'],
    [{ name: '' }, 'name must be at least 1 character long; it was an empty text.'],
    [{ name: 'abcdef' }, 'name must be at most 5 characters long; it was 6 characters long.'],
    [{ name: 'ABC' }, 'name must be lower-case letters; it was "ABC".'],
    [{ name: ['a'] }, 'name must be a text; it was a list of 1.'],
    [{ scopes: [] }, 'scopes must be at least 1 entry long; it was an empty list.'],
    [{ scopes: ['a.read', 'a.read', 'a.read'] }, 'scopes must be at most 2 entries long; it was a list of 3.'],
    [{ scopes: ['a.admin'] }, 'scopes.0 must be one of a.read, a.write; it was "a.admin".'],
    [{ scopes: 'a.read' }, 'scopes must be a list; it was "a.read".'],
    [{ from: {} }, 'from must be a number or a text; it was an object.'],
    [{ on: 'yes' }, 'on must be true or false; it was "yes".'],
    [{ deep: { list: [{}] } }, 'deep.list.0.id must be a text; it is missing.'],
    [{ choice: { kind: 'x', size: 'big' } }, 'choice.size must be a number; it was "big".'],
    [{ nmae: 'x', sqe: 1 }, 'There is no argument nmae, sqe.'],
    [[], 'The input must be an object; it was an empty list.'],
    ['x', 'The input must be an object; it was "x".'],
  ])('%j: %s', (input, message) => {
    expect(words(input)).toBe(message);
  });

  test('of great length is not repeated: a key could stand in it', () => {
    const long = `seed-key-${'x'.repeat(300)}`;
    for (const input of [{ seq: long }, { scopes: [long] }, { [long]: 1 }]) {
      expect(words(input)).not.toContain('seed-key');
    }
    expect(words({ seq: long })).toBe('seq must be a number; it was a text of 309 characters.');
  });
});

describe('what a tool looks at itself', () => {
  test.each([
    [[{ type: 'smell' }], 'content.0.type must be one of text, image, tool_call, tool_result, opaque; it was "smell".'],
    [[{ type: 'text', texx: 'x' }], 'content.0.text must be a text; it is missing.'],
    [[{ type: 'text', text: 'a', colour: 1 }], 'There is no argument colour in messages.0.content.0.'],
    ['a\ud800', String.raw`content.0.text must be text without lone surrogates; it was "a\ud800".`],
  ])('a message with %j', (content, message) => {
    const whole = message.startsWith('content') ? `messages.0.${message}` : message;
    const argument = expect.stringMatching(/^messages\.0\.content\.0\./) as string;
    const told = expect.objectContaining({ code: 'invalid_input', message: whole, data: { argument } }) as Error;
    expect(() => toMessages([{ role: 'user', content }])).toThrow(told);
  });

  test('a tool and a checkpoint', () => {
    const asked = { role: 'worker', messages: [], stop: [], labels: {} };
    expect(() => toRequest({ ...asked, tools: [{ name: 'a b', parameters: {} }] })).toThrow(
      'tools.0.name must be 1 to 64 of A-Z a-z 0-9 _ -; it was "a b".',
    );
    expect(() => checkpointOf({ more: { plan: [3] } })).toThrow('more.plan.0 must be a text; it was 3.');
    expect(() => checkpointOf({ more: { plans: [] } })).toThrow('There is no argument plans in more.');
  });
});

test.each(TOOLS)('$name: whatever comes in, the answer is one sentence in words', ({ input }) => {
  const names = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  // What came in is repeated, so it must not itself look like words of zod's.
  const plain = fc.stringMatching(/^[x-z]{0,40}$/);
  const values = [fc.integer(), fc.double(), fc.boolean(), fc.constant(null), plain];
  const anything = fc.anything({ maxDepth: 2, key: plain, values });
  const given = fc.oneof(anything, fc.dictionary(fc.constantFrom('other', ...names), anything, { maxKeys: 3 }));
  fc.assert(
    fc.property(given, (value) => {
      const parsed = input.safeParse(value);
      if (parsed.success) return;
      const { message } = explainIssues(parsed.error.issues, value);
      expect(message).toMatch(/[^.]\.$/);
      expect(message).not.toMatch(
        /Invalid|expected|, received |undefined|\[object|Too (?:big|small)|Unrecognized|\^\[/,
      );
      expect(message.length).toBeLessThan(700);
    }),
    { numRuns: 200 },
  );
});
