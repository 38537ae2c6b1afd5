/** The SDK's side of the local agents' door: MCP lines over one socket. */
import type { Socket } from 'node:net';
import type { Server } from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import type { Membrane } from '../membrane/membrane.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import * as limits from './limits.ts';
import type { BuildServer } from './mcp.ts';
import { mayRead } from './resources.ts';

export interface SocketMcpOptions {
  readonly membrane: Membrane;
  readonly buildServer: BuildServer;
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
  { membrane, buildServer, onDefect }: SocketMcpOptions,
  connection: Connection,
  { surface, greeting }: { surface: 'daily' | 'full'; greeting: string },
): void {
  const { grant, socket, calls } = connection;
  const subscriptions = new Set<string>();
  const look = () => membrane.readmit(grant);
  const admit = async () => {
    const admitted = await look();
    membrane.noteUse(grant);
    return admitted;
  };
  const onCall = (call: Promise<unknown>): void => {
    calls.add(call);
    void call.finally(() => calls.delete(call));
  };
  // Each answer that waits for the socket listens to it.
  socket.setMaxListeners(0);
  socket.on('data', () => cutUnread(socket));
  const transport = new StdioServerTransport(socket, socket, { maxBufferSize: limits.SOCKET_MESSAGE_BYTES_MAX });
  const handle = serveStdio(
    ({ era }) => {
      const server = buildServer({ surface, canNotify: true, greeting, admit, subscriptions, onCall });
      connection.notify = (uri) => {
        if (era === 'legacy' && !subscriptions.has(uri)) return;
        cutUnread(socket);
        void tell(server, uri, look);
      };
      return server;
    },
    { transport, legacy: 'serve', onerror: () => {} },
  );
  // Held since the first line, so that nothing came before there was somebody to take it.
  socket.resume();
  socket.once('close', () => {
    handle.close().catch((error: unknown) => onDefect(toSeedError(error)));
  });
}

/** A client that does not read what it asked for must not fill the memory. */
function cutUnread(socket: Socket): void {
  if (socket.writableLength > limits.SOCKET_UNREAD_BYTES_MAX) socket.destroy();
}

/** In the modern era the SDK knows who listens to what; what may be read is looked up anew. */
async function tell(
  server: Server,
  uri: string,
  admit: () => Promise<{ actor: Parameters<typeof mayRead>[1] }>,
): Promise<void> {
  try {
    const { actor } = await admit();
    if (mayRead(uri, actor)) await server.sendResourceUpdated({ uri });
  } catch {
    // The connection is going, or its grant is gone: then it is cut anyway.
  }
}
