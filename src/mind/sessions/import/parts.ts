/**
 * Neutral messages out of what clients write, within the limits of a transcript. What does not fit is cut
 * or left out by rule, and counted.
 */
import { createHash } from 'node:crypto';
import type { Message, Part, ToolResult } from '../../../substrate/transcript.ts';
import { MESSAGE_BYTES_MAX } from '../../../substrate/transcript.ts';

/** UTF-16 units of one text; an escaped unit is six bytes in the canonical form. */
const TEXT_UNITS_MAX = 256 * 1024;
/** Base64 units of one image, a little more than two mebibytes of it. */
const IMAGE_UNITS_MAX = 3 * 1024 * 1024;
/** Bytes that the parts of one message may have together; the rest of it goes into a message of its own. */
const PARTS_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024;
const PARTS_MAX = 500;
/** UTF-16 units of the arguments of a call, or of an opaque block. */
const JSON_UNITS_MAX = 512 * 1024;

const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'] as const;
type ImageType = (typeof IMAGE_TYPES)[number];

/** Kinds of loss that are told apart; a file may have any number of unknown ones. */
const KINDS_MAX = 30;
const KIND_UNITS_MAX = 80;
const REST = 'of further kinds';

/** Counts what is left out, by kind: `3 images that are too large`. */
export class Tally {
  readonly #counts: Map<string, number>;

  constructor(counts: Readonly<Record<string, number>> = {}) {
    this.#counts = new Map(Object.entries(counts));
  }

  add(kind: string, count = 1): void {
    const known = kind.toWellFormed().slice(0, KIND_UNITS_MAX);
    const name = this.#counts.has(known) || this.#counts.size < KINDS_MAX ? known : REST;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  get lines(): string[] {
    return [...this.#counts].map(([kind, count]) => `${count} ${kind}`);
  }
}

/** A name as it stands in a client's file, for a count: never more than a word. */
export function kindName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '?').slice(0, 40);
}

export type TextPart = Extract<Part, { type: 'text' }>;
export type ImagePart = Extract<Part, { type: 'image' }>;

export function textPart(text: string, tally: Tally): TextPart {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  if (whole !== text) tally.add('texts with half a character, which was replaced');
  if (whole.length <= TEXT_UNITS_MAX) return { type: 'text', text: whole };
  tally.add('texts that are too long, which were cut');
  const kept = whole.slice(0, TEXT_UNITS_MAX).toWellFormed();
  return { type: 'text', text: `${kept}\n[${whole.length - TEXT_UNITS_MAX} characters more were not imported.]` };
}

/** An image, or null where it is of no known type, too large or not base64. */
export function imagePart(mediaType: string, data: string, tally: Tally): ImagePart | null {
  const media = IMAGE_TYPES.find((type): type is ImageType => type === mediaType);
  if (media === undefined) {
    tally.add('images of an unknown type');
    return null;
  }
  if (data.length > IMAGE_UNITS_MAX) {
    tally.add('images that are too large');
    return null;
  }
  if (data.length === 0 || Buffer.from(data, 'base64').toString('base64') !== data) {
    tally.add('images that are damaged');
    return null;
  }
  return { type: 'image', media_type: media, data };
}

/** An image of a `data:` URL; one elsewhere is not fetched. */
export function imageOfUrl(url: string, tally: Tally): ImagePart | null {
  const head = /^data:([\w.+/-]{1,60});base64,/.exec(url.slice(0, 100));
  if (head !== null) return imagePart(head[1] ?? '', url.slice(head[0].length), tally);
  tally.add('images that are only named by an address');
  return null;
}

const OWN_ID = /^[A-Za-z0-9_-]{1,40}$/;

/** Our own id of a call: the client's where it will do, else one that is made from it, always the same. */
export function callId(id: string): string {
  return OWN_ID.test(id) ? id : `i_${createHash('sha256').update(id).digest('base64url').slice(0, 32)}`;
}

function toolName(name: string, tally: Tally): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(name)) return name;
  tally.add('tool names that were written in another way');
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 55)}_${hash}`;
}

export function toolCall(call: { id: string; name: string; arguments: string }, tally: Tally): Part {
  const text = call.arguments.length <= JSON_UNITS_MAX && call.arguments.isWellFormed() ? call.arguments : null;
  if (text === null) tally.add('arguments of tool calls that are too long or damaged');
  return {
    type: 'tool_call',
    id: callId(call.id),
    name: toolName(call.name, tally),
    arguments: text ?? JSON.stringify({ not_imported: `${call.arguments.length} characters` }),
  };
}

export function toolResult(
  result: { call: string; content: readonly (TextPart | ImagePart)[]; isError: boolean },
  tally: Tally,
): Part {
  const content: ToolResult['content'] = [];
  let bytes = 0;
  for (const part of result.content) {
    bytes += bytesOf(part);
    if (bytes > PARTS_BYTES_MAX || content.length >= PARTS_MAX) {
      tally.add('parts of tool results that are too large together', result.content.length - content.length);
      break;
    }
    content.push(part);
  }
  return { type: 'tool_result', call: callId(result.call), content, status: result.isError ? 'error' : 'ok' };
}

/** What only its own provider, model and API can read; null where it is too long to keep. */
export function opaque(
  origin: { provider: string; model: string; api: string },
  block: unknown,
  tally: Tally,
): Part | null {
  const data = JSON.stringify(block);
  if (data.length <= JSON_UNITS_MAX && data.isWellFormed()) return { type: 'opaque', ...origin, data };
  tally.add('thoughts that are too long or damaged');
  return null;
}

/** An upper bound of a part's canonical bytes. */
function bytesOf(part: Part): number {
  return Buffer.byteLength(JSON.stringify(part)) + 1;
}

/** One message, or several where its parts are too large for one; none without parts. */
export function pack(role: Message['role'], parts: readonly Part[]): Message[] {
  const messages: Message[] = [];
  let open: Part[] = [];
  let bytes = 0;
  for (const part of parts) {
    const size = bytesOf(part);
    if (open.length > 0 && (bytes + size > PARTS_BYTES_MAX || open.length >= PARTS_MAX)) {
      messages.push({ role, parts: open });
      [open, bytes] = [[], 0];
    }
    open.push(part);
    bytes += size;
  }
  return open.length === 0 ? messages : [...messages, { role, parts: open }];
}
