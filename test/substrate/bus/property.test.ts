/** Whatever order things happen in: one key is one message, threads come in order, and the count is right. */
import * as fc from '../../support/fast-check.ts';
import { expect, it } from 'vitest';
import type { Actor } from '../../../src/substrate/actor.ts';
import { sweep } from '../../../src/substrate/bus/bus.ts';
import { WAITING } from '../../../src/substrate/bus/inbox.ts';
import { ATTEMPTS_MAX } from '../../../src/substrate/bus/model.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { TestSeed } from '../../support/home.ts';
import { codeOf, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import type { Got } from './rig.ts';
import { ack, get, letIn, nack, say } from './rig.ts';

const RUNS = process.env['SEED_TEST_LONG'] === '1' ? 200 : 12;

it('the same key with the same content is one message; with other content a conflict', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const ann = await letIn(seed.substrate, 'ann');
  let nr = 0;
  const send = fc.record({
    key: fc.constantFrom('a', 'b'),
    text: fc.string({ maxLength: 3 }),
    thread: fc.constantFrom('t', 'u'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(send, { minLength: 1, maxLength: 8 }), async (sends) => {
      const bob = await letIn(seed.substrate, `bob-${++nr}`);
      const first = new Map<string, string>();
      for (const { key, text, thread } of sends) {
        const content = JSON.stringify([text, thread]);
        const before = first.get(key);
        // Keys are the sender's, so each run has its own.
        const sent = say(seed.substrate, ann, bob.id, text, { key: `${nr}-${key}`, thread });
        expect(await codeOf(sent)).toBe(before === undefined || before === content ? 'none' : 'conflict');
        if (before === undefined) first.set(key, content);
      }
      const got = await get(seed.substrate, bob, { limit: 100 });
      expect(got.map(({ text, thread }) => JSON.stringify([text, thread])).toSorted()).toEqual(
        [...first.values()].toSorted(),
      );
    }),
    { numRuns: RUNS },
  );
});

type Step =
  | { readonly do: 'send'; readonly thread: string }
  | { readonly do: 'receive'; readonly limit: number }
  | { readonly do: 'ack' | 'nack'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('send' as const), thread: fc.constantFrom('a', 'b') }),
  fc.record({ do: fc.constant('receive' as const), limit: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constantFrom('ack' as const, 'nack' as const), which: fc.nat(20) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(10, 1_000) }),
);

/** One inbox, and what has become known of it from outside. */
class Watched {
  readonly #substrate: Substrate;
  readonly #seed: TestSeed;
  readonly #sender: Actor;
  readonly #holder: Actor;
  readonly handles: Got[] = [];
  readonly acked = new Map<string, number[]>();
  sent = 0;

  constructor(seed: TestSeed, sender: Actor, holder: Actor) {
    this.#seed = seed;
    this.#substrate = seed.substrate;
    this.#sender = sender;
    this.#holder = holder;
  }

  async take(one: Step): Promise<void> {
    if (one.do === 'send')
      await say(this.#substrate, this.#sender, this.#holder.id, `${++this.sent}`, { thread: one.thread });
    else if (one.do === 'wait') this.#seed.sources.time += one.ms;
    else if (one.do === 'receive') {
      this.handles.push(...(await get(this.#substrate, this.#holder, { limit: one.limit, leaseMs: 500 })));
    } else {
      const handle = this.handles[one.which % Math.max(1, this.handles.length)];
      if (handle !== undefined) await this.settle(one.do, handle);
    }
  }

  async settle(how: 'ack' | 'nack', handle: Got): Promise<void> {
    const [became] = await (how === 'ack' ? ack : nack)(this.#substrate, this.#holder, [handle]);
    if (became !== 'acked') return;
    const { thread, seq } = handle;
    this.acked.set(thread, [...(this.acked.get(thread) ?? []), seq]);
  }

  /** All that is left, by a receiver that does not fail. */
  async drain(): Promise<void> {
    this.#seed.sources.time += 10_000;
    await sweep(this.#substrate);
    for (;;) {
      const got = await get(this.#substrate, this.#holder, { limit: 100 });
      if (got.length === 0) return;
      for (const handle of got) await this.settle('ack', handle);
    }
  }
}

interface Counts {
  readonly waiting: number;
  readonly rows: number;
  readonly settled: number;
  readonly dead: number;
}

function counts(substrate: Substrate, holder: string): Promise<Counts | undefined> {
  return substrate.read((db) =>
    db.get<Counts & Record<string, number>>(
      `SELECT ${WAITING} AS waiting, (SELECT count(*) FROM substrate_messages WHERE inbox = i.id) AS rows,
         (SELECT count(*) FROM substrate_settled_messages WHERE inbox = i.id) AS settled,
         (SELECT count(*) FROM substrate_settled_messages WHERE inbox = i.id AND state = 'dead') AS dead
       FROM substrate_inboxes i WHERE holder = ?`,
      holder,
    ),
  );
}

it('threads are settled in order, nothing is lost or settled twice, and the inbox counts right', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const ann = await letIn(seed.substrate, 'ann');
  let nr = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const bob = await letIn(seed.substrate, `bob-${++nr}`);
      const watched = new Watched(seed, ann, bob);
      for (const one of steps) {
        await watched.take(one);
        const now = await counts(seed.substrate, bob.grant!);
        expect(now?.rows ?? 0).toBe(now?.waiting ?? 0);
        expect((now?.rows ?? 0) + (now?.settled ?? 0)).toBe(watched.sent);
      }
      await watched.drain();
      const end = await counts(seed.substrate, bob.grant!);
      expect(end?.rows ?? 0).toBe(0);
      const acked = [...watched.acked.values()];
      expect(acked.flat().length + (end?.dead ?? 0)).toBe(watched.sent);
      for (const seqs of acked) expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b));
      // Nothing dies before it has failed often enough.
      expect(watched.handles.length).toBeGreaterThanOrEqual((end?.dead ?? 0) * ATTEMPTS_MAX);
    }),
    { numRuns: RUNS * 2 },
  );
});
