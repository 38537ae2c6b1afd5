/** What is measured of work, each measure where it is known, where it is not, and where it must move. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import {
  measureCompletion,
  measureCycle,
  measureFlow,
  measureStall,
  measureSteadiness,
  measureSuccess,
  measureWipAge,
} from '../../../src/mind/coherence/measures.ts';
import type { Shape } from './random.ts';
import { GAPS, HOUR_MS, normal, uniform } from './random.ts';
import { DAY_MS, done, each, item, NOW, ofProbe, ofTasks } from './record.ts';

/** One a day, the last one so many days ago. */
const daily = (count: number, lastDays: number) => Array.from({ length: count }, (_, i) => (lastDays + i) * 24);

describe('the stall rule', () => {
  const CALIBRATION = 100;
  const GAPS_TESTED = 20_000;

  /** Gaps of a thousand that the rule takes for a stall: `over` is how much of the threshold is enough. */
  function falseAlarms(shape: Shape, over: number): number {
    const next = GAPS[shape](11);
    const completions = [0];
    let alarms = 0;
    for (let i = 0; i < CALIBRATION + GAPS_TESTED; i++) {
      const before = completions.slice(-CALIBRATION - 1);
      const at = (before.at(-1) ?? 0) + next();
      if (i >= CALIBRATION) {
        const { value } = measureStall({ ...ofProbe([]), completions: before, now: at });
        if ((value ?? 0) > over) alarms++;
      }
      completions.push(at);
    }
    return (alarms / GAPS_TESTED) * 1_000;
  }

  it.each(Object.keys(GAPS) as Shape[])('%s gaps: at most 2 false alarms in 1,000', (shape) => {
    expect(falseAlarms(shape, 1)).toBeLessThanOrEqual(2);
  });

  it('the longest gap itself as the threshold would give more', () => {
    expect(falseAlarms('exponential', 0.5)).toBeGreaterThan(5);
    expect(falseAlarms('lognormal', 0.5)).toBeGreaterThan(5);
  });

  it('is provisional from 10 gaps, sure from 100, and unknown below', () => {
    expect(measureStall(ofProbe(daily(10, 40)))).toMatchObject({ value: null, score: null, alarmSince: null });
    expect(measureStall(ofProbe(daily(11, 40)))).toMatchObject({ provisional: true, alarmSince: NOW - 40 * DAY_MS });
    expect(measureStall(ofProbe(daily(100, 40)))).toMatchObject({ provisional: true });
    expect(measureStall(ofProbe(daily(101, 40)))).toMatchObject({ provisional: false });
  });

  it('says when it will be one, and it is one just then', () => {
    const { thresholdMs, due, alarmSince } = measureStall(ofProbe(daily(30, 1)));
    expect({ thresholdMs, due, alarmSince }).toEqual({
      thresholdMs: 2 * DAY_MS,
      due: NOW + DAY_MS + 1,
      alarmSince: null,
    });
    const later = (now: number) => measureStall({ ...ofProbe(daily(30, 1)), now });
    expect(later((due ?? 0) - 1).alarmSince).toBeNull();
    expect(later(due ?? 0)).toMatchObject({ alarmSince: NOW - DAY_MS, due: null });
  });

  it('looks back on the last 100 gaps alone', () => {
    // One gap of 60 days, then 100 of a day.
    const record = ofProbe([...daily(101, 5), (5 + 100 + 60) * 24]);
    expect(measureStall(record).thresholdMs).toBe(2 * DAY_MS);
    expect(measureStall(ofProbe([...daily(100, 5), (5 + 99 + 60) * 24])).thresholdMs).toBe(120 * DAY_MS);
  });

  it('counts time in which something is owed: a pause with nothing to do is no stall, nor hides one', () => {
    // Twelve items of an hour each, then nothing for 30 days, then one that has waited for an hour.
    const before = each(12, 1, (n) => done(30 * 24 + n, { tookHours: 1 }));
    const waiting = (hours: number) => measureStall(ofTasks([...before, item(hours)]));
    expect(waiting(1)).toMatchObject({ alarmSince: null, thresholdMs: 2 * HOUR_MS, due: NOW + HOUR_MS + 1 });
    expect(waiting(3).alarmSince).toBe(NOW - 30 * DAY_MS);
    // And the pause is no gap: a week of it does not make the next silence longer.
    const after = each(5, 1, (n) => done(n + 3, { tookHours: 1 }));
    expect(measureStall(ofTasks([...before, ...after, item(3)]))).toMatchObject({
      thresholdMs: 2 * HOUR_MS,
      alarmSince: NOW - 3 * HOUR_MS,
    });
  });

  it('counts what a schedule should have added, with nothing open as well', () => {
    const nightly = each(20, 1, (n) => done(n * 24, { tookHours: 1 }));
    const missed = (hours: number) => measureStall(ofTasks(nightly, { scheduledSince: NOW - hours * HOUR_MS }));
    expect(missed(2)).toMatchObject({ thresholdMs: 2 * HOUR_MS, alarmSince: null });
    expect(missed(3).alarmSince).toBe(NOW - 23 * HOUR_MS);
    expect(measureStall(ofTasks(nightly, { now: NOW + 2 * DAY_MS })).alarmSince).toBeNull();
  });

  it('is never one where nothing is owed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10_000 }), { maxLength: 120 }), (hours) => {
        const finished = measureStall(ofProbe(hours, { finished: true }));
        const over = measureStall(ofTasks(hours.map((ago) => done(ago, { tookHours: 0.5 }))));
        expect([finished.alarmSince, over.alarmSince, finished.due, over.due]).toEqual([null, null, null, null]);
      }),
    );
  });
});

