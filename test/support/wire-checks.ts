/**
 * What each provider really refuses, checked on the final bytes of a request.
 *
 * Written from the providers' references and from their error messages, and on purpose without the
 * project's own code: a second opinion. Each check gives what is wrong, nothing when all is well.
 *
 * A signature that a test's provider "issued" begins with {@link issued} of the provider and model, so
 * that one of another origin is told from its own.
 */
import * as z from 'zod';
import type { ProviderName } from '../../src/substrate/policy/model.ts';

/** How a signature begins that this provider gave for this model; base64, as Gemini wants it. */
export function issued(provider: string, model: string, blob = ''): string {
  return Buffer.from(`issued by ${provider} for ${model}: ${blob}`).toString('base64');
}

function isIssued(signature: string, provider: string, model: string): boolean {
  return Buffer.from(signature, 'base64').toString().startsWith(`issued by ${provider} for ${model}: `);
}

const ID = z.string().regex(/^[a-zA-Z0-9_-]{1,40}$/);
const NAME = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/);
const NOT_BLANK = z.string().regex(/\S/);
const BASE64 = z.base64();
const MEDIA = z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
const Schema = z.looseObject({ type: z.literal('object') });
const Args = z.record(z.string(), z.unknown());

/** What is wrong with a request of this provider. `path` is where it was sent, for a model that stands there. */
export function wrongWith(provider: ProviderName, body: string, path = ''): string[] {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return ['the body is not JSON'];
  }
  const torn = hasTornText(value) ? ['a string has half a surrogate pair'] : [];
  return [...torn, ...CHECKS[provider](value, path)];
}

function hasTornText(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed();
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, each]) => !key.isWellFormed() || hasTornText(each));
}

type Check = (value: unknown, path: string) => string[];

function checked<T extends z.ZodType>(schema: T, rules: (request: z.infer<T>, path: string) => string[]): Check {
  return (value, path) => {
    const parsed = schema.safeParse(value);
    if (!parsed.success) return parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`);
    return rules(parsed.data, path);
  };
}

function repeated(values: readonly string[], what: string): string[] {
  return new Set(values).size === values.length ? [] : [`${what} are not unique`];
}

function sameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}

// ---------------------------------------------------------------------------------------------
// Anthropic: platform.claude.com, "Messages", "Tool use", "Extended thinking"

const AText = z.strictObject({ type: z.literal('text'), text: NOT_BLANK });
const AImage = z.strictObject({
  type: z.literal('image'),
  source: z.strictObject({ type: z.literal('base64'), media_type: MEDIA, data: BASE64 }),
});
const AResult = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: ID,
  content: z.array(z.discriminatedUnion('type', [AText, AImage])).optional(),
  is_error: z.boolean().optional(),
});
const AUse = z.strictObject({ type: z.literal('tool_use'), id: ID, name: NAME, input: Args });
const AThinking = z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().min(1) });
const ARedacted = z.strictObject({ type: z.literal('redacted_thinking'), data: z.string().min(1) });
const AMessage = z.discriminatedUnion('role', [
  z.strictObject({
    role: z.literal('user'),
    content: z.array(z.discriminatedUnion('type', [AText, AImage, AResult])).min(1),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.array(z.discriminatedUnion('type', [AText, AUse, AThinking, ARedacted])).min(1),
  }),
]);
const ARequest = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().positive(),
  system: z.array(AText).min(1).optional(),
  messages: z.array(AMessage).min(1),
  tools: z
    .array(
      z.strictObject({
        type: z.literal('custom'),
        name: NAME,
        description: z.string().optional(),
        input_schema: Schema,
      }),
    )
    .min(1)
    .optional(),
  tool_choice: z.strictObject({ type: z.enum(['auto', 'none']) }).optional(),
  stop_sequences: z.array(NOT_BLANK).min(1).optional(),
  stream: z.literal(true),
});

const anthropic = checked(ARequest, ({ model, messages, tools }) => {
  const wrong: string[] = [];
  if (messages[0]?.role !== 'user') wrong.push('messages: first message must use the "user" role');
  if (messages.at(-1)?.role !== 'user') wrong.push('the conversation must end with a user message');
  const uses: string[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    if (messages[index - 1]?.role === role) wrong.push(`messages.${index}: roles must alternate`);
    const before = messages[index - 1]?.content ?? [];
    const asked = before.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
    const given = content.flatMap((block) => (block.type === 'tool_result' ? [block.tool_use_id] : []));
    if (!sameList(asked.toSorted(), given.toSorted()))
      wrong.push(`messages.${index}: tool_use without tool_result, or the reverse`);
    const firsts = content.slice(0, given.length);
    if (firsts.some(({ type }) => type !== 'tool_result'))
      wrong.push(`messages.${index}: tool_result blocks must come first`);
    uses.push(...content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : [])));
    for (const block of content) {
      if (block.type === 'thinking' && !isIssued(block.signature, 'anthropic', model)) {
        wrong.push(`messages.${index}: Invalid \`signature\` in \`thinking\` block`);
      }
      if (block.type === 'redacted_thinking' && !isIssued(block.data, 'anthropic', model)) {
        wrong.push(`messages.${index}: Invalid \`data\` in \`redacted_thinking\` block`);
      }
    }
    if (role === 'assistant' && content.every(({ type }) => type.endsWith('thinking'))) {
      wrong.push(`messages.${index}: an answer of thinking alone`);
    }
  }
  wrong.push(...repeated(uses, '`tool_use` ids'));
  wrong.push(
    ...repeated(
      (tools ?? []).map(({ name }) => name),
      'Tool names',
    ),
  );
  if (uses.length > 0 && tools === undefined) wrong.push('tools: must be defined where tool_use blocks are');
  return wrong;
});

