/** A client's transport straight to the agents' socket: the line that names the agent, then MCP. */
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import { ReadBuffer, serializeMessage } from '@modelcontextprotocol/client';

export class AgentSocketTransport implements Transport {
  onmessage?: NonNullable<Transport['onmessage']>;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  readonly #path: string;
  readonly #name: string;
  readonly #incoming = new ReadBuffer();
  #socket: Socket | null = null;

  constructor(path: string, name: string) {
    this.#path = path;
    this.#name = name;
  }

  async start(): Promise<void> {
    const socket = connect(this.#path);
    this.#socket = socket;
    const welcomed = Promise.withResolvers<void>();
    let greeted = false;
    socket.on('error', (error) => {
      welcomed.reject(error);
      this.onerror?.(error);
    });
    socket.once('close', () => {
      welcomed.reject(new Error('The seed hung up before it said hello.'));
      this.onclose?.();
    });
    socket.on('data', (chunk) => {
      this.#incoming.append(chunk);
      if (!greeted) {
        // The welcome is no JSON-RPC; the rest of the buffer is.
        greeted = true;
        this.#incoming.clear();
        const end = chunk.indexOf('\n') + 1;
        this.#incoming.append(chunk.subarray(end));
        welcomed.resolve();
      }
      for (let message = this.#incoming.readMessage(); message !== null; message = this.#incoming.readMessage()) {
        this.onmessage?.(message);
      }
    });
    const hello = { seed_hello: 1, as: this.#name, client: null, version: '0.0.0', tools: 'all' };
    socket.write(`${JSON.stringify(hello)}\n`);
    await welcomed.promise;
  }

  async send(message: JSONRPCMessage): Promise<void> {
    this.#socket?.write(serializeMessage(message));
  }

  async close(): Promise<void> {
    this.#socket?.end();
  }
}
