/** Tokens for helpers that hold their own key: what an assertion must say, and that it is used up. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REMEMBERED_PER_GRANT_MAX } from '../../src/membrane/token-endpoint.ts';
import type { OwnKey, Rig } from '../doors/rig.ts';
import {
  ask,
  askOwner,
  askToken,
  asOwner,
  b64url,
  callOverHttp,
  issue,
  listen,
  openRig,
  outcome,
  ownKey,
  receipts,
  signJwt,
} from '../doors/rig.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;
let helper: OwnKey;
let client: string;
let serial = 0;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
  helper = ownKey();
  ({ id: client } = await issue(rig, 'ci', ['seed.status'], { public_key: helper.publicKey }));
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

const HEADER = { alg: 'EdDSA', typ: 'JWT' };
const seconds = (): number => Math.floor(rig.sources.time / 1_000);

function claims(more: object = {}): Record<string, unknown> {
  const now = seconds();
  const aud = `http://127.0.0.1:${rig.port}`;
  return { iss: client, sub: client, aud, jti: `assertion-${++serial}`, iat: now, exp: now + 300, ...more };
}

const assertion = (more: object = {}, header: object = {}): string =>
  signJwt({ ...HEADER, ...header }, claims(more), helper.privateKey);

interface Token {
  readonly access_token: string;
  readonly expires_in: number;
  readonly error?: string;
}

async function token(text: string, form: object = {}): Promise<Token & { status: number }> {
  const answer = await askToken(rig, text, form);
  return { ...(JSON.parse(answer.text) as Token), status: answer.status };
}

async function expectGood(): Promise<void> {
  expect(await token(assertion())).toMatchObject({ status: 200, expires_in: 300, scope: 'seed.status' });
}

const text = (value: object): string => JSON.stringify(value);

/** Each is signed by the helper's own key, unless that is what is wrong with it. */
const BAD: Readonly<Record<string, () => string>> = {
  'alg none': () => `${b64url(text({ ...HEADER, alg: 'none' }))}.${b64url(text(claims()))}.`,
  'HS256 with the public key': () => {
    const signed = `${b64url(text({ ...HEADER, alg: 'HS256' }))}.${b64url(text(claims()))}`;
    const secret = Buffer.from(helper.publicKey, 'base64');
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  },
  'unknown crit': () => assertion({}, { crit: ['exp'] }),
  'an embedded jwk with its own signature': () => {
    const { privateKey, publicKey } = ownKey();
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: b64url(Buffer.from(publicKey, 'base64')) };
    return signJwt({ ...HEADER, jwk }, claims(), privateKey);
  },
  'another helper’s key': () => signJwt(HEADER, claims(), ownKey().privateKey),
  'a wrong audience': () => assertion({ aud: 'http://example.com' }),
  'the MCP address as audience': () => assertion({ aud: `http://127.0.0.1:${rig.port}/mcp` }),
  'the audience with a slash': () => assertion({ aud: `http://127.0.0.1:${rig.port}/` }),
  'a list with the audience': () => assertion({ aud: [`http://127.0.0.1:${rig.port}`] }),
  'a list with one more': () => assertion({ aud: [`http://127.0.0.1:${rig.port}`, 'http://example.com'] }),
  'no audience': () => assertion({ aud: undefined }),
  'no jti': () => assertion({ jti: undefined }),
  'no exp': () => assertion({ exp: undefined }),
  'valid for longer than five minutes': () => assertion({ exp: seconds() + 331 }),
  'valid for an hour, most of it gone': () => assertion({ iat: seconds() - 3_500, exp: seconds() + 100 }),
  expired: () => assertion({ iat: seconds() - 400, exp: seconds() - 100 }),
  'issued in the future': () => assertion({ iat: seconds() + 60 }),
  'not valid yet': () => assertion({ nbf: seconds() + 60 }),
  'not valid yet, and issued now': () => assertion({ nbf: seconds() + 60, iat: seconds() }),
  'issued in the future, and valid now': () => assertion({ nbf: seconds(), iat: seconds() + 60 }),
  'another subject': () => assertion({ sub: 'f'.repeat(32) }),
  'another issuer': () => assertion({ iss: 'f'.repeat(32) }),
  'a name in place of the id': () => assertion({ iss: 'ci', sub: 'ci' }),
  'a name twice': () => signJwt(HEADER, text(claims()).replace('{', '{"jti":"first",'), helper.privateKey),
  'a name twice in a part': () =>
    signJwt(HEADER, text(claims({ x: { a: 1 } })).replace('"a":1', '"a":1,"a":2'), helper.privateKey),
  'a name twice in the header': () => {
    const signed = `${b64url('{"alg":"none","alg":"EdDSA"}')}.${b64url(text(claims()))}`;
    return `${signed}.${signJwt(HEADER, {}, helper.privateKey).split('.')[2] ?? ''}`;
  },
  'padded base64': () => `${assertion()}==`,
  'four parts': () => `${assertion()}.x`,
  'no JSON': () => signJwt(HEADER, 'nonsense', helper.privateKey),
  'an array': () => signJwt(HEADER, '[]', helper.privateKey),
  'nested without end': () => signJwt(HEADER, `{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`, helper.privateKey),
};

