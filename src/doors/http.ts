/**
 * The HTTP door: MCP over streamable HTTP at `/mcp`, tokens at `/oauth/token`, `/healthz`, and the gateway's
 * addresses (`gateway/`).
 *
 * Every request passes the guard, then the membrane, and is then the SDK's or, as a plain call, answered
 * at once. What a request holds open is registered under its grant before the grant is looked at, so a
 * removal in between cuts it off.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES, SeedError, toSeedError, toWire } from '../errors.ts';
import type { Admitted, Membrane } from '../membrane/membrane.ts';
import type { RefusalCounter } from '../membrane/refusals.ts';
import type { TokenAnswer } from '../membrane/token-endpoint.ts';
import { TokenRefusal } from '../membrane/token-endpoint.ts';
import type { Actor } from '../substrate/actor.ts';
import { assertBodyType, readFormBody, readJsonBody } from './body.ts';
import type { Reach } from './http-guard.ts';
import type { Gateway } from './gateway/gateway.ts';
import { isGatewayPath } from './gateway/paths.ts';
import { createGuard } from './http-guard.ts';
import type { Lazy } from './lazy.ts';
import { lazily } from './lazy.ts';
import * as limits from './limits.ts';
import { listenOnPort } from './listen.ts';
import { isListen, listenFault, narrowListen } from './listen-request.ts';
import type { McpServing } from './mcp.ts';
import type { HttpMcp } from './mcp-http.ts';
import { discoveryDocument } from './oauth-metadata.ts';
import type { Door } from './owner.ts';
import { closeServer } from './owner.ts';
import { createServer } from './node-http.ts';
import { mayRead } from './resources.ts';
import type { Hold } from './room.ts';
import { SharedRoom } from './room.ts';
import type { RpcFault } from './rpc.ts';
import { faultAnswer, faultOf, faultStatus } from './rpc.ts';

export interface HttpDoorOptions extends Reach {
  readonly membrane: Membrane;
  readonly refusals: RefusalCounter;
  /** Puts on record what somebody who was let in was refused; resolves to the error as it is told. */
  readonly leaveRefusal: (action: string, actor: Actor, error: SeedError) => Promise<SeedError>;
  /** What serves a session; loaded with the first client. */
  readonly servers: () => Promise<McpServing>;
  readonly token: (form: unknown) => Promise<TokenAnswer>;
  /** What answers to `/v1/…` and `/metrics`; loaded with the first that asks. */
  readonly gateway: () => Promise<Gateway>;
  /** Whether the owner turned OAuth discovery on. */
  readonly oauth: () => Promise<boolean>;
  /** Why the seed refuses to serve, if it does. */
  readonly unhealthy: () => string | null;
  readonly onDefect: (error: SeedError) => void;
}

export interface HttpDoor extends Door {
  /** Tells whoever listens that a resource has changed; only the streams of `holder`, if given. */
  readonly notify: (uri: string, holder?: string) => void;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Opens the door on loopback.
 *
 * @throws SeedError `daemon_failed` when the port is taken: whoever has it must not collect keys
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const mcp = lazily(async () => (await import('./mcp-http.ts')).createHttpMcp(await options.servers()));
  const door = new McpEndpoint(options, mcp);
  const guard = createGuard(options);
  const server = createServer({
    requestTimeout: limits.REQUEST_ARRIVE_MS_MAX,
    headersTimeout: 10_000,
    keepAliveTimeout: 30_000,
  });
  server.maxConnections = limits.CONNECTIONS_MAX;
  server.on('request', (request, response) => {
    answer({ request, response }, options, guard, door).catch((thrown: unknown) => {
      // The refusal itself failed, as when the store closes under it.
      options.onDefect(toSeedError(thrown));
      response.destroy();
    });
  });
  await listenOnPort(server, options.port, options.onDefect);
  return {
    notify: (uri, holder) => mcp.peek()?.notify(uri, holder),
    close: async (waitMs) => {
      const drained = closeServer(server, waitMs);
      // Streams never end by themselves; whoever held one comes back when the seed does.
      await mcp.peek()?.close();
      await drained;
    },
  };
}

