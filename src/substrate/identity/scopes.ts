/**
 * What an actor may be allowed to do. A closed list; a scope is matched whole, never by prefix.
 */
import * as z from 'zod';
import { SeedError } from '../../errors.ts';

/** Every scope, with what it allows. */
export const SCOPES = {
  'seed.status': 'see how the seed is',
  'receipt.read': 'read, list and prove receipts',
  'receipt.note': 'note what was done elsewhere',
  'content.read': 'read the content that receipts stand for',
  'route.complete': 'ask models on demand, within the ceilings',
  'route.enqueue': 'leave work for the tier-1 models of the drain',
  'membrane.list': 'list the keys issued under its own',
  'membrane.register': 'register a public key under its own',
  'membrane.revoke': 'revoke a key issued under its own',
} as const;

export type Scope = keyof typeof SCOPES;

export const Scope = z.enum(Object.keys(SCOPES) as [Scope, ...Scope[]]);

/** What a local agent of the owner may do from the start: the daily work, no keys, no policy. */
const AGENT: readonly Scope[] = ['seed.status', 'receipt.read', 'receipt.note', 'route.complete'];

/** Named sets for `seed key issue --profile`. */
export const PROFILES: Readonly<Record<'agent' | 'helper' | 'observer', readonly Scope[]>> = {
  agent: AGENT,
  helper: ['seed.status', 'receipt.note'],
  observer: ['seed.status', 'receipt.read'],
};

/** @throws SeedError `forbidden` unless every wanted scope is held */
export function assertWithin(wanted: readonly string[], held: ReadonlySet<string>): void {
  const beyond = wanted.filter((scope) => !held.has(scope));
  if (beyond.length === 0) return;
  throw new SeedError('forbidden', `A key cannot hold what its issuer does not: ${beyond.join(', ')}.`, {
    hint: 'Ask for scopes that you hold, or ask the owner with membrane_request.',
    data: { scope: beyond[0] ?? '' },
  });
}
