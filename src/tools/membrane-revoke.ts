import * as z from 'zod';
import { defineTool } from './define.ts';

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
  handler: async ({ key }, { actor, keys }) => {
    const { removed, cut, receipt } = await keys.revoke(actor, 'membrane.revoke', await keys.find('http', key));
    return { removed: removed.length, cut, receipt };
  },
});
