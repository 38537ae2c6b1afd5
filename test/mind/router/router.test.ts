import { join } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { SeedError } from '../../../src/errors.ts';
import { createDrainDispatch, ON_DEMAND } from '../../../src/mind/router/dispatch.ts';
import type { FaultKind, ProviderEvent } from '../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../src/mind/router/provider.ts';
import type { Router } from '../../../src/mind/router/router.ts';
import { RunningCall } from '../../../src/mind/router/router.ts';
import type { Receipt } from '../../../src/formats/receipt.ts';
import { doubtCalls } from '../../../src/substrate/calls.ts';
import { settleLeftovers } from '../../../src/substrate/ledger/leftovers.ts';
import { settleOpenIntents } from '../../../src/substrate/receipts/open-intents.ts';
import { eraseContent, getContent } from '../../../src/substrate/content.ts';
import { OWNER, SEED } from '../../../src/substrate/actor.ts';
import { writeSwitch } from '../../../src/substrate/switches.ts';
import type { ReadHandle, Substrate } from '../../../src/substrate/substrate.ts';
import { traceReceipt } from '../../../src/substrate/trace.ts';
import { until } from '../../support/child.ts';
import { allReceipts, codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { watched } from '../../support/watched.ts';
import type { Rig, RigOptions, Script } from './rig.ts';
import { applyPolicy, asker, asks, fails, hangs, PATIENT, POLICY, routerOf, says } from './rig.ts';

async function open(at: Parameters<typeof openSeed>[0], options: RigOptions & { policy?: string }) {
  const seed = await openSeed(at);
  await applyPolicy(seed.substrate, options.policy ?? POLICY);
  return { ...seed, ...routerOf(seed.substrate, options), [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

async function routeReceipts(substrate: Substrate): Promise<Receipt[]> {
  return (await allReceipts(substrate)).filter(({ action }) => action === 'route.attempt');
}

async function moneyOf(substrate: Substrate): Promise<{ spent: number; held: number }> {
  const row = await substrate.read((db) =>
    db.get<{ spent: number; held: number }>(
      `SELECT coalesce(sum(cost_micro_usd), 0) AS spent,
        coalesce(sum(bound_micro_usd) FILTER (WHERE cost_micro_usd IS NULL), 0) AS held FROM substrate_ledger`,
    ),
  );
  return row ?? { spent: -1, held: -1 };
}

const text = (value: string): ProviderEvent => ({ type: 'text', text: value });
const fault = (kind: FaultKind, facts: Partial<{ retryAfterMs: number; mayBeBilled: boolean }> = {}): ProviderFault =>
  new ProviderFault(kind, `It was ${kind}.`, { mayBeBilled: true, ...facts });

test('[LOCK-RUNTIME-4] an answer that cannot be put on record is a failed attempt, and no money stays held', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Hello.') } });
  const nothing = async (): Promise<void> => {};
  const end = async (): Promise<never> => {
    throw new Error('The session cannot take it.');
  };
  const find = (): Promise<never> => Promise.reject(new Error('There is no session.'));
  const turn = { text: '{}', find, begin: nothing, end };
  const { outcome, message } = await seed.router.complete(asks('Hi'), asker({ turn }), PATIENT);
  expect(outcome).toMatchObject({ status: 'incomplete', code: 'provider_failed' });
  // Only the session could not take it: what was given out is on record.
  expect(message?.parts).toEqual([{ type: 'text', text: 'Hello.' }]);
  const { spent, held } = await moneyOf(seed.substrate);
  expect({ held, isBooked: spent === outcome.cost_micro_usd && spent > 0 }).toEqual({ held: 0, isBooked: true });
  expect(seed.defects).toHaveLength(1);
  const [intent, lost, booked] = await routeReceipts(seed.substrate);
  expect([intent?.outcome, lost?.outcome, lost?.of]).toEqual(['intent', 'failed', null]);
  expect(booked).toMatchObject({
    outcome: 'incomplete',
    code: 'stream_error',
    of: intent?.seq,
    detail: { model_returned: 'the-one-that-answered' },
  });
  expect(booked?.output).toMatch(/^[0-9a-f]{64}$/);
  // The control: what can be kept is.
  expect((await seed.router.complete(asks('Hi'), asker(), PATIENT)).outcome.status).toBe('complete');
});

test('[LOCK-RUNTIME-4] an answer that no receipt can tell of is booked without it', async () => {
  using dir = scratch();
  const script: Script = async function* () {
    // Half a character, which has no canonical form.
    yield { type: 'model', model: 'half \ud83d' };
    yield text('Hello.');
    yield { type: 'end', stop: 'end', usage: null };
  };
  await using seed = await open(dir, { scripts: { 'a/m': script } });
  const { outcome, message } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect([outcome.status, message]).toEqual(['failed', null]);
  expect((await moneyOf(seed.substrate)).held).toBe(0);
  const booked = (await routeReceipts(seed.substrate)).at(-1);
  expect(booked).toMatchObject({ outcome: 'failed', output: null, detail: { model_returned: 'half \ufffd' } });
});

test('[LOCK-RUNTIME-4] an answer: intent before, outcome after, both with hashes, models, policy and price', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Hello.') } });
  const { outcome, text: said, id } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(said).toBe('Hello.');
  expect(outcome).toMatchObject({
    status: 'complete',
    stop: 'end',
    target: 'a',
    model_requested: 'm',
    model_returned: 'the-one-that-answered',
    tier: 2,
    // 10 in at $1 and 5 out at $2 for a million, each rounded up: 10 + 10.
    cost_micro_usd: 20,
    usage: { input_tokens: 10, output_tokens: 5 },
  });
  const [intent, ended] = await routeReceipts(seed.substrate);
  expect(intent).toMatchObject({ outcome: 'intent', subject: { type: 'call', id }, actor: { id: 'cursor' } });
  expect(intent?.detail).toMatchObject({ target: 'a', model: 'm', tier: 2, policy: '1', role: 'worker', attempt: 1 });
  expect(ended).toMatchObject({ outcome: 'ok', of: intent?.seq, input: intent?.input });
  expect(ended?.detail).toMatchObject({ model_returned: 'the-one-that-answered', cost_micro_usd: 20, policy: '1' });
  expect(ended?.detail['price']).toBe(intent?.detail['price']);
  const kept = await seed.substrate.read((db) => getContent(db, ended?.output ?? ''));
  expect(JSON.parse(Buffer.from(kept ?? []).toString())).toEqual({
    role: 'assistant',
    parts: [{ type: 'text', text: 'Hello.' }],
  });
  expect(await moneyOf(seed.substrate)).toEqual({ spent: 20, held: 0 });
});

const FAULTS: readonly FaultKind[] = [
  'rate_limited',
  'overloaded',
  'server_error',
  'unreachable',
  'timeout',
  'cut',
  'bad_chunk',
  'stream_error',
  'rejected',
  'unauthorized',
  'truncated',
];

test.each(FAULTS)('[LOCK-RUNTIME-4] after %s the next candidate answers, and both hops are on record', async (kind) => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': fails(fault(kind), [text('Half')]), 'b/m': says('Whole.') } });
  const report = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(report.text).toBe('Whole.');
  expect(report.outcome.attempts.map(({ target, outcome }) => [target, outcome])).toEqual([
    ['a', expect.stringMatching(/^(failed|incomplete)$/)],
    ['b', 'ok'],
  ]);
  const receipts = await routeReceipts(seed.substrate);
  expect(receipts.map(({ outcome }) => outcome)).toEqual([
    'intent',
    expect.stringMatching(/^(failed|incomplete)$/),
    'intent',
    'ok',
  ]);
  expect(receipts[1]).toMatchObject({ of: receipts[0]?.seq, code: kind });
  // What was given out before the cut has its hash on record.
  expect(receipts[1]?.output).toMatch(/^[0-9a-f]{64}$/);
  expect((await moneyOf(seed.substrate)).held).toBe(0);
  expect(seed.calls.map(({ target }) => target)).toEqual(['a', 'b']);
});

test('[LOCK-RUNTIME-3] a failed attempt costs its bound where the provider may charge, and nothing where not', async () => {
  using dir = scratch();
  await using seed = await open(dir, {
    scripts: { 'a/m': fails(fault('server_error', { mayBeBilled: false })), 'b/m': fails(fault('cut')) },
  });
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  const [first, second] = outcome.attempts;
  expect(first?.cost_micro_usd).toBe(0);
  const [, , intent] = await routeReceipts(seed.substrate);
  expect(second?.cost_micro_usd).toBe(intent?.detail['bound_micro_usd']);
  expect(outcome).toMatchObject({ status: 'failed', code: 'provider_failed', cost_micro_usd: second?.cost_micro_usd });
});

test('[LOCK-RUNTIME-4] a cut with nobody left is incomplete, never a clean end', async () => {
  using dir = scratch();
  await using seed = await open(dir, {
    scripts: { 'a/m': fails(fault('overloaded')), 'b/m': fails(fault('cut'), [text('Half an ans')]) },
  });
  const report = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(report).toMatchObject({ text: 'Half an ans', outcome: { status: 'incomplete', stop: null } });
  expect((await routeReceipts(seed.substrate)).at(-1)).toMatchObject({ outcome: 'incomplete', code: 'cut' });
});

test('a stream that ends without its terminal marker is a cut', async () => {
  using dir = scratch();
  await using seed = await open(dir, {
    scripts: {
      'a/m': async function* () {
        yield text('Looks whole.');
      },
      'b/m': says('Is whole.'),
    },
  });
  const report = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(report.text).toBe('Is whole.');
  expect(report.outcome.attempts[0]).toMatchObject({ outcome: 'incomplete', code: 'cut' });
});

test.each([
  ['before the first token', []],
  ['between tokens', [text('One ')]],
])('a stall %s ends at its time and fails over', async (_name, before) => {
  using dir = scratch();
  const policy = POLICY.replace('first_token: 2000, idle: 2000', 'first_token: 30, idle: 30');
  await using seed = await open(dir, { policy, scripts: { 'a/m': hangs(before), 'b/m': says('Here.') } });
  const report = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(report.text).toBe('Here.');
  expect(report.outcome.attempts[0]).toMatchObject({ code: 'timeout' });
});

test('a tool call is given out once and whole: a cut after it had begun starts the turn again', async () => {
  using dir = scratch();
  const call: ProviderEvent = {
    type: 'tool_call',
    providerId: 'x',
    call: { type: 'tool_call', id: 'c1', name: 'look', arguments: '{"at":"it"}' },
  };
  await using seed = await open(dir, {
    scripts: {
      'a/m': fails(fault('cut'), [{ type: 'tool_call_begun' }, call]),
      'b/m': async function* () {
        yield call;
        yield { type: 'end', stop: 'tool_calls', usage: null };
      },
    },
  });
  const { outcome, message } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'complete', stop: 'tool_calls' });
  expect(message?.parts).toEqual([call.type === 'tool_call' ? call.call : null]);
});

