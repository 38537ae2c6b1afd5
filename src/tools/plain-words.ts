/**
 * What is wrong with an input, in words: which argument, what it should be, and what it was. The
 * one place that reads zod's issues.
 */
import type * as z from 'zod';
import { SeedError } from '../errors.ts';

type Issue = z.core.$ZodIssue;

/** A value that came in; longer texts are described, since somebody's key could stand in them. */
const SHOWN_CHARS_MAX = 32;

export interface InputFault {
  /** Where it is, such as `scopes.0`; empty for the whole input. */
  readonly argument: string;
  /** A sentence. */
  readonly message: string;
  /** The sentence without what it is about and without its full stop: `must be a text; it was 3`. */
  readonly fault: string;
}

/** The first thing that is wrong, of an input that was refused. */
export function explainIssues([first]: readonly Issue[], input: unknown): InputFault {
  if (first === undefined) return { argument: '', ...said('The input', 'is not acceptable') };
  const issue = nearest(first);
  const argument = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') return unknownNames(issue, argument);
  const what = argument === '' ? 'The input' : argument;
  const value = valueAt(input, issue.path);
  const was = value === undefined ? 'it is missing' : `it was ${describe(value, issue)}`;
  return { argument, ...said(what, `must be ${wanted(issue)}; ${was}`) };
}

/**
 * A part of an input, by a schema of its own; `at` is where it stands there, such as `messages.0`.
 *
 * @throws SeedError `invalid_input` that names the place and what is wrong with it
 */
export function acceptPart<T>(schema: z.ZodType<T>, value: unknown, { at, hint }: { at: string; hint: string }): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const place = at.split('.');
  const issues = parsed.error.issues.map((issue) => ({ ...issue, path: [...place, ...issue.path] }));
  const input = place.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
  const { argument, message } = explainIssues(issues, input);
  throw new SeedError('invalid_input', message, { hint, data: { argument } });
}

function said(what: string, fault: string): Pick<InputFault, 'message' | 'fault'> {
  return { message: `${what} ${fault}.`, fault };
}

/** Of several forms that all do not fit, the fault of the one that came nearest: the deepest in. */
function nearest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const faults = issue.errors.flatMap(([inner]) =>
    inner === undefined ? [] : [nearest({ ...inner, path: [...issue.path, ...inner.path] })],
  );
  const deepest = faults.toSorted((a, b) => b.path.length - a.path.length)[0];
  return deepest !== undefined && deepest.path.length > issue.path.length ? deepest : issue;
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
  undefined: 'left out',
};

function noun(type: string): string {
  return NOUNS[type] ?? type;
}

/** How much of a thing there may be, by its kind. */
const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'entries', set: 'entries' };

function wanted(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return noun(issue.expected);
    case 'too_small':
      return amount(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return amount(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'invalid_value':
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_union':
      return unionOf(issue);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return format(issue);
    case 'custom':
      return issue.message;
    default:
      return 'something else';
  }
}

function unionOf(issue: Issue & { code: 'invalid_union' }): string {
  if ('options' in issue && issue.options !== undefined) return `one of ${issue.options.map(String).join(', ')}`;
  const forms = issue.errors.flatMap(([inner]) => (inner === undefined ? [] : [wanted(nearest(inner))]));
  return forms.length === 0 ? 'of a form that is taken here' : [...new Set(forms)].join(' or ');
}

function amount(origin: string, bound: string, limit: number | bigint): string {
  const unit = UNITS[origin];
  const one = unit?.replace(/ies$/, 'y').replace(/s$/, '');
  return unit === undefined ? `${bound} ${limit}` : `${bound} ${limit} ${Number(limit) === 1 ? one : unit} long`;
}

/** A pattern says in its own words what it stands for; zod's own would be the bare expression. */
function format(issue: Issue & { code: 'invalid_format' }): string {
  return issue.message.startsWith('Invalid ') ? `in the form of a ${issue.format}` : issue.message;
}

function unknownNames({ keys, path }: Issue & { code: 'unrecognized_keys' }, inside: string): InputFault {
  const isShown = (key: string): boolean => key.length <= SHOWN_CHARS_MAX;
  const names = keys.slice(0, 5).map((key) => (isShown(key) ? key : 'one with a long name'));
  const first = keys.find(isShown);
  const where = inside === '' ? '' : ` in ${inside}`;
  return {
    argument: first === undefined ? inside : [...path, first].map(String).join('.'),
    message: `There is no argument ${names.join(', ')}${where}.`,
    fault: `has no argument ${names.join(', ')}`,
  };
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function describe(value: unknown, { code }: Issue): string {
  if (typeof value === 'string') {
    const length = `${value.length} characters`;
    if (value === '') return 'an empty text';
    if (code === 'too_big' || code === 'too_small') return `${length} long`;
    return value.length > SHOWN_CHARS_MAX ? `a text of ${length}` : JSON.stringify(value);
  }
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') return value === null ? 'null' : 'an object';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}
