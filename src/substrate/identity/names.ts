/** The names of keys and agents: one rule, for whoever gives, asks for or makes one up. */

/** Short, and the same in every place they are shown. */
export const GRANT_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
export const GRANT_NAME_RULE = '1 to 64 lower-case letters, digits, dots, dashes and underscores';

/** Receipts name these actors by these words, so nobody else may have them. */
const RESERVED: readonly string[] = ['owner', 'seed', 'external-sql'];
/** What the seed does by itself it does under names that begin so; see `service.ts`. */
const SERVICE = /^seed-/;
export const RESERVED_RULE =
  'another one: owner, seed, external-sql and what begins with seed- are the owner’s and the seed’s own';

/** Leaves room for the number of a second window. */
export const AGENT_NAME_CHARS_MAX = 60;
const SLUG_CHARS_MAX = 32;

/** Whether a name is that of one of the seed's own organs. */
export function isServiceName(name: string): boolean {
  return SERVICE.test(name);
}

export function isReserved(name: string): boolean {
  return RESERVED.includes(name) || isServiceName(name);
}

/** Whether an agent can go by that name as it is. */
export function isAgentName(name: string): boolean {
  return GRANT_NAME.test(name) && name.length <= AGENT_NAME_CHARS_MAX && !isReserved(name);
}

/** A name out of any text: letters without their accents, digits and dashes; null when nothing is left. */
export function slug(text: string): string | null {
  const plain = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_CHARS_MAX)
    .replace(/^-+|-+$/g, '');
  return plain === '' ? null : plain;
}
