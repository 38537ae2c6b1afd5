/** What an agent may not do alone it can ask for; only the owner decides, once, on what was shown. */
import { createHash } from 'node:crypto';
import { OWNER } from '../../src/substrate/actor.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalize } from '../../src/formats/canonical.ts';
import { SCOPES } from '../../src/substrate/identity/scopes.ts';
import { PENDING_REQUESTS_MAX } from '../../src/substrate/identity/requests.ts';
import type { AgentConnection, IssuedKey, Rig } from '../doors/rig.ts';
import {
  askOwner,
  asOwner,
  callOverHttp,
  connectAgent,
  edit,
  issue,
  openRig,
  outcome,
  receipts,
} from '../doors/rig.ts';
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

interface Asked {
  readonly request: string;
  readonly hash: string;
}

interface Pending {
  readonly id: string;
  readonly hash: string;
  readonly agent: string;
  readonly scopes: string[];
}

const helper = (): Promise<IssuedKey> => issue(rig, `asker-${++names}`, ['seed.status']);

async function askFor(key: string, scopes: readonly string[] = ['receipt.read']): Promise<Asked> {
  const answer = await callOverHttp(rig, key, 'membrane_request', { scopes, reason: 'to look' });
  expect(outcome(answer)).toBe('ok');
  return answer.result?.structuredContent as unknown as Asked;
}

const pending = async (): Promise<Pending[]> => (await asOwner<{ requests: Pending[] }>(rig, 'request_list')).requests;

const decide = async (tool: 'request_approve' | 'request_deny', { request, hash }: Asked, more: object = {}) =>
  (await askOwner(rig, tool, { id: request, hash, ...more })).error?.code ?? 'ok';

const scopesOf = async (id: string): Promise<string[]> =>
  (await asOwner<{ grant: { scopes: string[] } }>(rig, 'key_show', { key: id })).grant.scopes;

