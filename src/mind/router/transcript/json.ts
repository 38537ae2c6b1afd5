/** Free JSON that stands in a transcript as text, as a format wants it: parsed. Pure. */
import type { ToolDefinition } from '../../../substrate/transcript.ts';
import type { Loss } from '../provider.ts';
import { ProviderFault } from '../provider.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** An escaped surrogate: the parsed string may have half of a pair. */
const MAYBE_TORN = /\\u[dD][89a-fA-F]/;
/** More digits than a double keeps. */
const LONG_NUMBER = /\d{16}/;

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
  return LONG_NUMBER.test(text) ? [{ message: null, what: 'digits of a long number in a tool call’s arguments' }] : [];
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
