/**
 * What is checked of an HTTP request before anything else: that it was meant for this door.
 *
 * A page in the owner's browser can reach loopback; its Origin gives it away, and a name that was
 * rebound to 127.0.0.1 stands in Host (MCP, "Streamable HTTP", security warning).
 */
import type { IncomingMessage } from 'node:http';
import { SeedError } from '../errors.ts';
import { pathOf } from './gateway/paths.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

export interface Reach {
  /** The port on loopback. */
  readonly port: number;
  /** The address behind a proxy, pinned by the owner; null without one. */
  readonly publicUrl: URL | null;
}

/** Host and Origin, as plain sets of what is expected. */
export function createGuard({ port, publicUrl }: Reach): (request: IncomingMessage) => void {
  const hosts = new Set([...LOOPBACK.map((name) => `${name}:${port}`), ...(port === 80 ? LOOPBACK : [])]);
  if (publicUrl !== null) hosts.add(publicUrl.host);
  return ({ headers, rawHeaders, url }) => {
    assertSaidOnce(rawHeaders);
    if (headers.host === undefined) {
      throw new SeedError('invalid_input', 'The request names no host.', {
        hint: 'Send the header Host (RFC 9112 §3.2).',
      });
    }
    if (!hosts.has(headers.host.toLowerCase())) {
      throw new SeedError('forbidden', 'This door does not answer to that name.', {
        hint:
          publicUrl === null
            ? `Use http://127.0.0.1:${port}. Behind a proxy, ask the owner to run \`seed config set public-url https://…\`.`
            : `Use ${publicUrl.origin}.`,
      });
    }
    if (headers.origin !== undefined && !isAllowedOrigin(headers.origin, publicUrl)) {
      throw new SeedError('forbidden', 'A page of that origin may not use this door.', {
        hint: 'Use an MCP client, not a web page.',
      });
    }
    if (url !== undefined && pathOf(url).includes('?')) {
      throw new SeedError('invalid_input', 'Addresses of this door take no query.', {
        hint: 'A key goes into the Authorization header, never into an address.',
      });
    }
  };
}

/** Node takes the first of two, or joins them, and says nothing; a proxy before it may have looked at the second. */
const ONCE = new Set(['host', 'authorization', 'x-api-key', 'content-type', 'content-encoding', 'origin']);

function assertSaidOnce(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    if (!ONCE.has(name) && !name.startsWith('x-seed-')) continue;
    if (seen.has(name)) {
      throw new SeedError('invalid_input', `The header ${name} comes twice.`, { hint: 'Send it once.' });
    }
    seen.add(name);
  }
}

/** A tool on whichever loopback port, such as the Inspector's page, is the owner's own. */
function isAllowedOrigin(origin: string, publicUrl: URL | null): boolean {
  return origin === publicUrl?.origin || /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i.test(origin);
}
