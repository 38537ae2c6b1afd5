/**
 * One answer out of several attempts: what is given out, and what becomes of it when an attempt fails.
 *
 * A request says what it wants (`whenCut`). With `restart` what an attempt has said is provisional: the
 * next one begins anew, and listeners are told that what they heard is void. With `continue` it stands:
 * the next candidate is shown it and goes on from there, so that listeners hear one text, nothing twice.
 * That is safe only before a tool call has begun. Behind that, an attempt of which nobody has heard is
 * forgotten and its turn begins anew; one of which somebody has heard ends the call as incomplete.
 */
import type { Message, Part } from '../../substrate/transcript.ts';
import type { AttemptEnd, Gathered } from './attempt.ts';
import type { ProviderEvent } from './provider.ts';
import type { WhenCut } from './request.ts';

/**
 * What a listener hears. Text comes in whole characters; a tool call comes once, whole, and only when
 * its answer is. `accepted` and `model` come again with each attempt. `end` says that an answer is
 * whole; it is final with the call's own end, when its outcome is on record.
 */
export type CallEvent =
  | ProviderEvent
  /** Everything heard so far is void: the answer begins anew. Never with `whenCut: 'continue'`. */
  | { readonly type: 'void' };

export type CallListener = (event: CallEvent) => void;

/** What comes after an attempt that failed, while there are candidates left. */
export type Next = 'restart' | 'continue' | 'stop';

/** Asks for the rest of an answer; in words, because no other way is open in all formats. */
const GO_ON =
  'Your answer above was cut off by a failure of the line. Go on exactly where it stopped, beginning with the very next character: repeat nothing of it, do not begin anew, and say nothing about the interruption.';

/** What the next candidate is shown behind the conversation. */
export function continuing(said: readonly Part[]): Message[] {
  if (!hasText(said)) return [];
  return [
    { role: 'assistant', parts: [...said] },
    { role: 'user', parts: [{ type: 'text', text: GO_ON }] },
  ];
}

/** Two pieces of one answer as one: their text runs on without a seam, and reasoning stays before what it led to. */
export function joined(before: readonly Part[], after: readonly Part[]): Part[] {
  const text = textOf(before);
  if (text === '') return [...before, ...after];
  const reasoning = before.filter(({ type }) => type === 'opaque');
  const first = after.findIndex(({ type }) => type !== 'opaque');
  const lead = first < 0 ? after : after.slice(0, first);
  const rest = first < 0 ? [] : after.slice(first);
  const [head] = rest;
  const goesOn = head?.type === 'text';
  const whole: Part = { type: 'text', text: goesOn ? text + head.text : text };
  return [...reasoning, ...lead, whole, ...(goesOn ? rest.slice(1) : rest)];
}

export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Blank text is nothing to go on from, and not every format carries it. */
function hasText(parts: readonly Part[]): boolean {
  return textOf(parts).trim() !== '';
}

/** The answer of one call, as it grows. */
export class Telling {
  readonly #whenCut: WhenCut;
  readonly #onDefect: (thrown: unknown) => void;
  readonly #listeners = new Set<CallListener>();
  /** What earlier attempts said and what stands. */
  #kept: readonly Part[] = [];
  /** What the attempt under way has said. */
  #said: Gathered | null = null;
  /** Whether anybody has heard anything of what the attempt under way says. */
  #heard = false;

  constructor(whenCut: WhenCut, onDefect: (thrown: unknown) => void) {
    this.#whenCut = whenCut;
    this.#onDefect = onDefect;
  }

  /** What stands of the attempts that are over. */
  get kept(): readonly Part[] {
    return this.#kept;
  }

  /** The text so far. */
  text(): string {
    return textOf(this.#kept) + (this.#said?.text() ?? '');
  }

  /** Hears the answer from its beginning, whenever it joins; the returned function takes it back. */
  listen(listener: CallListener): () => void {
    const text = this.text();
    this.#listeners.add(listener);
    if (text !== '') this.#tell({ type: 'text', text }, [listener]);
    return () => this.#listeners.delete(listener);
  }

  /** An event of the attempt under way. */
  hear(event: ProviderEvent, said: Gathered): void {
    this.#said = said;
    this.#tell(event, [...this.#listeners]);
  }

  /** What the answer amounts to with what the attempt under way has said; null while that is nothing. */
  message(said: Gathered): Message | null {
    const parts = joined(this.#kept, said.message().parts);
    return parts.length === 0 ? null : { role: 'assistant', parts };
  }

  /** What may come after an attempt that failed. */
  after(end: Extract<AttemptEnd, { outcome: 'failed' }>): Next {
    if (this.#whenCut === 'restart') return 'restart';
    // What answers a prompt that was cut off is no beginning of an answer.
    const isSafe = !end.said.toolCallBegun && end.fault.kind !== 'truncated';
    if (isSafe) return end.said.text() === '' ? 'restart' : 'continue';
    return this.#heard ? 'stop' : 'restart';
  }

  /** Another attempt follows. */
  goOn(next: Exclude<Next, 'stop'>): void {
    const said = this.#said;
    const wasHeard = this.#heard;
    this.#said = null;
    this.#heard = false;
    if (said === null) return;
    if (next === 'continue') this.#kept = joined(this.#kept, said.message().parts);
    else if (wasHeard) this.#tell({ type: 'void' }, [...this.#listeners]);
  }

  #tell(event: CallEvent, listeners: readonly CallListener[]): void {
    const says = event.type === 'tool_call' || (event.type === 'text' && event.text !== '');
    if (says && listeners.length > 0) this.#heard = true;
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (thrown) {
        // Whoever cannot listen must not break the answer for the others.
        this.#listeners.delete(listener);
        this.#onDefect(thrown);
      }
    }
  }
}
