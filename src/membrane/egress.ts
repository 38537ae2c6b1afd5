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
import type { Agent, buildConnector as connector } from 'undici';
import { SeedError } from '../errors.ts';
import type { Credentials } from '../substrate/home/credentials.ts';
import { isForbiddenAddress, isLoopbackAddress, parseBaseUrl } from '../substrate/origins.ts';
import type { Target } from '../substrate/policy/model.ts';
import type { Answer } from './incoming.ts';
import { Incoming } from './incoming.ts';

/** Bytes of an answer's headers, at most. */
const RESPONSE_HEADER_BYTES_MAX = 16 * 1_024;
const CONNECT_MS_MAX = 10_000;
/** The router has its own, shorter times; these end what nobody times. */
const SILENCE_MS_MAX = 15 * 60 * 1_000;
/** Below what providers and their load balancers keep an idle connection for. */
const KEEP_ALIVE_MS = 15_000;
const CONNECTIONS_MAX = 512;
/** Addresses that are remembered, at most. */
const ADDRESSES_MAX = 256;

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

/** A request as it is asked for. */
export type Asked = Pick<RequestInit, 'method' | 'headers' | 'body' | 'signal'>;

/** A target opened for one call. */
export interface Outbound {
  /** Sends a request with a body of text or bytes, and follows nothing. */
  readonly ask: (address: string, asked: Asked) => Promise<Answer>;
  /** The same with a `Response` around the answer, which costs as much as the way itself; takes a URL, too. */
  readonly fetch: typeof globalThis.fetch;
  /** The secret, where the target has a credential. */
  readonly credential: string | null;
}

/** A target that was opened: where it leads, and what must not stand in an address. */
interface Way {
  readonly origin: string;
  readonly target: Target;
  readonly secret: string | null;
}

export class Egress {
  readonly credentials: Credentials;
  readonly #now: () => number;
  readonly #resolve: ResolveName;
  /** What is under way, so that a halt can end it. */
  readonly #underWay = new Set<Incoming>();
  readonly #lastUsed = new Map<string, number>();
  /** Addresses that a request went to, parsed: every call of a target goes to the same one or two. */
  readonly #addresses = new Map<string, Address>();
  #halted: boolean;
  #network: Promise<Agent> | null = null;

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
    const way: Way = { origin, target, secret };
    const ask: Outbound['ask'] = async (address, asked) => this.#send(way, address, sendingOf(asked));
    const fetch: Outbound['fetch'] = async (input, init = {}) => toResponse(await ask(textOf(input), init));
    return { ask, fetch, credential: secret };
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
    for (const incoming of ended) incoming.abort(haltedError());
    return ended.length;
  }

  resume(): void {
    this.#halted = false;
  }

  /** Ends what is under way, and every connection. */
  async close(): Promise<void> {
    this.halt();
    const agent = await this.#network?.catch(() => null);
    await agent?.destroy();
  }

  #openCredential(target: string, name: string, origin: string): string {
    const credential = this.credentials.open(name);
    if (credential.origin === origin) return credential.secret;
    throw refusal(
      `The credential ${name} goes to ${credential.origin} only, and the target ${target} is at ${origin}.`,
      `Correct the target’s base_url, or bind the credential anew: \`seed credential set ${name} --origin ${origin}\`.`,
    );
  }

  /** What is refused here was not sent. The answer is registered, so that a halt or the caller's signal ends it. */
  async #send(way: Way, address: string, sending: Sending): Promise<Answer> {
    const { origin, target } = way;
    const path = this.#pathOf(address, way);
    if (this.#halted) throw haltedError();
    const { method, headers, body, signal } = sending;
    signal?.throwIfAborted();
    const incoming = new Incoming(() => {
      this.#underWay.delete(incoming);
      signal?.removeEventListener('abort', onAbort);
    });
    const onAbort = (): void => incoming.abort(signal?.reason);
    this.#underWay.add(incoming);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#network ??= openNetwork(this.#resolve);
    this.#network.then(
      (agent) => {
        if (incoming.isOver) return;
        if (target.credential !== null) this.#lastUsed.set(target.credential, this.#now());
        try {
          agent.dispatch({ origin, path, method, headers, body }, incoming);
        } catch (error) {
          incoming.onResponseError(null, error);
        }
      },
      (error: unknown) => incoming.onResponseError(null, error),
    );
    return incoming.answer;
  }

  /** What is asked for at the target's own origin. @throws SeedError `egress_refused` elsewhere, and with the secret in it */
  #pathOf(text: string, { origin, secret }: Way): string {
    const address = this.#addresses.get(text) ?? addressOf(text);
    if (address?.origin !== origin) {
      throw refusal('A request left the origin of its target.', 'This is a defect of the provider’s module.');
    }
    // An address stands in the logs of every machine that it passes.
    if (secret !== null && holds(address.href, secret)) {
      throw refusal('A secret stood in an address.', 'This is a defect of the provider’s module.');
    }
    if (!this.#addresses.has(text)) {
      if (this.#addresses.size === ADDRESSES_MAX) this.#addresses.clear();
      this.#addresses.set(text, address);
    }
    return address.path;
  }
}

