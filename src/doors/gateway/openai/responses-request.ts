/** OpenAI's Responses: what a client asks for (API reference, "Create a model response"). */
import * as z from 'zod';
import type { Message, Part, ToolDefinition } from '../../../substrate/transcript.ts';
import { MESSAGES_MAX } from '../../../substrate/transcript.ts';
import { RESPONSES } from '../fields.ts';
import type { ImagePart, TextPart } from '../parts.ts';
import * as parts from '../parts.ts';
import { read, refusal, Sifting } from '../sifting.ts';
import type { GatewayRequest } from '../wire.ts';
import { toLabels } from './request.ts';

const Item = z.looseObject({ type: z.string().max(100).nullish(), role: z.string().max(100).nullish() });
type Item = z.infer<typeof Item>;

const Body = z.looseObject({
  model: parts.ModelName,
  input: z.union([z.string(), z.array(Item).min(1).max(MESSAGES_MAX)]),
  instructions: z.string().nullish(),
  tools: z.array(parts.Typed).max(parts.TOOLS_MAX).nullish(),
  max_output_tokens: parts.MaxTokens.nullish(),
  stream: z.boolean().nullish(),
  text: z.looseObject({}).nullish(),
  metadata: z.looseObject({}).nullish(),
  user: z.string().nullish(),
});
type Body = z.infer<typeof Body>;

/** @throws SeedError `invalid_input` or `too_large`, with the field in `data.argument` */
export function parseResponseRequest(given: unknown): GatewayRequest {
  const body = read(Body, given, '');
  const sifting = new Sifting();
  sifting.fields(body, RESPONSES.body, { place: '', path: '' });
  if (body.text !== null && body.text !== undefined) {
    sifting.fields(body.text, RESPONSES.text, { place: 'text', path: 'text' });
  }
  const tools = toTools(body, sifting);
  const messages = toMessages(body, sifting);
  sifting.calls.assertPaired();
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: true,
    request: { messages, tools, maxOutputTokens: body.max_output_tokens ?? null, stop: [] },
    labels: toLabels(body),
    notCarried: sifting.notCarried,
    toolNames: sifting.toolNames,
  };
}

// ---------------------------------------------------------------------------------------------
// Tools

const FunctionTool = z.looseObject({
  name: z.string(),
  description: z.string().nullish(),
  parameters: z.unknown().optional(),
});
/** Offered, and not asked for: who has them not answers without. */
const OFFERED = /^(?:web_search(?:_.*)?|image_generation|tool_search)$/;
const Group = z.looseObject({ name: z.string().min(1), tools: z.array(parts.Typed).max(parts.TOOLS_MAX) });

function toTools({ tools, tool_choice: choice }: Body, sifting: Sifting): readonly ToolDefinition[] {
  const definitions = (tools ?? []).flatMap((tool, index) => toTool(tool, `tools.${index}`, sifting));
  parts.assertDistinct(definitions);
  return parts.chosen(definitions, choice);
}

function toTool(
  tool: z.infer<typeof parts.Typed>,
  path: string,
  sifting: Sifting,
  namespace: string | null = null,
): ToolDefinition[] {
  if (OFFERED.test(tool.type)) {
    sifting.list(`tools.${tool.type}`);
    return [];
  }
  if (tool.type === 'namespace' && namespace === null) {
    const { name, tools } = read(Group, tool, path);
    sifting.fields(tool, RESPONSES['tools (namespace)'], { place: 'tools', path });
    return tools.flatMap((each, index) => toTool(each, `${path}.tools.${index}`, sifting, name));
  }
  if (tool.type !== 'function') throw refusal(`${path}.type`, 'is refused: tools are functions with a JSON Schema');
  const { name, description, parameters: schema } = read(FunctionTool, tool, path);
  sifting.fields(tool, RESPONSES.tools, { place: 'tools', path });
  const at = { name: `${path}.name`, description: `${path}.description`, schema: `${path}.parameters` };
  return [parts.toolDefinition({ name, namespace, description, schema }, at, sifting)];
}

// ---------------------------------------------------------------------------------------------
// Items

