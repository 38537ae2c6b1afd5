/**
 * Credentials for model targets: a name, the one origin it may go to, and where the secret is.
 *
 * Each is a file of the home's `credentials` folder, so that no row of policy says where a secret may
 * go (LOCK-MEMBRANE-1). The file holds the secret itself, or names the environment variable of the
 * serving process that has it; which variables may be named is a closed list.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { parseOrigin } from '../origins.ts';
import { createFileDurably, fileError, makeFolders, syncFolder } from './files.ts';
import { homePath } from './layout.ts';

/** The environment names that a credential may stand for, each with whose key it holds; nothing else of it ever leaves. */
export const CREDENTIAL_PROVIDERS = {
  ANTHROPIC_API_KEY: 'anthropic',
  GEMINI_API_KEY: 'gemini',
  GOOGLE_API_KEY: 'gemini',
  NVIDIA_API_KEY: 'nvidia',
} as const;
export type CredentialVariable = keyof typeof CREDENTIAL_PROVIDERS;
export const CREDENTIAL_VARIABLES = Object.keys(CREDENTIAL_PROVIDERS) as [CredentialVariable, ...CredentialVariable[]];

/** What the environment holds of them. Apart from the configuration, which may be shown. */
export type Secrets = Readonly<Partial<Record<CredentialVariable, string>>>;

/** A file name, never a path. */
export const CREDENTIAL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
export const CREDENTIAL_NAME_RULE = 'lower-case letters, digits, dashes and underscores; at most 64';

export const SECRET_UNITS_MAX = 8_192;
const FILE_BYTES_MAX = 16 * 1_024;
/** More files than this are no owner's doing. */
const FILES_MAX = 1_000;

/** Visible ASCII: whatever else stands in a header would break it, or end up in the error that says so (RFC 9110, 5.5). */
const SECRET = /^[\x21-\x7e]+$/;

const shared = { v: z.literal(1), origin: z.string().max(2_048) };
const CredentialFile = z.union([
  z.strictObject({ ...shared, secret: z.string().min(1).max(SECRET_UNITS_MAX).regex(SECRET) }),
  z.strictObject({ ...shared, variable: z.enum(CREDENTIAL_VARIABLES) }),
]);
type CredentialFile = z.infer<typeof CredentialFile>;

/** Where a credential's secret is; what may be shown of it. */
export type CredentialSource =
  | { readonly kind: 'file' }
  | { readonly kind: 'environment'; readonly variable: CredentialVariable };

/** A credential without its secret. */
export interface CredentialFacts {
  readonly name: string;
  /** The one origin that it goes to. */
  readonly origin: string;
  readonly source: CredentialSource;
}

/** What is to be kept under a name. */
export interface NewCredential {
  readonly name: string;
  readonly origin: string;
  readonly secret: string | { readonly variable: CredentialVariable };
}

function unusable(name: string, reason: string, message: string, hint: string): SeedError {
  return new SeedError('credential_unusable', message, { hint, data: { credential: name, reason } });
}

/** @throws SeedError `invalid_input` for a name with a path in it, or any other that is no name */
function assertCredentialName(name: string): void {
  if (CREDENTIAL_NAME.test(name)) return;
  throw new SeedError('invalid_input', 'That is not a name for a credential.', {
    hint: `A credential is a name, never a path: ${CREDENTIAL_NAME_RULE}.`,
    data: { argument: 'name' },
  });
}

/** The secret as it may be kept: one word of visible ASCII. @throws SeedError `invalid_input`, without the secret */
export function parseSecret(text: string): string {
  if (SECRET.test(text) && text.length <= SECRET_UNITS_MAX) return text;
  const why =
    text === ''
      ? 'is empty'
      : text.length > SECRET_UNITS_MAX
        ? 'is too long'
        : 'has spaces, line breaks or unusual characters in it';
  throw new SeedError('invalid_input', `The secret ${why}.`, {
    hint: 'Give the key alone, as the provider shows it, on one line.',
    data: { argument: 'secret' },
  });
}

/** The credentials of one home. */
export class Credentials {
  readonly #folder: string;
  readonly #secrets: Secrets;

  constructor(home: string, secrets: Secrets) {
    this.#folder = homePath(home, 'credentials');
    this.#secrets = secrets;
  }

  /**
   * A credential with its secret, for one call.
   *
   * @throws SeedError `credential_unusable` with `data.reason`: `missing`, `open` (others may read it),
   *   `damaged`, `unset` (its environment variable); `invalid_input` for what is no name
   */
  open(name: string): CredentialFacts & { readonly secret: string } {
    const file = this.#read(name);
    const facts = factsOf(name, file);
    if ('secret' in file) return { ...facts, secret: file.secret };
    const secret = this.#secrets[file.variable];
    if (secret === undefined) {
      throw unusable(
        name,
        'unset',
        `The credential ${name} is ${file.variable} of the environment, which is not set where the seed runs.`,
        `Start the seed with ${file.variable} set, or keep the key itself: \`seed credential set ${name} --origin ${facts.origin}\`.`,
      );
    }
    if (!SECRET.test(secret) || secret.length > SECRET_UNITS_MAX) {
      throw unusable(
        name,
        'damaged',
        `${file.variable} of the environment does not hold one key.`,
        `Set ${file.variable} to the key alone.`,
      );
    }
    return { ...facts, secret };
  }

