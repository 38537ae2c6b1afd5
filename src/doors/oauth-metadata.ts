/**
 * The two discovery documents of OAuth, served only when the owner turned them on: some clients
 * ignore the key they were configured with as soon as they find these.
 */
import { SCOPES } from '../substrate/identity/scopes.ts';
import type { Reach } from './http-guard.ts';

/** The document at a path, or null when there is none. */
export function discoveryDocument(path: string, { port, publicUrl }: Reach): object | null {
  const base = publicUrl?.origin ?? `http://127.0.0.1:${port}`;
  const scopes = Object.keys(SCOPES);
  // RFC 9728 §2; the path of the resource follows the well-known part.
  if (path === '/.well-known/oauth-protected-resource' || path === '/.well-known/oauth-protected-resource/mcp') {
    return {
      resource: `${base}/mcp`,
      authorization_servers: [base],
      bearer_methods_supported: ['header'],
      scopes_supported: scopes,
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
      scopes_supported: scopes,
    };
  }
  return null;
}
