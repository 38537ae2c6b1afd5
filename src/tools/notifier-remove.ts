import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { receiptEffect } from '../substrate/effect.ts';
import { readNotifiers, writeNotifier } from '../substrate/home/notifiers.ts';
import { readPolicyRows } from '../substrate/policy/rows.ts';
import { defineTool } from './define.ts';
import { NotifierName } from './notifier-schema.ts';

export const notifierRemove = defineTool({
  name: 'notifier_remove',
  title: 'Remove a notifier',
  description: 'Use when a command should tell you of nothing any more.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ name: NotifierName }),
  output: z.object({ name: z.string(), events: z.array(z.string()), receipt: z.int() }),
  handler: async ({ name }, { actor, substrate }) => {
    if (!readNotifiers(substrate.home).has(name)) {
      throw new SeedError('not_found', `There is no notifier ${name}.`, { hint: 'See `seed notify list`.' });
    }
    const { notices } = await substrate.read(readPolicyRows);
    const options = { action: 'notifier.remove', actor, subject: { type: 'notifier', id: name }, detail: {} };
    const receipt = await receiptEffect(substrate, options, () => writeNotifier(substrate.home, name, null));
    const events = notices.filter(({ notifier }) => notifier === name).map(({ event }) => event);
    return { name, events, receipt };
  },
});
