import * as z from 'zod';
import { defineTool } from './define.ts';
import { CallView, sayCall, viewCall } from './route-schema.ts';

/** How long to wait for a cancelled call to be settled, in milliseconds. */
const SETTLE_MS = 10_000;

export const routeCancel = defineTool({
  name: 'route_cancel',
  title: 'Stop a call to another model',
  description: 'Use when an answer is no longer wanted. What it may have cost until now is settled.',
  scope: 'route.complete',
  surface: 'full',
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({ id: z.string().max(64) }),
  output: CallView,
  handler: async ({ id }, { actor, mind, signal }) =>
    viewCall(await mind.router.result(id, actor, { cancel: true, waitMs: SETTLE_MS, signal })),
  text: sayCall,
});
