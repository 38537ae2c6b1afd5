/** MCP lines over one socket of the local agents' door: plain calls answered at once, all else by the SDK. */
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import type { Membrane } from '../membrane/membrane.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import * as limits from './limits.ts';
import type { ListenRequest } from './listen-request.ts';
import { isListen, listenFault, narrowListen } from './listen-request.ts';
import { JSON_DEPTH_MAX } from './json-text.ts';
import type { AdmitWhen, McpServing, McpSession } from './mcp.ts';
import { LineTransport } from './mcp-lines.ts';
import type { Era } from './plain-call.ts';
import { mayRead } from './resources.ts';

export interface SocketMcpOptions {
  readonly membrane: Membrane;
  readonly serving: McpServing;
  readonly onDefect: (error: SeedError) => void;
}

/** One connection that was let in. */
export interface Connection {
  readonly grant: Grant;
  readonly socket: Socket;
  /** Calls that are not answered yet. */
  readonly calls: Set<Promise<unknown>>;
  /** Told when a resource changes; knows what its client listens to. */
  notify: (uri: string) => void;
}

/** Serves a connection that was let in, until it closes. */
export function serveConnection(
  { membrane, serving, onDefect }: SocketMcpOptions,
  connection: Connection,
  { surface, greeting }: { surface: 'daily' | 'full'; greeting: string },
): void {
  const { grant, socket, calls } = connection;
  const subscriptions = new Set<string>();
  const look = () => membrane.readmit(grant);
  const admit = async (when: AdmitWhen) => {
    const admitted = await (when === 'now' ? look() : membrane.readmitAfterTurn(grant));
    membrane.noteUse(grant);
    return admitted;
  };
  const onCall = (call: Promise<unknown>): void => {
    calls.add(call);
    void call.finally(() => calls.delete(call));
  };
  const session: McpSession = { surface, canNotify: true, greeting, admit, subscriptions, onCall };
  const plain = new PlainLine(serving, session);
  const transport = new LineTransport(socket, {
    bytesMax: limits.SOCKET_MESSAGE_BYTES_MAX,
    unreadBytesMax: limits.SOCKET_UNREAD_BYTES_MAX,
    json: { depthMax: JSON_DEPTH_MAX, valuesMax: limits.JSON_VALUES_MAX },
    take: (message) => (isListen(message) ? narrow(message, look) : plain.take(message, transport)),
  });
  const handle = serveStdio(
    ({ era }) => {
      // A call that reaches a server of the SDK's was the first: with it the era of a connection is settled.
      const server = serving.build({
        ...session,
        onCall: (call) => {
          plain.open(era);
          onCall(call);
        },
      });
      connection.notify = tellWhenRead(socket, (uri) => {
        if (era === 'modern' || subscriptions.has(uri)) void tell(server, uri, look);
      });
      return server;
    },
    { transport, legacy: 'serve', maxSubscriptions: limits.STREAMS_PER_CONNECTION_MAX, onerror: () => {} },
  );
  // Held since the first line, so that nothing came before there was somebody to take it.
  socket.resume();
  socket.once('close', () => {
    plain.close();
    handle.close().catch((error: unknown) => onDefect(toSeedError(error)));
  });
}

/**
 * The plain calls of one connection. It takes none before the SDK has served a call, since until then
 * a client may still change its mind about the era it speaks.
 */
class PlainLine {
  readonly #serving: McpServing;
  readonly #session: McpSession;
  #era: Era | null = null;
  readonly #underWay = new Map<unknown, AbortController>();

  constructor(serving: McpServing, session: McpSession) {
    this.#serving = serving;
    this.#session = session;
  }

  open(era: Era): void {
    this.#era = era;
  }

  /** Whether a message is a plain call, which will be answered, or takes one back. */
  take(message: unknown, to: LineTransport): boolean {
    if (this.#era === null) return false;
    const call = this.#serving.plain(message);
    if (call === null) return this.#cancel(message);
    if (call.era !== this.#era || this.#underWay.has(call.id)) return false;
    const controller = new AbortController();
    this.#underWay.set(call.id, controller);
    void this.#serving.answer(this.#session, call, controller.signal).then((text) => {
      this.#underWay.delete(call.id);
      // Nobody waits for the answer to what was taken back (MCP, "Cancellation").
      if (!controller.signal.aborted) to.write(text);
    });
    return true;
  }

  #cancel(message: unknown): boolean {
    const { method, params } = (message ?? {}) as { method?: unknown; params?: { requestId?: unknown } | null };
    if (method !== 'notifications/cancelled') return false;
    const controller = this.#underWay.get(params?.requestId);
    controller?.abort();
    return controller !== undefined;
  }

  close(): void {
    for (const controller of this.#underWay.values()) controller.abort();
  }
}

/** A client that does not read is told of each change once, when it reads again: a change says no more twice. */
export function tellWhenRead(socket: Writable, tellNow: (uri: string) => void): (uri: string) => void {
  const late = new Set<string>();
  socket.on('drain', () => {
    const uris = [...late];
    late.clear();
    for (const uri of uris) tellNow(uri);
  });
  return (uri) => {
    if (!socket.writableNeedDrain) tellNow(uri);
    else if (late.size < limits.ADDRESSES_LATE_MAX || late.has(uri)) late.add(uri);
    else socket.destroy();
  };
}

type Look = () => Promise<{ actor: Parameters<typeof mayRead>[1] }>;

/** Leaves of what a client wants to listen to what it may read: that is what it is told that it gets. */
async function narrow(message: ListenRequest, look: Look): Promise<false> {
  if (listenFault(message) !== null) return false;
  try {
    const { actor } = await look();
    narrowListen(message, (uri) => mayRead(uri, actor));
  } catch {
    // Its grant is gone, and the connection is cut: nothing is told to it any more.
    narrowListen(message, () => false);
  }
  return false;
}

/** In the modern era the SDK knows who listens to what; what may be read is looked up anew. */
async function tell(server: Server, uri: string, admit: Look): Promise<void> {
  try {
    const { actor } = await admit();
    if (mayRead(uri, actor)) await server.sendResourceUpdated({ uri });
  } catch {
    // The connection is going, or its grant is gone: then it is cut anyway.
  }
}
