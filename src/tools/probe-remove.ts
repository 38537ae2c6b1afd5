import * as z from 'zod';
import { ProbeName } from '../substrate/probes/model.ts';
import { removeProbe } from '../substrate/probes/probes.ts';
import { defineTool } from './define.ts';

export const probeRemove = defineTool({
  name: 'probe_remove',
  title: 'Stop watching work outside the seed',
  description: 'Use when a probe is not needed any more; what it saw is forgotten.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ name: ProbeName }),
  output: z.object({ name: z.string(), receipt: z.int() }),
  handler: async ({ name }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'probe.remove', actor }, async (op) => {
      op.receipt({ subject: { type: 'subsystem', id: name } });
      await removeProbe(op, name);
    });
    return { name, receipt: seq };
  },
});
