/** Anthropic's Messages: what a client asks for (API reference, "Messages" and "Count tokens"). */
import type { IncomingHttpHeaders } from 'node:http';
import * as z from 'zod';
import { ANTHROPIC_API, ThinkingBlock } from '../../../mind/router/transcript/anthropic.ts';
import type { Message, Opaque, Part, ToolDefinition, ToolResult } from '../../../substrate/transcript.ts';
import { MESSAGES_MAX } from '../../../substrate/transcript.ts';
import { ANTHROPIC } from '../fields.ts';
import { labelsOf } from '../labels.ts';
import type { ImagePart, TextPart } from '../parts.ts';
import * as parts from '../parts.ts';
import { read, refusal, Sifting } from '../sifting.ts';
import type { GatewayRequest } from '../wire.ts';

const Countable = z.looseObject({
  model: parts.ModelName,
  system: z.union([z.string(), parts.Content]).nullish(),
  messages: z
    .array(z.looseObject({ role: z.string() }))
    .min(1)
    .max(MESSAGES_MAX),
  tools: z.array(z.looseObject({})).max(parts.TOOLS_MAX).nullish(),
  tool_choice: parts.Typed.nullish(),
  output_config: z.looseObject({}).nullish(),
});
type Countable = z.infer<typeof Countable>;

const Body = Countable.extend({
  max_tokens: parts.MaxTokens,
  stop_sequences: z.array(parts.Stop).max(parts.STOPS_MAX).nullish(),
  stream: z.boolean().nullish(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).nullish(),
});

/** What a model is shown: all that counts for its tokens. */
type Shown = Pick<GatewayRequest['request'], 'messages' | 'tools'>;

/** @throws SeedError `invalid_input` or `too_large`, with the field in `data.argument` */
export function parseRequest(given: unknown, headers: IncomingHttpHeaders): GatewayRequest {
  const body = read(Body, given, '');
  const sifting = new Sifting();
  sifting.fields(headed(headers), ANTHROPIC.headers, { place: '', path: '' });
  const shown = toShown(body, sifting);
  sifting.calls.assertPaired();
  parts.assertSaid(shown.messages, 'messages');
  const last = body.messages.length - 1;
  if (body.messages[last]?.role === 'assistant') {
    throw refusal(
      `messages.${last}`,
      'is an answer that is begun for the model, which not every provider goes on with',
    );
  }
  if (body.metadata !== null && body.metadata !== undefined) {
    sifting.fields(body.metadata, ANTHROPIC.metadata, { place: 'metadata', path: 'metadata' });
  }
  const user = body.metadata?.user_id ?? '';
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: true,
    request: { ...shown, maxOutputTokens: body.max_tokens, stop: body.stop_sequences ?? [] },
    labels: labelsOf([{ key: 'user_id', value: user, path: 'metadata.user_id' }]),
    notCarried: sifting.notCarried,
    toolNames: sifting.toolNames,
  };
}

/** The body of a count: as of a request, without what only an answer needs. @throws as {@link parseRequest} */
export function parseCountable(given: unknown): { model: string; shown: Shown } {
  const body = read(Countable, given, '');
  return { model: body.model, shown: toShown(body, new Sifting()) };
}

/** Those of the headers that ask for something. */
function headed(headers: IncomingHttpHeaders): object {
  return Object.fromEntries(Object.keys(ANTHROPIC.headers).map((name) => [name, headers[name]]));
}