describe('completion', () => {
  const verified = (n: number) => done(n * 10, { tookHours: 2, dueHours: 5 });
  const overdue = (n: number) => item(n * 10, { deadline: NOW - n * HOUR_MS });
  const late = (n: number) => done(n * 10, { tookHours: 6, dueHours: 5 });

  it('is verified by their deadline, of those whose deadline passed; late, overdue and given up too late failed', () => {
    const givenUp = item(300, { deadline: NOW - 200 * HOUR_MS, cancelledAt: NOW - 100 * HOUR_MS });
    const inTime = item(300, { deadline: NOW - 200 * HOUR_MS, cancelledAt: NOW - 250 * HOUR_MS });
    const notYet = item(300, { deadline: NOW + 1 });
    const items = [...each(30, 16, verified), ...each(15, 11, late), ...each(10, 6, overdue), givenUp, inTime, notYet];
    const found = measureCompletion(ofTasks(items));
    expect(found.value).toBeCloseTo(15 / 26, 12);
    expect(found.says).toBe('15 of 26 verified by their deadline (39 % to 75 %)');
  });

  it('is unknown below 20, and not 1', () => {
    expect(measureCompletion(ofTasks(each(19, 1, verified)))).toMatchObject({ value: null, score: null });
    expect(measureCompletion(ofTasks(each(20, 1, verified)))).toMatchObject({ value: 1, alarmSince: null });
  });

  it('is an alarm once surely fewer than half are done', () => {
    const mixed = (failed: number) => ofTasks([...each(40, failed + 1, verified), ...each(failed, 1, overdue)]);
    expect(measureCompletion(mixed(20)).alarmSince).toBeNull();
    expect(measureCompletion(mixed(30)).alarmSince).not.toBeNull();
  });
});

