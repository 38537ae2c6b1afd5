/**
 * The transcript's neutral form: what was said, in no provider's format.
 *
 * A message is made of parts. Whatever a provider writes as free JSON (a tool call's arguments, an
 * opaque block) stands here as its exact text, so that a message has one canonical form (RFC 8785)
 * and one hash, whichever formats it has been through. The transcript has a running hash over the
 * hashes of its messages: H(0) = 32 zero bytes, H(n) = SHA-256(H(n−1) ‖ hash(n)).
 */
import * as z from 'zod';
import { canonicalize } from '../formats/canonical.ts';
import { fastSha256 } from './receipts/sha256.ts';

/** The largest message, in bytes of its canonical form. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Messages in one request, at most. */
export const MESSAGES_MAX = 10_000;
/** Parts of one message, at most. */
export const PARTS_MAX = 1_000;

const wellFormed = (text: string): boolean => text.isWellFormed();
const ILL_FORMED = 'text without lone surrogates';

const Text = z.string().refine(wellFormed, ILL_FORMED);

/** Our own id of a tool call: short, and acceptable to every provider (they allow 40–64 of these). */
const ToolCallId = z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, '1 to 40 of A-Z a-z 0-9 _ -');

const ToolName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -');

/** Lists and objects inside one another in the JSON of a call or a tool: whoever goes through it does so by recursion. */
const JSON_DEPTH_MAX = 64;
const JSON_OBJECT = `the JSON text of an object, of at most ${JSON_DEPTH_MAX} levels`;

/** Whether a text is the JSON of an object, of at most {@link JSON_DEPTH_MAX} levels. */
export function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !isDeeper(value, JSON_DEPTH_MAX);
  } catch {
    return false;
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

const TextPart = z.strictObject({ type: z.literal('text'), text: Text });

const ImagePart = z.strictObject({
  type: z.literal('image'),
  media_type: z.enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp']),
  /** Base64 (RFC 4648 §4). */
  data: z.base64(),
});

export const ToolCallPart = z.strictObject({
  type: z.literal('tool_call'),
  id: ToolCallId,
  name: ToolName,
  /** The exact JSON text of an object. */
  arguments: Text.refine(isJsonObject, JSON_OBJECT),
});

const ToolResultPart = z.strictObject({
  type: z.literal('tool_result'),
  call: ToolCallId,
  content: z.array(z.discriminatedUnion('type', [TextPart, ImagePart])).max(PARTS_MAX),
  status: z.enum(['ok', 'error']),
});

/** Reasoning, signatures and the like: goes back only to the provider, model and API it came from. */
const OpaquePart = z.strictObject({
  type: z.literal('opaque'),
  provider: Text,
  model: Text,
  api: Text,
  /** The exact JSON text of what the provider sent. */
  data: Text,
});

export const Part = z.discriminatedUnion('type', [TextPart, ImagePart, ToolCallPart, ToolResultPart, OpaquePart]);
export type Part = z.infer<typeof Part>;
export type ToolCall = z.infer<typeof ToolCallPart>;
export type ToolResult = z.infer<typeof ToolResultPart>;
export type Opaque = z.infer<typeof OpaquePart>;

export const Message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  parts: z.array(Part).max(PARTS_MAX),
});
export type Message = z.infer<typeof Message>;

/** A tool that a model may ask for; `parameters` is the exact text of a JSON Schema of an object. */
export const ToolDefinition = z.strictObject({
  name: ToolName,
  description: Text.max(8_192).default(''),
  parameters: Text.max(65_536).refine(isJsonObject, JSON_OBJECT),
});
export type ToolDefinition = z.infer<typeof ToolDefinition>;

/** The bytes of a message that are kept and hashed. @throws FormatError over {@link MESSAGE_BYTES_MAX} */
export function messageText(message: Message): string {
  return canonicalize(message, { bytesMax: MESSAGE_BYTES_MAX, depthMax: 8 });
}

/** SHA-256 of a message's canonical form. */
export function messageHash(text: string): Uint8Array {
  return fastSha256(Buffer.from(text));
}

/** A message with the bytes that are kept of it, and their hash: made once, and outside a transaction where that can be. */
export interface PreparedMessage {
  readonly message: Message;
  readonly body: string;
  readonly hash: Uint8Array;
}

/** @throws FormatError over {@link MESSAGE_BYTES_MAX} */
export function prepareMessage(message: Message): PreparedMessage {
  const body = messageText(message);
  return { message, body, hash: messageHash(body) };
}

/** The running hash before the first message. */
export const EMPTY_TRANSCRIPT: Uint8Array = new Uint8Array(32);

/** The running hash after one more message. */
export function extendTranscript(running: Uint8Array, hash: Uint8Array): Uint8Array {
  return fastSha256(Buffer.concat([running, hash]));
}
