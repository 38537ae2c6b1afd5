/** What the command prints: text for a person, or JSON for a program. Nobody else writes to stdout. */
import type { SeedError } from '../errors.ts';

/** The exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unproven: 3, absent: 4 } as const;

export const EXIT_HELP: string = `  0  done
  1  refused, failed, or found broken
  2  asked wrongly: an option or argument is missing or has the wrong form
  3  receipts verify: the receipts fit together, where they come from is not proven
  4  no daemon serves this home`;

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON value, indented, on stdout. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, null, 2));
}

/** An error: what, and what to do; on stderr, or as JSON on stdout where a program reads it. */
export function printError(error: SeedError, json: boolean): void {
  if (json) {
    const { code, message, hint, data } = error;
    printJson({ error: { code, message, hint, data } });
    return;
  }
  process.stderr.write(`seed: ${error.message}\n      ${error.hint}\n`);
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
