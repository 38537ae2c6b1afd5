/** What may happen to a task, as data: from which states, to which, by whom, and whether others are told. */
import { SeedError } from '../../errors.ts';
import type { TaskRow, TaskState } from './model.ts';

/**
 * `anyone`: who may write tasks at all. `holder`: who claimed it, under that lease. `other`: a principal
 * other than the doer. `adder`: who added it, or the owner. `seed`: the seed itself.
 */
type Party = 'anyone' | 'holder' | 'other' | 'adder' | 'seed';

interface Rule {
  readonly from: readonly TaskState[];
  /** null: as it was. */
  readonly to: TaskState | null;
  readonly by: Party;
  /** The owner may as well. */
  readonly orOwner: boolean;
  /** Whether those whom it concerns get a message. */
  readonly tells: boolean;
}

const LIVE = ['open', 'claimed', 'finished'] as const;

export const MACHINE = {
  claim: { from: ['open'], to: 'claimed', by: 'anyone', orOwner: true, tells: true },
  progress: { from: ['claimed'], to: null, by: 'holder', orOwner: false, tells: false },
  finish: { from: ['claimed'], to: 'finished', by: 'holder', orOwner: false, tells: true },
  release: { from: ['claimed'], to: 'open', by: 'holder', orOwner: true, tells: true },
  lapse: { from: ['claimed'], to: 'open', by: 'seed', orOwner: false, tells: true },
  /** The stated check passed. */
  pass: { from: ['claimed', 'finished'], to: 'done', by: 'seed', orOwner: false, tells: true },
  verify: { from: ['finished'], to: 'done', by: 'other', orOwner: false, tells: true },
  reject: { from: ['finished'], to: 'open', by: 'other', orOwner: false, tells: true },
  cancel: { from: LIVE, to: 'cancelled', by: 'adder', orOwner: true, tells: true },
  reopen: { from: ['done', 'cancelled'], to: 'open', by: 'adder', orOwner: true, tells: true },
  amend: { from: LIVE, to: null, by: 'adder', orOwner: true, tells: true },
} as const satisfies Record<string, Rule>;

export type TaskEventName = keyof typeof MACHINE;

/** Who acts on a task. */
export interface Acting {
  /** A grant's id, `owner` or `seed`. */
  readonly who: string;
  readonly principal: string;
  /** The lease that it names; null where it names none. */
  readonly lease: number | null;
}

/** How the owner and the seed are called where grants have ids. */
export const OWNER_ID = 'owner';

/**
 * The state that an event leads to.
 *
 * @throws SeedError `conflict` where the state does not allow it or the lease is another, `forbidden` where
 *   the actor may not, `invalid_input` for a lease that is missing
 */
export function step(task: TaskRow, event: TaskEventName, acting: Acting): TaskState {
  const rule: Rule = MACHINE[event];
  assertParty(task, event, acting);
  if (!rule.from.includes(task.state)) throw wrongState(task, event);
  return rule.to ?? task.state;
}

function assertParty(task: TaskRow, event: TaskEventName, { who, principal, lease }: Acting): void {
  const rule: Rule = MACHINE[event];
  if (rule.orOwner && who === OWNER_ID) return;
  if (rule.by === 'holder') assertHolder(task, event, { who, lease });
  else if (rule.by === 'adder' && who !== task.adder) {
    throw new SeedError(
      'forbidden',
      `${task.id} was added by ${task.adder_name}; only they and the owner ${event} it.`,
      {
        hint: `Ask ${task.adder_name} with bus_send.`,
        data: { task: task.id },
      },
    );
  } else if (rule.by === 'other' && task.state === 'finished') assertOther(task, principal, lease);
}

function assertHolder(task: TaskRow, event: string, { who, lease }: Pick<Acting, 'who' | 'lease'>): void {
  if (lease === null) {
    throw new SeedError('invalid_input', `lease: ${event} needs the number that the claim gave.`, {
      hint: 'task_list with the id shows it to whoever holds the task.',
      data: { argument: 'lease' },
    });
  }
  // What lapsed, or is over, is told by its state: that says more than whose it is now.
  if (task.state !== 'claimed') return;
  if (task.holder !== who) {
    throw new SeedError('forbidden', `${task.holder_name} holds ${task.id}, not you.`, {
      hint: 'Claim it when it is free again, or write to them with bus_send.',
      data: { task: task.id },
    });
  }
  assertLease(task, lease);
}

function assertLease(task: TaskRow, lease: number): void {
  if (lease === task.lease) return;
  throw new SeedError('conflict', `Lease ${lease} of ${task.id} is over; the newest is ${task.lease}.`, {
    hint: 'Somebody claimed it since: look at it with task_list before you go on.',
    data: { task: task.id, lease: task.lease },
  });
}

function assertOther(task: TaskRow, principal: string, lease: number | null): void {
  if (lease !== null) assertLease(task, lease);
  if (principal !== task.holder_principal) return;
  throw new SeedError('forbidden', `${task.id} was done by ${task.holder_name}, which counts as you.`, {
    hint: `Somebody else verifies it: another agent, a helper${principal === OWNER_ID ? '' : ', or the owner'}.`,
    data: { task: task.id },
  });
}

const WHAT_NOW: Readonly<Record<TaskState, string>> = {
  open: 'Claim it first; progress renews a lease before it lapses.',
  claimed: 'Wait until its holder finishes or lets go of it.',
  finished: 'It waits to be verified by somebody other than who did it.',
  done: 'It is over; reopen it if it is not as it should be.',
  cancelled: 'It is over; whoever added it can reopen it.',
};

function wrongState(task: TaskRow, event: TaskEventName): SeedError {
  const { id, state, lapsed, holder_name: holder, lease } = task;
  const why = lapsed === 1 ? `; lease ${lease} of ${holder} lapsed` : state === 'claimed' ? ` by ${holder}` : '';
  return new SeedError('conflict', `${id} is ${state}${why}: it cannot take "${event}" now.`, {
    hint: WHAT_NOW[state],
    data: { task: id, state },
  });
}
