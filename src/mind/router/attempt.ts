/**
 * One attempt: a provider's stream under policy's timeouts, gathered into a message.
 *
 * Complete means that the terminal marker was seen. Whatever else ends the stream is a fault, and what
 * was said until then is partial.
 */
import { toSeedError } from '../../errors.ts';
import type { Timeouts } from '../../substrate/policy/model.ts';
import type { Message, Part } from '../../substrate/transcript.ts';
import { PARTS_MAX } from '../../substrate/transcript.ts';
import type { ModelRequest, Provider, ProviderContext, ProviderEvent, StopReason, Usage } from './provider.ts';
import { ProviderFault } from './provider.ts';

/** UTF-16 units of an answer, at most: each has up to six bytes where a message is kept, which has 4 MiB. */
const ANSWER_UNITS_MAX = 650_000;

/** What a stream has said so far. */
export class Gathered {
  readonly parts: Part[] = [];
  /** What the provider calls the model that answers. */
  model: string | null = null;
  accepted = false;
  toolCallBegun = false;
  #units: number;
  /** Half of a pair of surrogates whose other half is still to come. */
  #torn = '';

  /** @param units UTF-16 units that the answer has already, from attempts before this one */
  constructor(units = 0) {
    this.#units = units;
  }

  /** Takes an event in; resolves to what of it can be given out now: whole characters alone. */
  add(event: ProviderEvent): ProviderEvent[] {
    if (event.type !== 'text') return [...this.#mend(event), this.#take(event)];
    const text = this.#torn + event.text;
    const whole = endsTorn(text) ? text.slice(0, -1) : text;
    this.#torn = text.slice(whole.length);
    return [this.#take({ type: 'text', text: whole.toWellFormed() })];
  }

  /** What is still torn when something else follows has no other half. */
  #mend({ type }: ProviderEvent): ProviderEvent[] {
    if (this.#torn === '' || type === 'accepted' || type === 'model') return [];
    this.#torn = '';
    return [this.#take({ type: 'text', text: '\uFFFD' })];
  }

  #take(event: ProviderEvent): ProviderEvent {
    this.accepted = true;
    if (event.type === 'model') this.model = event.model;
    else if (event.type === 'tool_call_begun') this.toolCallBegun = true;
    else if (event.type === 'text') this.#addText(event.text);
    else if (event.type === 'opaque') this.#addPart(event.part, event.part.data.length);
    else if (event.type === 'tool_call') {
      this.toolCallBegun = true;
      this.#addPart(event.call, event.call.arguments.length);
    }
    return event;
  }

  /** The text alone. */
  text(): string {
    return this.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
  }

  /** What was said, as a message. */
  message(): Message {
    return { role: 'assistant', parts: this.parts.map((part) => ({ ...part })) };
  }

  #addText(text: string): void {
    if (text === '') return;
    this.#count(text.length);
    const last = this.parts.at(-1);
    if (last?.type === 'text') last.text += text;
    else this.#push({ type: 'text', text });
  }

  #addPart(part: Part, units: number): void {
    this.#count(units);
    this.#push(part);
  }

  #push(part: Part): void {
    if (this.parts.length >= PARTS_MAX) throw tooMuch(`${PARTS_MAX} parts`);
    this.parts.push(part);
  }

  #count(units: number): void {
    this.#units += units;
    if (this.#units > ANSWER_UNITS_MAX) throw tooMuch(`${ANSWER_UNITS_MAX} characters`);
  }
}

