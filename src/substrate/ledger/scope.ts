/**
 * Whose money a sum or a ceiling counts.
 *
 * Sums are kept for every scope of a spender, whatever ceilings exist:
 *
 *     seed   role:NAME   agent:NAME   session:ID   label:KEY   label:KEY=VALUE   model:TARGET/MODEL
 *
 * A ceiling names `seed`, or a role, agent, session or label; a `*` for the name gives each value a
 * limit of its own. A call without the label KEY counts as the value "" of `label:KEY=*` and has that
 * value's own limit; `label:KEY=` names just those calls, so that a limit of 0 there demands the label.
 * Their sum is what the seed spent less what was spent under the label (`label:KEY`), so that it is known
 * for a label nobody asked about before. A call outside any session is under no ceiling of a session.
 */
import { SeedError } from '../../errors.ts';
import type { Ceiling } from '../policy/model.ts';
import type { Spender } from './model.ts';
import { remember } from './remember.ts';

export const SEED_SCOPE = 'seed';

/** What a ceiling's scope names; `value` null is the `*`. */
export type ParsedScope =
  | { readonly kind: 'seed' }
  | { readonly kind: 'role' | 'agent' | 'session'; readonly value: string | null }
  | { readonly kind: 'label'; readonly key: string; readonly value: string | null };

const NAMED = /^(role|agent|session):(.{1,200})$/su;
const LABEL = /^label:([A-Za-z0-9._-]{1,64})=(.{0,200})$/su;

/** @throws SeedError `invalid_input` for a scope that no spender could ever have */
export const parseScope: (scope: string) => ParsedScope = remember((scope: string): ParsedScope => {
  if (scope === SEED_SCOPE) return { kind: 'seed' };
  const [, kind, name = ''] = NAMED.exec(scope) ?? [];
  if (kind !== undefined) return { kind: kind as 'role' | 'agent' | 'session', value: name === '*' ? null : name };
  const [, key, value = ''] = LABEL.exec(scope) ?? [];
  if (key !== undefined) return { kind: 'label', key, value: value === '*' ? null : value };
  throw new SeedError('invalid_input', `A ceiling has the scope "${scope}", which names nobody.`, {
    hint: 'Write seed, role:NAME, agent:NAME, session:ID or label:KEY=VALUE; * stands for each value.',
  });
});

/** The sum over all values of a label. */
function labelScope(key: string): string {
  return `label:${key}`;
}

/** Every scope that a call's money is summed under, without a duplicate. */
export function scopesOf({ role, agent, session, labels }: Spender, target: string, model: string): string[] {
  const scopes = [SEED_SCOPE, `role:${role}`, `agent:${agent}`, `model:${target}/${model}`];
  if (session !== null) scopes.push(`session:${session}`);
  for (const [key, value] of labelsOf(labels)) scopes.push(labelScope(key), `${labelScope(key)}=${value}`);
  return scopes;
}

/** The labels that say something. */
function labelsOf(labels: Spender['labels']): [string, string][] {
  return Object.entries(labels).filter(([, value]) => value !== '');
}

/** Sums that are counted for a ceiling: those of `scope`, less those of `without`. */
export interface Counted {
  readonly scope: string;
  readonly without: string | null;
}

/** What a ceiling counts for this spender; null where it does not apply. */
export function countedFor({ scope }: Ceiling, spender: Spender): Counted | null {
  const parsed = parseScope(scope);
  if (parsed.kind === 'seed') return { scope: SEED_SCOPE, without: null };
  if (parsed.kind === 'label') {
    const { [parsed.key]: value = '' } = Object.hasOwn(spender.labels, parsed.key) ? spender.labels : {};
    if (parsed.value !== null && parsed.value !== value) return null;
    return countedLabel(parsed.key, value);
  }
  const value = spender[parsed.kind];
  if (value === null || (parsed.value !== null && parsed.value !== value)) return null;
  return { scope: `${parsed.kind}:${value}`, without: null };
}

/** What is counted for one value of a label; "" is no label. */
export function countedLabel(key: string, value: string): Counted {
  if (value === '') return { scope: SEED_SCOPE, without: labelScope(key) };
  return { scope: `${labelScope(key)}=${value}`, without: null };
}

/** What is counted, as it is called in answers. */
export function nameOf({ scope, without }: Counted): string {
  return without === null ? scope : `${without}=`;
}
