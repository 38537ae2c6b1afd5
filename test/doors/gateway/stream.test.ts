/** What was given out stays given out, and an end is clean only where the record says the same. */
import { describe, expect, test } from 'vitest';
import { anthropic } from '../../../src/doors/gateway/anthropic/wire.ts';
import { responses } from '../../../src/doors/gateway/openai/responses.ts';
import { openai } from '../../../src/doors/gateway/openai/wire.ts';
import type { StreamEncoder } from '../../../src/doors/gateway/wire.ts';
import { recognisable } from '../../../src/doors/gateway/wire.ts';
import { SeedError } from '../../../src/errors.ts';
import type { Part } from '../../../src/substrate/transcript.ts';
import { broken, CALL_A, CALL_B, complete, said } from './wire-rig.ts';

const HELLO = { type: 'text', text: 'Hello, ' } as const;
const WORLD = { type: 'text', text: 'world' } as const;
const BOTH = { type: 'text', text: 'Hello, world' } as const;

/** How an API says things, each once: its beginning, some text, a call, and its clean end. */
const APIS = [
  {
    wire: openai,
    begins: '"role":"assistant"',
    says: (text: string) => `"delta":{"content":"${text}`,
    calls: (id: string) => `"id":"${id}"`,
    clean: '[DONE]',
  },
  {
    wire: responses,
    begins: 'event: response.created\n',
    says: (text: string) => `"delta":"${text}`,
    calls: (id: string) => `"call_id":"${id}","arguments":"","status":"in_progress"`,
    clean: 'event: response.completed\n',
  },
  {
    wire: anthropic,
    begins: 'event: message_start\n',
    says: (text: string) => `"type":"text_delta","text":"${text}`,
    calls: (id: string) => `"id":"${id}"`,
    clean: 'event: message_stop\n',
  },
];

describe.each(APIS)('$begins', ({ wire, begins, says, calls, clean }) => {
  const encoder = (): StreamEncoder => wire.stream({ id: 'c1', model: 'coder', createdAt: 0, includeUsage: true });
  const heard = (stream: StreamEncoder, parts: readonly Part[]): string =>
    said(parts)
      .map((event) => stream.on(event))
      .join('');
  const count = (text: string, what: string): number => text.split(what).length - 1;

  test('who heard it all gets nothing twice', () => {
    const stream = encoder();
    const text = heard(stream, [BOTH, CALL_A]) + stream.end(complete([BOTH, CALL_A]));
    expect(count(text, calls(CALL_A.id))).toBe(1);
    expect(count(text, says('Hel'))).toBe(1);
    expect(text).toContain(clean);
  });

  test('who came late is given the rest with the end', () => {
    const stream = encoder();
    const early = heard(stream, [HELLO]);
    const late = stream.end(complete([BOTH, CALL_A, CALL_B]));
    expect(early).not.toContain('world');
    expect(count(late, says('world'))).toBe(1);
    for (const { id } of [CALL_A, CALL_B]) expect(count(late, calls(id))).toBe(1);
    expect(late).toContain(clean);
  });

  test('an answer that was there already comes whole', () => {
    const text = encoder().end(complete([BOTH, CALL_A]));
    for (const piece of [begins, says('Hello, world'), calls(CALL_A.id), clean]) expect(count(text, piece)).toBe(1);
  });

  test('what was kept alive before the first word has one beginning', () => {
    const stream = encoder();
    const text = stream.ping() + stream.ping() + stream.end(complete([BOTH]));
    expect(count(text, begins)).toBe(1);
    expect(count(text, says('Hello, world'))).toBe(1);
  });

  test.each([
    ['another text', [HELLO], complete([WORLD])],
    ['fewer calls', [CALL_A, CALL_B], complete([CALL_A])],
    ['nothing', [HELLO], complete([])],
  ] as const)('a record that has %s than was given out is no clean end', (_what, given, end) => {
    const stream = encoder();
    const text = heard(stream, given) + stream.end(end);
    expect(text).not.toContain(clean);
    expect(text).toContain('"seed":{"code":"internal"');
  });

  test('`void` cannot be said, and what follows it is no clean end', () => {
    const stream = encoder();
    heard(stream, [HELLO]);
    expect(() => stream.on({ type: 'void' })).toThrow(SeedError);
    expect(stream.on({ type: 'text', text: 'Hello, world' })).toBe('');
    const text = stream.end(complete([BOTH]));
    expect(text).not.toContain(clean);
    expect(text).toContain('internal');
  });

  test.each(['running', 'incomplete', 'failed', 'refused', 'in_doubt'] as const)('%s is no clean end', (status) => {
    const stream = encoder();
    const text = heard(stream, [BOTH]) + stream.end(broken({ status }, [BOTH]));
    expect(text).not.toContain(clean);
    expect(text).toContain('provider_failed');
    expect(
      wire.answer(broken({ status }, [BOTH]), { id: 'c1', model: 'm', createdAt: 0, includeUsage: false }).status,
    ).toBe(502);
  });

  test('behind its end nothing is said', () => {
    for (const finish of [
      (stream: StreamEncoder) => stream.end(complete([BOTH])),
      (stream: StreamEncoder) => stream.fail(new SeedError('stopping', 'The seed stops.', { hint: '' })),
    ]) {
      const stream = encoder();
      expect(finish(stream)).not.toBe('');
      expect(heard(stream, [WORLD]) + stream.ping() + stream.end(complete([BOTH])) + finish(stream)).toBe('');
    }
  });
});

test('a message is recognised by what clients give back of it', () => {
  const opaque = { type: 'opaque', provider: 'gemini', model: 'm', api: 'a', data: '{}' } as const;
  const spaced = { ...CALL_A, arguments: ' { "a" : 1 } ' };
  const mine = recognisable({ role: 'assistant', parts: [opaque, HELLO, spaced, { type: 'text', text: 'world\n' }] });
  expect(mine).toEqual({ role: 'assistant', parts: [BOTH, { ...CALL_A, arguments: '{"a":1}' }] });
  expect(recognisable(mine)).toEqual(mine);
  const user = { role: 'user', parts: [{ type: 'text', text: ' as it is ' }] } as const;
  expect(recognisable({ ...user, parts: [...user.parts] })).toEqual(user);
});
