import * as z from 'zod';
import { eraseNow } from '../substrate/memory/memory.ts';
import { memoryNr } from '../substrate/memory/model.ts';
import { defineTool } from './define.ts';
import { MemoryId } from './memory-view.ts';

export const memoryErase = defineTool({
  name: 'memory_erase',
  title: 'Erase a memory for good',
  description: 'Use when a memory must be gone from the disk now. Its receipts stay and still verify.',
  scope: 'content.erase',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ id: MemoryId }),
  output: z.object({ id: z.string(), receipt: z.int() }),
  handler: async ({ id }, { actor, substrate }) => {
    const { seq } = await eraseNow(substrate, actor, memoryNr(id));
    return { id, receipt: seq };
  },
});
