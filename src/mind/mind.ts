/** The mind, as the tools use it: what decides and calls models. */
import type { Pulse } from './loop/pulse.ts';
import type { Steps } from './sessions/steps.ts';
import type { CallReport, DrainOptions, Router } from './router/router.ts';

/** The loop with its organs, which are loaded when they are wanted: a start does not wait for them. */
export interface LatePulse {
  /** Whether it turns by itself in this process, from when it is loaded. */
  readonly turns: boolean;
  /** Loads it on the first call. @throws what kept it from being loaded or started, to everybody who asks */
  readonly ready: () => Promise<Pulse>;
  /** As it is now; null while it is not loaded. */
  readonly now: () => Pulse | null;
}

export interface Mind {
  readonly router: Router;
  /** The next model turns of sessions. */
  readonly steps: Steps;
  /** Takes up what waits for tier 1. The dispatch that this needs stays inside. */
  readonly drain: (options: DrainOptions) => Promise<CallReport[]>;
  /** The loop with its organs; null in a process that may only read. */
  readonly pulse: LatePulse | null;
}
