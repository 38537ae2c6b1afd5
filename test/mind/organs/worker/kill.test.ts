/** A seed killed in every phase of a worker's task: each task is done once, and so is what its tools do. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Row } from '../../../../src/substrate/substrate.ts';
import { startNode } from '../../../support/child.ts';
import { allReceipts, makeHome, openAgain, verifyExport } from '../../../support/home.ts';
import { scratch } from '../../../support/scratch.ts';
import { testSources } from '../../../support/sources.ts';

const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

/**
 * In the order in which a task passes them; each start is killed at the next, on what the last one left.
 * What a step goes through by itself has a test of its own, and is here where there is time.
 */
const POINTS = [
  'worker.claimed',
  ...(IS_LONG ? ['worker.opened'] : []),
  'worker.checkpointed',
  ...(IS_LONG ? ['session.step.begun'] : []),
  'route.intent',
  ...(IS_LONG ? ['route.answered', 'route.settled', 'session.step.answered', 'session.step.ended'] : []),
  ...(IS_LONG ? ['worker.stepped', 'worker.tool.begun', 'worker.tool.done', 'worker.tool.kept'] : []),
  'worker.tool.begun:2',
  'worker.tool.done:2',
  ...(IS_LONG ? ['worker.tool.begun:3', 'worker.tool.done:3', 'worker.checkpointed:2'] : []),
  // In the middle of the second answer: between the model that was cut off and the next.
  'route.settled:2',
  ...(IS_LONG ? ['route.intent:3'] : []),
  'worker.finishing',
  'worker.finished',
  'worker.ended',
];

interface TaskFacts extends Row {
  readonly id: string;
  readonly state: string;
  readonly holder_name: string;
  readonly run: string;
  readonly finishes: number;
}

test('[LOCK-RECEIPT-2] [LOCK-RUNTIME-3] killed in every phase: done once, its effects once, its money booked', async () => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  for (const at of POINTS) {
    const [point, nth = '1'] = at.split(':');
    await using killed = startNode([LOAD, home, point ?? '', nth]);
    expect([at, await killed.ended, killed.errors()]).toEqual([at, { code: null, signal: 'SIGKILL' }, '']);
  }
  await using last = startNode([LOAD, home]);
  expect([await last.ended, last.errors(), last.lines]).toEqual([{ code: 0, signal: null }, '', ['idle']]);

  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 1_000) });
  const { substrate } = seed;
  const facts = await substrate.read(async (db) => ({
    tasks: await db.all<TaskFacts>(
      `SELECT t.id, t.state, t.holder_name, r.state AS run,
         (SELECT count(*) FROM substrate_task_events e WHERE e.task = t.id AND e.event = 'finish') AS finishes
       FROM substrate_tasks t LEFT JOIN substrate_worker_runs r ON r.task = t.id ORDER BY t.seq`,
    ),
    memories: await db.all<{ text: string } & Row>('SELECT text FROM substrate_memories ORDER BY nr'),
    messages: await db.get<{ sent: number } & Row>(
      "SELECT count(*) AS sent FROM substrate_messages WHERE sender_name = 'seed-worker'",
    ),
    open: await db.get<{ open: number } & Row>("SELECT count(*) AS open FROM substrate_sessions WHERE status = 'open'"),
    money: await db.get<{ held: number; booked: number } & Row>(
      `SELECT count(*) FILTER (WHERE cost_micro_usd IS NULL) AS held, sum(cost_micro_usd) AS booked FROM substrate_ledger`,
    ),
    sums: await db.get<{ spent: number; held: number; most: number } & Row>(
      `SELECT sum(spent_micro_usd) AS spent, sum(held_micro_usd) AS held, max(spent_micro_usd) AS most
       FROM substrate_spending WHERE scope LIKE 'session:%'`,
    ),
  }));
  const { tasks, memories, messages, money, sums } = facts;
  expect(tasks.length).toBeGreaterThan(1);
  for (const task of tasks) {
    expect(task).toMatchObject({ state: 'finished', holder_name: 'seed-worker', run: 'handed_in', finishes: 1 });
  }
  expect(facts.open).toEqual({ open: 0 });
  // Under a key: exactly once each.
  expect(memories.map(({ text }) => text)).toEqual(tasks.map(({ id }) => `memory of ${id}`));
  expect(messages).toEqual({ sent: tasks.length });
  // Without one: never twice.
  const receipts = await allReceipts(substrate);
  const notes = receipts.filter(({ outcome }) => outcome === 'claimed');
  expect(notes.length).toBeLessThanOrEqual(tasks.length);
  expect(notes.length).toBeGreaterThanOrEqual(tasks.length - 2);
  // Every claim of a task but the first would be another try.
  const claims = receipts.filter(({ action, outcome }) => action === 'task.claim' && outcome === 'ok');
  expect(claims).toHaveLength(tasks.length);
  // The ledger and the receipts say the same, nothing is held, and no session is over its budget.
  const settled = receipts.filter(({ action, of }) => action === 'route.attempt' && of !== null);
  const receipted = settled.reduce((sum, { detail }) => sum + Number(detail['cost_micro_usd'] ?? 0), 0);
  expect([money?.held, sums?.held]).toEqual([0, 0]);
  expect([money?.booked, sums?.spent]).toEqual([receipted, receipted]);
  expect(sums?.most).toBeLessThanOrEqual(500_000);
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
}, 120_000);
