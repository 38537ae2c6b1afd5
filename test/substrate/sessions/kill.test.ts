/** Agents killed at named points while they work and hand over: nothing lost, nothing doubled, one owner each. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { listSessions } from '../../../src/substrate/sessions/sessions.ts';
import { readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Row, Substrate } from '../../../src/substrate/substrate.ts';
import { startNode } from '../../support/child.ts';
import { makeHome, openAgain, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { seededNumbers, testSources } from '../../support/sources.ts';
import { used } from './rig.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));
const FAULT_POINTS = ['store.begun', 'group.seal', 'store.commit.before', 'store.commit.after', 'group.answer'];
const SIZE = IS_LONG ? { rounds: 40, sessions: 6 } : { rounds: 5, sessions: 6 };

/** What the agents were told: by session, the keys added and who redeemed which epoch. */
interface Story {
  readonly added: Map<string, Set<string>>;
  readonly owners: Map<string, Set<string>>;
}

function listen({ added, owners }: Story, lines: readonly string[]): void {
  for (const line of lines) {
    const [what, session = '', second = '', who = ''] = line.split(' ');
    if (what === 'added') added.set(session, (added.get(session) ?? new Set()).add(second));
    if (what !== 'redeemed') continue;
    const epoch = `${session} ${second}`;
    owners.set(epoch, (owners.get(epoch) ?? new Set()).add(who));
  }
}

/** What is wrong between what was told and what is there. */
async function faults(substrate: Substrate, story: Story): Promise<string[]> {
  const wrong: string[] = [];
  for (const [epoch, who] of story.owners) if (who.size !== 1) wrong.push(`${epoch} has ${who.size} owners`);
  for (const session of await substrate.read((db) => listSessions(db, { limit: 100 }))) {
    const { id, epoch, budgetMicroUsd, reserveMicroUsd } = session;
    const messages = await substrate.read((db) => readTranscript(db, session));
    const keys = messages.map(({ parts: [part] }) => (part?.type === 'text' ? part.text : ''));
    if (new Set(keys).size !== keys.length) wrong.push(`${id} has a message twice`);
    for (const key of story.added.get(id) ?? []) if (!keys.includes(key)) wrong.push(`${id} lost ${key}`);
    if ((budgetMicroUsd ?? 0) + reserveMicroUsd !== 1_000_000) wrong.push(`${id} has another budget`);
    if ((await used(substrate, id)) > (budgetMicroUsd ?? 0)) wrong.push(`${id} overspent`);
    const moved = await substrate.read((db) =>
      db.all<{ redeemed_epoch: number } & Row>(
        "SELECT redeemed_epoch FROM substrate_handoffs WHERE session = ? AND status = 'redeemed' ORDER BY redeemed_epoch",
        id,
      ),
    );
    const epochs = moved.map(({ redeemed_epoch: at }) => at);
    const expected = Array.from({ length: epoch - 1 }, (_, index) => index + 2);
    if (epochs.join() !== expected.join()) wrong.push(`${id} is at ${epoch} by ${epochs.join()}`);
  }
  return wrong;
}

it(`[LOCK-HANDOFF-1] [LOCK-HANDOFF-2] [LOCK-HANDOFF-3] ${SIZE.rounds} kills while ${SIZE.sessions} sessions go round lose and double nothing`, async () => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  const random = seededNumbers('session kills');
  const story: Story = { added: new Map(), owners: new Map() };
  for (let round = 1; round <= SIZE.rounds; round++) {
    const point = FAULT_POINTS[round % FAULT_POINTS.length] ?? '';
    const nth = 20 + random(IS_LONG ? 300 : 80);
    await using child = startNode([LOAD, home, `${round}`, `${SIZE.sessions}`, point, `${nth}`]);
    const { code, signal } = await child.ended;
    expect([round, code, signal, child.errors()]).toEqual([round, null, 'SIGKILL', '']);
    listen(story, child.lines);
  }
  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 1_000) });
  expect(await faults(seed.substrate, story)).toEqual([]);
  const added = [...story.added.values()].reduce((sum, keys) => sum + keys.size, 0);
  expect(added).toBeGreaterThan(SIZE.rounds * 10);
  expect(story.owners.size).toBeGreaterThan(SIZE.rounds);
  expect(await verifyExport(seed.substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
  // The control: the same look finds a message that is not there, and an epoch that two redeemed.
  const [[session = '', keys] = []] = story.added;
  keys?.add('never');
  const [epoch = ''] = story.owners.keys();
  story.owners.get(epoch)?.add('dave');
  expect(await faults(seed.substrate, story)).toEqual([`${epoch} has 2 owners`, `${session} lost never`]);
  process.stdout.write(
    `sessions: ${SIZE.rounds} kills, ${added} messages, ${story.owners.size} handoffs, nothing lost\n`,
  );
});
