/** The organ that looks how the work goes: when something happened to it, and when time alone changes something. */
import type { Evaluation } from '../coherence/coherence.ts';
import { evaluate } from '../coherence/coherence.ts';
import { sayCount } from '../coherence/words.ts';
import type { Organ } from '../organ.ts';
import { workMark } from '../../substrate/coherence/work.ts';
import type { Substrate } from '../../substrate/substrate.ts';

const SILENCE_MS_MAX = 30_000;
const DAY_MS = 86_400_000;

/**
 * What it knows from its last look is a memory of this process alone: after a start it looks once, and where
 * nothing changed since it writes nothing.
 */
export function coherenceOrgan(substrate: Substrate): Organ {
  let last: { readonly at: number; readonly mark: string; readonly due: number } | null = null;
  return {
    name: 'coherence',
    purpose: 'Sees whether the work gets done, and says so when it stalls or drifts.',
    silenceMsMax: SILENCE_MS_MAX,
    look: async (db, now) => {
      // A clock that was set back would put off what is due.
      const isDue = last === null || now >= last.due || now < last.at;
      const isNew = isDue || (await workMark(db)) !== last?.mark;
      return { waiting: isNew ? 1 : 0, nextAt: isNew ? null : (last?.due ?? null), held: null };
    },
    run: async ({ signal, alive }) => {
      // Read before it looks: what happens while it does is another reason to look.
      const mark = await substrate.read(workMark);
      const at = substrate.sources.now();
      const evaluation = await evaluate(substrate, { signal, alive });
      if (!signal.aborted) last = { at, mark, due: Math.min(evaluation.due ?? Infinity, nextDay(at)) };
      return { done: evaluation.changed.length, more: false, says: say(evaluation) };
    },
  };
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
