/** NVIDIA's NIM, or whatever else speaks OpenAI's Chat Completions. */
import type { OpenAI } from 'openai';
import * as z from 'zod';
import type { ModelRequest, Provider, ProviderContext, StopReason, Usage } from '../provider.ts';
import { toOpenAi } from '../transcript/openai.ts';
import type { Attempt, Decoding, Said } from './answer.ts';
import { answer, lazy, once, readable } from './answer.ts';
import type { Body } from './transport.ts';
import { asResponse, SILENT_CLIENT } from './transport.ts';

const PROVIDER = 'NVIDIA';
const encode = once(toOpenAi);
// Its decoder alone: the whole client takes 30 MB, and one for each attempt more time than all that it decodes.
const sdk = lazy(async () => ({ ...(await import('openai/streaming')), ...(await import('openai/error')) }));

export const nvidia: Provider = {
  name: 'nvidia',
  // Chat templates add a system prompt of their own and, with tools, instructions; models differ, and
  // none documents the most that an image may count.
  overhead: { perRequest: 1_024, perMessage: 16, perTool: 64, perImage: null },
  encode,
  stream: (request, context) => answer(() => attemptOf(request, context), context),
};

function attemptOf(request: ModelRequest, context: ProviderContext): Attempt {
  const decode = async (body: Body): Promise<Decoding> => {
    const { Stream, APIError } = await sdk();
    const chunks = Stream.fromSSEResponse<unknown>(asResponse(body), new AbortController(), SILENT_CLIENT as OpenAI);
    return { chunks, read: reader(), isStreamError: (thrown) => thrown instanceof APIError };
  };
  const outgoing = {
    provider: PROVIDER,
    model: request.model,
    path: '/chat/completions',
    headers: context.credential === null ? {} : { authorization: `Bearer ${context.credential}` },
    body: encode(request).body,
  };
  return { outgoing, decode };
}

const Count = z.number().nullish();

/** As much of a chunk as is read here (OpenAI's API reference, "The chat completion chunk object"). */
const Chunk = z.object({
  model: z.string().nullish(),
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            refusal: z.string().nullish(),
            tool_calls: z
              .array(
                z.object({
                  index: z.int().nullish(),
                  id: z.string().nullish(),
                  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
                }),
              )
              .nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: Count,
      completion_tokens: Count,
      prompt_tokens_details: z.object({ cached_tokens: Count }).nullish(),
    })
    .nullish(),
});
type Chunk = z.infer<typeof Chunk>;
type Choice = NonNullable<Chunk['choices']>[number];
type Delta = NonNullable<Choice['delta']>;

const STOPS: Readonly<Record<string, StopReason>> = {
  stop: 'end',
  length: 'max_tokens',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'refusal',
};

interface OpenCall {
  id: string | null;
  name: string;
  arguments: string;
}

/** What has come together of an answer. */
class Answer {
  readonly #calls = new Map<number, OpenCall>();
  #refused = false;

  /** What a delta says at once. A call is said when the answer has ended: only then is it whole. */
  *hear({ content, refusal, tool_calls: pieces }: Delta): Generator<Said> {
    const { size } = this.#calls;
    for (const [place, piece] of (pieces ?? []).entries()) this.#gather(piece, place);
    for (let begun = size; begun < this.#calls.size; begun += 1) yield { type: 'tool_call_begun' };
    this.#refused ||= typeof refusal === 'string' && refusal !== '';
    // Reasoning is not in this API's reference, and goes back to none of its models: it only keeps us waiting.
    yield { type: 'text', text: content ?? refusal ?? '' };
  }

  *finish(reason: string): Generator<Said> {
    for (const { id, name, arguments: text } of this.#calls.values()) {
      yield { type: 'call', name, arguments: text, providerId: id };
    }
    const stop = STOPS[reason] ?? 'end';
    // Some servers say `stop` where calls stand.
    const called = stop === 'end' && this.#calls.size > 0 ? 'tool_calls' : stop;
    yield { type: 'stop', stop: this.#refused ? 'refusal' : called };
  }

  #gather({ index, id, function: named }: NonNullable<Delta['tool_calls']>[number], place: number): void {
    const key = index ?? place;
    const call = this.#calls.get(key) ?? { id: null, name: '', arguments: '' };
    this.#calls.set(key, call);
    call.id ??= id ?? null;
    // Some servers repeat the name with every piece.
    if (call.name === '') call.name = named?.name ?? '';
    call.arguments += named?.arguments ?? '';
  }
}

/** Reads the chunks of one answer. */
function reader(): Decoding['read'] {
  const answered = new Answer();
  let named = false;
  let finished = false;
  return function* read(chunk) {
    const { model, choices, usage } = readable(Chunk, chunk);
    if (!named && typeof model === 'string') yield { type: 'model', model };
    named ||= typeof model === 'string';
    const [choice] = choices ?? [];
    if (choice?.delta !== null && choice?.delta !== undefined) yield* answered.hear(choice.delta);
    if (typeof choice?.finish_reason === 'string' && choice.finish_reason !== '' && !finished) {
      finished = true;
      yield* answered.finish(choice.finish_reason);
    }
    if (usage !== null && usage !== undefined) yield { type: 'usage', usage: usageOf(usage) };
  };
}

function usageOf(report: NonNullable<Chunk['usage']>): Usage {
  const cached = report.prompt_tokens_details?.cached_tokens ?? 0;
  return {
    input: (report.prompt_tokens ?? 0) - cached,
    output: report.completion_tokens ?? 0,
    cachedInput: cached,
    cacheWrite: 0,
  };
}
