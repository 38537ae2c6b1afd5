/** Neutral parts out of what clients write, within the limits of a transcript. What does not fit is refused. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { callId } from '../../mind/sessions/import/parts.ts';
import type { Message, Part, ToolCall, ToolDefinition } from '../../substrate/transcript.ts';
import { isJsonObject, MESSAGE_BYTES_MAX, PARTS_MAX } from '../../substrate/transcript.ts';
import type { Sifting } from './sifting.ts';
import { refusal } from './sifting.ts';

export type TextPart = Extract<Part, { type: 'text' }>;
export type ImagePart = Extract<Part, { type: 'image' }>;

/** Tools of one request, at most. */
export const TOOLS_MAX = 1_024;

export const ModelName = z
  .string()
  .min(1)
  .max(256)
  .refine((name) => name.isWellFormed(), 'text without lone surrogates');
/** Sequences that end an answer. */
export const Stop = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => text.isWellFormed(), 'text without lone surrogates');
export const STOPS_MAX = 16;
export const MaxTokens = z.int().min(1);
/** Something with a type or a role that is looked at later. */
export const Typed = z.looseObject({ type: z.string().max(100) });
/** The parts of one message. */
export const Content = z.array(Typed).max(PARTS_MAX);

/** UTF-16 units of a tool's description and of its schema. */
const TOOL_UNITS_MAX = 65_536;

/** The part, or nothing for an empty text: no API has a use for one. */
export function textParts(text: unknown, path: string): TextPart[] {
  if (typeof text !== 'string') throw refusal(path, 'must be text');
  if (!text.isWellFormed()) throw refusal(path, 'has half a character in it (a lone surrogate)');
  return text === '' ? [] : [{ type: 'text', text }];
}

/** The id of a call, whoever gave it. */
export const CallId = z.string().min(1).max(1_000);

const MediaType = z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
const Base64 = z.base64().min(1);

export function imagePart({ mediaType, data }: { mediaType: unknown; data: unknown }, path: string): ImagePart {
  const media = MediaType.safeParse(mediaType);
  if (!media.success) throw refusal(path, 'must be a PNG, JPEG, GIF or WebP');
  const base64 = Base64.safeParse(data);
  if (!base64.success) throw refusal(path, 'is not an image in base64');
  return { type: 'image', media_type: media.data, data: base64.data };
}

/** What an image is that is only named by its address. */
export const NOT_FETCHED = 'is an address: the seed fetches nothing for a client; send the image itself, in base64';

const DATA_URL = /^data:([\w.+/-]{1,60});base64,/i;

export function imageOfUrl(url: unknown, path: string): ImagePart {
  if (typeof url !== 'string') throw refusal(path, 'must be a data URL');
  const head = DATA_URL.exec(url.slice(0, 100));
  if (head === null) throw refusal(path, NOT_FETCHED);
  return imagePart({ mediaType: head[1]?.toLowerCase(), data: url.slice(head[0].length) }, path);
}

const TOOL_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Anthropic takes twice as long ones as all others do, and its agents make use of that. */
const LONG_TOOL_NAME = /^[A-Za-z0-9_-]{1,128}$/;
const NAME_KEPT_UNITS = 53;
const NAME_HASH_UNITS = 10;

/** A tool's name as all providers take it; the client's own, where that is another, is remembered. */
function toolName({ name, namespace = null }: NamedTool, path: string, { toolNames }: Sifting): string {
  const whole = namespace === null ? name : `${namespace.replace(/_*$/, '')}__${name}`;
  if (!LONG_TOOL_NAME.test(whole)) throw refusal(path, 'must be 1 to 128 of A-Z a-z 0-9 _ -');
  const short = TOOL_NAME.test(whole) ? whole : shortened(whole);
  if (short !== name) toolNames.set(short, { name, namespace });
  return short;
}

function shortened(name: string): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, NAME_HASH_UNITS);
  return `${name.slice(0, NAME_KEPT_UNITS)}_${hash}`;
}

interface NamedTool {
  readonly name: string;
  readonly namespace?: string | null | undefined;
}

/**
 * A call as the transcript has it. Its id is the client's own where that will do, and every id of ours will; any
 * other becomes the one that follows from it, so that calls and results find each other in every request.
 *
 * @param call `arguments` is the JSON text of an object
 */
export function toolCall(
  call: NamedTool & { id: string; arguments: string },
  path: string,
  sifting: Sifting,
): ToolCall {
  const name = toolName(call, `${path}.name`, sifting);
  return { type: 'tool_call', id: callId(call.id), name, arguments: call.arguments };
}