test('[LOCK-RUNTIME-2] an unknown role is refused with one receipt, and nobody is asked', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: {} });
  const { outcome } = await seed.router.complete(asks('Hi', { role: 'nobody' }), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'refused', code: 'no_route' });
  expect(await routeReceipts(seed.substrate)).toMatchObject([{ outcome: 'refused', code: 'no_route' }]);
  expect(seed.calls).toEqual([]);
});

test('[LOCK-RUNTIME-4] an edit that slips in before the admission gets its receipt first, and the call goes by it', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Old.'), 'b/m': says('New.') } });
  const outside = new BetterSqlite(join(seed.home, 'seed.db'));
  // The first read is the look for edits; the edit comes right after it.
  const read = seed.substrate.read.bind(seed.substrate);
  let edited = false;
  seed.substrate.read = async (fn) => {
    const value = await read(fn);
    if (!edited) outside.exec("DELETE FROM substrate_routing_config WHERE target = 'a' AND model = 'm'");
    edited = true;
    return value;
  };
  const { text: said } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  outside.close();
  expect(said).toBe('New.');
  const actions = (await allReceipts(seed.substrate))
    .slice(-4)
    .map(({ action, outcome, code }) => [action, outcome, code]);
  expect(actions).toEqual([
    ['route.attempt', 'refused', 'policy_changed'],
    ['policy.external_edit', 'ok', null],
    ['route.attempt', 'intent', null],
    ['route.attempt', 'ok', null],
  ]);
});

