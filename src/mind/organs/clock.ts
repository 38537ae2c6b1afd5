/**
 * The clock: turns what schedules owe into occurrences, each once, and adds the tasks among them.
 *
 * An occurrence and the schedule's next time are one commit, and the next time is always to come. So neither
 * a restart nor a clock that is set back makes a time happen twice; a clock set back is caught up with first.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import { OWNER } from '../../substrate/actor.ts';
import { readTimezone } from '../../substrate/policy/policy.ts';
import type { Occurrence, Schedule } from '../../substrate/schedules/model.ts';
import { ScheduledTask, WAITING_MAX } from '../../substrate/schedules/model.ts';
import {
  dueOccurrences,
  finishOccurrence,
  liveTasksOf,
  lookAtClock,
  makeOccurrences,
} from '../../substrate/schedules/occurrences.ts';
import { findSchedule, listSchedules, setNextDue } from '../../substrate/schedules/schedules.ts';
import { isoTime } from '../../substrate/sources.ts';
import type { ReadHandle, Substrate } from '../../substrate/substrate.ts';
import { assertStatable } from '../../substrate/tasks/check.ts';
import { insertAddedTask } from '../../substrate/tasks/tasks.ts';
import { sayMoment } from '../coherence/words.ts';
import type { Organ, OrganReport, OrganRun } from '../organ.ts';
import type { Owed } from '../schedule/catch-up.ts';
import { whatIsOwed } from '../schedule/catch-up.ts';
import { readCron } from '../schedule/cron.ts';
import { nextDue } from '../schedule/due.ts';
import { OF_THE_MOMENT } from './refusals.ts';

/** Tasks that one run adds. */
const TASKS_A_RUN_MAX = 20;
const SILENCE_MS_MAX = 30_000;

const NONE: Owed = { times: [], skipped: 0, uncounted: false };

export interface ClockOptions {
  readonly substrate: Substrate;
  /** Who it acts as; null where it may not act. */
  readonly actor: (db: ReadHandle) => Promise<Actor | null>;
}

export function createClock({ substrate, actor }: ClockOptions): Organ {
  const clock = new Clock(substrate);
  return {
    name: 'clock',
    purpose: 'Makes what is scheduled happen: each time once, whatever happened in between.',
    silenceMsMax: SILENCE_MS_MAX,
    look: async (db, now) => {
      const seen = await lookAtClock(db, { now, policyZone: await policyZone(db) });
      const held = seen.waiting === 0 || (await actor(db)) !== null ? null : 'it has no grant to act under';
      return { ...seen, held };
    },
    run: async (run) => {
      const who = await substrate.read(actor);
      return who === null ? { done: 0, more: false, says: null } : clock.run(who, run);
    },
  };
}

/** The policy's zone; null where the policy cannot be read, and schedules stay in the zone that they were in. */
async function policyZone(db: ReadHandle): Promise<string | null> {
  try {
    return await readTimezone(db);
  } catch (error) {
    if (error instanceof SeedError && error.code === 'policy_invalid') return null;
    throw error;
  }
}

class Clock {
  readonly #substrate: Substrate;

  constructor(substrate: Substrate) {
    this.#substrate = substrate;
  }

