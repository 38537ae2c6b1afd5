/** How a subsystem's state is shown: as data, and in lines. */
import * as z from 'zod';
import type { Alarm } from '../substrate/coherence/alarms.ts';
import { alarmId } from '../substrate/coherence/alarms.ts';
import type { Entry } from '../substrate/coherence/history.ts';
import { STATUSES } from '../substrate/coherence/history.ts';
import { STAGES } from '../substrate/coherence/subsystems.ts';
import type { SubsystemState } from '../mind/coherence/state.ts';
import { isoTime } from '../substrate/sources.ts';
import { lines } from './text.ts';

const SECOND_MS = 1_000;

const AlarmView = z.object({
  id: z.string(),
  subsystem: z.string(),
  kind: z.string(),
  stage: z.enum(STAGES),
  provisional: z.boolean(),
  since: z.string(),
  raised: z.string(),
  cleared: z.string().nullable(),
  says: z.string(),
  act: z.string().nullable(),
  label: z.enum(['right', 'wrong']).nullable(),
});
export type AlarmView = z.infer<typeof AlarmView>;

const MeasureView = z.object({
  name: z.string(),
  value: z.number().nullable(),
  score: z.number().nullable(),
  provisional: z.boolean(),
  says: z.string(),
});

const SubsystemView = z.object({
  name: z.string(),
  status: z.enum(STATUSES),
  provisional: z.boolean(),
  last_done: z.string().nullable(),
  expected_within_s: z.int().nullable(),
  since: z.string().nullable(),
  unseen_since: z.string().nullable(),
  owed: z.int(),
  oldest_owed: z.array(z.string()),
  stage: z.enum(STAGES),
  finished: z.boolean(),
  says: z.string(),
  measures: z.array(MeasureView),
  alarms: z.array(AlarmView),
  daily: z.array(z.int()),
});
export type SubsystemView = z.infer<typeof SubsystemView>;

const EntryView = z.object({
  at: z.string(),
  kind: z.enum(['change', 'day']),
  status: z.enum(STATUSES),
  provisional: z.boolean(),
  says: z.string(),
  scores: z.record(z.string(), z.number()),
});
export type EntryView = z.infer<typeof EntryView>;

export const CoherenceView = z.object({
  overall: z.enum(STATUSES),
  subsystems: z.array(SubsystemView),
  not_shown: z.int(),
  /** Of one subsystem; null where it was not asked for. */
  history: z.array(EntryView).nullable(),
  alarms: z.array(AlarmView).nullable(),
});
export type CoherenceView = z.infer<typeof CoherenceView>;

export function viewAlarm(alarm: Alarm): AlarmView {
  const { subsystem, kind, stage, provisional, since, raisedAt, clearedAt, reason, act, label } = alarm;
  return {
    id: alarmId(alarm),
    subsystem,
    kind,
    stage,
    provisional,
    since: isoTime(since),
    raised: isoTime(raisedAt),
    cleared: clearedAt === null ? null : isoTime(clearedAt),
    says: reason,
    act,
    label,
  };
}

export function viewEntry({ at, kind, status, provisional, reason, scores }: Entry): EntryView {
  return { at: isoTime(at), kind, status, provisional, says: reason, scores: { ...scores } };
}

export function viewSubsystem(state: SubsystemState): SubsystemView {
  const { subsystem, status, provisional, lastDone, expectedWithinMs, since, unseenSince, owed, oldestOwed } = state;
  return {
    name: subsystem.name,
    status,
    provisional,
    last_done: lastDone === null ? null : isoTime(lastDone),
    expected_within_s: expectedWithinMs === null ? null : Math.ceil(expectedWithinMs / SECOND_MS),
    since: since === null ? null : isoTime(since),
    unseen_since: unseenSince === null ? null : isoTime(unseenSince),
    owed,
    oldest_owed: [...oldestOwed],
    stage: subsystem.stage,
    finished: subsystem.finished,
    says: state.reason,
    measures: state.components.map(({ name, value, score, provisional: isEarly, says }) => ({
      name,
      value,
      score,
      provisional: isEarly,
      says,
    })),
    alarms: state.alarms.map(viewAlarm),
    daily: [...state.daily],
  };
}

/** A subsystem in a line. */
function subsystemLine({ name, status, provisional, says }: SubsystemView): string {
  return `${name}: ${status}${provisional ? ' (provisional)' : ''}. ${says}`;
}

function alarmLine({ id, subsystem, raised, cleared, says, label }: AlarmView): string {
  const state = `${cleared === null ? 'open' : 'over'}${label === null ? '' : `, ${label}`}`;
  return `alarm ${id} of ${subsystem}, ${raised} (${state}): ${says}`;
}

export function coherenceText({ overall, subsystems, not_shown: more, history, alarms }: CoherenceView): string {
  const [first] = subsystems;
  const measures = subsystems.length === 1 && first !== undefined ? first.measures : [];
  return lines(
    first === undefined ? 'Nothing is measured yet: there is no task and no probe.' : `Overall: ${overall}.`,
    ...subsystems.map(subsystemLine),
    more === 0 ? '' : `${more} more; ask for one as subsystem.`,
    ...measures.map(({ name, says }) => `- ${name}: ${says}`),
    ...(alarms ?? []).map(alarmLine),
    ...(history ?? []).map(({ at, status, says }) => `${at} ${status}: ${says}`),
  );
}
