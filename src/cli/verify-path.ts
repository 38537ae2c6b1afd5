/** Feeds an exported folder, or a proof, from the disk to the portable verifier. */
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../errors.ts';
import { FormatError } from '../formats/error.ts';
import { parseNote } from '../formats/note.ts';
import { parseRoot } from '../formats/root.ts';
import { verifyProof } from '../formats/proof.ts';
import type { Verdict } from '../formats/verify.ts';
import { createLogVerifier } from '../formats/verify.ts';
import { fastSha256 } from '../substrate/receipts/sha256.ts';

const SMALL_FILE_BYTES_MAX = 1024 * 1024;
/** As many versions as a root of trust may have, see `formats/root.ts`. */
const ROOT_VERSIONS_MAX = 1000;

export interface PathVerdict {
  readonly verdict: Verdict['verdict'];
  readonly seed: string | null;
  readonly size: number;
  /** For a broken export: the first receipt that is wrong, and what is wrong with it. */
  readonly broken: Verdict['firstBroken'];
  readonly continues_checkpoint: boolean | null;
  /** The whole of it in a sentence or two. */
  readonly says: string;
}

interface VerifyFiles {
  readonly root?: string;
  readonly checkpoint?: string;
}

type OnBytes = (done: number, total: number) => void;

/**
 * The size of a file that somebody else named. A device, a pipe or a folder is none: reading it might
 * never end.
 *
 * @throws SeedError `not_found`
 */
function fileSize(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw notThere(`There is no file ${path}.`);
  if (stat.isDirectory()) throw notThere(`${path} is a folder, not a file.`);
  if (!stat.isFile()) throw notThere(`${path} is a device or a pipe, not a file.`);
  return stat.size;
}

/** Reads a small file that somebody else wrote. @throws SeedError `not_found`, `too_large` */
function readSmall(path: string): string {
  try {
    if (fileSize(path) > SMALL_FILE_BYTES_MAX)
      throw new SeedError('too_large', `${path} is too large to be what it should be.`, { hint: 'Check the name.' });
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw asReadError(path, error);
  }
}

function notThere(message: string): SeedError {
  return new SeedError('not_found', message, {
    hint: 'Name a folder that `seed receipts export` made, or a file as it was saved.',
  });
}

/** What the system says of a file that is there and cannot be read. */
function asReadError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof SeedError || !['EACCES', 'EPERM', 'EIO', 'EISDIR', 'ENOTDIR', 'ELOOP'].includes(code)) {
    return error;
  }
  return new SeedError('not_found', `${path} cannot be read (${code}).`, {
    hint: 'Check the name, and that you may read it.',
    cause: error,
  });
}

/** The versions of an export's root of trust; anything else in the folder has no business there. */
function readRoots(folder: string): string[] {
  const names = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(folder) : [];
  if (names.length > ROOT_VERSIONS_MAX) {
    throw new SeedError('too_large', `${folder} holds ${names.length} files.`, { hint: 'Check the name.' });
  }
  return names.map((_name, index) => readSmall(join(folder, `${index + 1}.json`)));
}

/**
 * The root of trust that the verdict rests on: with another kind of file nothing could be said about the receipts.
 *
 * @throws SeedError `invalid_input`, `not_found`
 */
function readRoot(path: string): string {
  const text = readSmall(path);
  try {
    parseRoot(text);
    return text;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new SeedError('invalid_input', `${path} is not a root of trust. ${cause.message}`, {
      hint: 'Name root/1.json of the home or of an export, as you got it from elsewhere.',
      data: { argument: 'root' },
      cause,
    });
  }
}

/**
 * A checkpoint that was kept: whether the log continues it is part of the verdict, whether it is one is not.
 *
 * @throws SeedError `invalid_input`, `not_found`
 */
function readCheckpoint(path: string): string {
  const text = readSmall(path);
  try {
    parseNote(text);
    return text;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new SeedError('invalid_input', `${path} is not a checkpoint. ${cause.message}`, {
      hint: 'Name one as `seed receipts checkpoint` printed it, or the checkpoint of an export.',
      data: { argument: 'checkpoint' },
      cause,
    });
  }
}