describe('[LOCK-MEMBRANE-3] a request', () => {
  test('approved widens exactly that grant by exactly what was asked', async () => {
    const [asker, other] = [await helper(), await helper()];
    const asked = await askFor(asker.key);
    expect((await pending()).find(({ id }) => id === asked.request)).toMatchObject({
      hash: asked.hash,
      agent: asker.name,
      scopes: ['receipt.read'],
    });
    expect(outcome(await callOverHttp(rig, asker.key, 'receipt_get', { seq: 0 }))).toBe('forbidden');
    expect(await decide('request_approve', asked)).toBe('ok');
    // The same key, which still says the old scopes: the row decides.
    expect(outcome(await callOverHttp(rig, asker.key, 'receipt_get', { seq: 0 }))).toBe('ok');
    expect(outcome(await callOverHttp(rig, other.key, 'receipt_get', { seq: 0 }))).toBe('forbidden');
    expect(await scopesOf(asker.id)).toEqual(['receipt.read', 'seed.status']);
    expect(await scopesOf(other.id)).toEqual(['seed.status']);
    expect((await pending()).map(({ id }) => id)).not.toContain(asked.request);
  });

  test('denied changes nothing, and is decided once either way', async () => {
    const asker = await helper();
    const [denied, approved] = [await askFor(asker.key), await askFor(asker.key, ['receipt.note'])];
    expect(await decide('request_deny', denied)).toBe('ok');
    expect(await decide('request_approve', approved)).toBe('ok');
    for (const tool of ['request_approve', 'request_deny'] as const) {
      expect(await decide(tool, denied)).toBe('conflict');
      expect(await decide(tool, approved)).toBe('conflict');
    }
    expect(await scopesOf(asker.id)).toEqual(['receipt.note', 'seed.status']);
  });

  test('needs the hash of what was shown', async () => {
    const asker = await helper();
    const [first, second] = [await askFor(asker.key), await askFor(asker.key, ['membrane.register'])];
    expect((await askOwner(rig, 'request_approve', { id: first.request })).error?.code).toBe('invalid_input');
    expect(await decide('request_approve', { ...first, hash: '0'.repeat(64) })).toBe('conflict');
    expect(await decide('request_approve', { ...second, hash: first.hash })).toBe('conflict');
    expect(await decide('request_approve', { ...first, request: 'nothing' })).toBe('not_found');
    expect(await scopesOf(asker.id)).toEqual(['seed.status']);
    expect(await decide('request_approve', first)).toBe('ok');
  });

  test('whose row was changed is refused, and hides no other', async () => {
    const asker = await helper();
    const [plain, rehashed, untouched] = [
      await askFor(asker.key),
      await askFor(asker.key, ['receipt.note']),
      await askFor(asker.key, ['content.read']),
    ];
    const wider = (asked: Asked): string => {
      const body = JSON.parse(bodies.get(asked.request) ?? '{}') as Record<string, string | string[] | number>;
      return canonicalize({ ...body, scopes: ['membrane.register'] });
    };
    const bodies = await rig.substrate.read(
      async (db) =>
        new Map(
          (await db.all('SELECT id, body FROM substrate_requests')).map((row) => [row['id'], String(row['body'])]),
        ),
    );
    edit(rig.home, 'UPDATE substrate_requests SET body = ? WHERE id = ?', wider(plain), plain.request);
    const hash = createHash('sha256').update(wider(rehashed)).digest('hex');
    edit(
      rig.home,
      'UPDATE substrate_requests SET body = ?, hash = ? WHERE id = ?',
      wider(rehashed),
      hash,
      rehashed.request,
    );
    expect(await decide('request_approve', plain)).toBe('conflict');
    expect(await decide('request_approve', rehashed)).toBe('conflict');
    const ids = (await pending()).map(({ id }) => id);
    expect(ids).not.toContain(plain.request);
    expect(ids).toContain(untouched.request);
    expect(outcome(await callOverHttp(rig, asker.key, 'seed_start'))).toBe('ok');
    expect(await scopesOf(asker.id)).toEqual(['seed.status']);
    expect(await decide('request_approve', untouched)).toBe('ok');
  });

  test('is on record with its hash, so that a changed row shows', async () => {
    const asker = await helper();
    const asked = await askFor(asker.key);
    const [receipt] = (await receipts(rig, { action: 'membrane.request' })).slice(-1);
    expect(receipt).toMatchObject({ subject: { type: 'request', id: asked.request }, detail: { hash: asked.hash } });
  });

  test('expires after a week: not a moment before, and then for good', async () => {
    const asker = await helper();
    const [early, late] = [await askFor(asker.key), await askFor(asker.key, ['receipt.note'])];
    const before = rig.sources.time;
    try {
      rig.sources.time = before + 7 * 86_400_000 - 1;
      expect(await decide('request_approve', early)).toBe('ok');
      rig.sources.time = before + 7 * 86_400_000;
      expect(await decide('request_approve', late)).toBe('conflict');
      expect((await pending()).map(({ id }) => id)).not.toContain(late.request);
    } finally {
      rig.sources.time = before;
    }
  });

  test('says who issued the key that asks, where it was no owner', async () => {
    const [issuer, child] = [await helper(), await helper()];
    await rig.substrate.operate({ action: 'key.issue', actor: OWNER }, (op) =>
      op.run('UPDATE substrate_grants SET parent = ? WHERE id = ?', issuer.id, child.id),
    );
    const [its, own] = [await askFor(child.key), await askFor(issuer.key)];
    expect(await asOwner(rig, 'request_show', { id: its.request })).toMatchObject({ issued_by: issuer.name });
    expect(await asOwner(rig, 'request_show', { id: own.request })).toMatchObject({ issued_by: null });
    expect((await pending()).find(({ id }) => id === its.request)).toMatchObject({ issued_by: issuer.name });
  });

  test('of a grant that is gone cannot be approved', async () => {
    const asker = await helper();
    const asked = await askFor(asker.key);
    await asOwner(rig, 'key_revoke', { key: asker.id });
    // A new key of the same name is not the one that asked.
    const namesake = await issue(rig, asker.name, ['seed.status']);
    expect(await decide('request_approve', asked)).toBe('conflict');
    expect(await scopesOf(namesake.id)).toEqual(['seed.status']);
    expect(await decide('request_deny', asked)).toBe('conflict');
    expect((await pending()).map(({ id }) => id)).not.toContain(asked.request);
    expect(await asOwner(rig, 'request_show', { id: asked.request })).toMatchObject({
      status: 'closed',
      decided: null,
    });
  });

  test('can be read after it was decided, with what became of it', async () => {
    const asker = await helper();
    const [approved, denied, late] = [
      await askFor(asker.key),
      await askFor(asker.key, ['receipt.note']),
      await askFor(asker.key, ['content.read']),
    ];
    expect(await decide('request_approve', approved)).toBe('ok');
    expect(await decide('request_deny', denied)).toBe('ok');
    const decided = new Date(rig.sources.time).toISOString();
    const before = rig.sources.time;
    rig.sources.time += 7 * 86_400_000;
    try {
      const { requests } = await asOwner<{ requests: (Pending & { status: string; decided: string | null })[] }>(
        rig,
        'request_list',
        { all: true },
      );
      const found = (id: string) => requests.find((request) => request.id === id);
      expect(found(approved.request)).toMatchObject({ status: 'approved', decided });
      expect(found(denied.request)).toMatchObject({ status: 'denied', decided });
      expect(found(late.request)).toMatchObject({ status: 'expired', decided: null });
      expect(await asOwner(rig, 'request_show', { id: denied.request })).toEqual(found(denied.request));
      expect((await askOwner(rig, 'request_show', { id: 'nothing' })).error?.code).toBe('not_found');
    } finally {
      rig.sources.time = before;
    }
  });

  test('for what one holds, or has asked for, is said so and leaves no receipt', async () => {
    const asker = await helper();
    const { size } = await rig.substrate.log();
    expect(await askFor(asker.key, ['seed.status', 'seed.status'])).toMatchObject({
      status: 'held',
      scopes: ['seed.status'],
      request: null,
      receipt: null,
    });
    expect((await rig.substrate.log()).size).toBe(size);
    // What is held already is left out of what the owner is asked.
    const asked = await askFor(asker.key, ['seed.status', 'receipt.read', 'content.read']);
    expect(asked).toMatchObject({ status: 'asked', scopes: ['content.read', 'receipt.read'] });
    const { size: then } = await rig.substrate.log();
    const again = await askFor(asker.key, ['receipt.read', 'content.read']);
    expect(again).toMatchObject({ status: 'waiting', request: asked.request, hash: asked.hash, receipt: null });
    expect((await rig.substrate.log()).size).toBe(then);
    expect(await askFor(asker.key, ['receipt.read'])).toMatchObject({ status: 'asked' });
    expect(await decide('request_deny', asked)).toBe('ok');
    expect(await askFor(asker.key, ['receipt.read', 'content.read'])).toMatchObject({ status: 'asked' });
  });

  test('asked twenty times at the same moment waits once', async () => {
    const asker = await helper();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        callOverHttp(rig, asker.key, 'membrane_request', { scopes: ['receipt.read'], reason: 'now' }),
      ),
    );
    const asked = answers.filter(({ result }) => result?.structuredContent?.['status'] === 'asked');
    expect(asked).toHaveLength(1);
    expect((await pending()).filter(({ agent }) => agent === asker.name)).toHaveLength(1);
  });

  test(`waits with no more than ${PENDING_REQUESTS_MAX} of its kind`, async () => {
    const [asker, other] = [await helper(), await helper()];
    const asked: Asked[] = [];
    const beyond = Object.keys(SCOPES).filter((scope) => scope !== 'seed.status');
    const pairs = beyond.flatMap((one, i) => beyond.slice(i + 1).map((two) => [one, two]));
    const [last = [], ...first] = pairs.slice(0, PENDING_REQUESTS_MAX + 1);
    for (const scopes of first) asked.push(await askFor(asker.key, scopes));
    const more = await callOverHttp(rig, asker.key, 'membrane_request', { scopes: last, reason: 'again' });
    expect(outcome(more)).toBe('busy');
    await askFor(other.key);
    await decide('request_deny', asked[0] as Asked);
    await askFor(asker.key, last);
  });

  test('takes only scopes that exist, and words of bounded length', async () => {
    const { key } = await helper();
    for (const input of [
      { scopes: ['key.issue'], reason: 'x' },
      { scopes: ['receipt'], reason: 'x' },
      { scopes: [], reason: 'x' },
      { scopes: ['receipt.read'], reason: '' },
      { scopes: ['receipt.read'], reason: 'x'.repeat(501) },
      { scopes: Array.from({ length: 21 }, () => 'receipt.read'), reason: 'x' },
      { scopes: ['receipt.read'] },
    ])
      expect(outcome(await callOverHttp(rig, key, 'membrane_request', input))).toBe('invalid_input');
  });
});

