/**
 * What may go out: the one way from the seed to the network (LOCK-MEMBRANE-1).
 *
 * A target is opened for one call and gives a `fetch` that speaks to the target's own origin and to
 * nothing else, with a credential only where the owner bound that credential to the same origin. What
 * a name resolves to is checked in the very look-up that the connection is made with. Redirects are
 * errors, proxies of the environment are not looked at, and nothing is ever decompressed.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Agent, Dispatcher, request } from 'undici';
import { SeedError } from '../errors.ts';
import type { Credentials } from '../substrate/home/credentials.ts';
import { isForbiddenAddress, isLoopbackAddress, parseBaseUrl } from '../substrate/origins.ts';
import type { Target } from '../substrate/policy/model.ts';

/** Bytes of one answer, at most; an answer of a million characters has room in it several times over. */
export const RESPONSE_BYTES_MAX = 32 * 1_024 * 1_024;
/** Bytes of an answer's headers, at most. */
const RESPONSE_HEADER_BYTES_MAX = 16 * 1_024;
const CONNECT_MS_MAX = 10_000;
/** The router has its own, shorter times; these end what nobody times. */
const SILENCE_MS_MAX = 15 * 60 * 1_000;
/** Below what providers and their load balancers keep an idle connection for. */
const KEEP_ALIVE_MS = 15_000;
const CONNECTIONS_MAX = 512;

