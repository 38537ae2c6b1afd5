/** How a run of the worker on a task ends, and what follows from how a model's answer came out. */
import type { RunState } from '../../../substrate/mind/worker.ts';
import { NO_MODEL } from '../../../substrate/mind/worker.ts';
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
  /** Whether no model is asked for a while, and until when: null for longer after each failure. */
  readonly hold: { readonly until: number | null } | null;
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
/** What keeps a model from being asked whatever the request is. */
const ABOUT_THE_MODEL: ReadonlySet<string> = new Set(['benched', 'no_price', 'tier_fenced']);

export interface Circumstances {
  readonly session: Session;
  readonly now: number;
  /** The conversation had begun: a model has taken it before. */
  readonly begun: boolean;
}

/**
 * What follows from a step that is over; null where the work goes on by the transcript. Pure.
 *
 * A failure of the models puts everything off, for one task is as good as the next to find them again; what
 * only this conversation fails at ends this task.
 */
export function judge(outcome: CallOutcome, circumstances: Circumstances): Ending | null {
  const { status, code } = outcome;
  // Of one in doubt nobody knows what it said: it is asked anew, and that counts as a step.
  if (status === 'complete' || status === 'in_doubt') return null;
  if (status === 'refused') return judgeRefusal(outcome, circumstances);
  // Somebody ended the call: the next look says whether the task is still to be done.
  if (code === 'interrupted') return null;
  return circumstances.begun && failedBy(outcome, ABOUT_THE_REQUEST)
    ? gaveUp('no model takes what the conversation has come to')
    : waits(NO_MODEL, { until: null });
}

function judgeRefusal(outcome: CallOutcome, { session, now, begun }: Circumstances): Ending | null {
  const { code, ceiling, retry_after_s: seconds } = outcome;
  const until = seconds === null ? null : now + seconds * 1_000;
  switch (code) {
    case 'over_ceiling': {
      const own = budgetCeilings(session).some(({ name }) => name === ceiling?.name);
      return own ? spent('its budget') : waits(`over the ceiling ${ceiling?.name ?? ''}`, { until });
    }
    case 'no_route':
      return waits(NO_MODEL);
    case 'no_candidate': {
      const nobody = begun && !outcome.attempts.some(({ code: why }) => why !== null && ABOUT_THE_MODEL.has(why));
      return nobody ? gaveUp('no model takes what the conversation has come to') : waits(NO_MODEL, { until });
    }
    case 'interrupted':
    case 'not_found':
    case 'superseded':
    case 'session_closed':
      return null;
    default:
      return waits(`a model could not be asked (${code ?? 'refused'})`, { until: null });
  }
}

/** Whether there were failures, and all of them for a reason of that kind. */
function failedBy({ attempts }: CallOutcome, codes: ReadonlySet<string>): boolean {
  const failed = attempts.filter(({ outcome }) => outcome === 'failed');
  return failed.length > 0 && failed.every(({ code }) => code !== null && codes.has(code));
}
