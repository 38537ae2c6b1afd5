/**
 * What all providers' streams have in common: one request, events in order, one end.
 *
 * From the first tool call on, what is said is kept back until the terminal marker, so that no call of
 * a cut answer is ever seen; empty text tells the router meanwhile that the stream lives.
 */
import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { ToolCallPart } from '../../../substrate/transcript.ts';
import type { ModelRequest, ProviderContext, ProviderEvent, StopReason, Usage } from '../provider.ts';
import { ProviderFault } from '../provider.ts';
import { abortFault, badChunk, connectionFault, cutFault, streamError } from './faults.ts';
import type { Body, Outgoing, Sieve } from './transport.ts';
import { send, watchBody } from './transport.ts';

/** What a provider's decoder says of a stream; ids of calls are given here. */
export type Said =
  | Exclude<ProviderEvent, { type: 'accepted' | 'end' | 'tool_call' }>
  | { readonly type: 'call'; readonly name: string; readonly arguments: string; readonly providerId: string | null }
  /** The terminal marker, perhaps before the usage is known. Nothing but usage may follow. */
  | { readonly type: 'stop'; readonly stop: StopReason }
  | { readonly type: 'usage'; readonly usage: Usage }
  /** The answer is over: there is nothing to wait for. */
  | { readonly type: 'over' };

/** An answer that is being decoded. */
export interface Decoding {
  /** What the SDK makes of the bytes, piece by piece. */
  readonly chunks: AsyncIterable<unknown>;
  /** What the next of them says, in order; what it throws comes behind what was said before. */
  readonly read: (chunk: unknown) => Iterable<Said>;
  /** Whether this is the SDK's error for an error that the provider sent in the stream. */
  readonly isStreamError: (thrown: unknown) => boolean;
}

/** One provider's way with an attempt. */
export interface Attempt {
  readonly outgoing: Outgoing;
  /** Loads the provider's SDK, which decodes the answer. */
  readonly decode: (body: Body) => Promise<Decoding>;
  /** Keeps from the SDK what that one is not strict enough for. */
  readonly sieve?: () => Sieve;
}

/** Keeps the stream alive in the router's eyes while nothing can be said. */
const ALIVE: ProviderEvent = { type: 'text', text: '' };

/** Makes an attempt; what `prepare` throws is a fault of the iteration too. */
export async function* answer(prepare: () => Attempt, context: ProviderContext): AsyncGenerator<ProviderEvent, void> {
  const attempt = prepare();
  const { outgoing, sieve } = attempt;
  const line = new Line(context.signal);
  const heard = new Heard(outgoing);
  let body: Body | null = null;
  try {
    const response = await send(outgoing, { ...context, signal: line.signal });
    body = watchBody(response, outgoing.provider, sieve?.());
    yield { type: 'accepted' };
    const reading = new Reading(attempt, { body, signal: line.signal });
    while (await reading.goOn(heard.stopped)) {
      for (let said = reading.next(heard.stopped); said !== null; said = reading.next(heard.stopped)) {
        const event = heard.hear(said);
        if (event !== null) yield event;
      }
    }
    if (!heard.stopped) throw line.signal.aborted ? abortFault(line.signal, true) : cutFault(outgoing.provider);
    // Whoever has the end may hang up; what is left of the connection is then our own affair.
    line.detach();
    for (const event of heard.end()) yield event;
  } finally {
    if (heard.stopped) await body?.drain();
    line.detach();
    if (body?.state() !== 'ended') line.hangUp();
  }
}

/** Made once: an error of one's own for each abort would cost as much as the rest of a short answer. */
const HUNG_UP = new ProviderFault('cancelled', 'The answer is not read any further.', { mayBeBilled: true });

/** The caller's signal until the answer is whole, and a way of our own to hang up. */
class Line {
  readonly #own = new AbortController();
  readonly #caller: AbortSignal;
  readonly #onAbort = (): void => this.#own.abort(this.#caller.reason);

  constructor(caller: AbortSignal) {
    this.#caller = caller;
    if (caller.aborted) this.#onAbort();
    else caller.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#own.signal;
  }

  detach(): void {
    this.#caller.removeEventListener('abort', this.#onAbort);
  }

  hangUp(): void {
    this.#own.abort(HUNG_UP);
  }
}

/** What is heard of an answer; its being over is the reading's own affair. */
type Hearable = Exclude<Said, { type: 'over' }>;

/**
 * What the decoder says, one after the other, and its errors as faults. A chunk is waited for once: what it says
 * is all here then, and a promise for each of its words would cost more than the words.
 */
class Reading {
  readonly #attempt: Attempt;
  readonly #body: Body;
  readonly #signal: AbortSignal;
  #decoding: Decoding | null = null;
  #chunks: AsyncIterator<unknown> | null = null;
  #said: Iterator<Said> | null = null;
  #isOver = false;

  constructor(attempt: Attempt, { body, signal }: { body: Body; signal: AbortSignal }) {
    this.#attempt = attempt;
    this.#body = body;
    this.#signal = signal;
  }