function toShown(body: Countable, sifting: Sifting): Shown {
  sifting.fields(body, ANTHROPIC.body, { place: '', path: '' });
  if (body.output_config !== null && body.output_config !== undefined) {
    sifting.fields(body.output_config, ANTHROPIC.output_config, { place: 'output_config', path: 'output_config' });
  }
  const { system } = body;
  const instructions = system === null || system === undefined ? [] : texts(system, 'system', sifting);
  let turn = '';
  const said = body.messages.flatMap((message, index) => {
    const path = `messages.${index}`;
    // Neighbours of one role are one turn; results come in the user's right after the calls.
    if (message.role === 'assistant' && turn === 'user') sifting.calls.goOn();
    if (message.role !== 'system') turn = message.role;
    const neutral = toMessages(message, { body, path, sifting });
    for (const each of neutral) parts.assertFits(each, path);
    return neutral;
  });
  const first: Message = { role: 'system', parts: instructions };
  parts.assertFits(first, 'system');
  const messages = instructions.length > 0 ? [first, ...said] : said;
  parts.listMoved(messages, sifting);
  return { messages, tools: toTools(body, sifting) };
}

// ---------------------------------------------------------------------------------------------
// Tools

const CustomTool = z.looseObject({
  type: z.string().nullish(),
  name: z.string(),
  description: z.string().nullish(),
  input_schema: z.unknown().optional(),
});

function toTools({ tools, tool_choice: choice }: Countable, sifting: Sifting): readonly ToolDefinition[] {
  const definitions = (tools ?? []).map((tool, index) => toTool(tool, `tools.${index}`, sifting));
  parts.assertDistinct(definitions);
  if (choice !== null && choice !== undefined) {
    sifting.fields(choice, ANTHROPIC.tool_choice, { place: 'tool_choice', path: 'tool_choice' });
  }
  return parts.chosen(definitions, choice?.type);
}

function toTool(given: object, path: string, sifting: Sifting): ToolDefinition {
  const { type, name, description, input_schema: schema } = read(CustomTool, given, path);
  if (type !== undefined && type !== null && type !== 'custom') {
    throw refusal(
      `${path}.type`,
      'is refused: it is a tool of one provider’s own; tools here have a schema of their own',
    );
  }
  sifting.fields(given, ANTHROPIC.tools, { place: 'tools', path });
  return parts.toolDefinition(
    { name, description, schema },
    { name: `${path}.name`, description: `${path}.description`, schema: `${path}.input_schema` },
    sifting,
  );
}

// ---------------------------------------------------------------------------------------------
// Messages

interface Reading {
  readonly body: Countable;
  readonly path: string;
  readonly sifting: Sifting;
}

function toMessages(given: Countable['messages'][number], { body, path, sifting }: Reading): Message[] {
  sifting.fields(given, ANTHROPIC.messages, { place: 'messages', path });
  const { role, content } = given;
  if (role === 'system') return [{ role, parts: texts(content, `${path}.content`, sifting) }];
  const blocks = blocksOf(content, `${path}.content`, sifting);
  if (role === 'assistant') return [{ role, parts: blocks.flatMap((block) => answerParts(block, { body, sifting })) }];
  if (role !== 'user') throw refusal(`${path}.role`, 'must be user, assistant or system');
  return question(blocks, sifting);
}

interface Placed {
  readonly block: z.infer<typeof parts.Typed>;
  readonly path: string;
}

function blocksOf(content: unknown, path: string, sifting: Sifting): Placed[] {
  if (typeof content === 'string') return [{ block: { type: 'text', text: content }, path }];
  return read(parts.Content, content, path).map((block, index) => {
    const at = `${path}.${index}`;
    sifting.fields(block, ANTHROPIC['messages.content'], { place: 'messages.content', path: at });
    return { block, path: at };
  });
}

/** Text alone, as instructions are. */
function texts(content: unknown, path: string, sifting: Sifting): TextPart[] {
  return blocksOf(content, path, sifting).flatMap(({ block, path: at }) => {
    if (block.type !== 'text') throw refusal(`${at}.type`, 'must be text');
    return parts.textParts(block['text'], `${at}.text`);
  });
}

