/** Eleven faults, four providers: each is told for what it is, costs one request, and ends nothing cleanly. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SeedError } from '../../../../src/errors.ts';
import type { FaultKind } from '../../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { PROVIDERS } from '../../../../src/substrate/policy/model.ts';
import type { Behaviour, ProviderStub, StubAnswer } from '../../../support/provider-stub.ts';
import { startProviderStub } from '../../../support/provider-stub.ts';
import type { Streamed } from './rig.ts';
import { CANARY, CONTENT, ofType, streamOf, wordsOf } from './rig.ts';

let stub: ProviderStub;
beforeAll(async () => {
  stub = await startProviderStub();
});
afterAll(async () => {
  await stub.close();
});

// SDKs like to tell the console what a provider said; standard output belongs to a protocol.
const METHODS = ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const;
beforeEach(() => {
  const spies = METHODS.map((method) => vi.spyOn(console, method));
  return () => {
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  };
});

/** Says something, then calls twice: a fault can come before, between and behind. */
const CALLING: StubAnswer = {
  text: ['I ', 'will'],
  calls: [
    { name: 'run', arguments: '{"at":1}' },
    { name: 'run', arguments: '{"at":2}' },
  ],
  usage: { input: 10, output: 5 },
};

const LEAKY = JSON.stringify({ error: { message: `Incorrect API key: ${CANARY}, in ${CONTENT}`, type: 'x' } });

interface Case {
  readonly behaviour: Behaviour;
  readonly kind: FaultKind;
  readonly billed: boolean;
}

const CASES: Record<string, Case> = {
  '429': { behaviour: { do: 'status', status: 429, body: LEAKY }, kind: 'rate_limited', billed: false },
  '529': { behaviour: { do: 'status', status: 529, body: LEAKY }, kind: 'overloaded', billed: false },
  '500': { behaviour: { do: 'status', status: 500, body: LEAKY }, kind: 'server_error', billed: false },
  'signature 400': {
    behaviour: {
      do: 'status',
      status: 400,
      body: JSON.stringify({ error: { message: `Invalid \`signature\` in ${CONTENT}` } }),
    },
    kind: 'rejected',
    billed: false,
  },
  'cut before the first token': { behaviour: { do: 'cut', after: 0, answer: CALLING }, kind: 'cut', billed: true },
  'clean end without a terminal marker': { behaviour: { do: 'clean_end', answer: CALLING }, kind: 'cut', billed: true },
};

/** A message's chunks up to and behind its first call differ by format; these are places in all of them. */
const PLACES = [1, 2, 3, 4, 5, 6] as const;
for (const after of PLACES) {
  CASES[`cut after ${after} chunks`] = { behaviour: { do: 'cut', after, answer: CALLING }, kind: 'cut', billed: true };
}
for (const after of [0, 1, 3]) {
  CASES[`bad chunk after ${after}`] = {
    behaviour: { do: 'bad_chunk', after, answer: CALLING },
    kind: 'bad_chunk',
    billed: true,
  };
  CASES[`error inside the stream after ${after}`] = {
    behaviour: { do: 'stream_error', after, answer: CALLING, message: `${CANARY} ${CONTENT}` },
    kind: 'stream_error',
    billed: true,
  };
}

function assertNothingClean(streamed: Streamed): void {
  expect(ofType(streamed, 'end')).toEqual([]);
  expect(ofType(streamed, 'tool_call')).toEqual([]);
}

