/** Ollama, on this machine or another of the owner's. */
import * as z from 'zod';
import type { Message } from '../../../substrate/transcript.ts';
import type { ModelRequest, Provider, ProviderContext, StopReason, Usage } from '../provider.ts';
import { ProviderFault } from '../provider.ts';
import { parseLoosely } from '../transcript/json.ts';
import { OLLAMA_API, toOllama } from '../transcript/ollama.ts';
import type { Attempt, Decoding, Said } from './answer.ts';
import { answer, lazy, once, readable } from './answer.ts';
import { badChunk, streamError } from './faults.ts';
import type { Body, Sieve } from './transport.ts';
import { handOver } from './transport.ts';

const PROVIDER = 'Ollama';
const encode = once(toOllama);
// Not the package's own entry: that one takes an image's text for a path and reads the file.
const sdk = lazy(() => import('ollama/browser'));

export const localOllama: Provider = {
  name: 'local-ollama',
  overhead: { perRequest: 1_024, perMessage: 16, perTool: 64, perImage: null },
  encode,
  stream: (request, context) => answer(() => attemptOf(request, context), context),
};

function attemptOf(request: ModelRequest, context: ProviderContext): Attempt {
  const decode = async (body: Body): Promise<Decoding> => {
    const { Ollama } = await sdk();
    const client = new Ollama({ host: context.baseUrl, fetch: handOver(body) });
    const chunks = await client.chat({ model: request.model, messages: [], stream: true });
    return { chunks, read: reader(request), isStreamError: () => false };
  };
  const outgoing = {
    provider: PROVIDER,
    model: request.model,
    path: '/api/chat',
    headers: context.credential === null ? {} : { authorization: `Bearer ${context.credential}` },
    body: encode(request).body,
  };
  return { outgoing, decode, sieve: wholeLines };
}

/**
 * Lets whole lines through, each of them looked at: the SDK skips one that is no JSON, writes it to the
 * console and goes on as if nothing were missing. What is torn at the end is a cut, and kept from it.
 */
function wholeLines(): Sieve {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = '';
  return (bytes) => {
    const lines = (rest + decoder.decode(bytes ?? undefined, { stream: bytes !== null })).split('\n');
    rest = lines.pop() ?? '';
    // The last line may lack its end; what is torn there is left out.
    if (bytes === null && parseLoosely(rest) !== undefined) lines.push(rest);
    const whole = lines.filter((line) => line.trim() !== '');
    whole.forEach(assertLine);
    return encoder.encode(whole.map((line) => `${line}\n`).join(''));
  };
}

function assertLine(line: string): void {
  const value = parseLoosely(line);
  if (typeof value !== 'object' || value === null) throw badChunk(PROVIDER);
  if ('error' in value) throw streamError(PROVIDER);
}

const Count = z.number().nullish();

/** As much of a chunk as is read here (Ollama, `docs/api.md`, "Generate a chat completion"). */
const Chunk = z.object({
  model: z.string().nullish(),
  message: z
    .object({
      content: z.string().nullish(),
      thinking: z.string().nullish(),
      tool_calls: z
        .array(
          z.object({
            id: z.string().nullish(),
            function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).nullish() }),
          }),
        )
        .nullish(),
    })
    .nullish(),
  done: z.boolean().nullish(),
  done_reason: z.string().nullish(),
  prompt_eval_count: Count,
  eval_count: Count,
});
type Chunk = z.infer<typeof Chunk>;

/** Reads the chunks of one answer. */
function reader({ model, messages }: ModelRequest): Decoding['read'] {
  let thinking = '';
  let named = false;
  let called = false;
  return function* read(value) {
    const chunk = readable(Chunk, value);
    if (!named && typeof chunk.model === 'string') yield { type: 'model', model: chunk.model };
    named ||= typeof chunk.model === 'string';
    thinking += chunk.message?.thinking ?? '';
    const calls = chunk.message?.tool_calls ?? [];
    const text = chunk.message?.content ?? '';
    // Reasoning comes first; it is whole when something else comes.
    if (thinking !== '' && (text !== '' || calls.length > 0 || chunk.done === true)) {
      yield thought(thinking, model);
      thinking = '';
    }
    yield { type: 'text', text };
    called ||= calls.length > 0;
    yield* calls.flatMap(saidBy);
    if (chunk.done !== true) return;
    assertWhole(messages, chunk.prompt_eval_count);
    yield { type: 'usage', usage: usageOf(chunk) };
    yield { type: 'stop', stop: stopOf(chunk.done_reason, called) };
    yield { type: 'over' };
  };
}

function thought(thinking: string, model: string): Said {
  const data = JSON.stringify({ thinking });
  return { type: 'opaque', part: { type: 'opaque', provider: 'local-ollama', model, api: OLLAMA_API, data } };
}

function saidBy({ id, function: { name, arguments: given } }: ToolCalls[number]): Said[] {
  const call = { name, arguments: JSON.stringify(given ?? {}), providerId: id ?? null };
  return [{ type: 'tool_call_begun' }, { type: 'call', ...call }];
}

type ToolCalls = NonNullable<NonNullable<Chunk['message']>['tool_calls']>;

function stopOf(reason: string | null | undefined, called: boolean): StopReason {
  if (reason === 'length') return 'max_tokens';
  return called ? 'tool_calls' : 'end';
}

function usageOf({ prompt_eval_count: input, eval_count: output }: Chunk): Usage {
  return { input: input ?? 0, output: output ?? 0, cachedInput: 0, cacheWrite: 0 };
}

/**
 * A server that drops the front of a prompt says so in nothing but its count.
 * @throws ProviderFault `truncated` when fewer tokens were read than the prompt has at least
 */
function assertWhole(messages: readonly Message[], count: number | null | undefined): void {
  // None or 0 is unknown: a prompt that is still in the server's cache may count as nothing.
  if (count === null || count === undefined || count <= 0) return;
  const least = leastTokens(messages);
  if (count >= least || least <= CONTEXT_LEAST) return;
  throw new ProviderFault(
    'truncated',
    `Ollama read ${count} tokens of a prompt that has at least ${least}: its beginning was dropped.`,
    { mayBeBilled: true },
  );
}

/** No server is run with less context than this, so that a shorter prompt was not cut, whatever it counts. */
const CONTEXT_LEAST = 512;
/** Bytes that one token stands for, at most: vocabularies have a few long runs of one sign, none of words. */
const TOKEN_BYTES_MAX = 64;

/**
 * Tokens that a prompt has at least: tokenizers split at white space first, so that no token reaches
 * over two words (Ollama's models: byte-pair encoding with such a split, or SentencePiece).
 */
function leastTokens(messages: readonly Message[]): number {
  let least = 0;
  for (const { role, parts } of messages) {
    // Of a tool's message only results are carried, and those only where a call asks for them.
    if (role === 'tool') continue;
    for (const part of parts) if (part.type === 'text') least += leastTokensOf(part.text);
  }
  return least;
}

/** Without a string for each word: a prompt can have hundreds of thousands of them. */
function leastTokensOf(text: string): number {
  let least = 0;
  let word = 0;
  for (let at = 0; at <= text.length; at += 1) {
    // Past the end the code is NaN. A sign takes at least a byte.
    if (text.charCodeAt(at) > SPACE) word += 1;
    else {
      least += Math.ceil(word / TOKEN_BYTES_MAX);
      word = 0;
    }
  }
  return least;
}

/** White space and controls of ASCII end a word; of other white space some is read as part of one. */
const SPACE = 0x20;
