/**
 * How far coherence may go for a subsystem, as rules: observe (it logs what it finds), shadow (it also logs what it
 * would have done), advise (it tells the owner), govern (it may brake). It goes up by the owner alone, one stage at
 * a time, and only where what the owner said of its alarms bounds how often they are wrong (LOCK-MIND-2).
 */
import type { AlarmKind } from '../../substrate/coherence/alarms.ts';
import { pauses } from '../../substrate/coherence/alarms.ts';
import type { Stage } from '../../substrate/coherence/subsystems.ts';
import { STAGES } from '../../substrate/coherence/subsystems.ts';
import { lowerBound, upperBound } from './statistics.ts';
import { sayPercent } from './words.ts';

/** One-sided; the bounds are exact (Clopper and Pearson), so they hold at least this surely. */
const CONFIDENCE = 0.95;

interface Requirement {
  /** The share of alarms that are right is above this. */
  readonly precisionMin: number;
  /** False alarms for each thing completed are below this. */
  readonly falseAlarmsMax: number;
}

/** What must be shown before a stage. */
const REQUIRED: Readonly<Record<Exclude<Stage, 'observe'>, Requirement>> = {
  shadow: { precisionMin: 0.3, falseAlarmsMax: 0.1 },
  advise: { precisionMin: 0.5, falseAlarmsMax: 0.05 },
  govern: { precisionMin: 0.8, falseAlarmsMax: 0.02 },
};

/** So many alarms labelled wrong within a stage cost the stage. */
export const FALSE_ALARMS_MAX = 2;

/** The stage after this one; null after the last. */
export function stageAfter(stage: Stage): Exclude<Stage, 'observe'> | null {
  return (STAGES[STAGES.indexOf(stage) + 1] as Exclude<Stage, 'observe'> | undefined) ?? null;
}

/** The stage before this one; null before the first. */
export function stageBefore(stage: Stage): Stage | null {
  return STAGES[STAGES.indexOf(stage) - 1] ?? null;
}

/** Whether an alarm in this stage may have an effect beyond coherence's own record. */
export function mayAct(stage: Stage): boolean {
  return stage === 'advise' || stage === 'govern';
}

/** What an alarm leads to in a stage, in words; in shadow what it would have; null where nothing. */
export function actOf(stage: Stage, kind: AlarmKind): string | null {
  const brakes = pauses(kind);
  switch (stage) {
    case 'observe':
      return null;
    case 'shadow':
      return brakes ? 'would have told the owner and, governing, paused intake' : 'would have told the owner';
    case 'advise':
      return 'told the owner';
    case 'govern':
      return brakes ? 'told the owner and paused intake' : 'told the owner';
  }
}

/** What the owner said of a subsystem's alarms since the last demotion, and how much there was to be wrong about. */
export interface Evidence {
  readonly right: number;
  readonly wrong: number;
  /** Count as wrong: or who labels only what was right would prove whatever he likes. */
  readonly unlabelled: number;
  /** What was completed meanwhile. */
  readonly completed: number;
}

export interface Assessment {
  readonly allowed: boolean;
  /** The share of right alarms is surely above this. */
  readonly precision: number;
  /** False alarms for each thing completed are surely below this. */
  readonly falseAlarms: number;
  /** What is missing, in sentences; empty where nothing is. */
  readonly missing: readonly string[];
}

/** Whether evidence allows a stage, and what it would still take if nothing more goes wrong. */
export function assess(stage: Exclude<Stage, 'observe'>, evidence: Evidence): Assessment {
  const { right, wrong, unlabelled, completed } = evidence;
  const { precisionMin, falseAlarmsMax } = REQUIRED[stage];
  const bad = wrong + unlabelled;
  const precisionOf = (hits: number): number => lowerBound({ hits, tries: hits + bad }, CONFIDENCE);
  const falseOf = (tries: number): number => upperBound({ hits: bad, tries }, CONFIDENCE);
  const precision = precisionOf(right);
  const falseAlarms = falseOf(completed);
  const missing: string[] = [];
  if (precision < precisionMin) {
    const needed = firstWhere(right, (hits) => precisionOf(hits) >= precisionMin);
    missing.push(
      `Surely ${sayPercent(precisionMin)} of its alarms must be right: with ${bad} wrong or unlabelled that takes ${needed} right ones; there are ${right}.`,
    );
  }
  if (falseAlarms > falseAlarmsMax) {
    const needed = firstWhere(completed, (tries) => falseOf(tries) <= falseAlarmsMax);
    missing.push(
      `False alarms must surely be rarer than ${sayPercent(falseAlarmsMax)} of completions: with ${bad} that takes ${needed} completions under watch; there are ${completed}.`,
    );
  }
  return { allowed: missing.length === 0, precision, falseAlarms, missing };
}

/** The smallest whole number from `from` on for which `holds`; it holds for all greater ones, and for some. */
function firstWhere(from: number, holds: (count: number) => boolean): number {
  let [low, high] = [from, from + 1];
  while (!holds(high)) [low, high] = [high, 2 * high];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
