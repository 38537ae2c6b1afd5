/** What the gateway refuses, and that it says so in the terms of the API that was asked. */
import { connect } from 'node:net';
import type Anthropic from '@anthropic-ai/sdk';
import * as anthropicErrors from '@anthropic-ai/sdk/error';
import * as fc from '../../support/fast-check.ts';
import type OpenAI from 'openai';
import * as openaiErrors from 'openai/error';
import { beforeAll, describe, expect, test } from 'vitest';
import * as limits from '../../../src/doors/limits.ts';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { scratch } from '../../support/scratch.ts';
import type { Answer, Ask } from '../rig.ts';
import { raw } from '../raw.ts';
import { ask, asOwner, askOwner, issue, receipts } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, figure, openaiOf, openGateway, policyOver, openAlone, openOverStub } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  const opened = await openOverStub('anthropic');
  ({ stub, rig } = opened);
  return opened.end;
});

const CHAT = '/v1/chat/completions';
const MESSAGES = '/v1/messages';
const RESPONSES = '/v1/responses';
const GOOD = {
  [RESPONSES]: { model: 'worker', input: 'Hi' },
  [CHAT]: { model: 'worker', messages: [{ role: 'user', content: 'Hi' }] },
  [MESSAGES]: { model: 'worker', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] },
} as const;
const PATHS = [CHAT, RESPONSES, MESSAGES] as const;

