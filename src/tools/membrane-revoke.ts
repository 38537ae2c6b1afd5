import * as z from 'zod';
import { defineTool } from './define.ts';
import { counted } from './text.ts';

export const membraneRevoke = defineTool({
  name: 'membrane_revoke',
  title: 'Shut a helper out',
  description: 'Use when a key that was registered under yours should stop working, now, with everything under it.',
  scope: 'membrane.revoke',
  surface: 'full',
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({ key: z.string().min(1).max(64).describe('Its id or name') }),
  output: z.object({ removed: z.int(), cut: z.int(), receipt: z.int() }),
  text: ({ removed, cut, receipt }) =>
    `Shut out: ${counted(removed, 'key')} removed, ${counted(cut, 'open connection')} cut (receipt ${receipt}).`,
  handler: async ({ key }, { actor, keys, own }) => {
    const grant = await keys.find(actor, 'http', key);
    const { removed, cut, receipt } = await keys.revoke(actor, 'membrane.revoke', grant, own);
    return { removed: removed.length, cut, receipt };
  },
});
