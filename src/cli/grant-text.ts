/** Keys and agents as text. */
import { PROFILES } from '../substrate/identity/scopes.ts';
import { printable, table } from './output.ts';

/** A grant as the tools show it. */
export interface GrantFacts {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly tools: string;
  readonly kind: string;
  readonly issued_under: string | null;
  readonly created: string;
  readonly expires: string | null;
  readonly last_seen: string | null;
  readonly calls: number;
}

/** One line a grant. */
export function grantTable(grants: readonly GrantFacts[]): string {
  const rows = grants.map(({ name, kind, scopes, expires, last_seen: lastSeen, calls }) => [
    printable(name),
    kind,
    expires ?? 'never',
    lastSeen ?? 'never',
    String(calls),
    inProfiles(scopes),
  ]);
  return table(['NAME', 'KIND', 'EXPIRES', 'LAST SEEN', 'CALLS', 'MAY'], rows);
}

/** Scopes in few words: those of the largest profile that is among them by its name, and the others. */
function inProfiles(scopes: readonly string[]): string {
  const [name, covered] = Object.entries(PROFILES)
    .filter(([, profile]) => profile.every((scope) => scopes.includes(scope)))
    .reduce<readonly [string | null, readonly string[]]>(
      (best, each) => (each[1].length > best[1].length ? each : best),
      [null, []],
    );
  // A small one among many scopes would say little.
  if (name === null || covered.length * 2 < scopes.length) return scopes.join(' ');
  return [`profile ${name}`, ...scopes.filter((scope) => !covered.includes(scope))].join(', ');
}

/** Everything about one grant, a line each. */
export function grantBlock(grant: GrantFacts): string {
  const facts: [string, string][] = [
    ['name', grant.name],
    ['id', grant.id],
    ['kind', grant.kind],
    ['may', grant.scopes.join(' ')],
    ['tools', grant.tools],
    ['under', grant.issued_under ?? 'the owner'],
    ['created', grant.created],
    ['expires', grant.expires ?? 'never'],
    ['last seen', grant.last_seen ?? 'never'],
    ['calls', String(grant.calls)],
  ];
  return facts.map(([name, value]) => `${name.padEnd(10)}  ${printable(value)}`).join('\n');
}
