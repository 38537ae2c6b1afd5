/**
 * The Messages format of Anthropic (API version 2023-06-01).
 *
 * What it insists on beyond {@link prepare}: text blocks are not blank, results stand first in the
 * user's message after the calls, and a history with tool calls declares tools.
 */
import * as z from 'zod';
import type { ToolDefinition } from '../../../substrate/transcript.ts';
import type { Loss, ModelRequest } from '../provider.ts';
import { argumentLosses, assertDistinct, parseLoosely, parseObject, schemaOf } from './json.ts';
import type { Answered, ImagePart, Prepared, TextPart, Turn } from './prepare.ts';
import { distinct, prepare } from './prepare.ts';

export const ANTHROPIC_API = 'messages';

/** Blocks that go back as they came (Anthropic docs, "Extended thinking: preserving thinking blocks"). */
export const ThinkingBlock = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().min(1) }),
  z.strictObject({ type: z.literal('redacted_thinking'), data: z.string().min(1) }),
]);

type Block = Readonly<Record<string, unknown> & { type: string }>;

export function toAnthropic(request: ModelRequest): { body: string; losses: readonly Loss[] } {
  const { model, messages, tools, maxOutputTokens, stop } = request;
  assertDistinct(tools);
  const prepared = prepare(messages, { provider: 'anthropic', model, api: ANTHROPIC_API });
  const losses = [...prepared.losses];
  const system = notBlank(prepared.system, losses);
  const stops = notBlank(stop, losses);
  const declared = declare(tools, prepared);
  const body = JSON.stringify({
    model,
    max_tokens: maxOutputTokens,
    ...(system.length > 0 && { system: system.map(textBlock) }),
    messages: toMessages(prepared.turns, losses),
    ...(declared.length > 0 && { tools: declared }),
    // Tools that only the history names are not there to be called.
    ...(tools.length === 0 && declared.length > 0 && { tool_choice: { type: 'none' } }),
    ...(stops.length > 0 && { stop_sequences: stops }),
    stream: true,
  });
  return { body, losses: distinct(losses) };
}

/** The request's tools, or, where there are none, those that the history calls, by name alone. */
function declare(tools: readonly ToolDefinition[], { turns }: Prepared): Block[] {
  if (tools.length > 0) {
    return tools.map((tool) => ({
      type: 'custom',
      name: tool.name,
      description: tool.description,
      input_schema: schemaOf(tool),
    }));
  }
  const called = turns.flatMap((turn) => (turn.side === 'results' ? turn.results.map(({ call }) => call.name) : []));
  return [...new Set(called)].map((name) => ({ type: 'custom', name, input_schema: { type: 'object' } }));
}

function textBlock(text: string): Block {
  return { type: 'text', text };
}

function imageBlock({ media_type, data }: ImagePart): Block {
  return { type: 'image', source: { type: 'base64', media_type, data } };
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function notBlank(texts: readonly string[], losses: Loss[]): string[] {
  const kept = texts.filter((text) => !isBlank(text));
  if (kept.length < texts.length) losses.push(BLANK);
  return kept;
}

const BLANK: Loss = { message: null, what: 'blank text' };

function userBlocks(parts: readonly (TextPart | ImagePart)[], losses: Loss[]): Block[] {
  return parts.flatMap((part) => {
    if (part.type === 'image') return [imageBlock(part)];
    return notBlank([part.text], losses).map(textBlock);
  });
}

function resultBlock({ call, content, status }: Answered, losses: Loss[]): Block {
  const blocks = userBlocks(content, losses);
  return {
    type: 'tool_result',
    tool_use_id: call.id,
    ...(blocks.length > 0 && { content: blocks }),
    ...(status === 'error' && { is_error: true }),
  };
}

/** Stands where all that a side said was blank. */
const NOTHING = '(nothing)';

function assistantBlocks({ parts }: Extract<Turn, { side: 'assistant' }>, losses: Loss[]): Block[] {
  return parts.flatMap((part): Block[] => {
    if (part.type === 'text') return notBlank([part.text], losses).map(textBlock);
    if (part.type === 'opaque') return thinkingBlock(part.data, losses);
    losses.push(...argumentLosses(part.arguments));
    return [{ type: 'tool_use', id: part.id, name: part.name, input: parseObject(part.arguments) }];
  });
}

function thinkingBlock(data: string, losses: Loss[]): Block[] {
  const block = ThinkingBlock.safeParse(parseLoosely(data));
  if (block.success) return [block.data];
  losses.push({ message: null, what: 'opaque reasoning that is not in the provider’s form' });
  return [];
}

function toMessages(turns: readonly Turn[], losses: Loss[]): { role: string; content: Block[] }[] {
  const messages: { role: string; content: Block[] }[] = [];
  for (const turn of turns) {
    const last = messages.at(-1);
    if (turn.side === 'assistant') {
      const content = assistantBlocks(turn, losses);
      const says = content.some(({ type }) => type === 'text' || type === 'tool_use');
      messages.push({ role: 'assistant', content: says ? content : [...content, textBlock(NOTHING)] });
      continue;
    }
    const content =
      turn.side === 'user' ? userBlocks(turn.parts, losses) : turn.results.map((result) => resultBlock(result, losses));
    if (last?.role === 'user') last.content.push(...content);
    else messages.push({ role: 'user', content: content.length > 0 ? content : [textBlock(NOTHING)] });
  }
  return messages;
}
