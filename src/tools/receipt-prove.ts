import * as z from 'zod';
import { proveReceipt } from '../substrate/receipts/prove.ts';
import { defineTool } from './define.ts';
import { Seq } from './receipt-schema.ts';

export const receiptProve = defineTool({
  name: 'receipt_prove',
  title: 'Prove one receipt',
  description: 'Use when somebody else should be able to check, offline, that one receipt stands in the log.',
  scope: 'receipt.read',
  surface: 'full',
  access: 'read',
  subject: ({ seq }) => ({ type: 'receipt', id: String(seq) }),
  input: z.strictObject({ seq: Seq }),
  output: z.object({ proof: z.string().describe('A C2SP tlog-proof') }),
  text: ({ proof }) => proof,
  handler: async ({ seq }, { substrate }) => ({ proof: await substrate.read((db) => proveReceipt(db, seq)) }),
});
