/** What the tools for notifiers have in common. */
import * as z from 'zod';
import { NOTIFIER_NAME, NOTIFIER_NAME_RULE } from '../substrate/home/notifiers.ts';

export const NotifierName: z.ZodString = z.string().regex(NOTIFIER_NAME, NOTIFIER_NAME_RULE);
