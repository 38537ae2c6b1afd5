/** The seed's organs by name, as switching them and showing them needs them: none of them is loaded for that. */
import type { SeatNamed, SeatTraits } from '../loop/seat.ts';
import { WORKER_SCOPES } from './worker/authority.ts';

const ITSELF: SeatTraits = { isOn: true, scopes: [], takesWorkOn: false };

/** By name: whether it begins switched on, what its grant allows, whether coherence may brake what it takes on. */
const TRAITS = {
  // Adds the tasks of schedules.
  clock: { ...ITSELF, scopes: ['task.write'] },
  digestor: {
    ...ITSELF,
    scopes: ['bus.receive', 'bus.send', 'memory.write:inbox', 'memory.write:shared', 'route.complete', 'task.write'],
  },
  worker: { isOn: false, scopes: WORKER_SCOPES, takesWorkOn: true },
  synthesizer: {
    ...ITSELF,
    scopes: ['memory.write:shared', 'receipt.read', 'route.complete', 'route.enqueue', 'task.read'],
  },
  drain: ITSELF,
  prober: ITSELF,
  coherence: ITSELF,
  teller: ITSELF,
} as const satisfies Record<string, SeatTraits>;

/** Every organ by name with its traits; the same in a process that has no loop. */
export const ORGANS: readonly SeatNamed[] = Object.entries(TRAITS).map(([name, traits]) => ({ name, ...traits }));
