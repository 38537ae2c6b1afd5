/**
 * Codex’s transcript: `~/.codex/sessions/YYYY/MM/DD/rollout-*.jsonl`.
 *
 * A line is `{timestamp, type, payload}`. `response_item` carries an item of the Responses API: a message,
 * reasoning, a call of a function, a custom tool or the local shell, and their outputs; `turn_context` names
 * the model. `event_msg` says the same again for the screen. Older files have the items bare. What the
 * client tells the model by itself (developer messages) is about the client, and stays with it.
 */
import * as z from 'zod';
import type { Message, Part } from '../../../substrate/transcript.ts';
import type { Format, RecordReader, Said } from './format.ts';
import { NOTHING } from './format.ts';
import type { ImagePart, Tally, TextPart } from './parts.ts';
import { imageOfUrl, kindName, opaque, pack, textPart, toolCall, toolResult } from './parts.ts';

const Id = z.string().min(1).max(1_000);
const Name = z.string().min(1).max(1_000);

const Line = z.looseObject({ type: z.string(), payload: z.looseObject({}) });
const Bare = z.looseObject({ type: z.string() });
const Context = z.looseObject({ model: z.string().max(200) });

const Content = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('input_text'), text: z.string() }),
  z.looseObject({ type: z.literal('output_text'), text: z.string() }),
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('input_image'), image_url: z.string() }),
]);

const Output = z.union([
  z.string(),
  z.array(z.unknown()).max(10_000),
  z.looseObject({
    content: z.union([z.string(), z.array(z.unknown()).max(10_000)]),
    success: z.boolean().nullish(),
  }),
]);

const Item = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('message'),
    role: z.string(),
    content: z.union([z.string(), z.array(z.unknown()).max(10_000)]),
  }),
  z.looseObject({ type: z.literal('reasoning'), encrypted_content: z.string().nullish() }),
  z.looseObject({ type: z.literal('function_call'), call_id: Id, name: Name, arguments: z.string() }),
  z.looseObject({ type: z.literal('custom_tool_call'), call_id: Id, name: Name, input: z.string() }),
  z.looseObject({ type: z.literal('local_shell_call'), call_id: Id.nullish(), id: Id.nullish(), action: z.unknown() }),
  z.looseObject({ type: z.literal('function_call_output'), call_id: Id, output: Output }),
  z.looseObject({ type: z.literal('custom_tool_call_output'), call_id: Id, output: Output }),
]);
type Item = z.infer<typeof Item>;