describe('[LOCK-MEMBRANE-1] an assertion', () => {
  test.each(Object.keys(BAD))('%s: no token, and a good one is given', async (name) => {
    const answer = await token(BAD[name]?.() ?? '');
    expect([answer.status, answer.error]).toEqual([401, 'invalid_client']);
    expect(answer.access_token).toBeUndefined();
    await expectGood();
  });

  test('may hold claims of its own, with colons and quotes in them', async () => {
    const answer = await token(assertion({ note: 'x', odd: ['a', ':b', '"c":'], 'a:"b': { '': ':' } }));
    expect(answer.status).toBe(200);
  });

  test('may come a little early or late: two clocks differ', async () => {
    expect((await token(assertion({ iat: seconds() + 29 }))).status).toBe(200);
    expect((await token(assertion({ exp: seconds() + 329, iat: undefined }))).status).toBe(200);
    expect((await token(assertion({ iat: seconds() - 310, exp: seconds() - 29 }))).status).toBe(200);
  });

  test('gives a token for five minutes by the seed’s clock, under the same grant', async () => {
    const { access_token: key } = await token(assertion());
    const enter = async (): Promise<string> => outcome(await callOverHttp(rig, key, 'seed_status'));
    const before = rig.sources.time;
    try {
      expect(await enter()).toBe('ok');
      rig.sources.time = before + 299_000;
      expect(await enter()).toBe('ok');
      rig.sources.time = before + 301_000;
      expect(await enter()).toBe('key_expired');
    } finally {
      rig.sources.time = before;
    }
    expect(outcome(await callOverHttp(rig, key, 'receipt_get', { seq: 0 }))).toBe('forbidden');
  });

  test('a token never outlives its grant', async () => {
    const own = ownKey();
    const { id } = await issue(rig, 'brief', ['seed.status'], { public_key: own.publicKey, expires_in_s: 60 });
    const answer = await token(signJwt(HEADER, claims({ iss: id, sub: id }), own.privateKey));
    expect(answer.expires_in).toBe(60);
  });

  test('is no key itself, and a key is no assertion', async () => {
    const said = assertion();
    expect(outcome(await callOverHttp(rig, said, 'seed_start'))).toBe('unauthenticated');
    const { access_token: key } = await token(said);
    expect(outcome(await callOverHttp(rig, key, 'seed_start'))).toBe('ok');
    expect((await token(key)).status).toBe(401);
  });
});