async function answer(
  { request, response }: Exchange,
  options: HttpDoorOptions,
  guard: (request: IncomingMessage) => void,
  mcp: McpEndpoint,
): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  const path = request.url ?? '';
  try {
    guard(request);
    if (path === '/mcp') await mcp.serve({ request, response });
    else if (isGatewayPath(path)) await (await options.gateway()).serve({ request, response });
    else if (path === '/healthz') health(response, options);
    else if (path === '/oauth/token') await token({ request, response }, options);
    else await discovery({ request, response }, options);
  } catch (thrown) {
    const error = toSeedError(thrown);
    if (error.code === 'internal' && !isGatewayPath(path)) options.onDefect(error);
    if (error.kind === 'refused') options.refusals.count('http', error.code);
    if (isGatewayPath(path)) (await options.gateway()).refuse({ request, response }, error);
    else await refuse({ request, response }, error, options);
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function health(response: ServerResponse, { unhealthy }: HttpDoorOptions): void {
  const reason = unhealthy();
  json(response, reason === null ? 200 : 503, reason === null ? { status: 'ok' } : { status: 'refusing', reason });
}

async function discovery({ request, response }: Exchange, options: HttpDoorOptions): Promise<void> {
  const path = request.url ?? '';
  const document = (await options.oauth()) ? discoveryDocument(path, options) : null;
  if (document === null) {
    oauthError(response, 404, { error: 'not_found', error_description: 'There is nothing here. MCP is at /mcp.' });
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    oauthError(response, 405, { error: 'invalid_request', error_description: 'This is only read, by GET.' });
  } else json(response, 200, document);
}

/**
 * RFC 6749 §5.2. Whatever stands beside `/mcp` answers so: clients that look for OAuth read it, and
 * stumble over any other form.
 */
interface OauthError {
  readonly error: string;
  readonly error_description: string;
}

function oauthError(response: ServerResponse, status: number, body: OauthError): void {
  json(response, status, body);
}

const FORM_TYPE = 'application/x-www-form-urlencoded';

async function token({ request, response }: Exchange, { token: give, refusals }: HttpDoorOptions): Promise<void> {
  // RFC 6749 §5.1 asks for this one too.
  response.setHeader('pragma', 'no-cache');
  if (request.method !== 'POST') {
    response.setHeader('allow', 'POST');
    oauthError(response, 405, { error: 'invalid_request', error_description: 'Tokens are asked for by POST.' });
    return;
  }
  try {
    assertBodyType(request, FORM_TYPE);
    json(response, 200, await give(await readFormBody(request, limits.FORM_BYTES_MAX)));
  } catch (error) {
    const refusal = toTokenRefusal(error);
    refusals.count('token', refusal.oauthError);
    if (refusal.status === 429) response.setHeader('retry-after', '60');
    if (!request.complete) response.setHeader('connection', 'close');
    oauthError(response, refusal.status, { error: refusal.oauthError, error_description: refusal.message });
  }
}

/** What a client is told that asked wrongly; throws on what was no fault of its own. */
function toTokenRefusal(thrown: unknown): TokenRefusal {
  // An operation that was refused carries the refusal as its cause.
  const error = thrown instanceof SeedError && thrown.cause instanceof TokenRefusal ? thrown.cause : thrown;
  if (error instanceof TokenRefusal) return error;
  const asked = ['invalid_input', 'too_large', 'unsupported_type'];
  if (!(error instanceof SeedError) || !asked.includes(error.code)) throw error;
  return new TokenRefusal('invalid_request', error.message, { status: ERROR_CODES[error.code].status });
}

/** What the adapter takes; it fails on a method that the web's `Request` forbids, such as TRACE. */
const METHODS = new Set(['GET', 'POST', 'DELETE']);

function notAllowed(response: ServerResponse): void {
  response.setHeader('allow', 'POST');
  json(response, 405, {
    jsonrpc: '2.0',
    id: null,
    error: { code: -32_000, message: 'Messages are sent by POST.', data: { code: 'invalid_input' } },
  });
}

/** The part of the door that speaks MCP, to those whom the membrane lets in. */
class McpEndpoint {
  readonly #options: HttpDoorOptions;
  readonly #mcp: Lazy<HttpMcp>;
  readonly #streams = new Map<string, number>();
  readonly #room = new SharedRoom({
    bytesMax: limits.HTTP_BYTES_AT_ONCE_MAX,
    bytesPerKeyMax: limits.HTTP_BYTES_PER_KEY_MAX,
  });

  constructor(options: HttpDoorOptions, mcp: Lazy<HttpMcp>) {
    this.#options = options;
    this.#mcp = mcp;
  }

  /** @throws SeedError for a stranger; whoever was let in is answered, and on record, here */
  async serve(exchange: Exchange): Promise<void> {
    const { leaveRefusal, onDefect } = this.#options;
    const admitted = await this.#admit(exchange);
    if (admitted === null) return;
    const { actor } = admitted;
    try {
      await this.#serveAdmitted(exchange, admitted);
    } catch (thrown) {
      // Cut off, or hung up, while it was still arriving: nothing was asked.
      if (exchange.response.destroyed) return;
      const error = toSeedError(thrown);
      if (error.code === 'internal') onDefect(error);
      await refuse(exchange, await leaveRefusal('membrane.call', actor, error), this.#options);
    }
  }

  /**
   * Registers the request under the grant that its key names, then looks at the grant: a removal in
   * between is seen by one of the two. Null where the client has gone.
   */
  async #admit({ request, response }: Exchange): Promise<Admitted | null> {
    const { membrane } = this.#options;
    const shown = membrane.openKey(bearer(request));
    const own = (): void => {
      response.destroy();
    };
    const release = membrane.work.register(shown.grant, own);
    response.once('close', release);
    try {
      if (!response.destroyed) return { ...(await membrane.admit(shown)), own };
    } catch (error) {
      // A stranger is told so, and holds nothing open.
      release();
      throw error;
    }
    release();
    return null;
  }

  async #serveAdmitted({ request, response }: Exchange, admitted: Admitted): Promise<void> {
    const { grant } = admitted;
    // This one is among them.
    if (this.#options.membrane.work.count(grant.id) > limits.REQUESTS_PER_KEY_MAX) throw tooMany('requests are open');
    if (!METHODS.has(request.method ?? '')) {
      notAllowed(response);
      return;
    }
    const hold = this.#room.hold(grant.id);
    response.once('close', hold.release);
    const body = request.method === 'POST' ? await readMessages(request, hold) : undefined;
    const fault = faultIn(body);
    if (fault !== null) {
      json(response, faultStatus(fault), faultAnswer(fault));
      return;
    }
    const stream = isListen(body);
    if (stream) {
      narrowListen(body, (uri) => mayRead(uri, admitted.actor));
      this.#countStream(grant.id, response);
      hold.release();
    }
    limitTime(response, stream);
    const { serve } = await this.#mcp.get();
    await serve({ request, response, admitted, body });
  }

  #countStream(grant: string, response: ServerResponse): void {
    const open = this.#streams.get(grant) ?? 0;
    if (open >= limits.STREAMS_PER_KEY_MAX) throw tooMany('streams are open');
    this.#streams.set(grant, open + 1);
    response.once('close', () => {
      const left = (this.#streams.get(grant) ?? 1) - 1;
      if (left === 0) this.#streams.delete(grant);
      else this.#streams.set(grant, left);
    });
  }
}

