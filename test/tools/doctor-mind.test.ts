/** What the doctor says of the loop, its organs, the tasks that nobody takes up, coherence and probes. */
import { describe, expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import type { Finding } from '../../src/substrate/health.ts';
import { switchOrgan } from '../../src/mind/loop/seat.ts';
import { keepLook, saveProbe } from '../../src/substrate/probes/probes.ts';
import { writeSwitch } from '../../src/substrate/switches.ts';
import type { TaskDraft } from '../../src/substrate/tasks/tasks.ts';
import { addTask } from '../../src/substrate/tasks/tasks.ts';
import { examineCoherence, examineMind } from '../../src/tools/doctor-mind.ts';
import { complete, probe } from '../mind/coherence/rig.ts';
import { loopOf, seatOf, testOrgan, work } from '../mind/loop/rig.ts';
import { openSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const HOUR_MS = 3_600_000;
const WORKER = { name: 'worker', isOn: false, scopes: [], takesWorkOn: true };

function said(findings: readonly Finding[]): string[] {
  return findings.map(({ check, verdict, says }) => `${verdict} ${check}: ${says}`);
}

describe('the mind', () => {
  test('one that turns is good, and what nobody needs to mend is not told', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await using loop = loopOf(seed, [seatOf(testOrgan('digestor'))]);
    await loop.settled();
    const findings = await examineMind(seed.substrate, { pulse: loop.pulse });
    expect(said(findings)).toEqual(['good mind: It turns: 7 organs on, off: worker.']);
  });

  test('where nothing turns, or it is paused or halted, that is a warning that says how it ends', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [still] = await examineMind(substrate, { pulse: null });
    expect(still).toMatchObject({ verdict: 'warning', says: 'It does not turn: nothing happens by itself.' });
    await using loop = loopOf(seed, []);
    await substrate.operate({ action: 'mind.pause', actor: OWNER }, (op) => writeSwitch(op, 'mind_paused', true));
    const [paused] = await examineMind(substrate, { pulse: loop.pulse });
    expect(paused).toMatchObject({ verdict: 'warning', advice: '`seed mind resume` ends it.' });
    await substrate.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', true));
    const [halted] = await examineMind(substrate, { pulse: loop.pulse });
    expect(halted).toMatchObject({ verdict: 'warning', advice: '`seed resume` ends it.' });
  });

  test('an organ that fails, or cannot do what waits, has a line of its own', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const failing = testOrgan('digestor');
    failing.sight = work(1);
    failing.does = () => Promise.reject(new Error('no'));
    const held = testOrgan('teller');
    held.sight = { waiting: 2, nextAt: null, held: 'it waits for a word' };
    await using loop = loopOf(seed, [seatOf(failing), seatOf(held)]);
    await loop.pass(100);
    const [, ...organs] = await examineMind(seed.substrate, { pulse: loop.pulse });
    expect(organs.map(({ verdict, check }) => [verdict, check])).toEqual([
      ['warning', 'organ'],
      ['warning', 'organ'],
    ]);
    expect(organs[0]?.says).toMatch(/^digestor: .*left alone for/);
    expect(organs[0]?.advice).toContain('`seed mind log --organ digestor`');
    expect(organs[1]?.says).toBe('teller: waiting: it waits for a word (2 pieces).');
    expect(organs[1]?.advice).toBe('`seed mind status` shows when it goes on.');
  });

  test('a loop that stands still is bad', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await using loop = loopOf(seed, []);
    await loop.settled();
    const state = { ...loop.pulse.state(), state: 'silent' as const, silentMs: 130_000 };
    const pulse = Object.assign(Object.create(loop.pulse) as typeof loop.pulse, { state: () => state });
    expect(said(await examineMind(seed.substrate, { pulse }))).toEqual([
      'bad mind: The loop has stood still for 130 s; another is about to take its place.',
    ]);
  });

  test('tasks that nobody takes up for a day, while the worker is off; not fresh ones, nor while it is on', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const lines = async (): Promise<Finding[]> =>
      (await examineMind(substrate, { pulse: null })).filter(({ check }) => check === 'worker');
    await addTask(substrate, OWNER, task());
    sources.time += 23 * HOUR_MS;
    expect(await lines()).toEqual([]);
    sources.time += 2 * HOUR_MS;
    const [left] = await lines();
    expect(left?.says).toBe('1 task that nobody has taken up for a day, and the seed’s own worker is off.');
    expect(left?.advice).toContain('`seed mind on worker`');
    await switchOrgan(substrate, OWNER, { named: WORKER, isOn: true });
    expect(await lines()).toEqual([]);
  });
});

describe('coherence', () => {
  test('nothing to measure, or too little of it, is no trouble', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    expect(said(await examineCoherence(seed.substrate))).toEqual([
      'good coherence: Nothing is measured: there is no task and no probe.',
    ]);
    await addTask(seed.substrate, OWNER, task());
    expect(said(await examineCoherence(seed.substrate))).toEqual([
      'good coherence: Too little is known yet of 1 subsystem to say how the work goes.',
    ]);
  });

  test('what has stalled has a line with its date, what goes on has none', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await probe(substrate, 'shop', { hoursAgo: hours(40, 1) });
    expect(said(await examineCoherence(substrate))).toEqual([
      'good coherence: The work gets done: 1 subsystem looked at.',
    ]);
    await probe(substrate, 'blog', { hoursAgo: hours(40, 30 * 24) });
    const since = new Date(seed.sources.time - 30 * 24 * HOUR_MS).toISOString().slice(0, 10);
    const findings = await examineCoherence(substrate);
    expect(findings).toHaveLength(1);
    expect(findings[0]?.says).toContain(`blog is stalled since ${since}. Nothing was completed since`);
    expect(findings[0]?.advice).toContain('`seed coherence --subsystem blog`');
    await complete(substrate, 'blog', [0]);
    expect(said(await examineCoherence(substrate))).toEqual([
      'good coherence: The work gets done: 2 subsystems looked at.',
    ]);
  });

  test('a probe that cannot be read says since when and what to do', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const draft = { name: 'site', kind: 'git', place: dir.at('site'), spec: {}, everyMs: 900_000 } as const;
    await substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => saveProbe(op, draft, { finished: false }));
    const of = { name: 'site', kind: 'git', addedAt: sources.time } as const;
    const looked = { at: sources.time, times: [], cursor: null };
    const problem = { reason: 'gone', says: `${draft.place} is not there.` } as const;
    await substrate.maintain((tx) => keepLook(tx, of, { ...looked, problem }));
    const since = new Date(sources.time).toISOString().slice(0, 16).replace('T', ' ');
    const probes = async (): Promise<Finding[]> =>
      (await examineCoherence(substrate)).filter(({ check }) => check === 'probe');
    expect(await probes()).toEqual([
      {
        check: 'probe',
        verdict: 'warning',
        says: `site sees nothing since ${since} UTC: ${draft.place} is not there.`,
        advice: 'Mend it, or `seed probe remove site`.',
      },
    ]);
    await substrate.maintain((tx) => keepLook(tx, of, { ...looked, problem: null }));
    expect(await probes()).toEqual([]);
  });
});

/** So many completions an hour apart, the newest so many hours ago. */
function hours(count: number, newest: number): number[] {
  return Array.from({ length: count }, (_, index) => newest + index);
}

function task(): TaskDraft {
  const body = { title: 'mend the login', text: '', acceptance: [] };
  return { subsystem: 'website', body, check: null, priority: 3, deadline: null, needs: [] };
}
