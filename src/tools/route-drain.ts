import * as z from 'zod';
import { defineTool } from './define.ts';
import { CallView, viewCall } from './route-schema.ts';

export const routeDrain = defineTool({
  name: 'route_drain',
  title: 'Take up the queued tier-1 work now',
  description: 'Use when the work that waits for the drain should be done now, within the ceilings.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({ limit: z.int().min(1).max(1_000).default(100) }),
  output: z.object({ calls: z.array(CallView) }),
  handler: async ({ limit }, { mind, signal, progress }) => ({
    calls: (await mind.drain({ limit, signal, onCall: (done) => progress({ done, total: limit, what: 'calls' }) })).map(
      viewCall,
    ),
  }),
});
