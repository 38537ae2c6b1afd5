/** JSON-RPC messages as lines on one socket, as the SDK's own transport for stdio has them. */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';
import type { JsonLimits } from './json-text.ts';
import { idIn, limitExceeded } from './json-text.ts';
import { paramsFault } from './mcp-form.ts';
import type { RpcFault } from './rpc.ts';
import { faultAnswer, faultsOfLine, INVALID_REQUEST, PARSE_ERROR, readableId } from './rpc.ts';

const NEWLINE = 0x0a;
/** From here on there is nothing to gain by waiting for more to write. */
const WRITE_CHARS_MAX: number = 64 * 1024;

export interface LineOptions {
  /** The longest message, in bytes. */
  readonly bytesMax: number;
  /** What may wait in memory for a client that does not read it, in bytes; one that leaves more is cut off. */
  readonly unreadBytesMax: number;
  /** What the JSON of a message may have. */
  readonly json: JsonLimits;
  /**
   * Shown each message first, parsed and not looked at by the SDK; true where it is dealt with. While
   * it makes up its mind, what came after waits.
   */
  readonly take: (message: unknown) => boolean | Promise<boolean>;
}

/**
 * A socket's lines. It differs from the SDK's transport in that somebody may take a message before the
 * SDK has looked at it, that a request which cannot be served is answered and not left out, and that no
 * answer waits for the one before it to be read: what a client leaves unread is bounded here.
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
  /** Lines that wait for the one before them to be taken; null where none is looked at. */
  #held: Buffer[] | null = null;
  #closed = false;
  /** Lines that go out when all that goes on at this moment has gone on. */
  #toWrite = '';

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

  /** Writes a message that is text already. What is answered at once, as a group's callers are, goes out at once. */
  write(text: string): void {
    if (this.#toWrite === '') process.nextTick(this.#flush);
    this.#toWrite += `${text}\n`;
    if (this.#toWrite.length >= WRITE_CHARS_MAX) this.#flush();
  }

  readonly #flush = (): void => {
    const socket = this.#socket;
    const text = this.#toWrite;
    this.#toWrite = '';
    if (text === '' || !socket.writable) return;
    socket.write(text);
    if (socket.writableLength > this.#options.unreadBytesMax) socket.destroy();
  };

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

  #lineOf(rest: Buffer): Buffer {
    if (this.#begun.length === 0) return rest;
    const line = Buffer.concat([...this.#begun, rest]);
    this.#begun = [];
    this.#begunBytes = 0;
    return line;
  }

  #receive(line: Buffer): void {
    if (this.#held !== null) {
      // A copy: what it was cut out of is the socket's.
      this.#held.push(Buffer.from(line));
      return;
    }
    const message = this.#read(line);
    if (message === undefined) return;
    const taken = this.#options.take(message);
    if (typeof taken === 'boolean') {
      if (!taken) this.#handOn(message);
      return;
    }
    this.#held = [];
    void this.#settle(message, taken);
  }

  async #settle(message: unknown, taken: Promise<boolean>): Promise<void> {
    const isDone = await taken;
    if (!isDone && !this.#closed) this.#handOn(message);
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) if (!this.#closed) this.#receive(line);
  }

  /** The message that a line is; undefined where it is none, which was answered if anybody may wait for it. */
  #read(line: Buffer): unknown {
    // Decoded all the same, each bad byte would become a character that nobody sent.
    if (!isUtf8(line)) return this.#refuse({ id: null, code: PARSE_ERROR, message: 'A line is not UTF-8.' });
    const text = line.toString('utf8');
    const exceeded = limitExceeded(text, this.#options.json);
    if (exceeded !== null) {
      const { depthMax, valuesMax } = this.#options.json;
      const what = exceeded === 'depthMax' ? `${depthMax} levels of nesting` : `${valuesMax} values`;
      return this.#refuse({ id: idIn(text), code: INVALID_REQUEST, message: `A message may have ${what} at most.` });
    }
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      // What is not JSON is no message (such as what a shell prints at its start); the SDK skips it, too.
      return undefined;
    }
    const faults = faultsOfLine(message);
    for (const fault of faults) this.#refuse(fault);
    return faults.length === 0 ? message : undefined;
  }

  #refuse(fault: RpcFault): undefined {
    this.write(JSON.stringify(faultAnswer(fault)));
  }

  #handOn(message: unknown): void {
    const fault = paramsFault(message);
    if (fault !== null) {
      this.#refuse(fault);
      return;
    }
    try {
      this.onmessage?.(parseJSONRPCMessage(message));
    } catch (error) {
      const { id, method } = message as { id?: unknown; method?: unknown };
      if (id !== undefined && method !== undefined) {
        this.#refuse({ id: readableId(id), code: INVALID_REQUEST, message: 'This is no request of JSON-RPC 2.0.' });
      }
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
