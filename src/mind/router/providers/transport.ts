/**
 * The one request of an attempt, ours to the byte.
 *
 * The SDKs read environment variables, add headers, retry and log. So none of them sends: the request
 * goes out from here, once, and the SDK is handed the answer to decode (`handOver`). Address, headers
 * and body are what this file was given, whatever stands in the environment.
 */
import type { AnswerHeaders, ProviderContext, RawAnswer } from '../provider.ts';
import { ProviderFault } from '../provider.ts';
import { abortFault, connectionFault, cutFault, statusFault } from './faults.ts';

export interface Outgoing {
  readonly provider: string;
  readonly model: string;
  /** Behind the target's base URL, with a slash in front. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Bytes of an error's body that are looked at. */
const ERROR_BYTES_MAX = 64 * 1_024;
/** Bytes of one answer, at most; an SDK keeps an unfinished line in memory, however long it gets. */
const ANSWER_BYTES_MAX = 32 * 1_024 * 1_024;

/** An answer that the provider began to give. */
export interface Accepted {
  readonly headers: AnswerHeaders;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Sends it, once. @throws ProviderFault unless the provider accepts */
export async function send(outgoing: Outgoing, context: ProviderContext): Promise<Accepted> {
  const { signal } = context;
  if (signal.aborted) throw abortFault(signal, false);
  const { ok, status, headers, body } = await request(outgoing, context);
  const { provider, model } = outgoing;
  if (ok && body !== null) return { headers, body };
  if (ok) throw cutFault(provider);
  throw statusFault({ provider, model, status, headers, body: await beginningOf(body) });
}

async function request({ provider, path, headers, body }: Outgoing, context: ProviderContext): Promise<RawAnswer> {
  const { baseUrl, ask, signal } = context;
  try {
    return await ask(`${baseUrl.replace(/\/+$/, '')}${path}`, {
      method: 'POST',
      headers: { accept: '*/*', 'content-type': 'application/json', 'user-agent': 'sovereign-seed', ...headers },
      body,
      signal,
      redirect: 'error',
    });
  } catch (thrown) {
    throw signal.aborted ? abortFault(signal, true) : connectionFault(thrown, provider);
  }
}

/** The first bytes of a body as text; an error without a readable body is still that error. */
async function beginningOf(body: RawAnswer['body']): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= ERROR_BYTES_MAX) break;
    }
  } catch {
    // The status alone says what is needed.
  }
  return Buffer.concat(chunks).subarray(0, ERROR_BYTES_MAX).toString();
}

/** An answer's bytes on their way to an SDK. */
export interface Body {
  /** For the SDK; where it stops reading early, the rest is left to `drain`. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly headers: AnswerHeaders;
  /** `open`; `ended` cleanly; `broken` by the network, a sieve or our own limit. */
  readonly state: () => 'open' | 'ended' | 'broken';
  /** Reads what is left and lets go of the connection, so that the next request can have it. */
  readonly drain: () => Promise<void>;
}

/**
 * What an SDK gets to see of the bytes: some of those that came, or that came before. Null is the end.
 * @throws ProviderFault for what it must not be given
 */
export type Sieve = (bytes: Uint8Array | null) => Uint8Array;

const NO_BYTES = new Uint8Array(0);
const ALL: Sieve = (bytes) => bytes ?? NO_BYTES;

/**
 * Watches an answer's bytes as they are read, at the SDK's pace and through its sieve. An SDK that stops
 * early cannot close the connection: what it leaves is read by `drain`.
 */
export function watchBody({ headers, body }: Accepted, provider: string, sieve: Sieve = ALL): Body {
  const pieces = body[Symbol.asyncIterator]();
  let state: 'open' | 'ended' | 'broken' = 'open';
  let count = 0;
  const read = async (): Promise<Uint8Array | null> => {
    try {
      const step = await pieces.next();
      if (step.done === true) {
        if (state === 'open') state = 'ended';
        const last = sieve(null);
        return last.length > 0 ? last : null;
      }
      count += step.value.length;
      if (count > ANSWER_BYTES_MAX) throw tooLong(provider);
      return sieve(step.value);
    } catch (thrown) {
      state = 'broken';
      throw thrown;
    }
  };
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    const value = await read();
    return value === null ? { done: true, value: undefined } : { done: false, value };
  };
  const isOpen = (): boolean => state === 'open';
  const drain = async (): Promise<void> => {
    if (!isOpen()) return;
    const rest = readOut(read).catch(() => {});
    // The end of a finished answer is mostly here already, and waits for no timer.
    await Promise.race([rest, new Promise(setImmediate)]);
    if (!isOpen()) return;
    const patience = after(DRAIN_MS_MAX);
    await Promise.race([rest, patience.over]);
    patience.stop();
  };
  const bytes = { [Symbol.asyncIterator]: () => ({ next }) };
  return { bytes, headers, state: () => state, drain };
}

async function readOut(read: () => Promise<Uint8Array | null>): Promise<void> {
  while ((await read()) !== null);
}

function tooLong(provider: string): ProviderFault {
  return new ProviderFault('bad_chunk', `The answer of ${provider} has more than ${ANSWER_BYTES_MAX} bytes.`, {
    mayBeBilled: true,
  });
}

/** How long a connection is worth waiting for when its answer is over. */
const DRAIN_MS_MAX = 250;

function after(ms: number): { over: Promise<void>; stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { over: promise, stop: () => clearTimeout(timer) };
}

/**
 * An answer for an SDK's decoder of events. Of a `Response` such a one reads the body, in pieces, and for an
 * error the headers: a whole one would put a stream between for nothing.
 */
export function asResponse({ bytes, headers }: Body): Response {
  return { body: bytes, headers } as unknown as Response;
}

/** A `fetch` for an SDK: it gives the answer that is there, once, and sends nothing. */
export function handOver({ bytes, headers }: Body): typeof globalThis.fetch {
  const response = new Response(ReadableStream.from(bytes), { headers: [...headers] });
  let handed = false;
  return () => {
    if (handed) return Promise.reject(new Error('An SDK tried to send a request of its own.'));
    handed = true;
    return Promise.resolve(response);
  };
}

/**
 * All that an SDK's decoder asks of a client: where it logs, which would be the console, and what it would
 * write there is what a provider said.
 */
export const SILENT_CLIENT: object = {
  logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  logLevel: 'off',
};

function quiet(): void {}