// ---------------------------------------------------------------------------------------------
// OpenAI: platform.openai.com, "Create chat completion"

const OText = z.strictObject({ type: z.literal('text'), text: z.string().min(1) });
const OImage = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({ url: z.string().regex(/^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]*=*$/) }),
});
const OCall = z.strictObject({
  id: ID,
  type: z.literal('function'),
  function: z.strictObject({ name: NAME, arguments: z.string().refine(isObjectText) }),
});
const OMessage = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: z.string().min(1) }),
  z.strictObject({
    role: z.literal('user'),
    content: z.union([z.string().min(1), z.array(z.discriminatedUnion('type', [OText, OImage])).min(1)]),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string().min(1).nullable(),
    tool_calls: z.array(OCall).min(1).optional(),
  }),
  z.strictObject({ role: z.literal('tool'), tool_call_id: ID, content: z.string() }),
]);
const ORequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(OMessage).min(1),
  max_tokens: z.int().positive(),
  tools: z
    .array(
      z.strictObject({
        type: z.literal('function'),
        function: z.strictObject({ name: NAME, description: z.string(), parameters: Schema }),
      }),
    )
    .min(1)
    .optional(),
  stop: z.array(z.string().min(1)).min(1).max(4).optional(),
  stream: z.literal(true),
  stream_options: z.strictObject({ include_usage: z.literal(true) }),
});

function isObjectText(text: string): boolean {
  return Args.safeParse(JSON.parse(text)).success;
}

const nvidia = checked(ORequest, ({ messages, tools }) => {
  const wrong: string[] = [];
  let open: string[] = [];
  const ids: string[] = [];
  for (const [index, message] of messages.entries()) {
    const before = messages[index - 1]?.role;
    if (message.role === 'system' && index > 0) wrong.push(`messages.${index}: a system message in the middle`);
    if (message.role === before && message.role !== 'tool') wrong.push(`messages.${index}: roles must alternate`);
    if (message.role === 'tool') {
      if (open[0] !== message.tool_call_id) wrong.push(`messages.${index}: a tool message must follow its tool_calls`);
      open = open.slice(1);
    } else if (open.length > 0) {
      wrong.push(`messages.${index}: tool_call_ids did not have response messages: ${open.join(', ')}`);
      open = [];
    }
    if (message.role !== 'assistant') continue;
    const calls = message.tool_calls ?? [];
    if (message.content === null && calls.length === 0)
      wrong.push(`messages.${index}: an assistant message says nothing`);
    open = calls.map(({ id }) => id);
    ids.push(...open);
  }
  if (open.length > 0) wrong.push('the last tool calls have no response messages');
  if (!['user', 'tool'].includes(messages.at(-1)?.role ?? '')) wrong.push('the last message must be user or tool');
  if (messages.find(({ role }) => role !== 'system')?.role !== 'user') wrong.push('the first message must be user');
  wrong.push(...repeated(ids, 'tool_call ids'));
  wrong.push(
    ...repeated(
      (tools ?? []).map(({ function: { name } }) => name),
      'Tool names',
    ),
  );
  return wrong;
});

// ---------------------------------------------------------------------------------------------
// Gemini: ai.google.dev, "generateContent", "Function calling", "Thought signatures"

const GName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/);
const GPart = z.union([
  z.strictObject({ text: z.string(), thoughtSignature: BASE64.optional() }),
  z.strictObject({ inlineData: z.strictObject({ mimeType: MEDIA, data: BASE64 }) }),
  z.strictObject({
    functionCall: z.strictObject({ id: ID, name: GName, args: Args }),
    thoughtSignature: z.string().min(1).optional(),
  }),
  z.strictObject({ functionResponse: z.strictObject({ id: ID, name: GName, response: Args }) }),
]);
const GRequest = z.strictObject({
  contents: z.array(z.strictObject({ role: z.enum(['user', 'model']), parts: z.array(GPart).min(1) })).min(1),
  systemInstruction: z.strictObject({ parts: z.array(z.strictObject({ text: z.string().min(1) })).min(1) }).optional(),
  tools: z
    .array(
      z.strictObject({
        functionDeclarations: z
          .array(z.strictObject({ name: GName, description: z.string(), parametersJsonSchema: Schema }))
          .min(1),
      }),
    )
    .length(1)
    .optional(),
  generationConfig: z.strictObject({
    maxOutputTokens: z.int().positive(),
    mediaResolution: z.enum(['MEDIA_RESOLUTION_LOW', 'MEDIA_RESOLUTION_MEDIUM', 'MEDIA_RESOLUTION_HIGH']).optional(),
    stopSequences: z.array(z.string().min(1)).min(1).max(5).optional(),
  }),
});

