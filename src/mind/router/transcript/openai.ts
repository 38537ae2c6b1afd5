/**
 * The Chat Completions format of OpenAI, as NVIDIA's NIM speaks it.
 *
 * A tool's message carries text alone: images of a result follow in a user's message. Text alone is
 * written as a string, because models without eyes refuse a list of parts.
 */
import type { Loss, ModelRequest } from '../provider.ts';
import { assertDistinct, schemaOf } from './json.ts';
import type { Answered, ImagePart, TextPart, Turn } from './prepare.ts';
import { distinct, prepare } from './prepare.ts';

const OPENAI_API = 'chat.completions';

/** OpenAI's API reference, chat/create: "Up to 4 sequences". */
const STOPS_MAX = 4;

type ChatMessage = Readonly<Record<string, unknown> & { role: string }>;

export function toOpenAi(request: ModelRequest): { body: string; losses: readonly Loss[] } {
  const { model, messages, tools, maxOutputTokens, stop } = request;
  assertDistinct(tools);
  const prepared = prepare(messages, { provider: 'nvidia', model, api: OPENAI_API });
  const losses = [...prepared.losses];
  // Nothing opaque comes from this API, so nothing opaque can belong to it.
  const system = prepared.system.join('\n\n');
  if (stop.length > STOPS_MAX) losses.push({ message: null, what: `stop sequences beyond ${STOPS_MAX}` });
  const body = JSON.stringify({
    model,
    messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...toMessages(prepared.turns, losses)],
    max_tokens: maxOutputTokens,
    ...(tools.length > 0 && {
      tools: tools.map((tool) => ({
        type: 'function',
        function: { name: tool.name, description: tool.description, parameters: schemaOf(tool) },
      })),
    }),
    ...(stop.length > 0 && { stop: stop.slice(0, STOPS_MAX) }),
    stream: true,
    stream_options: { include_usage: true },
  });
  return { body, losses: distinct(losses) };
}

function imagePart({ media_type, data }: ImagePart): unknown {
  return { type: 'image_url', image_url: { url: `data:${media_type};base64,${data}` } };
}

function userContent(parts: readonly (TextPart | ImagePart)[]): unknown {
  if (parts.every(({ type }) => type === 'text')) return joinText(parts);
  return parts.map((part) => (part.type === 'text' ? { type: 'text', text: part.text } : imagePart(part)));
}

/** Texts of one message, a blank line between them. */
export function joinText(parts: readonly { readonly type: string; readonly text?: string }[]): string {
  return parts.flatMap(({ text }) => (text === undefined ? [] : [text])).join('\n\n');
}

/** A result's text; formats without a mark for errors say it in words. */
export function resultText({ content, status }: Answered): string {
  const images = content.filter(({ type }) => type === 'image').length;
  const text = joinText(content);
  const pointer = images === 0 ? '' : `(${images === 1 ? 'An image follows' : `${images} images follow`}.)`;
  return [status === 'error' ? 'Error:' : '', text, pointer].filter((each) => each !== '').join('\n');
}

/** The images of results, each call's behind a line that says whose they are. */
function resultImages(results: readonly Answered[]): (TextPart | ImagePart)[] {
  return results.flatMap(({ call, content }) => {
    const images = content.filter((part) => part.type === 'image');
    if (images.length === 0) return [];
    return [{ type: 'text' as const, text: `From the tool ${call.name} (${call.id}):` }, ...images];
  });
}

function toMessages(turns: readonly Turn[], losses: Loss[]): ChatMessage[] {
  return joinUsers(turns).flatMap((turn): ChatMessage[] => {
    if (turn.side === 'user') return [{ role: 'user', content: userContent(turn.parts) }];
    if (turn.side === 'assistant') return [assistantMessage(turn, losses)];
    return turn.results.map((result) => ({ role: 'tool', tool_call_id: result.call.id, content: resultText(result) }));
  });
}

/** Puts the images of results into the user's turn behind them. */
export function joinUsers(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = [];
  let images: (TextPart | ImagePart)[] = [];
  for (const turn of turns) {
    if (turn.side === 'user') {
      joined.push({ side: 'user', parts: [...images, ...turn.parts] });
      images = [];
      continue;
    }
    if (images.length > 0) joined.push({ side: 'user', parts: images });
    images = turn.side === 'results' ? resultImages(turn.results) : [];
    joined.push(turn);
  }
  if (images.length > 0) joined.push({ side: 'user', parts: images });
  return joined;
}

function assistantMessage({ parts }: Extract<Turn, { side: 'assistant' }>, losses: Loss[]): ChatMessage {
  const calls = parts.filter((part) => part.type === 'tool_call');
  const text = joinText(parts.filter((part) => part.type === 'text'));
  if (parts.some(({ type }) => type === 'opaque')) losses.push({ message: null, what: 'opaque reasoning' });
  if (calls.length === 0) return { role: 'assistant', content: text };
  return {
    role: 'assistant',
    content: text === '' ? null : text,
    tool_calls: calls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}
