/**
 * A transcript as every provider's format can carry it: what all four have in common, said once.
 *
 * Formats differ in how they write a conversation, hardly in what they allow. So the rules stand here,
 * and a format's own file only writes:
 *
 * - System texts stand in front.
 * - The conversation begins and ends on the user's side, and sides alternate.
 * - A tool call's results follow it at once, one for each call, in the order of the calls. A call
 *   without a result gets an error as its result; a result without a call is left out.
 * - Ids of calls are unique in a request.
 * - Opaque parts go back only to the provider, model and API that they came from.
 * - Images stand on the user's side or in a tool's result.
 *
 * Whatever is left out or moved is listed. Pure.
 */
import type { Message, Opaque, Part, ToolCall, ToolResult } from '../../../substrate/transcript.ts';
import type { Loss } from '../provider.ts';

export type TextPart = Extract<Part, { type: 'text' }>;
export type ImagePart = Extract<Part, { type: 'image' }>;

/** A tool's answer beside the call that it answers. */
export interface Answered {
  /** The call, under an id that is unique in the request. */
  readonly call: ToolCall;
  readonly content: ToolResult['content'];
  readonly status: ToolResult['status'];
}

export type Turn =
  | { readonly side: 'user'; readonly parts: readonly (TextPart | ImagePart)[] }
  | { readonly side: 'assistant'; readonly parts: readonly (TextPart | ToolCall | Opaque)[] }
  | { readonly side: 'results'; readonly results: readonly Answered[] };

export interface Prepared {
  readonly system: readonly string[];
  /** Begins with `user`, ends with `user` or `results`; a `results` follows each `assistant` with calls. */
  readonly turns: readonly Turn[];
  readonly losses: readonly Loss[];
}

/** Whom opaque parts are for. */
export interface Origin {
  readonly provider: string;
  readonly model: string;
  readonly api: string;
}

/** Stands where a conversation would begin with the assistant. */
const OPENING = '(The beginning of this conversation is not shown.)';
/** Asks for the rest where a conversation ends with the assistant; no format lets all models do without. */
const CONTINUE = 'Continue from where you stopped.';
/** The result of a call that has none. */
const NO_RESULT = 'No result is known: the call was not finished.';

export function prepare(messages: readonly Message[], origin: Origin): Prepared {
  const losses = new Losses();
  const system = gatherSystem(messages, losses);
  const turns = joinSides(pairResults(messages, origin, losses));
  if (turns[0]?.side !== 'user') {
    losses.add(null, 'an opening message was added: none of the user’s comes first');
    turns.unshift({ side: 'user', parts: [{ type: 'text', text: OPENING }] });
  }
  if (turns.at(-1)?.side === 'assistant') {
    losses.add(null, 'a closing message was added: the last is the assistant’s');
    turns.push({ side: 'user', parts: [{ type: 'text', text: CONTINUE }] });
  }
  return { system, turns, losses: losses.list };
}

/** Each loss once. */
export function distinct(losses: readonly Loss[]): readonly Loss[] {
  if (losses.length < 2) return losses;
  return [...new Map(losses.map((loss) => [`${loss.message} ${loss.what}`, loss])).values()];
}

/** The images that every format carries of these messages, in order. */
export function carriedImages(messages: readonly Message[]): ImagePart[] {
  if (!messages.some(({ parts }) => parts.some(holdsImage))) return [];
  const { turns } = prepare(messages, NOBODY);
  return turns.flatMap((turn): ImagePart[] => {
    if (turn.side === 'assistant') return [];
    const parts = turn.side === 'user' ? turn.parts : turn.results.flatMap(({ content }) => content);
    return parts.filter((part) => part.type === 'image');
  });
}

function holdsImage(part: Part): boolean {
  return part.type === 'image' || (part.type === 'tool_result' && part.content.some(({ type }) => type === 'image'));
}

/** No opaque part is of it; none holds an image. */
const NOBODY: Origin = { provider: '', model: '', api: '' };

/** Losses as they are found. */
class Losses {
  readonly list: Loss[] = [];

  add(message: number | null, what: string): void {
    this.list.push({ message, what });
  }
}

function gatherSystem(messages: readonly Message[], losses: Losses): string[] {
  const texts: string[] = [];
  let begun = false;
  for (const [index, { role, parts }] of messages.entries()) {
    if (role !== 'system') {
      begun = true;
      continue;
    }
    if (begun) losses.add(index, 'a system message in the middle stands at the beginning');
    for (const part of parts) {
      if (part.type !== 'text') losses.add(index, `${NAMES[part.type]} in a system message`);
      else if (part.text !== '') texts.push(part.text);
    }
  }
  return texts;
}

const NAMES: Readonly<Record<Part['type'], string>> = {
  text: 'text',
  image: 'an image',
  tool_call: 'a tool call',
  tool_result: 'a tool result',
  opaque: 'opaque reasoning',
};

