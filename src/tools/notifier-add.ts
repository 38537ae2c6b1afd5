import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { receiptEffect } from '../substrate/effect.ts';
import { DESKTOP, NotifierCommand, readNotifiers, writeNotifier } from '../substrate/home/notifiers.ts';
import { defineTool } from './define.ts';
import { NotifierName } from './notifier-schema.ts';

export const notifierAdd = defineTool({
  name: 'notifier_add',
  title: 'Keep a notifier',
  description: 'Use when a command should tell you of things; the policy says of which.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({ name: NotifierName, command: NotifierCommand }),
  output: z.object({ name: z.string(), command: z.array(z.string()), replaced: z.boolean(), receipt: z.int() }),
  handler: async ({ name, command }, { actor, substrate }) => {
    if (name === DESKTOP) {
      throw new SeedError('invalid_input', `${DESKTOP} is the desktop’s own notification.`, {
        hint: 'Choose another name for a command of yours.',
        data: { argument: 'name' },
      });
    }
    const replaced = readNotifiers(substrate.home).has(name);
    // An argument may be a secret, such as an address that whoever knows it can write to.
    const detail = { program: command[0] ?? '', arguments: command.length - 1, replaced: replaced ? 'yes' : 'no' };
    const subject = { type: 'notifier', id: name };
    const receipt = await receiptEffect(substrate, { action: 'notifier.add', actor, subject, detail }, () =>
      writeNotifier(substrate.home, name, command),
    );
    return { name, command: [...command], replaced, receipt };
  },
});
