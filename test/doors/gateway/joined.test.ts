/** Two who wait for one call by its key: it goes on as long as one of them does. */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { receipts } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { figure, openaiOf, openAlone, policyOver } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  stub = await startProviderStub();
  return () => stub.close();
});
beforeEach(async () => {
  const opened = await openAlone(policyOver(stub, 'nvidia', { patienceMs: 1_000 }));
  rig = opened.rig;
  return opened.end;
});

const headers = { 'idempotency-key': 'both' };
const CHAT = { model: 'worker', messages: [{ role: 'user' as const, content: 'Hi' }] };

/** Asks as a stream and hears its first words; `text` is all of it, or what was heard until it was hung up. */
async function ask(signal: AbortSignal): Promise<{ readonly text: Promise<string> }> {
  const stream = await openaiOf(rig).chat.completions.create({ ...CHAT, stream: true }, { headers, signal });
  const began = Promise.withResolvers<void>();
  const text = (async () => {
    let heard = '';
    try {
      for await (const chunk of stream) {
        heard += chunk.choices[0]?.delta.content ?? '';
        if (heard !== '') began.resolve();
      }
    } catch (error) {
      if (!signal.aborted) heard += `! ${(error as Error).message}`;
    }
    return heard;
  })();
  await Promise.race([began.promise, text]);
  return { text };
}

/** How each attempt ended. */
async function ends(): Promise<unknown[]> {
  const all = await receipts(rig, { action: 'route.attempt' });
  return all.filter(({ outcome }) => outcome !== 'intent').map(({ outcome, code }) => [outcome, code]);
}

/** Of which a provider says the first word, and then nothing for as long as it is waited for. */
const TEXT = ['One ', 'two ', 'three.'];

test('whoever began it hangs up, and the other hears it to its end', async () => {
  stub.next({ do: 'stall', after: 2, answer: { text: TEXT } });
  const [first, second] = [new AbortController(), new AbortController()];
  const mine = await ask(first.signal);
  const other = await ask(second.signal);
  expect(stub.requests).toHaveLength(1);
  first.abort();
  expect(await mine.text).toBe('One ');
  // It is the provider's silence that ends it.
  expect(await other.text).toMatch(/^One ! It took longer than 1000 ms/);
  expect(await ends()).toEqual([['incomplete', 'timeout']]);
});

test('the last who hangs up ends it', async () => {
  stub.next({ do: 'stall', after: 2, answer: { text: TEXT } });
  const [first, second] = [new AbortController(), new AbortController()];
  const both = [await ask(first.signal), await ask(second.signal)];
  first.abort();
  second.abort();
  await Promise.all(both.map(({ text }) => text));
  await until(async () => (await figure(rig, 'seed_held_micro_usd')) === 0, 'the money to be settled');
  expect(await ends()).toEqual([['incomplete', 'cancelled']]);
});
