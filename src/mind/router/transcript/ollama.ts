/**
 * The chat format of Ollama (`POST /api/chat`).
 *
 * It has no ids for calls: results stand in the order of the calls, under the tool's name. The context
 * is sized for each request (`num_ctx`), because the default is far smaller than what models can do and
 * what does not fit is cut off at the front without a word.
 */
import * as z from 'zod';
import type { Loss, ModelRequest } from '../provider.ts';
import { argumentLosses, assertDistinct, parseLoosely, parseObject, schemaOf } from './json.ts';
import { joinText, joinUsers, resultText } from './openai.ts';
import type { ImagePart, TextPart, Turn } from './prepare.ts';
import { distinct, prepare } from './prepare.ts';

export const OLLAMA_API = 'chat';

/** Reasoning that goes back to the model that it came from. */
const OllamaThinking = z.strictObject({ thinking: z.string().min(1) });

const CONTEXT_MIN = 4_096;
/** What one image takes up, generously; models differ and none says. */
const IMAGE_TOKENS = 4_096;
/** What templates add around messages and tools. */
const FRAME_TOKENS = 512;

type ChatMessage = Readonly<Record<string, unknown> & { role: string }>;

export function toOllama(request: ModelRequest): { body: string; losses: readonly Loss[] } {
  const { model, messages, tools, maxOutputTokens, stop, contextTokens = Number.POSITIVE_INFINITY } = request;
  assertDistinct(tools);
  const prepared = prepare(messages, { provider: 'local-ollama', model, api: OLLAMA_API });
  const losses = [...prepared.losses];
  const system = prepared.system.join('\n\n');
  const said = [...(system === '' ? [] : [{ role: 'system', content: system }]), ...toMessages(prepared.turns, losses)];
  const given = tools.map((tool) => ({
    type: 'function',
    function: { name: tool.name, description: tool.description, parameters: schemaOf(tool) },
  }));
  const body = JSON.stringify({
    model,
    messages: said,
    ...(given.length > 0 && { tools: given }),
    // An error instead of a cut, where the server is new enough to know the word.
    truncate: false,
    shift: false,
    options: {
      // Never more than the owner says the machine has room for.
      num_ctx: Math.min(contextTokens, roundUp(promptBound(said, given) + maxOutputTokens)),
      num_predict: maxOutputTokens,
      ...(stop.length > 0 && { stop }),
    },
    stream: true,
  });
  return { body, losses: distinct(losses) };
}

/**
 * Tokens that the prompt cannot exceed: none is shorter than a byte. Ollama itself lowers `num_ctx` to
 * what the model was trained for (ollama `llm/server.go`), so there is no need to ask for that first.
 */
function promptBound(messages: readonly ChatMessage[], tools: readonly unknown[]): number {
  const images = messages.flatMap((message) => message['images'] ?? []).length;
  const text = JSON.stringify([messages.map((message) => ({ ...message, images: undefined })), tools]);
  return Buffer.byteLength(text) + FRAME_TOKENS + images * IMAGE_TOKENS;
}

/** In powers of two: another size makes Ollama load the model anew. */
function roundUp(tokens: number): number {
  let size = CONTEXT_MIN;
  while (size < tokens) size *= 2;
  return size;
}

function toMessages(turns: readonly Turn[], losses: Loss[]): ChatMessage[] {
  return joinUsers(turns).flatMap((turn): ChatMessage[] => {
    if (turn.side === 'user') return [userMessage(turn.parts)];
    if (turn.side === 'assistant') return [assistantMessage(turn, losses)];
    return turn.results.map((result) => ({
      role: 'tool',
      tool_name: result.call.name,
      content: resultText(result),
    }));
  });
}

function userMessage(parts: readonly (TextPart | ImagePart)[]): ChatMessage {
  const images = parts.flatMap((part) => (part.type === 'image' ? [part.data] : []));
  return { role: 'user', content: joinText(parts), ...(images.length > 0 && { images }) };
}

function assistantMessage({ parts }: Extract<Turn, { side: 'assistant' }>, losses: Loss[]): ChatMessage {
  const calls = parts.filter((part) => part.type === 'tool_call');
  losses.push(...calls.flatMap((call) => argumentLosses(call.arguments)));
  const thinking = thinkingOf(parts, losses);
  return {
    role: 'assistant',
    content: joinText(parts.filter((part) => part.type === 'text')),
    ...(thinking !== '' && { thinking }),
    ...(calls.length > 0 && {
      tool_calls: calls.map((call) => ({
        function: { name: call.name, arguments: parseObject(call.arguments) },
      })),
    }),
  };
}

function thinkingOf(parts: Extract<Turn, { side: 'assistant' }>['parts'], losses: Loss[]): string {
  return parts
    .flatMap((part) => {
      if (part.type !== 'opaque') return [];
      const own = OllamaThinking.safeParse(parseLoosely(part.data));
      if (own.success) return [own.data.thinking];
      losses.push({ message: null, what: 'opaque reasoning that is not in the provider’s form' });
      return [];
    })
    .join('');
}
