/** What the route tools take and give, in the words of an agent. */
import * as z from 'zod';
import type { CompletionRequest } from '../mind/router/request.ts';
import { CallOutcome } from '../mind/router/outcome.ts';
import type { CallReport } from '../mind/router/router.ts';
import { Labels } from '../substrate/ledger/model.ts';
import type { Part } from '../substrate/transcript.ts';
import { Message, MESSAGES_MAX, ToolDefinition } from '../substrate/transcript.ts';
import { acceptPart } from './plain-words.ts';

/** Longer than this and clients hang up (about 60 s, whatever they are told). */
const WAIT_MS_MAX = 50_000;
const WAIT_MS = 40_000;

/** What the kept request has room for; the door's own limit is lower or the same. */
const CONTENT_UNITS_MAX = 4_000_000;

/** Spelled out, the parts would be most of the list's tokens; they are parsed whole all the same. */
const Content = z
  .union([z.string().max(CONTENT_UNITS_MAX), z.array(z.looseObject({ type: z.string().max(32) })).max(1_000)])
  .describe(
    'Text, or parts: {type:text,text} {type:image,media_type,data} {type:tool_call,id,name,arguments} {type:tool_result,call,content,status}',
  );

const MessageInput = z.strictObject({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: Content });
export const Messages = z.array(MessageInput).max(MESSAGES_MAX);

const ToolInput = z.strictObject({
  name: z.string().max(64),
  description: z.string().max(8_192).optional(),
  parameters: z.record(z.string(), z.unknown()).describe('JSON Schema of an object'),
});

export const WaitMs = z.int().min(0).max(WAIT_MS_MAX).default(WAIT_MS).describe('Answer "running" after this long');

/** A W3C trace context (Trace Context, §3.2). */
const Traceparent = z.string().regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/, 'a W3C traceparent');

export const IdempotencyKey = z
  .string()
  .regex(/^[!-~]{1,200}$/, '1 to 200 printable characters')
  .describe('Repeats of the same call get the same answer');

/** What is asked of a model. */
export const REQUEST_FIELDS = {
  role: z.string().max(64).describe('A role of the owner’s policy'),
  messages: Messages.min(1),
  tools: z.array(ToolInput).max(256).default([]),
  max_output_tokens: z.int().min(1).optional(),
  stop: z.array(z.string().min(1).max(256)).max(4).default([]),
  session_id: z.string().max(64).optional(),
  labels: Labels.default({}).describe('For ceilings and reports, such as {"customer":"acme"}'),
  traceparent: Traceparent.optional(),
  idempotency_key: IdempotencyKey.optional(),
};

const Request = z.strictObject(REQUEST_FIELDS);

/** @throws SeedError `invalid_input` that names the message and what is wrong with it */
export function toRequest(input: z.infer<typeof Request>): CompletionRequest {
  return {
    role: input.role,
    messages: toMessages(input.messages),
    tools: input.tools.map(({ name, description = '', parameters }, index) =>
      acceptPart(
        ToolDefinition,
        { name, description, parameters: JSON.stringify(parameters) },
        {
          at: `tools.${index}`,
          hint: 'Each tool has a name, a description and parameters, the JSON Schema of an object.',
        },
      ),
    ),
    maxOutputTokens: input.max_output_tokens ?? null,
    stop: input.stop,
    labels: input.labels,
    session: input.session_id ?? null,
  };
}

/** @throws SeedError `invalid_input` that names the message and what is wrong with it */
export function toMessages(messages: z.infer<typeof Messages>): Message[] {
  const hint = 'See the description of messages for the forms that parts have.';
  return messages.map(({ role, content }, index) => ({
    role,
    parts: acceptPart(Message.shape.parts, toParts(content), { at: `messages.${index}.content`, hint }),
  }));
}

type ContentInput = z.infer<typeof Content>;

function toParts(content: ContentInput): unknown[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content.map((part) => {
    if (part.type === 'tool_call' && typeof part['arguments'] === 'object') {
      return { ...part, arguments: JSON.stringify(part['arguments']) };
    }
    if (part.type !== 'tool_result') return part;
    const { content: inner, status = 'ok' } = part;
    return { ...part, status, content: typeof inner === 'string' ? [{ type: 'text', text: inner }] : inner };
  });
}

const ToolCallView = z.object({ id: z.string(), name: z.string(), arguments: z.record(z.string(), z.unknown()) });

/** A call as agents see it: what was said, and all that is known of how. */
export const CallView = CallOutcome.extend({
  id: z.string(),
  text: z.string(),
  tool_calls: z.array(ToolCallView),
});
export type CallView = z.infer<typeof CallView>;

export function viewCall({ id, outcome, message, text }: CallReport): CallView {
  const calls = (message?.parts ?? []).filter(
    (part): part is Extract<Part, { type: 'tool_call' }> => part.type === 'tool_call',
  );
  // A cut answer's tool calls are for nobody to carry out.
  const whole = outcome.status === 'complete' ? calls : [];
  return {
    ...outcome,
    id,
    text,
    tool_calls: whole.map((call) => ({
      id: call.id,
      name: call.name,
      arguments: JSON.parse(call.arguments) as Record<string, unknown>,
    })),
  };
}

/** What is an error to a client: there is no whole answer, and there will be none. */
export function isFailedCall({ status }: CallView): boolean {
  return status === 'refused' || status === 'failed' || status === 'incomplete' || status === 'in_doubt';
}

/** A call in a few lines: the answer first. */
export function sayCall(view: CallView): string {
  const { id, status, text, tool_calls: calls, attempts, message, hint, code, receipt } = view;
  const wanted = calls.map(
    ({ id: call, name, arguments: args }) => `Tool call ${call}: ${name}(${JSON.stringify(args)})`,
  );
  const hops = attempts
    .filter(({ outcome }) => outcome !== 'ok')
    .map(({ target, model, outcome, code: why }) => `${target}/${model}: ${outcome}${why === null ? '' : ` (${why})`}`);
  const lines = [
    text,
    ...wanted,
    status === 'running' ? `[Still running; ask again with route_result ${id}.]` : '',
    message === null
      ? ''
      : `[${status}: ${message}${hint === null ? '' : ` ${hint}`}${code === null ? '' : ` (${code})`}]`,
    view.target === null
      ? ''
      : `[${status} by ${view.target}/${view.model_returned ?? view.model_requested ?? '?'}, receipt ${receipt ?? '?'}, $${(view.cost_micro_usd / 1e6).toFixed(6)}]`,
    hops.length === 0 ? '' : `[Other hops: ${hops.join('; ')}]`,
  ];
  return lines.filter((line) => line !== '').join('\n');
}
