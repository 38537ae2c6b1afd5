import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import { BATCH_MEMORIES_MAX, MEMORY_ID } from '../../substrate/memory/model.ts';
import { SPACE } from '../../substrate/memory/spaces.ts';
import type { Ask } from '../ask.ts';
import { ask, withSeed } from '../ask.ts';
import type { Format, Found } from '../memory/sources.ts';
import { FORMATS, readSource } from '../memory/sources.ts';
import { counted, printable, printJson, printLine, printLines, progressLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, parsePath } from './shared.ts';

/** A batch is sent before its texts have more characters than this. */
const BATCH_CHARS = 1024 * 1024;

interface Memory {
  readonly id: string;
  readonly space: string;
  readonly kind?: string;
  readonly subject?: string;
  readonly at: string;
  readonly by: string;
  readonly source?: string;
  readonly receipt: number;
  readonly supersedes?: string;
  readonly superseded_by?: string;
  readonly text: string;
}

export function addMemory(program: Command): void {
  const memory = program
    .command('memory')
    .description('what is remembered: search, write, list, show, forget, restore, export, import');
  addSearch(memory);
  addWrite(memory);
  addList(memory);
  addOne(memory);
  addExport(memory);
  addImport(memory);
}

interface SpaceOptions extends CommonOptions {
  readonly space?: string;
}

function parseSpace(text: string): string {
  if (SPACE.test(text)) return text;
  throw new InvalidArgumentError('Give private, shared, session:ID, private:AGENT, or a name such as team.');
}

function parseId(text: string): string {
  if (MEMORY_ID.test(text)) return text;
  throw new InvalidArgumentError('The id of a memory is two numbers with a dot, such as 3.17.');
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,2}$/.test(text) && limit >= 1 && limit <= 50) return limit;
  throw new InvalidArgumentError('Give a whole number from 1 to 50.');
}

function printMemory({ id, space, kind, subject, at, by, superseded_by: newer, text }: Memory): void {
  const facts = [space, kind, subject, at.slice(0, 10), `by ${by}`].filter((fact) => fact !== undefined);
  printLine(`${id}  ${printable(facts.join(', '))}${newer === undefined ? '' : `, superseded by ${newer}`}`);
  for (const line of text.split('\n')) printLine(`  ${printable(line)}`);
}

interface SearchOptions extends SpaceOptions {
  readonly kind?: string;
  readonly subject?: string;
  readonly limit: number;
}

function addSearch(memory: Command): void {
  const search = memory
    .command('search')
    .argument('<words...>', 'what you want to know')
    .description('find memories; the best first')
    .option('--space <space>', 'only this one', parseSpace)
    .option('--kind <kind>', 'only of this kind')
    .option('--subject <subject>', 'only about this')
    .option('--limit <n>', 'how many (1 to 50)', parseLimit, 10);
  common(search, {
    examples: ['seed memory search when do we deploy', 'seed memory search --space shared "api keys"'],
  }).action(async (words: readonly string[], { home, json, ...wanted }: SearchOptions) => {
    const input = { query: words.join(' '), ...wanted };
    const answer = await ask<{ results: readonly Memory[] }>(configOf(home === undefined ? {} : { home }), {
      tool: 'memory_search',
      input,
      access: 'read',
    });
    if (json === true) printJson(answer);
    else if (answer.results.length === 0) printLine('Nothing is remembered that has any of these words.');
    else for (const result of answer.results) printMemory(result);
  });
}

interface WriteOptions extends SpaceOptions {
  readonly kind?: string;
  readonly subject?: string;
  readonly source?: string;
  readonly supersedes?: string;
  readonly key?: string;
}

function addWrite(memory: Command): void {
  const write = memory
    .command('write')
    .argument('<text>', 'what is to be remembered')
    .description('remember something')
    .option('--space <space>', 'where: shared, private, or a name (default: shared)', parseSpace)
    .option('--kind <kind>', 'such as fact, decision, preference')
    .option('--subject <subject>', 'who or what it is about')
    .option('--source <source>', 'where it comes from')
    .option('--supersedes <id>', 'the memory that this one corrects', parseId)
    .option('--key <key>', 'write nothing twice under this key');
  common(write, {
    examples: [
      'seed memory write "We deploy on Fridays." --kind fact',
      'seed memory write "Port 9090." --supersedes 1.7',
    ],
  }).action(async (text: string, { home, json, key, space = 'shared', ...more }: WriteOptions) => {
    const answer = await ask<{ id: string; receipt: number; repeated: boolean }>(
      configOf(home === undefined ? {} : { home }),
      {
        tool: 'memory_write',
        input: { text, space, ...more, ...(key === undefined ? {} : { idempotency_key: key }) },
        access: 'write',
      },
    );
    if (json === true) printJson(answer);
    else
      printLine(`${answer.repeated ? 'Remembered before' : 'Remembered'} as ${answer.id}. Receipt ${answer.receipt}.`);
  });
}

