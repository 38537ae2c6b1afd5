import * as z from 'zod';
import { forget } from '../substrate/memory/memory.ts';
import { memoryNr } from '../substrate/memory/model.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { MemoryId } from './memory-view.ts';

export const memoryForget = defineTool({
  name: 'memory_forget',
  title: 'Forget something',
  description:
    'Use when a memory is wrong or should be gone. Nobody finds it from then on; the owner can restore it for 7 days, then it is erased. To correct one, write with supersedes instead.',
  scope: 'memory.write:SPACE',
  surface: 'daily',
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ id: MemoryId }),
  output: z.object({ id: z.string(), receipt: z.int(), erased_at: z.string() }),
  text: ({ id, receipt, erased_at: at }) => `Forgotten: ${id}; it is erased at ${at}. Receipt ${receipt}.`,
  handler: async ({ id }, { actor, substrate }) => {
    const { value, seq } = await forget(substrate, actor, memoryNr(id));
    return { id, receipt: seq, erased_at: isoTime(value) };
  },
});