/** A turn that is still being put together. */
type Draft =
  | { side: 'user'; parts: (TextPart | ImagePart)[] }
  | { side: 'assistant'; parts: (TextPart | ToolCall | Opaque)[] }
  | { side: 'results'; results: Answered[] };

/** Calls of the newest answer that have no result yet. */
interface OpenCall {
  /** As the transcript calls it. */
  readonly id: string;
  readonly call: ToolCall;
  readonly message: number;
  result: ToolResult | null;
}

/** The turns in order, with each call's result where formats want it: right after the answer that calls. */
function pairResults(messages: readonly Message[], origin: Origin, losses: Losses): Draft[] {
  const turns: Draft[] = [];
  const ids = new UniqueIds();
  let open: OpenCall[] = [];
  let results: Answered[] | null = null;

  const close = (): void => {
    for (const { call, result, message } of open) {
      if (result === null) losses.add(message, 'a tool call without a result: it got an error as its result');
      results?.push(
        result === null
          ? { call, content: [{ type: 'text', text: NO_RESULT }], status: 'error' }
          : { call, content: result.content, status: result.status },
      );
    }
    open = [];
    results = null;
  };

  for (const [index, { role, parts }] of messages.entries()) {
    if (role === 'system') continue;
    if (role === 'assistant') {
      close();
      const said = answerParts(parts, { index, origin, losses, ids });
      if (said === null) continue;
      turns.push({ side: 'assistant', parts: said.parts });
      if (said.calls.length === 0) continue;
      open = said.calls;
      results = [];
      turns.push({ side: 'results', results });
      continue;
    }
    const given = userParts(parts, { index, role, open, losses });
    if (given.length > 0) turns.push({ side: 'user', parts: given });
  }
  close();
  return turns;
}

interface Place {
  readonly index: number;
  readonly losses: Losses;
}

/** What an assistant's message carries; null where nothing of it is left. */
function answerParts(
  parts: readonly Part[],
  { index, origin, losses, ids }: Place & { origin: Origin; ids: UniqueIds },
): { parts: (TextPart | ToolCall | Opaque)[]; calls: OpenCall[] } | null {
  const kept: (TextPart | ToolCall | Opaque)[] = [];
  const calls: OpenCall[] = [];
  for (const part of parts) {
    if (part.type === 'text') {
      if (part.text !== '') kept.push(part);
    } else if (part.type === 'opaque') {
      if (isOf(part, origin)) kept.push(part);
      else losses.add(index, 'opaque reasoning of another model');
    } else if (part.type === 'tool_call') {
      const call = { ...part, id: ids.take(part.id) };
      kept.push(call);
      calls.push({ id: part.id, call, message: index, result: null });
    } else {
      losses.add(index, `${NAMES[part.type]} in an answer`);
    }
  }
  if (kept.some((part) => part.type !== 'opaque')) return { parts: kept, calls };
  losses.add(index, kept.length === 0 ? 'an empty answer' : 'an answer of reasoning alone');
  return null;
}

function isOf({ provider, model, api }: Opaque, origin: Origin): boolean {
  return provider === origin.provider && model === origin.model && api === origin.api;
}

/** What a user's or a tool's message carries; results go to the calls that are open. */
function userParts(
  parts: readonly Part[],
  { index, role, open, losses }: Place & { role: Message['role']; open: readonly OpenCall[] },
): (TextPart | ImagePart)[] {
  const kept: (TextPart | ImagePart)[] = [];
  for (const part of parts) {
    if (part.type === 'tool_result') {
      const call = open.find(({ id, result }) => id === part.call && result === null);
      if (call === undefined) losses.add(index, 'a tool result without an open call');
      else call.result = part;
    } else if (role === 'user' && (part.type === 'text' || part.type === 'image')) {
      if (part.type === 'image' || part.text !== '') kept.push(part);
    } else {
      losses.add(index, `${NAMES[part.type]} in a ${role} message`);
    }
  }
  return kept;
}

/** Neighbours of one side become one turn. */
function joinSides(turns: readonly Draft[]): Turn[] {
  const joined: Draft[] = [];
  for (const turn of turns) {
    const last = joined.at(-1);
    if (turn.side === 'user' && last?.side === 'user') last.parts.push(...turn.parts);
    else if (turn.side === 'assistant' && last?.side === 'assistant') last.parts.push(...turn.parts);
    else joined.push(turn);
  }
  return joined;
}

/** Ids as the transcript has them, with a number behind where one comes again. */
class UniqueIds {
  readonly #taken = new Set<string>();

  take(id: string): string {
    let unique = id;
    for (let count = 2; this.#taken.has(unique); count += 1) {
      const suffix = `_${count}`;
      unique = `${id.slice(0, ID_LENGTH_MAX - suffix.length)}${suffix}`;
    }
    this.#taken.add(unique);
    return unique;
  }
}

/** As long as the shortest limit among the formats allows. */
const ID_LENGTH_MAX = 40;
