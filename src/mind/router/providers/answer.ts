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
import type { Body, Outgoing } from './transport.ts';
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

/** One provider's way with an attempt. */
export interface Attempt {
  readonly outgoing: Outgoing;
  /** Decodes the answer with the provider's SDK. */
  readonly decode: (response: Response) => AsyncIterable<Said>;
  /** Whether this is the SDK's error for an error that the provider sent in the stream. */
  readonly isStreamError: (thrown: unknown) => boolean;
}

/** Keeps the stream alive in the router's eyes while nothing can be said. */
const ALIVE: ProviderEvent = { type: 'text', text: '' };

export async function* answer(attempt: Attempt, context: ProviderContext): AsyncGenerator<ProviderEvent, void> {
  const { outgoing } = attempt;
  const body = watchBody(await send(outgoing, context), outgoing.provider);
  const held: ProviderEvent[] = [];
  let calls = 0;
  let torn = false;
  let stop: StopReason | null = null;
  let usage: Usage | null = null;
  let spoke = false;
  try {
    yield { type: 'accepted' };
    for await (const said of decoded(attempt, { body, context, isOver: () => stop !== null })) {
      if (said.type === 'over') break;
      if (said.type === 'stop') stop = said.stop;
      else if (said.type === 'usage') usage = said.usage;
      else if (said.type === 'model') yield said;
      else {
        spoke ||= said.type !== 'text' || said.text !== '';
        const event = said.type === 'call' ? callEvent(said, { outgoing, index: calls++ }) : said;
        torn ||= event === null;
        if (event === null) continue;
        if (event.type === 'tool_call_begun') yield event;
        else if (event.type === 'tool_call' || held.length > 0) {
          held.push(event);
          yield ALIVE;
        } else yield event;
      }
    }
    if (stop === null) throw context.signal.aborted ? abortFault(context.signal, true) : cutFault(outgoing.provider);
    // A call that the limit cut off is no call; torn for any other reason the answer is none.
    if (torn && stop !== 'max_tokens') throw badChunk(outgoing.provider);
    yield* held;
    yield { type: 'end', stop, usage: believable(usage, spoke) };
  } finally {
    await body.release();
  }
}

/** What the decoder says, and its errors as faults; after the terminal marker none of them matters. */
async function* decoded(
  { decode, isStreamError, outgoing }: Attempt,
  { body, context, isOver }: { body: Body; context: ProviderContext; isOver: () => boolean },
): AsyncGenerator<Said, void> {
  try {
    yield* decode(body.response);
  } catch (thrown) {
    if (isOver()) return;
    throw faultOf(thrown, { body, context, outgoing, isStreamError });
  }
}

function faultOf(
  thrown: unknown,
  { body, context, outgoing, isStreamError }: Omit<Attempt, 'decode'> & { body: Body; context: ProviderContext },
): ProviderFault {
  const { provider } = outgoing;
  if (context.signal.aborted) return abortFault(context.signal, true);
  if (thrown instanceof ProviderFault) return thrown;
  if (isStreamError(thrown)) return streamError(provider);
  if (body.state() === 'broken') return brokenFault(thrown, provider);
  if (thrown instanceof SyntaxError || body.state() === 'open') return badChunk(provider);
  return cutFault(provider);
}

function brokenFault(thrown: unknown, provider: string): ProviderFault {
  const { kind, message } = connectionFault(thrown, provider);
  // Whatever broke it, the provider had accepted.
  if (kind === 'cancelled') return new ProviderFault(kind, message, { mayBeBilled: true });
  return cutFault(provider);
}

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

/** Encodes a request once, however often it is asked for: the router prices what the stream then sends. */
export function once<T>(encode: (request: ModelRequest) => T): (request: ModelRequest) => T {
  const known = new WeakMap<ModelRequest, T>();
  return (request) => {
    const found = known.get(request);
    if (found !== undefined) return found;
    const encoded = encode(request);
    known.set(request, encoded);
    return encoded;
  };
}

/** A chunk as its provider documents it. @throws SyntaxError where it is not */
export function readable<T extends z.ZodType>(schema: T, chunk: unknown): z.infer<T> {
  const parsed = schema.safeParse(chunk);
  if (parsed.success) return parsed.data;
  throw new SyntaxError('A chunk is not in the provider’s format.');
}
