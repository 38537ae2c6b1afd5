/** Google's Gemini API. */
import * as z from 'zod';
import type { ModelRequest, Provider, ProviderContext, StopReason, Usage } from '../provider.ts';
import { ProviderFault } from '../provider.ts';
import type { ToolNames } from '../transcript/gemini.ts';
import { GEMINI_API, toGemini, toolNames } from '../transcript/gemini.ts';
import type { Attempt, Decoding, Said } from './answer.ts';
import { answer, lazy, once, readable } from './answer.ts';
import { streamError } from './faults.ts';
import type { Body } from './transport.ts';
import { handOver } from './transport.ts';

const PROVIDER = 'Gemini';
const encode = once(toGemini);
const sdk = lazy(() => import('@google/genai'));

export const gemini: Provider = {
  name: 'gemini',
  overhead: {
    perRequest: 1_024,
    perMessage: 16,
    perTool: 64,
    // At the resolution that is asked for: 1,120 with Gemini 3, 256 and about 2,048 more for "pan & scan"
    // with 2.5 (Gemini API docs, "Media resolution: token counts").
    perImage: 2_560,
  },
  encode,
  stream: (request, context) => answer(() => attemptOf(request, context), context),
};

function attemptOf(request: ModelRequest, context: ProviderContext): Attempt {
  const path = pathOf(request.model);
  const decode = async (body: Body): Promise<Decoding> => {
    const { GoogleGenAI, ApiError } = await sdk();
    // Every option that would otherwise come from the environment is said.
    const client = new GoogleGenAI({
      apiKey: 'sent already',
      vertexai: false,
      apiVersion: 'v1beta',
      httpOptions: { baseUrl: context.baseUrl, apiVersion: 'v1beta', fetch: handOver(body) },
    });
    const chunks = await client.models.generateContentStream({ model: request.model, contents: 'sent already' });
    return {
      chunks,
      read: reader({ model: request.model, names: toolNames(request) }),
      isStreamError: (thrown) => thrown instanceof ApiError,
    };
  };
  const outgoing = {
    provider: PROVIDER,
    model: request.model,
    path,
    headers: context.credential === null ? {} : { 'x-goog-api-key': context.credential },
    body: encode(request).body,
  };
  return { outgoing, decode };
}

/** @throws ProviderFault `rejected` for a name that would lead elsewhere */
function pathOf(model: string): string {
  const name = model.includes('/') ? model : `models/${model}`;
  if (!/^(models|tunedModels)\/[A-Za-z0-9][\w.:-]*$/.test(name)) {
    throw new ProviderFault('rejected', 'Gemini has no model by such a name.', { mayBeBilled: false });
  }
  return `/v1beta/${name}:streamGenerateContent?alt=sse`;
}

const Count = z.number().nullish();

/** As much of a part as is read here (Gemini API reference, `Part`). */
const AnswerPart = z.object({
  text: z.string().nullish(),
  thought: z.boolean().nullish(),
  thoughtSignature: z.string().nullish(),
  functionCall: z
    .object({ id: z.string().nullish(), name: z.string(), args: z.record(z.string(), z.unknown()).nullish() })
    .nullish(),
});
type AnswerPart = z.infer<typeof AnswerPart>;

const Chunk = z.object({
  modelVersion: z.string().nullish(),
  candidates: z
    .array(
      z.object({
        content: z.object({ parts: z.array(AnswerPart).nullish() }).nullish(),
        finishReason: z.string().nullish(),
      }),
    )
    .nullish(),
  promptFeedback: z.object({ blockReason: z.string().nullish() }).nullish(),
  usageMetadata: z
    .object({
      promptTokenCount: Count,
      toolUsePromptTokenCount: Count,
      cachedContentTokenCount: Count,
      candidatesTokenCount: Count,
      thoughtsTokenCount: Count,
    })
    .nullish(),
});
type Chunk = z.infer<typeof Chunk>;

/** Gemini API reference, `FinishReason`; what is not listed is a failure of the model. */
const STOPS: Readonly<Record<string, StopReason>> = {
  STOP: 'end',
  // Not in the reference; others who speak this format end an answer of calls with it.
  FUNCTION_CALL: 'tool_calls',
  MAX_TOKENS: 'max_tokens',
  SAFETY: 'refusal',
  RECITATION: 'refusal',
  LANGUAGE: 'refusal',
  BLOCKLIST: 'refusal',
  PROHIBITED_CONTENT: 'refusal',
  SPII: 'refusal',
  IMAGE_SAFETY: 'refusal',
  IMAGE_PROHIBITED_CONTENT: 'refusal',
  IMAGE_RECITATION: 'refusal',
};

interface Answering {
  readonly model: string;
  readonly names: ToolNames;
}

/** Reads the chunks of one answer. */
function reader(answering: Answering): Decoding['read'] {
  let named = false;
  let called = false;
  return function* read(chunk) {
    const { modelVersion, candidates, promptFeedback, usageMetadata } = readable(Chunk, chunk);
    if (!named && typeof modelVersion === 'string') yield { type: 'model', model: modelVersion };
    named ||= typeof modelVersion === 'string';
    if (usageMetadata !== null && usageMetadata !== undefined) {
      yield { type: 'usage', usage: usageOf(usageMetadata) };
    }
    const [candidate] = candidates ?? [];
    for (const part of candidate?.content?.parts ?? []) {
      called ||= part.functionCall !== null && part.functionCall !== undefined;
      yield* saidBy(part, answering);
    }
    const stop = stopOf(candidate?.finishReason, promptFeedback?.blockReason);
    if (stop === null) return;
    yield { type: 'stop', stop: stop === 'end' && called ? 'tool_calls' : stop };
    // Usage comes with the last chunk, or it does not come.
    if (usageMetadata !== null && usageMetadata !== undefined) yield { type: 'over' };
  };
}

function stopOf(finish: string | null | undefined, block: string | null | undefined): StopReason | null {
  // A prompt that is blocked has no answer at all.
  if (typeof block === 'string') return 'refusal';
  if (typeof finish !== 'string') return null;
  const stop = STOPS[finish];
  if (stop === undefined) throw streamError(PROVIDER);
  return stop;
}

function* saidBy(part: AnswerPart, { model, names }: Answering): Generator<Said> {
  const { text, thought, thoughtSignature, functionCall } = part;
  if (typeof thoughtSignature === 'string' && thoughtSignature !== '' && thought !== true) {
    const on = functionCall === null || functionCall === undefined ? 'text' : 'functionCall';
    const data = JSON.stringify({ thoughtSignature, on });
    yield { type: 'opaque', part: { type: 'opaque', provider: 'gemini', model, api: GEMINI_API, data } };
  }
  if (functionCall !== null && functionCall !== undefined) {
    yield { type: 'tool_call_begun' };
    const { id, name, args } = functionCall;
    const call = { name: names.fromGemini(name), arguments: JSON.stringify(args ?? {}) };
    yield { type: 'call', ...call, providerId: id ?? null };
  }
  // A summary of its thoughts is not part of the answer.
  yield { type: 'text', text: thought === true ? '' : (text ?? '') };
}

/** Thoughts are billed as output (Gemini API docs, "Thinking: pricing"). */
function usageOf(report: NonNullable<Chunk['usageMetadata']>): Usage {
  const cached = report.cachedContentTokenCount ?? 0;
  return {
    input: (report.promptTokenCount ?? 0) + (report.toolUsePromptTokenCount ?? 0) - cached,
    output: (report.candidatesTokenCount ?? 0) + (report.thoughtsTokenCount ?? 0),
    cachedInput: cached,
    cacheWrite: 0,
  };
}
