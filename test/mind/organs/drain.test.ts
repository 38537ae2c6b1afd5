/** What the schedule brings: the drain takes up tier-1 work, the synthesizer asks for its part of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkReferences } from '../../../src/mind/organs/synthesizer/synthesizer.ts';
import { ON_DEMAND } from '../../../src/mind/router/dispatch.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { listOccurrences } from '../../../src/substrate/schedules/occurrences.ts';
import type { Occurrence } from '../../../src/substrate/schedules/model.ts';
import { findSchedule, insertSchedule } from '../../../src/substrate/schedules/schedules.ts';
import type { Row, Substrate } from '../../../src/substrate/substrate.ts';
import { until } from '../../support/child.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import type { TestSeed } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { letIn } from '../../substrate/bus/rig.ts';
import type { LoopRig } from '../loop/rig.ts';
import { loopOf } from '../loop/rig.ts';
import type { Script } from '../router/rig.ts';
import { applyPolicy, asker, asks, fails, POLICY, says } from '../router/rig.ts';
import { ProviderFault } from '../../../src/mind/router/provider.ts';
import type { OrgansRig } from './rig.ts';
import { organsOf } from './rig.ts';

const HOUR_MS = 3_600_000;
const BIG = 'synthesizer';

let dir: Scratch;
let seed: TestSeed;
let substrate: Substrate;
let organs: OrgansRig;
let loop: LoopRig;

beforeEach(async () => {
  dir = scratch();
  seed = await openSeed(dir);
  ({ substrate } = seed);
});

afterEach(async () => {
  await loop[Symbol.asyncDispose]();
  await organs.close();
  await seed[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

async function begin(script: Script, policy = POLICY): Promise<void> {
  await applyPolicy(substrate, policy);
  organs = organsOf(substrate, { scripts: { 'a/big': script, 'a/m': says('on demand') } });
  const seats = organs.seats.filter(({ organ }) => ['clock', 'synthesizer', 'drain'].includes(organ.name));
  loop = loopOf(seed, seats);
}

/** Something that is done each hour. */
async function hourly(name: string, job: 'drain' | 'synthesizer', minute: number): Promise<void> {
  await substrate.operate({ action: 'schedule.add', actor: OWNER }, (op) =>
    insertSchedule(
      op,
      { name, cron: `${minute} * * * *`, zone: 'UTC', job, task: null, catchUp: 'once' },
      { sources: substrate.sources },
    ),
  );
}

async function occurrencesOf(name: string): Promise<Occurrence[]> {
  return substrate.read(async (db) => {
    const schedule = await findSchedule(db, name);
    return schedule === null ? [] : listOccurrences(db, { schedule: schedule.id, limit: 10 });
  });
}

/** Lets time pass until something is so; a model's answer takes real time. */
async function passUntil(holds: () => Promise<boolean>, what: string, stepMs = 60_000): Promise<void> {
  await until(async () => {
    await loop.pass(stepMs);
    return holds();
  }, what);
}

async function syntheses(): Promise<{ text: string; source: string; space: string }[]> {
  return substrate.read((db) =>
    db.all<{ text: string; source: string; space: string } & Row>(
      `SELECT m.text, m.source, s.name AS space FROM substrate_memories m
       JOIN substrate_memory_spaces s ON s.id = m.nr / 4294967296 WHERE m.kind = 'synthesis'`,
    ),
  );
}

describe('the drain', () => {
  test('[LOCK-RUNTIME-5] takes up queued tier-1 work when its schedule says so, and nothing else does', async () => {
    await begin(says('thought through'));
    await hourly('nightly', 'drain', 30);
    const { id } = await organs.router.enqueue(asks('think', { role: BIG }), asker({}, OWNER));
    // On demand nobody gets there, whatever wakes the mind.
    const refused = await organs.router.complete(asks('now', { role: BIG }), asker({ dispatch: ON_DEMAND }, OWNER), {
      waitMs: 5_000,
      signal: new AbortController().signal,
    });
    expect(refused.outcome).toMatchObject({ status: 'refused', code: 'no_route' });
    for (let wakes = 0; wakes < 5; wakes++) {
      loop.pulse.wake();
      await loop.pass(60_000);
    }
    expect(organs.calls).toHaveLength(0);
    await passUntil(async () => (await occurrencesOf('nightly'))[0]?.state === 'done', 'the drain to be done');
    expect(organs.calls).toHaveLength(1);
    expect((await occurrencesOf('nightly'))[0]).toMatchObject({ says: '1 calls: 1 complete.' });
    const result = await organs.router.result(id, OWNER, { waitMs: 0, signal: new AbortController().signal });
    expect(result).toMatchObject({ text: 'thought through', outcome: { status: 'complete', tier: 1 } });
    // The next time nothing waits: it is done, and nobody is asked.
    await loop.pass(HOUR_MS + 60_000);
    await passUntil(
      async () => (await occurrencesOf('nightly')).filter(({ state }) => state === 'done').length >= 2,
      'the next',
    );
    expect((await occurrencesOf('nightly'))[0]).toMatchObject({ says: 'Nothing waited for the drain.' });
    expect(organs.calls).toHaveLength(1);
  });

  test('paused it takes up nothing, and makes up for it afterwards, once', async () => {
    await begin(says('late'));
    await hourly('nightly', 'drain', 30);
    await organs.router.enqueue(asks('think', { role: BIG }), asker({}, OWNER));
    await substrate.operate({ action: 'mind.off', actor: OWNER }, async (op) => {
      await op.run(
        `INSERT INTO substrate_mind_organs (name, is_on, admitted, changed_at, receipt) VALUES ('drain', 0, 0, ?, ?)`,
        op.now,
        op.seq,
      );
    });
    await loop.pass(3 * HOUR_MS);
    expect(organs.calls).toHaveLength(0);
    expect((await occurrencesOf('nightly')).length).toBeGreaterThan(0);
    await substrate.operate({ action: 'mind.on', actor: OWNER }, async (op) => {
      await op.run('UPDATE substrate_mind_organs SET is_on = 1');
    });
    await passUntil(
      async () => (await occurrencesOf('nightly')).every(({ state }) => state === 'done' || state === 'skipped'),
      'it to catch up',
      5_000,
    );
    expect(organs.calls).toHaveLength(1);
  });
});

