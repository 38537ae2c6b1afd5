/** What organs that work by the schedule have in common: an occurrence is begun, worked on, and ended, on record. */
import type { Actor } from '../../substrate/actor.ts';
import type { Occurrence } from '../../substrate/schedules/model.ts';
import type { Ending } from '../../substrate/schedules/occurrences.ts';
import { finishOccurrence, startOccurrence } from '../../substrate/schedules/occurrences.ts';
import type { Operation, Substrate } from '../../substrate/substrate.ts';

/** Begins an occurrence; null where it does not wait any more, or was cut off too often. */
export async function beginDue(substrate: Substrate, actor: Actor, due: Occurrence): Promise<Occurrence | null> {
  const { value } = await substrate.operate({ action: 'schedule.begin', actor }, (op) => startOccurrence(op, due));
  return value;
}

/** Ends an occurrence that was begun, with whatever else is to be kept or lost with that. */
export async function endDue(
  substrate: Substrate,
  actor: Actor,
  {
    begun,
    ending,
    also,
  }: { begun: Occurrence; ending: Omit<Ending, 'attempt'>; also?: (op: Operation) => Promise<void> },
): Promise<void> {
  await substrate.operate({ action: 'schedule.end', actor }, async (op) => {
    await also?.(op);
    await finishOccurrence(op, begun, { attempt: begun.attempts, ...ending });
    const { name, due } = begun;
    op.receipt({ subject: { type: 'schedule', id: name }, detail: { due, state: ending.state } });
  });
}
