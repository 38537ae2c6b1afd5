/** What somebody from outside is told of the box and of others, and what the owner is told of outsiders. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Rig } from './rig.ts';
import { asOwner, callOverHttp, connectAgent, issue, openRig, rpc } from './rig.ts';

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

test('a helper learns how the seed is, and nothing of the box or who else is there; agents and the owner do', async () => {
  const agent = await connectAgent(rig, 'somebody-here');
  const { key } = await issue(rig, 'outsider');
  const told = await callOverHttp(rig, key, 'seed_status');
  expect(told.result?.structuredContent).toMatchObject({
    serving: true,
    pid: null,
    home: null,
    store: null,
    agents: [],
    seed: rig.substrate.seed,
  });
  const resource = await rpc(rig, key, { method: 'resources/read', params: { uri: 'seed://status' } });
  for (const answer of [told, resource]) {
    const text = JSON.stringify(answer);
    expect(text).toContain(rig.substrate.seed);
    for (const inner of [rig.home, 'somebody-here', 'sqlite']) expect(text).not.toContain(inner);
  }
  const inside = { home: rig.home, pid: process.pid, store: 'better-sqlite3', agents: ['somebody-here'] };
  expect((await agent.call('seed_status')).result?.structuredContent).toMatchObject(inside);
  expect(await asOwner(rig, 'seed_status')).toMatchObject(inside);
  agent.close();
});

test('a message to a key that expired says so in one sentence', async () => {
  await issue(rig, 'gone', ['bus.receive'], { expires_in_s: 60 });
  rig.sources.time += 61_000;
  await expect(asOwner(rig, 'bus_send', { to: 'gone', text: 'x' })).rejects.toThrow(
    'to: The key of "gone" has expired; nothing was sent.',
  );
  await expect(asOwner(rig, 'bus_send', { to: 'never', text: 'x' })).rejects.toThrow(
    'to: There is nobody named "never"; nothing was sent.',
  );
});

test('a key that is issued while the seed is halted comes with a word of that', async () => {
  expect(await issue(rig, 'early')).toMatchObject({ halted: false });
  await asOwner(rig, 'seed_halt');
  expect(await issue(rig, 'meanwhile')).toMatchObject({ halted: true });
  await asOwner(rig, 'seed_resume');
  expect(await issue(rig, 'after')).toMatchObject({ halted: false });
});
