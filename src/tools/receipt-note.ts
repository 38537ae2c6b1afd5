import * as z from 'zod';
import { putContent } from '../substrate/content.ts';
import { defineTool } from './define.ts';

/** What the seed itself does is named with these: a note must not look like it. */
const OWN_NOUNS =
  /^(?:agent|bus|coherence|config|credential|gateway|group|handoff|key|log|membrane|memory|mind|notice|notifier|policy|probe|receipt|request|route|schedule|seed|session|store|target|task|tool|worker)\./;

const Name = z
  .string()
  .regex(/^[a-z_]+\.[a-z_.]+$/, 'a name such as deploy.finished')
  .max(100)
  .refine((name) => !OWN_NOUNS.test(name), 'a name that the seed does not use itself, such as deploy.finished');

export const receiptNote = defineTool({
  name: 'receipt_note',
  title: 'Note something done elsewhere',
  description:
    'Use when you did something outside this seed that should be on record. The receipt says "claimed": that you said so, not that it happened. The text is kept beside the receipt and can be erased.',
  scope: 'receipt.note',
  surface: 'full',
  access: 'write',
  input: z.strictObject({
    text: z.string().min(1).max(100_000),
    action: Name.default('note.claim').describe('What kind of thing it was'),
  }),
  output: z.object({ receipt: z.int() }),
  text: ({ receipt }) => `On record as receipt ${receipt}, as claimed by you.`,
  handler: async ({ text, action }, { substrate, actor }) => {
    const { seq } = await substrate.operate({ action, actor }, async (op) => {
      const input = await putContent(op, Buffer.from(text), { sources: substrate.sources });
      op.receipt({ outcome: 'claimed', input });
    });
    return { receipt: seq };
  },
});