describe('[LOCK-MEMBRANE-3] nobody approves their own', () => {
  test('not by saying so, in an argument or as an elicitation’s answer', async () => {
    const asker = await helper();
    const agent = await connectAgent(rig, `talker-${++names}`);
    for (const more of [
      { confirm: true },
      { approved: true },
      { action: 'accept' },
      { passphrase: 'x' },
      { _meta: {} },
    ]) {
      const input = { scopes: ['receipt.read'], reason: 'please', ...more };
      expect(outcome(await callOverHttp(rig, asker.key, 'membrane_request', input))).toBe('invalid_input');
      expect(outcome(await agent.call('membrane_request', input))).toBe('invalid_input');
    }
    const asked = await askFor(asker.key);
    // An answer to a question that was never put, as a client might forge one.
    agent.send(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { action: 'accept', content: { confirm: true } } }));
    await agent.rpc('elicitation/create', { action: 'accept' });
    expect((await pending()).map(({ id }) => id)).toContain(asked.request);
    expect(await scopesOf(asker.id)).toEqual(['seed.status']);
    agent.close();
  });

  test('not by calling the owner’s tool, through any door', async () => {
    const asker = await helper();
    const asked = await askFor(asker.key);
    const agent = await connectAgent(rig, `decider-${++names}`);
    const input = { id: asked.request, hash: asked.hash };
    for (const answer of [
      await callOverHttp(rig, asker.key, 'request_approve', input),
      await agent.call('request_approve', input),
    ])
      expect(answer.error?.code).toBe(-32_602);
    expect(await scopesOf(asker.id)).toEqual(['seed.status']);
    agent.close();
  });

  test('an agent asks too, for itself alone', async () => {
    const agent = await connectAgent(rig, 'local-asker');
    const other = await connectAgent(rig, 'local-other');
    const answer = await agent.call('membrane_request', { scopes: ['membrane.list'], reason: 'to look' });
    const asked = answer.result?.structuredContent as unknown as Asked;
    const waiting = async (who: AgentConnection): Promise<unknown> =>
      (await who.call('seed_start')).result?.structuredContent?.['waiting'];
    expect(await waiting(agent)).toEqual([expect.stringContaining(asked.request)]);
    expect(await waiting(other)).toEqual([]);
    expect(outcome(await agent.call('membrane_list'))).toBe('forbidden');
    expect(await decide('request_approve', asked)).toBe('ok');
    // At once, on the open connection.
    expect(outcome(await agent.call('membrane_list'))).toBe('ok');
    expect(outcome(await other.call('membrane_list'))).toBe('forbidden');
    agent.close();
    other.close();
  });
});