function refusal(message: string, hint: string): SeedError {
  return new SeedError('egress_refused', message, { hint });
}

function haltedError(): SeedError {
  return new SeedError('halted', 'The seed is halted: nothing goes out.', { hint: '`seed resume` ends the halt.' });
}

function openBaseUrl({ name, baseUrl }: Target): { readonly origin: string } {
  try {
    return parseBaseUrl(baseUrl, `The base_url of the target ${name}`);
  } catch (error) {
    const { message, hint } = error as SeedError;
    throw refusal(message, hint);
  }
}

/** An address, parsed. */
interface Address {
  readonly href: string;
  readonly origin: string;
  /** With the query. */
  readonly path: string;
}

/** Null for what is no address, or names a user. */
function addressOf(text: string): Address | null {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return null;
  return { href: url.href, origin: url.origin, path: `${url.pathname}${url.search}` };
}

function holds(href: string, secret: string): boolean {
  // Encoded it is another word only with a percent sign in it.
  return href.includes(secret) || (href.includes('%') && href.includes(encodeURIComponent(secret)));
}

function textOf(input: string | URL | Request): string {
  if (input instanceof Request) throw new TypeError('fetch takes an address and an init here, not a Request.');
  return String(input);
}

/** A request as it goes out. */
interface Sending {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | null;
  readonly signal: AbortSignal | null;
}

function sendingOf({ method = 'GET', headers, body, signal = null }: Asked): Sending {
  return { method: method.toUpperCase(), headers: headersOf(headers), body: bodyOf(body), signal };
}

function bodyOf(body: RequestInit['body']): string | Uint8Array | null {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  throw new TypeError('A request’s body is text or bytes here.');
}

/** How bytes are framed is for the connection to say. */
const FRAMING = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'upgrade']);

/**
 * The caller's headers. An answer is asked for as it is: one that was compressed could be any size.
 *
 * A plain record is taken as it stands: undici says no to names and values that are none.
 */
function headersOf(given: RequestInit['headers']): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of isRecord(given) ? Object.entries(given) : new Headers(given)) {
    const lower = name.toLowerCase();
    if (!FRAMING.has(lower)) headers[lower] = value;
  }
  headers['accept-encoding'] = 'identity';
  return headers;
}

function isRecord(given: RequestInit['headers']): given is Record<string, string> {
  return given !== undefined && Object.getPrototypeOf(given) === Object.prototype;
}

function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body === null ? null : ReadableStream.from(body), { status, headers: [...headers] });
}

// ---------------------------------------------------------------------------------------------
// Connections

/** Two parts of undici alone: with all that it has besides, its `fetch` above all, it takes 15 MB more. */
async function loadUndici(): Promise<{ UndiciAgent: typeof Agent; buildConnector: typeof connector }> {
  // @ts-expect-error: its types describe this under undici's own name alone
  const { default: UndiciAgent } = (await import('undici/lib/dispatcher/agent.js')) as { default: typeof Agent };
  // @ts-expect-error: the same
  const { default: build } = (await import('undici/lib/core/connect.js')) as { default: typeof connector };
  return { UndiciAgent, buildConnector: build };
}

/** Loaded with the first request: an idle seed does without. */
async function openNetwork(resolve: ResolveName): Promise<Agent> {
  const { UndiciAgent, buildConnector } = await loadUndici();
  // Certificates are looked at whatever NODE_TLS_REJECT_UNAUTHORIZED says.
  const common = { timeout: CONNECT_MS_MAX, keepAlive: true, rejectUnauthorized: true };
  const anywhere = buildConnector({ ...common, lookup: checkedLookup(resolve, isSpeakable) });
  const here = buildConnector({ ...common, lookup: checkedLookup(resolve, isLoopbackAddress) });
  return new UndiciAgent({
    connect: (options, done) => (options.protocol === 'https:' ? anywhere : here)(options, done),
    connections: CONNECTIONS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: SILENCE_MS_MAX,
    bodyTimeout: SILENCE_MS_MAX,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
  });
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