const ITEMS = new Set<string>(Item.options.map(({ shape }) => shape.type.value));
/** A person's text begins in no such way: what the client puts in front of a conversation. */
const INJECTED =
  /^\s*(?:<(?:environment_context|user_instructions|permissions|INSTRUCTIONS|turn_aborted|skill)|# AGENTS\.md)/;

export const codex: Format = ({ model = '' }) => new CodexReader(model);

class CodexReader implements RecordReader {
  #model: string;

  constructor(model: string) {
    this.#model = model;
  }

  carry(): Readonly<Record<string, string>> {
    return { model: this.#model };
  }

  read(given: unknown, tally: Tally): Said {
    const line = Line.safeParse(given);
    if (!line.success) return this.#readBare(given, tally);
    const { type, payload } = line.data;
    if (type === 'response_item') return this.#item(payload, tally);
    if (type === 'turn_context') {
      const context = Context.safeParse(payload);
      if (context.success) this.#model = context.data.model;
    }
    tally.add(`records of type ${kindName(type)}`);
    return NOTHING;
  }

  #readBare(given: unknown, tally: Tally): Said {
    const bare = Bare.safeParse(given);
    if (bare.success && ITEMS.has(bare.data.type)) return this.#item(given, tally);
    tally.add(bare.success ? `records of type ${kindName(bare.data.type)}` : 'records without a known form');
    return NOTHING;
  }

  #item(payload: unknown, tally: Tally): Said {
    const parsed = Item.safeParse(payload);
    if (!parsed.success) {
      const named = Bare.safeParse(payload);
      tally.add(named.success ? `items of type ${kindName(named.data.type)}` : 'items without a known form');
      return NOTHING;
    }
    const item = parsed.data;
    if (item.type === 'message') return message(item, tally);
    if (item.type === 'function_call_output' || item.type === 'custom_tool_call_output') {
      return { messages: pack('tool', [result(item, tally)]) };
    }
    const part = item.type === 'reasoning' ? this.#thought(item, tally) : call(item, tally);
    return part === null ? NOTHING : { messages: pack('assistant', [part]) };
  }

  /** Encrypted reasoning is of use to its own API alone; without it there is only a summary for the screen. */
  #thought(item: Extract<Item, { type: 'reasoning' }>, tally: Tally): Part | null {
    if (typeof item.encrypted_content === 'string' && item.encrypted_content !== '') {
      return opaque({ provider: 'openai', model: this.#model, api: 'responses' }, item, tally);
    }
    tally.add('thoughts of which only a summary was kept');
    return null;
  }
}

function message({ role, content }: Extract<Item, { type: 'message' }>, tally: Tally): Said {
  const kind: Message['role'] | null = role === 'user' || role === 'assistant' ? role : null;
  if (kind === null) {
    tally.add('messages by which the client instructs its own model');
    return NOTHING;
  }
  const parts = contentOf(content, tally);
  const carried = kind === 'assistant' ? parts.filter((part) => part.type === 'text') : parts;
  if (carried.length < parts.length) tally.add('images in an answer', parts.length - carried.length);
  const messages = pack(kind, carried);
  const words = parts.flatMap((part) => (part.type === 'text' && !INJECTED.test(part.text) ? [part.text] : []));
  const prompt = words.join('\n').trim();
  return kind === 'user' && prompt !== '' ? { messages, prompt } : { messages };
}

function contentOf(content: string | readonly unknown[], tally: Tally): (TextPart | ImagePart)[] {
  if (typeof content === 'string') return [textPart(content, tally)];
  return content.flatMap((given): (TextPart | ImagePart)[] => {
    const part = Content.safeParse(given);
    if (!part.success) {
      const named = Bare.safeParse(given);
      tally.add(named.success ? `parts of type ${kindName(named.data.type)}` : 'parts without a known form');
      return [];
    }
    if (part.data.type !== 'input_image') return [textPart(part.data.text, tally)];
    const image = imageOfUrl(part.data.image_url, tally);
    return image === null ? [] : [image];
  });
}

type Call = Extract<Item, { type: 'function_call' | 'custom_tool_call' | 'local_shell_call' }>;

function call(item: Call, tally: Tally): Part | null {
  if (item.type === 'function_call') {
    return toolCall({ id: item.call_id, name: item.name, arguments: objectText(item.arguments) }, tally);
  }
  if (item.type === 'custom_tool_call') {
    return toolCall({ id: item.call_id, name: item.name, arguments: JSON.stringify({ input: item.input }) }, tally);
  }
  const id = item.call_id ?? item.id ?? null;
  if (id !== null)
    return toolCall({ id, name: 'local_shell', arguments: objectText(JSON.stringify(item.action ?? {})) }, tally);
  tally.add('calls without an id');
  return null;
}

/** The JSON text of an object: the given one, or one that holds it. */
function objectText(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text;
  } catch {
    // Not JSON: then it is what the model wrote, as it wrote it.
  }
  return JSON.stringify({ input: text });
}

function result(
  { call_id: id, output }: Extract<Item, { type: 'function_call_output' | 'custom_tool_call_output' }>,
  tally: Tally,
): Part {
  const isPlain = typeof output === 'string' || Array.isArray(output);
  const content = contentOf(isPlain ? output : output.content, tally);
  return toolResult({ call: id, content, isError: !isPlain && output.success === false }, tally);
}
