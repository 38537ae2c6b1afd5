/** Which addresses are the gateway's, and in whose terms each is answered. */
import type { IncomingHttpHeaders } from 'node:http';
import { SeedError } from '../../errors.ts';

/** What an address is for. */
export type GatewayRoute =
  | { readonly to: 'chat' | 'responses' | 'messages' | 'count' | 'models' | 'metrics' }
  | { readonly to: 'model'; readonly id: string };

interface Known {
  readonly method: 'GET' | 'POST';
  readonly route: GatewayRoute;
}

const ROUTES: Readonly<Record<string, Known>> = {
  '/v1/chat/completions': { method: 'POST', route: { to: 'chat' } },
  '/v1/responses': { method: 'POST', route: { to: 'responses' } },
  '/v1/messages': { method: 'POST', route: { to: 'messages' } },
  '/v1/messages/count_tokens': { method: 'POST', route: { to: 'count' } },
  '/v1/models': { method: 'GET', route: { to: 'models' } },
  '/metrics': { method: 'GET', route: { to: 'metrics' } },
};

const MODEL = /^\/v1\/models\/([^/]{1,300})$/;

/**
 * What these clients write into an address: that a beta is meant, the page of a list, of which there is one, and
 * Codex its version. None has room for a key.
 */
const QUERY = /\?(?:(?:beta=(?:true|false)|limit=\d{1,4}|client_version=\d{1,4}(?:\.\d{1,6}){0,2})(?:&|$))+$/;

/** The address without what may follow it; with anything else behind a `?` it stays as it is. */
export function pathOf(url: string): string {
  return url.startsWith('/v1/') ? url.replace(QUERY, '') : url;
}

/** What an SDK asks for whose base address lacks `/v1`, or has it twice. */
const MISSED = /^(?:\/v1)*(\/(?:chat\/completions|responses|messages|models))$/;

/** Whether an address is answered here, if only by an error in the terms of one of the APIs. */
export function isGatewayPath(url: string): boolean {
  return url.startsWith('/v1/') || url === '/v1' || url === '/metrics' || MISSED.test(url);
}

/** In whose terms: by the address, and where both have it by the header that only one of them sends. */
export function apiOf(url: string, headers: IncomingHttpHeaders): 'openai' | 'anthropic' {
  if (/^(?:\/v1)*\/messages/.test(url)) return 'anthropic';
  return url.startsWith('/v1/models') && headers['anthropic-version'] !== undefined ? 'anthropic' : 'openai';
}

/** The method that an address takes, where there is one by that name. */
export function methodOf(url: string): 'GET' | 'POST' | null {
  return find(url)?.method ?? null;
}

/** @throws SeedError `not_found` */
export function routeOf(url: string): GatewayRoute {
  const known = find(url);
  if (known !== null) return known.route;
  const meant = MISSED.exec(pathOf(url))?.[1];
  throw new SeedError('not_found', 'There is nothing at this address.', {
    hint:
      meant !== undefined
        ? `/v1${meant} is what you mean: the base address of OpenAI’s SDK ends in /v1, that of Anthropic’s has none.`
        : 'There are POST /v1/chat/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens and GET /v1/models.',
  });
}

function find(url: string): Known | null {
  const path = pathOf(url);
  if (Object.hasOwn(ROUTES, path)) return ROUTES[path] ?? null;
  const id = MODEL.exec(path)?.[1];
  return id === undefined ? null : { method: 'GET', route: { to: 'model', id: decoded(id) } };
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    // What is no encoding of anything is the name of nothing.
    return id;
  }
}
