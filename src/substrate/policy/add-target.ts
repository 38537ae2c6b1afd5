/** A target more in the policy: with the roles and the ceiling that the starter file has for it, where policy has none. */
import { readDocument } from './document.ts';
import { renderPolicy } from './render.ts';
import type { PolicyRows, RoutingRow, TargetRow } from './rows.ts';
import { renderStarter, starterTargets } from './starter.ts';

export interface NewTarget {
  readonly row: TargetRow;
  /** Models that are found there, best first, where the starter file leaves that open. */
  readonly models: readonly string[];
}

/** The policy's file with this target in it, in place of one of its name. What the owner decided stays. Pure. */
export function withTarget(present: PolicyRows, { row, models }: NewTarget): string {
  const start = starterFor(row, models);
  const isNamed = present.routing.some(({ target }) => target === row.name);
  const isFirst = present.routing.length === 0;
  const hasCeiling = present.ceilings.some(({ scope }) => scope === 'seed');
  return renderPolicy({
    timezone: present.timezone ?? start?.timezone ?? null,
    targets: [...present.targets.filter(({ name }) => name !== row.name), row],
    routing: isNamed ? present.routing : [...present.routing, ...newCandidates(present.routing, start?.routing ?? [])],
    prices: present.prices,
    notices: present.notices,
    // The first role to spend money brings the ceiling over it.
    ceilings: isFirst && !hasCeiling ? [...present.ceilings, ...(start?.ceilings ?? [])] : present.ceilings,
  });
}

/** What the starter file has for this target alone; null where that is nothing. */
function starterFor({ name, provider, base_url: baseUrl }: TargetRow, models: readonly string[]): PolicyRows | null {
  const isKnown = starterTargets().some((known) => known.name === name && known.provider === provider);
  const starter = isKnown ? renderStarter({ targets: [{ name, baseUrl, models }] }) : null;
  return starter === null ? null : readDocument(starter.document).rows;
}

/** Candidates at the end of roles that there are, and whole roles that there are not. */
function newCandidates(present: readonly RoutingRow[], start: readonly RoutingRow[]): RoutingRow[] {
  const roles = Map.groupBy(present, ({ role }) => role);
  return start.flatMap((candidate) => {
    const own = roles.get(candidate.role);
    const [head] = own ?? [];
    if (own === undefined || head === undefined) return [candidate];
    if (head.dispatch !== candidate.dispatch) return [];
    const last = Math.max(...own.map(({ position }) => position));
    return [{ ...candidate, position: last + candidate.position, limits: head.limits }];
  });
}