const TIGHT = POLICY.replace('usd: "1.00"', 'usd: "0.000001"');

test('[LOCK-RUNTIME-3] over the ceiling: stop, one receipt with the figures, and nobody is asked', async () => {
  using dir = scratch();
  await using seed = await open(dir, { policy: TIGHT, scripts: {} });
  const { outcome } = await seed.router.complete(asks('Hi', { labels: { customer: 'acme' } }), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'refused', code: 'over_ceiling' });
  expect(outcome.retry_after_s).toBeGreaterThan(0);
  expect(outcome.ceiling).toEqual({
    name: 'seed/day',
    spent_micro_usd: 0,
    held_micro_usd: 0,
    limit_micro_usd: 1,
  });
  const receipts = await routeReceipts(seed.substrate);
  expect(receipts).toHaveLength(1);
  expect(receipts[0]).toMatchObject({ outcome: 'refused', code: 'over_ceiling' });
  expect(receipts[0]?.detail).toMatchObject({
    ceiling: 'seed/day',
    scope: 'seed',
    limit_micro_usd: 1,
    spent_micro_usd: 0,
    held_micro_usd: 0,
    bound_micro_usd: expect.any(Number) as number,
    // As an intent would say it: by which policy, at which price, for whom.
    policy: '1',
    price: expect.stringMatching(/^owner/) as string,
    labels: ['customer=acme'],
  });
  expect(seed.calls).toEqual([]);
});

