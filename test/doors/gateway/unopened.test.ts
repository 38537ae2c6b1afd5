/** A conversation whose first call was refused has no session, and no answer names one. */
import type OpenAI from 'openai';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { ask, edit } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { openAlone, policyOver } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  stub = await startProviderStub();
  return () => stub.close();
});
beforeEach(async () => {
  const opened = await openAlone(policyOver(stub, 'nvidia'));
  rig = opened.rig;
  return opened.end;
});

const MESSAGES: OpenAI.Chat.ChatCompletionMessageParam[] = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
  { role: 'user', content: 'c' },
];

function post(stream: boolean) {
  return ask(rig, {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${rig.client.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'worker', messages: MESSAGES, stream }),
  });
}

test.each([false, true])('a ceiling that refuses it before it began: streamed %o', async (stream) => {
  edit(rig.home, "UPDATE substrate_ceilings SET limit_micro_usd = 1 WHERE scope = 'seed'");
  const refused = await post(stream);
  expect(refused.status).toBe(429);
  expect(refused.headers['x-seed-call']).toBeDefined();
  expect(refused.headers['x-seed-session']).toBeUndefined();
  // The control: with money it has one.
  edit(rig.home, "UPDATE substrate_ceilings SET limit_micro_usd = 1000000 WHERE scope = 'seed'");
  stub.next({ do: 'answer', answer: { text: ['d'] } });
  const answered = await post(stream);
  expect(answered.status).toBe(200);
  expect(answered.headers['x-seed-session']).toMatch(/^[0-9a-f]{32}$/);
});

test.each([false, true])(
  'a provider that fails has had a call, which stands in a session: streamed %o',
  async (stream) => {
    stub.next({ do: 'status', status: 500 });
    const failed = await post(stream);
    expect(failed.status).toBeGreaterThanOrEqual(500);
    expect(failed.headers['x-seed-session']).toMatch(/^[0-9a-f]{32}$/);
  },
);
