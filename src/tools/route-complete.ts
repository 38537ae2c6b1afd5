import * as z from 'zod';
import { ON_DEMAND } from '../mind/router/dispatch.ts';
import { defineTool } from './define.ts';
import { CallView, isFailedCall, REQUEST_FIELDS, sayCall, toRequest, viewCall, WaitMs } from './route-schema.ts';

export const routeComplete = defineTool({
  name: 'route_complete',
  title: 'Ask another model within the owner’s budget',
  description:
    'Use when another model should answer something. Policy picks the model for the role, fails over along its list, and stops at the owner’s ceilings before anything is spent. The work goes on if you stop waiting: fetch it with route_result.',
  scope: 'route.complete',
  surface: 'daily',
  access: 'write',
  input: z.strictObject({
    ...REQUEST_FIELDS,
    wait_ms: WaitMs,
    cancel_with_client: z.boolean().default(false).describe('Stop the work when you stop waiting'),
  }),
  output: CallView,
  isError: isFailedCall,
  handler: async (input, { actor, mind, signal }) => {
    const { wait_ms: waitMs, cancel_with_client: cancelWithClient, idempotency_key, traceparent } = input;
    const asker = {
      actor,
      dispatch: ON_DEMAND,
      idempotencyKey: idempotency_key ?? null,
      traceparent: traceparent ?? null,
    };
    const report = await mind.router.complete(toRequest(input), asker, { waitMs, signal });
    if (cancelWithClient && signal.aborted && report.outcome.status === 'running') {
      return viewCall(await mind.router.result(report.id, actor, { cancel: true, waitMs: 0, signal }));
    }
    return viewCall(report);
  },
  text: sayCall,
});
