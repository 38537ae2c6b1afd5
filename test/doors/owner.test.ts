/** The owner's door: what it lets in, what it answers, and how it closes. */
import { statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import type { Call, CallRequest } from '../../src/doors/call.ts';
import type { Door } from '../../src/doors/owner.ts';
import { openOwnerDoor } from '../../src/doors/owner.ts';
import { SeedError } from '../../src/errors.ts';
import { scratch } from '../support/scratch.ts';

interface OpenDoor extends AsyncDisposable {
  readonly path: string;
  readonly door: Door;
  readonly defects: SeedError[];
}

async function open(path: string, call: Call): Promise<OpenDoor> {
  const defects: SeedError[] = [];
  const door = await openOwnerDoor({ path, call, onDefect: (error) => defects.push(error) });
  return { path, door, defects, [Symbol.asyncDispose]: () => door.close(0) };
}

interface Answer {
  readonly status: number;
  readonly lines: readonly unknown[];
}

/** One raw request; the client of the command line would not send such things. */
async function send(path: string, body: string, { method = 'POST', url = '/call' } = {}): Promise<Answer> {
  const outgoing = request({ socketPath: path, path: url, method });
  // A door that has refused may close before all of a large body is written.
  outgoing.on('error', () => {});
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const lines = Buffer.concat(chunks).toString('utf8').trimEnd().split('\n');
  return { status: response.statusCode ?? 0, lines: lines.map((line) => JSON.parse(line) as unknown) };
}

const quiet = (): void => {};

test('a call comes in as the owner’s, and its answer goes out', async () => {
  using room = scratch();
  const calls: CallRequest[] = [];
  await using owner = await open(room.at('owner.sock'), async (call) => {
    calls.push(call);
    return { fine: true };
  });
  const body = { tool: 'some_tool', input: { a: 1 }, passphrase: 'typed by a person' };
  await expect(callOwnerDoor(owner.path, body, quiet)).resolves.toEqual({ fine: true });
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatchObject({ ...body, actor: { id: 'owner', kind: 'human', grant: null } });
  expect(calls[0]?.signal?.aborted).toBe(true);
});

test('only the owner’s user can open the socket, and a leftover is replaced', async () => {
  using room = scratch();
  writeFileSync(room.at('owner.sock'), 'left by a killed daemon', { mode: 0o666 });
  await using owner = await open(room.at('owner.sock'), async () => 1);
  expect(statSync(owner.path).mode & 0o777).toBe(0o600);
  await expect(callOwnerDoor(owner.path, { tool: 't', input: {} }, quiet)).resolves.toBe(1);
});

test('a socket that cannot be made is an error in words', async () => {
  using room = scratch();
  await expect(open(room.at('no-folder', 'owner.sock'), async () => 1)).rejects.toMatchObject({
    code: 'daemon_failed',
  });
});

test('progress comes before the answer, in order', async () => {
  using room = scratch();
  await using owner = await open(room.at('owner.sock'), async ({ onProgress }) => {
    for (const done of [1, 2, 3]) onProgress?.({ done, total: 3, what: 'steps' });
    return 'done';
  });
  const steps: number[] = [];
  await expect(callOwnerDoor(owner.path, { tool: 't', input: {} }, (done) => steps.push(done))).resolves.toBe('done');
  expect(steps).toEqual([1, 2, 3]);
});

test('a refusal arrives with its code, hint and data; a defect is told and keeps its cause to itself', async () => {
  using room = scratch();
  await using owner = await open(room.at('owner.sock'), async ({ tool }) => {
    if (tool === 'broken') throw new TypeError('x is undefined');
    throw new SeedError('conflict', 'No.', { hint: 'Ask differently.', data: { seq: 7 }, cause: new Error('hidden') });
  });
  await expect(callOwnerDoor(owner.path, { tool: 'refused', input: {} }, quiet)).rejects.toMatchObject({
    code: 'conflict',
    message: 'No.',
    hint: 'Ask differently.',
    data: { seq: 7 },
  });
  expect(owner.defects).toEqual([]);
  const { lines } = await send(owner.path, JSON.stringify({ tool: 'broken', input: {} }));
  expect(Object.keys((lines[0] as { error: object }).error)).toEqual(['code', 'message', 'hint', 'data']);
  expect(owner.defects.map(({ code }) => code)).toEqual(['internal']);
});

interface Refused {
  readonly what: string;
  readonly body: string;
  readonly code: string;
  readonly method?: string;
  readonly url?: string;
}

const REFUSED: readonly Refused[] = [
  { what: 'another page', body: '{}', code: 'not_found', url: '/' },
  { what: 'another method', body: '', code: 'not_found', method: 'GET' },
  { what: 'no JSON', body: 'tool=x', code: 'invalid_input' },
  { what: 'nothing', body: '', code: 'invalid_input' },
  { what: 'no tool', body: '{"input":{}}', code: 'invalid_input' },
  { what: 'an empty name', body: '{"tool":"","input":{}}', code: 'invalid_input' },
  { what: 'a name too long', body: JSON.stringify({ tool: 'x'.repeat(65), input: {} }), code: 'invalid_input' },
  { what: 'an unknown field', body: '{"tool":"t","input":{},"actor":"root"}', code: 'invalid_input' },
  {
    what: 'a passphrase too long',
    body: JSON.stringify({ tool: 't', input: {}, passphrase: 'x'.repeat(1_025) }),
    code: 'invalid_input',
  },
  {
    what: 'JSON nested too deep',
    body: `{"tool":"t","input":${'['.repeat(70)}${']'.repeat(70)}}`,
    code: 'invalid_input',
  },
  {
    what: 'more than the door takes',
    body: JSON.stringify({ tool: 't', input: 'x'.repeat(9 * 1024 * 1024) }),
    code: 'too_large',
  },
];

test.each(REFUSED)('$what is refused before anything is called', async ({ body, code, method, url }) => {
  using room = scratch();
  let calls = 0;
  await using owner = await open(room.at('owner.sock'), async () => {
    calls++;
  });
  const { status, lines } = await send(owner.path, body, {
    ...(method === undefined ? {} : { method }),
    ...(url === undefined ? {} : { url }),
  });
  expect(status).toBe(400);
  expect(lines).toMatchObject([{ error: { code } }]);
  expect(calls).toBe(0);
  expect(owner.defects).toEqual([]);
});

test('who hangs up has the call told so', async () => {
  using room = scratch();
  const begun = Promise.withResolvers<AbortSignal>();
  await using owner = await open(room.at('owner.sock'), async ({ signal }) => {
    if (signal === undefined) throw new Error('no signal');
    begun.resolve(signal);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  });
  const outgoing = request({ socketPath: owner.path, path: '/call', method: 'POST' });
  outgoing.on('error', quiet);
  outgoing.end('{"tool":"t","input":{}}');
  const signal = await begun.promise;
  expect(signal.aborted).toBe(false);
  outgoing.destroy();
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
  expect(signal.aborted).toBe(true);
});

test('closing answers what is under way and takes nothing new', async () => {
  using room = scratch();
  const begun = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<string>();
  const owner = await open(room.at('owner.sock'), async () => {
    begun.resolve();
    return finish.promise;
  });
  const answer = callOwnerDoor(owner.path, { tool: 't', input: {} }, quiet);
  await begun.promise;
  const closed = owner.door.close(25_000);
  await expect(callOwnerDoor(owner.path, { tool: 't', input: {} }, quiet)).rejects.toMatchObject({
    code: 'daemon_absent',
  });
  finish.resolve('in time');
  await expect(answer).resolves.toBe('in time');
  await closed;
});

test('closing cuts off what takes too long, and the command says what to do', async () => {
  using room = scratch();
  const begun = Promise.withResolvers<void>();
  const owner = await open(room.at('owner.sock'), async ({ signal }) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
  });
  const answer = callOwnerDoor(owner.path, { tool: 't', input: {} }, quiet);
  const failed = expect(answer).rejects.toMatchObject({
    code: 'daemon_failed',
    message: 'The daemon went away before it answered.',
  });
  await begun.promise;
  await owner.door.close(0);
  await failed;
});

test('nobody at the door: no socket, and one that a killed daemon left', async () => {
  using room = scratch();
  const absent = { code: 'daemon_absent' };
  await expect(callOwnerDoor(room.at('none.sock'), { tool: 't', input: {} }, quiet)).rejects.toMatchObject(absent);
  writeFileSync(room.at('stale.sock'), '');
  await expect(callOwnerDoor(room.at('stale.sock'), { tool: 't', input: {} }, quiet)).rejects.toMatchObject(absent);
});
