/**
 * Writes the log to a folder that anybody can verify without this software.
 *
 * The folder appears under its name when it is complete. Pages keep memory constant and let others
 * work in between; the log only grows, so the pages belong together.
 */
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { basename, dirname, join, resolve } from 'node:path';
import { SeedError } from '../../errors.ts';
import { verifierKey } from '../../formats/note.ts';
import { originOf } from '../../formats/checkpoint.ts';
import { makeFolders, syncFolder } from '../home/files.ts';
import type { SubstrateReader } from '../substrate.ts';
import { getReceiptLines } from './query.ts';

const PAGE_ROWS = 500;

export interface ExportRequest {
  readonly out: string;
  /** Receipts to write: all below this number. */
  readonly size: number;
  /** The checkpoint that covers exactly those. */
  readonly checkpoint: string;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number) => void;
}

type Source = Pick<SubstrateReader, 'read' | 'root' | 'rootFiles' | 'seed'>;

/**
 * Writes `receipts.jsonl`, `checkpoint`, `root/` and `README.txt` into `out`, fsynced.
 *
 * @throws SeedError `conflict` when `out` holds something, `interrupted` when `signal` fires,
 *   `disk_full`; nothing is left behind then
 */
export async function exportLog(source: Source, request: ExportRequest): Promise<void> {
  const out = resolve(request.out);
  await assertFree(out);
  const draft = join(dirname(out), `.${basename(out)}.partial`);
  try {
    // Left by a process that was killed over it.
    await rm(draft, { recursive: true, force: true });
    makeFolders(join(draft, 'root'), 0o755);
    await writeReceipts(source, join(draft, 'receipts.jsonl'), request);
    await writeSmall(join(draft, 'checkpoint'), request.checkpoint);
    for (const [index, text] of source.rootFiles.entries())
      await writeSmall(join(draft, 'root', `${index + 1}.json`), text);
    await writeSmall(join(draft, 'README.txt'), readme(source, request));
    for (const folder of [join(draft, 'root'), draft]) syncFolder(folder);
    await rmdir(out).catch(() => {});
    await rename(draft, out);
    syncFolder(dirname(out));
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw asExportError(out, error);
  }
}

/** @throws SeedError `conflict` unless nothing, or an empty folder, has that name */
export async function assertFree(out: string): Promise<void> {
  const names = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw taken(out);
  });
  if (names.length > 0) throw taken(out);
}

function taken(out: string): SeedError {
  return new SeedError('conflict', `${out} is there already and is not an empty folder.`, {
    hint: 'Name a folder that does not exist yet.',
  });
}

async function writeReceipts(source: Source, path: string, { size, signal, onProgress }: ExportRequest): Promise<void> {
  const file = createWriteStream(path, { mode: 0o600, flush: true });
  // Errors between two writes must not be thrown where nobody listens.
  const failed = new Promise<never>((_resolve, reject) => file.once('error', reject));
  failed.catch(() => {});
  try {
    await writePages();
    file.end();
    await Promise.race([once(file, 'close'), failed]);
  } finally {
    file.destroy();
  }

  async function writePages(): Promise<void> {
    for (let done = 0; done < size; ) {
      if (signal.aborted) throw interrupted();
      const from = done;
      const lines = await source.read((db) => getReceiptLines(db, from, Math.min(PAGE_ROWS, size - from)));
      if (lines.length === 0)
        throw new SeedError('store_corrupt', `Receipt ${done} is missing.`, { hint: 'Run `seed doctor`.' });
      if (!file.write(`${lines.join('\n')}\n`)) await Promise.race([once(file, 'drain'), failed]);
      done += lines.length;
      onProgress(done);
    }
  }
}

async function writeSmall(path: string, content: string): Promise<void> {
  await writeFile(path, content, { flush: true });
}

function interrupted(): SeedError {
  return new SeedError('interrupted', 'The export was stopped before it was complete.', {
    hint: 'Nothing was left behind; start it again.',
  });
}

function asExportError(out: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof SeedError || code === '') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SeedError('disk_full', `There is no space left for ${out}.`, {
      hint: 'Free some space; nothing was left behind.',
      cause: error,
    });
  }
  return new SeedError('home_unwritable', `The export cannot be written to ${out} (${code}).`, {
    hint: 'Choose a folder that you may write.',
    cause: error,
  });
}

function readme({ seed, root }: Source, { size }: ExportRequest): string {
  const keys = root.logKeys.map((key) => `  ${verifierKey(originOf(seed), key)}`).join('\n');
  return `Receipts of the seed ${seed}, ${size} of them.

What is here
  receipts.jsonl  one receipt a line, byte for byte as it was stored and hashed
  checkpoint      a signed note over all of them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)
  root/           the root of trust: which keys this seed signs with

To verify with the seed's own program
  seed receipts verify . --root FILE
where FILE is root/1.json as you got it earlier and from elsewhere. Without it the receipts can be
shown to fit together, not where they come from.

To verify without it
  1. Each line's "seq" counts from 0, and its "prev" is the SHA-256 (hex) of the line before,
     without the newline; the first line's is 64 zeros.
  2. The Merkle tree hash of all lines (RFC 6962, section 2.1: a leaf is SHA-256 of a zero byte and
     the line) is the third line of the checkpoint, in base64; the second is the number of lines.
  3. The last line of the checkpoint ends in base64: 4 bytes of key id, then an Ed25519 signature of
     everything above the empty line. Base64 of root/1.json's signed.keys.log[].public is the key.
     The key as Go's sumdb/note takes it:
${keys}
  4. In root/1.json, "seed" is the SHA-256 (hex) of "signed" without "seed" and without white
     space, keys sorted (RFC 8785), and "signatures" sign "signed" with a key of signed.keys.root.
`;
}