test('[LOCK-RUNTIME-3] over the ceiling with on_ceiling: next, a free candidate answers', async () => {
  using dir = scratch();
  const policy = TIGHT.replace('min_output_tokens: 10', 'min_output_tokens: 10\n    on_ceiling: next').replace(
    '{ target: b, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }',
    '{ target: b, model: m, input_usd_per_mtok: "0", output_usd_per_mtok: "0" }',
  );
  await using seed = await open(dir, { policy, scripts: { 'b/m': says('Free.') } });
  const report = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(report.text).toBe('Free.');
  expect(report.outcome.attempts.map(({ outcome, code }) => [outcome, code])).toEqual([
    ['refused', 'over_ceiling'],
    ['ok', null],
  ]);
});

test('while the seed is halted the owner is told so once, by one receipt, and nobody is asked', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Hello.') } });
  const halt = (on: boolean) =>
    seed.substrate.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', on));
  await halt(true);
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'refused', code: 'halted', attempts: [], cost_micro_usd: 0 });
  expect(outcome.hint).toContain('seed resume');
  expect((await routeReceipts(seed.substrate)).map(({ outcome: ended, code }) => [ended, code])).toEqual([
    ['refused', 'halted'],
  ]);
  expect(seed.calls).toEqual([]);
  // The control.
  await halt(false);
  expect((await seed.router.complete(asks('Hi'), asker(), PATIENT)).outcome.status).toBe('complete');
});

test('a missing price skips the candidate, says so, and with no other one nobody is asked', async () => {
  using dir = scratch();
  const policy = POLICY.replace(/ {2}- \{ target: [ab], model: m, input.*\n/g, '');
  await using seed = await open(dir, { policy, scripts: {} });
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'refused', code: 'no_candidate' });
  expect(outcome.attempts.map(({ code }) => code)).toEqual(['no_price', 'no_price']);
  expect(await routeReceipts(seed.substrate)).toHaveLength(1);
  expect(seed.calls).toEqual([]);
});

test('[LOCK-RUNTIME-5] tier 1 is out of reach on demand, whatever a caller says, and in reach of the drain', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/big': says('Deep.') } });
  const work = asks('Think', { role: 'synthesizer' });
  for (const dispatch of [ON_DEMAND, { kind: 'cron' as const }, structuredClone(createDrainDispatch())]) {
    const { outcome } = await seed.router.complete(work, asker({ dispatch }), PATIENT);
    expect(outcome).toMatchObject({ status: 'refused', code: 'no_route' });
  }
  const { id } = await seed.router.enqueue(work, asker());
  expect((await seed.router.result(id, asker().actor, PATIENT)).outcome.status).toBe('queued');
  const drain = { limit: 10, signal: PATIENT.signal, onCall: () => {} };
  expect((await seed.router.drain(ON_DEMAND, drain)).map(({ outcome }) => outcome.code)).toEqual(['no_route']);
  expect(seed.calls).toEqual([]);
  const again = await seed.router.enqueue(work, asker());
  const [report] = await seed.router.drain(createDrainDispatch(), drain);
  expect(report).toMatchObject({ id: again.id, text: 'Deep.', outcome: { tier: 1, status: 'complete' } });
});

test('a commit that was in doubt and holds is gone on with: nothing stays held', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Here.') } });
  const operate = seed.substrate.operate.bind(seed.substrate);
  let doubts = 0;
  // What the writer answers when COMMIT failed and the head read again shows that it was kept.
  seed.substrate.operate = async (options, fn) => {
    const done = await operate(options, fn);
    if (options.action !== 'route.attempt' || doubts++ >= 2) return done;
    throw new SeedError('commit_unknown', 'The commit failed.', { hint: '', data: { holds: 'yes' } });
  };
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome).toMatchObject({ status: 'complete', cost_micro_usd: 20 });
  expect(doubts).toBe(2);
  expect(await moneyOf(seed.substrate)).toEqual({ spent: 20, held: 0 });
  expect(seed.calls).toHaveLength(1);
});

test('an idempotency key: one chain of calls, the same answer, another request is a conflict', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Once.') } });
  const keyed = asker({ idempotencyKey: 'k' });
  const both = await Promise.all([1, 2].map(() => seed.router.complete(asks('Hi'), keyed, PATIENT)));
  const later = await seed.router.complete(asks('Hi'), keyed, PATIENT);
  expect(new Set([...both, later].map(({ id }) => id)).size).toBe(1);
  expect(later).toEqual(both[0]);
  expect(seed.calls).toHaveLength(1);
  expect(await codeOf(seed.router.complete(asks('Ho'), keyed, PATIENT))).toBe('conflict');
  const input = (await routeReceipts(seed.substrate))[0]?.input ?? '';
  await seed.substrate.maintain((tx) => eraseContent(tx, [input]));
  expect(await codeOf(seed.router.complete(asks('Hi'), keyed, PATIENT))).toBe('content_erased');
});

