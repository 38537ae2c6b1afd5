/** Keys issued under keys: never wider, never longer, never somebody else's. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentConnection, IssuedKey, Rig, RpcAnswer } from '../doors/rig.ts';
import {
  askOwner,
  asOwner,
  callOverHttp,
  connectAgent,
  edit,
  issue,
  openRig,
  outcome,
  ownKey,
  receipts,
  rpc,
} from '../doors/rig.ts';
import { SCOPES } from '../../src/substrate/identity/scopes.ts';
import { TOOLS } from '../support/tools.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let folder: Scratch;
let rig: Rig;
let parent: IssuedKey;
let names = 0;

const HELD = ['membrane.list', 'membrane.register', 'membrane.revoke', 'receipt.read'];
const DAY_S = 86_400;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
  parent = await issue(rig, 'parent', HELD, { expires_in_s: 10 * DAY_S });
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

const name = (): string => `child-${++names}`;

function register(more: object = {}, key: string = parent.key): Promise<RpcAnswer> {
  const input = { name: name(), public_key: ownKey().publicKey, scopes: ['receipt.read'], ...more };
  return callOverHttp(rig, key, 'membrane_register', input);
}

describe('[LOCK-MEMBRANE-3] registering under a key', () => {
  test('within its own scopes and time is done, and is no bearer key', async () => {
    const answer = await register({ expires_in_s: 9 * DAY_S });
    expect(outcome(answer)).toBe('ok');
    expect(JSON.stringify(answer.result)).not.toContain('eyJ');
    const { structuredContent: child } = answer.result ?? {};
    const shown = await asOwner<{ grant: object }>(rig, 'key_show', { key: child?.['id'] as string });
    expect(shown.grant).toMatchObject({ issued_under: parent.id, kind: 'public_key', scopes: ['receipt.read'] });
  });

  test.each(Object.keys(SCOPES).filter((scope) => !HELD.includes(scope)))('wider by %s is refused', async (scope) => {
    const answer = await register({ scopes: ['receipt.read', scope] });
    expect(outcome(answer)).toBe('forbidden');
    expect(outcome(await register())).toBe('ok');
  });

  test.each(['receipt', '*', 'key.issue', 'request.decide', 'seed.halt', 'receipt.read '])(
    'with the scope "%s", which no grant can hold, is refused',
    async (scope) => {
      expect(outcome(await register({ scopes: [scope] }))).toBe('invalid_input');
    },
  );

  test('longer than it lasts is refused; as long, or unsaid, is not longer', async () => {
    expect(outcome(await register({ expires_in_s: 10 * DAY_S + 1 }))).toBe('forbidden');
    expect(outcome(await register({ expires_in_s: 366 * DAY_S }))).toBe('forbidden');
    const [exact, unsaid] = [await register({ expires_in_s: 10 * DAY_S }), await register()];
    const { grant } = await asOwner<{ grant: { expires: string } }>(rig, 'key_show', { key: parent.id });
    for (const { result } of [exact, unsaid]) expect(result?.structuredContent?.['expires']).toBe(grant.expires);
  });

  test('without a public key is refused: a bearer key comes from the owner alone', async () => {
    expect(outcome(await register({ public_key: undefined }))).toBe('invalid_input');
    expect(outcome(await register({ public_key: null }))).toBe('invalid_input');
    const { actor, grant } = await rig.membrane.admit(rig.membrane.openKey(parent.key));
    const bearer = { name: name(), scopes: ['receipt.read'], public_key: null };
    await expect(rig.call({ tool: 'key_issue', input: bearer, actor, grant })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('with arguments of the owner’s tool, or a parent of its choice, is refused', async () => {
    for (const more of [{ tools: 'full' }, { parent: null }, { kind: 'agent' }, { door: 'agent' }, { confirm: true }])
      expect(outcome(await register(more))).toBe('invalid_input');
  });

  test('without the scope for it is refused', async () => {
    const without = await issue(rig, name(), ['receipt.read', 'membrane.list']);
    expect(outcome(await register({}, without.key))).toBe('forbidden');
    expect(outcome(await register())).toBe('ok');
  });

  test('a hundred keys may stand under one, and room comes back', async () => {
    const many = await issue(rig, name(), HELD);
    const made: string[] = [];
    for (let i = 0; i < 100; i++) {
      const answer = await register({}, many.key);
      expect(outcome(answer)).toBe('ok');
      made.push(String(answer.result?.structuredContent?.['id']));
    }
    expect(outcome(await register({}, many.key))).toBe('busy');
    expect(outcome(await callOverHttp(rig, many.key, 'membrane_revoke', { key: made[0] }))).toBe('ok');
    expect(outcome(await register({}, many.key))).toBe('ok');
  });
});

describe('[LOCK-MEMBRANE-3] revoking under a key', () => {
  test('reaches what stands under it and itself, and nothing beside or above', async () => {
    const stranger = await issue(rig, name(), HELD);
    const below = String((await register({ scopes: HELD })).result?.structuredContent?.['id']);
    const revoke = (by: string, key: string) => callOverHttp(rig, by, 'membrane_revoke', { key }).then(outcome);
    expect(await revoke(stranger.key, parent.id)).toBe('forbidden');
    expect(await revoke(stranger.key, 'parent')).toBe('forbidden');
    expect(await revoke(stranger.key, below)).toBe('forbidden');
    expect(await revoke(stranger.key, 'nobody')).toBe('not_found');
    expect(await revoke(parent.key, stranger.id)).toBe('forbidden');
    // A local agent's grant is not within reach of a key, by id or by name.
    const agent = await connectAgent(rig, 'bystander');
    const { grants } = await asOwner<{ grants: { id: string }[] }>(rig, 'key_list', { door: 'agent' });
    expect(await revoke(parent.key, grants[0]?.id ?? '')).toBe('not_found');
    agent.close();
    expect(await revoke(parent.key, below)).toBe('ok');
    expect(outcome(await callOverHttp(rig, parent.key, 'seed_start'))).toBe('ok');
    expect(outcome(await callOverHttp(rig, stranger.key, 'seed_start'))).toBe('ok');
  });

  test('the list shows what stands under it, and nothing else', async () => {
    const [mine, theirs] = [await issue(rig, name(), HELD), await issue(rig, name(), HELD)];
    const child = String((await register({}, mine.key)).result?.structuredContent?.['id']);
    await register({}, theirs.key);
    const { result } = await callOverHttp(rig, mine.key, 'membrane_list');
    expect((result?.structuredContent?.['keys'] as { id: string }[] | undefined)?.map(({ id }) => id)).toEqual([child]);
  });
});

describe('[LOCK-MEMBRANE-3] the owner’s tools', () => {
  const ownerTools = TOOLS.filter(({ surface }) => surface === 'owner').map((tool) => tool.name);
  let all: IssuedKey;
  let agent: AgentConnection;

  beforeAll(async () => {
    all = await issue(rig, 'everything', Object.keys(SCOPES));
    agent = await connectAgent(rig, 'everything');
    // Whatever a row may say: every scope there is, the owner's own included.
    const scopes = JSON.stringify([...Object.keys(SCOPES), ...TOOLS.flatMap(({ scope }) => scope ?? []), '*']);
    edit(rig.home, 'UPDATE substrate_grants SET scopes = ? WHERE name = ?', scopes, 'everything');
  });

  afterAll(() => agent.close());

  test.each(ownerTools)('%s is neither shown nor run at the doors of others', async (tool) => {
    // There are more of them than refusals that one grant has on record in a minute.
    rig.sources.time += 2_000;
    const params = {
      name: tool,
      arguments: { key: 'parent', name: 'x', scopes: ['seed.status'], id: 'x', door: 'http' },
    };
    for (const ask of [
      () => rpc(rig, all.key, { method: 'tools/call', params }),
      () => agent.rpc('tools/call', params),
    ]) {
      const { size } = await rig.substrate.log();
      const answer = await ask();
      expect(answer.error).toMatchObject({ code: -32_602 });
      const [refused, ...more] = await receipts(rig, { from: size });
      expect([refused?.outcome, refused?.code, more]).toEqual(['refused', 'not_found', []]);
    }
    for (const list of [await rpc(rig, all.key, { method: 'tools/list' }), await agent.rpc('tools/list')])
      expect((list.result?.['tools'] as { name: string }[] | undefined)?.map((shown) => shown.name)).not.toContain(
        tool,
      );
    expect(rig.stops()).toBe(0);
  });

  test('run at the owner’s own: the negative control', async () => {
    for (const tool of ['key_list', 'request_list', 'receipt_checkpoint', 'seed_doctor'])
      expect((await askOwner(rig, tool)).error).toBeUndefined();
  });

  test('a resource answers from one of them, and no argument reaches it', async () => {
    const read = await rpc(rig, all.key, { method: 'resources/read', params: { uri: 'seed://checkpoint' } });
    expect(read.result?.['contents']).toMatchObject([{ uri: 'seed://checkpoint' }]);
    const without = await issue(rig, name(), ['seed.status']);
    const refused = await rpc(rig, without.key, { method: 'resources/read', params: { uri: 'seed://checkpoint' } });
    expect(refused.result).toBeUndefined();
    expect(refused.error?.message).toContain('no resource');
  });
});