interface ListOptions extends SpaceOptions {
  readonly forgotten?: boolean;
  readonly cursor?: string;
}

function addList(memory: Command): void {
  const list = memory
    .command('list')
    .description('memories, the newest of each space first, and how much is in which space')
    .option('--space <space>', 'only this one', parseSpace)
    .option('--forgotten', 'what was forgotten and can still be restored')
    .option('--cursor <id>', 'go on after this one', parseId);
  common(list, { examples: ['seed memory list', 'seed memory list --forgotten'] }).action(
    async ({ home, json, ...input }: ListOptions) => {
      const answer = await ask<{
        memories: readonly Memory[];
        spaces: readonly { name: string; memories: number }[];
        next_cursor: string | null;
      }>(configOf(home === undefined ? {} : { home }), { tool: 'memory_list', input, access: 'read' });
      if (json === true) {
        printJson(answer);
        return;
      }
      if (input.cursor === undefined && answer.spaces.length > 0) {
        printLine(
          table(
            ['SPACE', 'MEMORIES'],
            answer.spaces.map(({ name, memories }) => [printable(name), `${memories}`]),
          ),
        );
      }
      if (answer.memories.length === 0) printLine('There are no memories.');
      for (const one of answer.memories) printMemory(one);
      if (answer.next_cursor !== null) printLine(`More with --cursor ${answer.next_cursor}`);
    },
  );
}

function addOne(memory: Command): void {
  const one = (verb: string, description: string): Command =>
    memory.command(verb).argument('<id>', 'as it is shown, such as 3.17', parseId).description(description);
  common(one('show', 'one memory, whole, with where it comes from'), { examples: ['seed memory show 3.17'] }).action(
    showOne,
  );
  const forget = one('forget', 'hide it now, erase it after 7 days').option('--now', 'erase it at once, for good');
  common(forget, { examples: ['seed memory forget 3.17', 'seed memory forget 3.17 --now'] }).action(forgetOne);
  common(one('restore', 'undo a forgetting'), { examples: ['seed memory restore 3.17'] }).action(
    async (id: string, options: CommonOptions) => {
      const answer = await ask<{ receipt: number }>(configOf(options), {
        tool: 'memory_restore',
        input: { id },
        access: 'write',
      });
      if (options.json === true) printJson(answer);
      else printLine(`${id} is remembered again. Receipt ${answer.receipt}.`);
    },
  );
}

async function showOne(id: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ memory: Memory }>(configOf(options), {
    tool: 'memory_get',
    input: { id },
    access: 'read',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  const { source, receipt, supersedes } = answer.memory;
  printMemory(answer.memory);
  if (source !== undefined) printLine(`source   ${printable(source)}`);
  if (supersedes !== undefined) printLine(`instead of ${supersedes}`);
  printLine(`receipt  ${receipt}`);
}

async function forgetOne(id: string, options: CommonOptions & { readonly now?: boolean }): Promise<void> {
  const now = options.now === true;
  const answer = await ask<{ receipt: number; erased_at?: string }>(configOf(options), {
    tool: now ? 'memory_erase' : 'memory_forget',
    input: { id },
    access: 'write',
    ownerAct: now,
  });
  if (options.json === true) printJson(answer);
  else if (now) printLine(`${id} is erased. Receipt ${answer.receipt}.`);
  else
    printLine(
      spoken(
        `${id} is forgotten; \`seed memory restore ${id}\` undoes it until ${answer.erased_at}. Receipt ${answer.receipt}.`,
      ),
    );
}

interface ExportPage {
  readonly memories: readonly Memory[];
  readonly next_cursor: string | null;
  readonly receipt: number | null;
}

function addExport(memory: Command): void {
  const command = memory
    .command('export')
    .description('all memories, or one space’s, as JSON lines')
    .option('--space <space>', 'only this one', parseSpace)
    .option('--out <file>', 'a new file, closed to others (default: standard output)', parsePath);
  common(command, {
    examples: ['seed memory export > memories.jsonl', 'seed memory export --space shared --out shared.jsonl'],
  }).action(exportAll);
}

async function exportAll({ space, out, json, ...options }: SpaceOptions & { readonly out?: string }): Promise<void> {
  const file = out === undefined ? null : createWriteStream(path.resolve(out), { flags: 'wx', mode: 0o600 });
  const failed = file === null ? null : once(file, 'error').then(([error]) => Promise.reject(cannotWrite(out, error)));
  failed?.catch(() => {});
  const { count, receipt } = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    let [cursor, total, first] = [null as string | null, 0, null as number | null];
    for (;;) {
      const input = { ...(space === undefined ? {} : { space }), ...(cursor === null ? {} : { cursor }) };
      const page: ExportPage = await question<ExportPage>({ tool: 'memory_export', input });
      const lines = page.memories.map((one) => JSON.stringify(one));
      total += lines.length;
      first ??= page.receipt;
      if (file === null) await printLines(lines);
      else if (lines.length > 0) {
        const written = new Promise<void>((resolve) => file.write(`${lines.join('\n')}\n`, () => resolve()));
        await Promise.race([written, failed]);
      }
      if (page.next_cursor === null) return { count: total, receipt: first };
      cursor = page.next_cursor;
    }
  });
  if (file === null) return;
  await Promise.race([new Promise<void>((resolve) => file.end(() => resolve())), failed]);
  if (json === true) printJson({ out, memories: count, receipt });
  else printLine(`Wrote ${counted(count, 'memory')} to ${out}. Receipt ${receipt}.`);
}