/** @throws SeedError `unsupported_type`, `invalid_input`, `too_large`, `too_many`, `busy` */
async function readMessages(request: IncomingMessage, { take }: Hold): Promise<unknown> {
  assertBodyType(request, 'application/json');
  let bytes = 0;
  const onBytes = (more: number): void => {
    take(more);
    bytes += more;
  };
  const bounds = { valuesMax: limits.JSON_VALUES_MAX, onBytes };
  const body = await readJsonBody(request, limits.HTTP_BODY_BYTES_MAX, bounds);
  if (Array.isArray(body) && body.length > limits.BATCH_MAX) {
    throw new SeedError('too_large', `The batch has more than ${limits.BATCH_MAX} messages.`, {
      hint: 'Send fewer at once.',
    });
  }
  if (bytes > limits.LISTEN_BYTES_MAX && isListen(body)) {
    throw new SeedError('too_large', `What opens a stream may have ${limits.LISTEN_BYTES_MAX} bytes.`, {
      hint: 'Listen to fewer addresses at once.',
    });
  }
  return body;
}

/** The first thing that is wrong with what came, a message or a batch of the older era's; null for nothing. */
function faultIn(body: unknown): RpcFault | null {
  if (body === undefined) return null;
  for (const message of Array.isArray(body) ? (body as unknown[]) : [body]) {
    const fault = faultOf(message) ?? (isListen(message) ? listenFault(message) : null);
    if (fault !== null) return fault;
  }
  return null;
}

