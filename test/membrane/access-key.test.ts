/** Every way known to forge or bend an access key, at the real door; the key itself is let in each time. */
import type { KeyObject } from 'node:crypto';
import { createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claims } from '../../src/membrane/access-key.ts';
import { createAccessKeyOpener, mintAccessKey, TOKEN_CHARS_MAX } from '../../src/membrane/access-key.ts';
import { rawPublicKey } from '../../src/substrate/identity/keys.ts';
import type { Rig } from '../doors/rig.ts';
import {
  ask,
  asOwner,
  b64url,
  callOverHttp,
  edit,
  issue,
  openRig,
  outcome,
  ownKey,
  receipts,
  rpc,
  signJwt,
} from '../doors/rig.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;
let other: Rig;
let key: string;
let issuer: KeyObject;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('one'));
  other = await openRig(folder.at('two'));
  ({ key } = await issue(rig, 'builder'));
  issuer = privateKey(rig, 'issuer');
});

afterAll(async () => {
  await rig.close();
  await other.close();
  folder[Symbol.dispose]();
});

function privateKey({ home }: Rig, name: 'issuer' | 'log'): KeyObject {
  return createPrivateKey(readFileSync(join(home, 'keys', `${name}.pem`)));
}

interface Parts {
  readonly header: Record<string, unknown>;
  readonly claims: Claims;
  readonly segments: readonly [string, string, string];
}

function partsOf(token: string): Parts {
  const segments = token.split('.') as unknown as Parts['segments'];
  const [header, claims] = segments
    .slice(0, 2)
    .map((part): unknown => JSON.parse(Buffer.from(part, 'base64url').toString()));
  return { header: header as Parts['header'], claims: claims as Claims, segments };
}

const enter = async (token: string): Promise<string> => outcome(await callOverHttp(rig, token, 'seed_start'));

