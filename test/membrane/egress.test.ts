/** The one way out: what is sent where, and what is refused with nothing sent. */
import type { LookupAddress } from 'node:dns';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { EgressOptions, ResolveName } from '../../src/membrane/egress.ts';
import { Egress } from '../../src/membrane/egress.ts';
import { RESPONSE_BYTES_MAX } from '../../src/membrane/incoming.ts';
import { Credentials } from '../../src/substrate/home/credentials.ts';
import type { Target } from '../../src/substrate/policy/model.ts';
import { until } from '../support/child.ts';
import { codeOf } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const CANARY = 'sk-canary-3f9a77c1e2d84b06';

interface Stub {
  readonly origin: string;
  readonly port: number;
  /** Connections, which come before any request. */
  readonly connections: () => number;
  readonly requests: readonly IncomingMessage[];
}

const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0).toReversed()) await close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function stub(answer: Answer = (_request, response) => response.end('hello')): Promise<Stub> {
  const requests: IncomingMessage[] = [];
  let connections = 0;
  const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.on('connection', () => {
    connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port, connections: () => connections, requests };
}

function egress(options: Partial<EgressOptions> = {}): Egress {
  const folder = scratch();
  closing.push(() => folder[Symbol.dispose]());
  const credentials = new Credentials(folder.folder, {});
  const opened = new Egress({ credentials, now: () => 1_000, halted: false, ...options });
  closing.push(() => opened.close());
  return opened;
}

/** An egress with the canary bound to `origin` under the name `key`. */
function withKey(origin: string, options: Partial<EgressOptions> = {}): Egress {
  const opened = egress(options);
  opened.credentials.set({ name: 'key', origin, secret: CANARY });
  return opened;
}

function target(baseUrl: string, credential: string | null = null): Target {
  return { name: 'somewhere', provider: 'nvidia', baseUrl, credential };
}

/** One request with whatever credential the target has. */
async function ask(from: Egress, to: Target, path = '/v1/models', init: RequestInit = {}): Promise<Response> {
  const { fetch, credential } = await from.open(to);
  const headers = credential === null ? {} : { authorization: `Bearer ${credential}` };
  return fetch(`${new URL(to.baseUrl).origin}${path}`, { headers, ...init });
}

async function failure(work: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  return work.then(
    () => {
      throw new Error('It was not refused.');
    },
    (error: unknown) => error as Error,
  );
}

/** Resolves every name to these addresses. */
function resolvingTo(...addresses: readonly string[]): ResolveName {
  const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (_name, _options, done) => done(null, found);
}

describe('what is sent', () => {
  test('[LOCK-MEMBRANE-1] a request goes to the target, with the credential bound to its origin, and is noted as used', async () => {
    const there = await stub((_request, response) => response.writeHead(201, { 'x-one': 'two' }).end('made'));
    const from = withKey(there.origin);
    expect(from.lastUsed('key')).toBeNull();
    const answer = await ask(from, target(`${there.origin}/v1`, 'key'), '/v1/chat', {
      method: 'POST',
      body: '{"a":1}',
    });
    expect(answer).toBeInstanceOf(Response);
    expect([answer.status, answer.headers.get('x-one'), await answer.text()]).toEqual([201, 'two', 'made']);
    expect(there.requests).toHaveLength(1);
    expect(there.requests[0]).toMatchObject({
      method: 'POST',
      url: '/v1/chat',
      headers: { 'accept-encoding': 'identity', 'content-length': '7' },
    });
    expect(there.requests[0]?.headers.authorization).toBe(`Bearer ${CANARY}`);
    expect(from.lastUsed('key')).toBe(1_000);
  });

  test('how a request is framed is not for its headers to say, however they are written', async () => {
    const there = await stub();
    const { ask: send } = await egress().open(target(there.origin));
    const framing = { 'Accept-Encoding': 'gzip', Host: 'elsewhere', 'Content-Length': '1', 'X-Mine': 'kept' };
    for (const headers of [framing, new Headers(framing), Object.entries(framing)]) {
      const { ok, body } = await send(`${there.origin}/`, { method: 'post', headers, body: 'hello' });
      expect([ok, body !== null]).toEqual([true, true]);
      await body?.[Symbol.asyncIterator]().return?.();
      const { headers: sent, method } = there.requests.at(-1) ?? {};
      expect(method).toBe('POST');
      expect(sent).toMatchObject({ 'accept-encoding': 'identity', 'content-length': '5', 'x-mine': 'kept' });
      expect(sent?.host).toBe(new URL(there.origin).host);
    }
    const bad = { 'x-mine': 'one\r\nx-more: two' };
    await expect(send(`${there.origin}/`, { headers: bad })).rejects.toThrow(TypeError);
    expect(there.requests).toHaveLength(3);
  });

  test('a connection is used again', async () => {
    const there = await stub();
    const from = egress();
    for (let count = 0; count < 10; count++) await (await ask(from, target(there.origin))).text();
    // A second one where the first was not yet free again.
    expect(there.requests).toHaveLength(10);
    expect(there.connections()).toBeLessThanOrEqual(2);
  });

  test('the environment’s proxies are not looked at', async () => {
    const [proxy, there] = [await stub(), await stub()];
    for (const name of ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']) {
      vi.stubEnv(name, proxy.origin);
    }
    vi.stubEnv('NODE_USE_ENV_PROXY', '1');
    await (await ask(egress(), target(there.origin))).text();
    expect([proxy.connections(), there.requests.length]).toEqual([0, 1]);
  });

  test('an answer without a body, and one that streams', async () => {
    const there = await stub((request, response) => {
      if (request.url === '/none') {
        response.writeHead(204).end();
        return;
      }
      response.write('one ');
      setImmediate(() => response.end('two'));
    });
    const from = egress();
    expect((await ask(from, target(there.origin), '/none')).status).toBe(204);
    expect(await (await ask(from, target(there.origin), '/some')).text()).toBe('one two');
  });
});

describe('[LOCK-MEMBRANE-1] what is refused, with nothing sent', () => {
  test('a policy row that points a credential at another origin', async () => {
    const [bound, thief] = [await stub(), await stub()];
    const from = withKey(bound.origin);
    for (const elsewhere of [thief.origin, `http://localhost:${bound.port}`, bound.origin.replace('http', 'https')]) {
      const error = await failure(ask(from, target(elsewhere, 'key')));
      expect(error.code).toBe('egress_refused');
      expect(inspect(error, { depth: 9 })).not.toContain(CANARY);
    }
    expect([bound.connections(), thief.connections()]).toEqual([0, 0]);
    await (await ask(from, target(bound.origin, 'key'))).text();
    expect(bound.requests).toHaveLength(1);
  });

  test('a request that leaves the origin of its target', async () => {
    const [own, other] = [await stub(), await stub()];
    const { fetch } = await withKey(own.origin).open(target(own.origin, 'key'));
    const [host] = other.origin.split('//').slice(1);
    for (const url of [
      other.origin,
      new URL(other.origin),
      `http://127.0.0.1:${own.port}@${host}/`,
      `//${host}`,
      'no address',
    ]) {
      expect(await codeOf(fetch(url))).toBe('egress_refused');
    }
    expect(await codeOf(fetch(`http://user:word@127.0.0.1:${own.port}/`))).toBe('egress_refused');
    expect([own.connections(), other.connections()]).toEqual([0, 0]);
    expect((await fetch(new URL('/fine', own.origin))).status).toBe(200);
  });

  test('an address that was fine for one target, with the secret of another in it', async () => {
    const [there, elsewhere] = [await stub(), await stub()];
    const from = withKey(there.origin);
    const secret = 'a%b/c';
    from.credentials.set({ name: 'odd', origin: there.origin, secret });
    const plain = await from.open(target(there.origin));
    const keyed = await from.open(target(there.origin, 'key'));
    const odd = await from.open(target(there.origin, 'odd'));
    const other = await from.open(target(elsewhere.origin));
    const addresses = [CANARY, encodeURIComponent(secret)].map((text) => `${there.origin}/v1?say=${text}`);
    for (const address of addresses) expect((await plain.ask(address, {})).status).toBe(200);
    const [first = '', second = ''] = addresses;
    expect(await codeOf(keyed.ask(first, {}))).toBe('egress_refused');
    expect(await codeOf(odd.ask(second, {}))).toBe('egress_refused');
    expect(await codeOf(other.ask(first, {}))).toBe('egress_refused');
    expect([there.requests.length, elsewhere.connections()]).toEqual([2, 0]);
  });

  test('a secret in an address', async () => {
    const there = await stub();
    const from = withKey(there.origin);
    expect(await codeOf(ask(from, target(there.origin, 'key'), `/v1?key=${CANARY}`))).toBe('egress_refused');
    expect(there.connections()).toBe(0);
  });

  test.each([
    'http://169.254.169.254/',
    'https://169.254.169.254/',
    'https://2852039166/',
    'https://0xA9FEA9FE/',
    'https://0251.0376.0251.0376/',
    'https://0xa9.254.0251.254/',
    'https://169.254.43518/',
    'https://169.254.169.254./',
    'https://１６９.２５４.１６９.２５４/',
    'https://[::ffff:169.254.169.254]/',
    'https://[::ffff:a9fe:a9fe]/',
    'https://[::169.254.169.254]/',
    'https://[64:ff9b::169.254.169.254]/',
    'https://[2002:a9fe:a9fe::1]/',
    'https://[fe80::1]/',
    'https://[FEBF::1]/',
    'https://[fd00:ec2::254]/',
    'https://0.0.0.0/',
    'https://0/',
    'https://[::]/',
    'https://224.0.0.1/',
    'https://[ff02::1]/',
    'https://255.255.255.255/',
    'https://100.100.100.200/',
    'https://192.0.0.192/',
    'https://168.63.129.16/',
    'http://10.0.0.1/',
    'http://example.com/',
    'http://127.0.0.1.example.com/',
    'http://localhost.example.com/',
    'https://name@example.com/',
    'https://name:word@example.com/',
    'https://example.com/?key=x',
    'https://example.com/#x',
    'ftp://example.com/',
    'file:///etc/passwd',
    'example.com',
    '',
  ])('a target at %s', async (baseUrl) => {
    const from = egress({
      resolve: () => {
        throw new Error('It was resolved.');
      },
    });
    expect(await codeOf(from.open(target(baseUrl)))).toBe('egress_refused');
  });

  test.each([
    'https://example.com',
    'https://example.com/v1',
    'https://10.0.0.1:8443/',
    'http://127.9.9.9:1',
    'http://[::1]:1',
    'http://localhost:1',
  ])('and a target at %s is opened', async (baseUrl) => {
    expect(await egress().open(target(baseUrl))).toMatchObject({ credential: null });
  });

  test('a name that resolves to an address that may not be spoken to, alone or beside one that may', async () => {
    const there = await stub();
    const name = `https://provider.example:${there.port}`;
    for (const away of [
      ['169.254.169.254'],
      ['fe80::1'],
      ['::ffff:169.254.169.254'],
      ['127.0.0.1', '169.254.169.254'],
      ['0.0.0.0'],
    ]) {
      const from = egress({ resolve: resolvingTo(...away) });
      expect(await codeOf(ask(from, target(name)))).toBe('egress_refused');
    }
    expect(there.connections()).toBe(0);
    // The control: the same name at an address that may be. What listens there speaks no TLS.
    expect((await failure(ask(egress({ resolve: resolvingTo('127.0.0.1') }), target(name)))).message).toBe(
      'fetch failed',
    );
    expect(there.connections()).toBe(1);
  });

  test('http to a name of this machine that resolves to another', async () => {
    const there = await stub();
    const name = `http://seed.localhost:${there.port}`;
    for (const away of ['10.0.0.1', '192.168.1.1', '169.254.169.254']) {
      expect(await codeOf(ask(egress({ resolve: resolvingTo(away) }), target(name)))).toBe('egress_refused');
    }
    expect(there.connections()).toBe(0);
    await (await ask(egress({ resolve: resolvingTo('127.0.0.1') }), target(name))).text();
    expect(there.requests).toHaveLength(1);
  });

  test('a credential that is missing, or a path', async () => {
    const there = await stub();
    const from = withKey(there.origin);
    expect(await codeOf(ask(from, target(there.origin, 'other')))).toBe('credential_unusable');
    for (const name of ['../keys/log.pem', 'key/../key', '/etc/passwd', '.', '..', 'Key', 'key\0', '']) {
      expect(await codeOf(ask(from, target(there.origin, name)))).toBe('invalid_input');
    }
    expect(there.connections()).toBe(0);
  });

  test('anything, while the seed is halted; and a halt ends what is under way', async () => {
    const there = await stub((_request, response) => void response.write('begun '));
    const from = egress();
    const early = await from.open(target(there.origin));
    const answer = await ask(from, target(there.origin));
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('begun ');
    const waiting = failure(reader.read());
    expect(from.halt()).toBe(1);
    expect((await waiting).code).toBe('halted');
    expect(await codeOf(ask(from, target(there.origin)))).toBe('halted');
    expect(await codeOf(early.fetch(there.origin))).toBe('halted');
    expect(there.requests).toHaveLength(1);
    from.resume();
    expect((await ask(from, target(there.origin))).status).toBe(200);
    expect(await codeOf(egress({ halted: true }).open(target(there.origin)))).toBe('halted');
  });
});

test('whether a target could be opened is told as opening it would, with nothing sent', async () => {
  const site = await stub();
  const from = withKey(site.origin, { halted: true });
  const cases = [
    [target(site.origin), true],
    [target(site.origin, 'key'), true],
    [target(site.origin, 'none'), false],
    [target('https://elsewhere.example', 'key'), false],
    [target('https://169.254.169.254'), false],
  ] as const;
  for (const [to, canOpen] of cases) {
    expect([to, from.canOpen(to)]).toEqual([to, canOpen]);
  }
  from.resume();
  for (const [to, canOpen] of cases) expect((await codeOf(from.open(to))) === 'none').toBe(canOpen);
  expect(site.connections()).toBe(0);
});

describe('answers', () => {
  test.each([301, 302, 303, 307, 308])(
    '[LOCK-MEMBRANE-1] a redirect (%i) is an error, wherever it leads',
    async (status) => {
      const thief = await stub();
      for (const location of [thief.origin, '/same', undefined]) {
        const there = await stub((_request, response) => {
          response.writeHead(status, location === undefined ? {} : { location }).end();
        });
        const error = await failure(
          ask(withKey(there.origin), target(there.origin, 'key'), '/v1', { method: 'POST', body: '{}' }),
        );
        expect(error.code).toBe('egress_refused');
        expect(there.requests).toHaveLength(1);
      }
      expect(thief.connections()).toBe(0);
    },
  );

  test('compressed is refused: nothing is ever unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(1024 * 1024));
    const there = await stub((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    const error = await failure(ask(egress(), target(there.origin)));
    expect([error.message, (error.cause as Error).message]).toEqual([
      'fetch failed',
      'The answer came compressed, which was not asked for.',
    ]);
  });

  test('longer than an answer may be is cut off, and no sooner', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    let wanted = RESPONSE_BYTES_MAX;
    const there = await stub((_request, response) => {
      let left = wanted;
      const write = (): void => {
        while (left > 0) {
          const part = chunk.subarray(0, Math.min(left, chunk.length));
          left -= part.length;
          if (!response.write(part)) {
            response.once('drain', write);
            return;
          }
        }
        response.end();
      };
      write();
    });
    const from = egress();
    expect((await (await ask(from, target(there.origin))).arrayBuffer()).byteLength).toBe(RESPONSE_BYTES_MAX);
    wanted++;
    expect((await failure((await ask(from, target(there.origin))).arrayBuffer())).code).toBe('too_large');
  });

  test('headers without end are an error', async () => {
    const there = await stub((_request, response) => response.writeHead(200, { 'x-long': 'y'.repeat(20_000) }).end());
    const error = await failure(ask(egress(), target(there.origin)));
    expect([error.message, (error.cause as { code: string }).code]).toEqual([
      'fetch failed',
      'UND_ERR_HEADERS_OVERFLOW',
    ]);
  });

  test('an abort is honoured: before, while waiting, and in the middle of an answer', async () => {
    const there = await stub((request, response) => {
      if (request.url === '/begin') response.write('begun');
    });
    const from = egress();
    const reason = new Error('changed my mind');
    expect(await failure(ask(from, target(there.origin), '/', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(there.connections()).toBe(0);
    const waiting = new AbortController();
    const asked = failure(ask(from, target(there.origin), '/wait', { signal: waiting.signal }));
    await until(() => there.requests.length === 1, 'the request to arrive');
    waiting.abort(reason);
    expect(await asked).toBe(reason);
    const reading = new AbortController();
    const answer = await ask(from, target(there.origin), '/begin', { signal: reading.signal });
    const text = failure(answer.text());
    reading.abort(reason);
    expect(await text).toBe(reason);
    expect(from.halt()).toBe(0);
  });

  test('what is not read is let go: a cancelled body ends the connection', async () => {
    const gone = vi.fn<() => void>();
    const there = await stub((request, response) => {
      response.write('begun');
      request.socket.once('close', gone);
    });
    const from = egress();
    await (await ask(from, target(there.origin))).body?.cancel();
    await until(() => gone.mock.calls.length === 1, 'the connection to close');
    expect(from.halt()).toBe(0);
  });

  test('a network that fails is a TypeError with its cause, without the secret', async () => {
    const there = await stub((request) => request.socket.destroy());
    const cut = await stub((request, response) => {
      response.write('begun');
      setImmediate(() => request.socket.destroy());
    });
    const gone = await failure(ask(withKey(there.origin), target(there.origin, 'key')));
    expect(gone).toBeInstanceOf(TypeError);
    expect(gone.message).toBe('fetch failed');
    const torn = await failure((await ask(withKey(cut.origin), target(cut.origin, 'key'))).text());
    expect([torn instanceof TypeError, torn.message]).toEqual([true, 'terminated']);
    for (const error of [gone, torn]) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(CANARY);
  });
});
