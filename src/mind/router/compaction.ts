/**
 * A long conversation made to fit a smaller context, by rule and without a model, so that the same
 * conversation always becomes the same request.
 *
 * Pinned are the system messages, the goal and the constraints (of the session's checkpoint where there
 * is one, else the first thing the user said), and tool calls that are still open. The last turns are
 * kept whole, as many as fit. What lies between becomes an outline that names how many messages it
 * stands for and the hash of their range. Nothing of it touches the transcript itself. Pure.
 */
import type { Checkpoint } from '../../substrate/sessions/model.ts';
import type { Message, Part } from '../../substrate/transcript.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash, messageText } from '../../substrate/transcript.ts';

/** What is left out of a request, and by what it can be told which messages that were. */
export interface Summarised {
  /** The first message of the range and the one behind its last, counted from 0. */
  readonly from: number;
  readonly to: number;
  /** How many messages of the range are not shown. */
  readonly count: number;
  /** The running hash over all messages of the range, hex (see `transcript.ts`). */
  readonly hash: string;
}

export interface Compacted {
  readonly messages: readonly Message[];
  readonly summarised: Summarised;
}

export interface CompactOptions {
  /** Where the work stands, in the words of whoever does it; null outside a session. */
  readonly checkpoint: Checkpoint | null;
  /** About how many bytes of text there is room for: where the search begins. */
  readonly roomBytes: number;
  /** Whether a request with these messages fits. */
  readonly fits: (messages: readonly Message[]) => boolean;
}

/** The outline's share of the room, and its most. */
const OUTLINE_SHARE = 1 / 8;
const OUTLINE_UNITS_MAX = 8_000;
/** How often a shorter tail is tried before the shortest of all. */
const TRIES_MAX = 12;
const SHRINK = 0.85;

/** The messages in a form that fits, or null where not even what is pinned and the last turn do. */
export function compact(messages: readonly Message[], options: CompactOptions): Compacted | null {
  const { checkpoint, roomBytes, fits } = options;
  const starts = tailStarts(messages);
  const last = starts.at(-1);
  if (last === undefined) return null;
  const sizes = sizesFromEnd(messages);
  const hashes = new Hashes(messages);
  const outlineMax = Math.min(OUTLINE_UNITS_MAX, Math.floor(roomBytes * OUTLINE_SHARE));
  let room = roomBytes - outlineMax;
  let before = -1;
  for (let tries = 0; tries < TRIES_MAX && before < last; tries += 1, room *= SHRINK) {
    const enough = starts.find((start) => start > before && (sizes[start] ?? 0) <= room);
    before = enough ?? last;
    const found = build(messages, { start: before, outlineMax, checkpoint, hashes });
    if (found !== null && fits(found.messages)) return found;
  }
  const shortest = build(messages, { start: last, outlineMax: 0, checkpoint, hashes });
  return shortest !== null && fits(shortest.messages) ? shortest : null;
}

/** Where what is kept may begin: never between a tool call and its result. */
function tailStarts(messages: readonly Message[]): number[] {
  return messages.flatMap(({ role, parts }, index) =>
    role === 'system' || role === 'tool' || parts.some(({ type }) => type === 'tool_result') ? [] : [index],
  );
}

/** About what an image takes up beside text, in bytes of text. */
const IMAGE_BYTES = 8_192;
const FRAME_BYTES = 64;

/** About how many bytes the messages from each index on have. */
function sizesFromEnd(messages: readonly Message[]): number[] {
  const sizes: number[] = [];
  let sum = 0;
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const { role, parts } = messages[index] as Message;
    if (role !== 'system') sum += FRAME_BYTES + parts.reduce((bytes, part) => bytes + partBytes(part), 0);
    sizes[index] = sum;
  }
  return sizes;
}

function partBytes(part: Part): number {
  if (part.type === 'text') return FRAME_BYTES + Buffer.byteLength(part.text);
  if (part.type === 'image') return IMAGE_BYTES;
  if (part.type === 'tool_call') return FRAME_BYTES + Buffer.byteLength(part.arguments);
  if (part.type === 'opaque') return FRAME_BYTES + part.data.length;
  return part.content.reduce((bytes, inner) => bytes + partBytes(inner), FRAME_BYTES);
}

interface Cut {
  /** Where what is kept begins. */
  readonly start: number;
  /** UTF-16 units that the outline may have. */
  readonly outlineMax: number;
  readonly checkpoint: Checkpoint | null;
  readonly hashes: Hashes;
}

/** Null where nothing would be left out. */
function build(messages: readonly Message[], { start, outlineMax, checkpoint, hashes }: Cut): Compacted | null {
  const pinned = pinnedBefore(messages, start, checkpoint);
  const left = messages.flatMap(({ role }, index) =>
    index < start && role !== 'system' && !pinned.goal.has(index) && !pinned.open.has(index) ? [index] : [],
  );
  const from = left[0];
  if (from === undefined) return null;
  const to = (left.at(-1) ?? from) + 1;
  const hash = hashes.ofRange(from, to);
  const summarised: Summarised = { from, to, count: left.length, hash };
  const outline = outlineOf(messages, left, outlineMax);
  const at = (indexes: ReadonlySet<number>): Message[] => messages.filter((_message, index) => indexes.has(index));
  return {
    summarised,
    messages: [
      ...messages.filter(({ role }, index) => role === 'system' && index < start),
      ...at(pinned.goal),
      note([...standing(checkpoint, outlineMax > 0), ...saySummarised(summarised, outline)].join('\n')),
      ...at(pinned.open),
      ...messages.slice(start),
    ],
  };
}

