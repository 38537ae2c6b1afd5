/** Removing a key: the next request is refused, what is open is cut, and no copy of the past brings it back. */
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import type { ClientRequest } from 'node:http';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OpenWork } from '../../src/membrane/streams.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import type { Rig } from '../doors/rig.ts';
import {
  ask,
  askOwner,
  asOwner,
  callOverHttp,
  connectAgent,
  edit,
  HELPER_SCOPES,
  issue,
  listen,
  openRig,
  outcome,
  ownKey,
  receipts,
  rpc,
} from '../doors/rig.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;
let names = 0;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

const name = (): string => `helper-${++names}`;
const enter = async (key: string, tool = 'seed_start'): Promise<string> => outcome(await callOverHttp(rig, key, tool));

describe('[LOCK-MEMBRANE-2] a removed key', () => {
  test('is refused at the next request, and another one is not', async () => {
    const [gone, stays] = [await issue(rig, name()), await issue(rig, name())];
    expect([await enter(gone.key), await enter(stays.key)]).toEqual(['ok', 'ok']);
    await asOwner(rig, 'key_revoke', { key: gone.name });
    expect([await enter(gone.key), await enter(stays.key)]).toEqual(['key_revoked', 'ok']);
    // The name may be given again; the old key stays out.
    const again = await issue(rig, gone.name);
    expect([await enter(gone.key), await enter(again.key)]).toEqual(['key_revoked', 'ok']);
  });

  test('has its open streams closed, and another one’s stay open and are told', async () => {
    const [gone, stays] = [await issue(rig, name()), await issue(rig, name())];
    const cut = await Promise.all(Array.from({ length: 20 }, () => listen(rig, gone.key)));
    const kept = await Promise.all(Array.from({ length: 20 }, () => listen(rig, stays.key)));
    const answer = await asOwner<{ cut: number }>(rig, 'key_revoke', { key: gone.id });
    expect(answer.cut).toBe(20);
    await until(() => cut.every((stream) => stream.ended()), 'the streams to be cut');
    const updated = (events: readonly string[]): boolean => events.some((event) => event.includes('resources/updated'));
    await until(() => kept.every((stream) => updated(stream.events)), 'the others to be told');
    expect(kept.filter((stream) => stream.ended())).toHaveLength(0);
    for (const stream of kept) stream.close();
    await until(() => rig.membrane.work.count(stays.id) === 0, 'the streams to be forgotten');
  });

  test('takes every key under it along, with their streams', async () => {
    const scopes = [...HELPER_SCOPES, 'membrane.register'];
    const parent = await issue(rig, name(), scopes);
    const child = await callOverHttp(rig, parent.key, 'membrane_register', {
      name: name(),
      public_key: ownKey().publicKey,
      scopes: ['receipt.read', 'membrane.register'],
    });
    const childId = String(child.result?.structuredContent?.['id']);
    const grandchild = await under(childId);
    const stream = await listen(rig, await bearer(grandchild));
    const stranger = await issue(rig, name());
    const removed = await asOwner<{ removed: number }>(rig, 'key_revoke', { key: parent.id });
    expect(removed.removed).toBe(3);
    await until(() => stream.ended(), 'the stream of the grandchild to be cut');
    expect(await enter(stranger.key)).toBe('ok');
    const left = await asOwner<{ grants: { id: string }[] }>(rig, 'key_list');
    expect(left.grants.filter(({ id }) => [parent.id, childId, grandchild].includes(id))).toEqual([]);
  });

  /** A bearer key that stands under a grant, as only the test can make one. */
  async function under(parent: string): Promise<string> {
    const key = await issue(rig, name());
    edit(rig.home, 'UPDATE substrate_grants SET parent = ? WHERE id = ?', parent, key.id);
    keys.set(key.id, key.key);
    return key.id;
  }

  const keys = new Map<string, string>();
  async function bearer(id: string): Promise<string> {
    return keys.get(id) ?? '';
  }

  test('ends with its parent’s time too: a child lasts no longer', async () => {
    const parent = await issue(rig, name(), [...HELPER_SCOPES, 'membrane.register'], { expires_in_s: 600 });
    const child = await callOverHttp(rig, parent.key, 'membrane_register', {
      name: name(),
      public_key: ownKey().publicKey,
      scopes: ['receipt.read'],
    });
    const shown = await asOwner<{ grant: { expires: string } }>(rig, 'key_show', { key: parent.id });
    expect(child.result?.structuredContent?.['expires']).toBe(shown.grant.expires);
  });

  test('whose row was deleted by hand is out at once, and its streams at the next sweep', async () => {
    const key = await issue(rig, name());
    const stream = await listen(rig, key.key);
    edit(rig.home, 'DELETE FROM substrate_grants WHERE id = ?', key.id);
    expect(await enter(key.key)).toBe('key_revoked');
    expect(await rig.membrane.sweep()).toBe(1);
    await until(() => stream.ended(), 'the stream to be cut');
  });

  test('that has expired has its streams closed by the sweep, and not a moment before', async () => {
    const key = await issue(rig, name(), HELPER_SCOPES, { expires_in_s: 60 });
    const stream = await listen(rig, key.key);
    expect(await rig.membrane.sweep()).toBe(0);
    const before = rig.sources.time;
    rig.sources.time += 60_000;
    try {
      expect(await rig.membrane.sweep()).toBe(1);
    } finally {
      rig.sources.time = before;
    }
    await until(() => stream.ended(), 'the stream to be cut');
  });

  test('is in the checkpoint outside the database before the owner is answered', async () => {
    const key = await issue(rig, name());
    const { receipt } = await asOwner<{ receipt: number }>(rig, 'key_revoke', { key: key.id });
    const size = Number(readFileSync(homePath(rig.home, 'checkpoint'), 'utf8').split('\n')[1]);
    expect(size).toBeGreaterThan(receipt);
  });
});