  async run(actor: Actor, { signal, alive }: OrganRun): Promise<OrganReport> {
    const said: string[] = [];
    const unreadable: SeedError[] = [];
    const [schedules, zone] = await this.#substrate.read(async (db) => [await listSchedules(db), await policyZone(db)]);
    for (const schedule of schedules) {
      if (signal.aborted) break;
      alive();
      try {
        said.push(...(await this.#tick(actor, schedule, zone)));
      } catch (error) {
        // One that cannot be read must not hold up the others.
        if (!(error instanceof SeedError) || error.code !== 'invalid_input') throw error;
        unreadable.push(error);
      }
    }
    const waiting = await this.#substrate.read((db) => dueOccurrences(db, 'task', TASKS_A_RUN_MAX + 1));
    for (const occurrence of waiting.slice(0, TASKS_A_RUN_MAX)) {
      if (signal.aborted) break;
      alive();
      said.push(await this.#addTask(actor, occurrence));
    }
    if (unreadable[0] !== undefined) throw unreadable[0];
    const says = said.length === 0 ? null : said.join(' ');
    return { done: said.length, more: waiting.length > TASKS_A_RUN_MAX, says };
  }

  /** Puts down what one schedule owes; says so where it owed anything. */
  async #tick(actor: Actor, schedule: Schedule, usual: string | null): Promise<string[]> {
    const now = this.#substrate.sources.now();
    const zone = schedule.zone ?? usual ?? schedule.next_zone ?? 'UTC';
    const isDue = schedule.next_due !== null && schedule.next_due <= now;
    if (!isDue && schedule.next_due !== null && schedule.next_zone === zone) return [];
    const cron = await readCron(schedule.cron);
    // What was due was due in the zone that it was reckoned in; from now on the other one counts.
    const zoneThen = schedule.next_zone ?? zone;
    const owed = isDue
      ? whatIsOwed(cron, zoneThen, { since: schedule.next_due, catchUp: schedule.catch_up, now })
      : NONE;
    const nextDueAt = nextDue(cron, zone, Math.max(now, schedule.last_due ?? 0));
    const newest = owed.times.at(-1);
    const { value: made } = await this.#substrate.operate(
      { action: isDue ? 'schedule.due' : 'schedule.reckon', actor },
      async (op) => {
        const next = { next: isoTime(nextDueAt) };
        op.receipt({ subject: { type: 'schedule', id: schedule.name }, detail: next });
        if (!(await setNextDue(op, schedule, { nextDue: nextDueAt, zone, lastDue: newest ?? null }))) return 0;
        const count = await makeOccurrences(op, schedule, owed.times);
        const due = newest === undefined ? {} : { due: isoTime(newest) };
        op.receipt({ detail: { ...next, ...due, made: count, skipped: owed.skipped } });
        return count;
      },
    );
    if (!isDue) return [`${schedule.name} is due next ${sayMoment(nextDueAt)}.`];
    const times = owed.times.map(sayMoment);
    const missed =
      owed.skipped === 0 ? '' : `; ${owed.skipped}${owed.uncounted ? ' or more' : ''} missed, not made up for`;
    return [`${schedule.name} was due${made === 0 ? '' : ` ${times.slice(-3).join(', ')}`}${missed}.`];
  }

  /** Adds the task of an occurrence, in the owner's name, and says what came of it. */
  async #addTask(actor: Actor, occurrence: Occurrence): Promise<string> {
    const { sources } = this.#substrate;
    const { name, schedule: id, due } = occurrence;
    const { schedule, live } = await this.#substrate.read(async (db) => ({
      schedule: await findSchedule(db, name),
      live: await liveTasksOf(db, id),
    }));
    const draft =
      schedule?.id === id && schedule.draft !== null ? ScheduledTask.parse(JSON.parse(schedule.draft)) : null;
    if (schedule === null || draft === null) return `${name} is gone.`;
    // A task that nobody does must not be added again and again.
    if (live.length >= (schedule.catch_up === 'all' ? WAITING_MAX : 1)) {
      return this.#end(actor, occurrence, 'skipped', `${live[0] ?? ''} of the time before is not over yet.`);
    }
    try {
      if (draft.check !== undefined) await assertStatable(draft.check, OWNER);
      const { value } = await this.#substrate.operate({ action: 'task.add', actor }, async (op) => {
        const ending = { attempt: occurrence.attempts, state: 'done', says: 'The task was added.' } as const;
        if (!(await finishOccurrence(op, occurrence, { ...ending, result: `t${op.seq}` }))) throw goneMeanwhile(name);
        const { title, text, subsystem, acceptance, check = null, priority, deadline_s: seconds } = draft;
        const deadline = seconds === undefined ? null : due + seconds * 1_000;
        const body = { title, text, acceptance };
        const added = { subsystem, body, check, deadline, priority, needs: [] };
        const task = await insertAddedTask(op, { adder: OWNER, draft: added, sources });
        op.receipt({ detail: { subsystem, schedule: name, due: isoTime(due) } });
        return task;
      });
      return `${name}: task ${value.id} added.`;
    } catch (error) {
      if (!(error instanceof SeedError) || error.kind !== 'refused' || isOfTheMoment(error)) throw error;
      return this.#end(actor, occurrence, 'failed', error.message);
    }
  }

  async #end(actor: Actor, occurrence: Occurrence, state: 'failed' | 'skipped', says: string): Promise<string> {
    const { name, due, attempts: attempt } = occurrence;
    await this.#substrate.operate({ action: 'schedule.end', actor }, async (op) => {
      op.receipt({ subject: { type: 'schedule', id: name }, detail: { due: isoTime(due), state } });
      await finishOccurrence(op, occurrence, { attempt, state, says });
    });
    return `${name}: no task was added. ${says}`;
  }
}

/** Refusals that say nothing of the task itself; `conflict` is the occurrence's, which somebody else ended. */
function isOfTheMoment({ code }: SeedError): boolean {
  return code === 'conflict' || OF_THE_MOMENT.has(code);
}

function goneMeanwhile(name: string): SeedError {
  return new SeedError('conflict', `What was due of ${name} does not wait any more.`, { hint: 'Nothing was added.' });
}
