/** The halt: everybody but the owner is shut out, now, and stays out until the owner says otherwise. */
import { expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import { writeSwitch } from '../../src/substrate/switches.ts';
import type { Rig } from '../doors/rig.ts';
import {
  askOwner,
  askToken,
  asOwner,
  callOverHttp,
  connectAgent,
  issue,
  listen,
  openRig,
  outcome,
  ownKey,
  receipts,
  signJwt,
} from '../doors/rig.ts';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';

test('[LOCK-MEMBRANE-2] a halt shuts everybody out, cuts what is open, and outlasts a restart', async () => {
  using folder = scratch();
  const first = await openRig(folder.at('home'));
  const { port, sources } = first;
  const bearer = await issue(first, 'bearer');
  const own = ownKey();
  const { id } = await issue(first, 'signer', ['seed.status'], { public_key: own.publicKey });
  const assertion = (jti: string): string => {
    const now = Math.floor(sources.time / 1_000);
    const claims = { iss: id, sub: id, aud: `http://127.0.0.1:${port}`, jti, iat: now, exp: now + 60 };
    return signJwt({ alg: 'EdDSA' }, claims, own.privateKey);
  };
  const given = await askToken(first, assertion('before'));
  const { access_token: token } = JSON.parse(given.text) as { access_token: string };
  const stream = await listen(first, bearer.key);
  const agent = await connectAgent(first, 'cursor');
  expect(outcome(await agent.call('seed_start'))).toBe('ok');
  expect(await enterAll(first)).toEqual(['ok', 'ok']);

  const halted = await asOwner<{ cut: number }>(first, 'seed_halt');
  expect(halted.cut).toBe(2);
  await until(() => stream.ended() && agent.closed(), 'what was open to be cut');
  await expectShut(first);
  await first.close();

  const second = await openRig(folder.at('home'), { port, sources });
  await expectShut(second);
  // The owner's own door works, all of it.
  expect((await askOwner(second, 'seed_status')).result).toMatchObject({ halted: true });
  expect((await askOwner(second, 'key_issue', { name: 'new', scopes: ['seed.status'] })).error).toBeUndefined();
  await asOwner(second, 'seed_resume');
  expect(await enterAll(second)).toEqual(['ok', 'ok']);
  expect((await askToken(second, assertion('after'))).status).toBe(200);
  const back = await connectAgent(second, 'cursor');
  expect(back.welcome).toMatchObject({ name: 'cursor' });
  expect(outcome(await back.call('seed_start'))).toBe('ok');
  back.close();
  await second.close();

  async function enterAll(rig: Rig): Promise<string[]> {
    return Promise.all([bearer.key, token].map(async (key) => outcome(await callOverHttp(rig, key, 'seed_start'))));
  }

  async function expectShut(rig: Rig): Promise<void> {
    expect(await enterAll(rig)).toEqual(['halted', 'halted']);
    expect((await callOverHttp(rig, bearer.key, 'seed_start')).status).toBe(503);
    expect((await askToken(rig, assertion('during'))).status).toBe(401);
    expect((await listen(rig, bearer.key)).events.join('')).not.toContain('acknowledged');
    expect((await connectAgent(rig, 'cursor')).welcome).toMatchObject({ error: { code: 'halted' } });
    expect((await connectAgent(rig, 'never-seen')).welcome).toMatchObject({ error: { code: 'halted' } });
  }
});

test('[LOCK-MEMBRANE-2] halting and resuming race with calls: after a halt is answered nobody is let in', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const { key } = await issue(rig, 'busy');
  for (let round = 0; round < 10; round++) {
    const running = Array.from({ length: 10 }, () => callOverHttp(rig, key, 'seed_start').then(outcome, () => 'cut'));
    await asOwner(rig, 'seed_halt');
    expect(outcome(await callOverHttp(rig, key, 'seed_start'))).toBe('halted');
    for (const result of await Promise.all(running)) expect(['ok', 'halted', 'cut']).toContain(result);
    await asOwner(rig, 'seed_resume');
    expect(outcome(await callOverHttp(rig, key, 'seed_start'))).toBe('ok');
  }
});

test('[LOCK-MEMBRANE-2] what was let in before a halt and waits behind it is not carried out', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const { id, key } = await issue(rig, 'queued');
  const { actor } = await rig.membrane.admit(rig.membrane.openKey(key));
  const act = (action: string): Promise<string> =>
    rig.substrate
      .operate({ action, actor }, async () => 'ok')
      .then(
        () => 'ok',
        (error: { code: string }) => error.code,
      );
  // Queued in one turn: all three are in one group, in this order.
  const ends = await Promise.all([
    act('deploy.before'),
    rig.substrate.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', true)),
    act('deploy.behind'),
  ]);
  expect([ends[0], ends[2]]).toEqual(['ok', 'halted']);
  const left = (await receipts(rig)).slice(ends[1].seq - 1);
  expect(left).toMatchObject([
    { action: 'deploy.before', outcome: 'ok', actor: { grant: id } },
    { action: 'seed.halt', outcome: 'ok' },
    { action: 'deploy.behind', outcome: 'refused', code: 'halted', actor: { grant: id } },
  ]);
  await asOwner(rig, 'seed_resume');
  expect(await act('deploy.after')).toBe('ok');
});

test('halting what is halted, and resuming what is not, changes nothing and says so', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const { size } = await rig.substrate.log();
  expect(await asOwner(rig, 'seed_resume')).toEqual({ changed: false, receipt: null, cut: 0 });
  expect((await rig.substrate.log()).size).toBe(size);
  expect(await asOwner(rig, 'seed_halt')).toEqual({ changed: true, receipt: size, cut: 0 });
  expect(await asOwner(rig, 'seed_halt')).toEqual({ changed: false, receipt: null, cut: 0 });
  expect(await asOwner(rig, 'seed_resume')).toEqual({ changed: true, receipt: size + 1, cut: 0 });
});

test('while the seed is halted a new name makes no agent and leaves no receipt', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const agents = async (): Promise<number> =>
    (await asOwner<{ grants: unknown[] }>(rig, 'key_list', { door: 'agent' })).grants.length;
  (await connectAgent(rig, 'cursor')).close();
  await asOwner(rig, 'seed_halt');
  const before = (await receipts(rig)).length;
  for (const name of ['never-seen', 'cursor', 'never-seen']) {
    expect((await connectAgent(rig, name)).welcome).toMatchObject({ error: { code: 'halted' } });
  }
  expect(await receipts(rig)).toHaveLength(before);
  expect(await agents()).toBe(1);
  await asOwner(rig, 'seed_resume');
  const agent = await connectAgent(rig, 'never-seen');
  expect(agent.welcome).toMatchObject({ name: 'never-seen' });
  agent.close();
  expect(await agents()).toBe(2);
});