/** RFC 6750 §2.1. @throws SeedError `unauthenticated` */
function bearer({ headers }: IncomingMessage): string {
  const match = /^Bearer ([\w.~+/-]+=*)$/i.exec(headers.authorization ?? '');
  if (match?.[1] !== undefined) return match[1];
  throw new SeedError('unauthenticated', 'An access key is needed.', {
    hint: 'Send the key that the owner gave you as "Authorization: Bearer …".',
  });
}

function limitTime(response: ServerResponse, stream: boolean): void {
  const timer = setTimeout(() => response.destroy(), stream ? limits.STREAM_MS_MAX : limits.REQUEST_ANSWER_MS_MAX);
  response.once('close', () => clearTimeout(timer));
}

function tooMany(what: string): SeedError {
  return new SeedError('too_many', `Too many ${what} under this key.`, {
    hint: 'Wait for some to end, or close them.',
  });
}

/** An error as this door answers it; `/mcp` in the form of JSON-RPC. */
async function refuse({ request, response }: Exchange, error: SeedError, options: HttpDoorOptions): Promise<void> {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status } = ERROR_CODES[error.code];
  if (status === 401) response.setHeader('www-authenticate', await challenge(request, error, options));
  if (status === 429 || status === 503) response.setHeader('retry-after', '5');
  // What is still arriving is not worth waiting for.
  if (!request.complete) response.setHeader('connection', 'close');
  const { code, message, hint } = toWire(error, { outside: true });
  if (request.url === '/mcp')
    json(response, status, {
      jsonrpc: '2.0',
      id: null,
      error: { code: rpcCode(error), message: `${message} ${hint}`, data: { code, hint } },
    });
  else json(response, status, { error: { code, message, hint } });
}

/** JSON-RPC 2.0 §5.1; -32001 and below are ours to define. */
function rpcCode({ code, kind }: SeedError): number {
  if (code === 'invalid_input') return -32_600;
  return kind === 'refused' ? -32_001 : -32_603;
}

/** RFC 6750 §3, with RFC 9728 §5.1 where OAuth is on. */
async function challenge(
  { headers }: IncomingMessage,
  { message }: SeedError,
  options: HttpDoorOptions,
): Promise<string> {
  const parts =
    headers.authorization === undefined
      ? []
      : ['error="invalid_token"', `error_description="${message.replace(/[^ !#-[\]-~]/g, '')}"`];
  if (await options.oauth()) parts.push(`resource_metadata="${metadataUrl(options)}"`);
  return parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`;
}

function metadataUrl({ port, publicUrl }: Reach): string {
  return `${publicUrl?.origin ?? `http://127.0.0.1:${port}`}/.well-known/oauth-protected-resource/mcp`;
}
