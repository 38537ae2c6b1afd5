/**
 * Asks the person at the terminal, and nobody else: not a pipe, not the environment. What is typed
 * is not shown.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { ReadStream, WriteStream } from 'node:tty';
import { SeedError } from '../errors.ts';

/** Whether there is a terminal to ask on. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch {
    return false;
  }
}

const ENTER = new Set(['\r', '\n']);
/** Ctrl+C and Ctrl+D. */
const STOP = new Set(['\u0003', '\u0004']);
const ERASE = new Set(['\b', '\u007f']);
/** Ctrl+U. */
const ERASE_ALL = '\u0015';

/** One line typed on the terminal. @throws SeedError `interrupted` on Ctrl+C */
export async function askHidden(question: string): Promise<string> {
  const input = new ReadStream(openSync('/dev/tty', 'r'));
  const output = new WriteStream(openSync('/dev/tty', 'w'));
  // First silence, then the question: what a fast typist answers must not be shown.
  input.setRawMode(true);
  output.write(question);
  input.setEncoding('utf8');
  let typed: string[] = [];
  try {
    for await (const chunk of input as AsyncIterable<string>) {
      for (const key of chunk) {
        if (ENTER.has(key)) return typed.join('');
        if (STOP.has(key)) throw interrupted();
        if (key === ERASE_ALL) typed = [];
        else if (ERASE.has(key)) typed.pop();
        else if (key >= ' ') typed.push(key);
      }
    }
    throw interrupted();
  } finally {
    if (!input.destroyed) input.setRawMode(false);
    output.write('\n');
    input.destroy();
    output.destroy();
  }
}

/**
 * Asks twice; an empty answer skips.
 *
 * @param check throws for what is no passphrase, before it is asked for again
 * @throws SeedError `invalid_input` when the two differ, and what `check` throws
 */
export async function askNewPassphrase(question: string, check: (passphrase: string) => void): Promise<string | null> {
  const first = await askHidden(question);
  if (first === '') return null;
  check(first);
  if ((await askHidden('The same again: ')) === first) return first;
  throw new SeedError('invalid_input', 'The two passphrases differ.', { hint: 'Run the command again.' });
}

/** One line typed on the terminal, shown as it is typed. @throws SeedError `interrupted` on Ctrl+C or Ctrl+D */
export async function askLine(question: string): Promise<string> {
  const input = new ReadStream(openSync('/dev/tty', 'r'));
  const output = new WriteStream(openSync('/dev/tty', 'w'));
  const lines = createInterface({ input, output });
  const gone = Promise.withResolvers<never>();
  for (const event of ['SIGINT', 'close'] as const) lines.once(event, () => gone.reject(interrupted()));
  try {
    return (await Promise.race([lines.question(question), gone.promise])).trim();
  } catch (thrown) {
    // What is said next begins a line of its own.
    output.write('\n');
    throw thrown;
  } finally {
    lines.close();
    input.destroy();
    output.destroy();
  }
}

function interrupted(): SeedError {
  return new SeedError('interrupted', 'Stopped at the question; nothing was done.', { hint: 'Run the command again.' });
}

/** Whether the person at the terminal says yes; anything else is no. @throws SeedError `interrupted` on Ctrl+C */
export async function askYesNo(question: string): Promise<boolean> {
  const answer = await askHidden(`${question} [y/N] `);
  return /^(?:y|yes)$/i.test(answer.trim());
}
