/**
 * What is measured of a subsystem's work. Each component has a value in its own unit, and a score from 0 to 1,
 * 1 being as it should be; with too little data it is unknown, which is neither good nor bad.
 */
import { isoTime } from '../../substrate/sources.ts';
import { bernoulliCusum, cusum, designBernoulli, ewma, watch } from './detectors.ts';
import type { WorkRecord } from './record.ts';
import { split } from './record.ts';
import type { Share } from './statistics.ts';
import { jeffreys, mean, quantile, variance } from './statistics.ts';
import { sayCount, sayDuration, sayPercent } from './words.ts';

export const COMPONENTS = ['stall', 'completion', 'success', 'cycle', 'flow', 'wip_age', 'steadiness'] as const;
export type ComponentName = (typeof COMPONENTS)[number];

export interface Component {
  readonly name: ComponentName;
  /** In its own unit; null while it is unknown. */
  readonly value: number | null;
  /** 1: as it should be. 0: as bad as it gets. */
  readonly score: number | null;
  /** Known from less than it takes to be sure of it. */
  readonly provisional: boolean;
  readonly says: string;
}

/** A component that may raise an alarm. */
export interface Watcher extends Component {
  /** Since when it is wrong, ms since the epoch; null where there is no alarm. */
  readonly alarmSince: number | null;
}

const UNKNOWN = { value: null, score: null, provisional: false } as const;

/** Below this many items a share says nothing. */
const SHARE_ITEMS_MIN = 20;
/** Below this many a baseline is none; below the second number it is provisional. */
const BASELINE_MIN = 50;
const BASELINE_SURE = 100;
const CONFIDENCE = 0.95;

/** Gaps that the stall rule looks back on, and how many it needs at the least. */
const GAPS = { max: 100, min: 10 } as const;
const LONGEST_GAPS = 2;
/** Whoever looks once a minute cannot tell silences shorter than that. */
const SILENCE_MS_MIN = 60_000;

export interface Stall extends Watcher {
  /** How long a silence is no stall, in ms of time in which something is owed; null while unknown. */
  readonly thresholdMs: number | null;
  /** When it will be a stall if nothing comes, ms since the epoch; null where time alone makes none. */
  readonly due: number | null;
}

/**
 * Silence since the last verified completion, over twice the longest of the last 100 gaps. Both are counted while
 * something is owed, so that a pause with nothing to do neither is a stall nor hides the next one.
 */
export function measureStall({ now, completions, owedClock, isOwed, unseen }: WorkRecord): Stall {
  const ticks = completions.slice(-(GAPS.max + 1)).map(owedClock);
  const gaps = ticks.slice(1).map((tick, i) => tick - (ticks[i] ?? 0));
  const last = completions.at(-1);
  if (gaps.length < GAPS.min || last === undefined) {
    const says = `${sayCount(gaps.length, 'gap')} between completions; ${GAPS.min} are needed`;
    return { ...UNKNOWN, name: 'stall', says, alarmSince: null, thresholdMs: null, due: null };
  }
  const thresholdMs = Math.max(SILENCE_MS_MIN, LONGEST_GAPS * Math.max(...gaps));
  const silence = isOwed ? owedClock(now) - owedClock(last) : 0;
  const value = silence / thresholdMs;
  const stalled = value > 1;
  const allowed = `up to ${sayDuration(thresholdMs)} is usual`;
  return {
    name: 'stall',
    value,
    // A silence as long as the longest gap so far is nothing new.
    score: 1 - Math.min(1, Math.max(0, LONGEST_GAPS * value - 1)),
    provisional: gaps.length < GAPS.max,
    says: isOwed ? `silent for ${sayDuration(silence)}; ${allowed}` : `nothing is owed; else ${allowed}`,
    alarmSince: stalled ? last : null,
    thresholdMs,
    due: isOwed && !stalled && unseen === null ? now + (thresholdMs - silence) + 1 : null,
  };
}

/** Outcomes of the items whose deadline has passed, in the order of their deadlines. */
interface Outcome {
  readonly at: number;
  readonly failed: boolean;
}

/** What was cancelled before its deadline was owed no longer; whatever else was not verified by then failed. */
function outcomesOf({ items, now }: WorkRecord): Outcome[] {
  const outcomes: Outcome[] = [];
  for (const { deadline, verifiedAt, cancelledAt } of items) {
    if (deadline === null || deadline > now) continue;
    if (cancelledAt !== null && cancelledAt <= deadline) continue;
    outcomes.push({ at: deadline, failed: verifiedAt === null || verifiedAt > deadline });
  }
  return outcomes.toSorted((a, b) => a.at - b.at);
}

