/** Steps: the next model turn, stored once, whoever waits, whatever crashes, whoever holds the session by then. */
import { expect, test } from 'vitest';
import type { StepRequest } from '../../../src/mind/sessions/steps.ts';
import { Steps } from '../../../src/mind/sessions/steps.ts';
import type { ModelRequest } from '../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../src/mind/router/provider.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { doubtCalls } from '../../../src/substrate/calls.ts';
import { beginStep, readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Message } from '../../../src/substrate/transcript.ts';
import { until } from '../../support/child.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { letIn } from '../../substrate/bus/rig.ts';
import {
  accept,
  answers,
  append,
  latest,
  look,
  offer,
  open,
  say,
  SESSION_SCOPES,
  used,
} from '../../substrate/sessions/rig.ts';
import type { Script } from '../router/rig.ts';
import { applyPolicy, asker, asks, fails, PATIENT, POLICY, routerOf, says } from '../router/rig.ts';

const NOW = { waitMs: 0, signal: new AbortController().signal };

async function scene(at: Parameters<typeof openSeed>[0], script: Script, budgetMicroUsd: number | null = null) {
  const seed = await openSeed(at);
  const { substrate } = seed;
  await applyPolicy(substrate, POLICY);
  const rig = routerOf(substrate, {
    scripts: { 'a/m': script, 'b/m': fails(new ProviderFault('rejected', 'No.', { mayBeBilled: false })) },
  });
  const steps = new Steps({
    substrate,
    router: rig.router,
    onDefect: (error) => void rig.work.set(error.message, new Set()),
  });
  const ann = await letIn(substrate, 'ann', { scopes: SESSION_SCOPES });
  const bob = await letIn(substrate, 'bob', { scopes: SESSION_SCOPES });
  const session = await open(substrate, ann, { budgetMicroUsd });
  const step = (
    actor: Actor,
    messages: readonly Message[] = [],
    more: Partial<StepRequest> & { waiting?: typeof NOW } = {},
  ) => {
    const { session: _, messages: __, ...request } = asks('');
    const { waiting = PATIENT, ...rest } = more;
    const asked = { session: session.id, epoch: null, request: { ...request, messages }, key: null, traceparent: null };
    return steps.step({ ...asked, ...rest }, actor, waiting);
  };
  const transcript = async () => {
    const held = await look(substrate, session.id);
    return substrate.read((db) => readTranscript(db, held));
  };
  return {
    ...seed,
    ...rig,
    steps,
    step,
    transcript,
    ann,
    bob,
    id: session.id,
    [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose](),
  };
}

/** A script whose answers wait until they are let go. */
function gated(text = 'Done.') {
  const gate = Promise.withResolvers<void>();
  const script: Script = async function* (request, context) {
    await gate.promise;
    yield* says(text)(request, context);
  };
  return { script, release: gate.resolve };
}

const texts = (messages: readonly Message[]): string[] =>
  messages.map(
    ({ role, parts }) => `${role}: ${parts.map((part) => (part.type === 'text' ? part.text : part.type)).join('')}`,
  );

test('asks about the whole transcript, stores the answer, and brings its tool calls to the caller', async () => {
  using dir = scratch();
  const asked: ModelRequest[] = [];
  const wants: Script = async function* (request) {
    asked.push(request);
    yield { type: 'accepted' };
    if (asked.length === 1) {
      const call = { type: 'tool_call', id: 'c1', name: 'paint', arguments: '{}' } as const;
      yield { type: 'tool_call', call, providerId: null };
    } else yield { type: 'text', text: 'Painted.' };
    yield { type: 'end', stop: 'end', usage: null };
  };
  await using seed = await scene(dir, wants);
  const first = await seed.step(seed.ann, [say('paint it')]);
  expect(first.call.outcome.status).toBe('complete');
  expect(first).toMatchObject({ joined: false, session: { length: 2, stepCall: null } });
  const second = await seed.step(seed.ann, [answers('c1')]);
  expect(second.call.text).toBe('Painted.');
  expect(texts(await seed.transcript())).toEqual([
    'user: paint it',
    'assistant: tool_call',
    'tool: tool_result',
    'assistant: Painted.',
  ]);
  expect(asked.map(({ messages }) => messages.length)).toEqual([1, 3]);
});

