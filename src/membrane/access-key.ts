/**
 * Access keys: EdDSA-signed compact JWTs (RFC 7519, RFC 8037) with one header and one form.
 *
 * There is nothing to negotiate: the header must be, byte for byte, the one this seed writes, so
 * no `alg`, `kid`, `jwk`, `crit` or `typ` of a token's own is ever looked at. The signature says
 * who issued it; the grant row named by `jti` says what it may do.
 */
import type { KeyObject } from 'node:crypto';
import { createPublicKey, hash, verify } from 'node:crypto';
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Signer } from '../formats/checkpoint.ts';
import { rootKeyId } from '../formats/root.ts';
import { keyExpired } from '../substrate/identity/grants.ts';

/** The largest token that is looked at, in characters. */
export const TOKEN_CHARS_MAX = 4_096;

const ALGORITHM = 'EdDSA';
const TYPE = 'membrane+jwt';

const Claims = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string(),
  jti: z.string().regex(/^[0-9a-f]{32}$/),
  scope: z.string(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
  narrowed: z.literal(true).optional(),
});

/**
 * What a key says. Times in seconds since the epoch (RFC 7519 §2, NumericDate). `scope` is what the
 * grant held when the key was made, and binds nothing, unless the key was `narrowed` to it.
 */
export type Claims = z.infer<typeof Claims>;

function segment(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

function headerOf(publicKey: Uint8Array): string {
  return segment(JSON.stringify({ alg: ALGORITHM, typ: TYPE, kid: rootKeyId(publicKey) }));
}

/** Always in this order: a token whose claims are written otherwise is not one of ours. */
function payloadOf({ iss, aud, sub, jti, scope, iat, nbf, exp, narrowed }: Claims): string {
  return JSON.stringify({ iss, aud, sub, jti, scope, iat, nbf, exp, narrowed });
}

/** Signs a key. The text is a secret from here on. */
export function mintAccessKey(claims: Claims, issuer: Signer): string {
  const signed = `${headerOf(issuer.publicKey)}.${segment(payloadOf(claims))}`;
  return `${signed}.${segment(issuer.sign(Buffer.from(signed)))}`;
}

function toKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: segment(publicKey) }, format: 'jwk' });
}

/** Keys whose signature was found good, by the hash of their text. */
const REMEMBERED_MAX = 1_000;

export interface AccessKeyOptions {
  /** The issuer keys that the root of trust names, raw. */
  readonly issuerKeys: readonly Uint8Array[];
  /** This seed's own name as issuer. */
  readonly issuer: string;
  /** The addresses under which this seed is reached. */
  readonly audiences: readonly string[];
  readonly now: () => number;
}

/** Opens keys: resolves a token's text to its claims, or throws. */
export type OpenAccessKey = (token: string) => Claims;

/**
 * Builds the function that opens this seed's keys.
 *
 * A good signature stays good, so it is checked once for each text; what can change (times, and
 * the grant, by the caller) is checked each time.
 */
export function createAccessKeyOpener({ issuerKeys, issuer, audiences, now }: AccessKeyOptions): OpenAccessKey {
  const issuers = issuerKeys.map((key) => ({ header: headerOf(key), key: toKeyObject(key) }));
  const remembered = new Map<string, Claims>();

  const authenticate = (token: string): Claims => {
    const id = hash('sha256', token, 'base64url');
    const known = remembered.get(id);
    if (known !== undefined) return known;
    const claims = checkSignature(token, issuers);
    if (claims.iss !== issuer) throw refusal('The key was issued by another seed.');
    if (!audiences.includes(claims.aud)) throw refusal('The key is for another address.');
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(id, claims);
    return claims;
  };

  return (token) => {
    const claims = authenticate(token);
    const seconds = Math.floor(now() / 1_000);
    if (seconds < claims.nbf) throw refusal('The key is not valid yet.');
    // Said only now that the signature was found good: a stranger learns nothing of keys.
    if (seconds >= claims.exp) throw keyExpired();
    return claims;
  };
}

function checkSignature(token: string, issuers: readonly { header: string; key: KeyObject }[]): Claims {
  if (token.length > TOKEN_CHARS_MAX) throw refusal('The key is too long to be one.');
  const [header, payload, signature, ...rest] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    throw refusal('That is not an access key.');
  const issuer = issuers.find((candidate) => candidate.header === header);
  if (issuer === undefined) throw refusal('That is not an access key of this seed.');
  const bytes = decodeSegment(signature);
  const good =
    bytes !== null && bytes.length === 64 && verify(null, Buffer.from(`${header}.${payload}`), issuer.key, bytes);
  if (!good) throw refusal('The signature of the key is wrong.');
  return parseClaims(payload);
}

/** base64url without padding, and nothing that decodes to the same bytes in another spelling. */
export function decodeSegment(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return segment(bytes) === text ? bytes : null;
}

/** The claims, provided that they are written as this seed writes them: no key twice, none more. */
function parseClaims(payload: string): Claims {
  const bytes = decodeSegment(payload);
  if (bytes === null) throw refusal('That is not an access key.');
  try {
    const claims = Claims.parse(JSON.parse(bytes.toString('utf8')));
    if (payloadOf(claims) === bytes.toString('utf8')) return claims;
  } catch {
    // Signed by us and not of our form: from a version that wrote another, and refused like any other.
  }
  throw refusal('The key is not of the form this seed issues.');
}

/** Says no more than it must, and never a part of the key. */
function refusal(message: string): SeedError {
  return new SeedError('unauthenticated', message, {
    hint: 'Send the key that the owner gave you as "Authorization: Bearer …".',
  });
}
