import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { eraseContent } from '../substrate/content.ts';
import { getReceipt } from '../substrate/receipts/query.ts';
import { defineTool } from './define.ts';
import { Seq } from './receipt-schema.ts';

export const receiptErase = defineTool({
  name: 'receipt_erase',
  title: 'Erase the content of a receipt',
  description: 'Use when the text that a receipt stands for must go. The receipt itself stays and still verifies.',
  scope: 'content.erase',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({ seq: Seq }),
  output: z.object({ receipt: z.int(), erased: z.int() }),
  handler: async ({ seq }, { substrate, actor }) => {
    const { value: erased, seq: receipt } = await substrate.operate({ action: 'receipt.erase', actor }, async (op) => {
      op.receipt({ subject: { type: 'receipt', id: String(seq) } });
      const { input, output } = await getReceipt(op, seq);
      const count = await eraseContent(
        op,
        [input, output].filter((hash) => hash !== null),
      );
      if (count === 0) {
        throw new SeedError('content_erased', `Receipt ${seq} has no content, or it was erased before.`, {
          hint: 'There is nothing left to do.',
        });
      }
      op.receipt({ detail: { pieces: count } });
      return count;
    });
    await substrate.scrub();
    return { receipt, erased };
  },
});
