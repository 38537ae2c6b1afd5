/** The state of a subsystem: what is wrong is said, what is unknown is neither good nor bad. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { judge } from '../../../src/mind/coherence/verdict.ts';
import type { Shape } from './random.ts';
import { GAPS, HOUR_MS } from './random.ts';
import { DAY_MS, done, each, item, NOW, ofProbe, ofTasks } from './record.ts';

const hourly = (count: number, lastHours: number) =>
  each(count + lastHours, 1 + lastHours, (n) => done(n, { tookHours: 1 }));

describe('the four situations', () => {
  it('steady total failure: drifting, never healthy', () => {
    const overdue = each(60, 1, (n) => item(n * 12, { id: `t${n}`, deadline: NOW - (n * 12 - 6) * HOUR_MS }));
    const verdict = judge(ofTasks(overdue));
    expect(verdict).toMatchObject({ status: 'drifting', provisional: false, lastDone: null, owed: 60 });
    expect(verdict.reason).toBe(
      'More of its work fails than is done: 0 of 56 verified by their deadline (0 % to 4 %).',
    );
    expect(verdict.components[0]).toMatchObject({ name: 'completion', score: 0 });
    // And as steadily done too late: completions come, nothing is silent, and still it fails.
    const late = each(60, 1, (n) => done(n * 12, { tookHours: 8, dueHours: 6 }));
    expect(judge(ofTasks([...late, item(1)])).status).toBe('drifting');
  });

  it('no data: unknown, every component of it', () => {
    for (const record of [ofTasks([]), ofProbe([]), ofTasks([item(500)])]) {
      const verdict = judge(record);
      expect(verdict).toMatchObject({ status: 'unknown', provisional: false, findings: [], due: null });
      expect(verdict.components).toHaveLength(7);
      expect(verdict.components.filter(({ score }) => score !== null)).toEqual([]);
    }
  });

  it('silence with nothing owed: healthy', () => {
    expect(judge(ofTasks(hourly(120, 1_000)))).toMatchObject({
      status: 'healthy',
      provisional: false,
      owed: 0,
      due: null,
    });
    expect(
      judge(
        ofProbe(
          each(20, 1, (n) => item(n)).map((_, i) => 1_000 + i),
          { finished: true },
        ),
      ),
    ).toMatchObject({
      status: 'healthy',
      provisional: true,
      owed: 0,
    });
  });

  it('silence with work owed: stalled, since the last completion, with what was owed', () => {
    const items = [...hourly(120, 1_000), item(1_001, { id: 't900' }), item(2, { id: 't901' })];
    const verdict = judge(ofTasks(items));
    expect(verdict).toMatchObject({ status: 'stalled', provisional: false, owed: 2, oldestOwed: ['t900', 't901'] });
    expect(verdict.findings[0]).toMatchObject({ kind: 'stall', since: NOW - 1_000 * HOUR_MS });
    expect(verdict.reason).toBe(
      'Nothing was completed since 2026-10-10T15:00:00Z, 41 days ago; up to 2 hours is usual. 2 tasks owed: t900, t901.',
    );
    const probed = judge(ofProbe(Array.from({ length: 40 }, (_, i) => (35 + i) * 24)));
    expect(probed).toMatchObject({ status: 'stalled', provisional: true, owed: 1, lastDone: NOW - 35 * DAY_MS });
    expect(probed.expectedWithinMs).toBe(2 * DAY_MS);
    expect(probed.reason).toMatch(
      /^Nothing was completed since 2026-10-17T07:00:00Z, 35 days ago; up to 2 days is usual/,
    );
  });
});

it('silence while nobody can look: unknown since then, and a stall from before stays one', () => {
  const nightly = (lastHours: number): number[] => Array.from({ length: 20 }, (_, i) => lastHours + i * 24);
  const unseen = judge(ofProbe(nightly(300), { goneHours: 299 }));
  expect(unseen).toMatchObject({ status: 'unknown', findings: [], due: null });
  expect(unseen.reason).toBe('Its probe cannot see since 2026-11-08T20:00:00Z what is done: the place is not there.');
  const before = judge(ofProbe(nightly(300), { goneHours: 10 }));
  expect(before).toMatchObject({ status: 'stalled', findings: [{ kind: 'stall', since: NOW - 300 * HOUR_MS }] });
  expect(before.reason).toMatch(/owed\. Its probe cannot see since 2026-11-20T21:00:00Z/);
  // What is finished may be taken away.
  expect(judge(ofProbe(nightly(300), { goneHours: 299, finished: true })).status).toBe('healthy');
});

it('silence with work scheduled and nothing open: stalled, the next one is owed', () => {
  const nightly = each(20, 1, (n) => done(n * 24, { tookHours: 1 }));
  const verdict = judge(ofTasks(nightly, { scheduledSince: NOW - 3 * HOUR_MS }));
  expect(verdict).toMatchObject({ status: 'stalled', owed: 1, oldestOwed: [] });
  expect(verdict.reason).toMatch(/The next one is owed\.$/);
});

describe('work that goes on as it did', () => {
  it.each(Object.keys(GAPS) as Shape[])('%s gaps: at 19 of 20 moments and more it is healthy', (shape) => {
    let healthy = 0;
    for (let seed = 0; seed < 100; seed++) {
      const next = GAPS[shape](5_000 + seed);
      const completions: number[] = [];
      for (let at = 0; completions.length < 250; completions.push(at)) at += next();
      const now = (completions.at(-1) ?? 0) + next() / 2;
      if (judge({ ...ofProbe([]), completions, now }).status === 'healthy') healthy++;
    }
    expect(healthy).toBeGreaterThanOrEqual(95);
  });
});

describe('the vector', () => {
  it('has the worst known component first and the unknown ones last, which hide nothing', () => {
    const verdict = judge(ofTasks([...hourly(30, 0), item(0.5)]));
    const scores = verdict.components.map(({ score }) => score);
    const known = scores.filter((score) => score !== null);
    expect(scores.slice(0, known.length)).toEqual(known.toSorted((a, b) => a - b));
    expect(known.length).toBeLessThan(7);
    expect(known.length).toBeGreaterThan(0);
    expect(verdict.status).toBe('healthy');
  });

  it('is between 0 and 1, whatever the work was, and an alarm has a reason and a time that has passed', () => {
    const work = fc.array(
      fc.record({
        ago: fc.integer({ min: 0, max: 3_000 }),
        took: fc.option(fc.integer({ min: 0, max: 200 })),
        due: fc.option(fc.integer({ min: 0, max: 200 })),
        given: fc.option(fc.integer({ min: 0, max: 200 })),
      }),
      { maxLength: 250, size: 'max' },
    );
    const probes = fc.array(fc.integer({ min: -50, max: 5_000 }), { maxLength: 250, size: 'max' });
    fc.assert(
      fc.property(work, probes, (drafts, seen) => {
        const items = drafts
          .toSorted((a, b) => b.ago - a.ago)
          .map(({ ago, took, due, given }) => {
            const at = NOW - ago * HOUR_MS;
            const after = (hours: number | null) => (hours === null ? null : at + hours * HOUR_MS);
            return item(ago, {
              deadline: after(due),
              verifiedAt: took !== null && took <= ago ? after(took) : null,
              cancelledAt: given !== null && given <= ago && took === null ? after(given) : null,
            });
          });
        for (const record of [ofTasks(items), ofProbe(seen)]) {
          const { components, findings, status, due } = judge(record);
          for (const { score, value, says } of components) {
            expect(score === null).toBe(value === null);
            if (score !== null) expect(score >= 0 && score <= 1).toBe(true);
            expect(says).not.toMatch(/NaN|Infinity|undefined/);
          }
          for (const { since, reason } of findings) {
            expect(since).toBeLessThanOrEqual(NOW);
            expect(reason).not.toMatch(/NaN|Infinity|undefined/);
          }
          expect(findings.length > 0).toBe(status === 'stalled' || status === 'drifting');
          if (due !== null) expect(due).toBeGreaterThan(NOW);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('says when time alone will change something: a deadline, an age, a silence', () => {
    const soon = item(1, { deadline: NOW + HOUR_MS / 4 });
    expect(judge(ofTasks([soon])).due).toBe(NOW + HOUR_MS / 4 + 1);
    const waiting = judge(ofTasks([...hourly(20, 0), item(0)]));
    expect(waiting.due).toBe(NOW + 2 * HOUR_MS + 1);
  });
});
