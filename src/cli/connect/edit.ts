/** Edits the text of a client's configuration: one entry, and nothing else of the file moves. */
import { isDeepStrictEqual } from 'node:util';
import type { ParseError } from 'jsonc-parser';
import { parse as parseJsonc, printParseErrorCode } from 'jsonc-parser';
import { SeedError } from '../../errors.ts';
import type { ServerEntry } from './command-line.ts';
import { startsSeed } from './command-line.ts';
import { isBare, removeMember, setMember } from './members.ts';

export interface Place {
  /** The member that holds the servers. */
  readonly servers: string;
  /** The server's name in it. */
  readonly name: string;
  readonly allowsComments: boolean;
}

export interface Edited {
  readonly text: string;
  readonly change: 'added' | 'updated' | 'removed' | 'none';
}

export type Members = Record<string, unknown>;

const BOM = '\uFEFF';

/** Adds or updates the entry; what else the entry has (an `env`, say) stays. */
export function addServer(text: string, place: Place, entry: ServerEntry): Edited {
  const { servers, name } = place;
  const before = parse(text, place);
  const old = serversOf(before, servers)[name];
  if (old !== undefined && !startsSeed(old)) throw taken(place);
  const wanted = { ...(old as Members | undefined), ...entry };
  if (isDeepStrictEqual(old, wanted)) return { text, change: 'none' };
  const expected = { ...before, [servers]: { ...serversOf(before, servers), [name]: wanted } };
  let edited = text.trim() === '' || text === BOM ? `${text.trim()}{}\n` : text;
  if (!(servers in before)) edited = setMember(edited, [servers], { [name]: entry });
  else if (old === undefined) edited = setMember(edited, [servers, name], entry);
  else for (const [key, value] of Object.entries(entry)) edited = setMember(edited, [servers, name, key], value);
  return { text: checked(edited, expected, place), change: old === undefined ? 'added' : 'updated' };
}

/**
 * Removes the entry, and with the last one the list that adding made for it: it stands first, where
 * `setMember` puts what is new.
 */
export function removeServer(text: string, place: Place): Edited {
  const { servers, name } = place;
  const before = parse(text, place);
  const { [name]: old, ...others } = serversOf(before, servers);
  if (old === undefined) return { text, change: 'none' };
  if (!startsSeed(old)) throw taken(place);
  const edited = removeMember(text, [servers, name]);
  const isLeftOver = Object.keys(before)[0] === servers && isBare(edited, [servers]);
  if (!isLeftOver) return { text: checked(edited, { ...before, [servers]: others }, place), change: 'removed' };
  const { [servers]: _list, ...rest } = before;
  return { text: checked(removeMember(edited, [servers]), rest, place), change: 'removed' };
}

function serversOf(document: Members, servers: string): Members {
  const value = document[servers];
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw malformed(`its "${servers}" is not an object`);
}

/** The whole document. @throws SeedError `conflict` with the place of the first mistake */
export function parse(text: string, { allowsComments }: Pick<Place, 'allowsComments'>): Members {
  const json = text.startsWith(BOM) ? text.slice(1) : text;
  if (json.trim() === '') return {};
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(json, errors, {
    disallowComments: !allowsComments,
    allowTrailingComma: allowsComments,
  });
  const [first] = errors;
  if (first !== undefined) {
    const line = json.slice(0, first.offset).split('\n').length;
    throw malformed(`${printParseErrorCode(first.error)} in line ${line}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
  throw malformed('it is not an object');
}

/** An edit of text is only as good as what the result means: anything unexpected is not written. */
export function checked(text: string, expected: Members, place: Pick<Place, 'allowsComments'>): string {
  if (isDeepStrictEqual(parse(text, place), expected)) return text;
  throw malformed('the same name stands in it twice');
}

export function malformed(why: string): SeedError {
  return new SeedError('conflict', `The configuration cannot be edited: ${why}.`, {
    hint: 'Nothing was written. Correct the file in an editor, or add the printed entry by hand.',
  });
}

function taken({ name }: Place): SeedError {
  return new SeedError('conflict', `The configuration has another server called "${name}".`, {
    hint: 'Nothing was written. Choose another name with --name.',
    data: { argument: 'name' },
  });
}