/** A POST whose body has begun and does not end. */
function slowly(key: string, begin: string): { outgoing: ClientRequest; over: () => number | null } {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${key}`,
    'content-length': 10_000,
  };
  let over: number | null = null;
  const outgoing = request({ port: rig.port, host: '127.0.0.1', method: 'POST', path: '/mcp', headers, agent: false });
  outgoing.on('response', (incoming) => {
    over = incoming.statusCode ?? 0;
    incoming.resume();
  });
  outgoing.on('error', () => {
    over = 0;
  });
  outgoing.write(begin);
  return { outgoing, over: () => over };
}

describe('[LOCK-MEMBRANE-2] removed between check and act', () => {
  test('while the request was still arriving: cut off, nothing done', async () => {
    const key = await issue(rig, name());
    const { outgoing, over } = slowly(key.key, '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{');
    await until(() => rig.membrane.work.count(key.id) === 1, 'the request to be let in');
    const { size } = await rig.substrate.log();
    await asOwner(rig, 'key_revoke', { key: key.id });
    await until(() => over() !== null, 'the request to be cut');
    expect(over()).toBe(0);
    outgoing.destroy();
    const after = await receipts(rig, { from: size });
    expect(after.map(({ action }) => action)).toEqual(['key.revoke']);
  });

  test('after the key was opened and before the request was registered: the look at the grant refuses', async () => {
    const key = await issue(rig, name());
    const { membrane } = rig;
    const [open, look] = [membrane.openKey.bind(membrane), membrane.admit.bind(membrane)];
    try {
      membrane.openKey = (token) => {
        const shown = open(token);
        edit(rig.home, 'DELETE FROM substrate_grants WHERE id = ?', shown.grant);
        return shown;
      };
      expect(await enter(key.key)).toBe('key_revoked');
      membrane.openKey = open;
      // The negative control: without the look, a request whose grant is gone comes in.
      const other = await issue(rig, name());
      const known = await look(open(other.key));
      edit(rig.home, 'DELETE FROM substrate_grants WHERE id = ?', other.id);
      membrane.admit = () => Promise.resolve(known);
      expect((await rpc(rig, other.key, { method: 'tools/list' })).status).toBe(200);
    } finally {
      membrane.openKey = open;
      membrane.admit = look;
    }
  });

  test('after the look and before the stream stood: the cut finds it, since it was registered first', async () => {
    const key = await issue(rig, name());
    const { membrane } = rig;
    const look = membrane.admit.bind(membrane);
    membrane.admit = async (shown) => {
      const admitted = await look(shown);
      if (shown.grant === key.id) await asOwner(rig, 'key_revoke', { key: key.id });
      return admitted;
    };
    try {
      const stream = await listen(rig, key.key);
      await until(() => stream.ended(), 'the stream to be cut');
    } finally {
      membrane.admit = look;
    }
  });

  test('a key that was refused holds nothing open', async () => {
    const key = await issue(rig, name());
    await asOwner(rig, 'key_revoke', { key: key.id });
    expect(await enter(key.key)).toBe('key_revoked');
    await until(() => rig.membrane.work.count(key.id) === 0, 'the request to be let go');
  });

  test('before an operation commits: refused inside the transaction, with a receipt and no effect', async () => {
    const key = await issue(rig, name());
    const { actor, grant } = await rig.membrane.admit(rig.membrane.openKey(key.key));
    const note = (): Promise<unknown> => rig.call({ tool: 'receipt_note', input: { text: 'late' }, actor, grant });
    await expect(note()).resolves.toBeTruthy();
    await asOwner(rig, 'key_revoke', { key: key.id });
    await expect(note()).rejects.toMatchObject({ code: 'key_revoked' });
    const [last] = (await receipts(rig)).slice(-1);
    expect(last).toMatchObject({ action: 'note.claim', outcome: 'refused', code: 'key_revoked', input: null });
  });

  test('before what was read goes out: nothing does', async () => {
    const key = await issue(rig, name());
    const { actor, grant } = await rig.membrane.admit(rig.membrane.openKey(key.key));
    const read = (): Promise<unknown> => rig.call({ tool: 'receipt_get', input: { seq: 0 }, actor, grant });
    await expect(read()).resolves.toBeTruthy();
    await asOwner(rig, 'key_revoke', { key: key.id });
    await expect(read()).rejects.toMatchObject({ code: 'key_revoked' });
  });

  test('while many requests run: each is answered whole or refused, and none is let in after', async () => {
    const key = await issue(rig, name());
    const running = Array.from({ length: 50 }, () =>
      callOverHttp(rig, key.key, 'receipt_note', { text: 'racing' }).then(outcome, () => 'cut'),
    );
    const { receipt } = await asOwner<{ receipt: number }>(rig, 'key_revoke', { key: key.id });
    const results = new Set(await Promise.all(running));
    for (const result of results) expect(['ok', 'key_revoked', 'cut']).toContain(result);
    const after = await receipts(rig, { from: receipt + 1, actor: key.name });
    expect(after.filter(({ outcome: became }) => became === 'claimed')).toEqual([]);
  });
});

describe('[LOCK-MEMBRANE-2] an older copy of the database', () => {
  test('does not bring a removed key back: nobody is served until the owner accepts', async () => {
    using own = scratch();
    const home = own.at('home');
    const first = await openRig(home);
    const { port, sources } = first;
    const key = await issue(first, 'builder');
    expect(outcome(await callOverHttp(first, key.key, 'seed_start'))).toBe('ok');
    await (await connectAgent(first, 'cursor')).call('seed_start');
    await first.close();
    const database = homePath(home, 'database');
    copyFileSync(database, own.at('old.db'));

    const second = await openRig(home, { port, sources });
    await asOwner(second, 'key_revoke', { key: 'builder' });
    expect(outcome(await callOverHttp(second, key.key, 'seed_start'))).toBe('key_revoked');
    await second.close();
    for (const rest of [`${database}-wal`, `${database}-shm`]) if (existsSync(rest)) rmSync(rest);
    copyFileSync(own.at('old.db'), database);

    const third = await openRig(home, { port, sources });
    expect(third.substrate.distrust?.code).toBe('log_rolled_back');
    const refused = await callOverHttp(third, key.key, 'receipt_get', { seq: 0 });
    expect([refused.status, outcome(refused)]).toEqual([503, 'log_rolled_back']);
    await expect(listen(third, key.key)).resolves.toMatchObject({
      events: [expect.not.stringContaining('acknowledged')],
    });
    expect((await connectAgent(third, 'cursor')).welcome).toMatchObject({ error: { code: 'log_rolled_back' } });
    expect((await connectAgent(third, 'somebody-new')).welcome).toMatchObject({ error: { code: 'log_rolled_back' } });
    expect(await healthOf(third)).toEqual([503, 'log_rolled_back']);
    // The owner is served, can look, and can change nothing but this.
    expect((await askOwner(third, 'receipt_list')).error).toBeUndefined();
    expect((await askOwner(third, 'key_issue', { name: 'x', scopes: ['seed.status'] })).error?.code).toBe(
      'log_rolled_back',
    );
    await third.close();
    expect(third.defects.map(({ code }) => code)).toEqual([]);

    const fourth = await openRig(home, { port, sources });
    await asOwner(fourth, 'log_accept');
    expect(await healthOf(fourth)).toEqual([200, undefined]);
    // The log as it is now says that the key stands; the owner removes it again.
    expect(outcome(await callOverHttp(fourth, key.key, 'seed_start'))).toBe('ok');
    await asOwner(fourth, 'key_revoke', { key: 'builder' });
    expect(outcome(await callOverHttp(fourth, key.key, 'seed_start'))).toBe('key_revoked');
    await fourth.close();
  });

  async function healthOf(where: Rig): Promise<[number, string | undefined]> {
    const answer = await ask(where, { path: '/healthz' });
    return [answer.status, (JSON.parse(answer.text) as { reason?: string }).reason];
  }
});

describe('[LOCK-MEMBRANE-2] a key that removes itself', () => {
  test('gets its answer, and then everything under it is closed', async () => {
    const own = await issue(rig, name(), [...HELPER_SCOPES, 'membrane.revoke']);
    const stream = await listen(rig, own.key);
    const answer = await callOverHttp(rig, own.key, 'membrane_revoke', { key: own.id });
    expect(outcome(answer)).toBe('ok');
    expect(answer.result?.structuredContent).toMatchObject({ removed: 1, cut: 1 });
    await until(() => stream.ended(), 'the stream to be cut');
    expect(await enter(own.key)).toBe('key_revoked');
    await until(() => rig.membrane.work.count(own.id) === 0, 'nothing to be open');
  });

  test('takes other calls of its own down with it, also from within a batch', async () => {
    const own = await issue(rig, name(), [...HELPER_SCOPES, 'membrane.revoke']);
    const params = { name: 'membrane_revoke', arguments: { key: own.id } };
    const note = { name: 'receipt_note', arguments: { text: 'too late' } };
    const call = (id: number, what: object): object => ({ jsonrpc: '2.0', id, method: 'tools/call', params: what });
    const answer = await ask(rig, {
      method: 'POST',
      path: '/mcp',
      body: JSON.stringify([call(1, params), call(2, note)]),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${own.key}`,
      },
    });
    expect(answer.text).toContain('"removed":1');
    expect((await receipts(rig, { action: 'note.claim' })).filter(({ actor }) => actor.grant === own.id)).toMatchObject(
      answer.text.includes('key_revoked') ? [] : [{ outcome: 'claimed' }],
    );
  });
});

describe('what is open under a grant', () => {
  test('is cut once, all of it and nothing else, and can be taken back', () => {
    const work = new OpenWork();
    const cut: string[] = [];
    const release = work.register('a', () => cut.push('a1'));
    work.register('a', () => cut.push('a2'));
    work.register('b', () => cut.push('b1'));
    release();
    release();
    expect([work.count('a'), work.grants()]).toEqual([1, ['a', 'b']]);
    expect(work.cut(['a', 'c'])).toBe(1);
    expect(cut).toEqual(['a2']);
    const own = (): number => cut.push('a3');
    work.register('a', own);
    expect(work.cut(['a'], own)).toBe(1);
    expect(cut).toEqual(['a2', 'a2']);
  });
});
