import * as z from 'zod';
import { listMemories, withThreads } from '../substrate/memory/look.ts';
import { memoryId, memoryNr } from '../substrate/memory/model.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { MemoryId, MemoryView, Space, viewMemory } from './memory-view.ts';

const PAGE_ROWS = 200;
/** A page ends with the memory that exceeds this. */
const PAGE_BYTES = 1024 * 1024;

export const memoryExport = defineTool({
  name: 'memory_export',
  title: 'Export memories',
  description: 'Use when memories should be kept or read elsewhere. The first page leaves the receipt of it all.',
  scope: 'memory.export',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ space: Space.optional(), cursor: MemoryId.optional() }),
  output: z.object({
    memories: z.array(MemoryView.extend({ thread: z.string() })),
    next_cursor: z.string().nullable(),
    receipt: z.int().nullable().describe('Of the export; with its first page'),
  }),
  handler: async ({ space, cursor }, { actor, substrate }) => {
    const page = await substrate.read(async (db) => {
      const beyond = cursor === undefined ? null : memoryNr(cursor);
      const rows = await listMemories(db, actor, { space, beyond, limit: PAGE_ROWS });
      let bytes = 0;
      const fits = rows.filter((row, index) => {
        bytes += row.text.length;
        return index === 0 || bytes <= PAGE_BYTES;
      });
      const last = fits.length < rows.length || rows.length === PAGE_ROWS ? fits.at(-1) : undefined;
      const memories = (await withThreads(db, fits)).map(({ memory, thread }) => ({
        ...viewMemory(memory, actor),
        // What one writer wrote on one day stays together elsewhere too.
        thread: thread ?? `${memory.writer_name}/${isoTime(memory.written_at).slice(0, 10)}`,
      }));
      return { memories, next_cursor: last === undefined ? null : memoryId(last.nr) };
    });
    if (cursor !== undefined) return { ...page, receipt: null };
    const { seq } = await substrate.operate({ action: 'memory.export', actor }, async (op) => {
      op.receipt({ detail: { space: space ?? null } });
    });
    return { ...page, receipt: seq };
  },
});
