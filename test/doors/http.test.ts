/** The HTTP door: what it refuses before it looks at a key, what it takes of one client, and when it stays shut. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGuard } from '../../src/doors/http-guard.ts';
import * as limits from '../../src/doors/limits.ts';
import type { Answer, Ask, IssuedKey, Rig } from './rig.ts';
import {
  ask,
  asOwner,
  callOverHttp,
  connectAgent,
  issue,
  listen,
  listenAnywhere,
  openRig,
  outcome,
  receipts,
  rpc,
} from './rig.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;
let helper: IssuedKey;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
  helper = await issue(rig, 'helper');
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

/** A good request to `/mcp`, with something changed. */
function post({ headers = {}, ...more }: Ask = {}): Promise<Answer> {
  return ask(rig, {
    method: 'POST',
    path: '/mcp',
    body: PING,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${helper.key}`,
      ...headers,
    },
    ...more,
  });
}

async function expectOpen(): Promise<void> {
  expect((await post()).status).toBe(200);
}

function codeOf({ text }: Answer): string {
  const body = JSON.parse(text) as { error: { code: unknown; data?: { code: string } } };
  return body.error.data?.code ?? String(body.error.code);
}

describe('[LOCK-MEMBRANE-1] a request that was not meant for this door', () => {
  test.each([
    ['a name that was rebound', 'evil.example.com'],
    ['a rebound name with our port', 'evil.example.com:PORT'],
    ['a name that begins like ours', '127.0.0.1:PORT.evil.com'],
    ['a name that ends like ours', 'evil-localhost:PORT'],
    ['another port', '127.0.0.1:1'],
    ['no port', '127.0.0.1'],
    ['another spelling of loopback', '127.1:PORT'],
    ['a number', '2130706433:PORT'],
    ['a user before it', 'localhost@evil.com:PORT'],
  ])('by %s in Host is refused', async (_what, host) => {
    const answer = await post({ headers: { host: host.replace('PORT', String(rig.port)) } });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'forbidden']);
    await expectOpen();
  });

  test.each(['127.0.0.1', 'localhost', '[::1]', 'LOCALHOST'])('Host %s with our port is ours', async (name) => {
    expect((await post({ headers: { host: `${name}:${rig.port}` } })).status).toBe(200);
  });

  test.each([
    'http://evil.example.com',
    'https://localhost',
    'http://localhost.evil.com',
    'http://localhost:1234.evil.com',
    'http://evil.com/http://localhost',
    'http://127.0.0.1@evil.com',
    'null',
    'file://',
    '',
  ])('by a page of origin "%s" is refused', async (origin) => {
    const answer = await post({ headers: { origin } });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'forbidden']);
    // Whoever may ask must not be told by CORS that it may.
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    await expectOpen();
  });

  test.each(['http://localhost:6274', 'http://127.0.0.1', 'http://[::1]:8080'])(
    'a page of %s is on the box',
    async (origin) => {
      expect((await post({ headers: { origin } })).status).toBe(200);
    },
  );

  test('behind a proxy the pinned name and origin are ours too, and no other', () => {
    const guard = createGuard({ port: 7331, publicUrl: new URL('https://seed.example.org') });
    const from = (headers: object): Parameters<typeof guard>[0] => ({ url: '/mcp', headers, rawHeaders: [] }) as never;
    expect(() => guard(from({ host: 'seed.example.org', origin: 'https://seed.example.org' }))).not.toThrow();
    expect(() => guard(from({ host: '127.0.0.1:7331' }))).not.toThrow();
    expect(() => guard(from({ host: 'seed.example.org:444' }))).toThrow('does not answer');
    expect(() => guard(from({ host: 'example.org' }))).toThrow('does not answer');
    expect(() => guard(from({ host: 'seed.example.org', origin: 'http://seed.example.org' }))).toThrow('origin');
  });
});

describe('[LOCK-MEMBRANE-1] a key in an address', () => {
  test('is refused, whether or not another comes in the header, and is written nowhere', async () => {
    const secret = helper.key.slice(-40);
    for (const path of [
      `/mcp?access_token=${helper.key}`,
      `/mcp?key=${helper.key}`,
      `/healthz?${helper.key}`,
      '/mcp?',
    ]) {
      const answers = [await post({ path }), await post({ path, headers: { authorization: '' } })];
      for (const answer of answers) {
        expect(answer.status).toBe(400);
        expect(answer.text).not.toContain(secret);
      }
    }
    expect(JSON.stringify(await receipts(rig))).not.toContain(secret);
    expect(JSON.stringify(rig.defects)).not.toContain(secret);
    await expectOpen();
  });

  test('or a path, a cookie, a basic login or a proxy’s header is not looked at', async () => {
    expect((await post({ path: `/mcp/${helper.key}` })).status).toBe(404);
    for (const headers of [
      { cookie: `access_token=${helper.key}` },
      { 'x-api-key': helper.key },
      { 'proxy-authorization': `Bearer ${helper.key}` },
      { authorization: `Basic ${Buffer.from(`x:${helper.key}`).toString('base64')}` },
      { authorization: helper.key },
      { authorization: `Bearer  ${helper.key}` },
      { authorization: `Bearer ${helper.key} ${helper.key}` },
      { authorization: `Bearer ${helper.key},` },
      { authorization: 'Bearer' },
    ]) {
      const answer = await ask(rig, { method: 'POST', path: '/mcp', body: PING, headers });
      expect([headers, answer.status]).toEqual([headers, 401]);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
      expect(answer.headers['www-authenticate']).not.toContain(helper.key.slice(-40));
    }
    // RFC 9110 §11.1: the scheme's letters may be of either case.
    expect((await post({ headers: { authorization: `bearer ${helper.key}` } })).status).toBe(200);
  });
});

describe('what is too much', () => {
  test('a body beyond the limit is refused, said or unsaid how long it is', async () => {
    const body = Buffer.alloc(limits.HTTP_BODY_BYTES_MAX + 1, 0x20);
    const answer = await post({ body }).catch((error: NodeJS.ErrnoException) => error.code ?? '');
    if (typeof answer === 'string') expect(['EPIPE', 'ECONNRESET']).toContain(answer);
    else expect([answer.status, codeOf(answer)]).toEqual([413, 'too_large']);
    const padded = Buffer.concat([Buffer.from(PING), Buffer.alloc(limits.HTTP_BODY_BYTES_MAX - PING.length, 0x20)]);
    expect((await post({ body: padded })).status).toBe(200);
  });

  test('JSON nested deeper than 64 is refused, and 60 deep is read', async () => {
    const nested = (depth: number): string =>
      `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}}`;
    const deep = await post({ body: nested(100) });
    expect([deep.status, codeOf(deep)]).toEqual([400, 'invalid_input']);
    expect((await post({ body: nested(60) })).status).toBe(200);
    expect((await post({ body: '['.repeat(1_000_000) })).status).toBe(400);
  });

  test.each([
    undefined,
    'text/plain',
    'application/jsonx',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
  ])('a body of type %s is refused', async (type) => {
    const answer = await post({ headers: { 'content-type': type ?? '' } });
    expect(answer.status).toBe(415);
    await expectOpen();
  });

  test.each(['', 'nonsense', '{', '"text"', '12', 'null', '\u0000'])('a body that is %j is refused', async (body) => {
    const { status } = await post({ body });
    expect(status).toBe(400);
  });

  test('a long batch is refused', async () => {
    const batch = (length: number): string => JSON.stringify(Array.from({ length }, () => JSON.parse(PING) as unknown));
    expect((await post({ body: batch(limits.BATCH_MAX + 1) })).status).toBe(413);
    expect((await post({ body: batch(limits.BATCH_MAX) })).status).toBe(200);
  });

  test('headers beyond Node’s limit are refused, and the door stands', async () => {
    const answer = await post({ headers: { 'x-long': 'x'.repeat(30_000) } }).catch(() => null);
    if (answer !== null) expect(answer.status).toBe(431);
    await expectOpen();
  });

  test('too many streams under one key are refused, and another key has its own', async () => {
    const [greedy, other] = [await issue(rig, 'greedy'), await issue(rig, 'modest')];
    const streams = await Promise.all(
      Array.from({ length: limits.STREAMS_PER_KEY_MAX }, () => listen(rig, greedy.key)),
    );
    const more = await listen(rig, greedy.key);
    expect(more.events.join('')).toContain('too_many');
    const theirs = await listen(rig, other.key);
    expect(theirs.ended()).toBe(false);
    streams[0]?.close();
    await until(() => rig.membrane.work.count(greedy.id) < limits.STREAMS_PER_KEY_MAX, 'one to be gone');
    const again = await listen(rig, greedy.key);
    expect(again.events.join('')).toContain('acknowledged');
    for (const stream of [...streams, theirs, again]) stream.close();
    await until(() => rig.membrane.work.grants().length === 0, 'all to be gone');
  });

  test('too many requests at once under one key are refused with 429, and another key has its own', async () => {
    const [greedy, other] = [await issue(rig, 'crowded'), await issue(rig, 'roomy')];
    const open = Array.from({ length: limits.REQUESTS_PER_KEY_MAX }, () =>
      rig.membrane.work.register(greedy.id, () => {}),
    );
    const knock = ({ key }: IssuedKey): Promise<Answer> => post({ headers: { authorization: `Bearer ${key}` } });
    const refused = await knock(greedy);
    expect([refused.status, codeOf(refused), refused.headers['retry-after']]).toEqual([429, 'too_many', '5']);
    expect((await knock(other)).status).toBe(200);
    open[0]?.();
    expect((await knock(greedy)).status).toBe(200);
    for (const release of open) release();
  });

  test('whoever hangs up in the middle is no defect, with a key or without', async () => {
    const before = rig.defects.length;
    for (const path of ['/oauth/token', '/mcp']) {
      const headers = {
        'content-type': path === '/mcp' ? 'application/json' : 'application/x-www-form-urlencoded',
        authorization: `Bearer ${helper.key}`,
        'content-length': 100,
      };
      const outgoing = request({ port: rig.port, host: '127.0.0.1', method: 'POST', path, headers, agent: false });
      outgoing.on('error', () => {});
      const connected = Promise.withResolvers<void>();
      outgoing.write('{', () => connected.resolve());
      await connected.promise;
      outgoing.destroy();
    }
    await expectOpen();
    await until(() => rig.membrane.work.grants().length === 0, 'both to be gone');
    expect(rig.defects.slice(before)).toEqual([]);
  });
});

describe('[LOCK-MEMBRANE-1] a header that comes twice', () => {
  test.each(['host', 'authorization', 'content-type', 'origin'])(
    '%s is refused: which of the two counts?',
    async (twice) => {
      const given: Record<string, string> = {
        host: `127.0.0.1:${rig.port}`,
        authorization: `Bearer ${helper.key}`,
        'content-type': 'application/json',
        origin: 'http://localhost',
        accept: 'application/json, text/event-stream',
        'content-length': String(PING.length),
      };
      const raw = (names: readonly string[]): Promise<string> => {
        const lines = names.map((name) => `${name}: ${given[name] ?? ''}`);
        return sendRaw(`POST /mcp HTTP/1.1\r\n${lines.join('\r\n')}\r\nconnection: close\r\n\r\n${PING}`);
      };
      expect(await raw(Object.keys(given))).toMatch(/^HTTP\/1\.1 200 /);
      const answer = await raw([...Object.keys(given), twice]);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain(`The header ${twice} comes twice.`);
    },
  );
});

/** Sends bytes as they are and resolves to the one answer that comes back. */
function sendRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(rig.port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
      // The end of a body, in one piece or in chunks.
      if (/\r\n\r\n[^]*(?:\}|\r\n0\r\n\r\n)$/.test(answer)) socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(answer));
  });
}

describe('how a body is written', () => {
  const note = (text: string): string =>
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"receipt_note","arguments":{"text":"${text}"}}}`;

  test.each([
    ['bytes that are no UTF-8', { body: Buffer.from(note('\u00ff'), 'latin1') }, 400, 'invalid_input'],
    [
      'a character cut in two',
      { body: Buffer.from(Buffer.from(note('€')).filter((byte) => byte !== 0xac)) },
      400,
      'invalid_input',
    ],
    ['half a surrogate pair', { body: note('\\ud83c') }, 400, 'invalid_input'],
    ['half a pair as a name', { body: note('x","\\uDF31":"') }, 400, 'invalid_input'],
    ['a compressed body', { headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported_type'],
    ['two codings', { headers: { 'content-encoding': 'identity, gzip' } }, 415, 'unsupported_type'],
    [
      'another character set',
      { headers: { 'content-type': 'application/json; charset=latin1' } },
      415,
      'unsupported_type',
    ],
    ['another type', { headers: { 'content-type': 'text/plain' } }, 415, 'unsupported_type'],
  ] as const)('%s: refused, and on record as the helper’s own', async (_what, what, status, code) => {
    const { size } = await rig.substrate.log();
    const answer = await post(what);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(await receipts(rig, { from: size })).toMatchObject([
      { action: 'membrane.call', outcome: 'refused', code, actor: { grant: helper.id } },
    ]);
  });

  test.each([
    { 'content-type': 'application/json; charset=utf-8' },
    { 'content-type': 'Application/JSON;Charset="UTF-8"' },
    { 'content-type': 'application/json; profile=x' },
    { 'content-encoding': 'identity' },
  ])('%j is taken', async (headers) => {
    expect((await post({ headers })).status).toBe(200);
    expect((await post({ headers, body: note('\\ud83c\\udf31 \u{1F331} €') })).status).toBe(200);
  });
});

describe('what a key listens to', () => {
  test('is only what it may read', async () => {
    const blind = await issue(rig, 'blind', ['seed.status']);
    const stream = await listen(rig, blind.key, [
      'seed://checkpoint',
      'seed://status',
      'seed://receipts/0',
      'file:///',
    ]);
    expect(stream.events.join('')).toContain('"resourceSubscriptions":["seed://status"]');
    await callOverHttp(rig, helper.key, 'receipt_note', { text: 'a change' });
    await until(() => stream.events.join('').includes('resources/updated'), 'to be told');
    expect(stream.events.join('')).not.toContain('seed://checkpoint');
    stream.close();
  });
});

describe('paths', () => {
  test('OAuth documents are a clean 404 until the owner turns them on', async () => {
    const paths = [
      '/.well-known/oauth-protected-resource',
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-authorization-server',
    ];
    const statuses = async (): Promise<number[]> =>
      Promise.all(paths.map(async (path) => (await ask(rig, { path })).status));
    const challenge = async (): Promise<unknown> =>
      (await post({ headers: { authorization: 'Bearer x' } })).headers['www-authenticate'];
    expect(await statuses()).toEqual([404, 404, 404]);
    expect(await challenge()).not.toContain('resource_metadata');
    await asOwner(rig, 'config_set', { name: 'oauth', value: 'on' });
    expect(await statuses()).toEqual([200, 200, 200]);
    const written = await ask(rig, { method: 'POST', path: paths[0] ?? '', body: '{}' });
    expect([written.status, written.headers.allow]).toEqual([405, 'GET, HEAD']);
    expect(await challenge()).toContain('resource_metadata');
    await asOwner(rig, 'config_set', { name: 'oauth', value: 'off' });
    expect(await statuses()).toEqual([404, 404, 404]);
  });

  test.each(['PUT', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'GET', 'DELETE'])('%s /mcp is not allowed', async (method) => {
    const answer = await post({ method, body: '' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
    await expectOpen();
  });

  test('the owner’s calls are not served here', async () => {
    const body = JSON.stringify({ tool: 'key_list', input: {} });
    for (const path of ['/call', '/mcp/call', '//call', '/./call'])
      expect((await ask(rig, { method: 'POST', path, body })).status).toBe(404);
  });
});

describe('[LOCK-MEMBRANE-1] a port that somebody else has', () => {
  test('keeps the HTTP door shut, so that nobody collects keys; the rest serves, and says so', async () => {
    using own = scratch();
    const squatter = createServer((socket) => socket.destroy());
    const port = await listenAnywhere(squatter);
    const shut = await openRig(own.at('home'), { port });
    expect(shut.doors.httpProblem).toMatchObject({ code: 'daemon_failed', data: { port } });
    const agent = await connectAgent(shut, 'cursor');
    expect(outcome(await agent.call('seed_start'))).toBe('ok');
    agent.close();
    await issue(shut, 'for-later');
    await shut.close();
    await new Promise((resolve) => squatter.close(resolve));
    await using open = await openRig(own.at('home'), { port });
    expect(open.doors.httpProblem).toBeNull();
  });
});

describe('a flood of strangers', () => {
  test('leaves one receipt for all of them, and no line in the log', async () => {
    using own = scratch();
    const flooded = await openRig(own.at('home'));
    const { port, sources } = flooded;
    const before = (await receipts(flooded)).length;
    const count = process.env['SEED_TEST_LONG'] === undefined ? 5_000 : 50_000;
    const bad: readonly Ask[] = [
      { method: 'POST', path: '/mcp', body: PING },
      { method: 'POST', path: '/mcp', body: PING, headers: { authorization: 'Bearer a.b.c' } },
      { method: 'POST', path: '/mcp', headers: { authorization: `Bearer ${'x'.repeat(5_000)}` } },
      { method: 'GET', path: '/mcp', headers: { host: 'evil.example.com' } },
      { method: 'POST', path: '/oauth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      { path: '/mcp?key=x' },
    ];
    const statuses = new Set<number>();
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < count) statuses.add((await ask(flooded, bad[next++ % bad.length])).status);
    };
    await Promise.all(Array.from({ length: 32 }, client));
    expect(statuses).toEqual(new Set([400, 401, 403]));
    expect(await receipts(flooded)).toHaveLength(before);
    await flooded.close();
    expect(flooded.defects).toEqual([]);

    await using again = await openRig(own.at('home'), { port, sources });
    const refusals = await receipts(again, { action: 'membrane.refuse' });
    expect(refusals).toHaveLength(1);
    const counted = Object.values(refusals[0]?.detail ?? {}).reduce<number>((sum, n) => sum + Number(n), 0);
    expect(counted).toBe(count);
    expect(statSync(join(again.home, 'seed.db')).size).toBeLessThan(1_000_000);
  });
});

test('a key’s use is counted once for each request', async () => {
  const key = await issue(rig, 'counted');
  const lastSeen = new Date(rig.sources.time).toISOString();
  for (let calls = 1; calls <= 3; calls++) {
    await rpc(rig, key.key, { method: 'ping' });
    // At once, not with the next round of writing.
    const shown = (await asOwner<{ grant: object }>(rig, 'key_show', { key: key.id })).grant;
    expect(shown).toMatchObject({ calls, last_seen: lastSeen });
    const { grants } = await asOwner<{ grants: { id: string }[] }>(rig, 'key_list');
    expect(grants.find(({ id }) => id === key.id)).toEqual(shown);
  }
});

test('what a helper asks wrongly is on record as its own; what strangers do is counted together', async () => {
  using own = scratch();
  const first = await openRig(own.at('home'));
  const { port, sources } = first;
  const { id, key } = await issue(first, 'clumsy');
  const knock = (headers: Record<string, string>, body: string): Promise<Answer> =>
    ask(first, { method: 'POST', path: '/mcp', body, headers: { 'content-type': 'application/json', ...headers } });
  const batch = `[${Array.from({ length: limits.BATCH_MAX + 1 }, () => PING).join(',')}]`;
  const wrongs = [
    await knock({ authorization: `Bearer ${key}` }, '{'),
    await knock({ authorization: `Bearer ${key}` }, batch),
  ];
  const stranger = [await knock({}, PING), await knock({ authorization: 'Bearer a.b.c' }, '{')];
  expect([...wrongs, ...stranger].map(codeOf)).toEqual([
    'invalid_input',
    'too_large',
    'unauthenticated',
    'unauthenticated',
  ]);
  const calls = await receipts(first, { action: 'membrane.call' });
  expect(calls.map(({ outcome: end, code, actor }) => [end, code, actor.id, actor.grant])).toEqual(
    wrongs.map((answer) => ['refused', codeOf(answer), 'clumsy', id]),
  );
  await first.close();
  expect(first.defects).toEqual([]);

  await using again = await openRig(own.at('home'), { port, sources });
  expect(await receipts(again, { action: 'membrane.refuse' })).toMatchObject([
    { outcome: 'refused', code: null, actor: { kind: 'substrate' }, detail: { http_unauthenticated: 2 } },
  ]);
});
