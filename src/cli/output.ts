/** What the command prints: text for a person, or JSON for a program. Nobody else writes to stdout. */
import { readCommand } from '../config.ts';
import type { SeedError } from '../errors.ts';
import { toWire } from '../errors.ts';

/** The exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unproven: 3, absent: 4 } as const;

export type ExitName = keyof typeof EXIT;

/** What each exit code means, for the help and the reference. */
export const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: 'done',
  failed: 'refused, failed, or found broken',
  usage: 'asked wrongly: an option or argument is missing or has the wrong form',
  unproven: 'receipts verify: the receipts fit together, where they come from is not proven',
  absent: 'status: no daemon serves this home',
};

/** Exit codes with their meanings, a line each. */
export function exitLines(meanings: Readonly<Partial<Record<ExitName, string>>>): string {
  return Object.entries(meanings)
    .map(([name, meaning]) => `  ${EXIT[name as ExitName]}  ${meaning}`)
    .join('\n');
}

/**
 * A text of ours in the words that work here: `seed status` stands in backquotes wherever it is
 * meant to be typed, and from a checkout that is `npm run -s seed -- status`.
 */
export function spoken(text: string): string {
  const command = readCommand();
  return command === 'seed' ? text : text.replaceAll('`seed ', `\`${command} `);
}

/** As {@link spoken}, for a bare command line. */
export function spokenExample(line: string): string {
  return line.replaceAll(/(?<![\w/.-])seed (?=[a-z-])/g, `${readCommand()} `);
}

/** Tools that an error’s hint sends agents to, and the commands that do the same. */
const COMMAND_OF_TOOL: Readonly<Record<string, string>> = {
  bus_peers: 'bus peers',
  memory_search: 'memory search',
  task_list: 'task list',
};
const TOOL = new RegExp(`\\b(?:${Object.keys(COMMAND_OF_TOOL).join('|')})\\b`, 'g');

/** A text that names tools, for somebody who has commands. */
function inCommands(text: string): string {
  return text.replace(TOOL, (tool) => `\`seed ${COMMAND_OF_TOOL[tool]}\``);
}

/** `1 message`, `2 messages`. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${/[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Many lines at once, for output of any length: resolves when they are written and the event loop
 * has turned, so that neither they nor what waits for a turn (a signal, say) pile up.
 */
export async function printLines(lines: readonly string[]): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join('');
  await new Promise<void>((resolve) => {
    // What a failed write means is the business of `watchOutput`.
    process.stdout.write(text, () => setImmediate(resolve));
  });
}

/** What is asked of `seed_status` before its HTTP address is handed out. */
export interface DoorStatus {
  readonly url: string | null;
  /** Why that door is shut, where it should be open. */
  readonly problem: string | null;
}

/** An address was shown at which somebody else may listen: whoever shows a key there gives it away. */
export function printDoorProblem(problem: string | null): void {
  if (problem === null) return;
  printLine();
  printLine(`Do not use that address yet. ${problem} Whoever has the port would be shown the key.`);
}

/** One JSON value, indented, on stdout. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, null, 2));
}

/** An error: what, and what to do; on stderr, or as JSON on stdout where a program reads it. */
export function printError(error: SeedError, json: boolean): void {
  const wire = toWire(error, { outside: false });
  const [message = '', hint = ''] = [wire.message, wire.hint].map((text) => spoken(inCommands(text)));
  if (json) printJson({ error: { ...wire, message, hint } });
  else process.stderr.write(`seed: ${printable(message)}\n      ${printable(hint)}\n`);
}

/**
 * What becomes of the process when its output cannot be written. A reader that has seen enough
 * (`seed receipts list | head`), or a terminal that was closed, is not an error.
 */
export function watchOutput({ endWithReader }: { endWithReader: () => boolean }): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    const gone = code === 'EPIPE' || code === 'EIO';
    if (gone && !endWithReader()) return;
    if (!gone) process.stderr.write(`seed: The output could not be written (${code ?? 'unknown'}).\n`);
    process.exit(gone ? Number(process.exitCode ?? EXIT.ok) : EXIT.failed);
  });
  process.stderr.on('error', () => {
    // Nobody is left to tell.
  });
}

/** Rows under headings, each column as wide as its widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(headings), ...rows.map(line)].join('\n');
}

/** What a cell of a table shows of a title. */
const CELL_CHARS_MAX = 60;

/** A title as a cell of a table: cut where it would spread all rows. */
export function clipped(text: string): string {
  return text.length <= CELL_CHARS_MAX
    ? text
    : `${text
        .slice(0, CELL_CHARS_MAX - 1)
        .toWellFormed()
        .trimEnd()}…`;
}

// Control characters, and those that turn the direction of text.
const UNPRINTABLE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Characters that a terminal would act on, made visible: names come from outside. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** One cell of a CSV row (RFC 4180); a leading formula sign is defused for spreadsheets. */
export function csvCell(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Shows how far long work has come, on a terminal only. */
export function progressLine(): { show: (done: number, total: number, what: string) => void; end: () => void } {
  const { stderr } = process;
  let shown = false;
  return {
    show: (done, total, what) => {
      if (!stderr.isTTY) return;
      shown = true;
      stderr.write(`\r  ${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${what}`);
    },
    end: () => {
      if (shown) stderr.write('\r\u001b[K');
    },
  };
}
