import * as z from 'zod';
import { handoffOf } from '../substrate/sessions/handoffs.ts';
import { defineTool } from './define.ts';
import { HandoffView, sayPackage, viewHandoff } from './handoff-view.ts';
import { HandoffId } from './session-schema.ts';

export const handoffShow = defineTool({
  name: 'handoff_show',
  title: 'One handoff, with its package',
  description: 'Use when you want to read what was handed over.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ handoff: HandoffId }),
  output: HandoffView.extend({
    package: z.record(z.string(), z.unknown()),
    package_hash: z.string(),
    narrative: z.string(),
    redeemer: z.string().nullable(),
    epoch: z.int().nullable().describe('That the redemption gave'),
  }),
  handler: async ({ handoff: id }, { substrate }) => {
    const handoff = await substrate.read((db) => handoffOf(db, id));
    return {
      ...viewHandoff(handoff, substrate.sources.now()),
      package: { ...handoff.package },
      package_hash: handoff.packageHash,
      narrative: sayPackage(handoff.package),
      redeemer: handoff.redeemer,
      epoch: handoff.redeemedEpoch,
    };
  },
});
