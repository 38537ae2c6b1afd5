/**
 * On whose behalf the worker works: whoever added the task. It uses a tool only where it and they both may,
 * so that nobody gets done through it what they could not do themselves.
 */
import type { Actor } from '../../../substrate/actor.ts';
import { findGrant, isInForce } from '../../../substrate/identity/grants.ts';
import type { Scope } from '../../../substrate/identity/scopes.ts';
import { serviceName } from '../../../substrate/identity/service.ts';
import type { ReadHandle } from '../../../substrate/substrate.ts';
import { OWNER_ID } from '../../../substrate/tasks/machine.ts';
import type { TaskRow } from '../../../substrate/tasks/model.ts';

/** What the owner gives the worker when it is switched on. No `task.verify`: it never verifies. */
export const WORKER_SCOPES: readonly Scope[] = [
  'bus.send',
  'memory.read:shared',
  'memory.write:shared',
  'receipt.note',
  'route.complete',
  'session.use',
  'task.read',
  'task.write',
];

/** What the worker needs for the work as such, whoever asked for it. */
const OWN: ReadonlySet<string> = new Set<Scope>(['route.complete', 'session.use', 'task.write']);

export interface Authority {
  readonly kind: 'owner' | 'agent' | 'helper';
  /** Null for the owner. */
  readonly grant: string | null;
  /** Null for the owner, who may do everything. */
  readonly scopes: readonly string[] | null;
}

const OWNERS: Authority = { kind: 'owner', grant: null, scopes: null };
const CLOCK = serviceName('clock');

/** Who stands behind a task now; null where they are gone: nobody answers for it then. */
export async function authorityOf(
  db: ReadHandle,
  { adder }: Pick<TaskRow, 'adder'>,
  now: number,
): Promise<Authority | null> {
  if (adder === OWNER_ID) return OWNERS;
  const grant = await findGrant(db, adder);
  if (grant === null) return null;
  // It adds what the owner's schedules say; any other organ speaks for itself, with its own scopes.
  if (grant.name === CLOCK) return OWNERS;
  return isInForce(grant, now) ? { kind: grant.kind, grant: grant.id, scopes: grant.scopes } : null;
}

/** The worker with what both may do. */
export function narrowed(actor: Actor, { scopes }: Authority): Actor {
  if (scopes === null) return actor;
  const both = [...actor.scopes].filter((scope) => OWN.has(scope) || scopes.includes(scope));
  return { ...actor, scopes: new Set(both) };
}