/** A good request, with something changed. */
function post(path: keyof typeof GOOD, { headers = {}, ...more }: Ask = {}): Promise<Answer> {
  return ask(rig, {
    method: 'POST',
    path,
    body: JSON.stringify(GOOD[path]),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${rig.client.key}`, ...headers },
    ...more,
  });
}

/** One whose headers are written as they are given. */
function rawPost(headers: readonly string[], body: string): Promise<string> {
  const head = [
    `POST ${CHAT} HTTP/1.1`,
    `host: 127.0.0.1:${rig.port}`,
    `authorization: Bearer ${rig.client.key}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...headers,
  ];
  return raw(rig.port, `${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Whether a body is an error as that API has it. */
function expectOwnError(path: string, { text, headers }: Answer): void {
  expect(headers['content-type']).toContain('application/json');
  const body = JSON.parse(text) as { type?: string; error: { type: string; message: string } };
  expect(body.error.message).toBeTypeOf('string');
  expect(body.error.message).not.toBe('');
  expect(body.error.type).toBeTypeOf('string');
  if (path.startsWith(MESSAGES)) expect(body.type).toBe('error');
  else expect(body.type).toBeUndefined();
}

async function expectNothingSent(work: () => Promise<unknown>): Promise<void> {
  const before = stub.requests.length;
  await work();
  expect(stub.requests.length).toBe(before);
}

describe('who comes in', () => {
  test.each(PATHS)('%s: a stranger is told 401, and counted', async (path) => {
    await expectNothingSent(async () => {
      for (const headers of [
        { authorization: 'Bearer nonsense' },
        { authorization: '' },
        { authorization: '', 'x-api-key': 'nonsense' },
        { 'x-api-key': `${rig.client.key}x` },
      ]) {
        const answer = await post(path, { headers });
        expect(answer.status).toBe(401);
        expectOwnError(path, answer);
        expect(answer.text).not.toContain(rig.client.key.slice(-20));
      }
    });
    // The control: the same key where the other SDK puts it.
    const answer = await post(path, { headers: { authorization: '', 'x-api-key': rig.client.key } });
    expect(answer.status).toBe(200);
  });

  test('both SDKs throw what they throw at their own API', async () => {
    await expect(openaiOf(rig, { key: 'sk-wrong' }).chat.completions.create(chat())).rejects.toBeInstanceOf(
      openaiErrors.AuthenticationError,
    );
    await expect(anthropicOf(rig, { key: 'sk-wrong' }).messages.create(messages())).rejects.toBeInstanceOf(
      anthropicErrors.AuthenticationError,
    );
    await expect(openaiOf(rig).chat.completions.create(chat('gpt-5'))).rejects.toBeInstanceOf(
      openaiErrors.NotFoundError,
    );
    await expect(anthropicOf(rig).messages.create(messages('claude-x'))).rejects.toBeInstanceOf(
      anthropicErrors.NotFoundError,
    );
    const { key } = await issue(rig, 'looker', ['seed.status']);
    await expect(openaiOf(rig, { key }).chat.completions.create(chat())).rejects.toBeInstanceOf(
      openaiErrors.PermissionDeniedError,
    );
    await expect(anthropicOf(rig, { key }).messages.create(messages())).rejects.toBeInstanceOf(
      anthropicErrors.PermissionDeniedError,
    );
  });

  test('what somebody who was let in is refused is on record', async () => {
    const before = (await receipts(rig)).length;
    expect((await post(CHAT, { body: '{"model":"worker"}' })).status).toBe(400);
    const [refused] = (await receipts(rig)).slice(before);
    expect(refused).toMatchObject({ action: 'gateway.call', outcome: 'refused', code: 'invalid_input' });
  });

  test('[LOCK-MEMBRANE-2] a key that is removed cuts its streams off, and its money is settled', async () => {
    const { id, key } = await issue(rig, 'removed', ['route.complete']);
    stub.next({ do: 'stall', after: 5, answer: { text: ['one ', 'two ', 'three ', 'four ', 'five '] } });
    const stream = await openaiOf(rig, { key }).chat.completions.create({ ...chat(), stream: true });
    const heard: string[] = [];
    const reading = (async () => {
      for await (const chunk of stream) heard.push(chunk.choices[0]?.delta.content ?? '');
    })();
    reading.catch(() => {});
    await until(() => heard.join('') !== '', 'the first words');
    await asOwner(rig, 'key_revoke', { key: id });
    await expect(reading).rejects.toThrow();
    await until(async () => (await figure(rig, 'seed_held_micro_usd')) === 0, 'the money to be settled');
    await expect(openaiOf(rig, { key }).chat.completions.create(chat())).rejects.toMatchObject({ status: 401 });
  });

  test('[LOCK-MEMBRANE-2] a key that expires cuts its streams off at that moment', async () => {
    const before = rig.sources.time;
    const { key } = await issue(rig, 'brief', ['route.complete'], { expires_in_s: 60 });
    rig.sources.time += 59_000;
    stub.next({ do: 'stall', after: 5, answer: { text: ['one ', 'two ', 'three ', 'four ', 'five '] } });
    const stream = await openaiOf(rig, { key }).chat.completions.create({ ...chat(), stream: true });
    const reading = (async () => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    })();
    // Cut off: the provider's own silence, which is told in the stream, takes longer.
    await expect(reading).rejects.toThrow('terminated');
    await until(async () => (await figure(rig, 'seed_held_micro_usd')) === 0, 'the money to be settled');
    rig.sources.time = before + 61_000;
    await expect(openaiOf(rig, { key }).chat.completions.create(chat())).rejects.toMatchObject({ status: 401 });
  });
});

function chat(model = 'worker'): OpenAI.Chat.ChatCompletionCreateParamsNonStreaming {
  return { model, messages: [{ role: 'user', content: 'Hi' }] };
}

function messages(model = 'worker'): Anthropic.MessageCreateParamsNonStreaming {
  return { model, max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] };
}

describe('[LOCK-RUNTIME-2] which model', () => {
  test('a name that is no role and not mapped opens no socket; mapped, it is the role', async () => {
    await expectNothingSent(async () => {
      await expect(openaiOf(rig).chat.completions.create(chat('claude-sonnet-5'))).rejects.toMatchObject({
        status: 404,
      });
    });
    await asOwner(rig, 'gateway_map', { model: 'claude-*', role: 'worker' });
    const mapped = await openaiOf(rig).chat.completions.create(chat('claude-sonnet-5'));
    expect(mapped.model).toBe('claude-sonnet-5');
    // What a request may ask by can be looked up by that name, too.
    expect(await openaiOf(rig).models.retrieve('claude-sonnet-5')).toMatchObject({ id: 'claude-sonnet-5' });
    expect(await anthropicOf(rig).models.retrieve('claude-sonnet-5')).toMatchObject({ id: 'claude-sonnet-5' });
    expect(await asOwner(rig, 'gateway_list')).toMatchObject({
      mapped: [{ model: 'claude-*', role: 'worker', usable: true }],
    });
    await asOwner(rig, 'gateway_unmap', { model: 'claude-*' });
    await expect(openaiOf(rig).chat.completions.create(chat('claude-sonnet-5'))).rejects.toMatchObject({ status: 404 });
    const maps = (await receipts(rig)).filter(
      ({ action }) => action.startsWith('gateway.') && action !== 'gateway.call',
    );
    expect(maps.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['gateway.map', 'ok'],
      ['gateway.unmap', 'ok'],
    ]);
  });

  test('of two beginnings the longer one counts, and a whole name before both', async () => {
    for (const [model, role] of [
      ['g*', 'thinker'],
      ['gpt-5*', 'thinker'],
      ['gpt-5-mini', 'worker'],
    ]) {
      await asOwner(rig, 'gateway_map', { model, role });
    }
    expect((await openaiOf(rig).chat.completions.create(chat('gpt-5-mini'))).model).toBe('gpt-5-mini');
    for (const model of ['g*', 'gpt-5*', 'gpt-5-mini']) await asOwner(rig, 'gateway_unmap', { model });
  });

  test('[LOCK-RUNTIME-5] a role of the drain is none here, whatever it is called', async () => {
    await asOwner(rig, 'gateway_map', { model: 'big', role: 'thinker' });
    await expectNothingSent(async () => {
      for (const model of ['thinker', 'big']) {
        await expect(openaiOf(rig).chat.completions.create(chat(model))).rejects.toMatchObject({ status: 404 });
      }
    });
    await expect(openaiOf(rig).models.retrieve('big')).rejects.toMatchObject({ status: 404 });
    await asOwner(rig, 'gateway_unmap', { model: 'big' });
  });

  test('looking for a name that means nothing is counted, and leaves no receipt of its own', async () => {
    const before = (await receipts(rig)).length;
    await expect(openaiOf(rig).models.retrieve('nothing')).rejects.toMatchObject({ status: 404 });
    expect((await receipts(rig)).length).toBe(before);
  });

  test('a role is no name of another', async () => {
    const refused = await askOwner(rig, 'gateway_map', { model: 'worker', role: 'thinker' });
    expect(refused.error).toMatchObject({ code: 'conflict', data: { argument: 'model' } });
  });

  test('only a role that there is can be meant', async () => {
    expect((await askOwner(rig, 'gateway_map', { model: 'x', role: 'nobody' })).error?.code).toBe('not_found');
    expect((await askOwner(rig, 'gateway_map', { model: '*x', role: 'worker' })).error?.code).toBe('invalid_input');
    expect((await askOwner(rig, 'gateway_unmap', { model: 'never' })).error?.code).toBe('not_found');
  });
});

describe('[LOCK-RUNTIME-3] over a ceiling', () => {
  test('is a 429 with the ceiling’s name, and nothing is sent', async () => {
    using other = scratch();
    await using poor = await openGateway(other, policyOver(stub, 'anthropic', { usd: '0.000001' }));
    await expectNothingSent(async () => {
      const refused = openaiOf(poor).chat.completions.create(chat());
      await expect(refused).rejects.toBeInstanceOf(openaiErrors.RateLimitError);
      await expect(refused).rejects.toThrow('ceiling seed');
      const theirs = anthropicOf(poor).messages.create(messages());
      await expect(theirs).rejects.toBeInstanceOf(anthropicErrors.RateLimitError);
    });
    const streamed = openaiOf(poor).chat.completions.create({ ...chat(), stream: true });
    await expect(streamed).rejects.toMatchObject({ status: 429 });
  });
});

describe('what is malformed', () => {
  test.each(PATHS)('%s: bodies, types, methods', async (path) => {
    const cases: (readonly [Ask, number])[] = [
      [{ body: '' }, 400],
      [{ body: '{' }, 400],
      [{ body: 'null' }, 400],
      [{ body: '[]' }, 400],
      [{ body: '{"model":1,"messages":[]}' }, 400],
      [{ body: '['.repeat(100_000) }, 400],
      [{ body: '{"model":"worker","messages":[{"role":"user","content":"\\ud800"}]}' }, 400],
      [{ body: Buffer.from([0x7b, 0xff, 0x7d]) }, 400],
      [{ headers: { 'content-type': 'text/plain' } }, 415],
      [{ headers: { 'content-encoding': 'gzip' } }, 415],
      [{ method: 'GET', body: '' }, 405],
      [{ method: 'PUT' }, 405],
      [{ headers: { host: 'evil.example.com' } }, 403],
      [{ headers: { origin: 'https://evil.example.com' } }, 403],
    ];
    await expectNothingSent(async () => {
      for (const [change, status] of cases) {
        const answer = await post(path, change);
        expect([change, answer.status]).toEqual([change, status]);
        expectOwnError(path, answer);
      }
    });
    expect((await post(path)).status).toBe(200);
  });

  test.each(['/v1', '/v1/', '/v1/embeddings', '/v1/messages/batches', '/v1/chat/completions/x', '/v1/models/'])(
    '%s is nothing',
    async (path) => {
      const answer = await ask(rig, { method: 'POST', path, headers: { authorization: `Bearer ${rig.client.key}` } });
      expect(answer.status).toBe(404);
      expectOwnError(path, answer);
    },
  );

  test.each([
    ['/chat/completions', '/v1/chat/completions'],
    ['/responses', '/v1/responses'],
    ['/messages', '/v1/messages'],
    ['/v1/v1/messages?beta=true', '/v1/messages'],
  ])('%s: whoever has the base address wrong is told which is right', async (path, meant) => {
    const answer = await ask(rig, { method: 'POST', path, headers: { authorization: `Bearer ${rig.client.key}` } });
    expect(answer.status).toBe(404);
    expectOwnError(meant, answer);
    expect(answer.text).toContain(`${meant} is what you mean`);
  });

  test('a session that is not there: what a client of the API can do', async () => {
    const answer = await post(CHAT, { headers: { 'x-seed-session': 'nosuch' } });
    expect(answer.status).toBe(404);
    expect(answer.text).toContain('x-seed-session');
    expect(answer.text).not.toContain('seed_start');
  });

  test('[LOCK-MEMBRANE-1] a key in an address is refused; what the SDKs write there is not', async () => {
    for (const query of [`?key=${rig.client.key}`, '?beta=1', '?beta=true&key=x', '?limit=1000000', '?']) {
      const answer = await ask(rig, { method: 'POST', path: `${MESSAGES}${query}`, body: '{}' });
      expect([query, answer.status]).toEqual([query, 400]);
      expectOwnError(MESSAGES, answer);
    }
    const headers = { authorization: `Bearer ${rig.client.key}`, 'content-type': 'application/json' };
    const body = JSON.stringify(GOOD[MESSAGES]);
    expect((await ask(rig, { method: 'POST', path: `${MESSAGES}?beta=true`, body, headers })).status).toBe(200);
    // Codex says its version where it asks for the list.
    const listed = await ask(rig, { method: 'GET', path: '/v1/models?client_version=0.122.0', headers });
    expect(listed.status).toBe(200);
  });

  test('more than a body may have is 413, said beforehand or not', async () => {
    const said = await post(CHAT, {
      headers: { 'content-length': String(limits.GATEWAY_BODY_BYTES_MAX + 1) },
      body: '',
    }).catch((error: NodeJS.ErrnoException) => error.code ?? '');
    if (typeof said === 'string') expect(['EPIPE', 'ECONNRESET', 'HPE_INVALID_CONSTANT']).toContain(said);
    else {
      expect(said.status).toBe(413);
      expectOwnError(CHAT, said);
    }
  });

  test('a body that never comes whole, and one that is half of it, take nothing with them', async () => {
    const socket = connect(rig.port, '127.0.0.1');
    socket.on('error', () => {});
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${rig.client.key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"model":`;
    socket.write(head);
    await until(() => rig.membrane.work.count(rig.client.id) > 0, 'the request to be let in');
    socket.end();
    await until(() => rig.membrane.work.count(rig.client.id) === 0, 'the request to be let go');
    socket.destroy();
    expect((await post(CHAT)).status).toBe(200);
  });

  test('any JSON is a request or an error of the API’s own', async () => {
    const path = fc.constantFrom(...PATHS);
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({
        model: fc.oneof(fc.constant('worker'), fc.jsonValue()),
        max_tokens: fc.oneof(fc.constant(10), fc.jsonValue()),
        messages: fc.oneof(
          fc.array(fc.record({ role: fc.constantFrom('user', 'assistant', 'tool'), content: fc.jsonValue() }), {
            maxLength: 4,
          }),
          fc.jsonValue(),
        ),
        stream: fc.oneof(fc.boolean(), fc.jsonValue()),
      }),
    );
    await fc.assert(
      fc.asyncProperty(path, value, async (where, body) => {
        const answer = await post(where, { body: JSON.stringify(body) });
        expect([200, 400, 404, 413, 422, 429]).toContain(answer.status);
        if (answer.status !== 200) expectOwnError(where, answer);
      }),
      { numRuns: process.env['SEED_TEST_LONG'] === '1' ? 2_000 : 100 },
    );
    expect(rig.defects).toEqual([]);
  });
});

