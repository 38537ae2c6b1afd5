import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { toSeedError } from '../errors.ts';
import { assertFree, exportLog } from '../substrate/receipts/export.ts';
import { defineTool } from './define.ts';

export const receiptExport = defineTool({
  name: 'receipt_export',
  title: 'Export the receipts',
  description: 'Use when all receipts should be checked, or kept, on another machine.',
  scope: 'receipt.export',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ out: z.string().min(1).max(4_096).refine(isAbsolute, 'an absolute path') }),
  output: z.object({ out: z.string(), receipts: z.int(), receipt: z.int().nullable() }),
  handler: async ({ out }, { substrate, actor, progress, signal }) => {
    await assertFree(out);
    const write = async (total: number, checkpoint: string): Promise<void> => {
      const onProgress = (done: number): void => progress({ done, total, what: 'receipts' });
      await exportLog(substrate, { out, size: total, checkpoint, signal, onProgress });
    };
    if (substrate.distrust !== null) {
      // Nothing may be written to a log in doubt, and its owner needs a copy all the more.
      const { size, checkpoint } = await substrate.log();
      await write(size, checkpoint);
      return { out, receipts: size, receipt: null };
    }
    // The intent's own receipt is the last one in the export; its outcome says how it went.
    const action = 'receipt.export';
    const intent = await substrate.operate({ action, actor }, async (op) => {
      op.receipt({ outcome: 'intent', detail: { receipts: op.seq + 1 } });
    });
    const settle = (code: string | null) =>
      substrate.operate({ action, actor }, async (op) => {
        op.receipt({ of: intent.seq, outcome: code === null ? 'ok' : 'failed', code });
      });
    try {
      await write(intent.seq + 1, intent.checkpoint);
    } catch (thrown) {
      const error = toSeedError(thrown);
      // Where even that cannot be written, the next start settles it; what went wrong first is said.
      await settle(error.code).catch(() => {});
      throw error;
    }
    await settle(null);
    return { out, receipts: intent.seq + 1, receipt: intent.seq };
  },
});
