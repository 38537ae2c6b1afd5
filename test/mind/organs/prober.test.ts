/** The prober: work outside the seed that silently stopped is found in the first cycle; what cannot be read is a state. */
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { evaluate } from '../../../src/mind/coherence/coherence.ts';
import { readCoherence } from '../../../src/mind/coherence/state.ts';
import type { Organ, OrganReport } from '../../../src/mind/organ.ts';
import { createCoherence } from '../../../src/mind/organs/coherence.ts';
import { createProber } from '../../../src/mind/organs/prober.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { listCompletions } from '../../../src/substrate/coherence/completions.ts';
import { findSubsystem } from '../../../src/substrate/coherence/subsystems.ts';
import { PROBES_MAX } from '../../../src/substrate/probes/model.ts';
import type { ProbeDraft } from '../../../src/substrate/probes/probes.ts';
import { findProbe, listProbes, removeProbe, saveProbe } from '../../../src/substrate/probes/probes.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { codeOf, openAgain, openSeed } from '../../support/home.ts';
import { addCommits, makeRepository } from '../../support/repository.ts';
import { scratch } from '../../support/scratch.ts';
import { loopOf } from '../loop/rig.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 21, 7);

const draft = (name: string, place: string, more: Partial<ProbeDraft> = {}): ProbeDraft => ({
  name,
  place,
  kind: 'jsonl',
  spec: { field: 'time' },
  everyMs: 15 * MINUTE_MS,
  ...more,
});

async function add(substrate: Substrate, probe: ProbeDraft, finished = false): Promise<void> {
  await substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => saveProbe(op, probe, { finished }));
}

function run(organ: Organ, signal: AbortSignal = new AbortController().signal): Promise<OrganReport> {
  return organ.run({ because: 'test', signal, alive: () => {} });
}

const line = (at: number): string => `${JSON.stringify({ time: new Date(at).toISOString() })}\n`;

/** Commits of workdays-like work: one every 20 to 28 hours, up to a moment. */
function worked(until: number): { at: number }[] {
  return Array.from({ length: 60 }, (_, index) => ({ at: until - (59 - index) * DAY_MS + (index % 5) * HOUR_MS }));
}

describe('the first cycle', () => {
  test('flags the repository whose commits stopped 35 days ago, with the date, and not the healthy one beside it', async () => {
    using dir = scratch();
    const stopped = NOW - 35 * DAY_MS;
    makeRepository(dir.at('silent'), worked(stopped - 4 * HOUR_MS));
    makeRepository(dir.at('lively'), worked(NOW - 6 * HOUR_MS));
    makeRepository(dir.at('done'), worked(stopped - 4 * HOUR_MS));
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    for (const name of ['silent', 'lively', 'done']) {
      await add(substrate, draft(name, dir.at(name), { kind: 'git', spec: {} }), name === 'done');
    }
    expect(await run(createProber({ substrate }))).toEqual({
      done: 3,
      more: false,
      says: 'done: 60 new completions. lively: 60 new completions. silent: 60 new completions.',
    });
    await evaluate(substrate, { signal: new AbortController().signal, alive: () => {} });
    const { overall, subsystems } = await readCoherence(substrate);
    const found = subsystems.map(({ subsystem, status, alarms }) => [
      subsystem.name,
      status,
      alarms.map(({ kind }) => kind),
    ]);
    expect(overall).toBe('stalled');
    expect(found[0]).toEqual(['silent', 'stalled', ['stall']]);
    for (const [name, status, alarms] of found.slice(1)) {
      expect([name, status === 'stalled', alarms]).toEqual([name, false, []]);
    }
    const [silent] = subsystems;
    expect(silent?.lastDone).toBe(stopped);
    expect(silent?.alarms[0]?.reason).toContain(new Date(stopped).toISOString().slice(0, 10));
  });
});

