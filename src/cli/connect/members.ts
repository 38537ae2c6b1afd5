/**
 * Sets and removes members of objects in JSON text, comments and trailing commas allowed.
 *
 * jsonc-parser's own `modify` also formats what stands around the edit; a client's file belongs to
 * somebody else, so here every other byte stays, and removing is the exact inverse of setting.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Node } from 'jsonc-parser';
import { createScanner, findNodeAtLocation, getNodeValue, parseTree } from 'jsonc-parser';

const BLANK = /\s/;

interface Span {
  readonly start: number;
  readonly end: number;
}

/** The way to a value: names of members and numbers of elements. */
export type Path = readonly (string | number)[];

/**
 * Replaces a member's value, or puts the member first in its object: that touches no other member,
 * nor a comment behind one. The object itself must be there.
 */
export function setMember(text: string, path: Path, value: unknown): string {
  const existing = nodeAt(text, path);
  if (existing !== undefined) {
    if (isDeepStrictEqual(getNodeValue(existing), value)) return text;
    return splice(text, spanOf(existing), write(text, value, indentAt(text, existing.offset)));
  }
  const object = nodeAt(text, path.slice(0, -1));
  if (object?.type !== 'object') return text;
  const { start, end } = spanOf(object);
  const inner = text.slice(start + 1, end - 1);
  const hasMembers = (object.children?.length ?? 0) > 0;
  const key = JSON.stringify(path.at(-1));
  if (hasMembers && !inner.includes('\n')) {
    const before = /^\s*/.exec(inner)?.[0] ?? '';
    return splice(text, { start: start + 1, end: start + 1 }, `${before}${key}: ${JSON.stringify(value)},`);
  }
  const outer = indentAt(text, start);
  const own = outer + unitOf(text);
  const member = `${eolOf(text)}${own}${key}: ${write(text, value, own)}`;
  const after = hasMembers ? ',' : inner.includes('\n') ? '' : `${eolOf(text)}${outer}`;
  return splice(text, { start: start + 1, end: start + 1 }, `${member}${after}`);
}

/** Puts an element behind the others of an array, which must be there. */
export function appendElement(text: string, path: Path, value: unknown): string {
  const array = nodeAt(text, path);
  if (array?.type !== 'array') return text;
  const last = array.children?.at(-1);
  const outer = indentAt(text, array.offset);
  const own = outer + unitOf(text);
  const element = `${eolOf(text)}${own}${write(text, value, own)}`;
  if (last === undefined) return splice(text, spanOf(array), `[${element}${eolOf(text)}${outer}]`);
  const { end } = spanOf(last);
  return splice(text, { start: end, end }, `,${element}`);
}

/** Removes a member or an element with its comma and the blanks before it. */
export function removeMember(text: string, path: Path): string {
  const value = nodeAt(text, path);
  const member = value?.parent?.type === 'property' ? value.parent : value;
  const siblings = member?.parent?.children;
  if (member === undefined || siblings === undefined) return text;
  const { end } = spanOf(member);
  let start = member.offset;
  while (BLANK.test(text.charAt(start - 1))) start--;
  const comma = commaAfter(text, end);
  if (comma !== null) {
    // What stands between the member and its comma, such as a comment, stays.
    return splice(splice(text, { start: comma, end: comma + 1 }, ''), { start, end }, '');
  }
  const before = siblings[siblings.indexOf(member) - 1];
  if (before === undefined) {
    const blanks = /^\s*/.exec(text.slice(end))?.[0].length ?? 0;
    const isAlone = '{['.includes(text.charAt(start - 1)) && '}]'.includes(text.charAt(end + blanks));
    return splice(text, { start, end: isAlone ? end + blanks : end }, '');
  }
  const left = commaAfter(text, spanOf(before).end);
  const removed = splice(text, { start, end }, '');
  return left === null ? removed : splice(removed, { start: left, end: left + 1 }, '');
}

/** Whether there is an object or array without anything in it, not even a comment. */
export function isBare(text: string, path: Path): boolean {
  const node = nodeAt(text, path);
  return node !== undefined && /^(?:\{\s*\}|\[\s*\])$/.test(text.slice(node.offset, node.offset + node.length));
}

function nodeAt(text: string, path: Path): Node | undefined {
  // The parser takes a byte order mark for a mistake; a blank in its place keeps the offsets.
  const tree = parseTree(text.replace(/^\uFEFF/, ' '), [], { allowTrailingComma: true });
  return tree === undefined ? undefined : findNodeAtLocation(tree, [...path]);
}

function spanOf({ offset, length }: Node): Span {
  return { start: offset, end: offset + length };
}

/** Where the comma is that follows, behind blanks and comments; null when something else follows. */
function commaAfter(text: string, offset: number): number | null {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset);
  scanner.scan();
  const token = scanner.getTokenOffset();
  return text.charAt(token) === ',' ? token : null;
}

function splice(text: string, { start, end }: Span, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

/** The blanks that the line of an offset begins with. */
function indentAt(text: string, offset: number): string {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(lineStart))?.[0] ?? '';
}

/** What the file indents by. */
function unitOf(text: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
}

function eolOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

function write(text: string, value: unknown, indent: string): string {
  return JSON.stringify(value, null, unitOf(text)).replaceAll('\n', `${eolOf(text)}${indent}`);
}