/** A call's arguments where they are text already; none at all are none. */
export function argumentsText(text: string, path: string): string {
  const given = text.trim() === '' ? '{}' : text;
  if (given.isWellFormed() && isJsonObject(given)) return given;
  throw refusal(path, 'must be the JSON text of an object, of at most 64 levels');
}

export { callId, PARTS_MAX };

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A tool that a model may ask for; `schema` is a JSON Schema of an object, or nothing. */
export function toolDefinition(
  tool: NamedTool & { description: string | null | undefined; schema: unknown },
  path: { name: string; description: string; schema: string },
  sifting: Sifting,
): ToolDefinition {
  const { schema } = tool;
  const name = toolName(tool, path.name, sifting);
  const description = tool.description ?? '';
  if (description.length > TOOL_UNITS_MAX) throw tooLarge(path.description, `${TOOL_UNITS_MAX} characters`);
  if (!description.isWellFormed()) throw refusal(path.description, 'has half a character in it (a lone surrogate)');
  if (schema !== undefined && schema !== null && !isObject(schema)) throw refusal(path.schema, 'must be a JSON Schema');
  const parameters = JSON.stringify(schema ?? { type: 'object', properties: {} });
  if (parameters.length > TOOL_UNITS_MAX) throw tooLarge(path.schema, `${TOOL_UNITS_MAX} characters`);
  return { name, description, parameters };
}

/** Each name once, as every provider wants it. @throws SeedError `invalid_input` */
export function assertDistinct(tools: readonly ToolDefinition[]): void {
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    if (names.has(name)) throw refusal(`tools.${index}`, `has the name of another tool, ${name}`);
    names.add(name);
  }
}

/** The tools that a model is shown, by what the client says of choosing one. @throws SeedError `invalid_input` */
export function chosen(tools: readonly ToolDefinition[], choice: unknown): readonly ToolDefinition[] {
  if (choice === 'none') return [];
  if (choice === undefined || choice === null || choice === 'auto') return tools;
  throw refusal('tool_choice', 'is refused: no call can be forced on every provider; use `auto` or `none`');
}

/** Somebody has said something. @throws SeedError `invalid_input` */
export function assertSaid(messages: readonly Message[], path: string): void {
  if (messages.some(({ parts }) => parts.length > 0)) return;
  throw refusal(path, 'has nothing in it that a model could answer');
}

/** Lists instructions in the middle: most providers have one place for them, before all that is said. */
export function listMoved(messages: readonly Message[], sifting: Sifting): void {
  const begins = messages.findIndex(({ role }) => role !== 'system');
  const isMoved = begins >= 0 && messages.slice(begins).some(({ role }) => role === 'system');
  if (isMoved) sifting.list('messages.order');
}

/** Bytes that one UTF-16 unit has in a canonical text, at most: an escape. */
const BYTES_PER_UNIT_MAX = 6;
/** What stands around the texts of a part. */
const PART_BYTES = 256;

/** A message within the limits of a transcript. @throws SeedError `too_large`, `invalid_input` */
export function assertFits(message: Message, path: string): void {
  if (message.parts.length > PARTS_MAX) throw refusal(path, `has more than ${PARTS_MAX} parts`);
  if (isLarger([message], MESSAGE_BYTES_MAX - PART_BYTES)) throw tooLarge(path, `${MESSAGE_BYTES_MAX} bytes`);
}

/** Whether messages have more than so many bytes where they are kept. */
export function isLarger(messages: readonly Message[], bytesMax: number): boolean {
  let units = 0;
  for (const { parts } of messages) for (const part of parts) units += unitsOf(part) + PART_BYTES;
  // Few come near the limit; those are measured.
  return units * BYTES_PER_UNIT_MAX > bytesMax && Buffer.byteLength(JSON.stringify(messages)) > bytesMax;
}

function unitsOf(part: Part): number {
  switch (part.type) {
    case 'text':
      return part.text.length;
    case 'image':
    case 'opaque':
      return part.data.length;
    case 'tool_call':
      return part.arguments.length;
    case 'tool_result':
      return part.content.reduce((sum, each) => sum + unitsOf(each) + PART_BYTES, 0);
  }
}

function tooLarge(argument: string, max: string): SeedError {
  return new SeedError('too_large', `${argument} is larger than ${max}.`, {
    hint: 'Send less of it, or split it.',
    data: { argument },
  });
}