test('what no model of the role can be sent is a 400 that is not asked again', async () => {
  const { rig: other, end } = await openAlone(policyOver(stub, 'nvidia'));
  try {
    const url = 'data:image/png;base64,iVBORw0KGgo=';
    const content = [{ type: 'image_url' as const, image_url: { url } }];
    const before = stub.requests.length;
    const asked = openaiOf(other, { maxRetries: 2 }).chat.completions.create({
      model: 'worker',
      messages: [{ role: 'user', content }],
    });
    await expect(asked).rejects.toMatchObject({ status: 400, param: 'messages' });
    const data = { type: 'base64' as const, media_type: 'image/png' as const, data: 'iVBORw0KGgo=' };
    const image = { type: 'image' as const, source: data };
    const ofAnthropic = anthropicOf(other, { maxRetries: 2 }).messages.create({
      ...messages(),
      messages: [{ role: 'user', content: [image] }],
    });
    await expect(ofAnthropic).rejects.toMatchObject({
      status: 400,
      error: { error: { type: 'invalid_request_error' } },
    });
    expect(stub.requests.length).toBe(before);
    // Each was asked for once: its refusal is on record, and no second one.
    const refused = (await receipts(other)).filter(({ code }) => code === 'no_candidate');
    expect(refused).toHaveLength(2);
    expect((await openaiOf(other).chat.completions.create(chat())).model).toBe('worker');
  } finally {
    await end();
  }
});

