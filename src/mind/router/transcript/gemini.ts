/**
 * The `generateContent` format of Gemini (v1beta).
 *
 * Gemini 3 refuses a history whose calls have no thought signature: each step's first call needs one.
 * A signature goes back to the model that gave it; a call that comes from elsewhere gets the documented
 * sentinel (ai.google.dev/gemini-api/docs/thought-signatures, FAQ: "transferring a trace from a
 * different model").
 */
import * as z from 'zod';
import type { Loss, ModelRequest } from '../provider.ts';
import { argumentLosses, assertDistinct, parseLoosely, parseObject, schemaOf } from './json.ts';
import type { Answered, ImagePart, TextPart, Turn } from './prepare.ts';
import { distinct, prepare } from './prepare.ts';

export const GEMINI_API = 'generateContent.v1beta';

/** A signature, and the part that it came on. It stands before that part in the transcript. */
const GeminiSignature = z.strictObject({
  thoughtSignature: z.string().min(1),
  on: z.enum(['functionCall', 'text']),
});

const TRANSFERRED = 'skip_thought_signature_validator';

/** Gemini's API reference, GenerationConfig.stopSequences: "up to 5". */
const STOPS_MAX = 5;

type GeminiPart = Readonly<Record<string, unknown>>;
interface Content {
  readonly role: 'user' | 'model';
  readonly parts: readonly GeminiPart[];
}

/** Tool names as Gemini allows them (a letter or `_` first, 64 at most), and back. */
export interface ToolNames {
  readonly toGemini: (name: string) => string;
  readonly fromGemini: (name: string) => string;
}

export function toGemini(request: ModelRequest): { body: string; losses: readonly Loss[] } {
  const { model, messages, tools, maxOutputTokens, stop } = request;
  assertDistinct(tools);
  const prepared = prepare(messages, { provider: 'gemini', model, api: GEMINI_API });
  const losses = [...prepared.losses];
  const names = toolNames(request);
  if (stop.length > STOPS_MAX) losses.push({ message: null, what: `stop sequences beyond ${STOPS_MAX}` });
  const body = JSON.stringify({
    contents: toContents(prepared.turns, { names, losses }),
    ...(prepared.system.length > 0 && { systemInstruction: { parts: prepared.system.map((text) => ({ text })) } }),
    ...(tools.length > 0 && {
      tools: [
        {
          functionDeclarations: tools.map((tool) => ({
            name: names.toGemini(tool.name),
            description: tool.description,
            parametersJsonSchema: schemaOf(tool),
          })),
        },
      ],
    }),
    generationConfig: {
      maxOutputTokens,
      // Said, so that what an image may count is known (see `overhead` of the provider).
      ...(hasImage(prepared.turns) && { mediaResolution: 'MEDIA_RESOLUTION_HIGH' }),
      ...(stop.length > 0 && { stopSequences: stop.slice(0, STOPS_MAX) }),
    },
  });
  return { body, losses: distinct(losses) };
}

function hasImage(turns: readonly Turn[]): boolean {
  return turns.some((turn) => {
    if (turn.side === 'user') return turn.parts.some(({ type }) => type === 'image');
    return turn.side === 'results' && turn.results.some(({ content }) => content.some(({ type }) => type === 'image'));
  });
}

const NAME_LENGTH_MAX = 64;

/** The names of a request's tools and of the calls in its history. */
export function toolNames({ tools, messages }: ModelRequest): ToolNames {
  const called = messages.flatMap(({ parts }) =>
    parts.flatMap((part) => (part.type === 'tool_call' ? [part.name] : [])),
  );
  const own = new Set([...tools.map(({ name }) => name), ...called]);
  const there = new Map<string, string>();
  const back = new Map<string, string>();
  // Names that are fine as they are come first, so that none of them is taken by a mended one.
  for (const name of [...own].sort((a, b) => Number(needsMending(a)) - Number(needsMending(b)))) {
    let mended = needsMending(name) ? `_${name}`.slice(0, NAME_LENGTH_MAX) : name;
    for (let count = 2; back.has(mended); count += 1) mended = `_${count}${name}`.slice(0, NAME_LENGTH_MAX);
    there.set(name, mended);
    back.set(mended, name);
  }
  return { toGemini: (name) => there.get(name) ?? name, fromGemini: (name) => back.get(name) ?? name };
}

function needsMending(name: string): boolean {
  return !/^[A-Za-z_]/.test(name);
}

function textOrImage(part: TextPart | ImagePart): GeminiPart {
  if (part.type === 'text') return { text: part.text };
  return { inlineData: { mimeType: part.media_type, data: part.data } };
}

interface Writing {
  readonly names: ToolNames;
  readonly losses: Loss[];
}

function toContents(turns: readonly Turn[], writing: Writing): Content[] {
  return turns.map((turn): Content => {
    if (turn.side === 'user') return { role: 'user', parts: turn.parts.map(textOrImage) };
    if (turn.side === 'assistant') return { role: 'model', parts: modelParts(turn, writing) };
    return { role: 'user', parts: turn.results.flatMap((result) => responseParts(result, writing)) };
  });
}

/** A result and, beside it, its images: a response's own `parts` are for Gemini 3 alone. */
function responseParts({ call, content, status }: Answered, { names }: Writing): GeminiPart[] {
  const text = content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
  const response = status === 'error' ? { error: text } : { output: text };
  return [
    { functionResponse: { id: call.id, name: names.toGemini(call.name), response } },
    ...content.filter((part) => part.type === 'image').map(textOrImage),
  ];
}

const UNUSED: Loss = { message: null, what: 'opaque reasoning of a call that is not there' };

function modelParts({ parts }: Extract<Turn, { side: 'assistant' }>, { names, losses }: Writing): GeminiPart[] {
  const written: GeminiPart[] = [];
  let signature: string | null = null;
  let signed = false;
  for (const part of parts) {
    if (part.type === 'opaque') {
      const own = GeminiSignature.safeParse(parseLoosely(part.data));
      if (!own.success) losses.push({ message: null, what: 'opaque reasoning that is not in the provider’s form' });
      else if (own.data.on === 'functionCall') {
        if (signature !== null) losses.push(UNUSED);
        signature = own.data.thoughtSignature;
      } else written.push({ text: '', thoughtSignature: own.data.thoughtSignature });
    } else if (part.type === 'text') {
      written.push({ text: part.text });
    } else {
      losses.push(...argumentLosses(part.arguments));
      // Of parallel calls only the first has a signature.
      signature ??= signed ? null : TRANSFERRED;
      written.push({
        functionCall: { id: part.id, name: names.toGemini(part.name), args: parseObject(part.arguments) },
        ...(signature !== null && { thoughtSignature: signature }),
      });
      signature = null;
      signed = true;
    }
  }
  if (signature !== null) losses.push(UNUSED);
  return written;
}
