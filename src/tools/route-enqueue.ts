import * as z from 'zod';
import { ON_DEMAND } from '../mind/router/dispatch.ts';
import { defineTool } from './define.ts';
import { REQUEST_FIELDS, toRequest } from './route-schema.ts';

const AS = { as: 'route_complete' };
const { messages, tools, stop, traceparent, ...others } = REQUEST_FIELDS;
/** What takes many words is spelled out there. */
const referred = {
  messages: messages.meta(AS),
  tools: tools.meta(AS),
  stop: stop.meta(AS),
  traceparent: traceparent.meta(AS),
};

export const routeEnqueue = defineTool({
  name: 'route_enqueue',
  title: 'Leave work for the strongest model',
  description:
    'Use when something is worth the tier-1 model and can wait: it is taken up by the drain, on the owner’s schedule. Fetch the answer with route_result.',
  scope: 'route.enqueue',
  surface: 'full',
  access: 'write',
  input: z.strictObject({ ...others, ...referred }),
  output: z.object({ id: z.string(), receipt: z.int(), waiting: z.int().describe('How much waits, this included') }),
  handler: async (input, { actor, mind }) =>
    mind.router.enqueue(toRequest(input), {
      actor,
      dispatch: ON_DEMAND,
      idempotencyKey: input.idempotency_key ?? null,
      traceparent: input.traceparent ?? null,
    }),
  text: ({ id, waiting }) => `Queued as ${id}; ${waiting} wait for the drain.`,
});
