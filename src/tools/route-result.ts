import * as z from 'zod';
import { defineTool } from './define.ts';
import { CallView, isFailedCall, sayCall, viewCall, WaitMs } from './route-schema.ts';

export const routeResult = defineTool({
  name: 'route_result',
  title: 'Fetch the answer of another model',
  description:
    'Use when route_complete or route_enqueue gave you an id and the answer is still to come. Shows the text so far while it runs; that text is provisional.',
  scope: 'route.complete',
  surface: 'daily',
  access: 'read',
  input: z.strictObject({ id: z.string().max(64), wait_ms: WaitMs }),
  output: CallView,
  subject: ({ id }) => ({ type: 'call', id }),
  isError: isFailedCall,
  handler: async ({ id, wait_ms: waitMs }, { actor, mind, signal }) =>
    viewCall(await mind.router.result(id, actor, { waitMs, signal })),
  text: sayCall,
});
