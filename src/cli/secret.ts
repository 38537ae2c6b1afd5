/** A secret from its owner: typed unseen at a terminal, or on standard input. Never an argument. */
import { fstatSync } from 'node:fs';
import { SeedError } from '../errors.ts';
import { SECRET_UNITS_MAX } from '../substrate/home/credentials.ts';
import { askHidden, hasTerminal } from './terminal.ts';

/** Asks for the secret where a person sits, else reads standard input to its end. @throws SeedError `invalid_input` */
export async function readSecret(name: string): Promise<string> {
  const isTyped = process.stdin.isTTY && hasTerminal();
  const text = isTyped ? await askHidden(`Key for ${name} (not shown): `) : await readInput();
  // The line break at the end is the shell's or the editor's.
  const secret = text.trim();
  if (secret !== '') return secret;
  throw new SeedError('invalid_input', isTyped ? 'No key was typed.' : 'There is no key on standard input.', {
    hint: `Give it on standard input: \`seed credential set ${name} --origin URL < FILE\`, or run the command in a terminal.`,
    data: { argument: 'secret' },
  });
}

/**
 * Whether a file is standard input, as by `< key.txt`: that is a secret meant for the command. Of a pipe nobody can
 * tell without reading it, and one that a program left open would never end.
 */
export function isSecretRedirected(): boolean {
  try {
    return fstatSync(0).isFile();
  } catch {
    // Standard input is closed.
    return false;
  }
}

async function readInput(): Promise<string> {
  if (process.stdin.isTTY) return '';
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    // What is longer is no key, and the seed says so.
    if (bytes > 4 * SECRET_UNITS_MAX) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
