import * as z from 'zod';
import { getMemory, neighboursOf } from '../substrate/memory/look.ts';
import { memoryNr } from '../substrate/memory/model.ts';
import { defineTool } from './define.ts';
import { memoryBlock, MemoryId, MemoryView, viewMemory } from './memory-view.ts';
import { lines } from './text.ts';

export const memoryGet = defineTool({
  name: 'memory_get',
  title: 'Read one memory',
  description: 'Use when you want a memory whole, where it comes from, or what was written before and after it.',
  scope: 'memory.read:SPACE',
  surface: 'full',
  access: 'read',
  subject: ({ id }) => ({ type: 'memory', id }),
  input: z.strictObject({ id: MemoryId, neighbours: z.int().min(0).max(10).default(0) }),
  output: z.object({ memory: MemoryView, before: z.array(MemoryView), after: z.array(MemoryView) }),
  text: ({ memory, before, after }) => {
    const { source, receipt, supersedes } = memory;
    return lines(
      ...before.map(memoryBlock),
      memoryBlock(memory),
      source === undefined ? '' : `Source: ${source}.`,
      supersedes === undefined ? '' : `It took the place of ${supersedes}.`,
      `Receipt ${receipt}.`,
      ...after.map(memoryBlock),
    );
  },
  handler: async ({ id, neighbours }, { actor, substrate }) =>
    substrate.read(async (db) => {
      const memory = await getMemory(db, actor, memoryNr(id));
      const { before, after } = await neighboursOf(db, actor, memory, neighbours);
      const view = (one: typeof memory): MemoryView => viewMemory(one, actor);
      return { memory: view(memory), before: before.map(view), after: after.map(view) };
    }),
});
