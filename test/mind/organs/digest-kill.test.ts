/** A digestor killed at every point: each message has its effect once, and no model is asked twice about one. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { WAITING } from '../../../src/substrate/bus/inbox.ts';
import { listSorted } from '../../../src/substrate/mind/sorted.ts';
import type { Row } from '../../../src/substrate/substrate.ts';
import { startNode } from '../../support/child.ts';
import { allReceipts, makeHome, openAgain, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { testSources } from '../../support/sources.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const LOAD = fileURLToPath(new URL('./digest-load.ts', import.meta.url));
const MESSAGES = IS_LONG ? 100 : 20;
/** Where it is killed, and the how-manieth time that is passed; one home goes through several of them. */
const POINTS = [
  'digest.taken',
  'digest.sorted',
  'digest.done',
  'route.intent',
  'route.answered',
  'route.settled',
  'store.commit.before',
  'store.commit.after',
  'group.answer',
];
// Early ones first: whoever is killed late has done much of what there is.
const KILLS: readonly (readonly [point: string, nth: number])[] = IS_LONG
  ? [1, 3, 7].flatMap((nth) => POINTS.map((point) => [point, nth] as const))
  : [
      ['digest.taken', 1],
      ['route.answered', 3],
      ['digest.sorted', 2],
      ['store.commit.after', 12],
      ['digest.done', 3],
    ];

interface Facts extends Row {
  readonly tasks: number;
  readonly titles: number;
  readonly notes: number;
  readonly texts: number;
  readonly waiting: number;
  readonly held: number;
}

it(`[LOCK-MIND-1] [LOCK-RECEIPT-2] killed ${KILLS.length} times, ${MESSAGES} messages to the seed have one effect each`, async () => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  const asked: string[] = [];
  let kills = 0;
  for (const [point, nth] of [...KILLS, [null, 0] as const]) {
    const fault = point === null ? [] : [point, `${nth}`];
    await using child = startNode([LOAD, home, `${MESSAGES}`, ...fault]);
    const { signal } = await child.ended;
    expect(child.errors()).toBe('');
    if (signal === 'SIGKILL') kills += 1;
    else expect(child.lines).toContain('idle');
    asked.push(...child.lines.filter((line) => line.startsWith('asked ')));
  }
  expect(kills).toBeGreaterThanOrEqual(3);

  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 1_000) });
  const { substrate } = seed;
  const sorted = await substrate.read((db) => listSorted(db, 1_000));
  expect(sorted).toHaveLength(MESSAGES);
  const facts = await substrate.read((db) =>
    db.get<Facts>(
      `SELECT (SELECT count(*) FROM substrate_tasks) AS tasks, (SELECT count(DISTINCT body) FROM substrate_tasks) AS titles,
        (SELECT count(*) FROM substrate_memories) AS notes, (SELECT count(DISTINCT text) FROM substrate_memories) AS texts,
        (SELECT sum(${WAITING}) FROM substrate_inboxes i WHERE i.holder = 'seed') AS waiting,
        (SELECT count(*) FROM substrate_ledger WHERE cost_micro_usd IS NULL) AS held`,
    ),
  );
  const count = (kind: string): number => sorted.filter((row) => row.kind === kind).length;
  expect(facts).toMatchObject({
    tasks: count('task'),
    notes: count('note'),
    texts: count('note'),
    waiting: 0,
    held: 0,
  });
  // What the rules sorted instead, because a crash had cut off its call, is a note and marked so.
  const byRules = sorted.filter(({ sorted_by: by }) => by === 'rules');
  expect(byRules.length).toBeLessThanOrEqual(KILLS.length * 8);
  // Once about each message, whatever was killed.
  expect(new Set(asked).size).toBe(asked.length);
  const receipts = (await allReceipts(substrate)).filter(
    ({ action, outcome }) => action === 'mind.digest' && outcome === 'ok',
  );
  expect(receipts.map(({ subject }) => subject.id).toSorted()).toEqual(
    sorted.map(({ seq }) => `seed.${seq}`).toSorted(),
  );
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
  // The control: a message that had been sorted twice would be found by the same look.
  expect(new Set([...asked, asked[0]]).size).toBeLessThan(asked.length + 1);
}, 60_000);
