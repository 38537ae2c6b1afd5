/** Free JSON that stands in a transcript as text, as a format wants it: parsed. Pure. */
import type { ToolDefinition } from '../../../substrate/transcript.ts';
import type { Loss } from '../provider.ts';
import { ProviderFault } from '../provider.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** An escaped surrogate: the parsed string may have half of a pair. */
const MAYBE_TORN = /\\u[dD][89a-fA-F]/;
/** More digits than a double keeps, or beyond its range. */
const INEXACT_NUMBER = /\d{16}|\d[eE][+-]?\d{3}/;
/** Each string, with its colon where it is a key. */
const STRINGS = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/** The object of a text that was checked to be one. */
export function parseObject(text: string): JsonObject {
  const value = JSON.parse(text) as JsonObject;
  return MAYBE_TORN.test(text) ? (mend(value) as JsonObject) : value;
}

/** Providers refuse half a surrogate pair, which JSON's grammar allows (RFC 8259 §8.2). */
function mend(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(mend);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key.toWellFormed(), mend(each)]));
}

/** The value of a text that may be no JSON; undefined then. */
export function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What parsing a call's arguments may change. */
export function argumentLosses(text: string): Loss[] {
  return [
    ...(INEXACT_NUMBER.test(text) ? ['digits of a long number'] : []),
    ...(MAYBE_TORN.test(text) && isTorn(JSON.parse(text)) ? ['half of a surrogate pair'] : []),
    ...(hasRepeatedKey(text) ? ['all but the last of a repeated key'] : []),
  ].map((what) => ({ message: null, what: `${what} in a tool call’s arguments` }));
}

function isTorn(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed();
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, each]) => !key.isWellFormed() || isTorn(each));
}

/** JSON's grammar allows it, and parsers keep the last (RFC 8259 §4). */
function hasRepeatedKey(text: string): boolean {
  let written = 0;
  for (const [, colon] of text.matchAll(STRINGS)) if (colon !== undefined) written += 1;
  return written > 1 && written > keysIn(JSON.parse(text));
}

function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value).reduce((count: number, each) => count + keysIn(each), 0);
  return Array.isArray(value) ? inner : inner + Object.keys(value).length;
}

/**
 * A tool's JSON Schema. All formats want to be told that it is an object.
 * @throws ProviderFault `cannot_carry` where it says that it is something else
 */
export function schemaOf({ name, parameters }: ToolDefinition): JsonObject {
  const schema = parseObject(parameters);
  const { type = 'object' } = schema;
  if (type === 'object') return { type: 'object', ...schema };
  throw new ProviderFault('cannot_carry', `The parameters of the tool ${name} are not an object.`, {
    mayBeBilled: false,
  });
}

/** @throws ProviderFault `cannot_carry` for two tools of one name, which every provider refuses */
export function assertDistinct(tools: readonly ToolDefinition[]): void {
  const names = new Set<string>();
  for (const { name } of tools) {
    if (names.has(name)) {
      throw new ProviderFault('cannot_carry', `Two tools are called ${name}.`, { mayBeBilled: false });
    }
    names.add(name);
  }
}
