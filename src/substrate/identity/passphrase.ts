/**
 * The owner passphrase: what tells the owner from another program with the owner's user id.
 *
 * Only a verifier is kept (scrypt, RFC 7914). Checking is slow on purpose and one at a time, so
 * that guessing through the owner's socket is slow too.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { createFileDurably } from '../home/files.ts';
import type { Sources } from '../sources.ts';

export const PASSPHRASE_CHARS_MIN = 8;
export const PASSPHRASE_CHARS_MAX = 1024;

const Verifier = z.strictObject({
  v: z.literal(1),
  n: z
    .int()
    .min(1 << 14)
    .max(1 << 20),
  r: z.int().min(8).max(32),
  p: z.int().min(1).max(16),
  salt: z.base64(),
  hash: z.base64(),
});
type Verifier = z.infer<typeof Verifier>;

function derive(passphrase: string, { n, r, p, salt }: Omit<Verifier, 'hash' | 'v'>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // NFKC: the same keys typed on another system give the same bytes.
    const text = passphrase.normalize('NFKC');
    scrypt(text, Buffer.from(salt, 'base64'), 32, { N: n, r, p, maxmem: 256 * n * r }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** @throws SeedError `invalid_input` when it is too short or too long */
export function assertPassphrase(passphrase: string): void {
  if (passphrase.length >= PASSPHRASE_CHARS_MIN && passphrase.length <= PASSPHRASE_CHARS_MAX) return;
  throw new SeedError(
    'invalid_input',
    `The passphrase must have ${PASSPHRASE_CHARS_MIN} to ${PASSPHRASE_CHARS_MAX} characters.`,
    {
      hint: 'Choose a longer one; a few words are easy to remember.',
    },
  );
}

/** Writes the verifier of a new passphrase to `path` (mode 0600). */
export async function createPassphrase(path: string, passphrase: string, sources: Sources): Promise<void> {
  assertPassphrase(passphrase);
  const cost = { n: 1 << 16, r: 8, p: 1, salt: Buffer.from(sources.random(16)).toString('base64') };
  const hash = (await derive(passphrase, cost)).toString('base64');
  createFileDurably(path, JSON.stringify({ v: 1, ...cost, hash } satisfies Verifier), 0o600);
}

export interface PassphraseCheck {
  /** Whether a passphrase was set. */
  readonly required: boolean;
  /** Whether this is it; true for anything where none was set. */
  readonly verify: (passphrase: string) => Promise<boolean>;
}

/** @throws SeedError `home_damaged` when the verifier does not parse */
export function loadPassphrase(path: string): PassphraseCheck {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { required: false, verify: async () => true };
    throw damaged(path, error);
  }
  const verifier = parseVerifier(path, text);
  let last: Promise<unknown> = Promise.resolve();
  return {
    required: true,
    verify: (passphrase) => {
      const check = last.then(() => matches(verifier, passphrase));
      last = check.catch(() => false);
      return check;
    },
  };
}

function parseVerifier(path: string, text: string): Verifier {
  try {
    return Verifier.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(path, cause);
  }
}

async function matches(verifier: Verifier, passphrase: string): Promise<boolean> {
  if (passphrase.length > PASSPHRASE_CHARS_MAX) return false;
  const [expected, actual] = [Buffer.from(verifier.hash, 'base64'), await derive(passphrase, verifier)];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function damaged(path: string, cause: unknown): SeedError {
  // Failing closed: a verifier that cannot be read must not count as "no passphrase".
  return new SeedError('home_damaged', `The passphrase file ${path} cannot be read.`, {
    hint: 'Restore the file from a backup of the home.',
    cause,
  });
}
