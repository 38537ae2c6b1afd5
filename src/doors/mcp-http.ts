/** The SDK's side of the HTTP door: streamable HTTP in every protocol revision it speaks. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { McpRequestContext, Server, ServerEvent, ServerEventBus } from '@modelcontextprotocol/server';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { Admitted } from '../membrane/membrane.ts';
import * as limits from './limits.ts';
import type { BuildServer, McpSession } from './mcp.ts';

export interface HttpMcp {
  /** Serves a request whose caller the door has written into `auth.extra.admitted`. */
  readonly handle: ReturnType<typeof toNodeHandler>;
  /** Tells open streams that a resource has changed; only those of the grant `holder`, if given. */
  readonly notify: (uri: string, holder?: string) => void;
  /** Ends every stream. */
  readonly close: () => Promise<void>;
}

export function createHttpMcp(buildServer: BuildServer): HttpMcp {
  const listeners = new GrantListeners();
  const handler = createMcpHandler((context) => serverFor(buildServer, context), {
    legacy: 'stateless',
    bus: listeners,
    maxRequestBodySize: limits.HTTP_BODY_BYTES_MAX,
    onerror: () => {
      // What a client did wrong is in its answer; defects reach onDefect through the pipeline.
    },
  });
  const handle = toNodeHandler(handler);
  return {
    handle: (request, response, body) => {
      const { auth } = request as { auth?: { clientId?: string } };
      return listeners.within(auth?.clientId ?? '', () => handle(request, response, body));
    },
    notify: (uri, holder) => listeners.tell({ kind: 'resource_updated', uri }, holder),
    close: () => handler.close(),
  };
}

type Listener = (event: ServerEvent) => void;

/**
 * Open streams, each with the grant that it was opened under: the SDK tells every stream that listens
 * to an address, and what stands behind one may be different for each grant. A stream listens from
 * within the request that opened it, which is how its grant is known here.
 */
class GrantListeners implements ServerEventBus {
  readonly #listeners = new Map<Listener, string>();
  readonly #grant = new AsyncLocalStorage<string>();

  within<T>(grant: string, work: () => T): T {
    return this.#grant.run(grant, work);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.set(listener, this.#grant.getStore() ?? '');
    return () => this.#listeners.delete(listener);
  }

  publish(event: ServerEvent): void {
    this.tell(event);
  }

  tell(event: ServerEvent, holder?: string): void {
    for (const [listener, grant] of this.#listeners) if (holder === undefined || grant === holder) listener(event);
  }
}

function serverFor(buildServer: BuildServer, { era, authInfo }: McpRequestContext): Server {
  const admitted = authInfo?.extra?.['admitted'] as Admitted | undefined;
  if (admitted === undefined) throw new Error('A request reached the server without passing the membrane.');
  const session: McpSession = {
    surface: admitted.grant.surface,
    canNotify: era === 'modern',
    greeting: '',
    // The membrane looked at the grant for this very request; an operation looks again.
    admit: () => Promise.resolve(admitted),
    subscriptions: new Set(),
  };
  return buildServer(session);
}
