/** Helpers that sign: client credentials with a private key, as the SDK's client does them. */
import { generateKeyPairSync } from 'node:crypto';
import { Client, PrivateKeyJwtProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestDaemon } from './daemon.ts';
import { startDaemon } from './daemon.ts';

const DISCOVERY = [
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-authorization-server/mcp',
  '/.well-known/openid-configuration',
  '/.well-known/openid-configuration/mcp',
  '/mcp/.well-known/openid-configuration',
  '/register',
  '/oauth/authorize',
  '/token',
];

let folder: Scratch;
let daemon: TestDaemon;

beforeAll(async () => {
  folder = scratch();
  daemon = await startDaemon(folder.at('home'));
});

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

async function turnOAuth(value: 'on' | 'off'): Promise<void> {
  await daemon.owner('config_set', { name: 'oauth', value });
}

/** A key whose private half stays with the helper. */
async function signingHelper(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const public_key = Buffer.from(x, 'base64url').toString('base64');
  const { id } = await daemon.issueKey(name, ['seed.status', 'receipt.note'], { public_key });
  return { id, jwk: privateKey.export({ format: 'jwk' }) as Record<string, unknown> };
}

async function connectSigning(clientId: string, privateKey: Record<string, unknown>, scope?: string): Promise<Client> {
  const authProvider = new PrivateKeyJwtProvider({
    clientId,
    privateKey,
    algorithm: 'EdDSA',
    ...(scope === undefined ? {} : { scope }),
    expectedIssuer: new URL(daemon.url).origin,
  });
  const client = new Client({ name: 'interop', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(new URL(daemon.url), { authProvider }));
  return client;
}

describe('with OAuth off, as it is from the start', () => {
  test.each(DISCOVERY)('%s is a clean 404', async (path) => {
    const answer = await fetch(new URL(path, daemon.url));
    expect(answer.status).toBe(404);
    // The form in which a client that looks for OAuth reads errors (RFC 6749 §5.2), whichever path it tries.
    expect(await answer.json()).toEqual({
      error: 'not_found',
      error_description: 'There is nothing here. MCP is at /mcp.',
    });
  });

  test('the challenge leads nowhere', async () => {
    const answer = await fetch(daemon.url, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    await answer.body?.cancel();
  });
});

describe('with OAuth on', () => {
  beforeAll(() => turnOAuth('on'));
  afterAll(() => turnOAuth('off'));

  test('PrivateKeyJwtProvider finds the token endpoint and gets in', async () => {
    const { id, jwk } = await signingHelper('signer');
    const client = await connectSigning(id, jwk);
    const { structuredContent } = await client.callTool({ name: 'seed_start' });
    expect(structuredContent).toMatchObject({ you: { name: 'signer', kind: 'helper' } });
    await client.close();
  });

  test('it gets in for less when it asks for less, and not for more than it holds', async () => {
    const { id, jwk } = await signingHelper('modest');
    const narrow = await connectSigning(id, jwk, 'seed.status');
    expect((await narrow.callTool({ name: 'seed_start' })).structuredContent).toMatchObject({
      you: { scopes: ['seed.status'] },
    });
    expect(await narrow.callTool({ name: 'receipt_note', arguments: { text: 'x' } })).toMatchObject({
      isError: true,
      structuredContent: { code: 'forbidden' },
    });
    await narrow.close();
    await expect(connectSigning(id, jwk, 'seed.status receipt.read')).rejects.toThrow('does not hold');
  });

  test('it does not get in with another key, or after its own was removed', async () => {
    // The client says on the console that it tries again.
    using _quiet = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const helper = await signingHelper('removed');
    const { privateKey } = generateKeyPairSync('ed25519');
    const other = privateKey.export({ format: 'jwk' }) as Record<string, unknown>;
    await expect(connectSigning(helper.id, other)).rejects.toThrow('signature');

    const client = await connectSigning(helper.id, helper.jwk);
    await daemon.owner('key_revoke', { key: 'removed' });
    await expect(client.callTool({ name: 'seed_start' })).rejects.toThrow();
    await client.close();
    await expect(connectSigning(helper.id, helper.jwk)).rejects.toThrow('no such client');
  });

  test('a client with a key in its header still gets in by it', async () => {
    const { key } = await daemon.issueKey('bearer', ['seed.status']);
    const client = new Client({ name: 'interop', version: '1.0.0' });
    const requestInit = { headers: { authorization: `Bearer ${key}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(daemon.url), { requestInit }));
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('seed_start');
    await client.close();
  });
});