/** What one answer said stands in items of its own here: neighbours of the assistant's are one message. */
function toMessages({ input, instructions }: Body, sifting: Sifting): Message[] {
  const messages: Message[] = [];
  /** Where each of them begins. */
  const paths: string[] = [];
  const first = parts.textParts(instructions ?? '', 'instructions');
  if (first.length > 0) {
    messages.push({ role: 'system', parts: first });
    paths.push('instructions');
  }
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : input;
  for (const [index, item] of items.entries()) {
    const path = typeof input === 'string' ? 'input' : `input.${index}`;
    const last = messages.at(-1);
    // Within one answer calls stand side by side; another one begins once they have their results.
    if (isAnswer(item) && last?.role !== 'assistant') sifting.calls.goOn();
    const message = toMessage(item, path, sifting);
    if (message === null) continue;
    // Its place is right behind the call, wherever it stood.
    if (message.role === 'tool' && last?.role === 'user') sifting.list('input.order');
    if (message.role === 'assistant' && last?.role === 'assistant') last.parts.push(...message.parts);
    else {
      messages.push(message);
      paths.push(path);
    }
  }
  // Once they are whole: an answer that is measured with each of its items takes the square of their number.
  for (const [index, message] of messages.entries()) parts.assertFits(message, paths[index] ?? 'input');
  parts.assertSaid(messages, 'input');
  parts.listMoved(messages, sifting);
  return messages;
}

/** Whether an item is the assistant's. */
function isAnswer({ type, role }: Item): boolean {
  return type === 'function_call' || ((type ?? 'message') === 'message' && role === 'assistant');
}

const Call = z.looseObject({
  call_id: parts.CallId,
  name: z.string(),
  namespace: z.string().min(1).nullish(),
  arguments: z.string(),
});
const Output = z.looseObject({ call_id: parts.CallId, output: z.unknown().optional() });

function toMessage(item: Item, path: string, sifting: Sifting): Message | null {
  const type = item.type ?? 'message';
  if (type === 'reasoning') {
    // Nothing of the kind is given out here: it is of another provider's, and nobody else can read it.
    sifting.list('input.reasoning');
    return null;
  }
  sifting.fields(item, RESPONSES.input, { place: 'input', path });
  switch (type) {
    case 'message':
      return spoken(item, path, sifting);
    case 'function_call': {
      const call = read(Call, item, path);
      const text = parts.argumentsText(call.arguments, `${path}.arguments`);
      sifting.calls.made(call.call_id, `${path}.call_id`);
      const { call_id: id, name, namespace } = call;
      const part = parts.toolCall({ id, name, namespace, arguments: text }, path, sifting);
      return { role: 'assistant', parts: [part] };
    }
    case 'function_call_output': {
      const { call_id: id, output } = read(Output, item, path);
      sifting.calls.answered(id, `${path}.call_id`);
      const content = contentOf(output, { path: `${path}.output`, kinds: ['input_text', 'input_image'], sifting });
      const part: Part = { type: 'tool_result', call: parts.callId(id), content, status: 'ok' };
      return { role: 'tool', parts: [part] };
    }
    default:
      throw refusal(`${path}.type`, 'is of a type that cannot be carried');
  }
}

function spoken({ role, content }: Item, at: string, sifting: Sifting): Message {
  const path = `${at}.content`;
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', parts: contentOf(content, { path, kinds: ['input_text'], sifting }) };
    case 'user':
      return { role, parts: contentOf(content, { path, kinds: ['input_text', 'input_image'], sifting }) };
    case 'assistant': {
      const kinds = ['output_text', 'input_text', 'refusal'];
      return { role, parts: contentOf(content, { path, kinds, sifting }) };
    }
    default:
      throw refusal(`${at}.role`, 'must be system, developer, user or assistant');
  }
}

interface Reading {
  readonly path: string;
  /** Types of parts that may stand there. */
  readonly kinds: readonly string[];
  readonly sifting: Sifting;
}

function contentOf(content: unknown, { path, kinds, sifting }: Reading): (TextPart | ImagePart)[] {
  if (typeof content === 'string') return parts.textParts(content, path);
  return read(parts.Content, content, path).flatMap((part, index): (TextPart | ImagePart)[] => {
    const at = `${path}.${index}`;
    if (!kinds.includes(part.type)) {
      throw refusal(`${at}.type`, `cannot be carried; there are parts of type ${kinds.join(', ')} here`);
    }
    sifting.fields(part, RESPONSES['input.content'], { place: 'input.content', path: at });
    if (part.type === 'input_image') return [parts.imageOfUrl(part['image_url'], `${at}.image_url`)];
    const field = part.type === 'refusal' ? 'refusal' : 'text';
    return parts.textParts(part[field], `${at}.${field}`);
  });
}
