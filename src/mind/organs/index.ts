/**
 * The seed's organs, in the order in which they are decided on. A new one is a module beside this file, its
 * traits in `traits.ts`, and its place in the list.
 */
import { governedPauses } from '../../substrate/coherence/alarms.ts';
import type { Telling } from '../../substrate/home/notifiers.ts';
import { findService } from '../../substrate/identity/service.ts';
import type { Target } from '../../substrate/policy/model.ts';
import type { Substrate } from '../../substrate/substrate.ts';
import type { SeatTraits, Seat } from '../loop/seat.ts';
import type { Mind } from '../mind.ts';
import type { Act, Organ } from '../organ.ts';
import { createClock } from './clock.ts';
import { createCoherence } from './coherence.ts';
import { createDigestor } from './digestor/digestor.ts';
import { createDrain } from './drain.ts';
import { createProber } from './prober.ts';
import { createSynthesizer } from './synthesizer/synthesizer.ts';
import type { FactSource } from './teller/facts.ts';
import { createTeller } from './teller/teller.ts';
import { ORGANS } from './traits.ts';
import type { ToolFace } from './worker/tools.ts';
import { createWorker } from './worker/worker.ts';

/** What organs are made of, beyond the substrate. */
export interface OrganParts extends Pick<Mind, 'router' | 'steps' | 'drain'> {
  readonly substrate: Substrate;
  readonly act: Act;
  /** The seed's tools, of which the worker takes those of its list. */
  readonly tools: readonly ToolFace[];
  /** Whether a target could be called, as far as can be told without calling it. */
  readonly canCall: (target: Target) => boolean;
  /** Runs one of the owner's notifiers. */
  readonly tell: (notifier: string, telling: Telling, signal: AbortSignal) => Promise<void>;
  /** What there may be to tell the owner. */
  readonly facts: readonly FactSource[];
  /** Named points at which a test stops the process. */
  readonly fault: (point: string) => void;
}

/** Makes every organ and gives each its place. */
export function seatsOf(parts: OrganParts): Seat[] {
  const { substrate, drain, tell, facts: sources } = parts;
  const organs: readonly Organ[] = [
    createClock({ substrate, actor: (db) => findService(db, 'clock') }),
    createDigestor(parts),
    createWorker({ ...parts, pauses: governedPauses }),
    createSynthesizer(parts),
    createDrain({ substrate, drain }),
    createProber({ substrate }),
    createCoherence({ substrate }),
    createTeller({ substrate, sources, tell }),
  ];
  return organs.map((organ) => ({ organ, ...traitsOf(organ.name) }));
}

function traitsOf(organ: string): SeatTraits {
  const named = ORGANS.find(({ name }) => name === organ);
  if (named === undefined) throw new Error(`The organ ${organ} has no traits.`);
  return named;
}