/** Verified by their deadline, of those whose deadline has passed; an alarm where surely fewer than half are. */
export function measureCompletion(record: WorkRecord): Watcher {
  const { window } = split(outcomesOf(record), ({ at }) => at, record.now);
  if (window.length < SHARE_ITEMS_MIN) {
    const says = `${sayCount(window.length, 'deadline')} passed; ${SHARE_ITEMS_MIN} are needed`;
    return { ...UNKNOWN, name: 'completion', says, alarmSince: null };
  }
  const share: Share = { hits: window.filter(({ failed }) => !failed).length, tries: window.length };
  const { low, high } = jeffreys(share, CONFIDENCE);
  const value = share.hits / share.tries;
  return {
    name: 'completion',
    value,
    score: value,
    provisional: false,
    says: `${share.hits} of ${share.tries} verified by their deadline (${sayPercent(low)} to ${sayPercent(high)})`,
    alarmSince: high < 1 / 2 ? (window[0]?.at ?? null) : null,
  };
}

/** A fall of success that is worth an alarm, and how many items pass between two false ones. */
const FALL = 0.15;
const RUN_LENGTH = 500;
/** Below this baseline a fall cannot be told from what it is anyhow. */
const SUCCESS_MIN: number = FALL + 0.05;

/** Whether fewer succeed than did: a Bernoulli CUSUM from the baseline's rate to 0.15 less. */
export function measureSuccess(record: WorkRecord): Watcher {
  const { baseline, window } = split(outcomesOf(record), ({ at }) => at, record.now);
  const unknown = { ...UNKNOWN, name: 'success', alarmSince: null } as const;
  if (baseline.length < BASELINE_MIN) return { ...unknown, says: fewBefore(baseline.length, 'deadline') };
  // Half a hit and half a miss more than there were, so that neither is held impossible.
  const failures = baseline.filter(({ failed }) => failed).length;
  const from = (failures + 0.5) / (baseline.length + 1);
  if (1 - from < SUCCESS_MIN) {
    return { ...unknown, says: `${sayPercent(1 - from)} succeeded before: too few to see a fall` };
  }
  const design = designBernoulli({ from, to: from + FALL, runLength: RUN_LENGTH });
  const series = window.map(({ failed }) => (failed ? 1 : 0));
  const { level, since } = watch(bernoulliCusum(design), series);
  return {
    name: 'success',
    value: level,
    score: 1 - level,
    provisional: baseline.length < BASELINE_SURE,
    says: `${sayPercent(1 - mean(series))} of the last ${series.length} succeeded; ${sayPercent(1 - from)} before`,
    alarmSince: since === null ? null : (window[since]?.at ?? null),
  };
}

/** Standard values for a shift of one sigma: average run length 465 while nothing has changed, 10.4 after. */
const TWO_SIDED = { k: 0.5, h: 5 } as const;
/** About a fifth more or less: smaller changes are noise, however regular the work was. */
const SIGMA_LOG_MIN = 0.2;
const CYCLE_MS_MIN = 1_000;
const SMOOTH = { lambda: 0.2, width: 2.962 } as const;

interface Cycle {
  readonly at: number;
  readonly log: number;
}

/** From accepted to verified; where a probe watches, from one completion to the next. */
function cyclesOf({ items, completions, watched }: WorkRecord): Cycle[] {
  const log = (ms: number): number => Math.log(Math.max(CYCLE_MS_MIN, ms));
  if (watched) return completions.slice(1).map((at, i) => ({ at, log: log(at - (completions[i] ?? at)) }));
  return items
    .flatMap(({ acceptedAt, verifiedAt }) =>
      verifiedAt === null ? [] : [{ at: verifiedAt, log: log(verifiedAt - acceptedAt) }],
    )
    .toSorted((a, b) => a.at - b.at);
}

/**
 * Whether work takes longer, or less long, than it did: a two-sided CUSUM on standardised log cycle time. Less long is
 * a change to look at where somebody verifies (it may be with less care); outside, more being done is no trouble.
 */
export function measureCycle(record: WorkRecord): Watcher {
  const { baseline, window } = split(cyclesOf(record), ({ at }) => at, record.now);
  if (baseline.length < BASELINE_MIN) {
    return { ...UNKNOWN, name: 'cycle', says: fewBefore(baseline.length, 'cycle'), alarmSince: null };
  }
  const logs = baseline.map(({ log }) => log);
  const middle = mean(logs);
  const sigma = Math.max(SIGMA_LOG_MIN, Math.sqrt(variance(logs)));
  const standard = window.map(({ log }) => (log - middle) / sigma);
  const detector = cusum(TWO_SIDED);
  const slower = watch(detector, standard);
  const hurried = record.watched ? [] : standard.map((value) => -value);
  const faster = watch(detector, hurried);
  const worse = slower.level >= faster.level ? slower : faster;
  const level = standard.reduce((smoothed, value) => ewma(SMOOTH).step(smoothed, value), 0);
  const since = slower.since ?? faster.since;
  const says = `lately about ${sayDuration(Math.exp(middle + sigma * level))} each; ${sayDuration(Math.exp(middle))} before`;
  return {
    name: 'cycle',
    value: worse.level,
    score: 1 - worse.level,
    provisional: baseline.length < BASELINE_SURE,
    says: watchedOr(record, 'from one completion to the next', 'from accepted to verified') + says,
    alarmSince: since === null ? null : (window[since]?.at ?? null),
  };
}

