/** Keys and agents as text. */
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
    scopes.join(' '),
  ]);
  return table(['NAME', 'KIND', 'EXPIRES', 'LAST SEEN', 'CALLS', 'MAY'], rows);
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
