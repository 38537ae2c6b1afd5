/** What is counted as what. */
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/doors/gateway/metrics.ts';
import { RUNNING } from '../../../src/mind/router/outcome.ts';

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