  /** Waits for the next chunk; false at the end. Once the terminal marker was seen (`stopped`) no error matters any more. */
  async goOn(stopped: boolean): Promise<boolean> {
    if (this.#isOver) return false;
    try {
      this.#decoding ??= await this.#attempt.decode(this.#body);
      this.#chunks ??= this.#decoding.chunks[Symbol.asyncIterator]();
      const step = await this.#chunks.next();
      if (step.done === true) return false;
      this.#said = this.#decoding.read(step.value)[Symbol.iterator]();
      return true;
    } catch (thrown) {
      if (stopped) return false;
      throw this.#fault(thrown);
    }
  }

  /** What the chunk says next; null where that was all of it. Errors are as in {@link goOn}. */
  next(stopped: boolean): Hearable | null {
    try {
      const step = this.#said?.next();
      if (step?.done !== false) return null;
      if (step.value.type !== 'over') return step.value;
    } catch (thrown) {
      if (!stopped) throw this.#fault(thrown);
    }
    this.#isOver = true;
    return null;
  }

  #fault(thrown: unknown): ProviderFault {
    const { provider } = this.#attempt.outgoing;
    if (this.#signal.aborted) return abortFault(this.#signal, true);
    if (thrown instanceof ProviderFault) return thrown;
    if (this.#decoding?.isStreamError(thrown) === true) return streamError(provider);
    if (this.#body.state() === 'broken') return brokenFault(thrown, provider);
    if (thrown instanceof SyntaxError || this.#body.state() === 'open') return badChunk(provider);
    return cutFault(provider);
  }
}

function brokenFault(thrown: unknown, provider: string): ProviderFault {
  const { kind, message } = connectionFault(thrown, provider);
  // Whatever broke it, the provider had accepted.
  if (kind === 'cancelled') return new ProviderFault(kind, message, { mayBeBilled: true });
  return cutFault(provider);
}

/** What was heard of an answer, and what of it may be passed on. */
class Heard {
  readonly #outgoing: Outgoing;
  readonly #held: ProviderEvent[] = [];
  #stop: StopReason | null = null;
  #usage: Usage | null = null;
  #calls = 0;
  #torn = false;
  #spoke = false;

  constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing;
  }

  /** Whether the terminal marker was seen. */
  get stopped(): boolean {
    return this.#stop !== null;
  }

  /** What of it can be passed on now. */
  hear(said: Hearable): ProviderEvent | null {
    if (said.type === 'stop') this.#stop = said.stop;
    else if (said.type === 'usage') this.#usage = said.usage;
    else if (said.type === 'model')
      return { type: 'model', model: said.model.toWellFormed().slice(0, MODEL_UNITS_MAX) };
    else return this.#say(said);
    return null;
  }

  /** What was kept back, and the end. @throws ProviderFault `bad_chunk` */
  end(): ProviderEvent[] {
    const stop = this.#stop ?? 'end';
    // A call that the limit cut off is no call; torn for any other reason the answer is none.
    if (this.#torn && stop !== 'max_tokens') throw badChunk(this.#outgoing.provider);
    return [...this.#held, { type: 'end', stop, usage: believable(this.#usage, this.#spoke) }];
  }

  #say(said: Exclude<Hearable, { type: 'stop' | 'usage' | 'model' }>): ProviderEvent | null {
    this.#spoke ||= said.type !== 'text' || said.text !== '';
    const event = said.type === 'call' ? callEvent(said, { outgoing: this.#outgoing, index: this.#calls++ }) : said;
    this.#torn ||= event === null;
    if (event === null || event.type === 'tool_call_begun') return event;
    if (event.type !== 'tool_call' && this.#held.length === 0) return event;
    this.#held.push(event);
    return ALIVE;
  }
}

/** UTF-16 units of a model's name, at most. */
const MODEL_UNITS_MAX = 256;

/**
 * A call under an id of our own: it follows from the request, the place and the provider's id, so
 * that it is the same whenever it is computed, and no two answers of a conversation share one.
 */
function callEvent(
  { name, arguments: text, providerId }: Extract<Said, { type: 'call' }>,
  { outgoing, index }: { outgoing: Outgoing; index: number },
): ProviderEvent | null {
  const hash = createHash('sha256')
    .update(`${index} ${providerId ?? ''}\n`)
    .update(outgoing.body)
    .digest('base64url');
  const id = `call_${hash.slice(0, 22)}`;
  const call = ToolCallPart.safeParse({
    type: 'tool_call',
    id,
    name,
    arguments: text === '' ? '{}' : text.toWellFormed(),
  });
  return call.success ? { type: 'tool_call', call: call.data, providerId } : null;
}

/** Null for usage that is absent or zero where it cannot be: then the attempt costs its bound. */
function believable(usage: Usage | null, spoke: boolean): Usage | null {
  if (usage === null) return null;
  const { input, output, cachedInput, cacheWrite } = usage;
  if (![input, output, cachedInput, cacheWrite].every((count) => Number.isSafeInteger(count) && count >= 0))
    return null;
  return input + cachedInput + cacheWrite === 0 || (spoke && output === 0) ? null : usage;
}

/** Loads a module with its first use; `import()` itself looks it up anew each time, which takes its time. */
export function lazy<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | null = null;
  return () => (loaded ??= load());
}

/**
 * Encodes a request once, however often it is asked for: the router prices what the stream then sends. A copy is the
 * same request where all that it says is the same, which for messages and tools means the very same lists.
 */
export function once<T>(encode: (request: ModelRequest) => T): (request: ModelRequest) => T {
  const known = new WeakMap<ModelRequest['messages'], { readonly request: ModelRequest; readonly encoded: T }>();
  return (request) => {
    const found = known.get(request.messages);
    if (found !== undefined && isSame(found.request, request)) return found.encoded;
    const encoded = encode(request);
    known.set(request.messages, { request, encoded });
    return encoded;
  };
}

function isSame(one: ModelRequest, other: ModelRequest): boolean {
  const names = Object.keys(one) as (keyof ModelRequest)[];
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** A chunk as its provider documents it. @throws SyntaxError where it is not */
export function readable<T extends z.ZodType>(schema: T, chunk: unknown): z.infer<T> {
  const parsed = schema.safeParse(chunk);
  if (parsed.success) return parsed.data;
  throw new SyntaxError('A chunk is not in the provider’s format.');
}