describe('looks', () => {
  test('read what is new alone, when it is time, and a quiet one writes nothing', async () => {
    using dir = scratch();
    writeFileSync(dir.at('log'), line(NOW - DAY_MS));
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await add(substrate, draft('jobs', dir.at('log')));
    const prober = createProber({ substrate });
    const look = (): Promise<unknown> => substrate.read((db) => prober.look(db, sources.now()));
    expect(await look()).toEqual({ waiting: 1, nextAt: null, held: null });
    expect((await run(prober)).says).toBe('jobs: 1 new completion.');
    expect(await look()).toEqual({ waiting: 0, nextAt: sources.time + 15 * MINUTE_MS, held: null });
    const before = await substrate.read((db) => findProbe(db, 'jobs'));
    sources.time += 15 * MINUTE_MS;
    expect(await look()).toMatchObject({ waiting: 1 });
    expect((await run(prober)).says).toBeNull();
    expect(await substrate.read((db) => findProbe(db, 'jobs'))).toEqual(before);
    appendFileSync(dir.at('log'), line(sources.time));
    expect((await run(prober)).says).toBeNull();
    sources.time += 15 * MINUTE_MS;
    expect((await run(prober)).says).toBe('jobs: 1 new completion.');
    expect(await substrate.read((db) => listCompletions(db, 'jobs', { until: sources.time, limit: 9 }))).toHaveLength(
      2,
    );
    // A clock that was set back puts nothing off.
    sources.time -= DAY_MS;
    expect(await look()).toMatchObject({ waiting: 1 });
  });

  test('go on where they were after a restart, and repeat nothing', async () => {
    using dir = scratch();
    writeFileSync(dir.at('log'), line(NOW - DAY_MS));
    const first = await openSeed(dir);
    await add(first.substrate, draft('jobs', dir.at('log')));
    await run(createProber({ substrate: first.substrate }));
    await first.substrate.close();
    appendFileSync(dir.at('log'), line(NOW - HOUR_MS));
    await using again = await openAgain(first.home, { sources: first.sources });
    expect((await run(createProber({ substrate: again.substrate }))).says).toBe('jobs: 1 new completion.');
  });

  test('that are stopped in the middle count for nothing', async () => {
    using dir = scratch();
    makeRepository(dir.at('site'), [{ at: NOW - DAY_MS }]);
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await add(substrate, draft('site', dir.at('site'), { kind: 'git', spec: {} }));
    const prober = createProber({ substrate });
    const stop = new AbortController();
    const running = prober.run({ because: 'test', signal: stop.signal, alive: () => stop.abort() });
    expect(await running).toMatchObject({ says: null });
    expect(await substrate.read((db) => prober.look(db, sources.now()))).toMatchObject({ waiting: 1 });
    addCommits(dir.at('site'), [{ at: NOW - HOUR_MS }]);
    expect((await run(prober)).says).toBe('site: 2 new completions.');
  });

  test('a few a run, so that others have their turn', async () => {
    using dir = scratch();
    writeFileSync(dir.at('log'), line(NOW - DAY_MS));
    await using seed = await openSeed(dir);
    for (let index = 0; index < 12; index++) await add(seed.substrate, draft(`jobs${index}`, dir.at('log')));
    const prober = createProber(seed);
    expect(await run(prober)).toMatchObject({ done: 10, more: true });
    expect(await run(prober)).toMatchObject({ done: 2, more: false });
  });
});

test('whoever asks the turning mind to look now has each probe read and its stall found, before their time', async () => {
  using dir = scratch();
  writeFileSync(dir.at('log'), Array.from({ length: 12 }, (_, index) => line(NOW - index * HOUR_MS)).join(''));
  await using seed = await openSeed(dir);
  const { substrate, sources } = seed;
  await add(substrate, draft('jobs', dir.at('log'), { everyMs: 7 * DAY_MS }));
  const traits = { isOn: true, scopes: [], takesWorkOn: false };
  const organs = [createProber({ substrate }), createCoherence({ substrate })];
  await using loop = loopOf(
    seed,
    organs.map((organ) => ({ organ, ...traits })),
  );
  const seen = (): Promise<number[]> =>
    substrate.read((db) => listCompletions(db, 'jobs', { until: sources.time, limit: 99 }));
  await loop.pass(1_000);
  // A file is read in time of its own, which the loop's does not wait for.
  await vi.waitFor(async () => expect(await seen()).toHaveLength(12), { timeout: 5_000, interval: 5 });
  appendFileSync(dir.at('log'), line(sources.time));
  // By itself it looks in a week.
  await loop.pass(2 * MINUTE_MS);
  expect(await seen()).toHaveLength(12);
  const ends = await loop.pulse.once({ signal: new AbortController().signal });
  expect(await seen()).toHaveLength(13);
  expect(ends.map(({ organ, says }) => [organ, says])).toContainEqual(['prober', 'jobs: 1 new completion.']);
  expect(ends.map(({ organ }) => organ)).toContain('coherence');
});

