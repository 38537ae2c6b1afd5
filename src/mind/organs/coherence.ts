/** The organ that looks how the work goes: when something happened to it, and when time alone changes something. */
import type { Evaluation } from '../coherence/coherence.ts';
import { evaluate } from '../coherence/coherence.ts';
import { sayCount } from '../coherence/words.ts';
import type { Organ } from '../organ.ts';
import { workMark } from '../../substrate/coherence/work.ts';
import type { Substrate } from '../../substrate/substrate.ts';

const SILENCE_MS_MAX = 30_000;
const DAY_MS = 86_400_000;
/** Where a look takes longer than this, the next one begins ten times as long after it: work may go on and on. */
const SHORT_MS = 50;
const REST_MS_MAX = 10_000;

/**
 * What it knows from its last look is a memory of this process alone: after a start it looks once, and where
 * nothing changed since it writes nothing.
 */
export function createCoherence({ substrate }: { readonly substrate: Substrate }): Organ {
  let last: Look | null = null;
  /** The owner waits for it: it does not rest before it has seen all there is. */
  let isHurried = false;
  return {
    name: 'coherence',
    purpose: 'Sees whether the work gets done, and says so when it stalls or drifts.',
    silenceMsMax: SILENCE_MS_MAX,
    look: async (db, now) => {
      // A clock that was set back would put off what is due.
      const isDue = last === null || now >= last.due || now < last.at;
      const isNew = isDue || (await workMark(db)) !== last?.mark;
      if (!isNew) {
        isHurried = false;
        return { waiting: 0, nextAt: last?.due ?? null, held: null };
      }
      const rest = isHurried ? 0 : restMs(last, now);
      return rest > 0 ? { waiting: 0, nextAt: now + rest, held: null } : { waiting: 1, nextAt: null, held: null };
    },
    hurry: () => {
      last = null;
      isHurried = true;
    },
    run: async ({ signal, alive }) => {
      // Read before it looks: what happens while it does is another reason to look.
      const mark = await substrate.read(workMark);
      const at = substrate.sources.now();
      const evaluation = await evaluate(substrate, { signal, alive });
      const due = Math.min(evaluation.due ?? Infinity, nextDay(at));
      if (!signal.aborted) last = { at, mark, due, tookMs: substrate.sources.now() - at };
      // Having looked is what it is for, also where nothing changed.
      return { done: 1, more: false, says: say(evaluation) };
    },
  };
}

interface Look {
  readonly at: number;
  readonly mark: string;
  readonly due: number;
  readonly tookMs: number;
}

/** How long it waits before the next look, so that looking takes a tenth of the time at most. */
function restMs(last: Look | null, now: number): number {
  if (last === null || last.tookMs <= SHORT_MS || now < last.at) return 0;
  return Math.min(REST_MS_MAX, Math.max(0, last.at + 10 * last.tookMs - now));
}

/** Once a day the scores are kept where they differ, and what time has changed otherwise is seen. */
function nextDay(now: number): number {
  return (Math.floor(now / DAY_MS) + 1) * DAY_MS;
}

function say({ changed, raised, cleared }: Evaluation): string | null {
  if (changed.length === 0) return null;
  const parts = [
    ...(raised === 0 ? [] : [`${sayCount(raised, 'alarm')} raised`]),
    ...(cleared === 0 ? [] : [`${sayCount(cleared, 'alarm')} cleared`]),
  ];
  const names = changed.length > 5 ? sayCount(changed.length, 'subsystem') : changed.join(', ');
  return `${names}: ${parts.length === 0 ? 'noted how it is' : parts.join(', ')}`;
}
