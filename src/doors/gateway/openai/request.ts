/** OpenAI's Chat Completions: what a client asks for (API reference, "Create chat completion"). */
import * as z from 'zod';
import type { Message, Part, ToolDefinition } from '../../../substrate/transcript.ts';
import { MESSAGES_MAX } from '../../../substrate/transcript.ts';
import { OPENAI } from '../fields.ts';
import { labelsOf } from '../labels.ts';
import type { ImagePart, TextPart } from '../parts.ts';
import * as parts from '../parts.ts';
import { read, refusal, Sifting } from '../sifting.ts';
import type { GatewayRequest } from '../wire.ts';

const Body = z.looseObject({
  model: parts.ModelName,
  messages: z
    .array(z.looseObject({ role: z.string() }))
    .min(1)
    .max(MESSAGES_MAX),
  tools: z.array(parts.Typed).max(parts.TOOLS_MAX).nullish(),
  max_completion_tokens: parts.MaxTokens.nullish(),
  max_tokens: parts.MaxTokens.nullish(),
  stop: z.union([parts.Stop, z.array(parts.Stop).max(parts.STOPS_MAX)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  metadata: z.looseObject({}).nullish(),
  user: z.string().nullish(),
});
type Body = z.infer<typeof Body>;

/** @throws SeedError `invalid_input` or `too_large`, with the field in `data.argument` */
export function parseRequest(given: unknown): GatewayRequest {
  const body = read(Body, given, '');
  const sifting = new Sifting();
  sifting.fields(body, OPENAI.body, { place: '', path: '' });
  const { stop, stream_options: options } = body;
  if (options !== null && options !== undefined) {
    sifting.fields(options, OPENAI.stream_options, { place: 'stream_options', path: 'stream_options' });
  }
  const messages = body.messages.map((message, index) => toMessage(message, `messages.${index}`, sifting));
  sifting.calls.assertPaired();
  parts.assertSaid(messages, 'messages');
  parts.listMoved(messages, sifting);
  const tools = toTools(body, sifting);
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: options?.include_usage ?? false,
    request: {
      messages,
      tools,
      maxOutputTokens: maxTokensOf(body, sifting),
      stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    },
    labels: toLabels(body),
    notCarried: sifting.notCarried,
    toolNames: sifting.toolNames,
  };
}

/** The newer name counts where the older one says something else. */
function maxTokensOf({ max_completion_tokens: newer, max_tokens: older }: Body, sifting: Sifting): number | null {
  if (typeof newer === 'number' && typeof older === 'number' && newer !== older) sifting.list('max_tokens');
  return newer ?? older ?? null;
}

/** What a client says of a request, as labels. */
export function toLabels({ metadata, user }: Pick<Body, 'metadata' | 'user'>): Record<string, string> {
  const entries = Object.entries(metadata ?? {}).map(([key, value]) => ({ key, value, path: `metadata.${key}` }));
  return labelsOf([...entries, ...(typeof user === 'string' ? [{ key: 'user', value: user, path: 'user' }] : [])]);
}

// ---------------------------------------------------------------------------------------------
// Tools

const FunctionTool = z.looseObject({
  function: z.looseObject({ name: z.string(), description: z.string().nullish(), parameters: z.unknown().optional() }),
});

function toTools({ tools, tool_choice: choice }: Body, sifting: Sifting): readonly ToolDefinition[] {
  const definitions = (tools ?? []).map((tool, index) => toTool(tool, `tools.${index}`, sifting));
  parts.assertDistinct(definitions);
  return parts.chosen(definitions, choice);
}

function toTool(tool: z.infer<typeof parts.Typed>, path: string, sifting: Sifting): ToolDefinition {
  if (tool.type !== 'function') throw refusal(`${path}.type`, 'is refused: tools are functions with a JSON Schema');
  const { function: named } = read(FunctionTool, tool, path);
  sifting.fields(tool, OPENAI.tools, { place: 'tools', path });
  const at = `${path}.function`;
  sifting.fields(named, OPENAI['tools.function'], { place: 'tools.function', path: at });
  const { name, description, parameters: schema } = named;
  return parts.toolDefinition(
    { name, description, schema },
    { name: `${at}.name`, description: `${at}.description`, schema: `${at}.parameters` },
    sifting,
  );
}

// ---------------------------------------------------------------------------------------------
// Messages

type Given = Body['messages'][number];

function toMessage(given: Given, path: string, sifting: Sifting): Message {
  sifting.fields(given, OPENAI.messages, { place: 'messages', path });
  const message = messageOf(given, path, sifting);
  parts.assertFits(message, path);
  return message;
}

function messageOf(given: Given, path: string, sifting: Sifting): Message {
  const content = contentOf(given, path, sifting);
  if (given.role === 'user' || given.role === 'assistant') sifting.calls.goOn();
  switch (given.role) {
    case 'system':
    case 'developer':
      return { role: 'system', parts: content('text') };
    case 'user':
      return { role: 'user', parts: content('text', 'image_url') };
    case 'assistant':
      return { role: 'assistant', parts: [...content('text', 'refusal'), ...spoken(given, path, sifting)] };
    case 'tool': {
      const call = read(parts.CallId, given['tool_call_id'], `${path}.tool_call_id`);
      sifting.calls.answered(call, `${path}.tool_call_id`);
      const result = content('text', 'image_url');
      return {
        role: 'tool',
        parts: [{ type: 'tool_result', call: parts.callId(call), content: result, status: 'ok' }],
      };
    }
    default:
      throw refusal(`${path}.role`, 'must be system, developer, user, assistant or tool');
  }
}

const Image = z.looseObject({ url: z.unknown().optional() });

type Kind = 'text' | 'refusal' | 'image_url';

/** Reads a message's content, in which only parts of some kinds may stand. */
function contentOf(
  { content, role }: Given,
  path: string,
  sifting: Sifting,
): (...kinds: Kind[]) => (TextPart | ImagePart)[] {
  const at = `${path}.content`;
  return (...kinds) => {
    if (content === null || content === undefined) {
      if (role === 'assistant') return [];
      throw refusal(at, 'is missing');
    }
    if (typeof content === 'string') return parts.textParts(content, at);
    const list = read(parts.Content, content, at);
    return list.flatMap((part, index): (TextPart | ImagePart)[] => {
      const where = `${at}.${index}`;
      if (!kinds.some((kind) => kind === part.type)) {
        throw refusal(
          `${where}.type`,
          `cannot be carried; content of role ${role} has parts of type ${kinds.join(', ')}`,
        );
      }
      sifting.fields(part, OPENAI['messages.content'], { place: 'messages.content', path: where });
      if (part.type !== 'image_url') return parts.textParts(part[part.type], `${where}.${part.type}`);
      const image = read(Image, part['image_url'], `${where}.image_url`);
      const place = 'messages.content.image_url';
      sifting.fields(image, OPENAI[place], { place, path: `${where}.image_url` });
      return [parts.imageOfUrl(image.url, `${where}.image_url.url`)];
    });
  };
}

const Calls = z
  .array(
    z.looseObject({
      id: parts.CallId,
      type: z.literal('function', 'calls are of functions'),
      function: z.looseObject({ name: z.string(), arguments: z.string() }),
    }),
  )
  .max(parts.PARTS_MAX);

/** What an assistant's message has beside its content. */
function spoken({ refusal: refused, tool_calls: called }: Given, path: string, sifting: Sifting): Part[] {
  const said = refused === null || refused === undefined ? [] : parts.textParts(refused, `${path}.refusal`);
  const calls = called === null || called === undefined ? [] : read(Calls, called, `${path}.tool_calls`);
  return [
    ...said,
    ...calls.map((call, index) => {
      const at = `${path}.tool_calls.${index}`;
      sifting.fields(call, OPENAI['messages.tool_calls'], { place: 'messages.tool_calls', path: at });
      const place = 'messages.tool_calls.function';
      sifting.fields(call.function, OPENAI[place], { place, path: `${at}.function` });
      const { name, arguments: given } = call.function;
      const text = parts.argumentsText(given, `${at}.function.arguments`);
      sifting.calls.made(call.id, `${at}.id`);
      return parts.toolCall({ id: call.id, name, arguments: text }, `${at}.function`, sifting);
    }),
  ];
}
