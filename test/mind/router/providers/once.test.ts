/** What is encoded once: the router prices a request, and the stream sends a copy of it. */
import { expect, test } from 'vitest';
import type { ModelRequest } from '../../../../src/mind/router/provider.ts';
import { once } from '../../../../src/mind/router/providers/answer.ts';

const REQUEST: ModelRequest = {
  model: 'm',
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hello.' }] }],
  tools: [],
  maxOutputTokens: 64,
  stop: [],
};

test('a copy that says the same is not encoded again', () => {
  let count = 0;
  const encode = once(() => (count += 1));
  expect(encode(REQUEST)).toBe(1);
  expect(encode(REQUEST)).toBe(1);
  expect(encode({ ...REQUEST, maxOutputTokens: 64 })).toBe(1);
});

test('whatever differs is encoded anew', () => {
  const encode = once((request) => request);
  const others: ModelRequest[] = [
    { ...REQUEST, model: 'n' },
    { ...REQUEST, messages: [...REQUEST.messages] },
    { ...REQUEST, tools: [] },
    { ...REQUEST, maxOutputTokens: 63 },
    { ...REQUEST, stop: [] },
    { ...REQUEST, contextTokens: 1_000 },
  ];
  for (const other of others) {
    expect(encode(REQUEST)).toBe(REQUEST);
    expect(encode(other)).toBe(other);
  }
});
