/**
 * Notifiers: commands by which the owner is told. They stand in a file of the home and in no row, so that
 * nobody who can edit the database can have a command run; policy names them, and nothing else does.
 */
import { lstatSync, readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { replaceFileDurably } from './files.ts';
import { homePath } from './layout.ts';

/** The notification of the desktop that the seed runs on; it needs no command. */
export const DESKTOP = 'desktop';

export const NOTIFIER_NAME: RegExp = /^[a-z0-9][a-z0-9_-]{0,63}$/;
export const NOTIFIER_NAME_RULE = 'lower-case letters, digits, dashes and underscores; at most 64';
const NOTIFIERS_MAX = 32;
/** What a command and its arguments may be: as much as an honest one needs. */
const ARGUMENT_CHARS_MAX = 4_096;
const ARGUMENTS_MAX = 64;

const FILE_BYTES_MAX = 512 * 1_024;

export const NotifierCommand = z
  .array(
    z
      .string()
      .max(ARGUMENT_CHARS_MAX)
      .refine((text) => !text.includes('\0'), 'text without a zero byte'),
  )
  .min(1)
  .max(ARGUMENTS_MAX)
  .refine(([program = '']) => isAbsolute(program), 'a program by its absolute path, then its arguments');

const NotifiersFile = z.strictObject({
  v: z.literal(1),
  notifiers: z.record(z.string().regex(NOTIFIER_NAME), NotifierCommand),
});

/** What the owner is told. It is written to a command's standard input as one line of JSON. */
export interface Telling {
  readonly v: 1;
  /** The seed's id. */
  readonly seed: string;
  /** An event of the policy, or `test`. */
  readonly event: string;
  /** What is so, in a sentence. */
  readonly says: string;
  /** The command that deals with it; empty where nothing is to be done. */
  readonly todo: string;
  /** ISO 8601 */
  readonly time: string;
}

/** A program by its absolute path, and its arguments. */
export type NotifierCommand = readonly string[];

/** Every notifier of a home by its name. @throws SeedError `home_damaged`; where others may write the file, too */
export function readNotifiers(home: string): ReadonlyMap<string, NotifierCommand> {
  const path = homePath(home, 'notifiers');
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return new Map();
  const isOwn = process.getuid === undefined || process.getuid() === found.uid;
  if (!found.isFile() || !isOwn || (found.mode & 0o077) !== 0 || found.size > FILE_BYTES_MAX) {
    throw damaged(`${path} is open to others, or is not a plain file of yours.`, `If it is yours: chmod 600 ${path}`);
  }
  try {
    const { notifiers } = NotifiersFile.parse(JSON.parse(readFileSync(path, 'utf8')));
    return new Map(Object.entries(notifiers));
  } catch (cause) {
    throw damaged(`${path} does not parse.`, `Remove it, and name the notifiers again: \`seed notify add\`.`, cause);
  }
}

/** The names that policy can use, the desktop's among them; null where the file cannot be used. */
export function notifierNames(home: string): ReadonlySet<string> | null {
  try {
    return new Set([DESKTOP, ...readNotifiers(home).keys()]);
  } catch {
    // Who wants to know why reads it.
    return null;
  }
}

function damaged(message: string, hint: string, cause?: unknown): SeedError {
  return new SeedError('home_damaged', message, { hint, cause });
}

/** Keeps a command under a name, in place of the one before, or none any more. @throws SeedError `too_many` */
export function writeNotifier(home: string, name: string, command: NotifierCommand | null): void {
  const notifiers = new Map(readNotifiers(home));
  if (command === null) notifiers.delete(name);
  else notifiers.set(name, command);
  if (notifiers.size > NOTIFIERS_MAX) {
    throw new SeedError('too_many', `There are ${NOTIFIERS_MAX} notifiers already.`, {
      hint: 'Remove one with `seed notify remove`.',
    });
  }
  const file = { v: 1, notifiers: Object.fromEntries([...notifiers].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
  replaceFileDurably(homePath(home, 'notifiers'), `${JSON.stringify(file, null, 2)}\n`);
}
