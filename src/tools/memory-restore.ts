import * as z from 'zod';
import { restore } from '../substrate/memory/memory.ts';
import { memoryNr } from '../substrate/memory/model.ts';
import { defineTool } from './define.ts';
import { MemoryId } from './memory-view.ts';

export const memoryRestore = defineTool({
  name: 'memory_restore',
  title: 'Restore what was forgotten',
  description: 'Use when something should not have been forgotten and its 7 days are not over.',
  scope: 'memory.restore',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ id: MemoryId }),
  output: z.object({ id: z.string(), receipt: z.int() }),
  handler: async ({ id }, { actor, substrate }) => {
    const { seq } = await restore(substrate, actor, memoryNr(id));
    return { id, receipt: seq };
  },
});
