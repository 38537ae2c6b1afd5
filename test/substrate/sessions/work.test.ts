/** Working in a session: fencing, keys, results that answer open calls, checkpoints, and its one transcript. */
import * as fc from '../../support/fast-check.ts';
import { expect, test } from 'vitest';
import { OWNER } from '../../../src/substrate/actor.ts';
import { CHECKPOINT_BYTES_MAX } from '../../../src/substrate/sessions/model.ts';
import { listOpenTools } from '../../../src/substrate/sessions/messages.ts';
import { listHeld, listSessions } from '../../../src/substrate/sessions/sessions.ts';
import {
  beginSession,
  beginStep,
  endSession,
  endStep,
  noteCheckpoint,
  pickHeld,
  readTranscript,
} from '../../../src/substrate/sessions/work.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash, messageText } from '../../../src/substrate/transcript.ts';
import { edit } from '../../doors/rig.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { letIn } from '../bus/rig.ts';
import { answers, append, calls, look, open, say, SESSION_SCOPES } from './rig.ts';

const SCOPES = { scopes: SESSION_SCOPES };

test('[LOCK-HANDOFF-2] the running hash is over all messages, and an altered transcript is not read', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate, home } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const { id } = await open(substrate, ann);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 5 }), async (texts) => {
      await append(substrate, ann, id, texts.map(say));
      const session = await look(substrate, id);
      const messages = await substrate.read((db) => readTranscript(db, session));
      expect(messages.slice(-texts.length)).toEqual(texts.map(say));
      const hash = messages.reduce(
        (running, message) => extendTranscript(running, messageHash(messageText(message))),
        EMPTY_TRANSCRIPT,
      );
      expect(session.runningHash).toBe(Buffer.from(hash).toString('hex'));
    }),
    { numRuns: 20 },
  );
  const session = await look(substrate, id);
  expect(session.length).toBeGreaterThan(20);
  edit(home, 'UPDATE substrate_session_messages SET body = ? WHERE idx = 3', messageText(say('forged')));
  expect(await codeOf(substrate.read((db) => readTranscript(db, session)))).toBe('store_corrupt');
  // A message that is missing is found as well.
  edit(home, 'DELETE FROM substrate_session_messages WHERE idx = 5');
  expect(await codeOf(substrate.read((db) => readTranscript(db, session)))).toBe('store_corrupt');
});

test('a stranger is told of no session; the owner’s seed never writes into somebody else’s', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const eve = await letIn(substrate, 'eve', SCOPES);
  const { id } = await open(substrate, ann);
  expect(await codeOf(append(substrate, eve, id, [say('mine')]))).toBe('not_found');
  expect(await codeOf(append(substrate, eve, 'f'.repeat(32), [say('mine')]))).toBe('not_found');
  expect(await codeOf(endSession(substrate, eve, id))).toBe('not_found');
  expect(await codeOf(append(substrate, OWNER, id, [say('mine')]))).toBe('superseded');
  expect(await codeOf(append(substrate, ann, id, [say('mine')], { epoch: 2 }))).toBe('superseded');
  expect((await look(substrate, id)).length).toBe(0);
  await endSession(substrate, OWNER, id);
  expect((await look(substrate, id)).status).toBe('closed');
});

test('a key adds its messages once, and belongs to them', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const { id } = await open(substrate, ann);
  const key = { key: 'k' };
  const all = await Promise.all(Array.from({ length: 10 }, () => append(substrate, ann, id, [say('once')], key)));
  expect(all.filter(({ repeated }) => !repeated)).toHaveLength(1);
  expect((await look(substrate, id)).length).toBe(1);
  const { size } = await substrate.log();
  expect(await append(substrate, ann, id, [say('once')], key)).toMatchObject({
    from: 0,
    repeated: true,
    receipt: null,
  });
  expect((await substrate.log()).size).toBe(size);
  expect(await codeOf(append(substrate, ann, id, [say('other')], key))).toBe('conflict');
});

test('a tool result answers an open call, once', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const { id } = await open(substrate, ann);
  expect(await codeOf(append(substrate, ann, id, [answers('c1')]))).toBe('conflict');
  await append(substrate, ann, id, [calls('c1'), calls('c2')]);
  const open2 = await substrate.read((db) => listOpenTools(db, id, 10));
  expect(open2.map(({ call, idempotencyKey }) => [call, idempotencyKey])).toEqual([
    ['c1', `${id}.c1`],
    ['c2', `${id}.c2`],
  ]);
  await append(substrate, ann, id, [answers('c1')]);
  expect(await codeOf(append(substrate, ann, id, [answers('c1', 'painted again')]))).toBe('conflict');
  expect(await codeOf(append(substrate, ann, id, [answers('c2'), answers('c2')]))).toBe('conflict');
  // A call and its result may come together, and nothing of a refused addition stays.
  await append(substrate, ann, id, [calls('c3'), answers('c3')]);
  expect((await substrate.read((db) => listOpenTools(db, id, 10))).map(({ call }) => call)).toEqual(['c2']);
  expect((await look(substrate, id)).length).toBe(5);
});

