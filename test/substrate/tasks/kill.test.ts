/** Workers killed in the middle: what they were told holds, and nothing holds that nobody has on record. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Receipt } from '../../../src/formats/receipt.ts';
import type { Row } from '../../../src/substrate/substrate.ts';
import type { Child } from '../../support/child.ts';
import { startNode } from '../../support/child.ts';
import { allReceipts, makeHome, openAgain, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { seededNumbers, testSources } from '../../support/sources.ts';
import { freeLapsed } from '../../../src/substrate/tasks/tasks.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));
const FAULT_POINTS = ['store.begun', 'group.seal', 'store.commit.before', 'store.commit.after', 'group.answer'];
const SIZE = IS_LONG ? { rounds: 40, workers: 8 } : { rounds: 5, workers: 6 };

interface StoredTask extends Row {
  readonly id: string;
  readonly state: string;
  readonly lease: number;
  readonly holder_name: string | null;
  readonly verifier_name: string | null;
  readonly events: number;
  readonly happened: number;
}

/** What each task must be, by the receipts alone. */
function byReceipts(receipts: readonly Receipt[]): Map<string, { state: string; lease: number; events: number }> {
  const tasks = new Map<string, { state: string; lease: number; events: number }>();
  for (const { action, subject, outcome, detail } of receipts) {
    if (subject.type !== 'task' || outcome !== 'ok') continue;
    const known = tasks.get(subject.id) ?? { state: 'open', lease: 0, events: 0 };
    if (action !== 'task.add') Object.assign(known, { state: detail['state'], lease: detail['lease'] });
    if (detail['repeated'] === undefined) known.events++;
    tasks.set(subject.id, known);
  }
  return tasks;
}

/** Leases that were given out twice, and what one did and verified by itself. */
function wrongs(lines: readonly string[], stored: readonly StoredTask[]): string[] {
  const claims = lines
    .filter((line) => line.startsWith('claimed '))
    .map((line) => line.split(' ').slice(0, 3).join(' '));
  const twice = claims.filter((claim, index) => claims.indexOf(claim) !== index);
  const own = stored.filter((task) => task.state === 'done' && task.holder_name === task.verifier_name);
  return [...twice, ...own.map(({ id }) => `${id} verified by its doer`)];
}

/** What somebody was told and is not so. */
function forgotten(lines: readonly string[], stored: readonly StoredTask[]): string[] {
  const byId = new Map(stored.map((task) => [task.id, task]));
  return lines.filter((line) => {
    const [what, id = '', third = ''] = line.split(' ');
    if (what === 'open') return false;
    const task = byId.get(id);
    if (task === undefined) return true;
    if (what === 'claimed') return task.lease < Number(third);
    if (what === 'verified') return task.state !== 'done' || task.verifier_name !== third;
    return false;
  });
}

it(`[LOCK-RECEIPT-2] ${SIZE.workers} workers killed ${SIZE.rounds} times: no claim twice, nothing lost, tasks as their receipts say`, async () => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  const random = seededNumbers('task kills');
  const told: string[] = [];
  for (let round = 1; round <= SIZE.rounds; round++) {
    const point = FAULT_POINTS[(round - 1) % FAULT_POINTS.length]!;
    const nth = 30 + random(IS_LONG ? 300 : 60);
    await using child: Child = startNode([LOAD, home, `${round}`, `${SIZE.workers}`, point, `${nth}`]);
    const { code, signal } = await child.ended;
    expect([round, code, signal, child.errors()]).toEqual([round, null, 'SIGKILL', '']);
    told.push(...child.lines);
  }

  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 3_600_000) });
  const { substrate } = seed;
  await freeLapsed(substrate);
  const stored = await substrate.read((db) =>
    db.all<StoredTask>(
      `SELECT id, state, lease, holder_name, verifier_name, events,
         (SELECT count(*) FROM substrate_task_events e WHERE e.task = t.id) AS happened FROM substrate_tasks t`,
    ),
  );
  const expected = byReceipts(await allReceipts(substrate));
  expect(stored.map(({ id, state, lease, events }) => [id, { state, lease, events }])).toEqual([...expected]);
  expect(stored.filter(({ events, happened }) => events !== happened)).toEqual([]);
  expect(wrongs(told, stored)).toEqual([]);
  expect(forgotten(told, stored)).toEqual([]);
  expect(stored.filter(({ state }) => state === 'done').length).toBeGreaterThan(SIZE.rounds);
  // Every message that was sent of a task is in an inbox: sent in one transaction with what it tells.
  const sent = [...(await allReceipts(substrate))].reduce(
    (sum, { subject, detail }) => sum + (subject.type === 'task' ? Number(detail['told'] ?? 0) : 0),
    0,
  );
  const kept = await substrate.read((db) =>
    db.get<{ count: number }>("SELECT count(*) AS count FROM substrate_messages WHERE sender = 'seed'"),
  );
  expect(kept?.count).toBe(sent);
  expect(sent).toBeGreaterThan(0);
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
  // The control: a claim told twice, a doer who verified, and a claim that was forgotten are all found.
  const [claim = ''] = told.filter((line) => line.startsWith('claimed '));
  expect(wrongs([...told, claim], stored)).toHaveLength(1);
  const [done] = stored.filter(({ state }) => state === 'done');
  expect(wrongs(told, [{ ...done!, verifier_name: done!.holder_name }])).toHaveLength(1);
  expect(
    forgotten(['claimed t999999 1 worker-0', `claimed ${done!.id} ${done!.lease + 1} worker-0`], stored),
  ).toHaveLength(2);
});