  /** What is known of a credential. @throws as {@link open}, but for `unset` */
  facts(name: string): CredentialFacts {
    return factsOf(name, this.#read(name));
  }

  /** The names of all credentials, in order. */
  names(): string[] {
    if (!this.#assertFolder()) return [];
    return readdirSync(this.#folder)
      .filter((name) => CREDENTIAL_NAME.test(name))
      .toSorted()
      .slice(0, FILES_MAX);
  }

  /** Whether there is anything by that name, of whatever use. */
  has(name: string): boolean {
    assertCredentialName(name);
    return this.#assertFolder() && lstatSync(join(this.#folder, name), { throwIfNoEntry: false }) !== undefined;
  }

  /** Whether an environment variable is set for this process. */
  isSet(variable: CredentialVariable): boolean {
    return this.#secrets[variable] !== undefined;
  }

  /** Keeps a credential, in place of what had the name before: whole or not at all. */
  set({ name, origin, secret }: NewCredential): void {
    assertCredentialName(name);
    const bound = { v: 1, origin: parseOrigin(origin) } as const;
    const file: CredentialFile =
      typeof secret === 'string' ? { ...bound, secret: parseSecret(secret) } : { ...bound, ...secret };
    const path = join(this.#folder, name);
    const draft = `${path}.new`;
    try {
      if (!this.#assertFolder()) makeFolders(this.#folder);
      // What a crash left of an earlier one: a new file has the mode that is asked for.
      rmSync(draft, { force: true });
      createFileDurably(draft, `${JSON.stringify(file)}\n`, 0o600);
      renameSync(draft, path);
      syncFolder(this.#folder);
    } catch (error) {
      throw fileError(error, path, 'home_unwritable');
    }
  }

  /** Removes a credential; resolves to whether there was one. */
  remove(name: string): boolean {
    if (!this.has(name)) return false;
    const path = join(this.#folder, name);
    try {
      rmSync(path);
      syncFolder(this.#folder);
      return true;
    } catch (error) {
      throw fileError(error, path, 'home_unwritable');
    }
  }

  /** Whether the folder is there. @throws SeedError `credential_unusable` when others may enter it */
  #assertFolder(): boolean {
    const found = lstatSync(this.#folder, { throwIfNoEntry: false });
    if (found === undefined) return false;
    if (found.isDirectory() && (found.mode & 0o077) === 0 && isOwn(found.uid)) return true;
    throw unusable(
      '',
      'open',
      `The folder ${this.#folder} is open to others, or is not a folder of yours.`,
      `Close it: chmod 700 ${this.#folder}`,
    );
  }

  #read(name: string): CredentialFile {
    assertCredentialName(name);
    const path = join(this.#folder, name);
    if (!this.#assertFolder()) throw missing(name);
    let text: string;
    try {
      text = readOwn(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') throw missing(name);
      throw unusable(
        name,
        'open',
        `The credential’s file ${path} is open to others, or is not a plain file of yours.`,
        `If it is yours: chmod 600 ${path}; else remove it, and renew the key with its provider.`,
      );
    }
    return parseFile(name, text);
  }
}

function missing(name: string): SeedError {
  return unusable(
    name,
    'missing',
    `There is no credential ${name}.`,
    `Keep it with \`seed credential set ${name} --origin URL\`; it reads the key from standard input.`,
  );
}

function factsOf(name: string, file: CredentialFile): CredentialFacts {
  const source: CredentialSource =
    'secret' in file ? { kind: 'file' } : { kind: 'environment', variable: file.variable };
  return { name, origin: file.origin, source };
}

function isOwn(uid: number): boolean {
  return process.getuid === undefined || process.getuid() === uid;
}

/** The text of a plain file that only this user may read; looked at and read through one descriptor, which follows no link. */
function readOwn(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, uid, size, nlink } = fstatSync(file);
    const isPlain = (mode & constants.S_IFMT) === constants.S_IFREG && nlink === 1;
    if (!isPlain || (mode & 0o077) !== 0 || !isOwn(uid) || size > FILE_BYTES_MAX) throw new Error('not a private file');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Nothing of the content is in the error. */
function parseFile(name: string, text: string): CredentialFile {
  try {
    const file = CredentialFile.parse(JSON.parse(text));
    if (parseOrigin(file.origin) === file.origin) return file;
  } catch {
    // Said below: what the parser complains of might be a piece of the secret.
  }
  throw unusable(
    name,
    'damaged',
    `The credential ${name} is damaged.`,
    `Keep it again with \`seed credential set ${name} --origin URL\`.`,
  );
}
