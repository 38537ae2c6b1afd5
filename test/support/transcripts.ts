/** Transcripts of all kinds for properties: those that happen, and those that should not. */
import * as fc from './fast-check.ts';
import type { ModelRequest } from '../../src/mind/router/provider.ts';
import type { Message, Opaque, Part, ToolDefinition } from '../../src/substrate/transcript.ts';
import { issued } from './wire-checks.ts';

/** The smallest PNG. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';

/** Where opaque parts come from: each API, and a model that is asked or another one. */
const ORIGINS = [
  { provider: 'anthropic', api: 'messages' },
  { provider: 'gemini', api: 'generateContent.v1beta' },
  { provider: 'nvidia', api: 'chat.completions' },
  { provider: 'local-ollama', api: 'chat' },
  { provider: 'anthropic', api: 'an-older-api' },
] as const;

const MODELS = ['model-a', 'model-b'] as const;

const UNICODE = fc.string({ unit: 'binary', maxLength: 40 });
const text: fc.Arbitrary<string> = fc.oneof(
  UNICODE,
  fc.lorem({ maxCount: 12 }),
  fc.constantFrom(
    '',
    ' ',
    '\n\t',
    '\u0000',
    '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩‍👩‍👧‍👦 é\u0301',
    '\u200b\u202e',
    '"\\</script>',
    'data: {"x":1}\n\n',
    '[DONE]',
  ),
);

const textPart: fc.Arbitrary<Part> = text.map((said) => ({ type: 'text', text: said }));
const imagePart: fc.Arbitrary<Extract<Part, { type: 'image' }>> = fc.record({
  type: fc.constant('image' as const),
  media_type: fc.constantFrom('image/png' as const, 'image/jpeg' as const, 'image/webp' as const),
  data: fc.oneof(
    fc.constant(PIXEL),
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  ),
});

/** Few ids, so that they come twice, too early, too late and not at all. */
const callId = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'd', 'call_0123456789012345678901234567890123'),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/),
);
const toolName = fc.oneof(
  fc.constantFrom('read_file', 'run', '7zip', '-flag', 'x'.repeat(64)),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
);
const callArguments = fc.oneof(
  fc
    .dictionary(fc.string({ unit: 'binary', maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
    .map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '{}',
    '{ "spaced" : 1 }',
    '{"n":12345678901234567890}',
    '{"torn":"\\ud83d"}',
    '{"a":1,"a":2}',
    '{"__proto__":{"x":1}}',
  ),
);
const toolCall: fc.Arbitrary<Part> = fc.record({
  type: fc.constant('tool_call' as const),
  id: callId,
  name: toolName,
  arguments: callArguments,
});
const toolResult: fc.Arbitrary<Part> = fc.record({
  type: fc.constant('tool_result' as const),
  call: callId,
  content: fc.array(fc.oneof(textPart as fc.Arbitrary<{ type: 'text'; text: string }>, imagePart), { maxLength: 3 }),
  status: fc.constantFrom('ok' as const, 'error' as const),
});

const opaque: fc.Arbitrary<Opaque> = fc
  .tuple(fc.constantFrom(...ORIGINS), fc.constantFrom(...MODELS), fc.nat(3), fc.string({ maxLength: 6 }))
  .map(([{ provider, api }, model, kind, blob]) => {
    const signature = issued(provider, model, blob);
    return { type: 'opaque', provider, model, api, data: opaqueData(provider, kind, signature) };
  });

function opaqueData(provider: string, kind: number, signature: string): string {
  if (kind === 3) return JSON.stringify({ unknown: signature });
  if (provider === 'gemini')
    return JSON.stringify({ thoughtSignature: signature, on: kind === 0 ? 'text' : 'functionCall' });
  if (provider === 'local-ollama') return JSON.stringify({ thinking: signature });
  if (kind === 0) return JSON.stringify({ type: 'redacted_thinking', data: signature });
  return JSON.stringify({ type: 'thinking', thinking: 'hm', signature });
}

const anyPart: fc.Arbitrary<Part> = fc.oneof(textPart, imagePart, toolCall, toolResult, opaque);

/** A message as clients write them. */
const usual: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ role: fc.constant('system' as const), parts: fc.array(textPart, { maxLength: 2 }) }),
  fc.record({ role: fc.constant('user' as const), parts: fc.array(fc.oneof(textPart, imagePart), { maxLength: 3 }) }),
  fc.record({
    role: fc.constant('assistant' as const),
    parts: fc.array(fc.oneof(textPart, toolCall, opaque), { maxLength: 5 }),
  }),
  fc.record({ role: fc.constant('tool' as const), parts: fc.array(toolResult, { maxLength: 4 }) }),
);

/** A message as nobody should write one. */
const unusual: fc.Arbitrary<Message> = fc.record({
  role: fc.constantFrom('system' as const, 'user' as const, 'assistant' as const, 'tool' as const),
  parts: fc.array(anyPart, { maxLength: 4 }),
});

/** Turns in which every call has its result. */
const orderly: fc.Arbitrary<Message[]> = fc
  .tuple(fc.array(toolCall, { minLength: 1, maxLength: 3 }), fc.array(opaque, { maxLength: 2 }), textPart, toolResult)
  .map(([calls, reasoning, said, result]) => [
    { role: 'assistant', parts: [...reasoning, said, ...calls] },
    {
      role: 'tool',
      parts: calls.flatMap((call) =>
        call.type === 'tool_call' && result.type === 'tool_result' ? [{ ...result, call: call.id }] : [],
      ),
    },
  ]);

/** Any transcript: tools, parallel calls, images, opaque blobs, Unicode of all kinds, and disorder. */
export const transcripts: fc.Arbitrary<Message[]> = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: usual.map((one) => [one]) },
      { weight: 3, arbitrary: orderly },
      { weight: 1, arbitrary: unusual.map((one) => [one]) },
    ),
    { maxLength: 10 },
  )
  .map((groups) => groups.flat());

const tool: fc.Arbitrary<ToolDefinition> = fc.record({
  name: toolName,
  description: text,
  parameters: fc.constantFrom(
    '{}',
    '{"type":"object"}',
    '{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}',
  ),
});

/** Any request that a router could make of any transcript. */
export const modelRequests: fc.Arbitrary<ModelRequest> = fc.record({
  model: fc.constantFrom(...MODELS),
  messages: transcripts,
  tools: fc.uniqueArray(tool, { selector: ({ name }) => name, maxLength: 3 }),
  maxOutputTokens: fc.integer({ min: 1, max: 100_000 }),
  stop: fc.array(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 6 }),
});
