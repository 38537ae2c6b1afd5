/** Who writes and who looks, over one substrate. */
import type { Actor } from '../../../src/substrate/actor.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Search } from '../../../src/substrate/memory/look.ts';
import { searchMemories } from '../../../src/substrate/memory/look.ts';
import type { Draft, Written } from '../../../src/substrate/memory/memory.ts';
import { remember } from '../../../src/substrate/memory/memory.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { letIn } from '../bus/rig.ts';

export { OWNER };

/** What a local agent may do with memories from the start. */
const DAILY = ['memory.read:private', 'memory.write:private', 'memory.read:shared', 'memory.write:shared'];

export function agent(substrate: Substrate, name: string, scopes: readonly string[] = DAILY): Promise<Actor> {
  return letIn(substrate, name, { scopes });
}

export function helper(substrate: Substrate, name: string, scopes: readonly string[]): Promise<Actor> {
  return letIn(substrate, name, { scopes, kind: 'helper' });
}

export type More = Partial<Omit<Draft, 'text'>>;

/** Writes a text; into the private space unless said otherwise. */
export function note(substrate: Substrate, who: Actor, text: string, more: More = {}): Promise<Written> {
  return remember(substrate, who, { space: 'private', text, ...more });
}

/** The texts that a search finds, the best first. */
export async function find(
  substrate: Substrate,
  who: Actor,
  query: string,
  more: Partial<Omit<Search, 'query'>> = {},
): Promise<string[]> {
  const { found } = await substrate.read((db) => searchMemories(db, who, { query, limit: 50, ...more }));
  return found.map(({ memory }) => memory.text);
}
