/** How a run of the worker on a task ends, and what follows from how a model's answer came out. */
import type { RunState } from '../../../substrate/mind/worker.ts';
import { NO_MODEL } from '../../../substrate/mind/worker.ts';
import type { Hold } from '../../../substrate/mind/worker-acts.ts';
import { budgetCeilings } from '../../../substrate/sessions/budget.ts';
import type { Session } from '../../../substrate/sessions/model.ts';
import type { CallOutcome } from '../../router/outcome.ts';

export interface Ending {
  /** `stopped`: the worker itself was; everything stays as it is, for the next run. */
  readonly state: Exclude<RunState, 'working'> | 'stopped';
  /** In words that can follow "Left: ". */
  readonly why: string;
  /** The word with which the task is left to others; null where it is not the worker's to leave. */
  readonly note: string | null;
  /** What is left alone for a while; null where the next task may be done at once. */
  readonly hold: Hold | null;
}

export const STOPPED: Ending = { state: 'stopped', why: 'the worker was stopped', note: null, hold: null };

export function lost(why: string): Ending {
  return { state: 'lost', why, note: null, hold: null };
}

export function gaveUp(why: string): Ending {
  return { state: 'gave_up', why, note: `could not be done: ${why}`, hold: null };
}

export function spent(limit: string): Ending {
  const why = `the limit of ${limit} is reached`;
  return { state: 'spent', why, note: `stopped: ${why}`, hold: null };
}

export function waits(why: string, hold: Ending['hold'] = null): Ending {
  return { state: 'waiting', why, note: `waiting: ${why}`, hold };
}

/** What a provider says of a request, not of itself. */
const ABOUT_THE_REQUEST: ReadonlySet<string> = new Set(['rejected', 'cannot_carry', 'truncated']);
/** What came of one request and says nothing of the next: a model's answer that made no sense is one, too. */
const OF_THE_TASK: ReadonlySet<string> = new Set([...ABOUT_THE_REQUEST, 'bad_chunk']);
/** A task at which models fail so often in a row is given up. */
const FAILURES_MAX = 3;
/** What keeps a model from being asked whatever the request is. */
const ABOUT_THE_MODEL: ReadonlySet<string> = new Set(['benched', 'no_price', 'tier_fenced']);

export interface Circumstances {
  readonly session: Session;
  readonly now: number;
  /** The conversation had begun: a model has taken it before. */
  readonly begun: boolean;
  /** How often in a row models have failed at this task before. */
  readonly failures: number;
}

/**
 * What follows from a step that is over; null where the work goes on by the transcript. Pure.
 *
 * A failure of the models puts everything off, for one task is as good as the next to find them again; what
 * only this task fails at puts it off alone, and in the end is a reason to give it up.
 */
export function judge(outcome: CallOutcome, circumstances: Circumstances): Ending | null {
  const { status, code } = outcome;
  // Of one in doubt nobody knows what it said: it is asked anew, and that counts as a step.
  if (status === 'complete' || status === 'in_doubt') return null;
  if (status === 'refused') return judgeRefusal(outcome, circumstances);
  // Somebody ended the call: the next look says whether the task is still to be done.
  if (code === 'interrupted') return null;
  const failed = outcome.attempts.flatMap((attempt) => (attempt.outcome === 'failed' ? [attempt.code ?? '?'] : []));
  if (circumstances.begun && failed.length > 0 && failed.every((why) => ABOUT_THE_REQUEST.has(why))) {
    return gaveUp('no model takes what the conversation has come to');
  }
  const ofTheTask = failed.find((why) => OF_THE_TASK.has(why));
  return ofTheTask === undefined ? waits(NO_MODEL, { of: 'all', until: null }) : putOff(ofTheTask, circumstances);
}

/** Leaves one task alone for a while, which keeps no other waiting; given up where that was in vain before. */
function putOff(fault: string, { failures }: Pick<Circumstances, 'failures'>): Ending {
  const what = `the models fail at it (${fault})`;
  return failures + 1 < FAILURES_MAX ? waits(what, { of: 'task' }) : gaveUp(`${what}, ${failures + 1} times in a row`);
}

function judgeRefusal(outcome: CallOutcome, circumstances: Circumstances): Ending | null {
  const { session, now, begun } = circumstances;
  const { code, ceiling, retry_after_s: seconds } = outcome;
  const until = seconds === null ? null : now + seconds * 1_000;
  switch (code) {
    case 'over_ceiling': {
      const own = budgetCeilings(session).some(({ name }) => name === ceiling?.name);
      return own ? spent('its budget') : waits(`over the ceiling ${ceiling?.name ?? ''}`, { of: 'all', until });
    }
    case 'no_route':
      return waits(NO_MODEL);
    case 'no_candidate': {
      const nobody = !outcome.attempts.some(({ code: why }) => why !== null && ABOUT_THE_MODEL.has(why));
      if (nobody && begun) return gaveUp('no model takes what the conversation has come to');
      const unfit = outcome.attempts.find(({ code: why }) => why !== null && OF_THE_TASK.has(why))?.code;
      return nobody && typeof unfit === 'string' ? putOff(unfit, circumstances) : waits(NO_MODEL, { of: 'all', until });
    }
    case 'interrupted':
    case 'not_found':
    case 'superseded':
    case 'session_closed':
      return null;
    default:
      return waits(`a model could not be asked (${code ?? 'refused'})`, { of: 'all', until: null });
  }
}