describe('[LOCK-MEMBRANE-3] with an owner passphrase', () => {
  const PASSPHRASE = 'correct horse battery';
  let own: Scratch;
  let guarded: Rig;

  beforeAll(async () => {
    own = scratch();
    guarded = await openRig(own.at('home'), { passphrase: PASSPHRASE });
  });

  afterAll(async () => {
    await guarded.close();
    own[Symbol.dispose]();
  });

  // What an agent's child shell can do: it has the owner's user id, and so the owner's socket.
  test('an agent’s shell cannot approve, issue, halt or resume; each try is on record', async () => {
    const agent = await connectAgent(guarded, 'cursor');
    const answer = await agent.call('membrane_request', { scopes: ['membrane.register'], reason: 'please' });
    const asked = answer.result?.structuredContent as unknown as Asked;
    const [id, hash] = [asked.request, asked.hash];
    const acts: readonly [string, object][] = [
      ['request_approve', { id, hash }],
      ['key_issue', { name: 'mine', scopes: ['receipt.read'] }],
      ['seed_halt', {}],
      ['seed_resume', {}],
      ['config_set', { name: 'oauth', value: 'on' }],
      ['log_accept', {}],
    ];
    for (const [tool, input] of acts) {
      for (const passphrase of [undefined, '', 'wrong', `${PASSPHRASE} `]) {
        const { size } = await guarded.substrate.log();
        const { error } = await askOwner(guarded, tool, input, passphrase);
        expect([tool, passphrase, error?.code]).toEqual([tool, passphrase, 'passphrase_required']);
        const left = await receipts(guarded, { from: size });
        expect(left).toMatchObject([
          { action: tool.replace('_', '.'), outcome: 'refused', code: 'passphrase_required' },
        ]);
      }
    }
    // Nor by an argument, which is no place for a passphrase.
    expect((await askOwner(guarded, 'request_approve', { id, hash, passphrase: PASSPHRASE })).error?.code).toBe(
      'passphrase_required',
    );
    expect(outcome(await agent.call('membrane_register', {}))).toBe('forbidden');
    expect((await askOwner(guarded, 'request_approve', { id, hash }, PASSPHRASE)).error).toBeUndefined();
    expect(outcome(await agent.call('membrane_list'))).toBe('forbidden');
    expect(outcome(await agent.call('membrane_register', {}))).toBe('invalid_input');
    agent.close();
  });

  test('shutting out needs none: whoever is at the box may always lock', async () => {
    const { name } = await asOwner<IssuedKey>(
      guarded,
      'key_issue',
      { name: 'out', scopes: ['seed.status'] },
      PASSPHRASE,
    );
    expect((await askOwner(guarded, 'key_revoke', { key: name })).error).toBeUndefined();
  });

  test('resuming needs it, and halting did', async () => {
    await asOwner(guarded, 'seed_halt', {}, PASSPHRASE);
    expect((await askOwner(guarded, 'seed_resume')).error?.code).toBe('passphrase_required');
    expect((await connectAgent(guarded, 'halted')).welcome).toMatchObject({ error: { code: 'halted' } });
    await asOwner(guarded, 'seed_resume', {}, PASSPHRASE);
    const agent = await connectAgent(guarded, 'halted');
    expect(outcome(await agent.call('seed_start'))).toBe('ok');
    agent.close();
  });
});
