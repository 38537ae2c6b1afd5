/**
 * The record of a subsystem's work as coherence reads it: what was completed when, and when something was owed.
 * All times are milliseconds since the epoch.
 */
import type { Subsystem } from '../../substrate/coherence/subsystems.ts';
import type { Unseen, Work, WorkItem } from '../../substrate/coherence/work.ts';

const DAY_MS = 86_400_000;
/** What is measured: the last 28 days, in them the newest 100 items, and 20 where those days hold fewer. */
export const WINDOW = { ms: 28 * DAY_MS, itemsMax: 100, itemsMin: 20 } as const;
/** What it is compared with: what was before, the newest so many. */
const BASELINE_ITEMS_MAX = 300;

export interface WorkRecord {
  readonly now: number;
  /** In the order in which they were accepted. */
  readonly items: readonly WorkItem[];
  /** Whether a probe watches it, which owes something until the owner says that it is finished. */
  readonly watched: boolean;
  /** When something was completed and verified, oldest first. */
  readonly completions: readonly number[];
  /** Items that are neither verified nor cancelled, oldest first. */
  readonly open: readonly WorkItem[];
  /** The same moments on a clock that stands still while nothing is owed, or what is owed cannot be seen. */
  readonly owedClock: (at: number) => number;
  readonly isOwed: boolean;
  /** Since when what is owed outside cannot be seen, and why; null where it can. From then on no silence is known. */
  readonly unseen: Unseen | null;
}

export function recordOf(work: Work, { kind, finished }: Subsystem, now: number): WorkRecord {
  const { items, seen, scheduledSince } = work;
  const isProbed = kind === 'probe';
  const verified = items.flatMap(({ verifiedAt }) => (verifiedAt === null ? [] : [verifiedAt]));
  const open = items.filter(({ verifiedAt, cancelledAt }) => verifiedAt === null && cancelledAt === null);
  const watched = isProbed && !finished;
  const unseen = watched ? work.unseen : null;
  const seenUntil = unseen?.since ?? Infinity;
  return {
    now,
    items,
    watched,
    completions: [...verified, ...seen].filter((at) => at <= now).toSorted((a, b) => a - b),
    open,
    owedClock: isProbed ? (at) => Math.min(at, seenUntil) : clockOf(owedSpans(work, now)),
    isOwed: watched || open.length > 0 || scheduledSince !== null,
    unseen,
  };
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** When something was owed, or a schedule should have added it, as spans that do not overlap, in order. */
function owedSpans({ items, scheduledSince }: Work, now: number): Span[] {
  const scheduled = scheduledSince === null ? [] : [{ from: scheduledSince, to: Math.max(scheduledSince, now) }];
  const owed = items.map(({ acceptedAt, verifiedAt, cancelledAt }) => ({
    from: acceptedAt,
    to: Math.max(acceptedAt, verifiedAt ?? cancelledAt ?? now),
  }));
  const merged: Span[] = [];
  for (const span of [...scheduled, ...owed].toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last === undefined || span.from > last.to) merged.push(span);
    else merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
  }
  return merged;
}

function clockOf(spans: readonly Span[]): (at: number) => number {
  return (at) => spans.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(at, to) - from), 0);
}

/** A series cut in two: what is measured now, and what it is compared with. */
export interface Split<T> {
  readonly baseline: readonly T[];
  readonly window: readonly T[];
}

/** Cuts a series, oldest first, at the beginning of its {@link WINDOW}. */
export function split<T>(series: readonly T[], at: (entry: T) => number, now: number): Split<T> {
  const recent = series.filter((entry) => at(entry) > now - WINDOW.ms).length;
  const count = Math.min(series.length, Math.max(WINDOW.itemsMin, Math.min(WINDOW.itemsMax, recent)));
  const start = series.length - count;
  return { baseline: series.slice(Math.max(0, start - BASELINE_ITEMS_MAX), start), window: series.slice(start) };
}
