/** A transcript on disk: a plain file of lines that may be large, and may grow while it is read. */
import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { SeedError } from '../../../errors.ts';
import { splitLines } from '../../../formats/lines.ts';

/** The largest file that is read. */
const FILE_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** The longest line, which may hold several images. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;
/** As much as is read at once: what it says is parsed before anything else has its turn. */
const CHUNK_BYTES = 256 * 1024;
/** As much of the first line as tells one file from another. */
const HEAD_BYTES_MAX = 64 * 1024;
const NEWLINE = 10;

/** Where reading is to begin, with the hash of all before. */
export interface Position {
  readonly bytes: number;
  readonly hash: Hash;
}

export interface ReadingOptions {
  readonly from: Position;
  readonly signal: AbortSignal;
  /** A line without its newline; null for one that is too long. `isLast`: no newline followed. Whether it was of use. */
  readonly onLine: (text: string | null, isLast: boolean) => boolean;
  /** Told after each piece of the file; nothing more is read before it is done. */
  readonly onPiece: (bytes: number) => Promise<void>;
}

/** How far a file was read: up to the end of its last whole line. */
export interface Reading {
  readonly bytes: number;
  /** SHA-256 of all these bytes, hex. */
  readonly hash: string;
  /** A last line was left for the next time, because it is not whole. */
  readonly torn: boolean;
}

export class TranscriptFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  /** As it was when it was opened; what is added meanwhile is for the next time. */
  readonly size: number;

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /** @throws SeedError `not_found`, `invalid_input` for what is no plain file, `forbidden`, `too_large` */
  static async open(path: string): Promise<TranscriptFile> {
    const handle = await openPlain(path);
    try {
      const { size } = await assertPlain(handle, path);
      return new TranscriptFile(handle, size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** SHA-256 of the first line, hex; null while there is none. */
  async head(): Promise<string | null> {
    const chunk = Buffer.alloc(Math.min(this.size, HEAD_BYTES_MAX));
    const read = await this.#fill(chunk, 0);
    const end = chunk.subarray(0, read).indexOf(NEWLINE);
    if (end < 0 && read < HEAD_BYTES_MAX) return null;
    return createHash('sha256')
      .update(chunk.subarray(0, end < 0 ? read : end))
      .digest('hex');
  }

  /** The furthest of some places up to which the file is still what it was; null where it is at none. */
  async furthest<T extends { readonly bytes: number; readonly hash: string }>(
    places: readonly T[],
    signal: AbortSignal,
  ): Promise<{ place: T; position: Position } | null> {
    const hash = createHash('sha256');
    let at = 0;
    let found: { place: T; position: Position } | null = null;
    for (const place of places.toSorted((a, b) => a.bytes - b.bytes)) {
      if (place.bytes > this.size) break;
      for await (const chunk of this.#chunks(at, place.bytes, signal)) hash.update(chunk);
      at = place.bytes;
      if (hash.copy().digest('hex') === place.hash) found = { place, position: { bytes: at, hash: hash.copy() } };
    }
    return found;
  }

  async read({ from, signal, onLine, onPiece }: ReadingOptions): Promise<Reading> {
    const { hash } = from;
    let whole = { bytes: from.bytes, hash: hash.copy() };
    let at = from.bytes;
    let [used, isLast] = [false, false];
    const lines = splitLines(LINE_BYTES_MAX, (line) => {
      const text = Buffer.from(line.buffer, line.byteOffset, line.length);
      used = onLine(line.length > LINE_BYTES_MAX ? null : text.toString('utf8'), isLast);
    });
    for await (const chunk of this.#chunks(at, this.size, signal)) {
      lines.write(chunk);
      const end = chunk.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        hash.update(chunk.subarray(0, end));
        whole = { bytes: at + end, hash: hash.copy() };
      }
      hash.update(chunk.subarray(end));
      at += chunk.length;
      await onPiece(at);
    }
    if (!lines.hasRest()) return { bytes: whole.bytes, hash: whole.hash.digest('hex'), torn: false };
    // A client that was killed may have left half a line; whole or not, it says so itself by being JSON.
    [used, isLast] = [false, true];
    lines.write(Uint8Array.of(NEWLINE));
    await onPiece(at);
    return used
      ? { bytes: at, hash: hash.digest('hex'), torn: false }
      : { bytes: whole.bytes, hash: whole.hash.digest('hex'), torn: true };
  }

  async *#chunks(from: number, to: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    for (let at = from; at < to; ) {
      if (signal.aborted) throw new SeedError('interrupted', 'The import was stopped.', { hint: 'Run it again.' });
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at));
      const read = await this.#fill(chunk, at);
      if (read === 0) throw shrunk();
      yield chunk.subarray(0, read);
      at += read;
    }
  }

  async #fill(chunk: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < chunk.length) {
      const { bytesRead } = await this.#handle.read(chunk, filled, chunk.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Follows no link, and does not wait for whoever writes a pipe. */
async function openPlain(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP' || code === 'EMLINK') throw unfit(path, 'is a link');
    if (code === 'ENXIO' || code === 'ENODEV') throw unfit(path, 'is not a plain file');
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SeedError('not_found', `There is no file ${path}.`, {
        hint: 'Name the transcript itself, or take --latest.',
        data: { argument: 'file' },
      });
    }
    throw new SeedError('forbidden', `The file ${path} cannot be read (${code ?? 'unknown'}).`, {
      hint: 'It must be readable by the user whose home it is.',
      data: { argument: 'file' },
    });
  }
}

async function assertPlain(handle: FileHandle, path: string): Promise<{ size: number }> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw unfit(path, 'is not a plain file');
  if (stat.size <= FILE_BYTES_MAX) return { size: stat.size };
  throw new SeedError('too_large', `The file ${path} has ${stat.size} bytes; ${FILE_BYTES_MAX} is the limit.`, {
    hint: 'Import a later file of the same work.',
    data: { argument: 'file', bytes_max: FILE_BYTES_MAX },
  });
}

function unfit(path: string, why: string): SeedError {
  return new SeedError('invalid_input', `${path} ${why}.`, {
    hint: 'Name the transcript itself, where the client keeps it.',
    data: { argument: 'file' },
  });
}

function shrunk(): SeedError {
  return new SeedError('conflict', 'The file became shorter while it was read.', { hint: 'Import it again.' });
}
