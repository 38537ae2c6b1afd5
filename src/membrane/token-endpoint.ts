/**
 * `/oauth/token`: a helper that holds its own private key gets a key of five minutes for it
 * (client credentials, RFC 6749 §4.4, with `private_key_jwt`, RFC 7523 §2.2).
 */
import { createPublicKey, hash, verify } from 'node:crypto';
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import { findGrant, isInForce } from '../substrate/identity/grants.ts';
import type { Row, Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import { TOKEN_CHARS_MAX } from './access-key.ts';
import type { KeyService } from './keys.ts';
import { actorOf } from './membrane.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const TOKEN_MS = 5 * 60_000;
const ASSERTION_S_MAX = 5 * 60;
/** Clocks of two machines differ a little. */
const SKEW_S = 30;
/** Assertions remembered against replay, at most. */
const REMEMBERED_MAX = 100_000;

const Form = z.object({
  grant_type: z.literal('client_credentials'),
  client_assertion_type: z.literal(ASSERTION_TYPE),
  client_assertion: z.string().min(1).max(TOKEN_CHARS_MAX),
});

const Header = z.looseObject({ alg: z.literal('EdDSA'), crit: z.undefined().optional() });

const Assertion = z.looseObject({
  iss: z.string(),
  sub: z.string(),
  aud: z.union([z.string(), z.array(z.string()).length(1)]),
  jti: z.string().min(1).max(200),
  exp: z.number(),
  iat: z.number().optional(),
  nbf: z.number().optional(),
});
type Assertion = z.infer<typeof Assertion>;

/** A token answer (RFC 6749 §5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly scope: string;
}

/** RFC 6749 §5.2. */
export class TokenRefusal extends SeedError {
  readonly oauthError: 'invalid_request' | 'invalid_client' | 'unsupported_grant_type';

  constructor(oauthError: TokenRefusal['oauthError'], message: string) {
    super('unauthenticated', message, { hint: 'See the chapter on helpers in docs/clients.md.' });
    this.oauthError = oauthError;
  }
}

export interface TokenEndpointOptions {
  readonly substrate: Substrate;
  readonly keys: KeyService;
  /** The issuer's address, which an assertion must name as its audience, exactly. */
  readonly issuerUrls: readonly string[];
}

/** Builds the endpoint: form fields in, token answer out. @throws TokenRefusal */
export function createTokenEndpoint({
  substrate,
  keys,
  issuerUrls,
}: TokenEndpointOptions): (form: unknown) => Promise<TokenAnswer> {
  return async (form) => {
    const fields = parseForm(form);
    const { header, claims, signed, signature } = parseAssertion(fields.client_assertion);
    if (!Header.safeParse(header).success)
      throw new TokenRefusal('invalid_client', 'The assertion must be signed with EdDSA and have no crit.');
    const now = substrate.sources.now();
    checkTimes(claims, Math.floor(now / 1_000));
    const audience = typeof claims.aud === 'string' ? claims.aud : (claims.aud[0] ?? '');
    if (!issuerUrls.includes(audience))
      throw new TokenRefusal('invalid_client', 'The assertion’s audience is not this seed.');
    const grant = await findClient(substrate, claims, now);
    if (!verify(null, signed, toKey(grant), signature))
      throw new TokenRefusal('invalid_client', 'The assertion’s signature is wrong.');
    await remember(substrate, grant, claims);
    const until = now + TOKEN_MS;
    const expiresIn = Math.floor((Math.min(until, grant.expiresAt ?? until) - now) / 1_000);
    return {
      access_token: keys.mint(grant, until),
      token_type: 'Bearer',
      expires_in: expiresIn,
      scope: grant.scopes.join(' '),
    };
  };
}

function parseForm(form: unknown): z.infer<typeof Form> {
  const parsed = Form.safeParse(form);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  const unsupported = field === 'grant_type' && typeof form === 'object' && form !== null && 'grant_type' in form;
  throw new TokenRefusal(
    unsupported ? 'unsupported_grant_type' : 'invalid_request',
    `${field} is missing or not what this endpoint takes.`,
  );
}

function parseAssertion(text: string): { header: unknown; claims: Assertion; signed: Buffer; signature: Buffer } {
  const [header = '', payload = '', signature = '', ...rest] = text.split('.');
  try {
    const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (rest.length > 0 || signature === '') throw new SyntaxError('not three parts');
    return {
      header: decode(header),
      claims: Assertion.parse(decode(payload)),
      signed: Buffer.from(`${header}.${payload}`),
      signature: Buffer.from(signature, 'base64url'),
    };
  } catch {
    throw new TokenRefusal('invalid_client', 'The assertion is not a JWT with iss, sub, aud, jti and exp.');
  }
}

function checkTimes({ exp, iat, nbf }: Assertion, now: number): void {
  if (exp <= now - SKEW_S) throw new TokenRefusal('invalid_client', 'The assertion has expired.');
  if (exp > now + ASSERTION_S_MAX + SKEW_S)
    throw new TokenRefusal('invalid_client', 'The assertion is valid for more than five minutes.');
  if ((nbf ?? iat ?? now) > now + SKEW_S) throw new TokenRefusal('invalid_client', 'The assertion is not valid yet.');
}

/** The client is the grant's id, as issuer and as subject. */
async function findClient(substrate: Substrate, { iss, sub }: Assertion, now: number): Promise<Grant> {
  const { grant, halted } = await substrate.read(async (db) => ({
    grant: await findGrant(db, sub),
    halted: await readSwitch(db, 'halted'),
  }));
  if (halted) throw new TokenRefusal('invalid_client', 'The owner has halted the seed.');
  if (iss === sub && grant?.door === 'http' && grant.publicKey !== null && isInForce(grant, now)) return grant;
  throw new TokenRefusal('invalid_client', 'There is no such client, or its key was removed.');
}

function toKey({ publicKey }: Grant): ReturnType<typeof createPublicKey> {
  const x = Buffer.from(publicKey ?? '', 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

interface SeenRow extends Row {
  readonly seen: number;
  readonly remembered: number;
}

/** Uses an assertion up, durably, before a token is given for it. */
async function remember(substrate: Substrate, grant: Grant, { jti, exp }: Assertion): Promise<void> {
  const id = hash('sha256', `${grant.id} ${jti}`);
  await substrate.operate({ action: 'membrane.token', actor: actorOf(grant) }, async (op) => {
    op.receipt({ subject: { type: 'key', id: grant.id } });
    const row = await op.get<SeenRow>(
      'SELECT EXISTS (SELECT 1 FROM substrate_assertions WHERE id = ?) AS seen, (SELECT count(*) FROM substrate_assertions) AS remembered',
      id,
    );
    if (row?.seen === 1) throw new TokenRefusal('invalid_client', 'The assertion was used before.');
    await op.run('DELETE FROM substrate_assertions WHERE expires_at < ?', op.now - SKEW_S * 1_000);
    if ((row?.remembered ?? 0) >= REMEMBERED_MAX)
      throw new TokenRefusal('invalid_request', 'Too many tokens were asked for; try again in a few minutes.');
    await op.run('INSERT INTO substrate_assertions (id, expires_at) VALUES (?, ?)', id, Math.ceil(exp * 1_000));
  });
}
