/** MCP over streamable HTTP: plain calls answered at once, all else by the SDK in every revision it speaks. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import type { AuthInfo, ServerEvent, ServerEventBus } from '@modelcontextprotocol/server';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { Admitted } from '../membrane/membrane.ts';
import * as limits from './limits.ts';
import type { McpServing, McpSession } from './mcp.ts';
import { paramsFault } from './mcp-form.ts';
import type { Era } from './plain-call.ts';
import { headersAgree } from './plain-call.ts';
import type { RpcFault } from './rpc.ts';
import { faultAnswer, faultStatus, ID_CHARS_MAX } from './rpc.ts';

/** A request that the door has let in, with its body. */
export interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly admitted: Admitted;
  /** The parsed body of a POST. */
  readonly body: unknown;
  /** To be told of each piece of the answer that was written. */
  readonly wrote: () => void;
}

export interface HttpMcp {
  /** Serves a request; resolves when it is answered. */
  readonly serve: (incoming: Incoming) => Promise<void>;
  /** Tells open streams that a resource has changed; only those of the grant `holder`, if given. */
  readonly notify: (uri: string, holder?: string) => void;
  /** Ends every stream, and tells calls under way that they should end. */
  readonly close: () => Promise<void>;
}

export function createHttpMcp(serving: McpServing): HttpMcp {
  const listeners = new GrantListeners();
  const plain = new PlainCalls(serving);
  const handler = createMcpHandler(({ era, authInfo }) => serving.build(sessionOf(admittedOf(authInfo), era)), {
    legacy: 'stateless',
    bus: listeners,
    // Each key has its own limit, at the door.
    maxSubscriptions: limits.CONNECTIONS_MAX,
    maxRequestBodySize: limits.HTTP_BODY_BYTES_MAX,
    onerror: () => {
      // What a client did wrong is in its answer; defects reach onDefect through the pipeline.
    },
  });
  const handle = toNodeHandler(handler);
  return {
    serve: (incoming) => {
      const answered = plain.serve(incoming);
      if (answered !== null) return answered;
      const { request, response, admitted, body, wrote } = incoming;
      const fault = faultIn(body);
      if (fault !== null) {
        response
          .writeHead(faultStatus(fault), { 'content-type': 'application/json' })
          .end(JSON.stringify(faultAnswer(fault)));
        return Promise.resolve();
      }
      // The adapter reads the caller off the request; their optional fields differ in type alone.
      watchWrites(response, wrote);
      const caller = Object.assign(request, { auth: describeCaller(admitted) }) as Parameters<typeof handle>[0];
      return listeners.within({ grant: admitted.grant.id, response }, () => handle(caller, response, body));
    },
    notify: (uri, holder) => listeners.tell({ kind: 'resource_updated', uri }, holder),
    close: () => {
      plain.close();
      return handler.close();
    },
  };
}

/** The SDK writes by itself, and Node tells nobody that it did. */
function watchWrites(response: ServerResponse, wrote: () => void): void {
  const write = response.write.bind(response) as (...args: readonly unknown[]) => boolean;
  response.write = (...args: readonly unknown[]) => {
    const isTaken = write(...args);
    wrote();
    return isTaken;
  };
}

/** What is wrong with the params of what came, a message or a batch; null for nothing, or no body. */
function faultIn(body: unknown): RpcFault | null {
  if (body === undefined) return null;
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body];
  return messages.map(paramsFault).find((fault) => fault !== null) ?? null;
}

/** Plain calls, each answered straight into its response. */
class PlainCalls {
  readonly #serving: McpServing;
  readonly #underWay = new Set<AbortController>();

  constructor(serving: McpServing) {
    this.#serving = serving;
  }

  /** Null where a request is none. */
  serve({ request, response, admitted, body, wrote }: Incoming): Promise<void> | null {
    const call = this.#serving.plain(body);
    if (call === null || !headersAgree(request.headers, call)) return null;
    const controller = new AbortController();
    this.#underWay.add(controller);
    const hungUp = (): void => controller.abort();
    response.once('close', hungUp);
    return this.#serving.answer(sessionOf(admitted, call.era), call, controller.signal).then((text) => {
      this.#underWay.delete(controller);
      response.off('close', hungUp);
      // Gone, or told already that its key has expired.
      if (response.destroyed || response.headersSent) return;
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      response.writeHead(200, headers).end(text);
      wrote();
    });
  }

  close(): void {
    for (const controller of this.#underWay) controller.abort();
  }
}

type Listener = (event: ServerEvent) => void;

/** Under which grant a stream was opened, and where it is written. */
interface Opening {
  readonly grant: string;
  readonly response: ServerResponse;
}

/** What each notification has about it beside its address: the id of its request, and its frame. */
const NOTICE_FRAME_BYTES = ID_CHARS_MAX + 300;

/** A stream, and what its client has left unread so far. */
class OpenStream {
  readonly #listener: Listener;
  readonly #opening: Opening | undefined;
  #unreadBytes = 0;

  constructor(listener: Listener, opening: Opening | undefined) {
    this.#listener = listener;
    this.#opening = opening;
  }

  get grant(): string {
    return this.#opening?.grant ?? '';
  }

  /**
   * The SDK queues what a full socket does not take, without end. So it is counted here, from the first
   * notification that finds the socket full until one finds it empty, and a stream that nobody reads is cut.
   */
  tell(event: ServerEvent): void {
    const response = this.#opening?.response;
    const isFull = response?.writableNeedDrain === true;
    this.#unreadBytes = isFull ? this.#unreadBytes + NOTICE_FRAME_BYTES : 0;
    if (this.#unreadBytes > limits.NOTICES_UNREAD_BYTES_MAX) response?.destroy();
    else this.#listener(event);
  }
}

/**
 * Open streams, each with the grant that it was opened under: the SDK tells every stream that listens
 * to an address, and what stands behind one may be different for each grant. A stream listens from
 * within the request that opened it, which is how its grant is known here.
 */
class GrantListeners implements ServerEventBus {
  readonly #streams = new Set<OpenStream>();
  readonly #opening = new AsyncLocalStorage<Opening>();

  within<T>(opening: Opening, work: () => T): T {
    return this.#opening.run(opening, work);
  }

  subscribe(listener: Listener): () => void {
    const stream = new OpenStream(listener, this.#opening.getStore());
    this.#streams.add(stream);
    return () => this.#streams.delete(stream);
  }

  publish(event: ServerEvent): void {
    this.tell(event);
  }

  tell(event: ServerEvent, holder?: string): void {
    for (const stream of this.#streams) if (holder === undefined || stream.grant === holder) stream.tell(event);
  }
}

/** What the SDK is told of a caller; the key itself stays with the door. */
function describeCaller(admitted: Admitted): AuthInfo {
  const { grant } = admitted;
  const expiresAt = grant.expiresAt === null ? {} : { expiresAt: Math.floor(grant.expiresAt / 1_000) };
  return { token: '', clientId: grant.id, scopes: [...grant.scopes], ...expiresAt, extra: { admitted } };
}

function admittedOf(caller: AuthInfo | undefined): Admitted {
  const admitted = caller?.extra?.['admitted'] as Admitted | undefined;
  if (admitted === undefined) throw new Error('A request reached the server without passing the membrane.');
  return admitted;
}

function sessionOf(admitted: Admitted, era: Era): McpSession {
  return {
    surface: admitted.grant.surface,
    canNotify: era === 'modern',
    greeting: '',
    // The membrane looked at the grant for this very request; an operation looks again.
    admit: () => Promise.resolve(admitted),
    subscriptions: new Set(),
  };
}