describe('the synthesizer', () => {
  test('asks a tier-1 model through the drain what the period came to, and remembers what it may refer to', async () => {
    const ann = await letIn(substrate, 'ann', { scopes: ['task.write'] });
    await substrate.operate({ action: 'task.add', actor: ann }, async () => {});
    const known = (await substrate.log()).size - 1;
    await begin(says(`Ann added a task [#${known}], and paid #999999.`));
    await hourly('review', BIG, 20);
    await hourly('nightly', 'drain', 30);
    await passUntil(async () => (await syntheses()).length > 0, 'the synthesis');
    expect(await syntheses()).toMatchObject([
      {
        space: 'shared',
        text: `Ann added a task [#${known}], and paid #?.\n\n(One reference to receipts that the model was not shown: taken out.)`,
        source: expect.stringMatching(/^call [0-9a-f]+, receipts 0 to \d+$/) as string,
      },
    ]);
    expect(organs.calls).toHaveLength(1);
    const shown = (organs.calls[0]!.request.messages.at(-1)!.parts[0] as { text: string }).text;
    expect(shown).toContain(`- ann: task.add ok, 1 times (#${known} to #${known})`);
    // What the seed does to keep itself going is not told.
    expect(shown).not.toMatch(/seed-clock|mind\.admit|schedule\./);
    const receipt = (await allReceipts(substrate)).find(({ action }) => action === 'mind.synthesis');
    expect(receipt).toMatchObject({ actor: { id: 'seed-synthesizer' }, detail: { written: 1, dropped_references: 1 } });
    // It has changed nothing else: no policy, no task.
    const acted = new Set(
      (await allReceipts(substrate)).filter(({ actor }) => actor.id === 'seed-synthesizer').map(({ action }) => action),
    );
    expect([...acted].toSorted()).toEqual([
      'mind.synthesis',
      'route.attempt',
      'route.enqueue',
      'schedule.begin',
      'schedule.end',
    ]);
  });

  test('asks nobody where nothing happened, and says so', async () => {
    await begin(says('nothing'));
    await hourly('review', BIG, 20);
    await hourly('nightly', 'drain', 30);
    // What the owner did so far is one period; the second one is empty.
    await passUntil(async () => (await occurrencesOf('review')).length >= 1, 'the first');
    await passUntil(async () => organs.calls.length === 1, 'its call');
    await loop.pass(3 * HOUR_MS);
    await passUntil(async () => (await occurrencesOf('review'))[0]?.state === 'skipped', 'an empty period');
    expect((await occurrencesOf('review'))[0]).toMatchObject({
      says: 'Nothing happened in the period; nobody was asked.',
    });
    expect(organs.calls).toHaveLength(1);
  });

  test.each([
    ['no way in policy', says('x'), POLICY.replace('synthesizer:', 'another:'), 'failed', 0],
    ['a model that fails', fails(new ProviderFault('server_error', 'no', { mayBeBilled: false })), POLICY, 'done', 1],
  ])('%s leaves no memory and no loop', async (_what, script, policy, state, calls) => {
    await begin(script, policy);
    await hourly('review', BIG, 20);
    await hourly('nightly', 'drain', 30);
    await passUntil(
      async () => (await occurrencesOf('review')).some((one) => one.state === state),
      'the review to be over',
    );
    await passUntil(
      async () => (await occurrencesOf('nightly')).some((one) => one.state === 'done'),
      'the drain to be over',
    );
    await loop.pass(10 * 60_000);
    expect(await syntheses()).toEqual([]);
    expect(organs.calls).toHaveLength(calls);
    expect(loop.pulse.state().decisions.find(({ organ }) => organ === BIG)).toMatchObject({ rule: 'idle' });
  });

  test('references are checked however they are written', () => {
    const shown = new Set([1, 22]);
    expect(checkReferences('see [#1], (#22) and #1.', shown)).toEqual({ text: 'see [#1], (#22) and #1.', dropped: 0 });
    const forms = 'receipt 999999, [r17], [1], [r22, 23], Receipts 1 to 3, receipt 22; 40 tasks of 2026';
    expect(checkReferences(forms, shown)).toMatchObject({
      text: expect.stringContaining(
        'receipt ?, [r?], [1], [r22, ?], Receipts 1 to ?, receipt 22; 40 tasks of 2026\n',
      ) as string,
      dropped: 4,
    });
    expect(checkReferences('[#2] #221 #1', shown)).toMatchObject({
      dropped: 2,
      text: expect.stringMatching(/^\[#\?\] #\? #1\n/) as string,
    });
  });
});
