/** The daemon's log: lines into a file of bounded size, the older ones kept as .1 to .4. */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../../errors.ts';
import { fileError, makeFolders } from './files.ts';

const FILE_BYTES_MAX = 5 * 1024 * 1024;
const OLDER_FILES_MAX = 4;

export interface LogFile {
  readonly path: string;
  /** Takes one line with its newline. Never throws: a log must not stop what it tells about. */
  write(line: string): void;
  /** Lines that could not be written since the file was opened. */
  dropped(): number;
  close(): void;
}

/** @throws SeedError `home_damaged` when the folder is none, `home_unwritable`, `disk_full` */
export function openLogFile(folder: string, { bytesMax = FILE_BYTES_MAX }: { bytesMax?: number } = {}): LogFile {
  const path = join(folder, 'seed.log');
  const open = (): number => openSync(path, 'a', 0o600);
  let file: number;
  try {
    makeFolders(folder);
    file = open();
  } catch (error) {
    throw logError(error, path);
  }
  let bytes = fstatSync(file).size;
  let dropped = 0;
  let closed = false;

  const rotate = (): void => {
    for (let age = OLDER_FILES_MAX - 1; age >= 0; age--) {
      const from = age === 0 ? path : `${path}.${age}`;
      try {
        renameSync(from, `${path}.${age + 1}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    // Closed last: the number of a closed file may be another file's by the next line.
    const full = file;
    file = open();
    bytes = 0;
    closeSync(full);
  };

  return {
    path,
    write: (line) => {
      try {
        if (closed) throw new Error('The log is closed.');
        if (bytes >= bytesMax) rotate();
        bytes += writeSync(file, line);
      } catch {
        // A full disk loses lines, and `doctor` says how many.
        dropped++;
      }
    },
    dropped: () => dropped,
    close: () => {
      if (!closed) closeSync(file);
      closed = true;
    },
  };
}

function logError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EEXIST' && code !== 'EISDIR' && code !== 'ENOTDIR') return fileError(error, path, 'home_unwritable');
  return new SeedError('home_damaged', `Something else stands where the log ${path} belongs.`, {
    hint: 'Move it away; the next start makes what is missing.',
    cause: error,
  });
}
