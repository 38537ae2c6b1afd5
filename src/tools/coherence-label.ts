import * as z from 'zod';
import { label } from '../mind/coherence/acts.ts';
import { STAGES } from '../substrate/coherence/subsystems.ts';
import { defineTool } from './define.ts';

export const coherenceLabel = defineTool({
  name: 'coherence_label',
  title: 'Say whether an alarm was right',
  description: 'Use when you have looked at an alarm: your word on it decides how far coherence may go.',
  scope: 'coherence.decide',
  surface: 'owner',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    alarm: z
      .string()
      .max(17)
      .refine((text) => /^a\d{1,15}$/.test(text), 'the id of an alarm, such as a3'),
    label: z.enum(['right', 'wrong']),
  }),
  output: z.object({
    alarm: z.string(),
    label: z.enum(['right', 'wrong']),
    subsystem: z.string(),
    demoted_to: z.enum(STAGES).nullable(),
    receipt: z.int(),
  }),
  handler: async ({ alarm, label: word }, { substrate, actor }) => {
    const labelled = await label(substrate, { alarm: Number(alarm.slice(1)), label: word, actor });
    const { subsystem, demotedTo, receipt } = labelled;
    return { alarm, label: word, subsystem, demoted_to: demotedTo, receipt };
  },
});