export async function verifyExportOrProof(path: string, files: VerifyFiles, onBytes: OnBytes): Promise<PathVerdict> {
  const pinnedRoot = files.root === undefined ? undefined : readRoot(files.root);
  if (path === '') throw notThere('The name of what to verify is empty.');
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!folder) return verifyProofFile(path, pinnedRoot, files);
  const held = files.checkpoint === undefined ? undefined : readCheckpoint(files.checkpoint);
  return verifyExport(path, pinnedRoot, held, onBytes);
}

async function verifyExport(
  folder: string,
  pinnedRoot: string | undefined,
  held: string | undefined,
  onBytes: OnBytes,
): Promise<PathVerdict> {
  const receipts = join(folder, 'receipts.jsonl');
  const total = sizeOfExport(folder, receipts);
  const verifier = createLogVerifier({
    roots: readRoots(join(folder, 'root')),
    checkpoint: readSmall(join(folder, 'checkpoint')),
    ...(pinnedRoot === undefined ? {} : { pinnedRoot }),
    ...(held === undefined ? {} : { heldCheckpoint: held }),
    sha: fastSha256,
  });
  try {
    let bytes = 0;
    for await (const chunk of createReadStream(receipts, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      verifier.write(chunk);
      bytes += chunk.length;
      onBytes(bytes, total);
      if (verifier.isBroken()) break;
    }
  } catch (error) {
    throw asReadError(receipts, error);
  }
  return describe(verifier.finish());
}

function sizeOfExport(folder: string, receipts: string): number {
  try {
    const parts = ['receipts.jsonl', 'checkpoint', 'root'].filter((name) => !existsSync(join(folder, name)));
    if (parts.length === 3)
      throw notThere(`${folder} is not an export: it has no receipts.jsonl, checkpoint and root.`);
    return fileSize(receipts);
  } catch (error) {
    throw asReadError(receipts, error);
  }
}

function describe({ verdict, seed, size, firstBroken, continuesHeld }: Verdict): PathVerdict {
  const held = continuesHeld === true ? ' They continue the checkpoint that you kept.' : '';
  const says = {
    proven: `Proven: ${size} receipts of seed ${seed}, none changed, missing or added.${held}`,
    consistent: `Consistent: ${size} receipts of seed ${seed} fit together.${held} Where they come from is not proven; name the root of trust with --root.`,
    broken: `Broken: ${firstBroken?.message ?? ''} (${firstBroken?.problem ?? 'unknown'})`,
  }[verdict];
  return { verdict, seed, size, broken: firstBroken, continues_checkpoint: continuesHeld, says };
}

/** A proof carries no root of trust: it is proven by the pinned one, or not at all. */
function verifyProofFile(path: string, pinnedRoot: string | undefined, { root, checkpoint }: VerifyFiles): PathVerdict {
  const text = readSmall(path);
  if (checkpoint !== undefined) {
    throw new SeedError('invalid_input', 'A proof of one receipt cannot show that the log continues a checkpoint.', {
      hint: 'Leave --checkpoint out, or verify an export with it.',
      data: { argument: 'checkpoint' },
    });
  }
  if (pinnedRoot === undefined || root === undefined) {
    throw new SeedError('invalid_input', 'A proof is verified against a root of trust.', {
      hint: 'Name it with --root FILE: root/1.json of the home or of an export, as you got it from elsewhere.',
      data: { argument: 'root' },
    });
  }
  try {
    const { receipt, size } = verifyProof(text, { roots: [pinnedRoot], pinnedRoot, sha: fastSha256 });
    const says = `Proven: receipt ${receipt.seq} (${receipt.action}, ${receipt.outcome}, ${receipt.time}) stands in the log of seed ${receipt.seed}, among ${size}.`;
    return { verdict: 'proven', seed: receipt.seed, size, broken: null, continues_checkpoint: null, says };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return {
      verdict: 'broken',
      seed: null,
      size: 0,
      broken: null,
      continues_checkpoint: null,
      says: `Broken: ${error.message} (${error.code})`,
    };
  }
}
