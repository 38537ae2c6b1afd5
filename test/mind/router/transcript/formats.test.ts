import * as fc from '../../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../../src/mind/router/providers/index.ts';
import { carriedImages } from '../../../../src/mind/router/transcript/prepare.ts';
import { PROVIDERS } from '../../../../src/substrate/policy/model.ts';
import { Message } from '../../../../src/substrate/transcript.ts';
import { modelRequests, transcripts } from '../../../support/transcripts.ts';
import { wrongWith } from '../../../support/wire-checks.ts';

const RUNS = process.env['SEED_TEST_LONG'] === '1' ? 20_000 : 600;

function pathOf({ model }: ModelRequest): string {
  return `/v1beta/models/${model}:streamGenerateContent`;
}

describe.each(PROVIDERS)('%s', (name) => {
  const { encode } = PROVIDER_MODULES[name];

  test('any transcript becomes a request that the provider’s own rules allow', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        expect(wrongWith(name, encode(request).body, pathOf(request))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test('the same request has the same bytes, and is not changed', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        const before = JSON.stringify(request);
        expect(encode(structuredClone(request)).body).toBe(encode(request).body);
        expect(JSON.stringify(request)).toBe(before);
      }),
      { numRuns: 100 },
    );
  });

  test('no opaque part of another origin is in the bytes, and each is listed', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        const { body, losses } = encode(request);
        const foreign = request.messages.flatMap(({ role, parts }, index) =>
          parts.flatMap((part) =>
            role === 'assistant' && part.type === 'opaque' && (part.provider !== name || part.model !== request.model)
              ? [{ index, blob: /"([A-Za-z0-9+/=]{24,})"/.exec(part.data)?.[1] ?? '' }]
              : [],
          ),
        );
        for (const { index, blob } of foreign) {
          expect(body).not.toContain(blob);
          expect(losses.some(({ message }) => message === index)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('every image that counts is in the bytes', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        const { body } = encode(request);
        for (const { data } of carriedImages(request.messages)) expect(body).toContain(data);
      }),
      { numRuns: 200 },
    );
  });
});

test('the generated transcripts are transcripts', () => {
  fc.assert(
    fc.property(transcripts, (messages) => {
      for (const message of messages) expect(Message.safeParse(message).success).toBe(true);
    }),
    { numRuns: 200 },
  );
});

describe('the checks find what is wrong', () => {
  const asked = { role: 'user', content: [{ type: 'text', text: 'hi' }] };
  const call = { type: 'tool_use', id: 'a', name: 'run', input: {} };
  const frame = {
    model: 'm',
    max_tokens: 1,
    stream: true,
    tools: [{ type: 'custom', name: 'run', input_schema: { type: 'object' } }],
  };
  const anthropic = (...messages: unknown[]): string[] =>
    wrongWith('anthropic', JSON.stringify({ ...frame, messages }));
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a' }] };

  test('an orphan call, an orphan result, a foreign signature, an id of 450 characters', () => {
    expect(anthropic(asked, { role: 'assistant', content: [call] }, result)).toEqual([]);
    expect(anthropic(asked, { role: 'assistant', content: [call] }, asked)).not.toEqual([]);
    expect(anthropic(asked, { role: 'assistant', content: [{ type: 'text', text: 'x' }] }, result)).not.toEqual([]);
    const thinking = { type: 'thinking', thinking: 'x', signature: 'AAAA' };
    expect(anthropic(asked, { role: 'assistant', content: [thinking, call] }, result)).not.toEqual([]);
    const long = { ...call, id: 'a'.repeat(450) };
    const answered = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a'.repeat(450) }] };
    expect(anthropic(asked, { role: 'assistant', content: [long] }, answered)).not.toEqual([]);
  });

  test('a Gemini call without a signature, an OpenAI result out of place, half a surrogate pair', () => {
    const contents = [
      { role: 'user', parts: [{ text: 'hi' }] },
      { role: 'model', parts: [{ functionCall: { id: 'a', name: 'run', args: {} } }] },
      { role: 'user', parts: [{ functionResponse: { id: 'a', name: 'run', response: {} } }] },
    ];
    const unsigned = JSON.stringify({ contents, generationConfig: { maxOutputTokens: 1 } });
    expect(wrongWith('gemini', unsigned, pathOf({ model: 'm' } as ModelRequest))).toEqual([
      'contents.1: Function call is missing a thought_signature',
    ]);
    const chat = { model: 'm', max_tokens: 1, stream: true, stream_options: { include_usage: true } };
    const misplaced = [
      { role: 'user', content: 'hi' },
      { role: 'tool', tool_call_id: 'a', content: '' },
    ];
    expect(wrongWith('nvidia', JSON.stringify({ ...chat, messages: misplaced }))).not.toEqual([]);
    const torn = [{ role: 'user', content: '\ud83d' }];
    expect(wrongWith('nvidia', JSON.stringify({ ...chat, messages: torn }))).toEqual([
      'a string has half a surrogate pair',
    ]);
  });
});