/** Resolves a name to all of its addresses. */
export type ResolveName = (
  name: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface EgressOptions {
  readonly credentials: Credentials;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
  /** Whether the owner has halted the seed. */
  readonly halted: boolean;
  /** Stands in for the system's resolver. */
  readonly resolve?: ResolveName;
}

/** A target opened for one call. */
export interface Outbound {
  /** Takes an address as text or URL, and a body of text or bytes; follows nothing. */
  readonly fetch: typeof globalThis.fetch;
  /** The secret, where the target has a credential. */
  readonly credential: string | null;
}

export class Egress {
  readonly credentials: Credentials;
  readonly #now: () => number;
  readonly #resolve: ResolveName;
  /** What is under way, so that a halt can end it. */
  readonly #underWay = new Set<AbortController>();
  readonly #lastUsed = new Map<string, number>();
  #halted: boolean;
  #network: Promise<Network> | null = null;

  constructor({ credentials, now, halted, resolve = systemLookup }: EgressOptions) {
    this.credentials = credentials;
    this.#now = now;
    this.#halted = halted;
    this.#resolve = resolve;
  }

  /**
   * Opens a target for one call: nothing is sent yet.
   *
   * @throws SeedError `halted`; `egress_refused` when the base URL may not be spoken to, or is not of
   *   the credential's origin; `credential_unusable`
   */
  async open(target: Target): Promise<Outbound> {
    if (this.#halted) throw haltedError();
    const { origin } = openBaseUrl(target);
    const secret = target.credential === null ? null : this.#openCredential(target.name, target.credential, origin);
    const fetch: Outbound['fetch'] = (input, init) => this.#fetch(origin, { target, secret }, input, init);
    return { fetch, credential: secret };
  }

  /** Whether a target could be opened, halted or not: its address may be spoken to, its credential is there and its own. */
  canOpen(target: Target): boolean {
    try {
      const { origin } = openBaseUrl(target);
      if (target.credential !== null) this.#openCredential(target.name, target.credential, origin);
      return true;
    } catch (thrown) {
      if (thrown instanceof SeedError) return false;
      throw thrown;
    }
  }

  /** When a credential was last sent by this process, ms since the epoch; null when it was not. */
  lastUsed(credential: string): number | null {
    return this.#lastUsed.get(credential) ?? null;
  }

  /** Ends what is under way and lets nothing out any more; resolves to how much that was. */
  halt(): number {
    this.#halted = true;
    const ended = [...this.#underWay];
    for (const stop of ended) stop.abort(haltedError());
    return ended.length;
  }

  resume(): void {
    this.#halted = false;
  }

  /** Ends what is under way, and every connection. */
  async close(): Promise<void> {
    this.halt();
    const network = await this.#network?.catch(() => null);
    await network?.agent.destroy();
  }

  #openCredential(target: string, name: string, origin: string): string {
    const credential = this.credentials.open(name);
    if (credential.origin === origin) return credential.secret;
    throw refusal(
      `The credential ${name} goes to ${credential.origin} only, and the target ${target} is at ${origin}.`,
      `Correct the target’s base_url, or bind the credential anew: \`seed credential set ${name} --origin ${origin}\`.`,
    );
  }

  async #fetch(
    origin: string,
    { target, secret }: { target: Target; secret: string | null },
    input: string | URL | Request,
    init: RequestInit = {},
  ): Promise<Response> {
    const url = addressOf(input, { origin, secret });
    const body = bodyOf(init.body);
    if (this.#halted) throw haltedError();
    init.signal?.throwIfAborted();
    const stop = new AbortController();
    const end = this.#begin(stop, init.signal ?? null);
    try {
      this.#network ??= openNetwork(this.#resolve);
      const { agent, request: send } = await this.#network;
      stop.signal.throwIfAborted();
      if (target.credential !== null) this.#lastUsed.set(target.credential, this.#now());
      const answer = await send(url, {
        dispatcher: agent,
        method: (init.method ?? 'GET').toUpperCase(),
        headers: headersOf(init.headers),
        body,
        signal: stop.signal,
      });
      answer.body.once('close', end);
      return toResponse(answer, stop.signal);
    } catch (error) {
      end();
      throw asFetchError(error, 'fetch failed', stop.signal);
    }
  }

  /** Registers a request, which a halt or the caller's signal ends; the returned function takes it back. */
  #begin(stop: AbortController, signal: AbortSignal | null): () => void {
    const onAbort = (): void => stop.abort(signal?.reason);
    this.#underWay.add(stop);
    signal?.addEventListener('abort', onAbort, { once: true });
    return () => {
      this.#underWay.delete(stop);
      signal?.removeEventListener('abort', onAbort);
    };
  }
}

function refusal(message: string, hint: string): SeedError {
  return new SeedError('egress_refused', message, { hint });
}

function haltedError(): SeedError {
  return new SeedError('halted', 'The seed is halted: nothing goes out.', { hint: '`seed resume` ends the halt.' });
}

function openBaseUrl({ name, baseUrl }: Target): URL {
  try {
    return parseBaseUrl(baseUrl, `The base_url of the target ${name}`);
  } catch (error) {
    const { message, hint } = error as SeedError;
    throw refusal(message, hint);
  }
}

/** The address of a request, of the target's own origin and without the secret in it. */
function addressOf(input: string | URL | Request, { origin, secret }: { origin: string; secret: string | null }): URL {
  if (input instanceof Request) throw new TypeError('fetch takes an address and an init here, not a Request.');
  const url = URL.parse(String(input));
  if (url === null || url.origin !== origin || url.username !== '' || url.password !== '') {
    throw refusal('A request left the origin of its target.', 'This is a defect of the provider’s module.');
  }
  // An address stands in the logs of every machine that it passes.
  if (secret !== null && (url.href.includes(secret) || url.href.includes(encodeURIComponent(secret)))) {
    throw refusal('A secret stood in an address.', 'This is a defect of the provider’s module.');
  }
  return url;
}

function bodyOf(body: RequestInit['body']): string | Uint8Array | null {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw new TypeError('A request’s body is text or bytes here.');
}

/** The caller's headers. An answer is asked for as it is: one that was compressed could be any size. */
function headersOf(given: RequestInit['headers']): Record<string, string> {
  const headers = new Headers(given);
  headers.set('accept-encoding', 'identity');
  // How bytes are framed is for the connection to say.
  for (const name of ['host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'upgrade'])
    headers.delete(name);
  return Object.fromEntries(headers);
}

// ---------------------------------------------------------------------------------------------
// Answers

/** Statuses that have no body (Fetch, "null body status"). */
const BODILESS = new Set([204, 205, 304]);

function toResponse({ statusCode, headers, body }: Dispatcher.ResponseData, signal: AbortSignal): Response {
  // Whoever reads is told; nobody need be reading when a halt or an abort ends it.
  body.on('error', () => {});
  try {
    assertPlain(statusCode, headers);
    const init = { status: statusCode, headers: flatHeaders(headers) };
    if (!BODILESS.has(statusCode)) return new Response(limited(body, signal), init);
    body.resume();
    return new Response(null, init);
  } catch (error) {
    // Nobody reads the rest, and it need not come.
    body.destroy();
    throw error;
  }
}

/** @throws SeedError `egress_refused` for a redirect; Error for an answer in a form that was not asked for */
function assertPlain(status: number, headers: Dispatcher.ResponseData['headers']): void {
  if (status >= 300 && status < 400 && status !== 304) {
    throw refusal(
      `The target answered with a redirect (${status}), and redirects are not followed.`,
      'Give the target the address itself as base_url; the credential must be bound to its origin.',
    );
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' && encoding !== '') {
    // The target may have worked for it, so it is no refusal of ours.
    throw new Error('The answer came compressed, which was not asked for.');
  }
}

function flatHeaders(headers: Dispatcher.ResponseData['headers']): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map((each): [string, string] => [name, each]),
  );
}

/** The bytes of an answer, as they are asked for, and no more than an answer may have. */
function limited(body: Dispatcher.ResponseData['body'], signal: AbortSignal): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Buffer, undefined> = body[Symbol.asyncIterator]();
  let bytes = 0;
  return new ReadableStream(
    {
      async pull(reader) {
        try {
          const { done, value } = await chunks.next();
          if (done === true) {
            reader.close();
            return;
          }
          bytes += value.length;
          if (bytes > RESPONSE_BYTES_MAX) throw tooLarge();
          reader.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.length));
        } catch (error) {
          body.destroy();
          reader.error(asFetchError(error, 'terminated', signal));
        }
      },
      cancel() {
        body.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

function tooLarge(): SeedError {
  return new SeedError('too_large', `The answer has more than ${RESPONSE_BYTES_MAX} bytes.`, {
    hint: 'Look at what stands at that address.',
  });
}

/** What `fetch` throws (Fetch, "network error"): a refusal or the reason of an abort as it is, the rest as a TypeError. */
function asFetchError(error: unknown, message: 'fetch failed' | 'terminated', signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return error instanceof SeedError ? error : new TypeError(message, { cause: error });
}

// ---------------------------------------------------------------------------------------------
// Connections

interface Network {
  readonly agent: Agent;
  readonly request: typeof request;
}

/** Loaded with the first request: an idle seed does without. */
async function openNetwork(resolve: ResolveName): Promise<Network> {
  const { Agent: UndiciAgent, buildConnector, request } = await import('undici');
  // Certificates are looked at whatever NODE_TLS_REJECT_UNAUTHORIZED says.
  const common = { timeout: CONNECT_MS_MAX, keepAlive: true, rejectUnauthorized: true };
  const anywhere = buildConnector({ ...common, lookup: checkedLookup(resolve, isSpeakable) });
  const here = buildConnector({ ...common, lookup: checkedLookup(resolve, isLoopbackAddress) });
  const agent = new UndiciAgent({
    connect: (options, done) => (options.protocol === 'https:' ? anywhere : here)(options, done),
    connections: CONNECTIONS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: SILENCE_MS_MAX,
    bodyTimeout: SILENCE_MS_MAX,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
  });
  return { agent, request };
}

function isSpeakable(address: string): boolean {
  return !isForbiddenAddress(address);
}

/** A look-up whose every address may be connected to; one that may not spoils them all. */
function checkedLookup(resolve: ResolveName, isAllowed: (address: string) => boolean): LookupFunction {
  return (name, options, done) => {
    resolve(name, { ...options, all: true }, (error, found) => {
      const [first] = found ?? [];
      if (error !== null || first === undefined) done(error ?? notFound(name), '', 0);
      else if (!found.every(({ address }) => isAllowed(address))) done(resolvedAway(name), '', 0);
      else if (options.all === true) done(null, found);
      else done(null, first.address, first.family);
    });
  };
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${name} has no address.`), { code: 'ENOTFOUND' });
}

function resolvedAway(name: string): SeedError {
  return refusal(
    `${name} resolves to an address that may not be spoken to.`,
    'It is link-local, metadata or multicast, or an http address that is not this machine. Look at who answers for that name.',
  );
}
