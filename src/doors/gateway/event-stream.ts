/** An answer on its way to a client as server-sent events: begun late, kept alive, and cut where nobody reads. */
import type { ServerResponse } from 'node:http';
import type { SeedError } from '../../errors.ts';
import type { CallEnd } from '../../mind/router/call.ts';
import type { CallEvent } from '../../mind/router/continuation.ts';
import * as limits from '../limits.ts';
import type { StreamEncoder } from './wire.ts';

/** The type of a body of server-sent events. */
export const EVENTS = 'text/event-stream; charset=utf-8';

export interface EventStreamOptions {
  readonly response: ServerResponse;
  readonly encoder: StreamEncoder;
  readonly headers: Readonly<Record<string, string>>;
  /** The first words are on their way. */
  readonly onBegun: () => void;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #pings: NodeJS.Timeout;
  #waiting = '';
  #flushing: NodeJS.Immediate | null = null;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#pings = setInterval(() => this.#send(options.encoder.ping()), limits.PING_MS).unref();
    options.response.once('close', () => this.#stop());
  }

  /** Whether anything has been said; until then an error can still be one of HTTP. */
  get begun(): boolean {
    return this.#options.encoder.begun;
  }

  on(event: CallEvent): void {
    this.#send(this.#options.encoder.on(event));
  }

  end(end: CallEnd): void {
    this.#finish(this.#options.encoder.end(end));
  }

  fail(error: SeedError): void {
    this.#finish(this.#options.encoder.fail(error));
  }

  /** Lets go of the response, for somebody else to answer. */
  release(): void {
    this.#stop();
  }

  /** What comes in one turn of the event loop goes out in one piece, but for the very first words. */
  #send(text: string): void {
    const { response, headers, onBegun } = this.#options;
    if (text === '' || response.destroyed || response.writableEnded) return;
    this.#waiting += text;
    if (response.headersSent) {
      this.#flushing ??= setImmediate(() => this.#flush());
      return;
    }
    response.writeHead(200, { ...headers, 'content-type': EVENTS });
    onBegun();
    this.#flush();
  }

  #flush(): void {
    const { response } = this.#options;
    this.#flushing = null;
    const text = this.#waiting;
    this.#waiting = '';
    if (text === '' || response.destroyed || response.writableEnded) return;
    response.write(text);
    // The client does not read what it is sent.
    if (response.writableLength > limits.STREAM_UNREAD_BYTES_MAX) response.destroy();
  }

  #finish(text: string): void {
    this.#send(text);
    this.#flush();
    this.#stop();
    if (!this.#options.response.destroyed) this.#options.response.end();
  }

  #stop(): void {
    clearInterval(this.#pings);
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    this.#flushing = null;
  }
}