test('work left for the drain twice under one key waits there once; another request under it is a conflict', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/big': says('Deep.') } });
  const [work, keyed] = [asks('Think', { role: 'synthesizer' }), asker({ idempotencyKey: 'k' })];
  const first = await seed.router.enqueue(work, keyed);
  expect(await seed.router.enqueue(work, keyed)).toMatchObject({ id: first.id, waiting: 1 });
  expect(await codeOf(seed.router.enqueue(asks('Else', { role: 'synthesizer' }), keyed))).toBe('conflict');
  const drain = { limit: 10, signal: PATIENT.signal, onCall: () => {} };
  expect(await seed.router.drain(createDrainDispatch(), drain)).toMatchObject([{ id: first.id, text: 'Deep.' }]);
  expect(await seed.router.enqueue(work, keyed)).toMatchObject({ id: first.id, waiting: 0 });
  expect(seed.calls).toHaveLength(1);
});

test('drains that come at once do each piece of work once', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/big': says('Deep.') } });
  for (const what of ['One', 'Two', 'Three']) await seed.router.enqueue(asks(what, { role: 'synthesizer' }), asker());
  const drain = { limit: 10, signal: PATIENT.signal, onCall: () => {} };
  const reports = (await Promise.all([1, 2, 3].map(() => seed.router.drain(createDrainDispatch(), drain)))).flat();
  expect(reports.map(({ outcome }) => outcome.status)).toEqual(['complete', 'complete', 'complete']);
  for (const { id } of reports) {
    expect((await seed.router.result(id, asker().actor, PATIENT)).outcome.status).toBe('complete');
  }
  expect(seed.calls).toHaveLength(3);
  expect(seed.defects).toEqual([]);
});

test('work that waits for the drain can be cancelled, and is then not done, whoever comes first', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/big': says('Deep.') } });
  const work = asks('Think', { role: 'synthesizer' });
  const { id } = await seed.router.enqueue(work, asker());
  const stranger = { ...asker().actor, id: 'other', grant: 'g-other' };
  expect(await codeOf(seed.router.result(id, stranger, { ...PATIENT, cancel: true }))).toBe('not_found');
  const cancelled = await seed.router.result(id, asker().actor, { ...PATIENT, cancel: true });
  expect(cancelled).toMatchObject({ id, outcome: { status: 'refused', code: 'interrupted' } });
  const drain = { limit: 10, signal: PATIENT.signal, onCall: () => {} };
  expect(await seed.router.drain(createDrainDispatch(), drain)).toEqual([]);
  expect((await allReceipts(seed.substrate)).at(-1)).toMatchObject({
    action: 'route.cancel',
    outcome: 'ok',
    subject: { type: 'call', id },
  });
  // At the same moment: it is either done or cancelled, and what is said of it afterwards is the same.
  const second = await seed.router.enqueue(work, asker());
  const [, told] = await Promise.all([
    seed.router.drain(createDrainDispatch(), drain),
    seed.router.result(second.id, asker().actor, { ...PATIENT, cancel: true }),
  ]);
  const later = await seed.router.result(second.id, asker().actor, PATIENT);
  expect(later.outcome.code).toBe(told.outcome.code);
  expect((await moneyOf(seed.substrate)).held).toBe(0);
  expect(seed.defects).toEqual([]);
});

test('a key that another call took between the look and the admission is a conflict, and nobody is asked', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Once.') } });
  const work = asks('Think', { role: 'synthesizer' });
  const keyed = asker({ idempotencyKey: 'k' });
  // The first read is the look for the key; the other call comes right after it.
  const read = seed.substrate.read.bind(seed.substrate);
  let taken = false;
  seed.substrate.read = async (fn) => {
    const value = await read(fn);
    if (!taken) {
      taken = true;
      await seed.router.enqueue(work, keyed);
    }
    return value;
  };
  expect(await codeOf(seed.router.complete(asks('Hi'), keyed, PATIENT))).toBe('conflict');
  expect(seed.calls).toEqual([]);
  expect(await moneyOf(seed.substrate)).toEqual({ spent: 0, held: 0 });
});

test('a key belongs to its grant', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': says('Yours.') } });
  const mine = await seed.router.complete(asks('Hi'), asker({ idempotencyKey: 'k' }), PATIENT);
  const stranger = { ...asker().actor, id: 'other', grant: 'g-other' };
  expect(await codeOf(seed.router.result(mine.id, stranger, PATIENT))).toBe('not_found');
});

/** A call that is under way, with its first words said. */
async function underWay(router: Router, options = asker()): Promise<RunningCall> {
  const started = await router.start(asks('Hi'), options);
  if (!(started instanceof RunningCall)) throw new Error('It has ended already.');
  await new Promise<void>((resolve) => {
    const stop = started.listen(() => {
      stop();
      resolve();
    });
  });
  return started;
}

