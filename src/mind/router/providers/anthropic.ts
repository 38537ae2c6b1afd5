/** Anthropic's Messages API. */
import type { Anthropic } from '@anthropic-ai/sdk';
import * as z from 'zod';
import type { ModelRequest, Provider, ProviderContext, StopReason, Usage } from '../provider.ts';
import { ANTHROPIC_API, ThinkingBlock, toAnthropic } from '../transcript/anthropic.ts';
import type { Attempt, Decoding, Said } from './answer.ts';
import { answer, lazy, once, readable } from './answer.ts';
import type { Body } from './transport.ts';
import { asResponse, SILENT_CLIENT } from './transport.ts';

const PROVIDER = 'Anthropic';
const encode = once(toAnthropic);
// Its decoder alone: the whole client takes 20 MB, and one for each attempt more time than all that it decodes.
const sdk = lazy(async () => ({
  ...(await import('@anthropic-ai/sdk/streaming')),
  ...(await import('@anthropic-ai/sdk/error')),
}));

export const anthropic: Provider = {
  name: 'anthropic',
  overhead: {
    // The system prompt that comes with tools has 159 to 530 tokens in the table (Anthropic docs, "Tool use: pricing").
    perRequest: 1_024,
    perMessage: 16,
    perTool: 64,
    // 2,576 pixels and 4,784 tokens, larger images are scaled down (Anthropic docs, "Vision: image size").
    perImage: 4_784,
  },
  encode,
  stream: (request, context) => answer(() => attemptOf(request, context), context),
};

function attemptOf(request: ModelRequest, context: ProviderContext): Attempt {
  const decode = async (body: Body): Promise<Decoding> => {
    const { Stream, APIError } = await sdk();
    const chunks = Stream.fromSSEResponse<unknown>(asResponse(body), new AbortController(), SILENT_CLIENT as Anthropic);
    return { chunks, read: reader(request), isStreamError: (thrown) => thrown instanceof APIError };
  };
  const outgoing = {
    provider: PROVIDER,
    model: request.model,
    path: '/v1/messages',
    headers: {
      'anthropic-version': '2023-06-01',
      ...(context.credential !== null && { 'x-api-key': context.credential }),
    },
    body: encode(request).body,
  };
  return { outgoing, decode };
}

const Count = z.number().nullish();
const UsageReport = z.object({
  input_tokens: Count,
  output_tokens: Count,
  cache_read_input_tokens: Count,
  cache_creation_input_tokens: Count,
});
type UsageReport = z.infer<typeof UsageReport>;

/** As much of the events as is read here (Anthropic docs, "Streaming messages"). */
const StreamEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message_start'),
    message: z.object({ model: z.string(), usage: UsageReport.nullish() }),
  }),
  z.object({
    type: z.literal('content_block_start'),
    index: z.int(),
    content_block: z.looseObject({ type: z.string() }),
  }),
  z.object({ type: z.literal('content_block_delta'), index: z.int(), delta: z.looseObject({ type: z.string() }) }),
  z.object({ type: z.literal('content_block_stop'), index: z.int() }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.object({ stop_reason: z.string().nullish() }),
    usage: UsageReport.nullish(),
  }),
  z.object({ type: z.literal('message_stop') }),
]);

const KNOWN = new Set<unknown>(StreamEvent.options.map(({ shape }) => shape.type.value));

const Delta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
]);

/** A block that is still coming. */
interface OpenBlock {
  readonly block: Readonly<Record<string, unknown> & { type: string }>;
  /** What its deltas add: a call's arguments, or reasoning. */
  text: string;
  signature: string;
}

const STOPS: Readonly<Record<string, StopReason>> = {
  end_turn: 'end',
  max_tokens: 'max_tokens',
  model_context_window_exceeded: 'max_tokens',
  stop_sequence: 'stop_sequence',
  tool_use: 'tool_calls',
  pause_turn: 'paused',
  refusal: 'refusal',
};

