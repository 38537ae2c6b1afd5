/** What is no whole request is answered in JSON, in the terms of the API that was asked. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { raw } from './raw.ts';
import type { IssuedKey, Rig } from './rig.ts';
import { issue, openRig } from './rig.ts';

let dir: Scratch;
let rig: Rig;
let key: IssuedKey;
beforeAll(async () => {
  dir = scratch();
  rig = await openRig(dir.at('home'));
  key = await issue(rig, 'client', ['route.complete']);
});
afterAll(async () => {
  await rig.close();
  dir[Symbol.dispose]();
});

function bodyOf(answer: string): { type?: string; error: Record<string, unknown> } {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head.toLowerCase()).toContain('content-type: application/json');
  expect(head.toLowerCase()).toContain(`content-length: ${Buffer.byteLength(body)}`);
  return JSON.parse(body) as { error: Record<string, unknown> };
}

describe('what is no request', () => {
  test.each([
    ['nonsense', 'NONSENSE\r\n\r\n', 400],
    ['a header without a name', 'GET / HTTP/1.1\r\n: x\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s is answered', async (_what, bytes, status) => {
    const answer = await raw(rig.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(bodyOf(answer).error['code']).toBeTypeOf('string');
  });

  test.each([
    ['/v1/chat/completions', '"param":null'],
    ['/mcp', '"code":"invalid_input"'],
  ])('%s: a request that names no host', async (path, words) => {
    const answer = await raw(rig.port, `POST ${path} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('content-type: application/json');
    expect(answer).toContain(words);
    expect(answer).toContain('names no host');
  });

  test('what is expected beside an answer is left undone, and the answer given', async () => {
    const head = `host: 127.0.0.1:${rig.port}\r\nconnection: close\r\nexpect: 200-ok\r\n`;
    expect(await raw(rig.port, `GET /healthz HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
    const refused = await raw(rig.port, `POST /v1/chat/completions HTTP/1.1\r\n${head}content-length: 0\r\n\r\n`);
    expect(refused).toMatch(/^HTTP\/1\.1 401 /);
    expect(bodyOf(refused).error).toMatchObject({ param: null });
  });

  test('headers that never end are told so', async () => {
    const answer = await raw(rig.port, 'GET /healthz HTTP/1.1\r\nhost: x\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(bodyOf(answer).error['code']).toBe('too_slow');
  });

  test.each([
    ['/v1/chat/completions', undefined, { param: null }],
    ['/v1/messages', 'error', { type: 'invalid_request_error' }],
    ['/mcp', undefined, { code: 'invalid_input' }],
  ])('%s: a body that is cut short', async (path, type, error) => {
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${rig.port}\r\nauthorization: Bearer ${key.key}\r\n`;
    const body = 'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"model":';
    const answer = await raw(rig.port, head + body, { end: true });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    const told = bodyOf(answer);
    expect(told.type).toBe(type);
    expect(told.error).toMatchObject(error);
    expect(answer).not.toContain(key.key);
  });

  test('the door goes on', async () => {
    const get = `GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${rig.port}\r\nconnection: close\r\n\r\n`;
    expect(await raw(rig.port, get)).toMatch(/^HTTP\/1\.1 200 /);
    expect(rig.defects).toEqual([]);
  });
});
