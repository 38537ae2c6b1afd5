import * as z from 'zod';
import { OUTCOMES } from '../formats/receipt.ts';
import { listReceipts } from '../substrate/receipts/query.ts';
import { defineTool } from './define.ts';
import { receiptLine, ReceiptView, Seq, SeqOrTime } from './receipt-schema.ts';
import { lines, more } from './text.ts';

export const receiptList = defineTool({
  name: 'receipt_list',
  title: 'List receipts',
  description:
    'Use when you need to see what was done here, by whom, and what came of it. Newest first; narrow it with the filters. A page can be empty before the end: go on while there is a next_cursor.',
  scope: 'receipt.read',
  surface: 'full',
  access: 'read',
  input: z.strictObject({
    from: SeqOrTime.optional().describe('Lowest receipt number, or earliest time'),
    to: SeqOrTime.optional().describe('Highest receipt number, or latest time'),
    actor: z.string().min(1).max(200).optional(),
    action: z.string().min(1).max(200).optional().describe('Such as receipt.note'),
    outcome: z.enum(OUTCOMES).optional(),
    order: z.enum(['newest', 'oldest']).default('newest'),
    limit: z.int().min(1).max(200).default(20),
    cursor: Seq.optional().describe('next_cursor of the page before'),
  }),
  output: z.object({ receipts: z.array(ReceiptView), next_cursor: z.int().nullable() }),
  text: ({ receipts, next_cursor: next }) =>
    lines(receipts.length === 0 ? 'No receipts on this page.' : '', ...receipts.map(receiptLine), more(next)),
  handler: async ({ limit, cursor, order, ...filter }, { substrate }) => {
    const page = await substrate.read((db) => listReceipts(db, filter, { limit, order, after: cursor ?? null }));
    return { receipts: page.receipts as z.infer<typeof ReceiptView>[], next_cursor: page.next };
  },
});