describe('a place that cannot be read', () => {
  test('is a state with its words and its beginning, told once, and over when it is back', async () => {
    using dir = scratch();
    writeFileSync(dir.at('log'), line(NOW - DAY_MS));
    writeFileSync(dir.at('other'), line(NOW - DAY_MS));
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    await add(substrate, draft('jobs', dir.at('log')));
    await add(substrate, draft('other', dir.at('other')));
    const prober = createProber({ substrate });
    await run(prober);
    renameSync(dir.at('log'), dir.at('moved'));
    appendFileSync(dir.at('other'), line(sources.time));
    sources.time += HOUR_MS;
    const since = sources.time;
    // The one beside it is read all the same.
    expect((await run(prober)).says).toBe(
      `jobs: ${dir.at('log')} is not there. Look at the path. If it was moved for good, remove the probe and add it again. other: 1 new completion.`,
    );
    sources.time += HOUR_MS;
    expect((await run(prober)).says).toBeNull();
    expect((await substrate.read((db) => findProbe(db, 'jobs')))?.problem).toMatchObject({ reason: 'gone', since });
    renameSync(dir.at('moved'), dir.at('log'));
    appendFileSync(dir.at('log'), line(sources.time));
    sources.time += HOUR_MS;
    expect((await run(prober)).says).toBe('jobs can be read again. jobs: 1 new completion.');
    expect((await substrate.read((db) => findProbe(db, 'jobs')))?.problem).toBeNull();
  });
});

describe('rows', () => {
  test('one of the same place is told again whether it is finished; elsewhere is a conflict; gone is gone', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    writeFileSync(dir.at('log'), line(NOW - DAY_MS));
    await add(substrate, draft('jobs', dir.at('log')));
    await run(createProber({ substrate }));
    await add(substrate, draft('jobs', dir.at('log'), { everyMs: HOUR_MS }), true);
    const probe = await substrate.read((db) => findProbe(db, 'jobs'));
    expect([probe?.everyMs, probe?.cursor === null]).toEqual([HOUR_MS, false]);
    expect((await substrate.read((db) => findSubsystem(db, 'jobs')))?.finished).toBe(true);
    expect(await codeOf(add(substrate, draft('jobs', dir.at('other'))))).toBe('conflict');
    expect(await codeOf(add(substrate, draft('jobs', dir.at('log'), { spec: { field: 'at' } })))).toBe('conflict');
    const remove = (): Promise<unknown> =>
      substrate.operate({ action: 'probe.remove', actor: OWNER }, (op) => removeProbe(op, 'jobs'));
    await remove();
    expect(await substrate.read(listProbes)).toEqual([]);
    expect(await substrate.read((db) => listCompletions(db, 'jobs', { until: NOW, limit: 9 }))).toEqual([]);
    expect(await substrate.read((db) => findSubsystem(db, 'jobs'))).toBeNull();
    expect(await codeOf(remove())).toBe('not_found');
  });

  test('so many and no more', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    for (let index = 0; index < PROBES_MAX; index++) await add(seed.substrate, draft(`p${index}`, '/x'));
    expect(await codeOf(add(seed.substrate, draft('one-more', '/x')))).toBe('too_many');
    await add(seed.substrate, draft('p0', '/x'), true);
  });
});