/** Results stand in a message of their own, before what the user says (API reference, "Handling tool results"). */
function question(blocks: readonly Placed[], sifting: Sifting): Message[] {
  const results: ToolResult[] = [];
  const rest: Part[] = [];
  for (const placed of blocks) {
    if (placed.block.type === 'tool_result') {
      if (rest.length > 0) sifting.list('messages.content.order');
      results.push(resultOf(placed, sifting));
    } else rest.push(...userParts(placed));
  }
  return [
    ...(results.length > 0 ? [{ role: 'tool' as const, parts: results }] : []),
    ...(rest.length > 0 || results.length === 0 ? [{ role: 'user' as const, parts: rest }] : []),
  ];
}

const Source = z.looseObject({ type: z.string(), media_type: z.unknown().optional(), data: z.unknown().optional() });
const Named = z.string().nullish();

/** A user's block, or one in a tool's result. */
function userParts({ block, path }: Placed): (TextPart | ImagePart)[] {
  if (block.type === 'text') return parts.textParts(block['text'], `${path}.text`);
  if (block.type === 'image') {
    const { type, media_type: mediaType, data } = read(Source, block['source'], `${path}.source`);
    if (type === 'base64') return [parts.imagePart({ mediaType, data }, `${path}.source`)];
    throw refusal(`${path}.source`, parts.NOT_FETCHED);
  }
  if (block.type !== 'document') throw refusal(`${path}.type`, 'is of a type that cannot be carried');
  const { type, data } = read(Source, block['source'], `${path}.source`);
  if (type !== 'text') throw refusal(`${path}.source`, 'cannot be carried: of documents only plain text can');
  const said = [
    read(Named, block['title'], `${path}.title`) ?? '',
    read(Named, block['context'], `${path}.context`) ?? '',
    ...parts.textParts(data, `${path}.source.data`).map(({ text }) => text),
  ];
  return parts.textParts(said.filter((text) => text !== '').join('\n\n'), path);
}

const Result = z.looseObject({
  tool_use_id: parts.CallId,
  is_error: z.boolean().nullish(),
});

function resultOf({ block, path }: Placed, sifting: Sifting): ToolResult {
  const { tool_use_id: id, is_error: isError, content } = read(Result, block, path);
  sifting.calls.answered(id, `${path}.tool_use_id`);
  const blocks = content === null || content === undefined ? [] : blocksOf(content, `${path}.content`, sifting);
  return {
    type: 'tool_result',
    call: parts.callId(id),
    content: blocks.flatMap(userParts),
    status: isError === true ? 'error' : 'ok',
  };
}

const Use = z.looseObject({ id: parts.CallId, name: z.string(), input: z.unknown().optional() });

function answerParts({ block, path }: Placed, { body, sifting }: Omit<Reading, 'path'>): Part[] {
  switch (block.type) {
    case 'text':
      return parts.textParts(block['text'], `${path}.text`);
    case 'thinking':
    case 'redacted_thinking':
      return thought({ block, path }, body, sifting);
    case 'tool_use': {
      const { id, name, input } = read(Use, block, path);
      if (!parts.isObject(input)) throw refusal(`${path}.input`, 'must be an object');
      sifting.calls.made(id, `${path}.id`);
      return [parts.toolCall({ id, name, arguments: JSON.stringify(input) }, path, sifting)];
    }
    default:
      throw refusal(`${path}.type`, 'is of a type that cannot be carried in an answer');
  }
}

/**
 * A thought goes back to the model that the client asks: what the gateway gives out is of that model (`answer.ts`),
 * and a client that came from elsewhere says which model it spoke to. Unsigned ones nobody takes back.
 */
function thought({ block, path }: Placed, { model }: Countable, sifting: Sifting): Opaque[] {
  if (block.type === 'thinking' && (block['signature'] ?? '') === '') {
    sifting.list('messages.content.thinking');
    return [];
  }
  const { type, thinking, signature, data } = block;
  const known = read(ThinkingBlock, type === 'thinking' ? { type, thinking, signature } : { type, data }, path);
  const text = JSON.stringify(known);
  return [{ type: 'opaque', provider: 'anthropic', model, api: ANTHROPIC_API, data: text }];
}