describe('labels, traces and repeats', () => {
  test('are in the receipts', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const before = (await receipts(rig)).length;
    const labelled = { ...chat(), user: 'ada', metadata: { team: 'red' } };
    await openaiOf(rig).chat.completions.create(labelled, {
      headers: { 'X-Seed-Label-Customer': 'acme', traceparent },
    });
    const [intent] = (await receipts(rig)).slice(before);
    expect(intent?.detail).toMatchObject({ traceparent });
    expect(new Set(intent?.detail?.['labels'] as string[])).toEqual(new Set(['customer=acme', 'team=red', 'user=ada']));
  });

  test('are the same by every way: in lower case, and in UTF-8', async () => {
    const before = (await receipts(rig)).length;
    const body = JSON.stringify({ ...chat(), metadata: { Team: 'red', Ort: 'Zürich' } });
    expect(await rawPost(['X-Seed-Label-Ort: Zürich'], body)).toMatch(/^HTTP\/1\.1 200 /);
    const [intent] = (await receipts(rig)).slice(before);
    expect(new Set(intent?.detail?.['labels'] as string[])).toEqual(new Set(['team=red', 'ort=Zürich']));
  });

  test('one that comes twice is refused, and so are two that only differ in case', async () => {
    const twice = await rawPost(['X-Seed-Label-A: poor', 'x-seed-label-a: poor'], '{}');
    expect(twice).toMatch(/^HTTP\/1\.1 400 /);
    expect(twice).toContain('x-seed-label-a comes twice');
    const body = JSON.stringify({ ...chat(), metadata: { a: '1', A: '2' } });
    expect((await post(CHAT, { body })).status).toBe(400);
  });

  test('what is wrong is said in words', async () => {
    const { text } = await post(CHAT, { body: JSON.stringify({ model: 'worker', messages: [] }) });
    expect(JSON.parse(text)).toMatchObject({ error: { param: 'messages' } });
    expect(text).toContain('messages must be at least 1 entry long; it was an empty list.');
  });

  test.each(['a!b', '__proto__', ''])('the label "%s" is refused by its header', async (name) => {
    const answer = await post(CHAT, { headers: { [`x-seed-label-${name}`]: 'x' } });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(`The header x-seed-label-${name} cannot be a label: its name must be 1 to 64`);
  });

  test('too many labels are refused', async () => {
    const headers = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`x-seed-label-${index}`, 'x']));
    const answer = await post(CHAT, { headers });
    expect(answer.status).toBe(400);
    expectOwnError(CHAT, answer);
  });

  test('the same key again gets the same answer, and asks nobody', async () => {
    const headers = { 'idempotency-key': 'once' };
    stub.next({ do: 'answer', answer: { text: ['The ', 'answer.'] } });
    const first = await openaiOf(rig).chat.completions.create(chat(), { headers });
    await expectNothingSent(async () => {
      const again = await openaiOf(rig).chat.completions.create(chat(), { headers });
      expect(again).toMatchObject({ id: first.id, choices: [{ message: { content: 'The answer.' } }] });
      const stream = await openaiOf(rig).chat.completions.create({ ...chat(), stream: true }, { headers });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      expect(text).toBe('The answer.');
      const other = { ...chat(), messages: [{ role: 'user' as const, content: 'Another' }] };
      await expect(openaiOf(rig).chat.completions.create(other, { headers })).rejects.toMatchObject({ status: 409 });
    });
  });

  test('also in a conversation, which does not go on by it', async () => {
    const headers = { 'idempotency-key': 'turn' };
    const turn = {
      model: 'worker',
      messages: [
        { role: 'user' as const, content: 'once a' },
        { role: 'assistant' as const, content: 'b' },
        { role: 'user' as const, content: 'c' },
      ],
    };
    stub.next({ do: 'answer', answer: { text: ['d'] } });
    const first = await openaiOf(rig).chat.completions.create(turn, { headers }).withResponse();
    await expectNothingSent(async () => {
      const again = await openaiOf(rig).chat.completions.create(turn, { headers }).withResponse();
      expect(again.data.choices[0]?.message.content).toBe('d');
      expect(again.response.headers.get('x-seed-session')).toBe(first.response.headers.get('x-seed-session'));
    });
  });
});

describe('/metrics', () => {
  test('needs its own scope, and tells what went on', async () => {
    const refused = await ask(rig, { path: '/metrics', headers: { authorization: `Bearer ${rig.client.key}` } });
    expect(refused.status).toBe(403);
    expect((await ask(rig, { path: '/metrics' })).status).toBe(401);
    await openaiOf(rig).chat.completions.create(chat());
    const { key } = await issue(rig, 'prometheus', ['metrics.read']);
    const answer = await ask(rig, { path: '/metrics', headers: { authorization: `Bearer ${key}` } });
    expect(answer.headers['content-type']).toContain('version=0.0.4');
    expect(answer.text).toMatch(/^seed_calls_total\{role="worker",target="first",outcome="complete"\} [1-9]/m);
    expect(answer.text).toMatch(/^seed_refusals_total\{code="unauthenticated"\} [1-9]/m);
    expect(answer.text).toMatch(/^seed_held_micro_usd 0$/m);
    expect(answer.text).toMatch(/^seed_call_seconds_bucket\{le="\+Inf"\} [1-9]/m);
    // Every line is a comment or a sample, and each family is typed before its first sample.
    for (const line of answer.text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\})? [\d.e+-]+)$/);
    }
  });
});
