/** What `key_show` says a key did: what was done under it, whatever it or another one is named. */
import { expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { Rig } from '../doors/rig.ts';
import { askOwner, asOwner, callOverHttp, connectAgent, issue, openRig, outcome } from '../doors/rig.ts';
import { scratch } from '../support/scratch.ts';

interface Shown {
  readonly grant: { readonly id: string; readonly name: string };
  readonly receipts: readonly Receipt[];
}

/** The actions of the receipts shown, newest first, each of which must be of that grant. */
async function actionsOf(rig: Rig, key: string): Promise<string[]> {
  const { grant, receipts } = await asOwner<Shown>(rig, 'key_show', { key });
  for (const { actor } of receipts) expect(actor.grant).toBe(grant.id);
  return receipts.map(({ action }) => action);
}

test('a key and an agent never go by one name, and a renamed agent keeps what it did', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const { id, key } = await issue(rig, 'cursor');
  expect(outcome(await callOverHttp(rig, key, 'receipt_note', { text: 'x', action: 'by.key' }))).toBe('ok');
  const agent = await connectAgent(rig, 'cursor');
  // The name is the key's: the agent gets the next one and is told so.
  expect(agent.welcome).toMatchObject({ name: 'cursor-2', renamed: true });
  expect(outcome(await agent.call('receipt_note', { text: 'x', action: 'by.agent' }))).toBe('ok');
  agent.close();
  const { grants } = await asOwner<{ grants: Shown['grant'][] }>(rig, 'key_list', { door: 'agent' });
  expect(grants.map(({ name }) => name)).toEqual(['cursor-2']);
  const agentId = grants[0]?.id ?? '';
  expect(await actionsOf(rig, id)).toEqual(['by.key']);
  expect(await actionsOf(rig, 'cursor')).toEqual(['by.key']);
  const before = await actionsOf(rig, agentId);
  expect(before).toContain('by.agent');
  expect(before).not.toContain('by.key');

  for (const taken of ['cursor', 'cursor-2'])
    expect((await askOwner(rig, 'agent_rename', { agent: agentId, name: taken })).error?.code).toBe('conflict');
  expect((await askOwner(rig, 'key_issue', { name: 'cursor-2', scopes: ['seed.status'] })).error?.code).toBe(
    'conflict',
  );
  await asOwner(rig, 'agent_rename', { agent: agentId, name: 'editor' });
  expect(await actionsOf(rig, 'editor')).toEqual(before);
  const back = await connectAgent(rig, 'editor');
  expect(outcome(await back.call('receipt_note', { text: 'x', action: 'by.editor' }))).toBe('ok');
  back.close();
  expect(await actionsOf(rig, agentId)).toEqual(['by.editor', ...before]);
  // Whoever takes the old name has done nothing of that.
  (await connectAgent(rig, 'cursor')).close();
  const { grants: now } = await asOwner<{ grants: Shown['grant'][] }>(rig, 'key_list', { door: 'agent' });
  expect(await actionsOf(rig, now.find(({ name }) => name === 'cursor-2')?.id ?? '')).not.toContain('by.agent');
});
