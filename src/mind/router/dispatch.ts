/**
 * How a call came to be dispatched: on demand, or by the drain (LOCK-RUNTIME-5).
 *
 * The drain's is a value that exists once in this process and is handed by the composition root to
 * the drain alone. It is told by identity: nothing that arrives as text, through any door, can be it.
 */

export interface Dispatch {
  readonly kind: 'any' | 'cron';
}

/** What everybody has. */
export const ON_DEMAND: Dispatch = Object.freeze({ kind: 'any' });

const drains = new WeakSet<Dispatch>();

/** Makes the value that dispatches tier-1 work. For the composition root; whoever holds it is the drain. */
export function createDrainDispatch(): Dispatch {
  const dispatch: Dispatch = Object.freeze({ kind: 'cron' });
  drains.add(dispatch);
  return dispatch;
}

/** Which of policy's dispatches this is; whatever was not made here is on demand. */
export function dispatchOf(dispatch: Dispatch): 'any' | 'cron' {
  return drains.has(dispatch) ? 'cron' : 'any';
}
