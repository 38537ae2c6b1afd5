/**
 * What memories can be imported from, each as a stream of records in one form: an export of a seed, the
 * file of the official `server-memory`, a folder of Markdown notes.
 */
import { createReadStream } from 'node:fs';
import { lstat, opendir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { TEXT_BYTES_MAX } from '../../substrate/memory/model.ts';

/** One thing to remember, as it was found. */
export interface Found {
  readonly text: string;
  /** Where it was in a seed's export; elsewhere null. */
  readonly space: string | null;
  readonly kind?: string | undefined;
  readonly subject?: string | undefined;
  readonly at?: string | undefined;
  readonly source?: string | undefined;
  readonly thread?: string | undefined;
  /** Its id there, and that of what it took the place of. */
  readonly id?: string | undefined;
  readonly supersedes?: string | undefined;
}

/** The forms that can be imported. */
export const FORMATS = ['jsonl', 'server-memory', 'notes'] as const;
export type Format = (typeof FORMATS)[number];

const LINE_CHARS_MAX = 4 * 1024 * 1024;
const NOTES_MAX = 20_000;
const NOTE_BYTES_MAX = 1024 * 1024;
const FOLDERS_DEEP_MAX = 16;
const FRONT_MATTER_CHARS_MAX = 8_192;
/** A note is cut at its headings, and a section longer than this between its paragraphs. */
const SECTION_CHARS_MAX = 4_000;

/** Everything that a file or folder has to remember. @throws SeedError `invalid_input`, `not_found`, `too_large` */
export async function* readSource(from: string, format: Format): AsyncGenerator<Found> {
  const at = await stat(from);
  if (at.isSymbolicLink()) throw wrong(`${from} is a symbolic link; those are not followed.`);
  if (format === 'notes') {
    if (!at.isDirectory()) throw wrong(`${from} is not a folder.`);
    yield* readNotes(from);
  } else if (at.isFile()) yield* format === 'jsonl' ? readExport(from) : readGraph(from);
  else throw wrong(`${from} is not a file.`);
}

async function stat(from: string) {
  try {
    return await lstat(from);
  } catch (cause) {
    throw new SeedError('not_found', `${from} cannot be read.`, {
      hint: 'Name a file or folder that is there.',
      cause,
    });
  }
}

function wrong(message: string): SeedError {
  return new SeedError('invalid_input', message, { hint: 'See `seed memory import --help` for what can be imported.' });
}

/** The JSON value of each line that is not empty. */
async function* readLines(file: string): AsyncGenerator<{ nr: number; value: unknown }> {
  let nr = 0;
  for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })) {
    nr++;
    if (line.trim() === '') continue;
    if (line.length > LINE_CHARS_MAX) throw wrong(`Line ${nr} of ${file} is longer than ${LINE_CHARS_MAX} characters.`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new SeedError('invalid_input', `Line ${nr} of ${file} is not JSON.`, {
        hint: 'It should have one JSON object on each line.',
        cause,
      });
    }
    yield { nr, value };
  }
}

const Exported = z.object({
  text: z.string().min(1),
  space: z.string().optional(),
  kind: z.string().optional(),
  subject: z.string().optional(),
  at: z.string().optional(),
  source: z.string().optional(),
  by: z.string().optional(),
  thread: z.string().optional(),
  id: z.string().optional(),
  supersedes: z.string().optional(),
});

async function* readExport(file: string): AsyncGenerator<Found> {
  for await (const { nr, value } of readLines(file)) {
    const { success, data } = Exported.safeParse(value);
    if (!success) throw wrong(`Line ${nr} of ${file} is no memory: it needs at least a text.`);
    const { by, source = by === undefined ? undefined : `by ${by}`, space = null, ...record } = data;
    yield { ...record, source, space };
  }
}

const Name = z.string().min(1).max(10_000);
const Entity = z.object({
  type: z.literal('entity'),
  name: Name,
  entityType: z.string().max(10_000).default(''),
  observations: z.array(z.string()).default([]),
});
const Relation = z.object({ type: z.literal('relation'), from: Name, to: Name, relationType: Name });
const GraphLine = z.union([Entity, Relation]);

/** `@modelcontextprotocol/server-memory` keeps one entity or relation a line. */
async function* readGraph(file: string): AsyncGenerator<Found> {
  for await (const { nr, value } of readLines(file)) {
    const { success, data } = GraphLine.safeParse(value);
    if (!success) throw wrong(`Line ${nr} of ${file} is neither an entity nor a relation.`);
    const source = `server-memory:${path.basename(file)}`;
    const subject = subjectOf(data.type === 'entity' ? data.name : data.from);
    const about = { space: null, subject, source, thread: threadOf(subject) };
    if (data.type === 'relation') {
      yield { ...about, kind: 'relation', text: `${data.from} ${data.relationType} ${data.to}` };
    } else {
      const { name, entityType, observations } = data;
      const kind = kindOf(entityType);
      if (observations.length === 0)
        yield { ...about, kind, text: entityType === '' ? name : `${name} (${entityType})` };
      for (const text of observations) for (const part of pieces(text)) yield { ...about, kind, text: part };
    }
  }
}

