/**
 * The first line on the local socket, in each direction, before MCP begins: which agent this is,
 * and which versions meet. Both ends share this file, so it loads nothing; the door checks what it
 * is told with `hello-schema.ts`.
 */
import type { WireError } from '../errors.ts';
import { isAgentName, isReserved, slug } from '../substrate/identity/names.ts';

export const TOOL_SETS = ['daily', 'all'] as const;

/** What a client's pipe says. */
export interface Hello {
  readonly seed_hello: 1;
  /** The agent's name, as the owner configured it; null lets the client's own name decide. */
  readonly as: string | null;
  /** The client program's own name and version. */
  readonly client: string | null;
  readonly version: string;
  readonly tools: (typeof TOOL_SETS)[number];
}

/** Who connects, as the daemon has let it in. */
export interface Welcomed {
  readonly seed_hello: 1;
  readonly name: string;
  readonly renamed: boolean;
  readonly version: string;
  readonly seed: string;
}

/** What the daemon answers. */
export type Welcome =
  | Welcomed
  | { readonly seed_hello: 1; readonly restarting: true; readonly version: string }
  | { readonly seed_hello: 1; readonly error: WireError };

/** A name that agents can have, from whatever a client calls itself; one that can be is kept as it is. */
export function agentName({ as, client }: Pick<Hello, 'as' | 'client'>): string {
  if (as !== null && isAgentName(as)) return as;
  const name = slug(as ?? client ?? '');
  return name === null || isReserved(name) ? 'agent' : name;
}

/** Whether version `a` is newer than `b`, by their numbers. */
export function isNewer(a: string, b: string): boolean {
  const numbers = (version: string): number[] => (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
