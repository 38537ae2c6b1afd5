import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { estimateInput } from '../../../src/mind/router/estimate.ts';
import type { ModelRequest } from '../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import type { Price, ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { modelRequests } from '../../support/transcripts.ts';

const PRICE: Price = {
  input: 3_000_000,
  output: 15_000_000,
  cachedInput: 300_000,
  cacheWrite: 3_750_000,
  version: 'test:1',
};
const FREE: Price = { input: 0, output: 0, cachedInput: 0, cacheWrite: 0, version: 'local:0' };

function estimate(name: ProviderName, request: ModelRequest, price = PRICE): number {
  const provider = PROVIDER_MODULES[name];
  return estimateInput({ provider, request, body: provider.encode(request).body, price });
}

function withImages(...datas: string[]): ModelRequest {
  const images = datas.map((data) => ({ type: 'image' as const, media_type: 'image/png' as const, data }));
  const parts = [{ type: 'text' as const, text: 'Look.' }, ...images];
  return { model: 'model-a', messages: [{ role: 'user', parts }], tools: [], maxOutputTokens: 10, stop: [] };
}

function textOf({ messages }: ModelRequest): string {
  return messages.flatMap(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : ''))).join('');
}

describe.each(PROVIDERS)('%s', (name) => {
  test('[LOCK-RUNTIME-3] a token for each byte of text costs less, at the highest of the input prices', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        const hasImages = JSON.stringify(request.messages).includes('"image"');
        if (hasImages && PROVIDER_MODULES[name].overhead.perImage === null) return;
        const bound = estimate(name, request);
        expect(Number.isSafeInteger(bound)).toBe(true);
        if (request.messages.some(({ role, parts }) => role === 'tool' && parts.some(({ type }) => type === 'text')))
          return;
        expect(bound).toBeGreaterThan((Buffer.byteLength(textOf(request)) * PRICE.cacheWrite) / 1_000_000);
      }),
      { numRuns: 200 },
    );
  });

  test('[LOCK-RUNTIME-3] one more byte, message, tool or image never costs less', () => {
    const plain = withImages();
    const [message] = plain.messages;
    const tool = { name: 'run', description: '', parameters: '{}' };
    const bound = estimate(name, plain);
    expect(estimate(name, { ...plain, messages: [...plain.messages, message as never] })).toBeGreaterThan(bound);
    expect(estimate(name, { ...plain, tools: [tool] })).toBeGreaterThan(bound);
  });

  test('what costs nothing is bounded, whatever it holds', () => {
    expect(estimate(name, withImages('AAAA'), FREE)).toBe(0);
  });
});

test.each(['anthropic', 'gemini'] as const)('%s: an image counts with its documented most, however large', (name) => {
  const { perImage } = PROVIDER_MODULES[name].overhead;
  const small = estimate(name, withImages('AAAA'));
  expect(estimate(name, withImages('A'.repeat(400_000)))).toBe(small);
  const second = estimate(name, withImages('AAAA', 'AAAA')) - small;
  expect(second).toBeGreaterThanOrEqual(((perImage ?? 0) * PRICE.cacheWrite) / 1_000_000);
});

test.each(['nvidia', 'local-ollama'] as const)(
  '%s: an image without a documented most is refused at a price',
  (name) => {
    expect(() => estimate(name, withImages('AAAA'))).toThrow(
      expect.objectContaining({ kind: 'cannot_carry', mayBeBilled: false }) as Error,
    );
  },
);

test('an image that is left out does not make the bound smaller', () => {
  const answered: ModelRequest = {
    ...withImages(),
    messages: [
      ...withImages().messages,
      {
        role: 'assistant',
        parts: [
          { type: 'text', text: 'x' },
          { type: 'image', media_type: 'image/png', data: 'A'.repeat(4_000) },
        ],
      },
    ],
  };
  const without: ModelRequest = {
    ...answered,
    messages: answered.messages.map((message) => ({
      ...message,
      parts: message.parts.filter(({ type }) => type !== 'image'),
    })),
  };
  expect(estimate('anthropic', answered)).toBeGreaterThanOrEqual(estimate('anthropic', without));
});

test('two tools of one name, and parameters that are no object, are refused before anything is priced', () => {
  const tool = { name: 'run', description: '', parameters: '{}' };
  for (const name of PROVIDERS) {
    for (const tools of [[tool, tool], [{ ...tool, parameters: '{"type":"string"}' }]]) {
      expect(() => estimate(name, { ...withImages(), tools })).toThrow(
        expect.objectContaining({ kind: 'cannot_carry' }) as Error,
      );
    }
  }
});
