/** Writes a session to a file of its own; see `import/seed-file.ts` for its form. */
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import { SeedError } from '../../errors.ts';
import type { Session } from '../../substrate/sessions/model.ts';
import { listMessages } from '../../substrate/sessions/messages.ts';
import { isoTime } from '../../substrate/sources.ts';
import type { SubstrateReader } from '../../substrate/substrate.ts';
import { headerText } from './import/seed-file.ts';

/** Messages read at once; each may have four mebibytes. */
const PAGE = 16;

export interface ExportOptions {
  /** Absolute; nothing may be there yet. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number) => void;
}

/** Writes the session as it stands; what is added to it meanwhile is not in the file. @throws SeedError `conflict` */
export async function exportSession(
  substrate: SubstrateReader,
  session: Session,
  { out, signal, onProgress }: ExportOptions,
): Promise<void> {
  const file = await create(out);
  try {
    await file.appendFile(`${headerText(session, { seed: substrate.seed, time: isoTime })}\n`);
    for (let from = 0; from < session.length; from += PAGE) {
      if (signal.aborted) throw new SeedError('interrupted', 'The export was stopped.', { hint: 'Run it again.' });
      const limit = Math.min(PAGE, session.length - from);
      const messages = await substrate.read((db) => listMessages(db, session.id, { from, limit }));
      await file.appendFile(messages.map(({ body }) => `${body}\n`).join(''));
      onProgress(from + messages.length);
    }
    await file.sync();
    await file.close();
  } catch (error) {
    await file.close().catch(() => {});
    await rm(out, { force: true });
    throw error;
  }
}

/** A new file, for its owner alone: a transcript may hold anything. */
async function create(out: string): Promise<FileHandle> {
  try {
    return await open(out, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'is there already' : `cannot be written (${code ?? 'unknown'})`;
    throw new SeedError('conflict', `The file ${out} ${why}.`, {
      hint: 'Name a new file in a folder that is there.',
      data: { argument: 'out' },
    });
  }
}
