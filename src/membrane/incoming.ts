/**
 * One request on its way, and its answer as it comes: undici's lowest face, and a queue.
 *
 * An answer of a model is over in two or three pieces, or has hundreds. The layers of streams that undici's
 * other faces put around them cost more than all else on the way out, and whoever reads here wants pieces
 * one after the other and nothing more.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { SeedError } from '../errors.ts';

/** Bytes of one answer, at most; an answer of a million characters has room in it several times over. */
export const RESPONSE_BYTES_MAX = 32 * 1_024 * 1_024;
/** Bytes that wait to be read before the sender has to wait too. */
const UNREAD_BYTES_MAX = 64 * 1_024;
/** Statuses that have no body (Fetch, "null body status"). */
const BODILESS = new Set([204, 205, 304]);

/** As much of a connection as is used here (undici, `Dispatcher.DispatchController`). */
export interface Connection {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

/** The head of an answer, and what follows: as much of a `Response` as a provider reads. */
export interface Answer {
  readonly status: number;
  /** The status is one of success. */
  readonly ok: boolean;
  readonly headers: AnswerHeaders;
  /** Read once, by one reader; null where there is none. */
  readonly body: AsyncIterable<Uint8Array> | null;
}

type Step = IteratorResult<Uint8Array, undefined>;

const DONE: Step = { done: true, value: undefined };

/** One exchange with a target. Its pieces are read by one reader, one after the other. */
export class Incoming implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #onOver: () => void;
  readonly #begun = Promise.withResolvers<Answer>();
  #connection: Connection | null = null;
  #hasBegun = false;
  #isBodiless = false;
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #bytes = 0;
  /** All of it has come, though perhaps not been read. */
  #isComplete = false;
  #failure: { readonly reason: unknown } | null = null;
  #reader: PromiseWithResolvers<Step> | null = null;
  #isOver = false;

  /** @param onOver is told once: the end was read, or the exchange failed or was given up */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  /**
   * The answer, as soon as its headers are there.
   *
   * @throws SeedError `egress_refused` for a redirect; what {@link abort} was given; TypeError for all else
   *   (Fetch, "network error"), with its cause
   */
  get answer(): Promise<Answer> {
    return this.#begun.promise;
  }

  /** Whether there is nothing to wait for any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends it wherever it is; whoever waits or reads is told why. */
  abort(reason: unknown): void {
    if (this.#isOver) return;
    this.#unread = [];
    this.#fail(reason);
    this.#hangUp();
  }

  // -------------------------------------------------------------------------------------------
  // What is read

  next(): Promise<Step> {
    const value = this.#unread.shift();
    if (value !== undefined) {
      this.#unreadBytes -= value.length;
      if (this.#unread.length === 0) this.#connection?.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#reader !== null) return Promise.reject(new Error('An answer is read by one reader, piece by piece.'));
    this.#reader = Promise.withResolvers();
    const { promise } = this.#reader;
    this.#settle();
    return promise;
  }

  /** Nobody reads the rest, and it need not come. */
  return(): Promise<Step> {
    this.#unread = [];
    const isCut = !this.#isComplete && this.#failure === null;
    this.#isComplete = true;
    this.#over();
    if (isCut) this.#hangUp();
    this.#settle();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // -------------------------------------------------------------------------------------------
  // What comes (the methods of undici's `Dispatcher.DispatchHandler`)

  onRequestStart(connection: Connection): void {
    this.#connection = connection;
    // Given up while it waited for a connection.
    if (this.#isOver) this.#hangUp();
  }

  onResponseStart(_connection: Connection, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    assertPlain(status, headers);
    this.#hasBegun = true;
    this.#isBodiless = BODILESS.has(status);
    this.#begun.resolve({
      status,
      ok: status < 300,
      headers: new AnswerHeaders(headers),
      body: this.#isBodiless ? null : this,
    });
  }

  onResponseData(connection: Connection, piece: Uint8Array): void {
    if (this.#isOver || this.#isBodiless) return;
    this.#bytes += piece.length;
    if (this.#bytes > RESPONSE_BYTES_MAX) throw tooLarge();
    if (this.#reader !== null) {
      this.#reader.resolve({ done: false, value: piece });
      this.#reader = null;
      return;
    }
    this.#unread.push(piece);
    this.#unreadBytes += piece.length;
    if (this.#unreadBytes > UNREAD_BYTES_MAX) connection.pause();
  }

  onResponseEnd(): void {
    this.#isComplete = true;
    if (this.#isBodiless) this.#over();
    this.#settle();
  }

  onResponseError(_connection: Connection | null, error: unknown): void {
    const message = this.#hasBegun ? 'terminated' : 'fetch failed';
    this.#fail(error instanceof SeedError ? error : new TypeError(message, { cause: error }));
  }

  // -------------------------------------------------------------------------------------------

  #fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#failure = { reason };
    if (!this.#hasBegun) this.#begun.reject(reason);
    this.#over();
    this.#settle();
  }

  /** Tells a reader who waits of an end, whichever it is. */
  #settle(): void {
    const reader = this.#reader;
    if (reader === null || (this.#failure === null && !this.#isComplete)) return;
    this.#reader = null;
    if (this.#failure !== null) reader.reject(this.#failure.reason);
    else {
      this.#over();
      reader.resolve(DONE);
    }
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
  }

  /** The connection goes with it: what would still come on it is nobody's. */
  #hangUp(): void {
    this.#connection?.abort(new Error('The answer is not read any further.'));
  }
}

/** An answer's headers, as they came: of most answers none is ever read. */
class AnswerHeaders {
  readonly #received: IncomingHttpHeaders;

  constructor(received: IncomingHttpHeaders) {
    this.#received = received;
  }

  /** A header by its name in lower case; what came several times is joined (Fetch, "get a header"). */
  get(name: string): string | null {
    const value = Object.hasOwn(this.#received, name) ? this.#received[name] : undefined;
    return Array.isArray(value) ? value.join(', ') : (value ?? null);
  }

  *[Symbol.iterator](): Generator<[name: string, value: string]> {
    for (const [name, value] of Object.entries(this.#received)) {
      if (Array.isArray(value)) for (const each of value) yield [name, each];
      else yield [name, value ?? ''];
    }
  }
}

/** @throws SeedError `egress_refused` for a redirect; Error for an answer in a form that was not asked for */
function assertPlain(status: number, headers: IncomingHttpHeaders): void {
  if (status >= 300 && status < 400 && status !== 304) {
    throw new SeedError(
      'egress_refused',
      `The target answered with a redirect (${status}), and redirects are not followed.`,
      { hint: 'Give the target the address itself as base_url; the credential must be bound to its origin.' },
    );
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' && encoding !== '') {
    // The target may have worked for it, so it is no refusal of ours.
    throw new Error('The answer came compressed, which was not asked for.');
  }
}

function tooLarge(): SeedError {
  return new SeedError('too_large', `The answer has more than ${RESPONSE_BYTES_MAX} bytes.`, {
    hint: 'Look at what stands at that address.',
  });
}
