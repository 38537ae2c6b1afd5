/** The SDK's side of the HTTP door: streamable HTTP in every protocol revision it speaks. */
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { McpRequestContext, Server } from '@modelcontextprotocol/server';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { Admitted } from '../membrane/membrane.ts';
import * as limits from './limits.ts';
import type { BuildServer, McpSession } from './mcp.ts';

export interface HttpMcp {
  /** Serves a request whose caller the door has written into `auth.extra.admitted`. */
  readonly handle: ReturnType<typeof toNodeHandler>;
  /** Tells open streams that a resource has changed. */
  readonly notify: (uri: string) => void;
  /** Ends every stream. */
  readonly close: () => Promise<void>;
}

export function createHttpMcp(buildServer: BuildServer): HttpMcp {
  const handler = createMcpHandler((context) => serverFor(buildServer, context), {
    legacy: 'stateless',
    maxRequestBodySize: limits.HTTP_BODY_BYTES_MAX,
    onerror: () => {
      // What a client did wrong is in its answer; defects reach onDefect through the pipeline.
    },
  });
  return {
    handle: toNodeHandler(handler),
    notify: (uri) => handler.notify.resourceUpdated(uri),
    close: () => handler.close(),
  };
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
