/** The local agents' door: names, windows, versions, and what comes of garbage. */
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentName, isNewer } from '../../src/doors/hello.ts';
import * as limits from '../../src/doors/limits.ts';
import { PROFILES } from '../../src/substrate/identity/scopes.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Rig } from './rig.ts';
import {
  askOwner,
  asOwner,
  callOverHttp,
  connectAgent,
  dial,
  edit,
  hello,
  INITIALIZE,
  issue,
  openRig,
  outcome,
  ownKey,
  receipts,
  VERSION,
} from './rig.ts';

let folder: Scratch;
let rig: Rig;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

interface GrantFacts {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
}

const agents = async (where: Rig = rig): Promise<GrantFacts[]> =>
  (await asOwner<{ grants: GrantFacts[] }>(where, 'key_list', { door: 'agent' })).grants;

const grantOf = async (name: string, where: Rig = rig): Promise<GrantFacts | undefined> =>
  (await agents(where)).find((grant) => grant.name === name);

describe('the first line', () => {
  test.each([
    'nonsense',
    '',
    '{}',
    '[]',
    'null',
    '{"seed_hello":2,"as":"x","client":null,"version":"0.1.0","tools":"all"}',
    '{"seed_hello":1,"as":7,"client":null,"version":"0.1.0","tools":"all"}',
    '{"seed_hello":1,"as":"x","client":null,"version":"0.1.0","tools":"owner"}',
    `{"seed_hello":1,"as":"${'x'.repeat(201)}","client":null,"version":"0.1.0","tools":"all"}`,
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
    'GET / HTTP/1.1',
    '\u0000\u0001\u0002',
    '['.repeat(2_000),
  ])('%j is refused with a reason, and hung up on', async (line) => {
    const before = (await agents()).length;
    const agent = dial(rig);
    agent.send(line);
    expect(await agent.line(0)).toMatchObject({ seed_hello: 1, error: { code: 'invalid_input' } });
    await until(agent.closed, 'the connection to be closed');
    expect(await agents()).toHaveLength(before);
  });

  test.each([
    ['without an end', 'x'.repeat(limits.HELLO_BYTES_MAX + 1)],
    ['that ends too late', `${hello('late', { more: 'x'.repeat(50_000) })}\n`],
  ])('%s and too long is refused', async (_what, bytes) => {
    const agent = dial(rig);
    agent.socket.write(bytes);
    expect(await agent.line(0)).toMatchObject({
      error: { code: 'invalid_input', message: expect.stringContaining('long') as string },
    });
    await until(agent.closed, 'the connection to be closed');
  });

  test('that never comes holds nothing up, and whoever goes on talking after a refusal is cut', async () => {
    const silent = Array.from({ length: 50 }, () => dial(rig));
    const stubborn = dial(rig);
    stubborn.send('nonsense');
    await stubborn.line(0);
    const talk = setInterval(() => stubborn.socket.writable && stubborn.socket.write('more and more\n'), 5);
    const agent = await connectAgent(rig, 'prompt');
    expect(outcome(await agent.call('seed_start'))).toBe('ok');
    await until(stubborn.closed, 'the stubborn one to be cut');
    clearInterval(talk);
    for (const connection of [...silent, agent]) connection.close();
    await until(() => !rig.doors.connectedAgents().includes('prompt'), 'it to be gone');
  });

  test('may come in pieces, and with what follows in the same piece', async () => {
    const slow = dial(rig);
    for (const letter of hello('slow-typist')) slow.socket.write(letter);
    slow.socket.write('\n');
    expect(await slow.line(0)).toMatchObject({ name: 'slow-typist' });
    const fast = dial(rig);
    fast.socket.write(
      `${hello('fast')}\n${JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'initialize', params: INITIALIZE })}\n`,
    );
    expect(await fast.line(0)).toMatchObject({ name: 'fast' });
    expect(await fast.line(1)).toMatchObject({ id: 9, result: { serverInfo: { name: 'sovereign-seed' } } });
    for (const connection of [slow, fast]) connection.close();
  });
});

