/** A key goes through every door and every error; afterwards it is found nowhere. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { Answer, Ask, IssuedKey } from './rig.ts';
import {
  ask,
  askOwner,
  askToken,
  callOverHttp,
  connectAgent,
  dial,
  issue,
  listen,
  ownKey,
  receipts,
  rpc,
  signJwt,
} from './rig.ts';
import type { Watched } from './watched.ts';
import { startWatched } from './watched.ts';

/** Every file of a folder, as bytes. */
function filesIn(folder: string): [string, Buffer][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path)]);
}

/** Bytes sent as they are; resolves to whatever comes back. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

test('[LOCK-MEMBRANE-1] a key is in no log, receipt, error, answer or file', async () => {
  using folder = scratch();
  await using daemon = await startWatched(folder.at('home'));
  const answers: string[] = [];
  const keep = (answer: unknown): void => {
    answers.push(JSON.stringify(answer));
  };
  const bearer = await issue(daemon, 'canary-bearer');
  const expired = await issue(daemon, 'canary-removed');
  const own = ownKey();
  const signer = await issue(daemon, 'canary-signer', ['seed.status'], { public_key: own.publicKey });
  const now = Math.floor(Date.parse((await receipts(daemon)).at(-1)?.time ?? '') / 1_000);
  const claims = {
    iss: signer.id,
    sub: signer.id,
    aud: `http://127.0.0.1:${daemon.port}`,
    jti: 'canary',
    exp: now + 200,
  };
  const assertion = signJwt({ alg: 'EdDSA' }, claims, own.privateKey);
  const token = (JSON.parse((await askToken(daemon, assertion)).text) as { access_token: string }).access_token;
  await askOwner(daemon, 'key_revoke', { key: expired.id });

  const secrets = [bearer.key, expired.key, token, assertion];
  for (const secret of secrets) await everyDoor(daemon, secret, keep);
  await everyTool(daemon, bearer, keep);
  keep(await askToken(daemon, assertion));
  keep((await askToken(daemon, `${assertion}x`)).text);
  keep(await receipts(daemon));
  for (const tool of ['key_list', 'key_show', 'seed_status', 'seed_doctor', 'request_list'])
    keep(await askOwner(daemon, tool, tool === 'key_show' ? { key: bearer.id } : {}));

  // While it runs, with the journal in place, and after it has stopped.
  const whileServing = filesIn(daemon.home);
  await daemon.stop();
  const after = filesIn(daemon.home);
  const output = [daemon.child.lines.join('\n'), daemon.child.errors()];
  expect(whileServing.map(([path]) => path.slice(daemon.home.length + 1))).toEqual(
    expect.arrayContaining(['seed.db', 'seed.db-wal', 'log/seed.log', 'checkpoint']),
  );
  for (const secret of secrets) {
    const [header = '', payload = '', signature = ''] = secret.split('.');
    for (const part of [secret, `${header}.${payload}`, payload, signature, Buffer.from(signature, 'base64url')]) {
      const found = [...whileServing, ...after].filter(([, bytes]) => bytes.includes(part)).map(([path]) => path);
      expect(found).toEqual([]);
      for (const text of [...answers, ...output]) expect(text.includes(part.toString('latin1'))).toBe(false);
    }
  }
  // The negative control: what stands there is found, in the same files by the same search.
  expect(after.filter(([, bytes]) => bytes.includes(bearer.id)).map(([path]) => path)).toContain(
    join(daemon.home, 'seed.db'),
  );
  expect(answers.some((text) => text.includes(bearer.id))).toBe(true);
  expect(daemon.uncaught()).toEqual([]);
});

/** Shows a key in every place where somebody might, well or badly. */
async function everyDoor(daemon: Watched, key: string, keep: (answer: unknown) => void): Promise<void> {
  const good = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const authorization = `Bearer ${key}`;
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"seed_start"}}`;
  const asks: Ask[] = [
    { headers: { ...good, authorization }, body },
    { headers: { ...good, authorization: `Bearer ${key}x` }, body },
    { headers: { ...good, authorization: `Basic ${key}` }, body },
    { headers: { ...good, authorization, host: 'evil.example.com' }, body },
    { headers: { ...good, authorization, origin: 'http://evil.example.com' }, body },
    { headers: { ...good, authorization, host: key }, body },
    { headers: { ...good, authorization, 'content-type': key.slice(0, 60) }, body },
    { headers: { ...good, authorization }, body: key },
    { headers: { ...good, authorization }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: key }) },
    { headers: { ...good, authorization }, body: '['.repeat(10_000) },
    { path: `/mcp?access_token=${key}`, headers: { ...good, authorization }, body },
    { path: `/${key}`, headers: good },
    { path: `/.well-known/${key}`, method: 'GET' },
    { path: '/oauth/token', body: `client_assertion=${key}` },
    {
      path: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `grant_type=client_credentials&client_assertion_type=${key}&client_assertion=${key}`,
    },
  ];
  const answered = (answer: Answer): void => keep({ ...answer, text: withoutEcho(answer.text, key) });
  for (const one of asks) answered(await ask(daemon, { method: 'POST', path: '/mcp', ...one }));
  keep(
    await raw(
      daemon.port,
      `GET /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nBad Header: ${key}\r\n\r\n`,
    ),
  );
  keep(await raw(daemon.port, `${key}\r\n\r\n`));
  keep((await ask({ socketPath: daemon.sockets.owner }, { method: 'POST', path: '/call', body: key })).text);
  keep(
    (
      await ask(
        { socketPath: daemon.sockets.owner },
        { method: 'POST', path: '/call', headers: { authorization }, body: '{}' },
      )
    ).text,
  );
  const garbage = dial(daemon);
  garbage.send(key);
  keep(await garbage.line(0));
  await until(garbage.closed, 'the garbage to be hung up on');
  const stream = await listen(daemon, key);
  keep(stream.events);
  stream.close();
}

/** JSON-RPC repeats the method that it does not know to the one who sent it; that is no leak. */
function withoutEcho(text: string, key: string): string {
  return text.includes('Method not found') ? text.replaceAll(key, '') : text;
}

/** The key as an argument of every tool that takes text, where a mistaken model might put it. */
async function everyTool(daemon: Watched, { key }: IssuedKey, keep: (answer: unknown) => void): Promise<void> {
  const agent = await connectAgent(daemon, 'canary-agent');
  for (const [tool, input] of [
    ['receipt_get', { seq: key }],
    ['receipt_note', { text: 'fine', action: key }],
    ['membrane_request', { scopes: [key], reason: 'x' }],
    ['membrane_register', { name: key, public_key: key, scopes: ['seed.status'] }],
    ['seed_status', { [key.slice(-20)]: 1 }],
    ['seed_halt', { key }],
  ] as const) {
    await callOverHttp(daemon, key, tool, input);
    await agent.call(tool, input);
    await askOwner(daemon, tool === 'seed_halt' ? 'key_revoke' : tool, input);
  }
  // A tool that is not there: its name comes back to who sent it, and goes nowhere else.
  await callOverHttp(daemon, key, key.slice(-43));
  await agent.call(key.slice(-43));
  keep(await rpc(daemon, key, { method: 'tools/list' }));
  agent.close();
}
