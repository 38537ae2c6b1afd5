import * as z from 'zod';
import { receiptEffect } from '../substrate/effect.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { NotifierName } from './notifier-schema.ts';

export const notifierTest = defineTool({
  name: 'notifier_test',
  title: 'Try a notifier',
  description: 'Use when you want to see whether a notifier reaches you.',
  scope: null,
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ name: NotifierName }),
  output: z.object({ name: z.string(), receipt: z.int() }),
  handler: async ({ name }, { actor, substrate, notifiers, signal }) => {
    const time = isoTime(substrate.sources.now());
    const says = 'This is a test: your seed can tell you of things.';
    const told = { v: 1, seed: substrate.seed, event: 'test', says, todo: '', time } as const;
    const options = { action: 'notifier.test', actor, subject: { type: 'notifier', id: name }, detail: {} };
    const receipt = await receiptEffect(substrate, options, () => notifiers.tell(name, told, signal));
    return { name, receipt };
  },
});
