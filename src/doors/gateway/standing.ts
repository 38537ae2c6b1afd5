/**
 * How a conversation is told from others by what its client sends: one hash after each message, each over the
 * one before and what the message says. Pure.
 *
 * System prompts count for nothing, since clients write the date and more into theirs; nor does reasoning,
 * which hardly any client gives back, nor a tool call's id, which belongs to the API that it went through.
 */
import { fastSha256OfText } from '../../substrate/receipts/sha256.ts';
import type { Message, Part, ToolDefinition } from '../../substrate/transcript.ts';
import { recognisable } from './wire.ts';

/** Bytes of a hash that are kept: enough that nobody finds two conversations with one. */
const HEAD_BYTES = 16;

/** Where nothing was said yet. */
export const NO_HEAD: Uint8Array = new Uint8Array(HEAD_BYTES);

/** The hash behind one more message; the same where the message says nothing that counts. */
export function headAfter(head: Uint8Array, message: Message): Uint8Array {
  const said = saidBy(message);
  if (said === null) return head;
  return fastSha256OfText(`${Buffer.from(head).toString('hex')} ${said}`).subarray(0, HEAD_BYTES);
}

/** The hashes behind each message, in order. */
export function headsOf(messages: readonly Message[]): Uint8Array[] {
  let head = NO_HEAD;
  return messages.map((message) => {
    head = headAfter(head, message);
    return head;
  });
}

function saidBy(message: Message): string | null {
  if (message.role === 'system') return null;
  const parts = recognisable(message).parts.flatMap(fieldsOf);
  return parts.length === 0 ? null : JSON.stringify([message.role, ...parts]);
}

function fieldsOf(part: Part): (readonly unknown[])[] {
  if (part.type === 'text') return part.text === '' ? [] : [['text', part.text]];
  if (part.type === 'image') return [['image', part.media_type, part.data]];
  if (part.type === 'tool_call') return [['call', part.name, part.arguments]];
  if (part.type === 'tool_result') return [['result', part.status, ...part.content.flatMap(fieldsOf)]];
  return [];
}

/** A piece of a system prompt that is worth keeping once and naming by its hash from then on, in UTF-16 units. */
const FRAME_UNITS = 512;

/** What comes again with every call of a conversation: long pieces of its system prompt, and its tools. */
export interface Frame {
  readonly hash: Uint8Array;
  readonly system: readonly string[];
  readonly tools: readonly ToolDefinition[];
  /** Pieces of the system prompt that are short, and may be others each time. */
  readonly beside: readonly string[];
}

export function frameOf(messages: readonly Message[], tools: readonly ToolDefinition[]): Frame {
  const texts = messages
    .filter(({ role }) => role === 'system')
    .flatMap(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')));
  const system = texts.filter(({ length }) => length >= FRAME_UNITS);
  const hash = fastSha256OfText(JSON.stringify([system, tools])).subarray(0, HEAD_BYTES);
  return { hash, system, tools, beside: texts.filter(({ length }) => length < FRAME_UNITS) };
}

const GOAL_UNITS_MAX = 200;

/** What a conversation seems to be about: its first words by the user, where those are no markup of the client's. */
export function goalOf(messages: readonly Message[]): string {
  const texts = messages
    .filter(({ role }) => role === 'user')
    .flatMap(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text.trim() : '')))
    .filter((text) => text !== '');
  const said = (texts.find((text) => !text.startsWith('<')) ?? texts[0] ?? '').slice(0, 4 * GOAL_UNITS_MAX);
  const line = said.replace(/\s+/g, ' ').trim();
  return (line.length <= GOAL_UNITS_MAX ? line : `${line.slice(0, GOAL_UNITS_MAX - 1)}…`).toWellFormed();
}
