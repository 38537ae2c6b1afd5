/** JSON-RPC messages as lines on one socket, as the SDK's own transport for stdio has them. */
import type { Socket } from 'node:net';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';

const NEWLINE = 0x0a;

export interface LineOptions {
  /** The longest message, in bytes. */
  readonly bytesMax: number;
  /** Shown each message first, parsed and not looked at; true where it is dealt with. */
  readonly take: (message: unknown) => boolean;
}

/**
 * A socket's lines. It differs from the SDK's transport in that somebody may take a message before the
 * SDK has looked at it, and that no answer waits for the one before it to be read: what a client leaves
 * unread is bounded by whoever owns the socket.
 */
export class LineTransport implements Transport {
  onmessage?: NonNullable<Transport['onmessage']>;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  readonly #socket: Socket;
  readonly #options: LineOptions;
  /** The beginning of a line. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #closed = false;

  constructor(socket: Socket, options: LineOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  start(): Promise<void> {
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('close', this.#onEnd);
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('The connection is closed.'));
    this.write(JSON.stringify(message));
    return Promise.resolve();
  }

  /** Writes a message that is text already. */
  write(text: string): void {
    if (this.#socket.writable) this.#socket.write(`${text}\n`);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onEnd);
    this.#begun = [];
    this.onclose?.();
    return Promise.resolve();
  }

  readonly #onEnd = (): void => {
    void this.close();
  };

  readonly #onData = (chunk: Buffer): void => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0 && !this.#closed; end = chunk.indexOf(NEWLINE, start)) {
      this.#receive(this.#lineOf(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (this.#closed || start === chunk.length) return;
    this.#begun.push(start === 0 ? chunk : chunk.subarray(start));
    this.#begunBytes += chunk.length - start;
    if (this.#begunBytes <= this.#options.bytesMax) return;
    this.onerror?.(new Error(`A message is longer than ${this.#options.bytesMax} bytes.`));
    void this.close();
    this.#socket.destroy();
  };

  #lineOf(rest: Buffer): string {
    if (this.#begun.length === 0) return rest.toString('utf8');
    const line = Buffer.concat([...this.#begun, rest]).toString('utf8');
    this.#begun = [];
    this.#begunBytes = 0;
    return line;
  }

  #receive(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      // What is not JSON is no message (such as what a shell prints at its start); the SDK skips it, too.
      return;
    }
    try {
      if (!this.#options.take(message)) this.onmessage?.(parseJSONRPCMessage(message));
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
