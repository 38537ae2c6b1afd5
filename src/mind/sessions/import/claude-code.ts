/**
 * Claude Code's transcript: `~/.claude/projects/<slug>/<session>.jsonl`.
 *
 * A line is a record with a `type`. `user` and `assistant` records carry a message of the Messages API, an
 * assistant's often one block a record; `isSidechain` marks what a subagent did inside a tool call, whose
 * result stands in the main line. Records name the one before them (`parentUuid`); where a person went
 * back, both ways stay, in the order in which they happened, because what the tools did was done. All
 * other records (summaries, snapshots, attachments, progress) are the client's own business.
 */
import * as z from 'zod';
import type { Part } from '../../../substrate/transcript.ts';
import type { Format, RecordReader, Said } from './format.ts';
import { NOTHING } from './format.ts';
import type { ImagePart, Tally, TextPart } from './parts.ts';
import { imageOfUrl, imagePart, kindName, opaque, pack, textPart, toolCall, toolResult } from './parts.ts';

const Id = z.string().min(1).max(1_000);

const ClaudeRecord = z.looseObject({
  type: z.string(),
  uuid: Id.optional(),
  parentUuid: Id.nullish(),
  isSidechain: z.boolean().nullish(),
  isMeta: z.boolean().nullish(),
  isCompactSummary: z.boolean().nullish(),
  isApiErrorMessage: z.boolean().nullish(),
});

const Spoken = z.looseObject({
  message: z.looseObject({
    model: z.string().max(200).nullish(),
    content: z.union([z.string(), z.array(z.unknown()).max(10_000)]),
  }),
});

const Source = z.looseObject({ type: z.string(), media_type: z.string().nullish(), data: z.string().nullish() });

const Block = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text'), text: z.string() }),
  z.looseObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().nullish() }),
  z.looseObject({ type: z.literal('redacted_thinking'), data: z.string() }),
  z.looseObject({ type: z.literal('tool_use'), id: Id, name: z.string().min(1).max(1_000), input: z.unknown() }),
  z.looseObject({
    type: z.literal('tool_result'),
    tool_use_id: Id,
    content: z.union([z.string(), z.array(z.unknown()).max(10_000)]).nullish(),
    is_error: z.boolean().nullish(),
  }),
  z.looseObject({ type: z.literal('image'), source: Source }),
]);
type Block = z.infer<typeof Block>;

const Named = z.looseObject({ type: z.string() });