describe('names', () => {
  test.each([
    ['cursor', null, 'cursor'],
    ['Claude Code', null, 'claude-code'],
    [null, 'Claude Desktop', 'claude-desktop'],
    ['  ../../etc/passwd  ', null, 'etc-passwd'],
    ['my.bot_2', null, 'my.bot_2'],
    ['', null, 'agent'],
    [null, null, 'agent'],
    ['---', null, 'agent'],
    ['ÄÖÜ', null, 'aou'],
    ['日本', null, 'agent'],
    ['owner', null, 'agent'],
    ['Seed', null, 'agent'],
    [null, 'Éditeur', 'editeur'],
    ['x'.repeat(200), null, 'x'.repeat(32)],
    ["'; DROP TABLE substrate_grants; --", null, 'drop-table-substrate-grants'],
    ['a\nb', null, 'a-b'],
    ['\u202Eevil', null, 'evil'],
  ])('%j (client %j) is %s', (as, client, name) => {
    expect(agentName({ as, client })).toBe(name);
  });

  test('are the same grant at every connection and after a restart', async () => {
    using own = scratch();
    const first = await openRig(own.at('home'));
    const { port, sources } = first;
    (await connectAgent(first, 'Cursor')).close();
    const grant = await grantOf('cursor', first);
    await until(() => first.doors.connectedAgents().length === 0, 'it to be gone');
    (await connectAgent(first, 'cursor')).close();
    await first.close();
    await using second = await openRig(own.at('home'), { port, sources });
    const agent = await connectAgent(second, 'cursor');
    expect(agent.welcome).toMatchObject({ name: 'cursor', renamed: false });
    expect(await grantOf('cursor', second)).toEqual({ ...grant, calls: 0 });
    expect(await agents(second)).toHaveLength(1);
    agent.close();
  });

  test('of a second window count up, are told, and are free again when it goes', async () => {
    const one = await connectAgent(rig, 'editor');
    const two = await connectAgent(rig, 'editor');
    const three = await connectAgent(rig, 'Editor');
    expect([one, two, three].map(({ welcome }) => [welcome['name'], welcome['renamed']])).toEqual([
      ['editor', false],
      ['editor-2', true],
      ['editor-3', true],
    ]);
    const told = await two.rpc('initialize', INITIALIZE);
    const plain = await one.rpc('initialize', INITIALIZE);
    expect(told.result?.['instructions'] ?? '').toContain('You are editor-2 here');
    expect(plain.result?.['instructions'] ?? '').not.toContain('You are editor');
    const whoami = await two.call('membrane_whoami');
    expect(whoami.result?.structuredContent).toMatchObject({ name: 'editor-2' });
    two.close();
    await until(() => !rig.doors.connectedAgents().includes('editor-2'), 'the window to be gone');
    const again = await connectAgent(rig, 'editor');
    expect(again.welcome).toMatchObject({ name: 'editor-2' });
    for (const agent of [one, three, again]) agent.close();
    await until(() => rig.doors.connectedAgents().length === 0, 'all to be gone');
  });

  test('taken by many at once are all different', async () => {
    const crowd = await Promise.all(Array.from({ length: 40 }, () => connectAgent(rig, 'crowd')));
    expect(new Set(crowd.map(({ welcome }) => welcome['name'])).size).toBe(40);
    for (const agent of crowd) agent.close();
    await until(() => rig.doors.connectedAgents().length === 0, 'all to be gone');
  });

  test('of a connection that went while its grant was made are free again', async () => {
    const { substrate } = rig;
    const operate = substrate.operate.bind(substrate);
    const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    substrate.operate = async (options, fn) => {
      if (options.action === 'agent.admit') {
        reached.resolve();
        await gate.promise;
      }
      return operate(options, fn);
    };
    const hasty = dial(rig);
    hasty.send(hello('hasty'));
    await reached.promise;
    hasty.close();
    await until(() => !rig.doors.connectedAgents().includes('hasty'), 'the connection to be gone');
    substrate.operate = operate;
    gate.resolve();
    await until(async () => (await grantOf('hasty')) !== undefined, 'its grant to be made');
    // Made for nobody: whoever comes now has the name.
    const next = await connectAgent(rig, 'hasty');
    expect(next.welcome).toMatchObject({ name: 'hasty', renamed: false });
    next.close();
    await until(() => rig.doors.connectedAgents().length === 0, 'all names to be free');
    expect(rig.membrane.work.grants()).toEqual([]);
  });

  test('given by the owner are found again under them', async () => {
    (await connectAgent(rig, 'before')).close();
    await until(() => rig.doors.connectedAgents().length === 0, 'it to be gone');
    const grant = await grantOf('before');
    await asOwner(rig, 'agent_rename', { agent: 'before', name: 'after.2_x' });
    const agent = await connectAgent(rig, 'after.2_x');
    expect((await grantOf('after.2_x'))?.id).toBe(grant?.id);
    agent.close();
    expect((await askOwner(rig, 'agent_rename', { agent: 'after.2_x', name: 'crowd' })).error?.code).toBe('conflict');
  });
});

