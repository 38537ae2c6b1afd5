import * as z from 'zod';
import { defineTool } from './define.ts';

export const receiptCheckpoint = defineTool({
  name: 'receipt_checkpoint',
  title: 'Read the newest checkpoint',
  description:
    'Use when you want to keep proof of the log as it stands now: a signed note that covers every receipt so far.',
  scope: 'receipt.read',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ checkpoint: z.string(), size: z.int() }),
  handler: async (_input, { substrate }) => {
    const { checkpoint, size } = await substrate.log();
    return { checkpoint, size };
  },
});