test('whoever stops waiting gets the id, and the work goes on', async () => {
  using dir = scratch();
  const { promise, resolve } = Promise.withResolvers<void>();
  await using seed = await open(dir, {
    scripts: {
      'a/m': async function* () {
        yield text('So far');
        await promise;
        yield text(', so good.');
        yield { type: 'end', stop: 'end', usage: null };
      },
    },
  });
  const call = await underWay(seed.router);
  const waiting = { waitMs: 0, signal: PATIENT.signal };
  expect(await seed.router.result(call.id, asker().actor, waiting)).toMatchObject({
    text: 'So far',
    outcome: { status: 'running' },
  });
  resolve();
  expect(await seed.router.result(call.id, asker().actor, PATIENT)).toMatchObject({
    text: 'So far, so good.',
    outcome: { status: 'complete' },
  });
});

test('a cancelled call is settled and closed', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  const call = await underWay(seed.router);
  const report = await seed.router.result(call.id, asker().actor, { ...PATIENT, cancel: true });
  expect(report.outcome).toMatchObject({ status: 'incomplete', code: 'interrupted' });
  // Nobody else is asked for what nobody wants.
  expect(seed.calls).toHaveLength(1);
  expect((await moneyOf(seed.substrate)).held).toBe(0);
});

test('[LOCK-MEMBRANE-2] removing a grant cancels its work, which is settled', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  await seed.substrate.operate({ action: 'key.issue', actor: SEED }, async (op) => {
    await op.run(
      `INSERT INTO substrate_grants (id, name, door, kind, scopes, surface, created_at)
        VALUES ('g1', 'helper', 'http', 'helper', '[]', 'daily', 0)`,
    );
  });
  const call = await underWay(seed.router, asker({}, { ...asker().actor, id: 'helper', grant: 'g1' }));
  await seed.substrate.operate({ action: 'key.revoke', actor: SEED }, async (op) => {
    await op.run("DELETE FROM substrate_grants WHERE id = 'g1'");
  });
  for (const cut of seed.work.get('g1') ?? []) cut();
  const { outcome } = await call.done;
  expect(outcome.status).toBe('incomplete');
  expect(await moneyOf(seed.substrate)).toMatchObject({ held: 0 });
  expect(seed.work.get('g1')?.size).toBe(0);
});

test('[LOCK-RUNTIME-3] what a key issued under another spends counts for the one at the top: no second purse by a second name', async () => {
  using dir = scratch();
  const policy = POLICY.replace(
    '  - { scope: seed, window: day, usd: "1.00" }',
    '  - { scope: seed, window: day, usd: "1.00" }\n  - { scope: "agent:top", window: day, usd: "0.000020" }',
  ).replace('max_output_tokens: 1000\n    min_output_tokens: 10', 'max_output_tokens: 1\n    min_output_tokens: 1');
  await using seed = await open(dir, { policy, scripts: { 'a/m': says('Paid.') } });
  await seed.substrate.operate({ action: 'key.issue', actor: SEED }, async (op) => {
    for (const [id, parent] of [
      ['top', null],
      ['child', 'top'],
      ['grandchild', 'child'],
      ['stranger', null],
    ] as const) {
      await op.run(
        `INSERT INTO substrate_grants (id, name, door, kind, scopes, surface, parent, created_at)
          VALUES (?, ?, 'http', 'helper', '[]', 'daily', ?, 0)`,
        id,
        id,
        parent,
      );
    }
  });
  const ask = async (id: string): Promise<string> => {
    const as = asker({}, { ...asker().actor, id, grant: id });
    return (await seed.router.complete(asks('Hi'), as, PATIENT)).outcome.code ?? 'ok';
  };
  expect(await ask('grandchild')).toBe('over_ceiling');
  // The control: the same call by somebody else is paid.
  expect(await ask('stranger')).toBe('ok');
});

test('a target that asks for a pause is not asked until it is over', async () => {
  using dir = scratch();
  await using seed = await open(dir, {
    scripts: { 'a/m': fails(fault('rate_limited', { retryAfterMs: 60_000 })), 'b/m': says('Here.') },
  });
  const targets = async (): Promise<(string | undefined)[]> => {
    const before = seed.calls.length;
    await seed.router.complete(asks('Hi'), asker(), PATIENT);
    return seed.calls.slice(before).map(({ target }) => target);
  };
  expect(await targets()).toEqual(['a', 'b']);
  expect(await targets()).toEqual(['b']);
  seed.sources.time += 60_001;
  expect(await targets()).toEqual(['a', 'b']);
});