function subjectOf(name: string): string {
  return Array.from(name).slice(0, 100).join('');
}

/** No thread begins with a tilde: those are the seed's own. */
function threadOf(name: string): string {
  return name.replace(/^~+/, '').slice(0, 100) || 'notes';
}

/** A kind that can be asked for by name; none where nothing of it is left. */
function kindOf(text: string): string | undefined {
  const kind = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, 40);
  return kind === '' ? undefined : kind;
}

async function* readNotes(folder: string): AsyncGenerator<Found> {
  let count = 0;
  for await (const file of markdownIn(folder, 0)) {
    if (++count > NOTES_MAX) throw wrong(`${folder} has more than ${NOTES_MAX} notes; import its folders one by one.`);
    yield* readNote(file, path.relative(folder, file));
  }
}

/** Markdown files below a folder, in the order of their names; links are left out, and so is what is hidden. */
async function* markdownIn(folder: string, depth: number): AsyncGenerator<string> {
  if (depth > FOLDERS_DEEP_MAX) throw wrong(`${folder} is more than ${FOLDERS_DEEP_MAX} folders deep.`);
  const entries: { name: string; folder: boolean }[] = [];
  for await (const entry of await opendir(folder)) {
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) entries.push({ name: entry.name, folder: true });
    else if (entry.isFile() && /\.(?:md|markdown)$/i.test(entry.name))
      entries.push({ name: entry.name, folder: false });
  }
  for (const { name, folder: isFolder } of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (isFolder) yield* markdownIn(path.join(folder, name), depth + 1);
    else yield path.join(folder, name);
  }
}

/** What of a note's front matter is understood; the rest is left. */
const FrontMatter = z.object({
  title: z.string().min(1).optional().catch(undefined),
  kind: z.string().optional().catch(undefined),
  type: z.string().optional().catch(undefined),
  date: z.union([z.string(), z.date()]).optional().catch(undefined),
});

async function* readNote(file: string, name: string): AsyncGenerator<Found> {
  const { size } = await stat(file);
  if (size > NOTE_BYTES_MAX) {
    throw new SeedError('too_large', `${file} has ${size} bytes; a note has at most ${NOTE_BYTES_MAX}.`, {
      hint: 'Split it, or move it out of the folder.',
    });
  }
  const { matter, body } = splitNote((await readFile(file, 'utf8')).replace(/^\ufeff/, ''), file);
  const facts = FrontMatter.safeParse(matter).data ?? {};
  const title = facts.title ?? /^#\s+(.+)$/m.exec(body)?.[1]?.trim() ?? path.basename(name).replace(/\.\w+$/, '');
  const day = facts.date instanceof Date ? facts.date.toISOString() : facts.date;
  const shared = {
    space: null,
    kind: kindOf(facts.kind ?? facts.type ?? '') ?? 'note',
    subject: subjectOf(title),
    source: `file:${name}`.slice(0, 300),
    thread: threadOf(name),
    at: day !== undefined && !Number.isNaN(Date.parse(day)) ? new Date(day).toISOString() : undefined,
  };
  for (const section of body.split(/^(?=#{1,6}\s)/m)) {
    for (const text of pieces(section, SECTION_CHARS_MAX)) yield { ...shared, text };
  }
}

function splitNote(text: string, file: string): { matter: unknown; body: string } {
  const [all, yaml] = /^---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? [];
  if (all === undefined || yaml === undefined) return { matter: {}, body: text };
  if (yaml.length > FRONT_MATTER_CHARS_MAX)
    throw wrong(`The front matter of ${file} is longer than ${FRONT_MATTER_CHARS_MAX} characters.`);
  try {
    return { matter: parse(yaml, { maxAliasCount: 0, logLevel: 'error' }) ?? {}, body: text.slice(all.length) };
  } catch (cause) {
    throw new SeedError('invalid_input', `The front matter of ${file} is not YAML.`, {
      hint: 'Correct it, or take out the lines between the --- at the top.',
      cause,
    });
  }
}

/** A text in parts that can be kept, cut between paragraphs where that can be; nothing of what is empty. */
function pieces(text: string, chars = Math.floor(TEXT_BYTES_MAX / 4)): string[] {
  const parts: string[] = [];
  let part = '';
  for (const paragraph of text.split(/\n{2,}/)) {
    for (const piece of slices(paragraph.trim(), chars)) {
      if (part !== '' && part.length + piece.length + 2 > chars) {
        parts.push(part);
        part = '';
      }
      part = part === '' ? piece : `${part}\n\n${piece}`;
    }
  }
  return part.trim() === '' ? parts : [...parts, part];
}

function slices(text: string, chars: number): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    const unit = text.charCodeAt(start + chars);
    // No half characters.
    const end = unit >= 0xdc00 && unit <= 0xdfff ? start + chars - 1 : start + chars;
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}
