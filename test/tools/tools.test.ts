/** What holds for every tool, whoever wrote it. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { findTool } from '../../src/tools/catalogue.ts';
import { TOOLS } from '../support/tools.ts';
import { receiptNote } from '../../src/tools/receipt-note.ts';

/** Hosts put their own prefix before a name and take 64 characters in all. */
const NAME_CHARS_MAX = 48;
/** Hosts cut descriptions at 2 KB. */
const DESCRIPTION_BYTES_MAX = 1_024;

test('names are unique, and each is a noun and a verb', () => {
  const names = TOOLS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) {
    expect(name).toMatch(/^[a-z]+_[a-z_]+$/);
    expect(name.length).toBeLessThanOrEqual(NAME_CHARS_MAX);
  }
});

test('each is found by the name that it has itself, and nothing by any other', async () => {
  for (const tool of TOOLS) expect(await findTool(tool.name)).toBe(tool);
  for (const name of ['', 'seed', 'constructor', '__proto__']) expect(await findTool(name)).toBeNull();
});

test.each(TOOLS)('$name says when to use it, in few words', ({ title, description, scope }) => {
  expect(title).toMatch(/^[A-Z]/);
  expect(description).toMatch(/^Use when /);
  expect(description).toMatch(/\.$/);
  expect(Buffer.byteLength(description)).toBeLessThanOrEqual(DESCRIPTION_BYTES_MAX);
  if (scope !== null) expect(scope).toMatch(/^[a-z]+\.[a-z]+(?::(?:[a-z0-9-]+|SPACE))?$/);
});

test.each(TOOLS)('$name takes an object and nothing that it does not know', ({ input }) => {
  const schema = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' });
  expect(schema.type).toBe('object');
  expect(schema.additionalProperties).toBe(false);
  const parsed = input.safeParse({ surely_not_an_argument: 1 });
  expect(parsed.success).toBe(false);
});

test.each(TOOLS)('$name answers with an object', ({ output }) => {
  expect(z.toJSONSchema(output, { unrepresentable: 'any' }).type).toBe('object');
});

// Many clients give their model the text and nothing else.
test.each(TOOLS.filter(({ surface }) => surface !== 'owner'))('$name answers in words, too', ({ text }) => {
  expect(text).toBeTypeOf('function');
});

/** Every place in a schema that takes a text or a list, by its path, with whether it has an end. */
function open(schema: z.core.JSONSchema.BaseSchema, at: string): string[] {
  const inside = [
    ...Object.entries(schema.properties ?? {}).map(([name, part]) => [`${at}.${name}`, part] as const),
    ...(schema.anyOf ?? []).map((part) => [at, part] as const),
    ...(Array.isArray(schema.items) || schema.items === undefined ? [] : [[`${at}[]`, schema.items] as const]),
  ];
  const below = inside.flatMap(([name, part]) => (typeof part === 'boolean' ? [] : open(part, name)));
  const isClosed = schema.enum !== undefined || schema.const !== undefined || schema.pattern !== undefined;
  if (schema.type === 'string' && schema.maxLength === undefined && !isClosed) return [...below, at];
  if (schema.type === 'array' && schema.maxItems === undefined) return [...below, at];
  return below;
}

test.each(TOOLS)('$name: every text and every list that comes in has a limit', ({ name, input }) => {
  expect(open(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }), name)).toEqual([]);
});

test('a tool stands in the file of its name, a pair in one of what both do, and none is forgotten in the list', () => {
  const folder = path.join(import.meta.dirname, '..', '..', 'src', 'tools');
  const defined = readdirSync(folder).map((file) => ({
    file,
    names: [...readFileSync(path.join(folder, file), 'utf8').matchAll(/defineTool\(\{\s*name: '(\w+)'/g)].map(
      (match) => match[1] ?? '',
    ),
  }));
  const names = defined.flatMap((each) => each.names);
  expect(names.toSorted()).toEqual(TOOLS.map(({ name }) => name).toSorted());
  for (const { file, names: own } of defined) {
    if (own.length === 1) expect(file).toBe(`${own[0]?.replaceAll('_', '-')}.ts`);
    for (const name of own) expect(file.split('-')[0]).toBe(name.split('_')[0]);
  }
});

test.each(TOOLS)('$name: a note cannot look like its receipt', ({ name }) => {
  const [noun, ...verb] = name.split('_');
  for (const action of [`${noun}.${verb.join('_')}`, `${noun}.x`, `${noun}.a.b`]) {
    expect([action, receiptNote.input.safeParse({ text: 'x', action }).success]).toEqual([action, false]);
    const beside = `my_${action}`;
    expect([beside, receiptNote.input.safeParse({ text: 'x', action: beside }).success]).toEqual([beside, true]);
  }
});

test('nor like that of anything else which the sources put on record', () => {
  const sources = path.join(import.meta.dirname, '..', '..', 'src');
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const actions = files.flatMap((file) =>
    [...readFileSync(path.join(sources, file), 'utf8').matchAll(/\baction(?: =|:)[^;\n]*?'([a-z]+\.[a-z_.]+)'/g)].map(
      (match) => match[1] ?? '',
    ),
  );
  expect(actions).toEqual(expect.arrayContaining(['seed.init', 'seed.start', 'membrane.refuse', 'receipt.export']));
  // What a note is called that was given no name.
  for (const action of new Set(actions.filter((found) => found !== 'note.claim'))) {
    expect([action, receiptNote.input.safeParse({ text: 'x', action }).success]).toEqual([action, false]);
  }
});