describe('[LOCK-MEMBRANE-2] an agent whose grant goes', () => {
  test('is cut at once; under the name it had it begins anew, as somebody else', async () => {
    const agent = await connectAgent(rig, 'leaver');
    const window = await connectAgent(rig, 'leaver');
    const before = await grantOf('leaver');
    const forgotten = await asOwner<{ cut: number }>(rig, 'key_revoke', { key: 'leaver', door: 'agent' });
    expect(forgotten.cut).toBe(1);
    await until(agent.closed, 'the connection to be cut');
    expect(outcome(await window.call('seed_start'))).toBe('ok');
    expect(await grantOf('leaver')).toBeUndefined();
    const again = await connectAgent(rig, 'leaver');
    expect(again.welcome).toMatchObject({ name: 'leaver', renamed: false });
    expect((await grantOf('leaver'))?.id).not.toBe(before?.id);
    for (const each of [window, again]) each.close();
  });

  test('without a trace in the doors is refused at its next word, and cut by the sweep', async () => {
    const agent = await connectAgent(rig, 'erased');
    edit(rig.home, 'DELETE FROM substrate_grants WHERE name = ?', 'erased');
    expect(outcome(await agent.call('seed_start'))).toBe('key_revoked');
    expect(outcome(await agent.call('receipt_note', { text: 'x' }))).toBe('key_revoked');
    await rig.membrane.sweep();
    await until(agent.closed, 'the connection to be cut');
  });

  test('takes the keys along that it registered', async () => {
    const agent = await connectAgent(rig, 'manager');
    const asked = await agent.call('membrane_request', { scopes: ['membrane.register', 'membrane.list'], reason: 'x' });
    const { request: id, hash } = asked.result?.structuredContent ?? {};
    await asOwner(rig, 'request_approve', { id, hash });
    const child = await agent.call('membrane_register', {
      name: 'managed',
      public_key: ownKey().publicKey,
      scopes: ['receipt.read'],
    });
    expect(outcome(child)).toBe('ok');
    const gone = await asOwner<{ removed: number }>(rig, 'key_revoke', { key: 'manager', door: 'agent' });
    expect(gone.removed).toBe(2);
    expect((await askOwner(rig, 'key_show', { key: 'managed' })).error?.code).toBe('not_found');
  });
});