describe('drift of success', () => {
  /** A deadline an hour, that many of each hundred missed, as a seeded coin has it. */
  function outcomes(count: number, { missed, seed, ago = 0 }: { missed: number; seed: number; ago?: number }) {
    const draw = uniform(seed);
    return each(count + ago, 1 + ago, (n) => done(n + 1, { tookHours: draw() < missed ? 1 : 0.25, dueHours: 0.5 }));
  }

  it('sees a fall, and when it began; and none where there was none', () => {
    const steady = measureSuccess(ofTasks(outcomes(400, { missed: 0.1, seed: 3 })));
    expect(steady).toMatchObject({ alarmSince: null, provisional: false, score: expect.any(Number) as number });
    const fallen = [...outcomes(340, { missed: 0.1, seed: 3, ago: 60 }), ...outcomes(60, { missed: 0.45, seed: 4 })];
    const { alarmSince, score } = measureSuccess(ofTasks(fallen));
    expect(Math.abs((alarmSince ?? 0) - (NOW - 60 * HOUR_MS))).toBeLessThan(20 * HOUR_MS);
    expect(score).toBeLessThan(0.1);
  });

  it('where nothing has changed it is seldom an alarm', () => {
    const alarms = each(100, 1, (n) => item(n)).filter((_, seed) => {
      return measureSuccess(ofTasks(outcomes(400, { missed: 0.1, seed: 100 + seed }))).alarmSince !== null;
    });
    expect(alarms.length).toBeLessThanOrEqual(10);
  });

  it('is unknown without a baseline, and where so little succeeds that no fall could be seen', () => {
    expect(measureSuccess(ofTasks(outcomes(120, { missed: 0.1, seed: 3 }))).value).toBeNull();
    expect(measureSuccess(ofTasks(outcomes(150, { missed: 0.1, seed: 3 }))).value).not.toBeNull();
    expect(measureSuccess(ofTasks(outcomes(400, { missed: 1, seed: 3 }))).value).toBeNull();
  });
});

describe('drift of cycle time', () => {
  /** One an hour; the logarithm of how long it took has this mean and spread. */
  function cycles(
    count: number,
    { mean, spread, ago = 0, seed = 5 }: { mean: number; spread: number; ago?: number; seed?: number },
  ) {
    const draw = normal(seed);
    return each(count + ago, 1 + ago, (n) => done(n + 8, { tookHours: Math.exp(mean + spread * draw()) }));
  }

  it('sees work that takes longer, or less long, since when it does', () => {
    const calm = cycles(360, { mean: 0, spread: 0.3, ago: 40 });
    expect(measureCycle(ofTasks([...calm, ...cycles(40, { mean: 0, spread: 0.3, seed: 6 })])).alarmSince).toBeNull();
    for (const mean of [0.6, -0.6]) {
      const { alarmSince } = measureCycle(ofTasks([...calm, ...cycles(40, { mean, spread: 0.3, seed: 6 })]));
      expect(Math.abs((alarmSince ?? 0) - (NOW - 46 * HOUR_MS))).toBeLessThan(12 * HOUR_MS);
    }
  });

  it('where nothing has changed it is seldom an alarm', () => {
    const alarms = each(100, 1, (n) => item(n)).filter((_, seed) => {
      return measureCycle(ofTasks(cycles(400, { mean: 0, spread: 0.5, seed: 100 + seed }))).alarmSince !== null;
    });
    expect(alarms.length).toBeLessThanOrEqual(10);
  });

  it('takes no fifth more for a change, however regular the work was', () => {
    const regular = cycles(360, { mean: 0, spread: 0, ago: 40 });
    const tenth = cycles(40, { mean: Math.log(1.1), spread: 0 });
    expect(measureCycle(ofTasks([...regular, ...tenth])).alarmSince).toBeNull();
    const half = cycles(40, { mean: Math.log(1.5), spread: 0 });
    expect(measureCycle(ofTasks([...regular, ...half])).alarmSince).not.toBeNull();
  });

  it('where a probe watches, it is the gap between completions', () => {
    const hourly = Array.from({ length: 300 }, (_, i) => 20 * 4 + i);
    const every4 = Array.from({ length: 20 }, (_, i) => i * 4);
    const { alarmSince, says } = measureCycle(ofProbe([...every4, ...hourly]));
    expect(alarmSince).toBe(NOW - 76 * HOUR_MS);
    expect(says).toMatch(/^from one completion to the next: lately about 3 hours each; 60 minutes before$/);
  });

  it('and there more being done is no trouble', () => {
    const every4 = Array.from({ length: 300 }, (_, i) => 20 + i * 4);
    const hourly = Array.from({ length: 20 }, (_, i) => i);
    expect(measureCycle(ofProbe([...hourly, ...every4]))).toMatchObject({ alarmSince: null, score: 1 });
  });

  it('is unknown below 50 to compare with', () => {
    expect(measureCycle(ofTasks(cycles(149, { mean: 0, spread: 0.3 }))).value).toBeNull();
    expect(measureCycle(ofTasks(cycles(150, { mean: 0, spread: 0.3 })))).toMatchObject({ provisional: true });
  });
});