const ORIGIN = { provider: 'anthropic', api: 'messages' };
/** What the client writes in the assistant's name by itself, such as an error of the API. */
const SYNTHETIC = '<synthetic>';
/** A person's text begins in no such way: commands and notes that the client wraps in tags. */
const WRAPPED = /^\s*<(?:command-|local-command-|system-reminder|bash-|user-memory)/;
const INTERRUPTED = /^\s*\[Request interrupted by user/;

export const claudeCode: Format = ({ last = '' }) => new ClaudeReader(last);

class ClaudeReader implements RecordReader {
  #last: string;

  constructor(last: string) {
    this.#last = last;
  }

  carry(): Readonly<Record<string, string>> {
    return { last: this.#last };
  }

  read(given: unknown, tally: Tally): Said {
    const parsed = ClaudeRecord.safeParse(given);
    if (!parsed.success) {
      tally.add('records without a known form');
      return NOTHING;
    }
    const record = parsed.data;
    if (record.isSidechain === true) {
      tally.add('records of subagents, whose results stand in the transcript');
      return NOTHING;
    }
    const behind = this.#last;
    if (record.uuid !== undefined) this.#last = record.uuid;
    if (record.type !== 'user' && record.type !== 'assistant') {
      tally.add(`records of type ${kindName(record.type)}`);
      return NOTHING;
    }
    const spoken = Spoken.safeParse(given);
    if (!spoken.success) {
      tally.add('messages without a known form');
      return NOTHING;
    }
    const { model, content } = spoken.data.message;
    if (record.type === 'assistant') {
      if (record.isApiErrorMessage !== true && model !== SYNTHETIC) return answer(content, model ?? '', tally);
      tally.add('notes of the client in the assistant’s name');
      return NOTHING;
    }
    const said = question(content, tally);
    const isOwn = record.isMeta !== true && record.isCompactSummary !== true;
    if (!isOwn || said.prompt === undefined) return { messages: said.messages };
    if (behind !== '' && typeof record.parentUuid === 'string' && record.parentUuid !== behind) {
      tally.add('times that the client went back; both ways are in the transcript');
    }
    return said;
  }
}

function blocksOf(content: string | readonly unknown[], tally: Tally): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content.flatMap((given) => {
    const block = Block.safeParse(given);
    if (block.success) return [block.data];
    const named = Named.safeParse(given);
    tally.add(named.success ? `blocks of type ${kindName(named.data.type)}` : 'blocks without a known form');
    return [];
  });
}

function answer(content: string | readonly unknown[], model: string, tally: Tally): Said {
  const parts = blocksOf(content, tally).flatMap((block): (Part | null)[] => {
    switch (block.type) {
      case 'text':
        return [textPart(block.text, tally)];
      case 'thinking':
      case 'redacted_thinking':
        return [thought(block, model, tally)];
      case 'tool_use':
        return [toolCall({ id: block.id, name: block.name, arguments: argumentsOf(block.input) }, tally)];
      default:
        tally.add(`blocks of type ${block.type} in an answer`);
        return [];
    }
  });
  return { messages: pack('assistant', present(parts)) };
}

/** A thought as the API takes it back; without its signature nobody would. */
function thought(
  block: Extract<Block, { type: 'thinking' | 'redacted_thinking' }>,
  model: string,
  tally: Tally,
): Part | null {
  if (block.type === 'redacted_thinking') {
    return opaque({ ...ORIGIN, model }, { type: block.type, data: block.data }, tally);
  }
  const { type, thinking, signature } = block;
  if (typeof signature === 'string' && signature !== '')
    return opaque({ ...ORIGIN, model }, { type, thinking, signature }, tally);
  tally.add('thoughts without a signature');
  return null;
}

function argumentsOf(input: unknown): string {
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  return JSON.stringify(isObject ? input : { input: input ?? null });
}

/** Results come first, for their calls stand right before; then what the person said. */
function question(content: string | readonly unknown[], tally: Tally): Said {
  const [results, rest]: [Part[], (Part | null)[]] = [[], []];
  const words: string[] = [];
  for (const block of blocksOf(content, tally)) {
    if (block.type === 'tool_result') {
      const inner = contentOf(block.content ?? '', tally);
      results.push(toolResult({ call: block.tool_use_id, content: inner, isError: block.is_error === true }, tally));
    } else if (block.type === 'text') {
      rest.push(textPart(block.text, tally));
      if (!WRAPPED.test(block.text) && !INTERRUPTED.test(block.text)) words.push(block.text);
    } else if (block.type === 'image') rest.push(imageOf(block, tally));
    else tally.add(`blocks of type ${block.type} in a question`);
  }
  const messages = [...pack('tool', results), ...pack('user', present(rest))];
  const prompt = words.join('\n').trim();
  return prompt === '' ? { messages } : { messages, prompt };
}

function contentOf(content: string | readonly unknown[], tally: Tally): (TextPart | ImagePart)[] {
  return present(
    blocksOf(content, tally).map((block) => {
      if (block.type === 'text') return textPart(block.text, tally);
      if (block.type === 'image') return imageOf(block, tally);
      tally.add(`blocks of type ${block.type} in a tool’s result`);
      return null;
    }),
  );
}

function imageOf({ source }: Extract<Block, { type: 'image' }>, tally: Tally): ImagePart | null {
  if (source.type === 'base64') return imagePart(source.media_type ?? '', source.data ?? '', tally);
  return imageOfUrl('', tally);
}

function present<T>(parts: readonly (T | null)[]): T[] {
  return parts.filter((part) => part !== null);
}