test('a checkpoint keeps what it does not mention, and is bounded', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const { id } = await open(substrate, ann, { checkpoint: { goal: 'G', constraints: ['never red'] } });
  const note = (input: object) => noteCheckpoint(substrate, id, { actor: ann, epoch: null, input });
  await note({ done: ['a'], next: 'b', goal: undefined });
  expect((await look(substrate, id)).checkpoint).toMatchObject({
    goal: 'G',
    constraints: ['never red'],
    done: ['a'],
    next: 'b',
    open: [],
  });
  await note({ done: [] });
  expect((await look(substrate, id)).checkpoint).toMatchObject({ done: [], next: 'b' });
  const much = Array.from({ length: 20 }, () => 'x'.repeat(CHECKPOINT_BYTES_MAX / 20));
  expect(await codeOf(note({ done: much }))).toBe('too_large');
  expect(await codeOf(open(substrate, ann, { checkpoint: { done: much } }))).toBe('too_large');
});

test('the only session held is the one that is meant; of several one must be named', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const pick = () => substrate.read((db) => pickHeld(db, ann, undefined));
  expect(await pick()).toBeNull();
  const one = await open(substrate, ann);
  expect(await pick()).toBe(one.id);
  const two = await open(substrate, ann);
  expect(await codeOf(pick())).toBe('invalid_input');
  await endSession(substrate, ann, one.id);
  expect(await pick()).toBe(two.id);
});

test('nobody holds more than 200 open sessions', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const opening = { checkpoint: {}, budgetMicroUsd: null, deadline: null };
  const codes = await Promise.all(Array.from({ length: 203 }, () => codeOf(beginSession(substrate, ann, opening))));
  expect(codes.filter((code) => code === 'none')).toHaveLength(200);
  expect(codes.filter((code) => code === 'too_many')).toHaveLength(3);
  const [last] = await substrate.read((db) => listHeld(db, ann.grant, 1));
  await endSession(substrate, ann, last?.id ?? '');
  await beginSession(substrate, ann, opening);
  // Pages of the list join without gap or repetition.
  const seen = new Set<string>();
  let before: { at: number; id: string } | null = null;
  for (;;) {
    const page: Awaited<ReturnType<typeof listSessions>> = await substrate.read((db) =>
      listSessions(db, { limit: 60, before }),
    );
    for (const { id } of page) seen.add(id);
    const end = page.at(-1);
    if (end === undefined) break;
    before = { at: end.changedAt, id: end.id };
  }
  expect(seen.size).toBe(201);
});

test('a step’s answer is added once, and nothing comes before it', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const ann = await letIn(substrate, 'ann', SCOPES);
  const { id } = await open(substrate, ann);
  const step = { actor: ann, epoch: null, messages: [say('go')], key: 'k', call: 'call-1', instead: null };
  expect(await beginStep(substrate, id, step)).toMatchObject({ fresh: true, call: 'call-1' });
  expect(await beginStep(substrate, id, { ...step, call: 'call-2' })).toMatchObject({ fresh: false, call: 'call-1' });
  expect(await codeOf(append(substrate, ann, id, [say('wait')]))).toBe('conflict');
  const end = { call: 'call-1', status: 'complete', answer: calls('c1') };
  await Promise.all(Array.from({ length: 5 }, () => endStep(substrate, ann, id, end)));
  const after = await look(substrate, id);
  expect([after.length, after.stepCall]).toEqual([2, null]);
  // One that never began is taken the place of, with its messages; the key knows the new call.
  await beginStep(substrate, id, { ...step, messages: [say('on')], key: 'l', call: 'call-3' });
  const again = { ...step, messages: [say('on')], key: 'l', call: 'call-4', instead: 'call-3' };
  expect(await beginStep(substrate, id, again)).toMatchObject({ fresh: true, call: 'call-4' });
  await endStep(substrate, ann, id, { ...end, call: 'call-3' });
  expect(await look(substrate, id)).toMatchObject({ length: 3, stepCall: 'call-4' });
  await endStep(substrate, ann, id, { call: 'call-4', status: 'failed', answer: null });
  expect(await look(substrate, id)).toMatchObject({ length: 3, stepCall: null });
  const hashes = (await allReceipts(substrate)).filter(({ detail }) => detail['hash'] === after.runningHash);
  expect(hashes.length).toBeGreaterThan(0);
});