describe.each(PROVIDERS)('%s', (name) => {
  test.each(Object.entries(CASES))('%s', async (_, { behaviour, kind, billed }) => {
    const before = stub.requests.length;
    stub.next(behaviour);
    const streamed = await streamOf(name, { baseUrl: stub.baseUrl(name) });
    expect(streamed.fault?.kind).toBe(kind);
    expect(streamed.fault?.mayBeBilled).toBe(billed);
    assertNothingClean(streamed);
    expect(stub.requests.length - before).toBe(1);
    expect(wordsOf(streamed.fault)).not.toContain(CANARY);
    expect(wordsOf(streamed.fault)).not.toContain(CONTENT);
  });

  test('a refused connection: nothing was sent, nothing is owed', async () => {
    const closed = await closedPort();
    const streamed = await streamOf(name, { baseUrl: `http://127.0.0.1:${closed}` });
    expect(streamed.fault).toMatchObject({ kind: 'unreachable', mayBeBilled: false });
    expect(streamed.fault?.message).toContain('ECONNREFUSED');
    expect(streamed.events).toEqual([]);
  });

  test.each([
    ['before the headers', -1],
    ['before the first token', 0],
    ['between tokens', 4],
  ])('a stall %s ends as the signal says', async (_, after) => {
    const said: [unknown, FaultKind][] = [
      [new ProviderFault('timeout', 'It took longer than 5 ms to the first token.', { mayBeBilled: true }), 'timeout'],
      [new DOMException('x', 'TimeoutError'), 'timeout'],
      [undefined, 'cancelled'],
    ];
    for (const [reason, kind] of said) {
      const before = stub.requests.length;
      const control = new AbortController();
      stub.next({ do: 'stall', after, answer: CALLING });
      const streaming = streamOf(name, {
        baseUrl: stub.baseUrl(name),
        signal: control.signal,
        onEvent: (event) => {
          if (event.type === (after < 4 ? 'accepted' : 'text')) control.abort(reason);
        },
      });
      if (after < 0) {
        await arrived(before);
        control.abort(reason);
      }
      const streamed = await streaming;
      expect(streamed.fault).toMatchObject({ kind, mayBeBilled: true });
      assertNothingClean(streamed);
      expect(stub.requests.length - before).toBe(1);
    }
  });

  test('a call that was cancelled before it began sends nothing', async () => {
    const before = stub.requests.length;
    const streamed = await streamOf(name, { baseUrl: stub.baseUrl(name), signal: AbortSignal.abort() });
    expect(streamed.fault).toMatchObject({ kind: 'cancelled', mayBeBilled: false });
    expect(stub.requests.length).toBe(before);
  });

  test('a reader that leaves hangs up', async () => {
    await using left = await startProviderStub();
    left.next({ do: 'stall', after: 4, answer: CALLING });
    const streaming = streamOf(name, {
      baseUrl: left.baseUrl(name),
      onEvent: (event) => {
        if (event.type === 'text') throw new ProviderFault('cancelled', 'left', { mayBeBilled: true });
      },
    });
    await streaming;
    await left.hungUp(1);
  });

  test.each([
    [401, 'unauthorized', 'credential'],
    [403, 'unauthorized', 'credential'],
    [404, 'rejected', 'there is no model model-a'],
    [413, 'rejected', 'too large'],
    [422, 'rejected', 'refused'],
    [503, 'overloaded', 'overloaded'],
    [502, 'server_error', 'failed'],
  ])('%i is %s', async (status, kind, words) => {
    stub.next({ do: 'status', status, body: LEAKY });
    const { fault } = await streamOf(name, { baseUrl: stub.baseUrl(name) });
    expect(fault).toMatchObject({ kind, status, mayBeBilled: false });
    expect(fault?.message).toContain(words);
    expect(wordsOf(fault)).not.toContain(CANARY);
  });

  test.each([
    [{ 'retry-after-ms': '1500' }, 1_500],
    [{ 'retry-after': '30' }, 30_000],
    [{ 'retry-after': '0.25' }, 250],
    [{ 'retry-after': 'Sat, 21 Nov 2026 07:01:00 GMT', date: 'Sat, 21 Nov 2026 07:00:00 GMT' }, 60_000],
    [{ 'retry-after': 'Sat, 21 Nov 2026 06:59:00 GMT', date: 'Sat, 21 Nov 2026 07:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '999999999' }, 24 * 60 * 60 * 1_000],
    [{}, null],
  ])('429 with %j asks for %s ms', async (headers, expected) => {
    stub.next({ do: 'status', status: 429, headers });
    const { fault } = await streamOf(name, { baseUrl: stub.baseUrl(name) });
    expect(fault?.retryAfterMs).toBe(expected);
  });
});

describe('what the way out throws', () => {
  const refused = new SeedError('egress_refused', 'The target answered with a redirect (302).', { hint: '' });
  const halted = new SeedError('halted', 'The seed is halted.', { hint: '' });
  const reset = new TypeError('fetch failed', { cause: Object.assign(new Error(CONTENT), { code: 'ECONNRESET' }) });
  const several = new TypeError('fetch failed', {
    cause: new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]),
  });

  test.each([
    ['a refusal', refused, 'unreachable', false],
    ['a halt', halted, 'cancelled', true],
    ['a connection that broke before an answer', reset, 'cut', true],
    ['a name with several addresses, none of them reached', several, 'unreachable', false],
  ])('%s', async (_, thrown, kind, mayBeBilled) => {
    for (const name of PROVIDERS) {
      const ask = (): Promise<Response> => Promise.reject(thrown);
      const { fault } = await streamOf(name, { baseUrl: 'http://127.0.0.1:9', ask });
      expect(fault).toMatchObject({ kind, mayBeBilled });
      expect(wordsOf(fault)).not.toContain(CONTENT);
    }
  });

  test('a halt in the middle of an answer, and an answer without a body', async () => {
    for (const name of PROVIDERS) {
      const body = new ReadableStream({ pull: (controller) => controller.error(halted) });
      const answers: [Response, FaultKind][] = [
        [new Response(body), 'cancelled'],
        [new Response(null), 'cut'],
        [new Response('<html>Welcome</html>'), 'cut'],
      ];
      for (const [answer, kind] of answers) {
        const ask = (): Promise<Response> => Promise.resolve(answer);
        const streamed = await streamOf(name, { baseUrl: 'http://127.0.0.1:9', ask });
        expect(streamed.fault, name).toMatchObject({ kind, mayBeBilled: true });
        assertNothingClean(streamed);
      }
    }
  });
});

test('Gemini’s own way to ask for a pause, and to refuse a key', async () => {
  const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.074824224s' }];
  const body = JSON.stringify([{ error: { code: 429, status: 'RESOURCE_EXHAUSTED', details } }]);
  stub.next({ do: 'status', status: 429, body }, { do: 'status', status: 429, body: body.slice(1, -1) });
  for (let time = 0; time < 2; time += 1) {
    const { fault } = await streamOf('gemini', { baseUrl: stub.baseUrl('gemini') });
    expect(fault?.retryAfterMs).toBe(34_075);
  }
  const invalid = JSON.stringify({ error: { code: 400, details: [{ reason: 'API_KEY_INVALID' }] } });
  stub.next({ do: 'status', status: 400, body: invalid });
  expect((await streamOf('gemini', { baseUrl: stub.baseUrl('gemini') })).fault?.kind).toBe('unauthorized');
});

/** A port that nobody listens on any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

/** Resolves when the stub has one request more. */
async function arrived(before: number): Promise<void> {
  while (stub.requests.length <= before) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
