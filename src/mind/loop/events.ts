/**
 * What the loop perceives of what happens, as one table: by the receipts' actions, what they are to the
 * mind, and whether they wake it.
 *
 * The commonest wake it late and once for all of them, or not at all (messages to others), so that they cost the
 * mind next to nothing; messages to the seed itself wake it by way of its inbox (`MailSignals`).
 */
import { readCursor } from '../../substrate/mind/log.ts';
import type { Tally } from '../../substrate/receipts/tally.ts';
import { sumTallies, TALLY_RECEIPTS_MAX, tally } from '../../substrate/receipts/tally.ts';
import type { Substrate } from '../../substrate/substrate.ts';

interface EventTraits {
  /** What it is, in words, counted with others of its kind. */
  readonly kind: string;
  /** `soon`: within some seconds, with all others that came by then. */
  readonly wakes: boolean | 'soon';
  /** Only with this outcome. */
  readonly outcome?: string;
}

const wakes = (kind: string): EventTraits => ({ kind, wakes: true });

/** By action, or by an action's noun for all of that noun. */
const EVENTS: ReadonlyMap<string, EventTraits> = new Map([
  ['task', wakes('change of a task')],
  ['task.progress', { kind: 'progress of a task', wakes: false }],
  ['bus.retry', wakes('dead letter put back')],
  ['bus.bury', { kind: 'dead letter', wakes: 'soon' }],
  ['schedule', wakes('change of a schedule')],
  ['probe', wakes('change of a probe')],
  ['worker', wakes('change of the worker’s limits')],
  ['coherence', wakes('change of coherence')],
  ['policy', wakes('change of the policy')],
  ['target', wakes('change of a target')],
  ['credential', wakes('change of a credential')],
  ['route.enqueue', wakes('call queued')],
  // Money was spent, which the owner may want to be told.
  ['route.attempt', { kind: 'call refused', wakes: 'soon', outcome: 'refused' }],
  ['handoff.accept', wakes('handover of a session')],
  ['session.close', wakes('session closed')],
  ['key.revoke', wakes('revocation')],
  ['membrane.revoke', wakes('revocation')],
  ['membrane.request', wakes('request')],
  ['seed.halt', wakes('halt')],
  ['seed.resume', wakes('end of a halt')],
  ['log.accept', wakes('log accepted')],
  ['mind.on', wakes('organ switched')],
  ['mind.off', wakes('organ switched')],
  ['mind.pause', wakes('pause')],
  ['mind.resume', wakes('end of a pause')],
]);

function traitsOf(action: string): EventTraits | undefined {
  return EVENTS.get(action) ?? EVENTS.get(action.slice(0, action.indexOf('.')));
}

/** Whether an operation of that action is worth a look: at once, or soon. */
export function wakingOf(action: string): 'now' | 'soon' | null {
  const traits = traitsOf(action);
  if (traits === undefined || traits.wakes === false) return null;
  return traits.wakes === 'soon' ? 'soon' : 'now';
}

/** Parts of the log that one look takes, so that a look stays short; what is left the next one takes. */
const PARTS_MAX = 4;

/** What was perceived of the log from one place to another. */
export interface Perceived {
  /** The first receipt that was not looked at. */
  readonly cursor: number;
  readonly more: boolean;
  /** How many there were of each kind. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Looks at the receipts from `cursor` on. In a home whose mind never looked (null) it begins at the end. */
export async function perceive(substrate: Substrate, cursor: number | null): Promise<Perceived> {
  const { size } = await substrate.log();
  const from = cursor ?? (await substrate.read(readCursor)) ?? size;
  const parts: Tally[][] = [];
  let at = Math.min(from, size);
  while (at < size && parts.length < PARTS_MAX) {
    const end = Math.min(size, at + TALLY_RECEIPTS_MAX);
    const start = at;
    parts.push(await substrate.read((db) => tally(db, start, end - 1)));
    at = end;
  }
  return { cursor: at, more: at < size, counts: countKinds(sumTallies(parts)) };
}

function countKinds(tallies: readonly Tally[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { action, outcome, count } of tallies) {
    const traits = traitsOf(action);
    if (traits === undefined || (traits.outcome !== undefined && traits.outcome !== outcome)) continue;
    counts.set(traits.kind, (counts.get(traits.kind) ?? 0) + count);
  }
  return counts;
}

/** `3 × change of a task`. */
export function sayNews(counts: ReadonlyMap<string, number>): string[] {
  return [...counts].map(([kind, count]) => `${count} × ${kind}`);
}
