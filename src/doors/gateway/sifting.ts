/** Looks at what a client sent: reads it by schema, goes by the table of fields, and remembers what is not carried. */
import type * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { explainIssues } from '../../tools/plain-words.ts';
import type { FieldTable } from './fields.ts';
import type { ClientTool } from './wire.ts';

/** Names that are listed, at most, and how long each may be: they stand in a header. */
const LISTED_MAX = 32;
const NAME_UNITS_MAX = 64;
const REST = 'and-more';

/** One request, while it is parsed. */
export class Sifting {
  /** Tools that have another name here than their client's, by that. */
  readonly toolNames = new Map<string, ClientTool>();
  readonly calls: OpenCalls = new OpenCalls();
  readonly #listed = new Set<string>();

  /** What is not carried, by name. */
  get notCarried(): string[] {
    return [...this.#listed];
  }

  /**
   * Goes through the fields of an object by its table. `place` is where such objects stand (`tools`), `path` where
   * this one does (`tools.3`); both are empty for the body.
   *
   * @throws SeedError `invalid_input` for a field that is refused
   */
  fields(object: object, table: FieldTable, { place, path }: { place: string; path: string }): void {
    for (const name of Object.keys(object)) {
      const rule = Object.hasOwn(table, name) ? table[name] : undefined;
      if (rule?.fate === 'carried') continue;
      const value = (object as Readonly<Record<string, unknown>>)[name];
      if (value === null || value === undefined || (rule !== undefined && isIdle(value, rule.idle))) continue;
      if (rule?.fate === 'refused') throw refusal(at(path, name), `is refused: ${rule.note}`);
      this.list(at(place, name));
    }
  }

  /** Remembers what is not carried. */
  list(name: string): void {
    // Of thousands that no table names the first few are told.
    if (this.#listed.size > LISTED_MAX) return;
    const plain = name.replaceAll(/[^\w.-]/g, '?').slice(0, NAME_UNITS_MAX);
    if (this.#listed.size < LISTED_MAX) this.#listed.add(plain);
    else if (!this.#listed.has(plain)) this.#listed.add(REST);
  }
}

/**
 * Whether each tool call of a conversation has its one result, as the APIs want it of their clients. The formats of
 * providers could make up for it (`transcript/prepare.ts`), but then what a client mixed up would be left out or made
 * up without a word to it. Ids are as the client writes them.
 */
class OpenCalls {
  /** Where the calls without a result so far have their ids, by id. */
  readonly #open = new Map<string, string>();
  #fault: SeedError | null = null;

  /** A call was made; `path` is the field with its id. */
  made(id: string, path: string): void {
    if (this.#open.has(id)) this.#complain(path, 'is the id of another call that waits for its result');
    this.#open.set(id, path);
  }

  /** A result came; `path` is the field with the id of its call. */
  answered(id: string, path: string): void {
    if (this.#open.delete(id)) return;
    this.#complain(path, 'is the id of no call right before it that waits for a result');
  }

  /** The conversation goes on: results that are missing will not come any more. */
  goOn(): void {
    for (const path of this.#open.values()) {
      this.#complain(path, 'is of a call without a result; each has one before the conversation goes on');
    }
    this.#open.clear();
  }

  /** At the end of what is to be answered. @throws SeedError `invalid_input` for what was wrong first */
  assertPaired(): void {
    this.goOn();
    if (this.#fault !== null) throw this.#fault;
  }

  #complain(path: string, what: string): void {
    this.#fault ??= refusal(path, what);
  }
}

function at(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function isIdle(value: unknown, idle: readonly string[] = []): boolean {
  return idle.length > 0 && idle.includes(JSON.stringify(value));
}

/** A value by its schema. @throws SeedError `invalid_input` that names the field */
export function read<T extends z.ZodType>(schema: T, value: unknown, path: string): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { argument, fault } = explainIssues(parsed.error.issues, value);
  const where = [path, argument].filter((step) => step !== '').join('.');
  throw refusal(where === '' ? 'body' : where, fault);
}

const HINT = 'docs/reference/gateway.md says what becomes of each field.';
/** UTF-16 units of a field's name in an error: names may come from the client. */
const PATH_UNITS_MAX = 200;

/** @param what what is wrong with the field, without a full stop */
export function refusal(path: string, what: string): SeedError {
  const argument = path.toWellFormed().slice(0, PATH_UNITS_MAX).toWellFormed();
  return new SeedError('invalid_input', `${argument} ${what}.`, { hint: HINT, data: { argument } });
}
