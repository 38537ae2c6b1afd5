/**
 * Asks the person at the terminal, and nobody else: not a pipe, not the environment. What is typed
 * is not shown.
 */
import { closeSync, openSync } from 'node:fs';
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

const ENTER = /[\r\n]/;
const INTERRUPT = '\u0003';
const END = '\u0004';
const ERASE = new Set(['\b', '\u007f']);

/** One line typed on the terminal. @throws SeedError `interrupted` on Ctrl+C */
export async function askHidden(question: string): Promise<string> {
  const input = new ReadStream(openSync('/dev/tty', 'r'));
  const output = new WriteStream(openSync('/dev/tty', 'w'));
  output.write(question);
  input.setRawMode(true);
  input.setEncoding('utf8');
  let typed: string[] = [];
  try {
    for await (const chunk of input as AsyncIterable<string>) {
      for (const key of chunk) {
        if (ENTER.test(key)) return typed.join('');
        if (key === INTERRUPT || key === END) throw interrupted();
        typed = ERASE.has(key) ? typed.slice(0, -1) : [...typed, key];
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

/** Asks twice; an empty answer skips. @throws SeedError `invalid_input` when the two differ */
export async function askNewPassphrase(question: string): Promise<string | null> {
  const first = await askHidden(question);
  if (first === '') return null;
  if ((await askHidden('The same again: ')) === first) return first;
  throw new SeedError('invalid_input', 'The two passphrases differ.', { hint: 'Run the command again.' });
}

function interrupted(): SeedError {
  return new SeedError('interrupted', 'Stopped at the question; nothing was done.', { hint: 'Run the command again.' });
}