/** Each takes the good key apart and puts a bad one together; where it needs a signature, the issuer's own. */
const FORGERIES: Readonly<Record<string, (parts: Parts) => string>> = {
  'alg none, no signature': ({ header, segments }) =>
    `${b64url(JSON.stringify({ ...header, alg: 'none' }))}.${segments[1]}.`,
  'alg none, the old signature': ({ header, segments }) =>
    `${b64url(JSON.stringify({ ...header, alg: 'none' }))}.${segments[1]}.${segments[2]}`,
  'alg none in other letters': ({ header, claims }) => signJwt({ ...header, alg: 'nOnE' }, claims, issuer),
  'HS256 with the raw public key': (parts) => hmac(parts, Buffer.from(rawPublicKey(createPublicKey(issuer)))),
  'HS256 with the public key in PEM': (parts) =>
    hmac(parts, createPublicKey(issuer).export({ format: 'pem', type: 'spki' })),
  'typ swapped for JWT': ({ header, claims }) => signJwt({ ...header, typ: 'JWT' }, claims, issuer),
  'typ swapped for at+jwt': ({ header, claims }) => signJwt({ ...header, typ: 'at+jwt' }, claims, issuer),
  'no typ': ({ header: { typ: _typ, ...header }, claims }) => signJwt(header, claims, issuer),
  'kid as a path': ({ header, claims }) => signJwt({ ...header, kid: '../../keys/issuer.pem' }, claims, issuer),
  'kid of nothing': ({ header, claims }) => signJwt({ ...header, kid: '/dev/null' }, claims, issuer),
  'kid of another key': ({ header, claims }) => signJwt({ ...header, kid: 'f'.repeat(64) }, claims, issuer),
  'no kid': ({ header: { kid: _kid, ...header }, claims }) => signJwt(header, claims, issuer),
  'an embedded jwk and its own signature': ({ header, claims }) => {
    const { privateKey: own } = ownKey();
    return signJwt({ ...header, jwk: createPublicKey(own).export({ format: 'jwk' }) }, claims, own);
  },
  'an embedded jwk beside a good signature': ({ header, claims }) =>
    signJwt({ ...header, jwk: createPublicKey(issuer).export({ format: 'jwk' }) }, claims, issuer),
  jku: ({ header, claims }) => signJwt({ ...header, jku: 'http://127.0.0.1:1/jwks.json' }, claims, issuer),
  x5u: ({ header, claims }) => signJwt({ ...header, x5u: 'http://127.0.0.1:1/cert.pem' }, claims, issuer),
  x5c: ({ header, claims }) => signJwt({ ...header, x5c: ['AAAA'] }, claims, issuer),
  'unknown crit': ({ header, claims }) => signJwt({ ...header, crit: ['exp'], exp: 1 }, claims, issuer),
  'crit b64': ({ header, claims }) => signJwt({ ...header, crit: ['b64'], b64: false }, claims, issuer),
  'a header in another order': ({ header: { alg, typ, kid }, claims }) => signJwt({ kid, typ, alg }, claims, issuer),
  'scope twice': ({ header, claims }) =>
    signJwt(header, JSON.stringify(claims).replace('}', ',"scope":"membrane.register"}'), issuer),
  'jti twice': ({ header, claims }) =>
    signJwt(header, JSON.stringify(claims).replace('"jti"', `"jti":"${'0'.repeat(32)}","jti"`), issuer),
  'alg twice': ({ claims, header }) =>
    signRaw(JSON.stringify(header).replace('}', ',"alg":"none"}'), JSON.stringify(claims)),
  'a claim more': ({ header, claims }) => signJwt(header, { ...claims, admin: true }, issuer),
  'no audience': ({ header, claims: { aud: _aud, ...claims } }) => signJwt(header, claims, issuer),
  'wrong audience': ({ header, claims }) => signJwt(header, { ...claims, aud: 'http://example.com/mcp' }, issuer),
  'audience with a slash more': ({ header, claims }) => signJwt(header, { ...claims, aud: `${claims.aud}/` }, issuer),
  'a list of audiences': ({ header, claims }) => signJwt(header, { ...claims, aud: [claims.aud] }, issuer),
  'another issuer’s name': ({ header, claims }) => signJwt(header, { ...claims, iss: 'sovereign-seed/x' }, issuer),
  'a grant that is not there': ({ header, claims }) => signJwt(header, { ...claims, jti: '0'.repeat(32) }, issuer),
  'a jti that is SQL': ({ header, claims }) => signJwt(header, { ...claims, jti: "' OR 1=1 --" }, issuer),
  'times as text': ({ header, claims }) => signJwt(header, { ...claims, exp: '9999999999' }, issuer),
  'an endless exp': ({ header, claims }) => signJwt(header, { ...claims, exp: 1e300 }, issuer),
  expired: ({ header, claims }) => signJwt(header, { ...claims, exp: claims.nbf }, issuer),
  'not valid yet': ({ header, claims }) => signJwt(header, { ...claims, nbf: claims.exp - 1 }, issuer),
  'scope edited, the old signature': ({ segments, claims }) =>
    [segments[0], b64url(JSON.stringify({ ...claims, scope: 'membrane.register' })), segments[2]].join('.'),
  'the grant edited, the old signature': ({ segments, claims }) =>
    [segments[0], b64url(JSON.stringify({ ...claims, jti: '0'.repeat(32) })), segments[2]].join('.'),
  'unused bits of the signature': ({ segments }) => [segments[0], segments[1], respell(segments[2])].join('.'),
  'unused bits of the claims': ({ header, claims }) => {
    // Spaces make the length one that leaves bits unused; then it is not of our form either way.
    const [head = '', body = ''] = signJwt(header, claims, issuer).split('.');
    const spelled = [head, respell(body)].join('.');
    return `${spelled}.${b64url(sign(null, Buffer.from(spelled), issuer))}`;
  },
  'padded base64': ({ segments }) => `${segments.join('.')}==`,
  'plain base64': ({ segments }) =>
    [segments[0], segments[1], Buffer.from(segments[2], 'base64url').toString('base64')].join('.'),
  'white space in the claims': ({ header, claims }) => signJwt(header, JSON.stringify(claims, null, 1), issuer),
  'a byte of the signature flipped': ({ segments }) => {
    const bytes = Buffer.from(segments[2], 'base64url');
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    return [segments[0], segments[1], b64url(bytes)].join('.');
  },
  'a signature of zeros': ({ segments }) => [segments[0], segments[1], b64url(Buffer.alloc(64))].join('.'),
  'S beyond the group’s order': ({ segments }) => [segments[0], segments[1], b64url(addOrder(segments[2]))].join('.'),
  'a signature too long': ({ segments }) =>
    [segments[0], segments[1], b64url(Buffer.concat([Buffer.from(segments[2], 'base64url'), Buffer.alloc(1)]))].join(
      '.',
    ),
  'the log key’s signature': ({ header, claims }) => signJwt(header, claims, privateKey(rig, 'log')),
  'signed by another seed’s issuer': ({ header, claims }) => signJwt(header, claims, privateKey(other, 'issuer')),
  'four parts': ({ segments }) => `${segments.join('.')}.${segments[2]}`,
  'two parts': ({ segments }) => segments.slice(0, 2).join('.'),
  'nothing but dots': () => '..',
};

