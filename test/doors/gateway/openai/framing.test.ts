/** Chunks of a stream: the frame around a text is written once, whatever stands in it. */
import { expect, test } from 'vitest';
import { framing } from '../../../../src/doors/gateway/openai/answer.ts';

const LOOKS_LIKE_A_TEXT = '"content":""';

function contentOf(chunk: string): unknown {
  const {
    model,
    system_fingerprint: who,
    choices,
  } = JSON.parse(chunk.slice('data: '.length)) as {
    model: string;
    system_fingerprint?: string;
    choices: { delta: { content: string } }[];
  };
  return { model, who, text: choices[0]?.delta.content };
}

test('names and texts come as they are, and each text stands in the frame of its moment', () => {
  const model = `a ${LOOKS_LIKE_A_TEXT} b`;
  const frames = framing({ id: 'x', model, createdAt: 0, includeUsage: true });
  for (const text of [LOOKS_LIKE_A_TEXT, 'line\n"two" \\', '$& $1', '😀']) {
    expect(contentOf(frames.text(text))).toEqual({ model, who: undefined, text });
  }
  frames.model?.(LOOKS_LIKE_A_TEXT);
  expect(contentOf(frames.text('more'))).toEqual({ model, who: LOOKS_LIKE_A_TEXT, text: 'more' });
  expect(frames.text('more').endsWith('\n\n')).toBe(true);
});
