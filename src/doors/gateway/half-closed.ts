/**
 * Clients that close their side of a connection while they wait for an answer. By a closed half nobody can tell
 * whether an answer is still wanted, and it would be paid for: they have hung up. Whoever still reads is told so.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SeedError } from '../../errors.ts';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export class HalfClosed {
  readonly #refuse: (exchange: Exchange, error: SeedError) => void;
  /** What was asked last on each connection that is listened to. */
  readonly #last = new WeakMap<Socket, Exchange>();

  /** @param refuse answers an exchange with an error, at once */
  constructor(refuse: (exchange: Exchange, error: SeedError) => void) {
    this.#refuse = refuse;
  }

  /** Listens while an exchange waits for its answer. */
  listen(exchange: Exchange): void {
    const { socket } = exchange.request;
    // Before the HTTP server hears of it, which closes the other half without a word.
    if (!this.#last.has(socket)) socket.prependListener('end', () => this.#tell(socket));
    this.#last.set(socket, exchange);
  }

  #tell(socket: Socket): void {
    const last = this.#last.get(socket);
    if (last === undefined || last.response.headersSent || last.response.destroyed) return;
    this.#refuse(
      last,
      new SeedError('invalid_input', 'The connection was closed on your side before the answer was there.', {
        hint: 'What was asked is cancelled: keep your side open until the answer has come.',
      }),
    );
  }
}
