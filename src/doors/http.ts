/**
 * The HTTP door: MCP over streamable HTTP at `/mcp`, tokens at `/oauth/token`, `/healthz`, and the gateway's
 * addresses (`gateway/`).
 *
 * Every request passes the guard, then the membrane, and is then the SDK's or, as a plain call, answered
 * at once. What a request holds open is registered under its grant before the grant is looked at, so a
 * removal in between cuts it off.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES, SeedError, toSeedError } from '../errors.ts';
import type { Admitted, Membrane } from '../membrane/membrane.ts';
import type { RefusalCounter } from '../membrane/refusals.ts';
import type { TokenAnswer } from '../membrane/token-endpoint.ts';
import { TokenRefusal } from '../membrane/token-endpoint.ts';
import type { Actor } from '../substrate/actor.ts';
import { keyExpired } from '../substrate/identity/grants.ts';
import { admitExchange } from './admit.ts';
import { assertBodyType, readFormBody, readJsonBody } from './body.ts';
import { answerClientErrors } from './client-error.ts';
import type { Reach } from './http-guard.ts';
import type { Gateway } from './gateway/gateway.ts';
import { isGatewayPath } from './gateway/paths.ts';
import { createGuard } from './http-guard.ts';
import type { Exchange } from './http-refusal.ts';
import { json, refuse, refuseWaiting } from './http-refusal.ts';
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
import { UnreadAnswers } from './unread.ts';
import type { RpcFault, RpcId } from './rpc.ts';
import { faultAnswer, faultOf, faultStatus, readableId } from './rpc.ts';

export interface HttpDoorOptions extends Reach {
  readonly membrane: Membrane;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
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
    // Whoever names no host is told so in this door's words (`http-guard.ts`).
    requireHostHeader: false,
    requestTimeout: limits.REQUEST_ARRIVE_MS_MAX,
    headersTimeout: limits.HEADERS_ARRIVE_MS_MAX,
    // Node looks each 30 s by itself: so long would silent connections take the place of others.
    connectionsCheckingInterval: limits.LATE_LOOK_MS,
    keepAliveTimeout: 30_000,
  });
  server.maxConnections = limits.CONNECTIONS_MAX;
  answerClientErrors(server, options.onDefect);
  let isStopping = false;
  const enter = (request: IncomingMessage): void => {
    guard(request);
    if (isStopping) throw stopping();
  };
  server.on('request', (request, response) => {
    if (isStopping) response.setHeader('connection', 'close');
    answer({ request, response }, options, enter, door).catch((thrown: unknown) => {
      // The refusal itself failed, as when the store closes under it.
      options.onDefect(toSeedError(thrown));
      response.destroy();
    });
  });
  // What is expected of the server beside an answer may be left undone (RFC 9110 §10.1.1).
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  await listenOnPort(server, options.port, options.onDefect);
  return {
    notify: (uri, holder) => mcp.peek()?.notify(uri, holder),
    close: async (waitMs) => {
      isStopping = true;
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
  enter: (request: IncomingMessage) => void,
  mcp: McpEndpoint,
): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  const path = request.url ?? '';
  try {
    enter(request);
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

/** Until when a request may be open. */
interface TimeLimit {
  /** When what it came in by ends, ms since the epoch; null for never. */
  readonly endsAt: number | null;
  readonly msMax: number;
  /** The request that waits for its one answer; null for a stream, and a batch. */
  readonly waiting: RpcId | null;
}

function idOf(body: unknown): RpcId | null {
  return typeof body === 'object' && body !== null && 'id' in body ? readableId(body.id) : null;
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
  readonly #unread = new UnreadAnswers({
    bytesMax: limits.HTTP_UNREAD_BYTES_MAX,
    bytesPerKeyMax: limits.HTTP_UNREAD_BYTES_PER_KEY_MAX,
  });

  constructor(options: HttpDoorOptions, mcp: Lazy<HttpMcp>) {
    this.#options = options;
    this.#mcp = mcp;
  }

  /** @throws SeedError for a stranger; whoever was let in is answered, and on record, here */
  async serve(exchange: Exchange): Promise<void> {
    const { leaveRefusal, membrane, onDefect } = this.#options;
    const admitted = await admitExchange(membrane, bearer(exchange.request), exchange.response);
    if (admitted === null) return;
    const { actor } = admitted;
    try {
      await this.#serveAdmitted(exchange, admitted);
    } catch (thrown) {
      // Cut off, or hung up, while it was still arriving: nothing was asked. Or told already that its key is over.
      if (exchange.response.destroyed || exchange.response.writableEnded) return;
      const error = toSeedError(thrown);
      if (error.code === 'internal') onDefect(error);
      await refuse(exchange, await leaveRefusal('membrane.call', actor, error), this.#options);
    }
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
    const msMax = stream ? limits.STREAM_MS_MAX : limits.REQUEST_ANSWER_MS_MAX;
    this.#limitTime({ request, response }, { ...admitted, msMax, waiting: stream ? null : idOf(body) });
    const { serve } = await this.#mcp.get();
    const wrote = (): void => this.#unread.wrote(grant.id, response);
    await serve({ request, response, admitted, body, wrote });
  }

  /** Ends what takes longer than `msMax`, and whatever is open when its key expires: who waits is told so. */
  #limitTime(exchange: Exchange, { endsAt, msMax, waiting }: TimeLimit): void {
    const { response } = exchange;
    const leftMs = endsAt === null ? msMax : endsAt - this.#options.now();
    const tooLong = (): void => {
      response.destroy();
    };
    const expired = (): void => {
      this.#options.refusals.count('http', 'key_expired');
      refuseWaiting(exchange, keyExpired(), waiting, this.#options).catch((thrown: unknown) => {
        this.#options.onDefect(toSeedError(thrown));
        response.destroy();
      });
    };
    const timer = leftMs > msMax ? setTimeout(tooLong, msMax) : setTimeout(expired, Math.max(0, leftMs));
    response.once('close', () => clearTimeout(timer));
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

function stopping(): SeedError {
  return new SeedError('stopping', 'The seed is stopping; nothing was done.', { hint: 'Try again in a moment.' });
}

function tooMany(what: string): SeedError {
  return new SeedError('too_many', `Too many ${what} under this key.`, {
    hint: 'Wait for some to end, or close them.',
  });
}
