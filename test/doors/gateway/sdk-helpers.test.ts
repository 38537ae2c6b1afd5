/** What the official SDKs do by themselves with a tool: ask, run it, ask again. */
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { beforeAll, expect, test } from 'vitest';
import type { ProviderStub, StubAnswer } from '../../support/provider-stub.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, openaiOf, openOverStub } from './rig.ts';

const CALLING: StubAnswer = {
  calls: [
    { name: 'look', arguments: '{"at":1}' },
    { name: 'look', arguments: '{"at":2}' },
  ],
};
const SAID: StubAnswer = { text: ['Both seen.'] };

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  const opened = await openOverStub('anthropic');
  ({ stub, rig } = opened);
  return opened.end;
});

test.each([true, false])('Anthropic’s tool runner, stream: %s', async (stream) => {
  const seen: unknown[] = [];
  const look = betaTool({
    name: 'look',
    description: 'Looks.',
    inputSchema: { type: 'object', properties: { at: { type: 'number' } } },
    run: ({ at }) => {
      seen.push(at);
      return 'A cat.';
    },
  });
  const before = stub.requests.length;
  stub.next({ do: 'answer', answer: CALLING }, { do: 'answer', answer: SAID });
  const runner = anthropicOf(rig).beta.messages.toolRunner({
    model: 'worker',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'Look twice.' }],
    tools: [look],
    stream,
  });
  const { content } = await runner.runUntilDone();
  expect(content).toMatchObject([{ type: 'text', text: 'Both seen.' }]);
  expect(seen).toEqual([1, 2]);
  expect(stub.requests.length - before).toBe(2);
});

test('a conversation that is to be kept here is refused in words that the SDK knows', async () => {
  const thread = anthropicOf(rig).beta.messages.thread({ model: 'worker', max_tokens: 100 });
  await expect(thread.send({ role: 'user', content: 'Hi' })).rejects.toMatchObject({
    status: 400,
    error: { error: { details: { error_code: 'thread_unsupported_request' } } },
  });
});

test.each([true, false])('OpenAI’s runTools, stream: %s', async (stream) => {
  const seen: unknown[] = [];
  stub.next({ do: 'answer', answer: CALLING }, { do: 'answer', answer: SAID });
  const tool = {
    type: 'function' as const,
    function: {
      name: 'look',
      description: 'Looks.',
      parse: JSON.parse as (text: string) => { at: number },
      parameters: { type: 'object', properties: { at: { type: 'number' } } },
      function: ({ at }: { at: number }) => {
        seen.push(at);
        return 'A cat.';
      },
    },
  };
  const asked = { model: 'worker', messages: [{ role: 'user' as const, content: 'Look twice.' }], tools: [tool] };
  const { completions } = openaiOf(rig).chat;
  const runner = stream ? completions.runTools({ ...asked, stream }) : completions.runTools({ ...asked, stream });
  expect(await runner.finalContent()).toBe('Both seen.');
  expect(seen).toEqual([1, 2]);
});
