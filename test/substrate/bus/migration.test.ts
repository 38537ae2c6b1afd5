/** A home whose inboxes still counted what waits goes on with all its messages, places and counts. */
import { expect, it } from 'vitest';
import { retry } from '../../../src/substrate/bus/bus.ts';
import { listReceived } from '../../../src/substrate/bus/look.ts';
import { ATTEMPTS_MAX } from '../../../src/substrate/bus/model.ts';
import { listPeers } from '../../../src/substrate/bus/peers.ts';
import { homePath } from '../../../src/substrate/home/layout.ts';
import type { Value } from '../../../src/substrate/store/store.ts';
import { openConnection } from '../../../src/substrate/store/connection.ts';
import { openAgain, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { takeBack } from '../../support/take-back.ts';
import { ack, get, letIn, nack, OWNER, say } from './rig.ts';

/** What an inbox was before, and after: `next_seq` and `waiting`, told from the messages themselves. */
interface Counted {
  readonly holder: Value;
  readonly next_seq: Value;
  readonly waiting: Value;
}

/** To version 18, whose inboxes had `next_seq` and `waiting`. */
function withCounts(home: string, rows: readonly Counted[]): void {
  takeBack(home, 18);
  const db = openConnection('better-sqlite3', homePath(home, 'database'));
  const put = db.prepare('UPDATE substrate_inboxes SET next_seq = ?, waiting = ? WHERE holder = ?');
  for (const { holder, next_seq: next, waiting } of rows) put.run(next, waiting, holder);
  db.close();
}

it('messages that wait, are on a lease, settled, dead or gone from the history', async () => {
  using dir = scratch();
  await using before = await openSeed(dir);
  const { substrate: bus, home, sources } = before;
  const ann = await letIn(bus, 'ann');
  const [bob, cid, dan] = [await letIn(bus, 'bob'), await letIn(bus, 'cid'), await letIn(bus, 'dan')];
  // Of bob's seven the first is done, the second dead, the third on a lease, and the last done out of turn.
  for (const text of ['1', '2', '3', '4', '5', '6', '7']) await say(bus, ann, 'bob', text);
  const got = await get(bus, bob, { limit: 7, leaseMs: 1_000_000 });
  await ack(bus, bob, [got[0]!, got[6]!]);
  await nack(bus, bob, [got[1]!, ...got.slice(3, 6)]);
  for (let time = 1; time < ATTEMPTS_MAX; time++) await nack(bus, bob, await get(bus, bob, { limit: 1 }));
  // Cid has an inbox in which nothing was ever settled; dan's is empty, and its history has ended.
  for (const text of ['a', 'b']) await say(bus, ann, 'cid', text);
  await say(bus, ann, 'dan', 'x');
  await ack(bus, dan, await get(bus, dan));
  await bus.maintain((tx) => tx.run('DELETE FROM substrate_settled_messages WHERE inbox = 3'));
  await bus.close();
  withCounts(home, [
    { holder: bob.grant, next_seq: 8, waiting: 4 },
    { holder: cid.grant, next_seq: 3, waiting: 2 },
    { holder: dan.grant, next_seq: 2, waiting: 0 },
  ]);

  await using after = await openAgain(home, { sources });
  const { substrate } = after;
  const { peers } = await substrate.read((db) => listPeers(db, OWNER));
  const waiting = Object.fromEntries(peers.map((peer) => [peer.name, peer.waiting]));
  expect(waiting).toMatchObject({ bob: 4, cid: 2, dan: 0 });
  const past = await substrate.read((db) => listReceived(db, bob.grant!, { limit: 9, before: null }));
  expect(past.map(({ seq, state }) => `${seq} ${state}`)).toEqual([
    '7 acked',
    '6 waiting',
    '5 waiting',
    '4 waiting',
    '3 waiting',
    '2 dead',
    '1 acked',
  ]);
  // Places go on where they were, also where nothing is left to tell them by.
  expect((await say(substrate, ann, ['bob', 'cid', 'dan'], 'new')).to).toEqual([
    { name: 'bob', seq: 8 },
    { name: 'cid', seq: 3 },
    { name: 'dan', seq: 2 },
  ]);
  expect(await ack(substrate, bob, [got[0]!, got[2]!])).toEqual(['already', 'acked']);
  await retry(substrate, OWNER, { inbox: 1, seq: 2 });
  expect((await get(substrate, bob, { limit: 9 })).map(({ text }) => text)).toEqual(['2', '4', '5', '6', 'new']);
  expect((await get(substrate, cid)).map(({ text }) => text)).toEqual(['a', 'b', 'new']);
  expect((await get(substrate, dan)).map(({ text }) => text)).toEqual(['new']);
});