const SENTINELS = new Set(['skip_thought_signature_validator', 'context_engineering_is_the_way_to_go']);

const gemini = checked(GRequest, ({ contents, tools }, path) => {
  const model = /\/models\/([^/:]+):/.exec(path)?.[1] ?? '';
  const wrong: string[] = [];
  const ids: string[] = [];
  if (contents[0]?.role !== 'user') wrong.push('the first content must be the user’s');
  if (contents.at(-1)?.role !== 'user') wrong.push('the last content must be the user’s');
  for (const [index, { role, parts }] of contents.entries()) {
    const calls = parts.flatMap((part) => ('functionCall' in part ? [part] : []));
    const asked = (contents[index - 1]?.parts ?? []).flatMap((part) =>
      'functionCall' in part ? [`${part.functionCall.id} ${part.functionCall.name}`] : [],
    );
    const given = parts.flatMap((part) =>
      'functionResponse' in part ? [`${part.functionResponse.id} ${part.functionResponse.name}`] : [],
    );
    if (!sameList(asked, given)) {
      wrong.push(`contents.${index}: function response parts do not equal the function call parts before`);
    }
    if (calls.length > 0 && role !== 'model') wrong.push(`contents.${index}: a function call by the user`);
    if (given.length > 0 && role !== 'user') wrong.push(`contents.${index}: a function response by the model`);
    if (role === 'model' && contents[index - 1]?.role === 'model') wrong.push(`contents.${index}: two of the model’s`);
    if (calls[0] !== undefined && calls[0].thoughtSignature === undefined) {
      wrong.push(`contents.${index}: Function call is missing a thought_signature`);
    }
    for (const part of parts) {
      const signature = 'thoughtSignature' in part ? part.thoughtSignature : undefined;
      if (signature === undefined || isIssued(signature, 'gemini', model)) continue;
      if (!('functionCall' in part) || !SENTINELS.has(signature))
        wrong.push(`contents.${index}: Corrupted thought signature.`);
    }
    ids.push(...calls.map(({ functionCall }) => functionCall.id));
  }
  const names = (tools ?? []).flatMap(({ functionDeclarations }) => functionDeclarations.map(({ name }) => name));
  return [...wrong, ...repeated(ids, 'function call ids'), ...repeated(names, 'Function names')];
});

// ---------------------------------------------------------------------------------------------
// Ollama: docs/api.md, "Generate a chat completion"

const LMessage = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: z.string().min(1) }),
  z.strictObject({ role: z.literal('user'), content: z.string(), images: z.array(BASE64).min(1).optional() }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string(),
    thinking: z.string().optional(),
    tool_calls: z.array(z.strictObject({ function: z.strictObject({ name: NAME, arguments: Args }) })).optional(),
  }),
  z.strictObject({ role: z.literal('tool'), tool_name: NAME, content: z.string() }),
]);
const LRequest = z.strictObject({
  model: z.string().min(1),
  messages: z.array(LMessage).min(1),
  tools: z
    .array(
      z.strictObject({
        type: z.literal('function'),
        function: z.strictObject({ name: NAME, description: z.string(), parameters: Schema }),
      }),
    )
    .optional(),
  truncate: z.literal(false),
  shift: z.literal(false),
  options: z.strictObject({
    num_ctx: z.int().positive(),
    num_predict: z.int().positive(),
    stop: z.array(z.string().min(1)).optional(),
  }),
  stream: z.literal(true),
});

const localOllama = checked(LRequest, ({ model, messages, options }) => {
  const wrong: string[] = [];
  let open: string[] = [];
  for (const [index, message] of messages.entries()) {
    if (message.role === messages[index - 1]?.role && message.role !== 'tool')
      wrong.push(`messages.${index}: roles must alternate`);
    if (message.role === 'tool') {
      if (open[0] !== message.tool_name) wrong.push(`messages.${index}: a result that no call waits for`);
      open = open.slice(1);
    } else if (open.length > 0) {
      wrong.push(`messages.${index}: calls without results`);
      open = [];
    }
    if (message.role !== 'assistant') continue;
    open = (message.tool_calls ?? []).map(({ function: { name } }) => name);
    const { thinking } = message;
    if (thinking !== undefined && !isIssued(thinking, 'local-ollama', model))
      wrong.push(`messages.${index}: foreign thinking`);
  }
  if (open.length > 0) wrong.push('the last calls have no results');
  // No text has more than a token for two bytes, but for what is nearly random.
  const text = JSON.stringify(messages.map((message) => ({ ...message, images: undefined })));
  if (options.num_ctx < Buffer.byteLength(text) / 2 + options.num_predict)
    wrong.push('num_ctx is too small for the prompt');
  return wrong;
});

const CHECKS: Readonly<Record<ProviderName, Check>> = { anthropic, nvidia, gemini, 'local-ollama': localOllama };