function hmac({ header, segments }: Parts, secret: string | Buffer): string {
  const signed = `${b64url(JSON.stringify({ ...header, alg: 'HS256' }))}.${segments[1]}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function signRaw(header: string, payload: string): string {
  const signed = `${b64url(header)}.${b64url(payload)}`;
  return `${signed}.${b64url(sign(null, Buffer.from(signed), issuer))}`;
}

/** The same bytes in another spelling: the last character's unused bits set; or, where none are, one more character. */
function respell(segment: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(segment.at(-1) ?? '');
  const spelled = `${segment.slice(0, -1)}${alphabet[last ^ 1] ?? ''}`;
  return Buffer.from(spelled, 'base64url').equals(Buffer.from(segment, 'base64url')) ? spelled : `${segment}A`;
}

/** S + L is the same signature to a verifier that does not reduce it (RFC 8032 §5.1.7). */
function addOrder(signature: string): Buffer {
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
  const bytes = Buffer.from(signature, 'base64url');
  let s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order;
  for (let i = 32; i < 64; i++, s >>= 8n) bytes[i] = Number(s & 0xffn);
  return bytes;
}

describe('[LOCK-MEMBRANE-1] a forged key', () => {
  test.each(Object.keys(FORGERIES))('%s is refused, and the key itself is not', async (name) => {
    const forged = FORGERIES[name]?.(partsOf(key)) ?? '';
    expect(forged).not.toBe(key);
    const answer = await callOverHttp(rig, forged, 'seed_start');
    expect([answer.status, outcome(answer)]).toEqual([
      401,
      expect.stringMatching(/^(unauthenticated|key_revoked|key_expired)$/),
    ]);
    expect(await enter(key)).toBe('ok');
  });

  test('the remembered signature of a good key lets no edited one in', async () => {
    // The opener remembers texts: a second spelling or another payload must be another text to it.
    expect(await enter(key)).toBe('ok');
    const { segments } = partsOf(key);
    expect(await enter([segments[0], segments[1], respell(segments[2])].join('.'))).toBe('unauthenticated');
    expect(await enter(key)).toBe('ok');
  });

  test('a key of one seed is refused by the other, and accepted at home', async () => {
    const theirs = await issue(other, 'builder');
    expect(await enter(theirs.key)).toBe('unauthenticated');
    expect(outcome(await callOverHttp(other, key, 'seed_start'))).toBe('unauthenticated');
    expect(outcome(await callOverHttp(other, theirs.key, 'seed_start'))).toBe('ok');
    expect(await enter(key)).toBe('ok');
  });

  test('the signature of a checkpoint is no key, nor is a receipt', async () => {
    const { checkpoint } = await asOwner<{ checkpoint: string }>(rig, 'receipt_checkpoint');
    const [text = '', signatures = ''] = checkpoint.split('\n\n');
    const signature = Buffer.from(signatures.trim().split(' ').at(-1) ?? '', 'base64').subarray(4);
    const { segments } = partsOf(key);
    const [newest] = (await receipts(rig)).slice(-1);
    for (const token of [
      [segments[0], segments[1], b64url(signature)].join('.'),
      [segments[0], b64url(`${text}\n`), b64url(signature)].join('.'),
      [segments[0], b64url(JSON.stringify(newest)), b64url(signature)].join('.'),
    ])
      expect(await enter(token)).toBe('unauthenticated');
    expect(await enter(key)).toBe('ok');
  });

  test('an oversized key is refused before anything is computed, and one at the limit is looked at', async () => {
    const { header, claims } = partsOf(key);
    const fill = (chars: number): string => {
      const token = signJwt(header, { ...claims, sub: 'x'.repeat(chars) }, issuer);
      return token.length === TOKEN_CHARS_MAX || chars > 4_000 ? token : fill(chars + 1);
    };
    const atLimit = fill(2_600);
    expect(atLimit).toHaveLength(TOKEN_CHARS_MAX);
    expect(await enter(atLimit)).toBe('ok');
    expect(await enter(signJwt(header, { ...claims, sub: 'x'.repeat(3_500) }, issuer))).toBe('unauthenticated');
    // Longer than Node takes headers at all (RFC 6585 §5).
    const { status } = await rpc(rig, 'x'.repeat(15_000), { method: 'ping' });
    expect(status).toBe(401);
    expect(await rpc(rig, 'x'.repeat(70_000), { method: 'ping' })).toMatchObject({ status: 431 });
  });
});

describe('[LOCK-MEMBRANE-1] what one is told whose key is no good any more', () => {
  test('is that it expired, or was removed, and what to do; a stranger is told neither', async () => {
    const { id, key: own } = await issue(rig, 'told', HELPER, { expires_in_s: 60 });
    const { header, claims } = partsOf(own);
    const before = rig.sources.time;
    try {
      rig.sources.time += 61_000;
      const { status, error } = await callOverHttp(rig, own, 'seed_start');
      expect([status, error?.data?.code]).toEqual([401, 'key_expired']);
      expect(error?.message).toBe(
        'The key has expired. Ask the owner for a new one. If you sign for tokens yourself, fetch the next one.',
      );
      // The same words, signed by somebody else: there is no telling whether such a key ever was.
      const stranger = signJwt(header, claims, ownKey().privateKey);
      expect(await enter(stranger)).toBe('unauthenticated');
      const challenged = await ask(rig, {
        method: 'POST',
        path: '/mcp',
        body: '{}',
        headers: { authorization: `Bearer ${own}` },
      });
      expect(challenged.headers['www-authenticate']).toBe(
        'Bearer error="invalid_token", error_description="The key has expired."',
      );
    } finally {
      rig.sources.time = before;
    }
    expect(await enter(own)).toBe('ok');
    await asOwner(rig, 'key_revoke', { key: id });
    const { error } = await callOverHttp(rig, own, 'seed_start');
    expect([error?.data?.code, error?.message]).toEqual([
      'key_revoked',
      'The key was removed. Ask the owner for a new one.',
    ]);
  });
});

describe('[LOCK-MEMBRANE-1] the times of a key', () => {
  test('hold from nbf until just before exp, by the seed’s own clock', async () => {
    const { claims } = partsOf(key);
    const before = rig.sources.time;
    try {
      for (const [at, expected] of [
        [claims.nbf * 1_000, 'ok'],
        [claims.nbf * 1_000 - 1, 'unauthenticated'],
        [claims.exp * 1_000 - 1, 'ok'],
        [claims.exp * 1_000, 'key_expired'],
        [claims.exp * 1_000 + 86_400_000, 'key_expired'],
      ] as const) {
        rig.sources.time = at;
        expect([at, await enter(key)]).toEqual([at, expected]);
      }
    } finally {
      rig.sources.time = before;
    }
    expect(await enter(key)).toBe('ok');
  });

  test('a row that ends before its key does ends the key', async () => {
    const short = await issue(rig, 'short-lived', HELPER, { expires_in_s: 60 });
    const { header, claims } = partsOf(short.key);
    // The issuer's own signature on a longer time: the row still says a minute.
    const longer = signJwt(header, { ...claims, exp: claims.exp + 3_600 }, issuer);
    const before = rig.sources.time;
    try {
      expect(await enter(longer)).toBe('ok');
      rig.sources.time += 61_000;
      expect(await enter(longer)).toBe('key_expired');
      // What runs no operation is refused as well: at the door.
      expect((await rpc(rig, longer, { method: 'tools/list' })).status).toBe(401);
    } finally {
      rig.sources.time = before;
    }
  });
});

const HELPER = ['seed.status'];

describe('[LOCK-MEMBRANE-1] what a key may do', () => {
  test('comes from its row: scopes written into a good key add nothing', async () => {
    const narrow = await issue(rig, 'narrow', ['seed.status']);
    const { header, claims } = partsOf(narrow.key);
    const wide = signJwt(header, { ...claims, scope: 'receipt.read membrane.register' }, issuer);
    expect(outcome(await callOverHttp(rig, wide, 'seed_status'))).toBe('ok');
    expect(outcome(await callOverHttp(rig, wide, 'receipt_get', { seq: 0 }))).toBe('forbidden');
    expect(outcome(await callOverHttp(rig, key, 'receipt_get', { seq: 0 }))).toBe('ok');
  });

  test('scopes are matched whole, never by prefix, letter case or list', async () => {
    const { id, key: token } = await issue(rig, 'prefix', ['seed.status']);
    for (const scopes of [
      ['receipt'],
      ['receipt.'],
      ['receipt.rea'],
      ['receipt.readmore'],
      ['receipt.read:x'],
      ['receipt.*'],
      ['*'],
      ['RECEIPT.READ'],
      [' receipt.read'],
      ['receipt.note receipt.read'],
    ]) {
      edit(rig.home, 'UPDATE substrate_grants SET scopes = ? WHERE id = ?', JSON.stringify(scopes), id);
      expect([scopes, outcome(await callOverHttp(rig, token, 'receipt_get', { seq: 0 }))]).toEqual([
        scopes,
        'forbidden',
      ]);
    }
    edit(rig.home, 'UPDATE substrate_grants SET scopes = ? WHERE id = ?', '["receipt.read"]', id);
    expect(outcome(await callOverHttp(rig, token, 'receipt_get', { seq: 0 }))).toBe('ok');
  });
});

test('[LOCK-MEMBRANE-1] an opener knows only the issuer keys that it is given', () => {
  const [ours, theirs] = [ownKey(), ownKey()];
  const signer = (own: typeof ours) => ({
    publicKey: Buffer.from(own.publicKey, 'base64'),
    sign: (message: Uint8Array) => sign(null, message, own.privateKey),
  });
  const claims: Claims = { iss: 'i', aud: 'a', sub: 's', jti: 'a'.repeat(32), scope: '', iat: 1, nbf: 1, exp: 9 };
  const options = { issuer: 'i', audiences: ['a'], now: () => 5_000 };
  const open = createAccessKeyOpener({ ...options, issuerKeys: [signer(ours).publicKey] });
  expect(open(mintAccessKey(claims, signer(ours)))).toEqual(claims);
  expect(() => open(mintAccessKey(claims, signer(theirs)))).toThrow('not an access key of this seed');
  const both = createAccessKeyOpener({ ...options, issuerKeys: [ours, theirs].map((own) => signer(own).publicKey) });
  expect(both(mintAccessKey(claims, signer(theirs)))).toEqual(claims);
});
