/**
 * `/oauth/token`: a helper that holds its own private key gets a key of five minutes for it
 * (client credentials, RFC 6749 §4.4, with `private_key_jwt`, RFC 7523 §2.2).
 */
import { createPublicKey, hash, verify } from 'node:crypto';
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import { findGrant, isInForce } from '../substrate/identity/grants.ts';
import type { ReadHandle, Row, Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import { decodeSegment, TOKEN_CHARS_MAX } from './access-key.ts';
import type { KeyService } from './keys.ts';
import { actorOf } from './lookup.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const TOKEN_MS = 5 * 60_000;
const ASSERTION_S_MAX = 5 * 60;
/** Clocks of two machines differ a little. */
const SKEW_S = 30;
/**
 * Assertions remembered against replay, for each grant: one client's must not crowd out another's.
 * It is also how many tokens a client gets in about five minutes, each of them good for five.
 */
export const REMEMBERED_PER_GRANT_MAX = 1_000;

const Form = z.object({
  grant_type: z.literal('client_credentials'),
  client_assertion_type: z.literal(ASSERTION_TYPE),
  client_assertion: z.string().min(1).max(TOKEN_CHARS_MAX),
  /** RFC 7521 §4.2: may be left out, and must not say somebody else. */
  client_id: z.string().max(200).optional(),
  /** RFC 6749 §2.3: no second way to prove who one is. */
  client_secret: z.undefined().optional(),
  /** RFC 6749 §3.3: a part of what the grant holds; all of it where it is left out. */
  scope: z.string().max(1_000).optional(),
  /** RFC 8707 §2: what the token is for. */
  resource: z.string().max(1_000).optional(),
});
type Form = z.infer<typeof Form>;

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

type OauthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unsupported_grant_type';

/** RFC 6749 §5.2, RFC 8707 §2. */
export class TokenRefusal extends SeedError {
  readonly oauthError: OauthErrorCode;
  /** Of HTTP. */
  readonly status: number;

  constructor(oauthError: OauthErrorCode, message: string, { status }: { status?: number } = {}) {
    super('unauthenticated', message, { hint: 'See the chapter “Helpers that sign” in docs/clients.md.' });
    this.oauthError = oauthError;
    this.status = status ?? (oauthError === 'invalid_client' ? 401 : 400);
  }
}

export interface TokenEndpointOptions {
  readonly substrate: Substrate;
  readonly keys: KeyService;
  /** The issuer's address, which an assertion must name as its audience, exactly. */
  readonly issuerUrls: readonly string[];
  /** The MCP addresses that tokens are for. */
  readonly resources: readonly string[];
}

/** Builds the endpoint: form fields in, token answer out. @throws TokenRefusal */
export function createTokenEndpoint({
  substrate,
  keys,
  issuerUrls,
  resources,
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
    if (fields.client_id !== undefined && fields.client_id !== grant.id)
      throw new TokenRefusal('invalid_client', 'The client_id is not the one that the assertion names.');
    if (fields.resource !== undefined && !resources.includes(fields.resource))
      throw new TokenRefusal('invalid_target', 'Tokens are given for this seed’s MCP address alone.');
    const only = narrowedTo(fields, grant);
    await remember(substrate, grant, claims);
    const until = now + TOKEN_MS;
    const expiresIn = Math.floor((Math.min(until, grant.expiresAt ?? until) - now) / 1_000);
    return {
      access_token: keys.mint(grant, until, only),
      token_type: 'Bearer',
      expires_in: expiresIn,
      scope: (only ?? grant.scopes).join(' '),
    };
  };
}

/** The part of the grant that a token is asked for; null for all of it, as it may become. */
function narrowedTo({ scope }: Form, grant: Grant): string[] | null {
  if (scope === undefined) return null;
  const wanted = [...new Set(scope.split(' '))].toSorted();
  if (wanted.every((one) => grant.scopes.includes(one))) return wanted;
  throw new TokenRefusal('invalid_scope', 'The scope has something in it that the client does not hold.');
}

function parseForm(form: unknown): Form {
  const parsed = Form.safeParse(form);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  const unsupported = field === 'grant_type' && typeof form === 'object' && form !== null && 'grant_type' in form;
  throw new TokenRefusal(
    unsupported ? 'unsupported_grant_type' : 'invalid_request',
    `The field ${field} is missing or not what this endpoint takes.`,
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

/** Begins with the grant, so that one grant's stand together. */
function assertionId(grant: Grant, { jti }: Assertion): string {
  return `${grant.id}:${hash('sha256', jti)}`;
}

/** What expired before this moment (ms) can be shown again: its times refuse it. */
function forgottenBefore(now: number): number {
  return now - (SKEW_S + 1) * 1_000;
}

/** @throws TokenRefusal when the assertion was used, or the client used too many */
async function assertRoom(db: ReadHandle, grant: Grant, id: string, now: number): Promise<void> {
  // `;` is the sign after `:`, so the range holds what begins with the grant and no more.
  const row = await db.get<SeenRow>(
    `SELECT EXISTS (SELECT 1 FROM substrate_assertions WHERE id = ?) AS seen,
            (SELECT count(*) FROM substrate_assertions WHERE id > ? AND id < ? AND expires_at >= ?) AS remembered`,
    id,
    `${grant.id}:`,
    `${grant.id};`,
    forgottenBefore(now),
  );
  if (row?.seen === 1) throw usedBefore();
  if ((row?.remembered ?? 0) < REMEMBERED_PER_GRANT_MAX) return;
  throw new TokenRefusal(
    'invalid_request',
    'Too many tokens were asked for; use those for the minutes that they last.',
    {
      status: 429,
    },
  );
}

function usedBefore(): TokenRefusal {
  return new TokenRefusal('invalid_client', 'The assertion was used before.');
}

/** Uses an assertion up, durably, before a token is given for it. */
async function remember(substrate: Substrate, grant: Grant, claims: Assertion): Promise<void> {
  const id = assertionId(grant, claims);
  // Looked at first without a receipt: whoever holds a used assertion can show it again and again.
  await substrate.read((db) => assertRoom(db, grant, id, substrate.sources.now()));
  await substrate.operate({ action: 'membrane.token', actor: actorOf(grant) }, async (op) => {
    op.receipt({ subject: { type: 'key', id: grant.id } });
    await op.run('DELETE FROM substrate_assertions WHERE expires_at < ?', forgottenBefore(op.now));
    await assertRoom(op, grant, id, op.now);
    await op.run('INSERT INTO substrate_assertions (id, expires_at) VALUES (?, ?)', id, Math.ceil(claims.exp * 1_000));
  });
}