describe('[LOCK-MEMBRANE-3] a local agent', () => {
  test('has the daily scopes and none for keys; its grant is no key over HTTP', async () => {
    const agent = await connectAgent(rig, 'daily');
    const scopes = (await grantOf('daily'))?.scopes ?? [];
    expect(scopes).toEqual(PROFILES.agent.toSorted());
    expect(scopes.filter((scope) => /^(?:membrane|key|policy|config)\./.test(scope))).toEqual([]);
    for (const tool of ['membrane_list', 'membrane_register', 'membrane_revoke'])
      expect(outcome(await agent.call(tool))).toBe('forbidden');
    agent.close();
    // The door is part of the grant: a key that names an agent's row opens nothing.
    const key = await issue(rig, 'doorless');
    edit(rig.home, "UPDATE substrate_grants SET door = 'agent' WHERE id = ?", key.id);
    expect(outcome(await callOverHttp(rig, key.key, 'seed_start'))).toBe('key_revoked');
    edit(rig.home, "UPDATE substrate_grants SET door = 'http' WHERE id = ?", key.id);
    expect(outcome(await callOverHttp(rig, key.key, 'seed_start'))).toBe('ok');
  });
});

describe('versions', () => {
  test('an older client is served, a newer one restarts the daemon', async () => {
    const older = await connectAgent(rig, 'older', { version: '0.0.1' });
    expect(older.welcome).toMatchObject({ name: 'older', version: VERSION });
    older.close();
    expect(rig.stops()).toBe(0);
    const newer = dial(rig);
    newer.send(hello('newer', { version: '99.0.0' }));
    expect(await newer.line(0)).toEqual({ seed_hello: 1, restarting: true, version: VERSION });
    await until(newer.closed, 'it to be hung up on');
    expect(rig.stops()).toBe(1);
    expect(await grantOf('newer')).toBeUndefined();
  });

  test.each([
    ['0.1.1', '0.1.0', true],
    ['0.10.0', '0.9.9', true],
    ['1', '0.9.9', true],
    ['0.1.0', '0.1.0', false],
    ['0.1', '0.1.0', false],
    ['0.1.0', '0.1.1', false],
    ['0.1.0-beta', '0.1.0', false],
    ['', '0.1.0', false],
    ['latest', '0.1.0', false],
  ])('%j is newer than %j: %s', (a, b, newer) => {
    expect(isNewer(a, b)).toBe(newer);
  });
});

test('the sockets are closed to other users', () => {
  for (const path of [rig.sockets.agent, rig.sockets.owner]) expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('300 calls in flight on one connection are served, reads and writes, each with its own answer', async () => {
  const agent = await connectAgent(rig, 'hurried');
  const before = (await receipts(rig, { actor: 'hurried' })).length;
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      i % 2 === 0 ? agent.call('receipt_note', { text: `note ${i}` }) : agent.call('receipt_list', { limit: 100 }),
    ),
  );
  expect(new Set(answers.map(outcome))).toEqual(new Set(['ok']));
  const seqs = answers.filter((_, i) => i % 2 === 0).map(({ result }) => result?.structuredContent?.['receipt']);
  expect(new Set(seqs).size).toBe(150);
  expect((await receipts(rig, { actor: 'hurried' })).length - before).toBe(150);
  agent.close();
});

test('300 calls in flight under one key over HTTP are served', async () => {
  const { key } = await issue(rig, 'hurried-helper');
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => callOverHttp(rig, key, 'receipt_note', { text: `note ${i}` })),
  );
  expect(new Set(answers.map(outcome))).toEqual(new Set(['ok']));
});

test('a client that asks and does not read is cut before its answers fill the memory', async () => {
  const [greedy, other] = [await connectAgent(rig, 'greedy'), await connectAgent(rig, 'patient')];
  greedy.socket.pause();
  const ask = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'receipt_list', arguments: { limit: 200 } },
  });
  const { work } = rig.membrane;
  const before = work.grants().length;
  await until(() => {
    for (let i = 0; i < 20 && greedy.socket.writable; i++) greedy.send(ask);
    return work.grants().length < before;
  }, 'the greedy one to be cut');
  expect(outcome(await other.call('seed_start'))).toBe('ok');
  for (const each of [greedy, other]) each.close();
});

test('nothing of all this was a defect', () => {
  expect(rig.defects).toEqual([]);
});
