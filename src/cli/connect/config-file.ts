/** A client's own file: read, kept a copy of, and replaced whole. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SeedError } from '../../errors.ts';

export interface ConfigFile {
  /** Where it really is, behind any links. */
  readonly path: string;
  /** Null when there is none yet. */
  readonly text: string | null;
}

const FILE_BYTES_MAX = 64 * 1024 * 1024;

export function readConfigFile(path: string): ConfigFile {
  try {
    const real = realpathSync(path);
    if (statSync(real).size > FILE_BYTES_MAX) throw unusable(path, 'is too large');
    const bytes = readFileSync(real);
    const text = bytes.toString('utf8');
    // Bytes that do not survive a round trip would be written back as something else.
    if (!Buffer.from(text, 'utf8').equals(bytes)) throw unusable(path, 'is not UTF-8 text');
    return { path: real, text };
  } catch (error) {
    if (error instanceof SeedError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && isLink(path)) throw unusable(path, 'is a link that leads nowhere');
    if (code === 'ENOENT') return { path: behindLink(path), text: null };
    throw unusable(path, `cannot be read (${code ?? 'unknown'})`);
  }
}

/** Whatever it should lead to is away, such as a folder that is not mounted; a new file would take its place. */
function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

/** A new file in a folder that is itself a link lands where the link leads. */
function behindLink(path: string): string {
  try {
    return `${realpathSync(dirname(path))}${path.slice(dirname(path).length)}`;
  } catch {
    return path;
  }
}

/**
 * Writes the new text in one step, after a copy of the old; resolves to the copy's path, or null
 * when there was nothing to copy.
 *
 * @throws SeedError `conflict` when somebody changed the file meanwhile; nothing is written then
 */
export function replaceConfigFile({ path, text: before }: ConfigFile, text: string): string | null {
  const draft = `${path}.seed-new`;
  try {
    if (before === null) mkdirSync(dirname(path), { recursive: true });
    const backup = before === null ? null : keepCopy(path, before);
    writeSynced(draft, text);
    chmodSync(draft, before === null ? 0o600 : statSync(path).mode & 0o7777);
    if (readConfigFile(path).text !== before) throw changedMeanwhile(path);
    renameSync(draft, path);
    return backup;
  } catch (error) {
    rmSync(draft, { force: true });
    if (error instanceof SeedError) throw error;
    throw unusable(path, `cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

/** Copies of one file that are kept. */
const COPIES_MAX = 99;

/** Copies the file beside itself, over no older copy; one that says the same already will do. */
function keepCopy(path: string, text: string): string {
  for (let number = 1; number <= COPIES_MAX; number++) {
    const copy = `${path}.seed-backup${number === 1 ? '' : `-${number}`}`;
    try {
      copyFileSync(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      return copy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (readFileSync(copy, 'utf8') === text) return copy;
    }
  }
  throw unusable(path, `has ${COPIES_MAX} copies beside it already (…seed-backup); remove old ones`);
}

function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function unusable(path: string, why: string): SeedError {
  return new SeedError('conflict', `The configuration file ${path} ${why}.`, {
    hint: 'Nothing was written. Name another file with --config-file, or add the printed entry by hand.',
  });
}

function changedMeanwhile(path: string): SeedError {
  return new SeedError('conflict', `The configuration file ${path} was changed by another program just now.`, {
    hint: 'Nothing was written. Close the client, then run the command again.',
  });
}