describe('[LOCK-MEMBRANE-1] a used assertion', () => {
  test('is refused, at once and of any number sent together one is taken', async () => {
    const said = assertion();
    const answers = await Promise.all(Array.from({ length: 20 }, () => token(said)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status, error }) => status === 401 && error === 'invalid_client')).toHaveLength(19);
    expect((await token(said)).status).toBe(401);
    await expectGood();
  });

  test('is taken once by those who found it unused at the same moment: the transaction looks again', async () => {
    const { substrate } = rig;
    const operate = substrate.operate.bind(substrate);
    const both = Promise.withResolvers<void>();
    let arrived = 0;
    substrate.operate = async (options, fn) => {
      if (options.action === 'membrane.token' && ++arrived === 2) both.resolve();
      await both.promise;
      return operate(options, fn);
    };
    try {
      const said = assertion();
      const answers = await Promise.all([token(said), token(said)]);
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
    } finally {
      substrate.operate = operate;
    }
  });

  test('is refused in every spelling: the jti counts, not the text', async () => {
    const said = claims();
    expect((await token(signJwt(HEADER, said, helper.privateKey))).status).toBe(200);
    expect((await token(signJwt(HEADER, { ...said, note: 'x' }, helper.privateKey))).status).toBe(401);
  });

  test('stays refused across a restart, for as long as it could be valid', async () => {
    using own = scratch();
    const before = await openRig(own.at('home'));
    const { port, sources } = before;
    const key = ownKey();
    const { id } = await issue(before, 'ci', ['seed.status'], { public_key: key.publicKey });
    const sign = (jti: string): string => {
      const now = Math.floor(sources.time / 1_000);
      return signJwt(
        HEADER,
        { iss: id, sub: id, aud: `http://127.0.0.1:${port}`, jti, exp: now + 300 },
        key.privateKey,
      );
    };
    const used = sign('used');
    expect((await askToken(before, used)).status).toBe(200);
    await before.close();
    await using after = await openRig(own.at('home'), { port, sources });
    expect((await askToken(after, used)).status).toBe(401);
    for (const later of [200_000, 299_000, 329_000, 331_000, 10_000_000]) {
      sources.time += later;
      // A token in between makes the seed forget whatever it no longer needs.
      expect((await askToken(after, sign(`fresh ${later}`))).status).toBe(200);
      expect((await askToken(after, used)).status).toBe(401);
      sources.time -= later;
    }
  });

  test('shown again and again costs no receipts: one who stole it could fill the log', async () => {
    const said = assertion();
    expect((await token(said)).status).toBe(200);
    const { size } = await rig.substrate.log();
    for (let i = 0; i < 20; i++) expect((await token(said)).status).toBe(401);
    expect((await rig.substrate.log()).size).toBe(size);
  });

  test('of one client is remembered apart from those of others, and its room empties again', async () => {
    const own = scratch();
    await using full = await openRig(own.at('home'));
    const key = ownKey();
    const { id } = await issue(full, 'ci', ['seed.status'], { public_key: key.publicKey });
    const { id: other } = await issue(full, 'other', ['seed.status'], { public_key: key.publicKey });
    await full.substrate.maintain(async (tx) => {
      await tx.run(
        `INSERT INTO substrate_assertions (id, expires_at)
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           SELECT ? || ':filled ' || i, ? FROM n`,
        REMEMBERED_PER_GRANT_MAX,
        id,
        full.sources.time,
      );
    });
    const sign = (jti: string, who = id): string =>
      signJwt(
        HEADER,
        {
          iss: who,
          sub: who,
          aud: `http://127.0.0.1:${full.port}`,
          jti,
          exp: Math.floor(full.sources.time / 1_000) + 100,
        },
        key.privateKey,
      );
    const { size } = await full.substrate.log();
    const refused = await askToken(full, sign('too many'));
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '60']);
    expect(JSON.parse(refused.text)).toMatchObject({ error: 'invalid_request' });
    // It costs no receipt: a client that asks on and on could fill the log with them.
    expect((await full.substrate.log()).size).toBe(size);
    expect((await askToken(full, sign('too many', other))).status).toBe(200);
    full.sources.time += 32_000;
    expect((await askToken(full, sign('room again'))).status).toBe(200);
    await full.close();
    own[Symbol.dispose]();
  });
});

