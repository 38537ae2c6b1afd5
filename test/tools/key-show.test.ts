/** What `key_show` says a key did: what was done under it, whatever it or another one is named. */
import { expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { Rig } from '../doors/rig.ts';
import { asOwner, callOverHttp, connectAgent, issue, openRig, outcome } from '../doors/rig.ts';
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

test('a key and an agent of one name are told apart, and a renamed agent keeps what it did', async () => {
  using folder = scratch();
  await using rig = await openRig(folder.at('home'));
  const { id, key } = await issue(rig, 'cursor');
  expect(outcome(await callOverHttp(rig, key, 'receipt_note', { text: 'x', action: 'by.key' }))).toBe('ok');
  const agent = await connectAgent(rig, 'cursor');
  expect(outcome(await agent.call('receipt_note', { text: 'x', action: 'by.agent' }))).toBe('ok');
  agent.close();
  const { grants } = await asOwner<{ grants: Shown['grant'][] }>(rig, 'key_list', { door: 'agent' });
  const agentId = grants.find(({ name }) => name === 'cursor')?.id ?? '';
  expect(await actionsOf(rig, id)).toEqual(['by.key']);
  // By name the key comes first.
  expect(await actionsOf(rig, 'cursor')).toEqual(['by.key']);
  const before = await actionsOf(rig, agentId);
  expect(before).toContain('by.agent');
  expect(before).not.toContain('by.key');

  await asOwner(rig, 'agent_rename', { agent: agentId, name: 'editor' });
  expect(await actionsOf(rig, 'editor')).toEqual(before);
  const back = await connectAgent(rig, 'editor');
  expect(outcome(await back.call('receipt_note', { text: 'x', action: 'by.editor' }))).toBe('ok');
  back.close();
  expect(await actionsOf(rig, agentId)).toEqual(['by.editor', ...before]);
  // Whoever takes the old name has done nothing of that.
  (await connectAgent(rig, 'cursor')).close();
  const { grants: now } = await asOwner<{ grants: Shown['grant'][] }>(rig, 'key_list', { door: 'agent' });
  expect(await actionsOf(rig, now.find(({ name }) => name === 'cursor')?.id ?? '')).not.toContain('by.agent');
});