/** Whether the last unit is the first half of a pair; a pattern would look through all of the text for it. */
function endsTorn(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

/** What no transcript keeps is no answer: it would be given out, and then not be booked. */
function tooMuch(max: string): ProviderFault {
  return new ProviderFault('stream_error', `The answer has more than ${max}.`, { mayBeBilled: true });
}

/** Ends whatever still listens to an attempt that failed; made once, since every call would pay for it. */
const OVER = new ProviderFault('cancelled', 'The attempt is over.', { mayBeBilled: true });

/** How an attempt ended. */
export type AttemptEnd =
  | { readonly outcome: 'ok'; readonly said: Gathered; readonly stop: StopReason; readonly usage: Usage | null }
  | { readonly outcome: 'failed'; readonly said: Gathered; readonly fault: ProviderFault };

/** Times one stream: to the first token, between tokens, in all. */
class Watch {
  readonly #timeouts: Timeouts;
  readonly #onTimeout: (fault: ProviderFault) => void;
  readonly #total: NodeJS.Timeout;
  readonly #first: NodeJS.Timeout;
  #idle: NodeJS.Timeout | null = null;

  constructor(timeouts: Timeouts, onTimeout: (fault: ProviderFault) => void) {
    this.#timeouts = timeouts;
    this.#onTimeout = onTimeout;
    this.#total = this.#arm(timeouts.totalMs, 'in all');
    this.#first = this.#arm(timeouts.firstTokenMs, 'to the first token');
  }

  /** Something was said. */
  heard({ type }: ProviderEvent): void {
    if (type === 'accepted' || type === 'model') return;
    // From then on one timer is wound up again and again: a new one for every token would cost more than it.
    if (this.#idle !== null) {
      this.#idle.refresh();
      return;
    }
    clearTimeout(this.#first);
    this.#idle = this.#arm(this.#timeouts.idleMs, 'between tokens');
  }

  stop(): void {
    clearTimeout(this.#total);
    clearTimeout(this.#first);
    if (this.#idle !== null) clearTimeout(this.#idle);
  }

  #arm(ms: number, what: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#onTimeout(new ProviderFault('timeout', `It took longer than ${ms} ms ${what}.`, { mayBeBilled: true }));
    }, ms);
  }
}

export interface AttemptOptions {
  readonly provider: Provider;
  readonly request: ModelRequest;
  /** The way out; what it throws is a fault, and nothing has been sent then. */
  readonly open: () => Promise<Omit<ProviderContext, 'signal'>>;
  readonly timeouts: Timeouts;
  /** Aborted with a {@link ProviderFault} when the call is cancelled. */
  readonly signal: AbortSignal;
  /** UTF-16 units that the answer has already. */
  readonly unitsBefore: number;
  readonly onEvent: (event: ProviderEvent, said: Gathered) => void;
}

/**
 * What may end an attempt from outside: its timeouts, and the call's own cancelling. One signal for the
 * provider, whose listeners go with the attempt, and one listener at the call's, which is taken back.
 */
class Stop {
  readonly #control = new AbortController();
  readonly #call: AbortSignal;
  readonly #onCancel = (): void => this.end(toFault(this.#call.reason));
  #fault: ProviderFault | null = null;
  /** Rejects what the attempt waits for. */
  #reject: ((fault: ProviderFault) => void) | null = null;

  constructor(call: AbortSignal) {
    this.#call = call;
    if (call.aborted) this.#onCancel();
    else call.addEventListener('abort', this.#onCancel, { once: true });
  }

  get signal(): AbortSignal {
    return this.#control.signal;
  }

  /** Why the attempt was ended; null while it was not. */
  get fault(): ProviderFault | null {
    return this.#fault;
  }

  end(fault: ProviderFault): void {
    this.#fault ??= fault;
    this.#control.abort(fault);
    this.#reject?.(fault);
  }

  /** What `work` comes to, unless the attempt is ended before: a provider that does not notice must not hold the call. */
  during<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject;
      if (this.#fault !== null) reject(this.#fault);
      work.then(resolve, reject);
    });
  }

  detach(): void {
    this.#call.removeEventListener('abort', this.#onCancel);
  }
}

/** Makes one attempt; never rejects. */
export async function runAttempt(options: AttemptOptions): Promise<AttemptEnd> {
  const { provider, request, open, timeouts, onEvent } = options;
  const said = new Gathered(options.unitsBefore);
  const stop = new Stop(options.signal);
  const watch = new Watch(timeouts, (fault) => stop.end(fault));
  let events: AsyncIterator<ProviderEvent> | null = null;
  try {
    const context = await open().catch(notSent);
    if (stop.fault !== null) throw unsent(stop.fault);
    events = provider.stream(request, { ...context, signal: stop.signal })[Symbol.asyncIterator]();
    return await stop.during(takeIn(events, { said, stop, watch, onEvent }));
  } catch (thrown) {
    const fault = (events === null ? null : stop.fault) ?? toFault(thrown);
    stop.end(OVER);
    return { outcome: 'failed', said, fault };
  } finally {
    watch.stop();
    stop.detach();
    if (events !== null) letGo(events);
  }
}

/** Takes a stream in to its end; what still comes once the attempt was ended is not heard any more. */
async function takeIn(
  events: AsyncIterator<ProviderEvent>,
  { said, stop, watch, onEvent }: { said: Gathered; stop: Stop; watch: Watch; onEvent: AttemptOptions['onEvent'] },
): Promise<AttemptEnd> {
  for (;;) {
    const step = await events.next();
    if (stop.fault !== null) throw stop.fault;
    if (step.done === true) throw endedEarly();
    const event = step.value;
    watch.heard(event);
    for (const each of said.add(event)) onEvent(each, said);
    if (event.type === 'end') return { outcome: 'ok', said, stop: event.stop, usage: event.usage };
  }
}

/** Ends a stream that is no longer read; how it ends is of no interest any more. */
function letGo(events: AsyncIterator<ProviderEvent>): void {
  events.return?.().then(
    () => {},
    () => {},
  );
}

/** The way out was refused: nothing was sent, and nothing is owed. */
function notSent(thrown: unknown): never {
  const { code, message } = toSeedError(thrown);
  throw new ProviderFault('unreachable', `${message} (${code})`, { mayBeBilled: false, cause: thrown });
}

/** Cancelled before anything was sent. */
function unsent({ kind, message }: ProviderFault): ProviderFault {
  return new ProviderFault(kind, message, { mayBeBilled: false });
}

function endedEarly(): ProviderFault {
  return new ProviderFault('cut', 'The answer ended without its terminal marker.', { mayBeBilled: true });
}

/** What a provider throws that is no fault is a defect of ours; what it cost nobody knows. */
function toFault(thrown: unknown): ProviderFault {
  if (thrown instanceof ProviderFault) return thrown;
  return new ProviderFault('stream_error', 'The provider module failed.', { mayBeBilled: true, cause: thrown });
}