describe('[LOCK-MEMBRANE-2] without its grant', () => {
  test('an assertion gives nothing, and a token given before lets nobody in', async () => {
    const own = ownKey();
    const { id } = await issue(rig, 'leaver', ['seed.status'], { public_key: own.publicKey });
    const sign = (): string => signJwt(HEADER, claims({ iss: id, sub: id }), own.privateKey);
    const { access_token: key } = await token(sign());
    expect(outcome(await callOverHttp(rig, key, 'seed_start'))).toBe('ok');
    const unused = sign();
    await asOwner(rig, 'key_revoke', { key: 'leaver' });
    expect(outcome(await callOverHttp(rig, key, 'seed_start'))).toBe('key_revoked');
    expect((await token(unused)).status).toBe(401);
    expect((await token(sign())).status).toBe(401);
    await expectGood();
  });

  test('nor does one of a grant that has ended, or holds no public key', async () => {
    const own = ownKey();
    const { id } = await issue(rig, 'ended', ['seed.status'], { public_key: own.publicKey, expires_in_s: 60 });
    const bearer = await issue(rig, 'bearer', ['seed.status']);
    const sign = (sub: string): string => signJwt(HEADER, claims({ iss: sub, sub }), own.privateKey);
    expect((await token(sign(id))).status).toBe(200);
    expect((await token(sign(bearer.id))).status).toBe(401);
    const before = rig.sources.time;
    rig.sources.time += 61_000;
    try {
      expect((await token(sign(id))).status).toBe(401);
    } finally {
      rig.sources.time = before;
    }
  });
});

describe('the form', () => {
  test.each([
    ['no type', {}],
    ['JSON', { 'content-type': 'application/json' }],
    ['plain text', { 'content-type': 'text/plain' }],
    ['a type that begins alike', { 'content-type': 'application/x-www-form-urlencodedx' }],
  ])('as %s is refused', async (_name, headers) => {
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_assertion: assertion() }).toString();
    const answer = await ask(rig, { method: 'POST', path: '/oauth/token', headers, body });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      415,
      expect.objectContaining({ error: 'invalid_request' }),
    ]);
  });

  test('with a field twice, too large, of another grant type, or by GET is refused', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
    const post = (body: string) => ask(rig, { method: 'POST', path: '/oauth/token', headers, body });
    expect((await post('grant_type=client_credentials&grant_type=client_credentials')).status).toBe(400);
    expect((await post(`client_assertion=${'x'.repeat(20_000)}`)).status).toBe(413);
    expect((await post('')).status).toBe(400);
    expect((await post('__proto__=x&constructor=y')).status).toBe(400);
    expect(await ask(rig, { path: '/oauth/token' })).toMatchObject({
      status: 405,
      headers: { allow: 'POST', 'cache-control': 'no-store', pragma: 'no-cache' },
    });
    const twice = await post('resource=a&resource=b');
    expect([twice.status, JSON.parse(twice.text)]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'A field of the form comes twice.' },
    ]);
    expect(await token(assertion(), { grant_type: 'authorization_code' })).toMatchObject({
      status: 400,
      error: 'unsupported_grant_type',
    });
    await expectGood();
  });
});

