/**
 * The whole fault matrix through the engine: eleven faults at each of four providers, by their real SDKs
 * and the real way out. Each fails over to the next candidate, or ends as an explicit `incomplete`; no
 * tool call comes twice; every attempt has its intent and its outcome.
 */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Egress } from '../../../src/membrane/egress.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import { Router } from '../../../src/mind/router/router.ts';
import { Credentials } from '../../../src/substrate/home/credentials.ts';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import type { Behaviour, ProviderStub, StubAnswer } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { scratch } from '../../support/scratch.ts';
import { applyPolicy, asker, asks, PATIENT } from './rig.ts';

let stub: ProviderStub;
let refused: string;
beforeAll(async () => {
  stub = await startProviderStub();
  // A port that was free a moment ago, and is closed: connections are refused.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  refused = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise((resolve) => server.close(resolve));
});
afterAll(async () => {
  await stub.close();
});

/** Says something, then wants a tool: a fault can come before, between and behind. */
const CALLING: StubAnswer = {
  text: ['I ', 'look'],
  calls: [{ name: 'look', arguments: '{"at":1}' }],
  usage: { input: 10, output: 5 },
};

/** Long enough that six chunks of any format have some of its text. */
const TALKING: StubAnswer = { text: ['One ', 'two ', 'three ', 'four ', 'five ', 'six ', 'seven ', 'eight '] };

const FAULTS: Readonly<Record<string, Behaviour | 'refused'>> = {
  '429': { do: 'status', status: 429, headers: { 'retry-after': '7' } },
  '529': { do: 'status', status: 529 },
  '500': { do: 'status', status: 500 },
  'a refused connection': 'refused',
  'a stall before the first token': { do: 'stall', after: 0, answer: CALLING },
  'a stall between tokens': { do: 'stall', after: 2, answer: CALLING },
  'a cut': { do: 'cut', after: 3, answer: CALLING },
  'a clean end without a terminal marker': { do: 'clean_end', answer: CALLING },
  'a bad chunk': { do: 'bad_chunk', after: 2, answer: CALLING },
  'an error inside the stream': { do: 'stream_error', after: 2, answer: CALLING },
  'a signature 400': { do: 'status', status: 400, body: '{"error":{"message":"Invalid signature"}}' },
};

/** The provider under test first, then one that answers, unless there is to be no other. */
function policyFor(provider: ProviderName, baseUrl: string, second: boolean): string {
  const backup = provider === 'nvidia' ? 'anthropic' : 'nvidia';
  return `
version: 1
targets:
  first: { provider: ${provider}, base_url: "${baseUrl}" }
  second: { provider: ${backup}, base_url: "${stub.baseUrl(backup)}" }
roles:
  worker:
    dispatch: any
    max_output_tokens: 500
    timeouts_ms: { first_token: 1000, idle: 1000, total: 20000 }
    candidates:
      - { target: first, model: m, tier: 2 }
${second ? '      - { target: second, model: m, tier: 2 }' : ''}
ceilings:
  - { scope: seed, window: day, usd: "1.00" }
prices:
  - { target: first, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
  - { target: second, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
`;
}

const TOOLS = [
  { name: 'look', description: 'Looks.', parameters: '{"type":"object","properties":{"at":{"type":"number"}}}' },
];

async function open(dir: Parameters<typeof openSeed>[0], policy: string) {
  const seed = await openSeed(dir);
  await applyPolicy(seed.substrate, policy);
  const egress = new Egress({ credentials: new Credentials(seed.home, {}), now: seed.sources.now, halted: false });
  const router = new Router({
    substrate: seed.substrate,
    provider: (name) => PROVIDER_MODULES[name],
    open: (target) => egress.open(target),
    register: () => () => {},
    onDefect: (error) => {
      throw error;
    },
  });
  return {
    ...seed,
    router,
    [Symbol.asyncDispose]: async () => {
      await router.close(0);
      await egress.close();
      await seed[Symbol.asyncDispose]();
    },
  };
}

describe.each(PROVIDERS)('%s', (provider) => {
  test.each(Object.keys(FAULTS))('[LOCK-RUNTIME-4] %s: the next candidate answers, once and whole', async (name) => {
    const fault = FAULTS[name] ?? 'refused';
    using dir = scratch();
    const baseUrl = fault === 'refused' ? refused : stub.baseUrl(provider);
    await using seed = await open(dir, policyFor(provider, baseUrl, true));
    if (fault !== 'refused') stub.next(fault);
    stub.next({ do: 'answer', answer: CALLING });
    const before = stub.requests.length;
    const { outcome, message } = await seed.router.complete(asks('Look', { tools: TOOLS }), asker(), PATIENT);
    expect(outcome).toMatchObject({ status: 'complete', stop: 'tool_calls', target: 'second' });
    expect(message?.parts.filter(({ type }) => type === 'tool_call')).toHaveLength(1);
    expect(message?.parts.filter(({ type }) => type === 'text')).toEqual([{ type: 'text', text: 'I look' }]);
    // One request an attempt: nobody retries behind our back.
    expect(stub.requests.length - before).toBe(fault === 'refused' ? 1 : 2);
    const receipts = (await allReceipts(seed.substrate)).filter(({ action }) => action === 'route.attempt');
    expect(receipts.map(({ outcome: said }) => said)).toEqual([
      'intent',
      expect.stringMatching(/^(?:failed|incomplete)$/),
      'intent',
      'ok',
    ]);
    expect(receipts[1]?.of).toBe(receipts[0]?.seq);
  });

  test.each(['cut', 'clean_end', 'stall', 'bad_chunk', 'stream_error'] as const)(
    '[LOCK-RUNTIME-4] %s with nobody left is incomplete, with no tool call to carry out',
    async (what) => {
      const fault: Behaviour =
        what === 'clean_end' ? { do: what, answer: TALKING } : { do: what, after: 6, answer: TALKING };
      using dir = scratch();
      await using seed = await open(dir, policyFor(provider, stub.baseUrl(provider), false));
      stub.next(fault);
      const { outcome, text } = await seed.router.complete(asks('Look', { tools: TOOLS }), asker(), PATIENT);
      expect(outcome).toMatchObject({ stop: null, code: 'provider_failed' });
      // An SDK may throw before it has handed out what came in the same piece as the fault.
      const mayBeSilent = what === 'bad_chunk' || what === 'stream_error';
      expect(outcome.status).toBe(mayBeSilent && text === '' ? 'failed' : 'incomplete');
    },
  );
});

test('without a fault the first candidate answers: what the matrix looks for is not there by itself', async () => {
  using dir = scratch();
  await using seed = await open(dir, policyFor('anthropic', stub.baseUrl('anthropic'), true));
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'complete', target: 'first' });
  expect(outcome.attempts).toHaveLength(1);
});