function watchedOr({ watched }: WorkRecord, outside: string, inside: string): string {
  return `${watched ? outside : inside}: `;
}

/** What is done against what is taken on: ln((done + 1) / (accepted + 1)); below zero work piles up. */
export function measureFlow({ items, now }: WorkRecord): Component {
  const { window } = split(items, ({ acceptedAt }) => acceptedAt, now);
  const from = window[0]?.acceptedAt ?? now;
  if (window.length < SHARE_ITEMS_MIN) {
    const says = `${sayCount(window.length, 'item')} taken on; ${SHARE_ITEMS_MIN} are needed`;
    return { ...UNKNOWN, name: 'flow', says };
  }
  const done = items.filter(({ verifiedAt }) => verifiedAt !== null && verifiedAt >= from).length;
  const value = Math.log((done + 1) / (window.length + 1));
  return {
    name: 'flow',
    value,
    score: Math.min(1, Math.exp(value)),
    provisional: false,
    says: `${done} done, ${window.length} taken on since ${isoTime(from).slice(0, 10)}`,
  };
}

const OLD_SHARE = 0.85;

export interface WipAge extends Component {
  /** When the next open item is old, ms since the epoch; null where none becomes so. */
  readonly due: number | null;
}

/** The share of open items that are older than 85 % of the baseline's took from accepted to verified. */
export function measureWipAge(record: WorkRecord): WipAge {
  const { now, open } = record;
  const unknown = { ...UNKNOWN, name: 'wip_age', due: null } as const;
  if (open.length === 0) return { ...unknown, says: 'nothing is open' };
  const { baseline } = split(cyclesOf({ ...record, watched: false }), ({ at }) => at, now);
  if (baseline.length < SHARE_ITEMS_MIN) {
    return { ...unknown, says: fewBefore(baseline.length, 'cycle', SHARE_ITEMS_MIN) };
  }
  const limitMs = Math.exp(
    quantile(
      baseline.map(({ log }) => log),
      OLD_SHARE,
    ),
  );
  const old = open.filter(({ acceptedAt }) => now - acceptedAt > limitMs).length;
  const turning = open.flatMap(({ acceptedAt }) => (now - acceptedAt > limitMs ? [] : [acceptedAt + limitMs + 1]));
  const value = old / open.length;
  return {
    name: 'wip_age',
    value,
    score: 1 - value,
    provisional: false,
    says: `${old} of ${open.length} open for longer than ${sayDuration(limitMs)}`,
    due: turning.length === 0 ? null : Math.min(...turning),
  };
}

/** Bins as wide as the baseline took for this many, and how many bins each side must have. */
const IN_A_BIN = 4;
const BINS = { min: 5, max: 2_000 } as const;
/** Perfectly regular work has a Fano factor of 0, whose logarithm says nothing. */
const FANO_MIN = 0.05;

/** exp(-|ln(F / F0)|), F being variance over mean of the completions per bin (Fano factor), F0 its baseline. */
export function measureSteadiness({ completions, now }: WorkRecord): Component {
  const { baseline, window } = split(completions, (at) => at, now);
  const [first, last] = [baseline[0] ?? now, window[0] ?? now];
  const widthMs = ((last - first) / baseline.length) * IN_A_BIN;
  const unknown = { ...UNKNOWN, name: 'steadiness' } as const;
  if (baseline.length < BASELINE_MIN) return { ...unknown, says: fewBefore(baseline.length, 'completion') };
  const bins = (now - last) / widthMs;
  if (!(bins >= BINS.min && bins <= BINS.max)) {
    return { ...unknown, says: `the last ${sayDuration(now - last)} cannot be compared with before` };
  }
  const usual = fano(binned(baseline, { first, last, widthMs }));
  const factor = fano(binned(window, { first: last, last: now, widthMs }));
  const value = Math.exp(-Math.abs(Math.log(factor / usual)));
  return {
    name: 'steadiness',
    value,
    score: value,
    provisional: baseline.length < BASELINE_SURE,
    says: `${factor > usual ? 'burstier' : 'more even'} than before: ${factor.toFixed(1)}, was ${usual.toFixed(1)} (Fano factor)`,
  };
}

function binned(times: readonly number[], { first, last, widthMs }: { first: number; last: number; widthMs: number }) {
  const counts = Array.from({ length: Math.floor((last - first) / widthMs) }, () => 0);
  for (const at of times) {
    const bin = Math.floor((at - first) / widthMs);
    if (bin < counts.length) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

function fano(counts: readonly number[]): number {
  const middle = mean(counts);
  return middle === 0 ? FANO_MIN : Math.max(FANO_MIN, variance(counts) / middle);
}

function fewBefore(count: number, noun: string, needed: number = BASELINE_MIN): string {
  return `${sayCount(count, noun)} to compare with; ${needed} are needed`;
}
