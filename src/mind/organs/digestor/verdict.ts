/**
 * What a message to the seed is: one of five kinds, with a title and a subsystem within limits. Whatever a
 * message says, and whatever a model makes of it, nothing else can come out of here.
 */
import * as z from 'zod';
import type { BodyFormat } from '../../../substrate/bus/model.ts';
import type { MessageKind, SortedBy } from '../../../substrate/mind/sorted.ts';
import { KINDS } from '../../../substrate/mind/sorted.ts';
import { DEFAULT_SUBSYSTEM, SubsystemName, TITLE_CHARS_MAX } from '../../../substrate/tasks/model.ts';

/** What is to be sorted; data, whatever it says. */
export interface Letter {
  /** Its place in the seed's inbox. */
  readonly seq: number;
  readonly from: string;
  readonly format: BodyFormat;
  readonly body: string;
}

export interface Verdict {
  readonly kind: MessageKind;
  /** What it is about, in a line. */
  readonly title: string;
  readonly subsystem: string;
  readonly sortedBy: SortedBy;
  /** Why the rules sorted it, or what they went by. */
  readonly because: string;
  /** The call whose answer it is; none where rules sorted. */
  readonly call?: string;
}

/** What a model may answer, and a sender may say of its own message. */
const Answer = z.strictObject({
  kind: z.enum(KINDS),
  title: z.string().trim().min(1).max(TITLE_CHARS_MAX).optional(),
  subsystem: SubsystemName.optional(),
});
export type Answer = z.infer<typeof Answer>;

const FENCE = /^```(?:json)?[\t ]*\r?\n([\s\S]*?)\n?```$/;

/** The answer of a model; null for anything that is not exactly such an object, in a code fence or bare. */
export function parseAnswer(text: string): Answer | null {
  const bare = FENCE.exec(text.trim())?.[1] ?? text;
  const json = parseJson(bare);
  const parsed = Answer.safeParse(json);
  return parsed.success ? parsed.data : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** The verdict of an answer on a letter: what it leaves out is taken from the letter. */
export function verdictOf(
  letter: Letter,
  { kind, title, subsystem = DEFAULT_SUBSYSTEM }: Answer,
  by: Pick<Verdict, 'sortedBy' | 'because' | 'call'>,
): Verdict {
  return { kind, title: title === undefined ? titleOf(letter) : oneLine(title), subsystem, ...by };
}

/** What a structured message says of itself: `{"kind": "task", "title": …, "text": …}`. */
const Said = z.looseObject({
  kind: z.enum(KINDS),
  title: z.string().trim().min(1).optional().catch(undefined),
  subsystem: SubsystemName.optional().catch(undefined),
});

/** The parts of a structured message that are words. */
const Words = z.looseObject({
  title: z.string().optional().catch(undefined),
  text: z.string().optional().catch(undefined),
});

/** The verdict on a message that says itself what it is; null for all others. */
export function saidByItself(letter: Letter): Verdict | null {
  const by = { sortedBy: 'rules', because: 'it says so itself' } as const;
  if (letter.format === 'json') {
    const said = Said.safeParse(parseJson(letter.body));
    if (!said.success) return null;
    const { kind, title, subsystem } = said.data;
    return verdictOf(letter, { kind, subsystem, title: title?.slice(0, TITLE_CHARS_MAX) }, by);
  }
  const kind = KINDS.find((name) => new RegExp(`^\\s*${name}\\s*:\\s*\\S`, 'i').test(letter.body));
  return kind === undefined ? null : verdictOf(letter, { kind }, by);
}

/** Of a message, what the rules look at. */
const LOOKED_AT_CHARS_MAX = 8_000;

/** Between words of courtesy: marks and faces. */
const FACES = String.raw`[\s.,!\p{Extended_Pictographic}\p{EMod}\u200d\ufe0f]*`;
const COURTESY = 'ok(?:ay)?|thanks?(?: you)?|thx|ping|pong|test|ack|got it|noted|done|great|cool';
/** A few words of courtesy, or the name of a kind with nothing after it. */
const NOTHING = new RegExp(String.raw`^${FACES}(?:(?:${COURTESY})${FACES}){0,4}$|^(?:${KINDS.join('|')})\s*:$`, 'iu');

/**
 * In the order in which they are tried; the first that fits decides. Anybody who may write to the seed chooses
 * what they run on, in the one thread: what stands before a word is of its line alone, and no part that begins
 * at every line runs on without a bound, or the time would grow with the square of the lines.
 */
const SIGNS: readonly (readonly [kind: MessageKind, sign: RegExp, because: string])[] = [
  ['noise', NOTHING, 'it says nothing'],
  ['alert', /^(?:alert|urgent|emergency)\b/i, 'it sounds the alarm'],
  [
    'alert',
    // Whoever asks whether something burns does not say that it does.
    /^(?![\s\S]*\?$)[\s\S]*?\b(?:alert|urgent|emergency|outage|incident|is down|has failed|is failing|crash(?:ed|ing)|disk (?:is )?full|security|leaked?|breach)\b/i,
    'it sounds the alarm',
  ],
  [
    'task',
    /^[\t\p{Zs}]*(?:please|pls|to-?do|can you|could you|would you|we need|i need|fix|add|write|review|update|remove|implement|investigate|check|deploy|prepare|make sure)\b/imu,
    'it asks for something to be done',
  ],
  [
    'question',
    /\?\s*$|^[\t\p{Zs}]*(?:who|what|when|where|why|which|how|is|are|does|do|should|may|shall)\b[^.!?]{0,400}\?/imu,
    'it asks',
  ],
];

/** The rules that take over where no model sorts: words that people use, and a note where none of them stands. */
export function sortByRules(letter: Letter, why: string): Verdict {
  const words = plainWords(letter).trim();
  // Of a message that is cut nobody knows that it says nothing; the mark keeps it from being noise.
  const seen = words.length <= LOOKED_AT_CHARS_MAX ? words : `${words.slice(0, LOOKED_AT_CHARS_MAX)}…`;
  for (const [kind, sign, because] of SIGNS) {
    if (sign.test(seen)) return verdictOf(letter, { kind }, { sortedBy: 'rules', because: `${why}; ${because}` });
  }
  return verdictOf(
    letter,
    { kind: 'note' },
    { sortedBy: 'rules', because: `${why}; it says nothing of what is wanted` },
  );
}

/** The words of a message: its text, or of a structured one what it calls title and text. */
export function plainWords({ format, body }: Letter): string {
  if (format === 'text') return body;
  const words = Words.safeParse(parseJson(body));
  if (!words.success) return body;
  const { title, text } = words.data;
  return [title, text].filter((part) => part !== undefined).join('\n') || body;
}

const KIND_PREFIX = new RegExp(`^\\s*(?:${KINDS.join('|')})\\s*:\\s*`, 'i');

/** The first line that says something. */
function titleOf(letter: Letter): string {
  const words = plainWords(letter).replace(KIND_PREFIX, '');
  return oneLine(words.split('\n').find((line) => line.trim() !== '') ?? '') || `message ${letter.seq}`;
}

// Control characters, and those that turn the direction of text.
const UNPRINTABLE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu;

function oneLine(text: string): string {
  const clean = text.replace(UNPRINTABLE, ' ').replace(/\s+/g, ' ').trim();
  return clean.length <= TITLE_CHARS_MAX ? clean : `${clean.slice(0, TITLE_CHARS_MAX - 1).trimEnd()}…`;
}