function cannotWrite(out: string | undefined, cause: unknown): SeedError {
  return new SeedError('invalid_input', `${out} cannot be written.`, {
    hint: 'Name a file that is not there yet, in a folder that you may write.',
    cause,
  });
}

function addImport(memory: Command): void {
  const command = memory
    .command('import')
    .argument('<path>', 'a file, or a folder of Markdown notes', parsePath)
    .description('remember what an export, server-memory’s file or a folder of notes has; nothing twice')
    .addOption(new Option('--format <format>', 'what it is').choices(FORMATS).default('jsonl'))
    .option('--space <space>', 'where to (default: where it was, else shared)', parseSpace);
  common(command, {
    examples: [
      'seed memory import memories.jsonl',
      'seed memory import memory.json --format server-memory --space shared',
      'seed memory import ~/notes --format notes --space notes',
    ],
    exits: { failed: 'refused or failed; what was imported before stays, and is not imported twice' },
  }).action(importAll);
}

interface Outgoing {
  readonly found: Found;
  readonly input: Readonly<Record<string, string>>;
}

/** Sends what was found in batches, and keeps which id became which. */
class Importer {
  readonly #ask: Ask;
  readonly #ids = new Map<string, string>();
  #batch: Outgoing[] = [];
  #chars = 0;
  fresh = 0;
  repeated = 0;
  receipts: number[] = [];

  constructor(question: Ask) {
    this.#ask = question;
  }

  async add(found: Found, space: string): Promise<void> {
    const { supersedes, id, space: _space, ...record } = found;
    // What it took the place of must have its new id first.
    if (supersedes !== undefined && this.#batch.some((sent) => sent.found.id === supersedes)) await this.flush();
    const newer = supersedes === undefined ? undefined : this.#ids.get(supersedes);
    // Other programs number what they export in ways of their own.
    const exported = id !== undefined && MEMORY_ID.test(id) ? id : undefined;
    const input = Object.fromEntries(
      Object.entries({
        ...record,
        id: exported,
        space,
        supersedes: newer,
        idempotency_key: keyOf(found, space),
      }).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    this.#batch.push({ found, input });
    this.#chars += found.text.length;
    if (this.#batch.length === BATCH_MEMORIES_MAX || this.#chars > BATCH_CHARS) await this.flush();
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#chars = 0;
    if (batch.length === 0) return;
    const { memories, receipt } = await this.#ask<{
      memories: readonly { id: string; repeated: boolean }[];
      receipt: number;
    }>({ tool: 'memory_import', input: { memories: batch.map(({ input }) => input) } });
    this.receipts.push(receipt);
    for (const [index, { id, repeated }] of memories.entries()) {
      if (repeated) this.repeated++;
      else this.fresh++;
      const before = batch[index]?.found.id;
      if (before !== undefined) this.#ids.set(before, id);
    }
  }
}

/** The same thing from the same place is the same memory. */
function keyOf({ text, subject = '', kind = '', at = '', source = '', id = '' }: Found, space: string): string {
  const essence = JSON.stringify([space, id, source, subject, kind, at, text]);
  return `import:${createHash('sha256').update(essence).digest('hex')}`;
}

function span(receipts: readonly number[]): string {
  const [first, last] = [receipts[0], receipts.at(-1)];
  return first === last ? `Receipt ${first}` : `Receipts ${first} to ${last}`;
}

async function importAll(
  from: string,
  { format, space, json, ...options }: SpaceOptions & { readonly format: Format },
): Promise<void> {
  const progress = progressLine();
  const done = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    const importer = new Importer(question);
    for await (const found of readSource(path.resolve(from), format)) {
      await importer.add(found, space ?? found.space ?? 'shared');
      progress.show(importer.fresh + importer.repeated, importer.fresh + importer.repeated, 'memories');
    }
    await importer.flush();
    return importer;
  });
  progress.end();
  const { fresh, repeated, receipts } = done;
  if (json === true) printJson({ memories: fresh, repeated, receipts });
  else {
    const known = repeated === 0 ? '' : ` ${repeated} ${repeated === 1 ? 'was' : 'were'} there already.`;
    const proof = receipts.length === 0 ? '' : ` ${span(receipts)}.`;
    printLine(`Imported ${counted(fresh, 'memory')}.${known}${proof}`);
  }
}