/** Reads the events of one answer. */
function reader({ model }: ModelRequest): Decoding['read'] {
  const open = new Map<number, OpenBlock>();
  let report: UsageReport = {};
  let stop: StopReason = 'end';
  return function* read(event) {
    // New kinds of events may come any time and mean nothing to us (Anthropic docs, "Versioning").
    if (!KNOWN.has((event as { type?: unknown } | null)?.type)) return;
    const known = readable(StreamEvent, event);
    if (known.type === 'message_start') {
      report = { ...known.message.usage };
      yield { type: 'model', model: known.message.model };
    } else if (known.type === 'content_block_start') {
      const block = { block: known.content_block, text: '', signature: '' };
      open.set(known.index, block);
      yield* begun(block);
    } else if (known.type === 'content_block_delta') {
      yield heard(open.get(known.index), known.delta);
    } else if (known.type === 'content_block_stop') {
      const block = open.get(known.index);
      open.delete(known.index);
      if (block !== undefined) yield* finished(block, model);
    } else if (known.type === 'message_delta') {
      report = { ...report, ...present(known.usage ?? {}) };
      stop = STOPS[known.delta.stop_reason ?? ''] ?? stop;
    } else {
      yield { type: 'usage', usage: usageOf(report) };
      yield { type: 'stop', stop };
      yield { type: 'over' };
    }
  };
}

function* begun({ block }: OpenBlock): Generator<Said> {
  if (block.type === 'tool_use') yield { type: 'tool_call_begun' };
  const { text } = block;
  if (block.type === 'text' && typeof text === 'string') yield { type: 'text', text };
}

/** What a delta says at once; reasoning and arguments are kept until their block is whole. */
function heard(open: OpenBlock | undefined, delta: unknown): Said {
  const known = Delta.safeParse(delta);
  if (!known.success || open === undefined) return { type: 'text', text: '' };
  if (known.data.type === 'text_delta') return { type: 'text', text: known.data.text };
  if (known.data.type === 'input_json_delta') open.text += known.data.partial_json;
  else if (known.data.type === 'thinking_delta') open.text += known.data.thinking;
  else open.signature += known.data.signature;
  return { type: 'text', text: '' };
}

const CallBlock = z.object({ id: z.string(), name: z.string(), input: z.record(z.string(), z.unknown()).nullish() });

function* finished({ block, text, signature }: OpenBlock, model: string): Generator<Said> {
  if (block.type === 'tool_use') {
    const { id, name, input } = readable(CallBlock, block);
    // Without deltas the arguments stood in the block's beginning.
    yield { type: 'call', name, arguments: text === '' ? JSON.stringify(input ?? {}) : text, providerId: id };
    return;
  }
  const thinking = ThinkingBlock.safeParse(
    block.type === 'thinking' ? { type: 'thinking', thinking: `${wordsOf(block)}${text}`, signature } : strip(block),
  );
  if (!thinking.success) return;
  const data = JSON.stringify(thinking.data);
  yield { type: 'opaque', part: { type: 'opaque', provider: 'anthropic', model, api: ANTHROPIC_API, data } };
}

function wordsOf({ thinking }: Readonly<Record<string, unknown>>): string {
  return typeof thinking === 'string' ? thinking : '';
}

function strip({ type, data }: Readonly<Record<string, unknown>>): unknown {
  return { type, data };
}

/** Counts that are there; the final report repeats those of the beginning or leaves them out. */
function present(report: UsageReport): UsageReport {
  return Object.fromEntries(Object.entries(report).filter(([, value]) => value !== null && value !== undefined));
}

function usageOf(report: UsageReport): Usage {
  return {
    input: report.input_tokens ?? 0,
    output: report.output_tokens ?? 0,
    cachedInput: report.cache_read_input_tokens ?? 0,
    cacheWrite: report.cache_creation_input_tokens ?? 0,
  };
}
