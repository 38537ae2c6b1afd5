/** The access key of a seed elsewhere: in a file, so that it stands in no command line and no configuration. */
import { readFileSync, statSync } from 'node:fs';
import { SeedError } from '../../errors.ts';

const KEY_BYTES_MAX = 16 * 1024;

function unusable(path: string, why: string): SeedError {
  return new SeedError('invalid_input', `The key file ${path} ${why}.`, {
    hint: 'Put the access key into it, alone on one line, and nothing else.',
    data: { argument: 'key-file' },
  });
}

/** @throws SeedError `invalid_input`; never with anything of the content */
export function readKeyFile(path: string): string {
  let text: string;
  try {
    if (statSync(path).size > KEY_BYTES_MAX) throw unusable(path, 'is too large for a key');
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof SeedError) throw error;
    throw unusable(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  // RFC 6750, section 2.1: what may stand after "Bearer".
  if (!/^[\w.~+/-]+=*$/.test(text)) throw unusable(path, text === '' ? 'is empty' : 'does not hold one access key');
  return text;
}

/** Whether others than the file's owner may read it. */
export function isReadableByOthers(path: string): boolean {
  return (statSync(path).mode & 0o077) !== 0;
}