describe('[LOCK-MEMBRANE-3] a token for less', () => {
  const CLIENT_SCOPES = ['membrane.list', 'membrane.register', 'receipt.read', 'seed.status'];
  let own: OwnKey;
  let id: string;

  beforeAll(async () => {
    own = ownKey();
    ({ id } = await issue(rig, 'wide', CLIENT_SCOPES, { public_key: own.publicKey }));
  });

  const askFor = (form: object): Promise<Token & { status: number; scope?: string }> =>
    token(signJwt(HEADER, claims({ iss: id, sub: id }), own.privateKey), form);

  test('does no more than it was asked for, at every door to more, and the whole grant does', async () => {
    const { access_token: key, scope } = await askFor({ scope: 'seed.status membrane.register' });
    expect(scope).toBe('membrane.register seed.status');
    expect(outcome(await callOverHttp(rig, key, 'seed_status'))).toBe('ok');
    expect(outcome(await callOverHttp(rig, key, 'receipt_get', { seq: 0 }))).toBe('forbidden');
    expect(outcome(await callOverHttp(rig, key, 'membrane_list'))).toBe('forbidden');
    const start = await callOverHttp(rig, key, 'seed_start');
    expect(start.result?.structuredContent?.['you']).toMatchObject({ scopes: ['membrane.register', 'seed.status'] });
    // Not by a child of its own either.
    const child = { name: 'narrow-child', public_key: ownKey().publicKey };
    const wider = await callOverHttp(rig, key, 'membrane_register', { ...child, scopes: ['receipt.read'] });
    expect(outcome(wider)).toBe('forbidden');
    expect(outcome(await callOverHttp(rig, key, 'membrane_register', { ...child, scopes: ['seed.status'] }))).toBe(
      'ok',
    );
    const stream = await listen(rig, key, ['seed://checkpoint', 'seed://status']);
    expect(stream.events.join('')).toContain('"resourceSubscriptions":["seed://status"]');
    stream.close();
    const { access_token: whole } = await askFor({});
    expect(outcome(await callOverHttp(rig, whole, 'receipt_get', { seq: 0 }))).toBe('ok');
  });

  test('asking the owner for what the grant holds anyway changes nothing, and says so', async () => {
    const { access_token: key } = await askFor({ scope: 'seed.status' });
    const answer = await callOverHttp(rig, key, 'membrane_request', { scopes: ['receipt.read'], reason: 'x' });
    expect(answer.result?.structuredContent).toMatchObject({ status: 'held', request: null, receipt: null });
    expect(outcome(await callOverHttp(rig, key, 'receipt_get', { seq: 0 }))).toBe('forbidden');
  });

  test.each([
    ['a scope that it does not hold', { scope: 'seed.status receipt.note' }, 400, 'invalid_scope'],
    ['a scope that does not exist', { scope: 'admin' }, 400, 'invalid_scope'],
    ['a scope by its beginning', { scope: 'receipt' }, 400, 'invalid_scope'],
    ['an empty scope', { scope: '' }, 400, 'invalid_scope'],
    ['two blanks between', { scope: 'seed.status  receipt.read' }, 400, 'invalid_scope'],
    ['another resource', { resource: 'https://example.com/mcp' }, 400, 'invalid_target'],
    ['no address as resource', { resource: 'seed' }, 400, 'invalid_target'],
    ['another client', { client_id: 'f'.repeat(32) }, 401, 'invalid_client'],
    ['a secret beside the assertion', { client_secret: 'x' }, 400, 'invalid_request'],
  ])('%s: no token, and the assertion is not used up', async (_name, form, status, error) => {
    const said = signJwt(HEADER, claims({ iss: id, sub: id }), own.privateKey);
    const refused = await token(said, form);
    expect([refused.status, refused.error, refused.access_token]).toEqual([status, error, undefined]);
    const good = { scope: 'seed.status', resource: `http://127.0.0.1:${rig.port}/mcp`, client_id: id };
    expect((await token(said, good)).status).toBe(200);
  });
});

describe('[LOCK-MEMBRANE-1] registering a public key', () => {
  const SMALL_ORDER = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    // Not canonical: p + 1 and p, the identity and zero in another spelling.
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => Buffer.from(hex, 'hex').toString('base64'));

  test.each([
    ...SMALL_ORDER,
    'AAAA',
    '',
    'not base64 at all',
    Buffer.alloc(33, 7).toString('base64'),
    // The right length and spelled with bits to spare.
    ownKey().publicKey.replace(/.=$/, 'B='),
    Buffer.from(ownKey().publicKey, 'base64').toString('base64url'),
  ])('%s is refused', async (publicKey) => {
    const answer = await askOwner(rig, 'key_issue', { name: 'weak', scopes: ['seed.status'], public_key: publicKey });
    expect(answer.error?.code).toBe('invalid_input');
  });

  test('an honest one is accepted', async () => {
    const answer = await askOwner(rig, 'key_issue', {
      name: 'honest',
      scopes: ['seed.status'],
      public_key: ownKey().publicKey,
    });
    expect(answer.error).toBeUndefined();
    expect(answer.result).toMatchObject({ key: null });
  });
});

test('every token that was given has a receipt of its grant', async () => {
  const before = (await receipts(rig, { action: 'membrane.token' })).length;
  await expectGood();
  const given = await receipts(rig, { action: 'membrane.token' });
  expect(given).toHaveLength(before + 1);
  expect(given.at(-1)).toMatchObject({ actor: { grant: client, kind: 'helper' }, outcome: 'ok' });
});
