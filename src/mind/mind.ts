/** The mind, as the tools use it: what decides and calls models. */
import type { Pulse } from './loop/pulse.ts';
import type { Steps } from './sessions/steps.ts';
import type { CallReport, DrainOptions, Router } from './router/router.ts';

export interface Mind {
  readonly router: Router;
  /** The next model turns of sessions. */
  readonly steps: Steps;
  /** Takes up what waits for tier 1. The dispatch that this needs stays inside. */
  readonly drain: (options: DrainOptions) => Promise<CallReport[]>;
  /** The loop with its organs; null in a process that may only read. */
  readonly pulse: Pulse | null;
}
