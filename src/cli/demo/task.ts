/** The task of `seed demo handoff`: a folder of figures to be added up, and the tools for it, which a client carries out. */
import { randomInt } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

export const GOAL = 'Add up the figures in the files of this folder and write the total to total.txt.';
export const TOTAL_FILE = 'total.txt';

const FILES = ['east.txt', 'north.txt', 'south.txt'] as const;
const FIGURES_MAX = 6;
const FIGURE_MAX = 1_000;

/** Where the work is, and where every run of a tool is noted, whoever ran it. */
export interface Workplace {
  readonly folder: string;
  readonly journal: string;
}

/** Files with figures that nobody has seen before. Returns what they add up to. */
export function layOut({ folder }: Workplace): {
  readonly files: number;
  readonly figures: number;
  readonly total: number;
} {
  mkdirSync(folder);
  const all: number[] = [];
  for (const name of FILES) {
    const figures = Array.from({ length: randomInt(3, FIGURES_MAX) }, () => randomInt(1, FIGURE_MAX));
    writeFileSync(join(folder, name), `${figures.join('\n')}\n`);
    all.push(...figures);
  }
  return { files: FILES.length, figures: all.length, total: all.reduce((sum, figure) => sum + figure, 0) };
}

export function numbersIn(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number);
}

/** The calls that were carried out, in order. */
export function carriedOut({ journal }: Workplace): string[] {
  return existsSync(journal) ? readFileSync(journal, 'utf8').trimEnd().split('\n') : [];
}

const Name = z.string().regex(/^[a-z]{1,20}\.txt$/);
const Arguments = {
  list_files: z.strictObject({}),
  read_file: z.strictObject({ name: Name }),
  add: z.strictObject({ numbers: z.array(z.int()).max(1_000) }),
  write_file: z.strictObject({ name: Name, text: z.string().max(1_000) }),
};

const WORDS: Readonly<Record<keyof typeof Arguments, string>> = {
  list_files: 'The names of the files, a line each.',
  read_file: 'What a file says.',
  add: 'The sum of numbers.',
  write_file: 'Writes a file.',
};

/** As a model is told of them. */
export const TOOLS: readonly { name: string; description: string; parameters: object }[] = Object.entries(
  Arguments,
).map(([name, schema]) => ({
  name,
  description: WORDS[name as keyof typeof Arguments],
  parameters: z.toJSONSchema(schema),
}));

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** Carries one call out and notes that it did. @throws Error what the file system says, ZodError for a call that is none */
export function carryOut({ folder, journal }: Workplace, { id, name, arguments: given }: ToolCall): string {
  appendFileSync(journal, `${id}\n`);
  switch (name) {
    case 'list_files':
      return readdirSync(folder).toSorted().join('\n');
    case 'read_file':
      return readFileSync(join(folder, Arguments.read_file.parse(given).name), 'utf8');
    case 'add':
      return `${Arguments.add.parse(given).numbers.reduce((sum, number) => sum + number, 0)}`;
    case 'write_file': {
      const { name: file, text } = Arguments.write_file.parse(given);
      writeFileSync(join(folder, file), text);
      return `${file} is written.`;
    }
    default:
      throw new Error(`There is no tool ${name}.`);
  }
}

/** Whether a call of which nobody knows has left its trace; what leaves none may be done again. */
export function hasHappened({ folder }: Workplace, { name, arguments: given }: ToolCall): boolean {
  if (name !== 'write_file') return false;
  const { name: file, text } = Arguments.write_file.parse(given);
  return existsSync(join(folder, file)) && readFileSync(join(folder, file), 'utf8') === text;
}
