import * as z from 'zod';
import { demote, promote } from '../mind/coherence/acts.ts';
import { STAGES } from '../substrate/coherence/subsystems.ts';
import { SubsystemName } from '../substrate/tasks/model.ts';
import { defineTool } from './define.ts';

const input = z.strictObject({ subsystem: SubsystemName });
const output = z.object({ subsystem: z.string(), stage: z.enum(STAGES), receipt: z.int() });

export const coherencePromote = defineTool({
  name: 'coherence_promote',
  title: 'Let coherence go further',
  description: 'Use when coherence has shown that it is right about a subsystem. It is refused until that is measured.',
  scope: 'coherence.decide',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input,
  output,
  handler: async ({ subsystem }, { substrate, actor }) => ({
    subsystem,
    ...(await promote(substrate, { subsystem, actor })),
  }),
});

export const coherenceDemote = defineTool({
  name: 'coherence_demote',
  title: 'Hold coherence back',
  description: 'Use when coherence should do less about a subsystem; a pause that it holds ends at once.',
  scope: 'coherence.decide',
  surface: 'owner',
  access: 'write',
  input,
  output,
  handler: async ({ subsystem }, { substrate, actor }) => ({
    subsystem,
    ...(await demote(substrate, { subsystem, actor })),
  }),
});
