import * as z from 'zod';
import { getContent } from '../substrate/content.ts';
import { getReceipt } from '../substrate/receipts/query.ts';
import { defineTool } from './define.ts';
import { ReceiptView, receiptBlock, Seq } from './receipt-schema.ts';
import { lines } from './text.ts';

/** Text longer than this is cut in an answer; the whole is in the store. */
const TEXT_CHARS_MAX = 20_000;

const Content = z
  .object({ text: z.string(), cut: z.boolean() })
  .nullable()
  .describe('What the hash stands for; null when there is none, it was erased, or you may not read it');

function content(name: string, shown: z.infer<typeof Content>): string {
  return shown === null ? '' : `${name}, as it was${shown.cut ? ' (the beginning)' : ''}:\n${shown.text}`;
}

export const receiptGet = defineTool({
  name: 'receipt_get',
  title: 'Read one receipt',
  description: 'Use when you have a receipt number and want to know exactly what it records.',
  scope: 'receipt.read',
  surface: 'daily',
  access: 'read',
  subject: ({ seq }) => ({ type: 'receipt', id: String(seq) }),
  input: z.strictObject({ seq: Seq.describe('The receipt number') }),
  output: z.object({ receipt: ReceiptView, input: Content, output: Content }),
  text: ({ receipt, input, output }) =>
    lines(receiptBlock(receipt), content('input', input), content('output', output)),
  handler: async ({ seq }, { substrate, actor }) => {
    const mayRead = actor.scopes.has('content.read');
    return substrate.read(async (db) => {
      const receipt = await getReceipt(db, seq);
      const show = async (hash: string | null): Promise<z.infer<typeof Content>> => {
        const body = hash === null || !mayRead ? null : await getContent(db, hash);
        if (body === null) return null;
        const text = Buffer.from(body).toString('utf8');
        return { text: text.slice(0, TEXT_CHARS_MAX), cut: text.length > TEXT_CHARS_MAX };
      };
      const [input, output] = [await show(receipt.input), await show(receipt.output)];
      return { receipt: receipt as z.infer<typeof ReceiptView>, input, output };
    });
  },
});
