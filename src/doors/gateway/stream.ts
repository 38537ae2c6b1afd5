/**
 * One answer as it is given out, in whichever API's framing: what is said once stays said, and the end is clean only
 * where the record and what was given out are the same.
 */
import { SeedError } from '../../errors.ts';
import type { CallEnd } from '../../mind/router/call.ts';
import type { CallEvent } from '../../mind/router/continuation.ts';
import { textOf } from '../../mind/router/continuation.ts';
import type { Message, Opaque, Part, ToolCall } from '../../substrate/transcript.ts';
import { errorOf } from './errors.ts';
import type { TextPart } from './parts.ts';
import type { StreamEncoder } from './wire.ts';

/** How an API writes the pieces of an answer; each gives the text to send. */
export interface Framing {
  /** Once, before anything else of the answer. */
  open(): string;
  text(text: string): string;
  call(call: ToolCall): string;
  /** Whether reasoning is for this client. */
  hears(part: Opaque): boolean;
  opaque(part: Opaque): string;
  /** The clean end. */
  close(outcome: CallEnd['outcome']): string;
  cut(error: SeedError): string;
  ping(): string;
  /** The model that answers, as its provider names it. */
  model?(name: string): void;
}

export class Encoder implements StreamEncoder {
  readonly #framing: Framing;
  #begun = false;
  #opened = false;
  #spoke = false;
  #ended = false;
  #void = false;
  /** All text that was given out, and the ids of all calls. */
  #text = '';
  readonly #calls = new Set<string>();

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  get begun(): boolean {
    return this.#begun;
  }

  on(event: CallEvent): string {
    if (this.#ended || this.#void) return '';
    switch (event.type) {
      case 'accepted':
      case 'tool_call_begun':
      case 'end':
        return '';
      case 'model':
        this.#framing.model?.(event.model);
        return '';
      case 'text':
        return this.#say({ type: 'text', text: event.text });
      case 'tool_call':
        return this.#say(event.call);
      case 'opaque':
        return this.#say(event.part);
      case 'void':
        this.#void = true;
        throw unsaid();
    }
  }

  ping(): string {
    if (this.#ended) return '';
    const opened = this.#open();
    return this.#given(opened + this.#framing.ping());
  }

  end(end: CallEnd): string {
    if (end.outcome.status !== 'complete') return this.fail(errorOf(end));
    const rest = this.#rest(end.message);
    if (this.#void || rest === null) return this.fail(unsaid());
    if (this.#ended) return '';
    const said = rest.map((part) => this.#say(part)).join('');
    this.#ended = true;
    const opened = this.#open();
    return this.#given(said + opened + this.#framing.close(end.outcome));
  }

  fail(error: SeedError): string {
    if (this.#ended) return '';
    this.#ended = true;
    return this.#given(this.#framing.cut(error));
  }

  /**
   * What of the whole answer has not been given out: nothing for whoever heard it all, all of it where the answer
   * was there already (its key was used before). Null where something was given out that is not in the answer.
   */
  #rest(message: Message | null): readonly Part[] | null {
    const parts = message?.parts ?? [];
    if (!this.#spoke) return parts;
    const text = textOf(parts);
    const calls = parts.filter((part) => part.type === 'tool_call');
    const isKnown = [...this.#calls].every((id) => calls.some((call) => call.id === id));
    if (!text.startsWith(this.#text) || !isKnown) return null;
    return [{ type: 'text', text: text.slice(this.#text.length) }, ...calls.filter(({ id }) => !this.#calls.has(id))];
  }

  #say(part: Part): string {
    if (part.type === 'image' || part.type === 'tool_result') return '';
    if (part.type === 'opaque' && !this.#framing.hears(part)) return '';
    if (part.type === 'text' && part.text === '') return '';
    if (part.type === 'text') this.#text += part.text;
    if (part.type === 'tool_call') this.#calls.add(part.id);
    this.#spoke = true;
    // In this order, since a framing may number what it writes.
    const opened = this.#open();
    return this.#given(opened + this.#frame(part));
  }

  #frame(part: TextPart | ToolCall | Opaque): string {
    switch (part.type) {
      case 'text':
        return this.#framing.text(part.text);
      case 'tool_call':
        return this.#framing.call(part);
      case 'opaque':
        return this.#framing.opaque(part);
    }
  }

  #open(): string {
    if (this.#opened) return '';
    this.#opened = true;
    return this.#framing.open();
  }

  #given(text: string): string {
    this.#begun ||= text !== '';
    return text;
  }
}

function unsaid(): SeedError {
  return new SeedError('internal', 'An answer took back what it had given out.', {
    hint: 'This is a defect; the log has the details.',
  });
}