test('goes on when nobody waits, and whoever asks again joins it', async () => {
  using dir = scratch();
  const { script, release } = gated();
  await using seed = await scene(dir, script);
  const first = await seed.step(seed.ann, [say('go')], { waiting: NOW });
  expect(first.call.outcome.status).toBe('running');
  expect(await codeOf(append(seed.substrate, seed.ann, seed.id, [say('x')]))).toBe('conflict');
  const joined = seed.step(seed.ann, [say('go')]);
  release();
  expect(await joined).toMatchObject({ joined: true, call: { id: first.call.id, text: 'Done.' } });
  expect(texts(await seed.transcript())).toEqual(['user: go', 'assistant: Done.']);
  expect(seed.calls).toHaveLength(1);
});

test('is stored also when nobody ever asks again', async () => {
  using dir = scratch();
  const { script, release } = gated();
  await using seed = await scene(dir, script);
  await seed.step(seed.ann, [say('go')], { waiting: NOW });
  release();
  await until(async () => (await look(seed.substrate, seed.id)).length === 2, 'the answer to be stored');
});

test('the same key is the same step, before and after', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const both = await Promise.all([
    seed.step(seed.ann, [say('go')], { key: 'k' }),
    seed.step(seed.ann, [say('go')], { key: 'k' }),
  ]);
  const later = await seed.step(seed.ann, [say('go')], { key: 'k' });
  expect(new Set([...both, later].map(({ call }) => call.id)).size).toBe(1);
  expect(later.joined).toBe(true);
  expect(seed.calls).toHaveLength(1);
  expect(await codeOf(seed.step(seed.ann, [say('other')], { key: 'k' }))).toBe('conflict');
});

test('a refused step leaves the transcript to go on from, and is no step', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'), 1);
  const refused = await seed.step(seed.ann, [say('go')], { key: 'k' });
  expect(refused.call.outcome).toMatchObject({ status: 'refused', code: 'over_ceiling' });
  expect(refused.session).toMatchObject({ length: 1, stepCall: null });
  expect(seed.calls).toHaveLength(0);
  // The same key tries again, and adds nothing twice.
  expect((await seed.step(seed.ann, [say('go')], { key: 'k' })).session.length).toBe(1);
});

test('after its deadline no model is asked in a session’s name; a deadline behind is none', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const deadline = seed.sources.time + 60_000;
  const { id } = await open(seed.substrate, seed.ann, { deadline });
  const ask = async (): Promise<string | null> => {
    const { outcome } = await seed.router.complete(asks('Hi', { session: id }), asker({}, seed.ann), PATIENT);
    return outcome.code;
  };
  expect(await ask()).toBeNull();
  seed.sources.time = deadline;
  expect(await ask()).toBe('deadline_passed');
  expect(seed.calls).toHaveLength(1);
  expect(await codeOf(open(seed.substrate, seed.ann, { deadline }))).toBe('invalid_input');
});

