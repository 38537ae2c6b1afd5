/** Coherence as agents, helpers and the owner meet it: through their own doors. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { label } from '../../src/mind/coherence/acts.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { keepLook, saveProbe } from '../../src/substrate/probes/probes.ts';
import type { CoherenceView } from '../../src/tools/coherence-view.ts';
import type { Rig } from '../doors/rig.ts';
import {
  asOwner,
  askOwner,
  callOverHttp,
  connectAgent,
  issue,
  listen,
  openRig,
  outcome,
  receipts,
  rpc,
} from '../doors/rig.ts';
import { hourly, look, probe, put } from '../mind/coherence/rig.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

const URI = 'seed://coherence';

let room: Scratch;
let rig: Rig;

beforeAll(async () => {
  room = scratch();
  rig = await openRig(room.at('home'));
});

afterAll(async () => {
  await rig.close();
  expect(rig.defects).toEqual([]);
  room[Symbol.dispose]();
});

const read = (input: object = {}): Promise<CoherenceView> => asOwner<CoherenceView>(rig, 'coherence_read', input);

test('from nothing to a stall: what is read, in short for a model, and told to those who listen', async () => {
  expect(await read()).toEqual({ overall: 'unknown', subsystems: [], not_shown: 0, history: null, alarms: null });
  const agent = await connectAgent(rig, 'watcher');
  const seeing = await issue(rig, 'seeing', ['coherence.read']);
  expect(outcome(await agent.rpc('resources/subscribe', { uri: URI }))).toBe('ok');
  const stream = await listen(rig, seeing.key, [URI]);
  const told = (lines: readonly string[]): number => lines.filter((line) => line.includes('updated')).length;

  await probe(rig.substrate, 'blog', { hoursAgo: hourly(40, 500) });
  await look(rig.substrate);
  await until(() => told(agent.lines) === 1 && told(stream.events) === 1, 'both to be told');
  const { result } = await agent.rpc('resources/read', { uri: URI });
  expect(JSON.stringify(result)).toContain('stalled');

  const answer = await callOverHttp(rig, seeing.key, 'coherence_read', { subsystem: 'blog', history: true });
  const text = (answer.result?.['content'] as { text: string }[] | undefined)?.[0]?.text ?? '';
  expect(text).toMatch(
    /^Overall: stalled\.\nblog: stalled \(provisional\)\. Nothing was completed since .*, 20 days ago/,
  );
  expect(text).toMatch(/^- stall: silent for 20 days; up to 2 hours is usual$/m);
  expect(text).toMatch(/^alarm a1 of blog, .* \(open\): Nothing was completed/m);
  // What a helper reads is on record.
  expect((await receipts(rig, { action: 'coherence.read' })).at(-1)).toMatchObject({
    actor: { id: 'seeing' },
    subject: { type: 'subsystem', id: 'blog' },
  });
  // Looking again is no news.
  await look(rig.substrate);
  await label(rig.substrate, { alarm: 1, label: 'right', actor: OWNER });
  await until(() => told(agent.lines) === 2 && told(stream.events) === 2, 'the label to be told, and nothing else');
  stream.close();
  agent.close();
});

describe('who may', () => {
  test('read: who has the scope', async () => {
    const blind = await issue(rig, 'blind', ['seed.status']);
    expect(outcome(await callOverHttp(rig, blind.key, 'coherence_read'))).toBe('forbidden');
    const refused = await rpc(rig, blind.key, { method: 'resources/read', params: { uri: URI } });
    expect(refused.error?.message).toContain('no resource');
    expect((await askOwner(rig, 'coherence_read', { subsystem: 'nope' })).error?.code).toBe('not_found');
  });

  test('[LOCK-MIND-2] label and move: the owner alone', async () => {
    const agent = await connectAgent(rig, 'ambitious');
    for (const [tool, input] of [
      ['coherence_promote', { subsystem: 'blog' }],
      ['coherence_demote', { subsystem: 'blog' }],
      ['coherence_label', { alarm: 'a1', label: 'right' }],
    ] as const) {
      expect(outcome(await agent.call(tool, input))).not.toBe('ok');
    }
    // Each attempt is on record as refused, and nothing moved.
    const tried = await receipts(rig, { actor: 'ambitious', outcome: 'refused' });
    expect(tried).toHaveLength(3);
    expect((await read({ subsystem: 'blog' })).subsystems[0]).toMatchObject({ stage: 'observe' });
    agent.close();
    expect((await askOwner(rig, 'coherence_promote', { subsystem: 'blog' })).error?.code).toBe('conflict');
  });

  test('what is told of waits for the owner until it is labelled; what is only logged does not', async () => {
    const { substrate } = rig;
    const alarms = async () =>
      (await asOwner<{ items: { kind: string; id: string }[] }>(rig, 'seed_todo')).items.filter(
        ({ kind }) => kind === 'alarm',
      );
    await probe(substrate, 'shop', { hoursAgo: hourly(40, 500) });
    await probe(substrate, 'quiet', { hoursAgo: hourly(40, 500) });
    await put(substrate, 'shop', 'advise');
    await look(substrate);
    const [waiting, ...more] = await alarms();
    expect(more).toEqual([]);
    expect(waiting).toMatchObject({ says: expect.stringMatching(/^shop: Nothing was completed/) as string });
    await asOwner(rig, 'coherence_label', { alarm: waiting?.id, label: 'right' });
    expect(await alarms()).toEqual([]);
  });
});

test('a probe that cannot see: unknown with the reason, to agents without the place, and the owner is told', async () => {
  const { substrate } = rig;
  const draft = { name: 'repo', kind: 'git', place: '/srv/private', spec: {}, everyMs: 900_000 } as const;
  const save = (finished: boolean) =>
    substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => saveProbe(op, draft, { finished }));
  await save(false);
  const [at, addedAt] = [substrate.sources.now(), substrate.sources.now()];
  const problem = { reason: 'gone', says: '/srv/private is not there.' } as const;
  await substrate.maintain((tx) => keepLook(tx, { ...draft, addedAt }, { at, times: [], cursor: null, problem }));
  const seeing = await issue(rig, 'looking', ['coherence.read']);
  const answer = await callOverHttp(rig, seeing.key, 'coherence_read', { subsystem: 'repo' });
  const text = JSON.stringify(answer.result);
  expect(text).toMatch(/repo: unknown\. Its probe cannot see since .* what is done: the place is not there/);
  expect(text).not.toContain('private');
  expect((await read({ subsystem: 'repo' })).subsystems[0]?.unseen_since).toBe(new Date(at).toISOString());
  const probes = async () =>
    (await asOwner<{ items: { kind: string; says: string }[] }>(rig, 'seed_todo')).items.filter(
      ({ kind }) => kind === 'probe',
    );
  expect(await probes()).toMatchObject([{ id: 'repo', todo: 'seed probe list' }]);
  await save(true);
  expect(await probes()).toEqual([]);
});
