/**
 * The first line on the local socket, in each direction, before MCP begins: which agent this is,
 * and which versions meet.
 */
import * as z from 'zod';
import { GrantName } from '../tools/grant-view.ts';

/** What a client's pipe says. */
export const Hello = z.object({
  seed_hello: z.literal(1),
  /** The agent's name, as the owner configured it; null lets the client's own name decide. */
  as: z.string().max(200).nullable(),
  /** The client program's own name and version. */
  client: z.string().max(200).nullable(),
  version: z.string().max(40),
  tools: z.enum(['daily', 'all']),
});
export type Hello = z.infer<typeof Hello>;

/** What the daemon answers. */
export type Welcome =
  | {
      readonly seed_hello: 1;
      readonly name: string;
      readonly renamed: boolean;
      readonly version: string;
      readonly seed: string;
    }
  | { readonly seed_hello: 1; readonly restarting: true; readonly version: string }
  | {
      readonly seed_hello: 1;
      readonly error: { readonly code: string; readonly message: string; readonly hint: string };
    };

/** Leaves room for the number of a second window. */
const NAME_CHARS_MAX = 60;

/** A name that keys and agents can have, from whatever a client calls itself; one that can be is kept as it is. */
export function agentName(hello: Pick<Hello, 'as' | 'client'>): string {
  if (hello.as !== null && hello.as.length <= NAME_CHARS_MAX && GrantName.safeParse(hello.as).success) return hello.as;
  const raw = hello.as ?? hello.client ?? '';
  const name = raw
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 32)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'agent' : name;
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
