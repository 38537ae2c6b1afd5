/** The owner's part: a word on each alarm, and stages that follow from them. */
import { describe, expect, it } from 'vitest';
import { demote, label, promote } from '../../../src/mind/coherence/acts.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { governedPauses, raiseAlarm } from '../../../src/substrate/coherence/alarms.ts';
import type { Stage } from '../../../src/substrate/coherence/subsystems.ts';
import { getSubsystem, unregisterProbed } from '../../../src/substrate/coherence/subsystems.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import type { TestSources } from '../../support/sources.ts';
import { HOUR_MS } from './random.ts';
import { complete, hourly, look, pastAlarm, probe, put } from './rig.ts';

const stageOf = async (substrate: Substrate, name = 'site'): Promise<Stage> =>
  (await substrate.read((db) => getSubsystem(db, name))).stage;

/** Alarms with the owner's word on each. */
async function labelled(substrate: Substrate, words: readonly ('right' | 'wrong')[], stage: Stage = 'observe') {
  for (const word of words)
    await label(substrate, { alarm: await pastAlarm(substrate, 'site', { stage }), label: word, actor: OWNER });
}

/** Completions under watch, an hour apart. */
async function work(substrate: Substrate, sources: TestSources, hours: number): Promise<void> {
  sources.time += hours * HOUR_MS;
  await complete(substrate, 'site', hourly(hours, 0));
}

const up = (substrate: Substrate) => promote(substrate, { subsystem: 'site', actor: OWNER });
const down = (substrate: Substrate) => demote(substrate, { subsystem: 'site', actor: OWNER });
const rights = (count: number) => Array.from({ length: count }, () => 'right' as const);

describe('[LOCK-MIND-2] promotion', () => {
  it('is refused without evidence, on record with the figures, and says what it takes', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(200, 0) });
    await look(substrate);
    await expect(up(substrate)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(
        /has not earned "shadow".*takes 3 right ones; there are 0.*there are 1\.$/,
      ) as string,
    });
    expect(await stageOf(substrate)).toBe('observe');
    expect((await allReceipts(substrate)).at(-1)).toMatchObject({
      action: 'coherence.promote',
      outcome: 'refused',
      subject: { type: 'subsystem', id: 'site' },
      detail: { from: 'observe', to: 'shadow', right: 0, wrong: 0, unlabelled: 0 },
    });
  });

  it('is earned stage by stage, each with more; the receipt has the bounds, in millionths', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    await look(substrate);
    await work(substrate, sources, 160);
    const stages: Stage[] = [];
    for (const more of [3, 2, 9]) {
      expect(await codeOf(up(substrate))).toBe('conflict');
      await labelled(substrate, rights(more));
      stages.push((await up(substrate)).stage);
    }
    expect(stages).toEqual(['shadow', 'advise', 'govern']);
    expect(await codeOf(up(substrate))).toBe('conflict');
    const receipts = (await allReceipts(substrate)).filter(({ action }) => action === 'coherence.promote');
    const last = receipts.findLast(({ outcome }) => outcome === 'ok');
    expect(last).toMatchObject({
      actor: { id: 'owner', kind: 'human' },
      detail: { from: 'advise', to: 'govern', right: 14 },
    });
    expect(last?.detail['precision_ppm']).toBe(807_363);
    expect(last?.detail['false_alarms_ppm']).toBeLessThanOrEqual(20_000);
  });

  it('counts an alarm without a word as wrong, and nothing from before it was watched', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(500, 0) });
    await labelled(substrate, rights(3));
    // Five hundred completions, and nobody looked.
    expect(await codeOf(up(substrate))).toBe('conflict');
    await look(substrate);
    await work(substrate, sources, 60);
    const n = await pastAlarm(substrate, 'site');
    expect(await codeOf(up(substrate))).toBe('conflict');
    await label(substrate, { alarm: n, label: 'right', actor: OWNER });
    expect((await up(substrate)).stage).toBe('shadow');
  });
});

describe('[LOCK-MIND-2] demotion', () => {
  it('comes by itself with the second wrong alarm within the stage, in the same receipt', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    // What was wrong in the stage before has been counted there.
    await labelled(substrate, ['wrong', 'wrong']);
    expect(await stageOf(substrate)).toBe('observe');
    sources.time += HOUR_MS;
    await put(substrate, 'site', 'advise');
    await labelled(substrate, ['right', 'wrong', 'right'], 'advise');
    expect(await stageOf(substrate)).toBe('advise');
    await labelled(substrate, ['wrong'], 'advise');
    expect(await stageOf(substrate)).toBe('shadow');
    expect((await allReceipts(substrate)).at(-1)).toMatchObject({
      action: 'coherence.label',
      subject: { type: 'alarm', id: 'a6' },
      detail: { subsystem: 'site', label: 'wrong', demoted_to: 'shadow' },
    });
    // A word can be taken back; that brings no stage back.
    await label(substrate, { alarm: 6, label: 'right', actor: OWNER });
    expect(await stageOf(substrate)).toBe('shadow');
  });

  it('is the owner’s at any time, ends a pause at once, and what was earned is to be earned again', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
    await look(substrate);
    await labelled(substrate, rights(20));
    await work(substrate, sources, 200);
    for (let i = 0; i < 3; i++) await up(substrate);
    const now = sources.now();
    await substrate.maintain((tx) =>
      raiseAlarm(tx, {
        subsystem: 'site',
        kind: 'failing',
        stage: 'govern',
        provisional: false,
        since: now,
        reason: 'It fails.',
        act: null,
        raisedAt: now,
      }),
    );
    expect(await substrate.read(governedPauses)).toHaveLength(1);
    sources.time += 1;
    expect((await down(substrate)).stage).toBe('advise');
    expect(await substrate.read(governedPauses)).toEqual([]);
    expect(await codeOf(up(substrate))).toBe('conflict');
    expect([(await down(substrate)).stage, (await down(substrate)).stage]).toEqual(['shadow', 'observe']);
    expect(await codeOf(down(substrate))).toBe('conflict');
  });

  it('nobody’s word counts on what is not there', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    expect(await codeOf(label(substrate, { alarm: 9, label: 'right', actor: OWNER }))).toBe('not_found');
    expect(await codeOf(up(substrate))).toBe('not_found');
    expect(await codeOf(down(substrate))).toBe('not_found');
  });
});

it('the number of an alarm is never given again: a receipt that names one means that one for ever', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
  const first = await pastAlarm(substrate, 'site');
  await label(substrate, { alarm: first, label: 'right', actor: OWNER });
  await substrate.operate({ action: 'probe.remove', actor: OWNER }, (op) => unregisterProbed(op, 'site'));
  await probe(substrate, 'site', { hoursAgo: hourly(20, 0) });
  expect(await pastAlarm(substrate, 'site')).toBe(first + 1);
  expect(await codeOf(label(substrate, { alarm: first, label: 'wrong', actor: OWNER }))).toBe('not_found');
});
