/** A key whose call has no whole answer is told so, and that no try by it helps; a provider’s own wait is passed on. */
import { beforeAll, expect, test } from 'vitest';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { ask } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { openaiOf, openOverStub } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  const opened = await openOverStub('nvidia');
  ({ stub, rig } = opened);
  return opened.end;
});

const BODY = { model: 'worker', messages: [{ role: 'user' as const, content: 'Hi' }] };

function post(headers: Record<string, string>, more: object = {}) {
  return ask(rig, {
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${rig.client.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...BODY, ...more }),
  });
}

test.each([{}, { stream: true }])('a key whose call failed is final, and says to use a new one: %o', async (more) => {
  const key = { 'idempotency-key': `failed-${JSON.stringify(more).length}` };
  stub.next({ do: 'status', status: 500 });
  const first = await post(key, more);
  expect(first.status).toBeGreaterThanOrEqual(500);
  expect(first.headers['x-should-retry']).toBeUndefined();
  const asked = stub.requests.length;
  const again = await post(key, more);
  expect(again.status).toBe(first.status);
  expect(again.headers['x-should-retry']).toBe('false');
  expect(again.headers['retry-after']).toBeUndefined();
  expect(again.headers['content-type']).toContain('application/json');
  expect(again.text).toContain('new idempotency key');
  // The SDK, which would try twice more, believes it.
  const client = openaiOf(rig, { maxRetries: 2 });
  await expect(client.chat.completions.create({ ...BODY, ...more }, { headers: key })).rejects.toThrow('new idemp');
  expect(stub.requests.length).toBe(asked);
  // The control: a new key asks anew.
  expect((await post({ 'idempotency-key': `${key['idempotency-key']}-new` }, more)).status).toBe(200);
});

test('how long a provider wants to be left alone is told', async () => {
  stub.next({ do: 'status', status: 429, headers: { 'retry-after': '7' } });
  const answer = await post({});
  expect([answer.status, answer.headers['retry-after']]).toEqual([429, '7']);
});