test('[LOCK-RUNTIME-3] a report above the bound is booked as it is, told, and benches the model until the policy changes', async () => {
  using dir = scratch();
  const usage = { input: 400_000, output: 1, cachedInput: 0, cacheWrite: 0 };
  await using seed = await open(dir, { scripts: { 'a/m': says('Dear.', usage), 'b/m': says('Cheap.') } });
  const { outcome } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  expect(outcome.cost_micro_usd).toBe(400_002);
  expect((await routeReceipts(seed.substrate)).at(-1)).toMatchObject({ outcome: 'ok', code: 'bound_exceeded' });
  expect((await seed.router.complete(asks('Hi'), asker(), PATIENT)).text).toBe('Cheap.');
  await applyPolicy(seed.substrate, POLICY.replace('usd: "1.00"', 'usd: "2.00"'));
  expect((await seed.router.complete(asks('Hi'), asker(), PATIENT)).text).toBe('Dear.');
});

test('stopping lets go of what runs, settled', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  const call = await underWay(seed.router);
  await seed.router.close(0);
  expect((await call.done).outcome.status).toBe('incomplete');
  expect(await codeOf(seed.router.complete(asks('Hi'), asker(), PATIENT))).toBe('stopping');
  expect((await moneyOf(seed.substrate)).held).toBe(0);
});

test('what an earlier boot left running is in doubt, and its key is never called again by itself', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  const call = await underWay(seed.router, asker({ idempotencyKey: 'k' }));
  expect(await doubtCalls(seed.substrate)).toBe(1);
  const next: Rig = routerOf(seed.substrate, { scripts: {} });
  const report = await next.router.complete(asks('Hi'), asker({ idempotencyKey: 'k' }), PATIENT);
  expect(report).toMatchObject({ id: call.id, outcome: { status: 'in_doubt', code: 'in_doubt' } });
  const { held } = await moneyOf(seed.substrate);
  expect(held).toBeGreaterThan(0);
  expect(report.outcome).toMatchObject({ cost_micro_usd: held, receipt: null, attempts: [{ cost_micro_usd: held }] });
  expect(next.calls).toEqual([]);
  await seed.router.close(0);
});

test('a call that lives for who waits for it ends with the last of them; one that is kept, or was begun otherwise, goes on', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  const why = 'They hung up.';
  /** Whether it has ended, or ends with what is written now. */
  const isOver = async (call: RunningCall): Promise<boolean> => {
    let over = false;
    void call.done.then(() => (over = true));
    for (let nth = 0; nth < 5; nth++)
      await seed.substrate.operate({ action: 'note.put', actor: OWNER }, async () => {});
    return over;
  };
  const own = await underWay(seed.router, asker({ idempotencyKey: 'own' }));
  const [began, joined] = [own.attend(true), own.attend(false)];
  began(why);
  expect(await isOver(own)).toBe(false);
  joined(why);
  expect(await isOver(own)).toBe(true);
  expect((await own.done).outcome).toMatchObject({ status: 'incomplete', attempts: [{ code: 'cancelled' }] });
  const other = await underWay(seed.router, asker({ idempotencyKey: 'other' }));
  other.attend(false)(why);
  const kept = await underWay(seed.router, asker({ idempotencyKey: 'kept' }));
  kept.keep();
  kept.attend(true)(why);
  expect([await isOver(other), await isOver(kept)]).toEqual([false, false]);
  await seed.router.close(0);
});

test('a call in doubt says what the ledger booked for it, and by which receipt', async () => {
  using dir = scratch();
  const scripts = { 'a/m': fails(fault('unreachable', { mayBeBilled: false })), 'b/m': hangs([text('So')]) };
  await using seed = await open(dir, { scripts });
  const call = await underWay(seed.router, asker({ idempotencyKey: 'k' }));
  await until(() => call.partialText() === 'So', 'the second attempt');
  // As at the next start.
  expect(await doubtCalls(seed.substrate)).toBe(1);
  expect(await settleLeftovers(seed.substrate)).toBe(1);
  const next: Rig = routerOf(seed.substrate, { scripts: {} });
  const { outcome } = await next.router.result(call.id, call.asker.actor, PATIENT);
  const { spent } = await moneyOf(seed.substrate);
  expect(spent).toBeGreaterThan(0);
  const { seq: receipt } = (await routeReceipts(seed.substrate)).findLast(({ code }) => code === 'interrupted')!;
  expect(outcome).toMatchObject({ status: 'in_doubt', cost_micro_usd: spent, receipt });
  expect(outcome.attempts).toMatchObject([
    { target: 'a', outcome: 'failed', code: 'unreachable', cost_micro_usd: 0 },
    { target: 'b', outcome: 'incomplete', code: 'interrupted', cost_micro_usd: spent, receipt },
  ]);
  await seed.router.close(0);
});

