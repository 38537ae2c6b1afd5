import * as z from 'zod';
import { pickOne } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import {
  CallView,
  isFailedCall,
  Messages,
  REQUEST_FIELDS,
  sayCall,
  toRequest,
  viewCall,
  WaitMs,
} from './route-schema.ts';
import { Epoch, SessionId } from './session-schema.ts';
import { lines } from './text.ts';

const { role, tools, max_output_tokens, stop, labels, traceparent, idempotency_key } = REQUEST_FIELDS;

/** Spelled out there. */
const AS = { as: 'route_complete' };

const Output = CallView.extend({
  session_id: z.string(),
  epoch: z.int(),
  length: z.int().describe('Messages in the transcript'),
  joined: z.boolean().describe('A step under way or made before was joined: your messages were not added'),
});

export const sessionStep = defineTool({
  name: 'session_step',
  title: 'Let a model take the next turn of a session',
  description:
    'Use when a session should go on: adds your messages, asks a model about the whole transcript, and adds its answer. Tool calls in the answer are yours to carry out: bring the results as messages of the next step. After a crash or "running", call it again: it joins what is under way.',
  scope: 'route.complete',
  surface: 'full',
  access: 'write',
  input: z.strictObject({
    session_id: SessionId.optional(),
    role,
    messages: Messages.default([]).meta(AS),
    tools: tools.meta(AS),
    max_output_tokens,
    stop: stop.meta(AS),
    labels: labels.meta(AS),
    epoch: Epoch,
    traceparent: traceparent.meta(AS),
    idempotency_key,
    wait_ms: WaitMs,
  }),
  output: Output,
  isError: isFailedCall,
  text: (view) =>
    lines(
      sayCall(view).replaceAll(`route_result ${view.id}`, 'session_step'),
      `[Session ${view.session_id}, epoch ${view.epoch}, ${view.length} messages${view.joined ? '; joined: your messages were not added' : ''}.]`,
    ),
  handler: async (input, { actor, mind, substrate, signal }) => {
    const { session_id: named, epoch = null, wait_ms: waitMs, ...asked } = input;
    const id = await substrate.read((db) => pickOne(db, actor, named));
    const key = asked.idempotency_key ?? null;
    const step = { session: id, epoch, request: toRequest(asked), key, traceparent: asked.traceparent ?? null };
    const { session, call, joined } = await mind.steps.step(step, actor, { waitMs, signal });
    return { ...viewCall(call), session_id: id, epoch: session.epoch, length: session.length, joined };
  },
});
