/** Many clients at once, half of which hang up in the middle: nothing of them stays, and the ledger is right. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Row } from '../../../src/substrate/substrate.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { receipts } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, figure, openaiOf, openGateway, policyOver } from './rig.ts';

const CLIENTS = process.env['SEED_TEST_LONG'] === '1' ? 200 : 40;

let stub: ProviderStub;
let dir: Scratch;
let rig: GatewayRig;
beforeAll(async () => {
  stub = await startProviderStub();
  dir = scratch();
  rig = await openGateway(dir, policyOver(stub, 'nvidia', { patienceMs: 30_000, usd: '100.00' }));
});
afterAll(async () => {
  await rig.close();
  await stub.close();
  dir[Symbol.dispose]();
});

const TEXT = ['One ', 'two ', 'three ', 'four ', 'five '];

/** Streams until the end or until hung up; resolves to what was heard. */
async function listen(index: number, signal: AbortSignal): Promise<{ text: string; ended: boolean }> {
  const heard = { text: '', ended: false };
  try {
    if (index % 2 === 0) {
      const ask = { model: 'worker', messages: [{ role: 'user' as const, content: `Count, ${index}` }] };
      const stream = await openaiOf(rig).chat.completions.create({ ...ask, stream: true }, { signal });
      for await (const chunk of stream) heard.text += chunk.choices[0]?.delta.content ?? '';
    } else {
      const messages = [{ role: 'user' as const, content: `Count, ${index}` }];
      const stream = anthropicOf(rig).messages.stream({ model: 'worker', max_tokens: 50, messages }, { signal });
      stream.on('text', (text) => {
        heard.text += text;
      });
      await stream.finalMessage();
    }
    // A stream that is aborted ends without an error in one of the two.
    heard.ended = !signal.aborted;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return heard;
}

test('[LOCK-RUNTIME-3] half of the clients hang up: every hold is settled, every call closed, nothing open', async () => {
  for (let index = 0; index < CLIENTS; index++) {
    stub.next(
      index % 2 === 0
        ? { do: 'answer', answer: { text: TEXT, usage: { input: 10, output: 5 } } }
        : { do: 'stall', after: 4, answer: { text: TEXT } },
    );
  }
  const control = new AbortController();
  let ended = 0;
  const all = Array.from({ length: CLIENTS }, async (_, index) => {
    const heard = await listen(index, control.signal);
    ended += 1;
    return heard;
  });
  await until(() => ended === CLIENTS / 2 && stub.requests.length === CLIENTS, 'the answers that come whole');
  expect(await figure(rig, 'seed_open_streams')).toBe(CLIENTS / 2);
  expect(await figure(rig, 'seed_held_micro_usd')).toBeGreaterThan(0);
  control.abort();
  const heard = await Promise.all(all);
  expect(heard.filter(({ ended: whole, text }) => whole && text === TEXT.join(''))).toHaveLength(CLIENTS / 2);
  await until(async () => (await figure(rig, 'seed_held_micro_usd')) === 0, 'the money to be settled');
  expect(await figure(rig, 'seed_open_streams')).toBe(0);
  expect(await figure(rig, 'seed_gateway_request_bytes')).toBe(0);
  expect(rig.membrane.work.count(rig.client.id)).toBe(0);
  const left = await rig.substrate.read((db) =>
    db.all<{ status: string; count: number } & Row>(
      'SELECT status, count(*) AS count FROM substrate_calls GROUP BY status ORDER BY status',
    ),
  );
  expect(left).toEqual([
    { status: 'complete', count: CLIENTS / 2 },
    { status: 'incomplete', count: CLIENTS / 2 },
  ]);
  await expectLedgerRight();
  expect(rig.defects).toEqual([]);
}, 60_000);

/** Each intent has its one outcome, and the costs in them are what the figures say was spent. */
async function expectLedgerRight(): Promise<void> {
  const attempts = await receipts(rig, { action: 'route.attempt' });
  const intents = attempts.filter(({ outcome }) => outcome === 'intent');
  const ends = attempts.filter(({ outcome }) => outcome !== 'intent');
  expect(new Set(ends.map(({ of }) => of))).toEqual(new Set(intents.map(({ seq }) => seq)));
  expect(ends).toHaveLength(intents.length);
  const cost = ends.reduce((sum, { detail }) => sum + Number(detail?.['cost_micro_usd']), 0);
  expect(await figure(rig, 'seed_spent_micro_usd_total{role="worker",target="first"}')).toBe(cost);
}
