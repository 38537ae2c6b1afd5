/** The four providers against a fake that others wrote: what it can do, the stub's own tests leave to it. */
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProviderName } from '../../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../../src/substrate/policy/model.ts';
import { CANARY, ofType, streamOf, textOf, wordsOf } from './rig.ts';

const mock = new LLMock({ port: 0 });
beforeAll(async () => {
  await mock.start();
});
afterAll(async () => {
  await mock.stop();
});
beforeEach(() => {
  mock.reset();
});

function baseUrl(name: ProviderName): string {
  return name === 'nvidia' ? `${mock.url}/v1` : mock.url;
}

describe.each(PROVIDERS)('%s', (name) => {
  test('text in pieces, a clean end, one request', async () => {
    mock.on({}, { content: 'Hello from somebody else’s fake 👋' }, { chunkSize: 3 });
    const streamed = await streamOf(name, { baseUrl: baseUrl(name) });
    expect(streamed.fault).toBeNull();
    expect(textOf(streamed)).toBe('Hello from somebody else’s fake 👋');
    expect(ofType(streamed, 'end')).toMatchObject([{ stop: 'end' }]);
    expect(mock.getRequests()).toHaveLength(1);
  });

  test('parallel tool calls, whole', async () => {
    const toolCalls = [
      { name: 'run', arguments: '{"path":"/tmp/a b","deep":{"n":[1,2]}}' },
      { name: 'run', arguments: '{}' },
    ];
    mock.on({}, { toolCalls }, { chunkSize: 4 });
    const streamed = await streamOf(name, { baseUrl: baseUrl(name) });
    expect(streamed.fault).toBeNull();
    expect(ofType(streamed, 'tool_call').map(({ call }) => JSON.parse(call.arguments) as unknown)).toEqual(
      toolCalls.map((call) => JSON.parse(call.arguments) as unknown),
    );
    expect(ofType(streamed, 'end')).toMatchObject([{ stop: 'tool_calls' }]);
  });

  test.each([
    [429, 'rate_limited'],
    [529, 'overloaded'],
    [500, 'server_error'],
  ])('%i is %s, after one request', async (status, kind) => {
    mock.on({}, { error: { message: `no: ${CANARY}`, type: 'an_error' }, status, retryAfter: 7 });
    const streamed = await streamOf(name, { baseUrl: baseUrl(name) });
    expect(streamed.fault).toMatchObject({ kind, status, mayBeBilled: false });
    if (status === 429) expect(streamed.fault?.retryAfterMs).toBe(7_000);
    expect(wordsOf(streamed.fault)).not.toContain(CANARY);
    expect(mock.getRequests()).toHaveLength(1);
  });

  test('a stream that breaks off has no end', async () => {
    mock.on({}, { content: 'one two three four five six seven' }, { chunkSize: 3, truncateAfterChunks: 4, latency: 5 });
    const streamed = await streamOf(name, { baseUrl: baseUrl(name) });
    expect(streamed.fault).toMatchObject({ kind: 'cut', mayBeBilled: true });
    expect(ofType(streamed, 'end')).toEqual([]);
    expect(mock.getRequests()).toHaveLength(1);
  });

  test('tool calls of a stream that breaks off are never seen', async () => {
    const toolCalls = [1, 2, 3].map((at) => ({ name: 'run', arguments: `{"at":${at}}` }));
    mock.on({}, { toolCalls }, { chunkSize: 4, truncateAfterChunks: 1, latency: 5 });
    const streamed = await streamOf(name, { baseUrl: baseUrl(name) });
    expect(streamed.fault?.kind).toBe('cut');
    expect(ofType(streamed, 'tool_call')).toEqual([]);
  });
});