test('a crash between two attempts leaves no open intent, and the call is in doubt all the same', async () => {
  using dir = scratch();
  const scripts = { 'a/m': fails(fault('unreachable', { mayBeBilled: false })), 'b/m': says('Never asked.') };
  const crash = (point: string): void => {
    if (point === 'route.settled') throw new Error('the process died here');
  };
  await using seed = await open(dir, { scripts, fault: crash });
  const keyed = asker({ idempotencyKey: 'k' });
  await expect(seed.router.complete(asks('Hi'), keyed, PATIENT)).rejects.toThrow('the process died here');
  // Nothing is held and every intent has its outcome: only the mark leads to the call.
  expect(await settleLeftovers(seed.substrate)).toBe(0);
  expect(await settleOpenIntents(seed.substrate)).toBe(0);
  expect(await doubtCalls(seed.substrate)).toBe(1);
  expect(await doubtCalls(seed.substrate)).toBe(0);
  const next: Rig = routerOf(seed.substrate, { scripts: {} });
  const report = await next.router.complete(asks('Hi'), keyed, PATIENT);
  expect(report).toMatchObject({ outcome: { status: 'in_doubt' } });
  expect(next.calls).toEqual([]);
});

test('one grant has so many calls under way and no more, and a place again as soon as one has ended', async () => {
  using dir = scratch();
  const patient = POLICY.replace('first_token: 2000, idle: 2000, total: 5000', 'first_token: 60000, total: 60000');
  const policy = patient.replace('usd: "1.00"', 'usd: "100.00"');
  await using seed = await open(dir, { scripts: { 'a/m': hangs() }, policy });
  const start = (nth: number): Promise<unknown> => seed.router.start(asks('Hi'), asker({ callId: `call-${nth}` }));
  const calls = await Promise.all(Array.from({ length: 500 }, (_, nth) => start(nth)));
  expect(await codeOf(start(500))).toBe('busy');
  const [first] = calls as RunningCall[];
  first?.cancel('It is not wanted any more.');
  await first?.done;
  await start(501);
  expect(await codeOf(start(502))).toBe('busy');
  await seed.router.close(0);
});

test('what has ended is never in doubt, however many attempts it took', async () => {
  using dir = scratch();
  const scripts = { 'a/m': fails(fault('unreachable', { mayBeBilled: false })), 'b/m': says('Whole.') };
  await using seed = await open(dir, { scripts });
  expect((await seed.router.complete(asks('Hi'), asker(), PATIENT)).outcome.attempts).toHaveLength(2);
  expect(await doubtCalls(seed.substrate)).toBe(0);
  expect(await seed.substrate.read((db) => db.all('SELECT id FROM substrate_calls WHERE halfway IS NOT NULL'))).toEqual(
    [],
  );
});

test('[LOCK-RUNTIME-3] money of a call that a crash cut off is found by its open intent, without a look at all', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': hangs([text('So')]) } });
  const call = await underWay(seed.router);
  const { held } = await moneyOf(seed.substrate);
  expect(held).toBeGreaterThan(0);
  const asked: string[] = [];
  const spied = Object.create(seed.substrate, {
    read: {
      value: <T>(fn: (db: ReadHandle) => Promise<T>) =>
        seed.substrate.read((db) => fn(watched(db, (sql) => asked.push(sql)))),
    },
    operate: { value: seed.substrate.operate.bind(seed.substrate) },
  }) as Substrate;
  expect(await settleLeftovers(spied)).toBe(1);
  expect(await moneyOf(seed.substrate)).toEqual({ spent: held, held: 0 });
  // The ledger itself is not gone through: what is held in all is one row.
  expect(asked.filter((sql) => !sql.includes("outcome = 'intent'") && !sql.includes('substrate_spending'))).toEqual([]);
  const plan = explain(seed.home, asked.find((sql) => sql.includes("outcome = 'intent'")) ?? '');
  expect(plan.filter((step) => /^SCAN (?!r\b)/.test(step))).toEqual([]);
  expect(plan.join()).toContain('SEARCH l USING PRIMARY KEY (id>? AND id<?)');
  await seed.router.close(0);
  await call.done.catch(() => {});
});

/** The steps in which SQLite would run a statement of one parameter. */
function explain(home: string, sql: string): string[] {
  const db = new BetterSqlite(join(home, 'seed.db'), { readonly: true });
  try {
    return db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all(1)
      .map((row) => (row as { detail: string }).detail);
  } finally {
    db.close();
  }
}

test('a trace leads from any receipt of a call to all of its steps', async () => {
  using dir = scratch();
  await using seed = await open(dir, { scripts: { 'a/m': fails(fault('cut'), [text('Ha')]), 'b/m': says('Whole.') } });
  const { outcome, id } = await seed.router.complete(asks('Hi'), asker(), PATIENT);
  const steps = await routeReceipts(seed.substrate);
  for (const { seq } of steps) {
    const trace = await seed.substrate.read((db) => traceReceipt(db, seq));
    expect(trace?.call?.id).toBe(id);
    expect(trace?.receipts).toEqual(steps);
  }
  expect(outcome.receipt).toBe(steps.at(-1)?.seq);
});
