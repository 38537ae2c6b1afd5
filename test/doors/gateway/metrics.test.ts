/** What is counted as what. */
import { expect, test } from 'vitest';
import { startProviderStub } from '../../support/provider-stub.ts';
import { scratch } from '../../support/scratch.ts';
import { figure, openaiOf, openGateway, policyOver } from './rig.ts';
import { Metrics } from '../../../src/doors/gateway/metrics.ts';
import { RUNNING } from '../../../src/mind/router/outcome.ts';

test('what the seed adds is in buckets that tell one millisecond from ten', () => {
  const metrics = new Metrics();
  for (const ms of [0.4, 0.9, 9, 9_000]) metrics.added(ms);
  const buckets = metrics.lines().filter((line) => line.startsWith('seed_added_seconds'));
  expect(buckets).toEqual(
    expect.arrayContaining([
      'seed_added_seconds_bucket{le="0.0005"} 1',
      'seed_added_seconds_bucket{le="0.001"} 2',
      'seed_added_seconds_bucket{le="0.01"} 3',
      'seed_added_seconds_bucket{le="2.5"} 3',
      'seed_added_seconds_bucket{le="+Inf"} 4',
      'seed_added_seconds_count 4',
    ]),
  );
});

test('a refusal in the middle of an answer is a refusal; a failure there is none', () => {
  const metrics = new Metrics();
  const ended = (status: 'incomplete' | 'refused', code: string): void => {
    metrics.ended({ outcome: { ...RUNNING, status, code }, message: null }, { role: 'worker', tookMs: 1 });
  };
  ended('incomplete', 'over_ceiling');
  ended('refused', 'over_ceiling');
  ended('incomplete', 'provider_failed');
  const refusals = metrics.lines().filter((line) => line.startsWith('seed_refusals_total'));
  expect(refusals).toEqual(['seed_refusals_total{code="over_ceiling"} 2']);
});

test('of each answer it is counted what the seed added, of a repeat nothing', async () => {
  await using stub = await startProviderStub();
  using dir = scratch();
  const rig = await openGateway(dir, policyOver(stub, 'anthropic'));
  try {
    const asked = { model: 'worker', messages: [{ role: 'user' as const, content: 'Hi' }] };
    const once = { headers: { 'idempotency-key': 'once' } };
    const { completions } = openaiOf(rig).chat;
    await completions.create(asked, once);
    for await (const _ of await completions.create({ ...asked, stream: true }));
    await completions.create(asked, once);
    expect(await figure(rig, 'seed_added_seconds_count')).toBe(2);
    const [added, took] = [
      await figure(rig, 'seed_added_seconds_sum'),
      await figure(rig, 'seed_first_words_seconds_sum'),
    ];
    expect(added).toBeGreaterThan(0);
    expect(took).toBeGreaterThan(0);
  } finally {
    await rig.close();
  }
});
