import * as z from 'zod';
import { listMemories } from '../substrate/memory/look.ts';
import { memoryId, memoryNr } from '../substrate/memory/model.ts';
import { listSpaces } from '../substrate/memory/spaces.ts';
import { defineTool } from './define.ts';
import { Kind, MemoryId, MemoryView, Space, Subject, viewMemory } from './memory-view.ts';

const BRIEF_CHARS = 200;

export const memoryList = defineTool({
  name: 'memory_list',
  title: 'List memories',
  description: 'Use when you want to see what is remembered, or what was forgotten and can still be restored.',
  scope: 'memory.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({
    space: Space.optional(),
    kind: Kind.optional(),
    subject: Subject.optional(),
    forgotten: z.boolean().default(false),
    limit: z.int().min(1).max(200).default(50),
    cursor: MemoryId.optional(),
  }),
  output: z.object({
    memories: z.array(MemoryView),
    spaces: z.array(z.object({ name: z.string(), memories: z.int() })),
    next_cursor: z.string().nullable(),
  }),
  handler: async ({ limit, cursor, ...wanted }, { actor, substrate }) =>
    substrate.read(async (db) => {
      const beyond = cursor === undefined ? null : memoryNr(cursor);
      const rows = await listMemories(db, actor, { ...wanted, beyond, newestFirst: true, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return {
        memories: page.map((row) => viewMemory(row, actor, row.text.slice(0, BRIEF_CHARS))),
        spaces: (await listSpaces(db)).map(({ name, records }) => ({ name, memories: records })),
        next_cursor: last === undefined ? null : memoryId(last.nr),
      };
    }),
});
