/** Producers and consumers killed at named points and at random: what was sent arrives, each thread in its order. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { sweep } from '../../../src/substrate/bus/bus.ts';
import { WAITING } from '../../../src/substrate/bus/inbox.ts';
import { listDead } from '../../../src/substrate/bus/dead.ts';
import type { Receipt } from '../../../src/formats/receipt.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { startNode } from '../../support/child.ts';
import { allReceipts, makeHome, openAgain, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { seededNumbers, testSources } from '../../support/sources.ts';
import { ack, get } from './rig.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));
const FAULT_POINTS = ['store.begun', 'group.seal', 'store.commit.before', 'store.commit.after', 'group.answer'];
const SIZE = IS_LONG ? { rounds: 40, people: 8 } : { rounds: 4, people: 8 };

/** One thread of one inbox, as producers and consumers told of it. */
interface Told {
  readonly sent: string[];
  /** In the order in which they were first seen. */
  readonly got: string[];
}

type Story = Map<string, Told>;

function listen(story: Story, lines: readonly string[]): void {
  for (const line of lines) {
    const [what, inbox = '', thread = '', text = ''] = line.split(' ');
    if (what !== 'sent' && what !== 'got') continue;
    const told = story.get(`${inbox} ${thread}`) ?? { sent: [], got: [] };
    story.set(`${inbox} ${thread}`, told);
    if (what === 'sent') told.sent.push(text);
    if (what === 'got' && !told.got.includes(text)) told.got.push(text);
  }
}

/** What was acknowledged as sent and never came; and the threads that came in another order than they were sent. */
function faults(story: Story): { lost: string[]; disordered: string[] } {
  const lost: string[] = [];
  const disordered: string[] = [];
  for (const [where, { sent, got }] of story) {
    const seen = new Set(got);
    lost.push(...sent.filter((text) => !seen.has(text)).map((text) => `${where} ${text}`));
    const inOrder = got.toSorted((a, b) => Number(a) - Number(b));
    if (got.some((text, index) => text !== inOrder[index])) disordered.push(where);
  }
  return { lost, disordered };
}

/** Takes out all that is left, as a consumer that does not crash. */
async function drain(substrate: Substrate, story: Story, inboxes: number): Promise<void> {
  for (let nr = 0; nr < inboxes; nr++) {
    const name = `inbox-${nr}`;
    const [grant] = await substrate.read((db) => findGrantsNamed(db, name));
    const actor = { id: name, kind: 'agent', grant: grant?.id ?? '', scopes: new Set<string>() } as const;
    for (;;) {
      const got = await get(substrate, actor, { limit: 100 });
      if (got.length === 0) break;
      listen(
        story,
        got.map(({ thread, text, seq }) => `got ${name} ${thread} ${text} ${seq}`),
      );
      const became = await ack(substrate, actor, got);
      expect(new Set(became)).toEqual(new Set(['acked']));
    }
  }
}

/** Whether each inbox was acknowledged at most once a message, by the receipts. */
function ackedTwice(receipts: readonly Receipt[]): string[] {
  const seen = new Set<string>();
  const twice: string[] = [];
  for (const { action, subject, detail } of receipts) {
    if (action !== 'bus.ack') continue;
    for (const seq of detail['acked'] as number[]) {
      const id = `${subject.id}.${seq}`;
      if (seen.has(id)) twice.push(id);
      seen.add(id);
    }
  }
  return twice;
}

it(`[LOCK-RECEIPT-2] ${SIZE.people} producers and ${SIZE.people} consumers killed ${SIZE.rounds} times lose nothing and keep their threads in order`, async () => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  const random = seededNumbers('bus kills');
  const story: Story = new Map();
  for (let round = 1; round <= SIZE.rounds; round++) {
    const atRandom = round % 2 === 0;
    const point = FAULT_POINTS[random(FAULT_POINTS.length)]!;
    const args = [home, `${round}`, `${SIZE.people}`, `${SIZE.people}`];
    const nth = 20 + random(IS_LONG ? 300 : 60);
    await using child = startNode([LOAD, ...args, ...(atRandom ? [] : [point, `${nth}`])]);
    if (atRandom) {
      const count = 200 + random(IS_LONG ? 4_000 : 800);
      await child.line(() => child.lines.length >= count);
      child.kill('SIGKILL');
    }
    const { code, signal } = await child.ended;
    expect([round, code, signal, child.errors()]).toEqual([round, null, 'SIGKILL', '']);
    listen(story, child.lines);
  }
  const sent = [...story.values()].reduce((sum, told) => sum + told.sent.length, 0);
  expect(sent).toBeGreaterThan(SIZE.rounds * 20);

  // Long after, when every lease has lapsed.
  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 3_600_000) });
  const { substrate } = seed;
  await sweep(substrate);
  await drain(substrate, story, SIZE.people / 2);
  const dead = await substrate.read((db) => listDead(db, { limit: 1_000 }));
  const { lost, disordered } = faults(story);
  expect({ lost, disordered }).toEqual({ lost: [], disordered: [] });
  // A dead letter was seen before it died, so it is not lost; and nobody was told twice that it was done.
  expect(dead.every(({ lease }) => lease > 0)).toBe(true);
  expect(ackedTwice(await allReceipts(substrate))).toEqual([]);
  const left = await substrate.read((db) =>
    db.get<{ rows: number; counted: number }>(
      `SELECT (SELECT count(*) FROM substrate_messages) AS rows,
         (SELECT sum(${WAITING}) FROM substrate_inboxes i) AS counted`,
    ),
  );
  expect(left).toEqual({ rows: 0, counted: 0 });
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
  // The control: the same look finds a message that never came, and two that came the wrong way round.
  const told = [...story.values()].find(({ got }) => got.length > 1);
  told?.sent.push('999999999');
  told?.got.reverse();
  expect(faults(story)).toMatchObject({
    lost: [expect.stringContaining('999999999')],
    disordered: [expect.any(String)],
  });
  process.stdout.write(`bus: ${SIZE.rounds} kills, ${sent} messages sent, none lost, ${dead.length} dead letters\n`);
});