describe('flow', () => {
  it('is ln((done + 1) / (accepted + 1)), zero where as much is done as is taken on', () => {
    const items = [...each(40, 21, (n) => done(n, { tookHours: 1 })), ...each(20, 1, (n) => item(n))];
    expect(measureFlow(ofTasks(items)).value).toBeCloseTo(Math.log(21 / 41), 12);
    expect(measureFlow(ofTasks(each(40, 1, (n) => done(n, { tookHours: 0.5 })))).value).toBe(0);
    expect(measureFlow(ofTasks(each(19, 1, (n) => item(n)))).value).toBeNull();
  });

  it('counts the last 28 days, in them the newest 100', () => {
    const old = each(2_000, 1_900, (n) => item(n));
    expect(measureFlow(ofTasks([...old, ...each(50, 1, (n) => done(n, { tookHours: 0.5 }))])).value).toBe(0);
    const many = [...each(200, 101, (n) => item(n)), ...each(100, 1, (n) => done(n, { tookHours: 0.5 }))];
    expect(measureFlow(ofTasks(many)).value).toBe(0);
  });
});

describe('the age of open work', () => {
  const baseline = each(1_200, 1_001, (n) => done(n, { tookHours: (n % 10) + 1 }));
  const recent = each(120, 101, (n) => done(n, { tookHours: 1 }));

  it('is the share of open items older than 85 % of the baseline took', () => {
    // Cycles of 1 to 10 hours: 85 % took 9 or less.
    const found = measureWipAge(ofTasks([...baseline, ...recent, item(40), item(10), item(5), item(1)]));
    expect(found.value).toBe(0.5);
    expect(found.says).toBe('2 of 4 open for longer than 9 hours');
    expect(found.due).toBeGreaterThan(NOW);
    expect(found.due).toBeLessThanOrEqual(NOW + 4 * HOUR_MS + 2);
  });

  it('is unknown where nothing is open, and without a baseline', () => {
    expect(measureWipAge(ofTasks([...baseline, ...recent])).value).toBeNull();
    expect(measureWipAge(ofTasks([item(40)])).value).toBeNull();
  });
});

describe('steadiness', () => {
  it('is near 1 where work comes as it did, and falls where it comes in bursts', () => {
    const even = GAPS.exponential(3);
    const times = (gaps: readonly number[]): number[] => {
      let at = 0;
      return gaps.map((gap) => (at += gap / HOUR_MS));
    };
    const steady = Array.from({ length: 400 }, even);
    const bursts = Array.from({ length: 100 }, (_, i) => (i % 20 === 0 ? 20 * HOUR_MS : HOUR_MS / 60));
    expect(measureSteadiness(ofProbe(times(steady))).value).toBeGreaterThan(0.6);
    expect(measureSteadiness(ofProbe(times([...bursts, ...steady.slice(100)]))).value).toBeLessThan(0.3);
    expect(measureSteadiness(ofProbe(times(steady.slice(0, 140)))).value).toBeNull();
  });

  it('does not count bins without end after a long silence', () => {
    const seconds = Array.from({ length: 400 }, (_, i) => 24 * 365 * 5 + i / 3_600);
    expect(measureSteadiness(ofProbe(seconds)).value).toBeNull();
  });
});