test('the session’s budget holds in the admitting transaction, however many ask at once', async () => {
  using dir = scratch();
  const { script, release } = gated();
  // Each call may cost some two thousand micro-dollars: the first is cut to what there is, and holds it all.
  await using seed = await scene(dir, script, 1_000);
  const ask = () => seed.router.complete(asks('Hi', { session: seed.id }), asker({}, seed.ann), PATIENT);
  const all = Array.from({ length: 10 }, ask);
  await until(
    async () => (await allReceipts(seed.substrate)).filter(({ code }) => code === 'over_ceiling').length === 9,
    'nine refusals',
  );
  release();
  const ended = await Promise.all(all);
  expect(ended.map(({ outcome }) => outcome.status).toSorted()).toEqual([
    'complete',
    ...Array<string>(9).fill('refused'),
  ]);
  expect(await used(seed.substrate, seed.id)).toBe(20);
  // route_complete charges the session and adds nothing to it.
  expect((await look(seed.substrate, seed.id)).length).toBe(0);
  // The control: without the session the money is there.
  const free = await seed.router.complete(asks('Hi'), asker({}, seed.ann), PATIENT);
  expect(free.outcome.status).toBe('complete');
});

test('[LOCK-HANDOFF-1] only its holder asks in a session’s name, and only if that was handed over', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const { substrate, ann, bob, id } = seed;
  const ask = async (actor: Actor) =>
    (await seed.router.complete(asks('Hi', { session: id }), asker({}, actor), PATIENT)).outcome.code;
  expect(await ask(bob)).toBe('not_found');
  const { token } = await offer(substrate, ann, id, { scopes: ['session.use'] });
  await accept(substrate, bob, token);
  expect(await ask(ann)).toBe('superseded');
  expect(await ask(bob)).toBe('forbidden');
  expect(seed.calls).toHaveLength(0);
});

test('[LOCK-HANDOFF-1] [LOCK-HANDOFF-2] a step under way at a handoff is the new holder’s: added once, and not by the old one', async () => {
  using dir = scratch();
  const { script, release } = gated();
  await using seed = await scene(dir, script);
  const { substrate, ann, bob } = seed;
  const running = seed.step(ann, [say('go')]);
  await until(() => seed.calls.length === 1, 'the model to be asked');
  await latest(substrate, bob, { goneSince: () => 0 });
  const joined = seed.step(bob);
  release();
  expect(await codeOf(running)).toBe('superseded');
  expect(await joined).toMatchObject({ joined: true, session: { length: 2, epoch: 2 }, call: { text: 'Done.' } });
  expect(texts(await seed.transcript())).toEqual(['user: go', 'assistant: Done.']);
  expect(seed.calls).toHaveLength(1);
});

test('a crash before the call began: the next step makes it, with the messages that are there', async () => {
  using dir = scratch();
  await using seed = await scene(dir, says('Done.'));
  const { substrate, ann, id } = seed;
  const lost = { actor: ann, epoch: null, messages: [say('go')], key: 'k', call: 'never', instead: null };
  await beginStep(substrate, id, lost);
  const after = await seed.step(ann, [say('go')], { key: 'k' });
  expect(after).toMatchObject({ joined: true, call: { outcome: { status: 'complete' } } });
  expect(texts(await seed.transcript())).toEqual(['user: go', 'assistant: Done.']);
});

test('a crash in the middle of the call: told as in doubt, once, and asked anew only by the next step', async () => {
  using dir = scratch();
  const { script } = gated();
  await using seed = await scene(dir, script);
  const { substrate, ann, id } = seed;
  await seed.step(ann, [say('go')], { waiting: NOW });
  await until(() => seed.calls.length === 1, 'the model to be asked');
  // As the next start finds it.
  await doubtCalls(substrate);
  const rig = routerOf(substrate, { scripts: { 'a/m': says('Later.') } });
  const steps = new Steps({ substrate, router: rig.router, onDefect: () => {} });
  const { session: _, ...request } = asks('');
  const again = { session: id, epoch: null, request: { ...request, messages: [] }, key: null, traceparent: null };
  const told = await steps.step(again, ann, PATIENT);
  expect(told.call.outcome).toMatchObject({ status: 'in_doubt', code: 'in_doubt' });
  expect(rig.calls).toHaveLength(0);
  expect((await steps.step(again, ann, PATIENT)).call.text).toBe('Later.');
  expect(texts(await seed.transcript())).toEqual(['user: go', 'assistant: Later.']);
});
