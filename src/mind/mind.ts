/** The mind, as the tools use it: what decides and calls models. */
import type { CallReport, DrainOptions, Router } from './router/router.ts';

export interface Mind {
  readonly router: Router;
  /** Takes up what waits for tier 1. The dispatch that this needs stays inside. */
  readonly drain: (options: DrainOptions) => Promise<CallReport[]>;
}
