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
import { decodeSegment, TOKEN_CHARS_MAX } from './access-key.ts';
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
  // One string: a list could name another server as well, which could then pass the assertion on.
  aud: z.string(),
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
    super('unauthenticated', message, { hint: 'See the chapter “Helpers that sign” in docs/clients.md.' });
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
    if (!issuerUrls.includes(claims.aud))
      throw new TokenRefusal('invalid_client', 'The assertion’s audience is not this seed.');
    const grant = await findClient(substrate, claims, now);
    if (!verify(null, signed, toKey(grant), signature))
      throw new TokenRefusal('invalid_client', 'The assertion’s signature is wrong.');
    await assertUnused(substrate, grant, claims);
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
    if (rest.length > 0) throw new SyntaxError('not three parts');
    return {
      header: decodeJson(header),
      claims: Assertion.parse(decodeJson(payload)),
      signed: Buffer.from(`${header}.${payload}`),
      signature: decodeSegment(signature) ?? Buffer.alloc(0),
    };
  } catch {
    throw new TokenRefusal('invalid_client', 'The assertion is not a JWT with iss, sub, aud, jti and exp.');
  }
}

/** @throws SyntaxError unless it is JSON that says each thing once */
function decodeJson(segment: string): unknown {
  const text = decodeSegment(segment)?.toString('utf8') ?? '';
  const value: unknown = JSON.parse(text);
  // Whoever wrote a name twice meant one of the two; which one is not for us to choose.
  const written = [...text.matchAll(STRING)].filter(([, colon]) => colon !== undefined).length;
  if (countMembers(value) !== written) throw new SyntaxError('a name comes twice');
  return value;
}

/** A string, and the colon behind it where it is the name of a member. */
const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const values: unknown[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : values.length;
  return values.reduce<number>((sum, member) => sum + countMembers(member), own);
}

function checkTimes({ exp, iat, nbf }: Assertion, now: number): void {
  if (exp <= now - SKEW_S) throw new TokenRefusal('invalid_client', 'The assertion has expired.');
  if (exp > now + ASSERTION_S_MAX + SKEW_S || exp > (iat ?? exp) + ASSERTION_S_MAX + SKEW_S)
    throw new TokenRefusal('invalid_client', 'The assertion is valid for more than five minutes.');
  if (Math.max(nbf ?? now, iat ?? now) > now + SKEW_S)
    throw new TokenRefusal('invalid_client', 'The assertion is not valid yet.');
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

function assertionId(grant: Grant, { jti }: Assertion): string {
  return hash('sha256', `${grant.id} ${jti}`);
}

function usedBefore(): TokenRefusal {
  return new TokenRefusal('invalid_client', 'The assertion was used before.');
}

/** Whoever holds a used assertion can show it again and again; each time must not cost a receipt. */
async function assertUnused(substrate: Substrate, grant: Grant, claims: Assertion): Promise<void> {
  const id = assertionId(grant, claims);
  if ((await substrate.read((db) => db.get('SELECT 1 FROM substrate_assertions WHERE id = ?', id))) !== undefined)
    throw usedBefore();
}

/** Uses an assertion up, durably, before a token is given for it. */
async function remember(substrate: Substrate, grant: Grant, claims: Assertion): Promise<void> {
  const id = assertionId(grant, claims);
  await substrate.operate({ action: 'membrane.token', actor: actorOf(grant) }, async (op) => {
    op.receipt({ subject: { type: 'key', id: grant.id } });
    // First: counted with what has expired, a full table would stay full for ever.
    await op.run('DELETE FROM substrate_assertions WHERE expires_at < ?', op.now - (SKEW_S + 1) * 1_000);
    const row = await op.get<SeenRow>(
      'SELECT EXISTS (SELECT 1 FROM substrate_assertions WHERE id = ?) AS seen, (SELECT count(*) FROM substrate_assertions) AS remembered',
      id,
    );
    if (row?.seen === 1) throw usedBefore();
    if ((row?.remembered ?? 0) >= REMEMBERED_MAX)
      throw new TokenRefusal('invalid_request', 'Too many tokens were asked for; try again in a few minutes.');
    await op.run('INSERT INTO substrate_assertions (id, expires_at) VALUES (?, ?)', id, Math.ceil(claims.exp * 1_000));
  });
}
