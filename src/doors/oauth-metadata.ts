/**
 * The two discovery documents of OAuth, served only when the owner turned them on: some clients
 * ignore the key they were configured with as soon as they find these.
 *
 * Neither says which scopes there are: clients ask for every one that is named, and would be refused
 * for those that their grant lacks. Without a word of it they get what they hold.
 */
import type { Reach } from './http-guard.ts';

/** The document at a path, or null when there is none. */
export function discoveryDocument(path: string, { port, publicUrl }: Reach): object | null {
  const base = publicUrl?.origin ?? `http://127.0.0.1:${port}`;
  // RFC 9728 §2; the path of the resource follows the well-known part.
  if (path === '/.well-known/oauth-protected-resource' || path === '/.well-known/oauth-protected-resource/mcp') {
    return {
      resource: `${base}/mcp`,
      authorization_servers: [base],
      bearer_methods_supported: ['header'],
    };
  }
  // RFC 8414 §2.
  if (path === '/.well-known/oauth-authorization-server') {
    return {
      issuer: base,
      // No grant type here uses it, so it could be left out, but the MCP SDK's client asks for it
      // (its schema of RFC 8414); nobody answers there.
      authorization_endpoint: `${base}/oauth/authorize`,
      token_endpoint: `${base}/oauth/token`,
      response_types_supported: [],
      grant_types_supported: ['client_credentials'],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      token_endpoint_auth_signing_alg_values_supported: ['EdDSA'],
    };
  }
  return null;
}
