/** How a subsystem is, out of its components. Pure: the same record gives the same verdict. */
import type { AlarmKind } from '../../substrate/coherence/alarms.ts';
import type { Status } from '../../substrate/coherence/history.ts';
import type { Unseen } from '../../substrate/coherence/work.ts';
import type { ProbeReason } from '../../substrate/probes/model.ts';
import type { Component, ComponentName, Stall, Watcher } from './measures.ts';
import {
  measureCompletion,
  measureCycle,
  measureFlow,
  measureStall,
  measureSteadiness,
  measureSuccess,
  measureWipAge,
} from './measures.ts';
import type { WorkRecord } from './record.ts';
import { sayCount, sayDuration, sayMoment } from './words.ts';

/** What is wrong, and since when (ms since the epoch). */
export interface Finding {
  readonly kind: AlarmKind;
  readonly since: number;
  readonly provisional: boolean;
  /** In words, a sentence. */
  readonly reason: string;
}

export interface Verdict {
  readonly status: Status;
  /** Found from less than it takes to be sure. */
  readonly provisional: boolean;
  /** In words, a sentence. */
  readonly reason: string;
  readonly findings: readonly Finding[];
  /** ms since the epoch; null before the first completion. */
  readonly lastDone: number | null;
  /** How long a silence is no stall, while something is owed; null while unknown. */
  readonly expectedWithinMs: number | null;
  /** Since when its probe cannot see what is done, ms since the epoch; null where it can. */
  readonly unseenSince: number | null;
  /** Open items; one where there is none, and the next completion is due by a schedule or is what a probe watches for. */
  readonly owed: number;
  /** The oldest of the open items, by id. */
  readonly oldestOwed: readonly string[];
  /** The vector: the worst known component first, the unknown ones last. */
  readonly components: readonly Component[];
  /** When time alone will change something, ms since the epoch; null where it will not. */
  readonly due: number | null;
}

/** Ids of open items that are named. */
const NAMED_MAX = 5;

export function judge(record: WorkRecord): Verdict {
  const { completions, open, isOwed, now } = record;
  const stall = measureStall(record);
  const completion = measureCompletion(record);
  const success = measureSuccess(record);
  const cycle = measureCycle(record);
  const wipAge = measureWipAge(record);
  const components = [stall, completion, success, cycle, measureFlow(record), wipAge, measureSteadiness(record)];
  const oldestOwed = open.slice(0, NAMED_MAX).map(({ id }) => id);
  const findings = [
    ...find('stall', stall, () => stallReason(stall, record, oldestOwed)),
    ...find('failing', completion, () => `More of its work fails than is done: ${completion.says}.`),
    ...find('success', success, (since) => `Less of it succeeds since ${sayMoment(since)}: ${success.says}.`),
    ...find('cycle', cycle, (since) => `It takes a different time since ${sayMoment(since)}: ${cycle.says}.`),
  ];
  const deadlines = open.flatMap(({ deadline }) => (deadline === null || deadline < now ? [] : [deadline + 1]));
  const dues = [stall.due, wipAge.due, ...deadlines].filter((due) => due !== null);
  return {
    ...statusOf(findings, { stall, watchers: [stall, completion, success, cycle], unseen: record.unseen }),
    findings,
    lastDone: completions.at(-1) ?? null,
    expectedWithinMs: stall.thresholdMs,
    unseenSince: record.unseen?.since ?? null,
    owed: Math.max(open.length, isOwed ? 1 : 0),
    oldestOwed,
    components: worstFirst(components),
    due: dues.length === 0 ? null : Math.min(...dues),
  };
}

function find(kind: AlarmKind, watcher: Watcher, reason: (since: number) => string): Finding[] {
  const { alarmSince: since, provisional } = watcher;
  return since === null ? [] : [{ kind, since, provisional, reason: reason(since) }];
}

function stallReason(
  { thresholdMs }: Stall,
  { completions, open, now }: WorkRecord,
  oldest: readonly string[],
): string {
  const last = completions.at(-1) ?? now;
  const silent = `Nothing was completed since ${sayMoment(last)}, ${sayDuration(now - last)} ago`;
  const expected = `up to ${sayDuration(thresholdMs ?? 0)} is usual`;
  const more = open.length > oldest.length ? ' and more' : '';
  const owed =
    open.length === 0 ? 'The next one is owed' : `${sayCount(open.length, 'task')} owed: ${oldest.join(', ')}${more}`;
  return `${silent}; ${expected}. ${owed}.`;
}

/** A stall hides everything else; what is unknown, or cannot be seen any more, hides nothing that is known. */
function statusOf(
  findings: readonly Finding[],
  { stall, watchers, unseen }: { stall: Stall; watchers: readonly Watcher[]; unseen: Unseen | null },
): Pick<Verdict, 'status' | 'provisional' | 'reason'> {
  const [worst] = findings;
  if (worst !== undefined) {
    // One finding that is sure is enough.
    const same = worst.kind === 'stall' ? [worst] : findings;
    const reasons = findings.map((finding) => finding.reason);
    const reason = [...reasons, ...(unseen === null ? [] : [sayUnseen(unseen)])].join(' ');
    return {
      status: worst.kind === 'stall' ? 'stalled' : 'drifting',
      provisional: same.every(({ provisional }) => provisional),
      reason,
    };
  }
  if (unseen !== null) return { status: 'unknown', provisional: false, reason: sayUnseen(unseen) };
  const known = watchers.filter(({ value }) => value !== null);
  if (known.length === 0) {
    return { status: 'unknown', provisional: false, reason: `Too little is known yet: ${stall.says}.` };
  }
  return {
    status: 'healthy',
    provisional: stall.value === null || stall.provisional,
    reason: `${known.map(({ name, says }) => `${SPOKEN[name]}: ${says}`).join('; ')}.`,
  };
}

/** Whoever may read how the work goes need not know where it is: the place is named to the owner alone. */
function sayUnseen({ reason, since }: Unseen): string {
  return `Its probe cannot see since ${sayMoment(since)} what is done: ${UNSEEN[reason]}.`;
}

const UNSEEN: Readonly<Record<ProbeReason, string>> = {
  gone: 'the place is not there',
  no_repository: 'there is no git repository',
  no_commits: 'the repository has no commit',
  foreign: 'the repository belongs to another user',
  unreadable: 'it cannot be read',
  no_program: 'there is no git',
  slow: 'it takes too long to read',
  too_many: 'there are too many files',
  no_times: 'there are no times in it',
  damaged: 'it is damaged',
  busy: 'others keep it busy',
};

/** Components by the names that a person is told. */
const SPOKEN: Readonly<Record<ComponentName, string>> = {
  stall: 'Silence',
  completion: 'completion',
  success: 'success',
  cycle: 'cycle time',
  flow: 'flow',
  wip_age: 'age of open work',
  steadiness: 'steadiness',
};

function worstFirst(components: readonly Component[]): Component[] {
  return components.toSorted((a, b) => (a.score ?? 2) - (b.score ?? 2));
}