function note(text: string): Message {
  return { role: 'user', parts: [{ type: 'text', text }] };
}

/** Hashes of ranges; each message is hashed once, however many ranges are tried. */
class Hashes {
  readonly #messages: readonly Message[];
  readonly #hashes: Uint8Array[] = [];

  constructor(messages: readonly Message[]) {
    this.#messages = messages;
  }

  ofRange(from: number, to: number): string {
    let running = EMPTY_TRANSCRIPT;
    for (let index = from; index < to; index += 1) running = extendTranscript(running, this.#hashOf(index));
    return Buffer.from(running).toString('hex');
  }

  #hashOf(index: number): Uint8Array {
    return (this.#hashes[index] ??= messageHash(messageText(this.#messages[index] as Message)));
  }
}

// ---------------------------------------------------------------------------------------------
// What is pinned

interface Pinned {
  readonly goal: ReadonlySet<number>;
  /** Answers with calls that have no result yet, and what results their other calls have. */
  readonly open: ReadonlySet<number>;
}

function pinnedBefore(messages: readonly Message[], start: number, checkpoint: Checkpoint | null): Pinned {
  const first = messages.findIndex(({ role, parts }) => role === 'user' && parts.some(({ type }) => type === 'text'));
  const hasGoal = checkpoint !== null && checkpoint.goal !== '';
  const goal = new Set(hasGoal || first < 0 || first >= start ? [] : [first]);
  const open = new Set([...openAnswers(messages)].filter((index) => index < start && !goal.has(index)));
  return { goal, open };
}

function openAnswers(messages: readonly Message[]): Set<number> {
  const done = new Set(
    messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'tool_result' ? [part.call] : []))),
  );
  const found = new Set<number>();
  const theirs = new Set<string>();
  for (const [index, { role, parts }] of messages.entries()) {
    const calls = role === 'assistant' ? parts.flatMap((part) => (part.type === 'tool_call' ? [part.id] : [])) : [];
    if (calls.some((id) => !done.has(id))) {
      found.add(index);
      for (const id of calls) theirs.add(id);
    } else if (parts.some((part) => part.type === 'tool_result' && theirs.has(part.call))) {
      found.add(index);
    }
  }
  return found;
}

// ---------------------------------------------------------------------------------------------
// In words

/** Where the work stands: goal and constraints always, the rest where there is room. */
function standing(checkpoint: Checkpoint | null, withRest: boolean): string[] {
  if (checkpoint === null) return [];
  const { goal, acceptance, constraints, next, done, open, decisions } = checkpoint;
  const lines = [
    ...(goal === '' ? [] : [`Goal: ${goal}`]),
    ...listed('Done means', acceptance),
    ...listed('Constraints', constraints),
    ...(withRest ? listed('Done so far', done) : []),
    ...(withRest
      ? listed(
          'Decided',
          decisions.map(({ what, why }) => `${what} (${why})`),
        )
      : []),
    ...(withRest ? listed('Open', open) : []),
    ...(next === '' ? [] : [`Next: ${next}`]),
  ];
  return lines.length === 0 ? [] : ['[Where the work stands, as its checkpoint says.', ...lines, ']'];
}

function listed(name: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${name}:`, ...items.map((item) => `- ${item}`)];
}

function saySummarised({ from, to, count, hash }: Summarised, outline: readonly string[]): string[] {
  const head = `[${count} messages of this conversation are left out here to fit: of messages ${from + 1} to ${to}, SHA-256 ${hash}.`;
  return outline.length === 0 ? [`${head}]`] : [`${head} In short:`, ...outline, ']'];
}

const LINE_UNITS_MAX = 240;

/** A line for each message, the newest ones where there is no room for all. */
function outlineOf(messages: readonly Message[], indexes: readonly number[], unitsMax: number): string[] {
  const lines: string[] = [];
  let units = 0;
  for (const index of indexes.toReversed()) {
    const line = lineOf(messages[index] as Message);
    units += line.length + 1;
    if (units > unitsMax) break;
    lines.unshift(line);
  }
  const missing = indexes.length - lines.length;
  return lines.length === 0 || missing === 0 ? lines : [`(${missing} earlier ones)`, ...lines];
}

function lineOf({ role, parts }: Message): string {
  const said = parts.map(sayPart).filter((text) => text !== '');
  return shortened(`${role}: ${said.length === 0 ? '(nothing)' : said.join('; ')}`);
}

function sayPart(part: Part): string {
  if (part.type === 'text') return part.text.replace(/\s+/gu, ' ').trim();
  if (part.type === 'image') return '(an image)';
  if (part.type === 'tool_call') return `called ${part.name} ${part.arguments}`;
  if (part.type === 'opaque') return '';
  return `${part.status === 'ok' ? 'result' : 'error'} of ${part.call}: ${part.content.map(sayPart).join(' ')}`;
}

function shortened(text: string): string {
  return text.length <= LINE_UNITS_MAX ? text : `${text.slice(0, LINE_UNITS_MAX - 1).toWellFormed()}…`;
}
