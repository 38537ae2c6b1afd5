/**
 * To whom a message goes: a name (`cursor`, `owner`, `seed`), or `topic:NAME` for whoever subscribed to it.
 *
 * The owner and local agents write to everyone. A helper writes only to what its scopes name:
 * `bus.send:ADDRESS`, compared whole, and subscribes only to topics that `bus.receive:topic:NAME`
 * names. A name is whoever bears it now, as everywhere that the owner reads names.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';

const TOPIC = 'topic:';

/** The topic of an address; null for a name. */
export function topicOf(address: string): string | null {
  return address.startsWith(TOPIC) ? address.slice(TOPIC.length) : null;
}

/** Whether an actor that may send at all may send there. */
export function mayReach({ kind, scopes }: Actor, address: string): boolean {
  return kind !== 'helper' || scopes.has(`bus.send:${address}`);
}

/** @throws SeedError `forbidden` naming the first address that the actor may not send to */
export function assertReach(actor: Actor, addresses: readonly string[]): void {
  const beyond = addresses.find((address) => !mayReach(actor, address));
  if (beyond === undefined) return;
  const scope = `bus.send:${beyond}`;
  throw new SeedError('forbidden', `You may not send to ${beyond}; that needs the scope ${scope}.`, {
    hint: 'Ask the owner for it with membrane_request.',
    data: { argument: 'to', scope },
  });
}

/** @throws SeedError `forbidden` unless the actor may subscribe to that topic */
export function assertMayFollow({ kind, scopes }: Actor, topic: string): void {
  const scope = `bus.receive:${TOPIC}${topic}`;
  if (kind !== 'helper' || scopes.has(scope)) return;
  throw new SeedError('forbidden', `You may not follow the topic ${topic}; that needs the scope ${scope}.`, {
    hint: 'Ask the owner for it with membrane_request.',
    data: { argument: 'topic', scope },
  });
}
