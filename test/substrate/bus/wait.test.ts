/** Waiting for messages: woken by what matters, by nothing else, and never left hanging. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SeedError } from '../../../src/errors.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { post } from '../../../src/substrate/bus/post.ts';
import { Serving } from '../../../src/substrate/bus/serve.ts';
import { MailSignals } from '../../../src/substrate/bus/signals.ts';
import { listReceipts } from '../../../src/substrate/receipts/query.ts';
import { systemSources } from '../../../src/substrate/sources.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { writeSwitch } from '../../../src/substrate/switches.ts';
import { until } from '../../support/child.ts';
import type { TestSeed } from '../../support/home.ts';
import { openSeed } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { testSources } from '../../support/sources.ts';
import { ack, get, letIn, nack, NEVER, OWNER, say, texts } from './rig.ts';

let room: Scratch;
let seed: TestSeed;
let bus: Substrate;
let ann: Actor;
let bob: Actor;

const FOREVER_MS = 40_000;

beforeEach(async () => {
  room = scratch();
  // Timers run by the system's clock, so what they wait for must too.
  seed = await openSeed(room, { sources: Object.assign(testSources(), { now: systemSources.now }) });
  bus = seed.substrate;
  ann = await letIn(bus, 'ann');
  bob = await letIn(bus, 'bob');
});

afterEach(async () => {
  await seed[Symbol.asyncDispose]();
  room[Symbol.dispose]();
});

/** The substrate, counting how often it is looked into. */
function counting(substrate: Substrate): { watched: Substrate; looks: () => number } {
  let looks = 0;
  const watched = new Proxy(substrate, {
    get: (target, name) => {
      if (name === 'read' || name === 'maintain' || name === 'operate') looks++;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { watched, looks: () => looks };
}

const waiting = (who: Actor): Promise<void> => until(() => bus.mail.isAwaited(who.grant ?? who.id), 'somebody to wait');

/** They have looked that often, and nothing of a look is under way any more. */
async function settled(looks: () => number, count: number): Promise<void> {
  await until(() => looks() === count, 'a look');
  for (let turn = 0; turn < 20; turn++) await nextTurn();
}

it('an arrival ends a wait; a message for somebody else does not even wake it', async () => {
  const { watched, looks } = counting(bus);
  const got = get(watched, bob, { waitMs: FOREVER_MS });
  await settled(looks, 1);
  await say(bus, bob, 'ann', 'for ann');
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect(looks()).toBe(1);
  await say(bus, ann, 'bob', 'for bob');
  expect(await got).toMatchObject([{ text: 'for bob', lease: 1 }]);
  // It was leased by the commit that sent it.
  expect(looks()).toBe(1);
  expect(bus.mail.isAwaited(bob.grant!)).toBe(false);
});

it('whoever was served has the lease: nobody else is given the message, and it comes again once that lapses', async () => {
  const { watched, looks } = counting(bus);
  const got = get(watched, bob, { waitMs: FOREVER_MS, leaseMs: 30 });
  await settled(looks, 1);
  await say(bus, ann, 'bob', 'x');
  const [first] = await got;
  expect(await get(bus, bob)).toEqual([]);
  const [second] = await get(bus, bob, { waitMs: FOREVER_MS });
  expect(second).toMatchObject({ lease: 2, text: 'x' });
  expect(await ack(bus, bob, [first!])).toEqual(['late']);
  expect(await ack(bus, bob, [second!])).toEqual(['acked']);
});

it('two that are sent at once go to two who wait, and to one who waits one after the other', async () => {
  const { watched, looks } = counting(bus);
  const both = [1, 2].map(() => get(watched, bob, { waitMs: FOREVER_MS }));
  await settled(looks, 2);
  await Promise.all(['a', 'b'].map((text) => say(bus, ann, 'bob', text)));
  expect((await Promise.all(both)).map(([got]) => got?.text ?? '').toSorted()).toEqual(['a', 'b']);
  const one = get(watched, bob, { waitMs: FOREVER_MS });
  await settled(looks, 3);
  await Promise.all(['c', 'd'].map((text) => say(bus, ann, 'bob', text)));
  expect(await one).toMatchObject([{ text: 'c' }]);
  expect(await get(bus, bob)).toMatchObject([{ text: 'd' }]);
});

it('a sending that fails gives nobody anything, and whoever waits goes on waiting', async () => {
  const { watched, looks } = counting(bus);
  const got = get(watched, bob, { waitMs: FOREVER_MS });
  await settled(looks, 1);
  const serving = new Serving(bus.mail);
  const failing = bus.operate({ action: 'bus.send', actor: ann }, async (op) => {
    await post(op, ann, { to: ['bob'], format: 'text', body: Buffer.from('lost') }, bus.sources);
    await serving.lease(op, [bob.grant!]);
    // What comes while it is being served is looked at afterwards.
    bus.mail.freed(bob.grant!);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(looks()).toBe(1);
  serving[Symbol.dispose]();
  await settled(looks, 2);
  await say(bus, ann, 'bob', 'kept');
  expect(await got).toMatchObject([{ text: 'kept', seq: 1, lease: 1 }]);
});

it('a lease that goes wrong undoes the sending: no message is held back that nobody was given', async () => {
  const { watched, looks } = counting(bus);
  const got = get(watched, bob, { waitMs: FOREVER_MS });
  await settled(looks, 1);
  using serving = new Serving(bus.mail);
  const failing = bus.operate({ action: 'bus.send', actor: ann }, async (op) => {
    await post(op, ann, { to: ['bob'], format: 'text', body: Buffer.from('lost') }, bus.sources);
    const run = (): Promise<never> => Promise.reject(new SeedError('disk_full', 'It broke.', { hint: 'Make room.' }));
    const broken = new Proxy(op, {
      get: (target, name) => {
        const value: unknown = name === 'run' ? run : Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    await serving.lease(broken, [bob.grant!]);
  });
  await expect(failing).rejects.toThrow('It broke.');
  await say(bus, ann, 'bob', 'kept');
  expect(await got).toMatchObject([{ text: 'kept', seq: 1, lease: 1 }]);
});

it('what is wrong with a receiver is told to the receiver, and the message is sent all the same', async () => {
  const { watched, looks } = counting(bus);
  const got = get(watched, bob, { waitMs: FOREVER_MS });
  await settled(looks, 1);
  await bus.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', true));
  await say(bus, OWNER, 'bob', 'x');
  await expect(got).rejects.toMatchObject({ code: 'halted' });
  await bus.operate({ action: 'seed.resume', actor: OWNER }, (op) => writeSwitch(op, 'halted', false));
  expect(await texts(bus, bob)).toEqual(['x']);
});

it('what a helper gets is on record before it goes out, however it waited', async () => {
  const hal = await letIn(bus, 'hal', { kind: 'helper' });
  const { watched, looks } = counting(bus);
  const got = get(watched, hal, { waitMs: FOREVER_MS });
  await settled(looks, 1);
  await say(bus, ann, 'hal', 'x');
  expect(await got).toMatchObject([{ text: 'x' }]);
  const { receipts } = await bus.read((db) => listReceipts(db, { action: 'bus.receive' }, { limit: 9, after: null }));
  expect(receipts).toMatchObject([{ actor: { id: 'hal' }, detail: { messages: [1] } }]);
});

it('what is there already is given at once, and a wait that ends gives nothing', async () => {
  await say(bus, ann, 'bob', 'x');
  expect(await get(bus, bob, { waitMs: FOREVER_MS })).toHaveLength(1);
  expect(await get(bus, bob, { waitMs: 5 })).toEqual([]);
});

it('a lease that lapses, and a delay that is over, end a wait by themselves', async () => {
  await say(bus, ann, 'bob', 'x');
  const [first] = await get(bus, bob, { leaseMs: 30 });
  expect(first).toMatchObject({ lease: 1 });
  const [second] = await get(bus, bob, { waitMs: FOREVER_MS });
  expect(second).toMatchObject({ lease: 2, text: 'x' });
  await nack(bus, bob, [second!], { delayMs: 30 });
  expect(await get(bus, bob, { waitMs: FOREVER_MS })).toMatchObject([{ lease: 3, text: 'x' }]);
});

it('an acknowledgement lets another receiver of the same inbox go on with the thread', async () => {
  await say(bus, ann, 'bob', 'one', { thread: 't' });
  const one = await get(bus, bob);
  await say(bus, ann, 'bob', 'two', { thread: 't' });
  const two = get(bus, bob, { waitMs: FOREVER_MS });
  await waiting(bob);
  await ack(bus, bob, one);
  expect(await two).toMatchObject([{ text: 'two' }]);
});

it('whoever hung up is given nothing, and the message waits for the next', async () => {
  const gone = new AbortController();
  const got = get(bus, bob, { waitMs: FOREVER_MS, signal: gone.signal });
  await waiting(bob);
  gone.abort();
  expect(await got).toEqual([]);
  await say(bus, ann, 'bob', 'x');
  expect(await get(bus, bob, { waitMs: FOREVER_MS, signal: AbortSignal.abort() })).toEqual([]);
  expect(await get(bus, bob)).toMatchObject([{ lease: 1 }]);
});

it('a seed that stops answers whoever waits, and whoever comes to wait', async () => {
  const got = get(bus, bob, { waitMs: FOREVER_MS });
  await waiting(bob);
  bus.mail.close();
  expect(await got).toEqual([]);
  expect(await get(bus, bob, { waitMs: FOREVER_MS })).toEqual([]);
});

it('of several who wait for one message one gets it', async () => {
  const stop = new AbortController();
  const all = [1, 2, 3].map(() => get(bus, bob, { waitMs: FOREVER_MS, signal: stop.signal }));
  await waiting(bob);
  await say(bus, ann, 'bob', 'x');
  expect(await Promise.race(all)).toHaveLength(1);
  stop.abort();
  expect((await Promise.all(all)).flat()).toHaveLength(1);
});

it('a signal between the look and the wait is not lost', async () => {
  const signals = new MailSignals();
  using waiter = signals.wait('bob');
  signals.arrived(['bob']);
  await waiter.next(FOREVER_MS, NEVER);
  // The control: it was for that one wait; the next one waits.
  let over = false;
  const next = waiter.next(FOREVER_MS, NEVER).then(() => (over = true));
  signals.arrived(['ann']);
  await nextTurn();
  expect(over).toBe(false);
  signals.freed('bob');
  await next;
  expect(over).toBe(true);
});
