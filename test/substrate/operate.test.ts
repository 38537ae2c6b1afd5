/** The contract of an operation: one receipt, its effect with it or not at all, whatever goes wrong. */
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { SeedError } from '../../src/errors.ts';
import { ALL_BENCHED, bench as setBenched } from '../../src/substrate/benched.ts';
import { emptyLog, logSigner, readLogState } from '../../src/substrate/receipts/log.ts';
import type { LogState } from '../../src/substrate/receipts/log.ts';
import { getContent, putContent } from '../../src/substrate/content.ts';
import { HandleGuard } from '../../src/substrate/store/guard.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import type { Store } from '../../src/substrate/store/store.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import type { Operation } from '../../src/substrate/operation.ts';
import { GROUP_JOBS_MAX, QUEUE_JOBS_MAX, Writer } from '../../src/substrate/writer.ts';
import { testKey } from '../formats/build-log.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, openSeed, verifyExport } from '../support/home.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const NOTE = { action: 'note.put', actor: CURSOR } as const;
const sources = testSources('content');

/** An effect that can be looked up: a piece of content, named in the receipt. */
async function put(op: Operation, text: string): Promise<string> {
  const input = await putContent(op, Buffer.from(text), { sources });
  op.receipt({ input });
  return input;
}

async function contents(substrate: Pick<Substrate, 'read'>): Promise<number> {
  const row = await substrate.read((db) => db.get<{ n: number }>('SELECT count(*) AS n FROM substrate_content'));
  return row!.n;
}

function refusal(): SeedError {
  return new SeedError('conflict', 'No.', { hint: 'Do not.', data: { why: 'because' } });
}

describe.each(DRIVERS)('an operation on %s', (driver) => {
  it('[LOCK-RECEIPT-2] leaves its effect and exactly one receipt, under a checkpoint that covers it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const before = (await substrate.log()).size;
    const done = await Promise.all(
      Array.from({ length: 200 }, (_, index) => substrate.operate(NOTE, (op) => put(op, `note ${index}`))),
    );
    expect(done.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, index) => before + index));
    const receipts = await allReceipts(substrate);
    for (const { value, seq, checkpoint } of done) {
      expect(receipts[seq]).toMatchObject({ seq, input: value, outcome: 'ok', code: null, action: 'note.put' });
      expect(Number(checkpoint.split('\n')[1])).toBeGreaterThan(seq);
      expect(await substrate.read((db) => getContent(db, value))).not.toBeNull();
    }
    // All of a group share one checkpoint, and a group is bounded.
    const groups = new Map<string, number>();
    for (const { checkpoint } of done) groups.set(checkpoint, (groups.get(checkpoint) ?? 0) + 1);
    expect(Math.max(...groups.values())).toBe(GROUP_JOBS_MAX);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
      size: before + 200,
    });
  });

  it('[LOCK-RECEIPT-2] that is refused or fails leaves a receipt of that, and nothing of its own', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const ends = [
      { thrown: refusal(), outcome: 'refused', code: 'conflict' },
      { thrown: new SeedError('home_damaged', 'Gone.', { hint: '' }), outcome: 'failed', code: 'home_damaged' },
      { thrown: new TypeError('a defect'), outcome: 'failed', code: 'internal' },
    ];
    for (const { thrown, outcome, code } of ends) {
      const { size } = await substrate.log();
      const work = substrate.operate(NOTE, async (op) => {
        await put(op, 'undone');
        op.receipt({ subject: { type: 'note', id: '7' }, detail: { tried: 1 }, output: 'ab'.repeat(32) });
        throw thrown;
      });
      await expect(work).rejects.toMatchObject({ code, data: { receipt: size } });
      const receipts = await allReceipts(substrate);
      expect(receipts).toHaveLength(size + 1);
      expect(receipts[size]).toMatchObject({
        outcome,
        code,
        input: null,
        output: null,
        subject: { type: 'note', id: '7' },
        detail: { tried: 1 },
      });
    }
    expect(await contents(substrate)).toBe(0);
  });

  it('[LOCK-RECEIPT-2] that fails harms none of its group, wherever it stands in it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const { size } = await substrate.log();
    const work = Array.from({ length: GROUP_JOBS_MAX }, (_, index) =>
      substrate.operate(NOTE, async (op) => {
        const hash = await put(op, `note ${index}`);
        if (index % 3 === 0) throw refusal();
        if (index % 7 === 1) await op.run('INSERT INTO substrate_content (hash) VALUES (?)', hash);
        return hash;
      }),
    );
    const settled = await Promise.allSettled(work);
    const receipts = (await allReceipts(substrate)).slice(size);
    expect(receipts).toHaveLength(GROUP_JOBS_MAX);
    let kept = 0;
    for (const [index, end] of settled.entries()) {
      const fails = index % 3 === 0 || index % 7 === 1;
      expect([index, end.status]).toEqual([index, fails ? 'rejected' : 'fulfilled']);
      expect(receipts[index]!.outcome).toBe(index % 3 === 0 ? 'refused' : index % 7 === 1 ? 'failed' : 'ok');
      if (end.status === 'rejected') continue;
      kept++;
      expect(receipts[index]!.input).toBe(end.value.value);
    }
    expect(await contents(substrate)).toBe(kept);
    const checkpoints = settled.flatMap((end) => (end.status === 'fulfilled' ? [end.value.checkpoint] : []));
    expect(new Set(checkpoints).size).toBe(1);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
    });
  });

  it('whose receipt cannot be written is undone and receipted without what was wrong', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const { size } = await substrate.log();
    const wrongs = [
      { detail: { price: 0.5 } },
      { detail: { 'Not a key': 1 } },
      { detail: { text: '\ud800' } },
      { detail: { long: 'x'.repeat(70_000) } },
      { subject: { type: '', id: 'x' } },
      { input: 'not a hash' },
    ];
    for (const wrong of wrongs) {
      const work = substrate.operate(NOTE, async (op) => {
        await put(op, 'undone');
        op.receipt(wrong);
      });
      expect([wrong, await codeOf(work)]).toEqual([wrong, 'not_canonical']);
    }
    const receipts = (await allReceipts(substrate)).slice(size);
    expect(receipts).toHaveLength(wrongs.length);
    for (const receipt of receipts)
      expect(receipt).toMatchObject({ outcome: 'failed', code: 'not_canonical', input: null });
    expect(await contents(substrate)).toBe(0);
  });

  it('by an actor or of an action that no receipt can name does nothing and says so', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const { size } = await substrate.log();
    const bad = [
      { ...NOTE, action: 'Not an action' },
      { ...NOTE, actor: { ...CURSOR, id: 'x'.repeat(201) } },
    ];
    const [first, second, good] = await Promise.all([
      ...bad.map((options) => codeOf(substrate.operate(options, (op) => put(op, 'undone')))),
      codeOf(substrate.operate(NOTE, (op) => put(op, 'kept'))),
    ]);
    expect([first, second, good]).toEqual(['not_canonical', 'not_canonical', 'none']);
    expect((await substrate.log()).size).toBe(size + 1);
    expect(await contents(substrate)).toBe(1);
  });

  it('may wait for its handle and for nothing else', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const server = createServer(() => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    const waits: Record<string, () => Promise<unknown>> = {
      timer: () => new Promise((resolve) => setTimeout(resolve, 60_000).unref()),
      network: () => once(socket, 'data'),
      'operation inside': () => substrate.operate({ ...NOTE, action: 'note.inner' }, async () => 'inner'),
      'maintenance inside': () => substrate.maintain(async () => 'inner'),
    };
    const { size } = await substrate.log();
    for (const [name, wait] of Object.entries(waits)) {
      let inner: Promise<unknown> = Promise.resolve();
      const work = substrate.operate(NOTE, async (op) => {
        await put(op, 'undone');
        inner = wait();
        await inner;
      });
      expect([name, await codeOf(work)]).toEqual([name, 'foreign_wait']);
      if (name.endsWith('inside')) await inner;
      const upkeep = substrate.maintain(async (tx) => {
        await tx.run("INSERT INTO substrate_growth (day, bytes) VALUES ('2026-11-21', 1)");
        await wait();
      });
      expect([name, await codeOf(upkeep)]).toEqual([name, 'foreign_wait']);
      // A reader holds up no writer, so it may see one through.
      const read = await codeOf(substrate.read(() => wait()));
      expect([name, read]).toEqual([name, name.endsWith('inside') ? 'none' : 'foreign_wait']);
    }
    socket.destroy();
    server.close();
    await substrate.operate(NOTE, (op) => put(op, 'kept'));
    const receipts = (await allReceipts(substrate)).slice(size);
    expect(receipts.filter(({ code }) => code === 'foreign_wait')).toHaveLength(4);
    // The three operations inside came after those that waited for them, each with its own receipt.
    expect(receipts.filter(({ action }) => action === 'note.inner').every(({ outcome }) => outcome === 'ok')).toBe(
      true,
    );
    expect(receipts.at(-1)).toMatchObject({ action: 'note.put', outcome: 'ok' });
    expect(await contents(substrate)).toBe(1);
    expect(await substrate.read((db) => db.all('SELECT * FROM substrate_growth'))).toEqual([]);
  });

  it('may take as many statements as it needs', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const work = seed.substrate.operate(NOTE, async (op) => {
      for (let index = 0; index < 500; index++) {
        await put(op, `part ${index}`);
        await op.get('SELECT count(*) FROM substrate_content');
        await Promise.all([op.all('SELECT 1'), op.all('SELECT 2')]);
      }
    });
    expect(await codeOf(work)).toBe('none');
    expect(await contents(seed.substrate)).toBe(500);
  });

  it('cannot use its handle once it has ended', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    let late: Operation | undefined;
    await substrate.operate(NOTE, async (op) => {
      late = op;
    });
    expect(await codeOf(late!.run("DELETE FROM substrate_content WHERE hash = 'x'"))).toBe('handle_closed');
    // Not even while another operation has the transaction.
    const other = substrate.operate(NOTE, async (op) => {
      await put(op, 'kept');
      expect(await codeOf(late!.run('DELETE FROM substrate_content'))).toBe('handle_closed');
    });
    expect(await codeOf(other)).toBe('none');
    expect(await contents(substrate)).toBe(1);
    let thrown: Operation | undefined;
    const failing = substrate.operate(NOTE, (op) => {
      thrown = op;
      throw refusal();
    });
    expect(await codeOf(failing)).toBe('conflict');
    expect(await codeOf(thrown!.run('DELETE FROM substrate_content'))).toBe('handle_closed');
  });

  it('[LOCK-RECEIPT-2] that does not await a statement has it with its receipt all the same', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    await seed.substrate.operate(NOTE, async (op) => {
      void op.run("INSERT INTO substrate_content (hash, salt, body) VALUES ('x', x'00', x'00')");
    });
    expect(await contents(seed.substrate)).toBe(1);
    const work = seed.substrate.operate(NOTE, async (op) => {
      void op.run("INSERT INTO substrate_content (hash, salt, body) VALUES ('y', x'00', x'00')");
      throw refusal();
    });
    expect(await codeOf(work)).toBe('conflict');
    expect(await contents(seed.substrate)).toBe(1);
  });
});

describe('the guard of a handle', () => {
  const wait = (): Promise<void> =>
    new Promise((resolve) => void setImmediate(() => setImmediate(() => setImmediate(resolve))));
  const statement = async (guard: HandleGuard): Promise<void> => {
    guard.began();
    await wait();
    guard.ended();
  };

  it('sees a wait for something else; without the watch the same wait passes', async () => {
    expect(await codeOf(new HandleGuard().run(wait))).toBe('foreign_wait');
    expect(await codeOf(new HandleGuard().scope(wait))).toBe('none');
  });

  it('lets a statement take as long as it takes', async () => {
    const guard = new HandleGuard();
    expect(await codeOf(guard.run(() => statement(guard)))).toBe('none');
  });

  it('does not let its function end before a statement of its own', async () => {
    const guard = new HandleGuard();
    expect(await codeOf(guard.run(async () => void statement(guard)))).toBe('handle_closed');
  });
});

describe('intents and outcomes', () => {
  async function withIntent(dir: Scratch): Promise<{ seed: Awaited<ReturnType<typeof openSeed>>; intent: number }> {
    const seed = await openSeed(dir);
    const { seq } = await seed.substrate.operate(NOTE, async (op) => op.receipt({ outcome: 'intent' }));
    return { seed, intent: seq };
  }
  const settle = (substrate: Substrate, of: number, outcome: 'ok' | 'failed' = 'ok'): Promise<string> =>
    codeOf(substrate.operate(NOTE, async (op) => op.receipt({ of, outcome })));

  it('[LOCK-RECEIPT-1] an intent is settled once, and nothing else is', async () => {
    using dir = scratch();
    const { seed, intent } = await withIntent(dir);
    await using closing = seed;
    const { substrate } = closing;
    expect(await settle(substrate, intent + 1_000)).toBe('conflict');
    expect(await settle(substrate, 0)).toBe('conflict');
    expect(await settle(substrate, intent)).toBe('none');
    expect(await settle(substrate, intent, 'failed')).toBe('conflict');
    const settlements = (await allReceipts(substrate)).filter(({ of }) => of !== null);
    expect(settlements).toHaveLength(1);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
    });
  });

  it('two settlements in one group: one settles, the other is refused', async () => {
    using dir = scratch();
    const { seed, intent } = await withIntent(dir);
    await using closing = seed;
    const ends = await Promise.all([settle(closing.substrate, intent), settle(closing.substrate, intent)]);
    expect(ends).toEqual(['none', 'conflict']);
  });

  it('a settlement that fails leaves the intent open', async () => {
    using dir = scratch();
    const { seed, intent } = await withIntent(dir);
    await using closing = seed;
    const failing = closing.substrate.operate(NOTE, async (op) => {
      op.receipt({ of: intent });
      throw refusal();
    });
    expect(await codeOf(failing)).toBe('conflict');
    expect(await settle(closing.substrate, intent)).toBe('none');
  });

  it('an intent settles nothing, and no receipt settles itself', async () => {
    using dir = scratch();
    const { seed, intent } = await withIntent(dir);
    await using closing = seed;
    const both = closing.substrate.operate(NOTE, async (op) => op.receipt({ of: intent, outcome: 'intent' }));
    expect(await codeOf(both)).toBe('not_canonical');
    const self = closing.substrate.operate(NOTE, async (op) => op.receipt({ of: op.seq }));
    expect(await codeOf(self)).toBe('conflict');
    expect(await settle(closing.substrate, intent)).toBe('none');
  });
});

describe('the queue', () => {
  it('lets one that goes on at once go on, and everybody else have a turn all the same', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    for (const inFlight of [1, 8]) {
      const turn = { came: false };
      let done = 0;
      const goOn = async (): Promise<void> => {
        while (!turn.came) {
          await seed.substrate.operate(NOTE, async () => {});
          done++;
        }
      };
      // The first turn is the first group's own.
      setImmediate(() => setImmediate(() => (turn.came = true)));
      await Promise.all(Array.from({ length: inFlight }, goOn));
      expect(done).toBeGreaterThan(2 * inFlight);
      expect(done).toBeLessThanOrEqual(10 * inFlight);
    }
  });

  it('is bounded: one more is refused, and those before are carried out', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    let ran = 0;
    const waiting = Array.from({ length: QUEUE_JOBS_MAX }, () => substrate.maintain(async () => void ran++));
    expect(await codeOf(substrate.operate(NOTE, async () => {}))).toBe('busy');
    expect(await codeOf(substrate.maintain(async () => {}))).toBe('busy');
    await Promise.all(waiting);
    expect(ran).toBe(QUEUE_JOBS_MAX);
    expect(await codeOf(substrate.operate(NOTE, async () => {}))).toBe('none');
  });

  it('takes nothing more once it closes, and settles what it took', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const accepted = Array.from({ length: 100 }, () => codeOf(substrate.operate(NOTE, (op) => put(op, 'kept'))));
    const closed = substrate.close();
    expect(await codeOf(substrate.operate(NOTE, async () => {}))).toBe('stopping');
    expect(await codeOf(substrate.maintain(async () => {}))).toBe('stopping');
    expect(new Set(await Promise.all(accepted))).toEqual(new Set(['none']));
    await closed;
  });

  it('maintenance leaves no receipt, and nothing where it fails', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const before = await substrate.log();
    const insert = (day: string): Promise<unknown> =>
      substrate.maintain((tx) => tx.run('INSERT INTO substrate_growth (day, bytes) VALUES (?, 1)', day));
    const ends = await Promise.all(['a', 'a', 'b'].map((day) => codeOf(insert(day))));
    expect(ends).toEqual(['none', 'internal', 'none']);
    expect(await substrate.read((db) => db.all('SELECT day FROM substrate_growth'))).toHaveLength(2);
    expect(await substrate.log()).toEqual(before);
  });
});

/** A writer over a store that goes wrong where a test says. */
interface Bench extends AsyncDisposable {
  readonly writer: Writer;
  readonly store: Store;
  /** What the store does otherwise, while set. */
  faults: Partial<Store>;
  readonly committed: LogState[];
}

function openBench(dir: Scratch, driver: SqliteDriver = 'better-sqlite3'): Bench {
  const inner = openSqliteStore({ path: dir.at('seed.db'), driver, sources });
  const bench: { faults: Partial<Store> } = { faults: {} };
  const store: Store = {
    driver: inner.driver,
    read: (fn) => (bench.faults.read ?? inner.read.bind(inner))(fn),
    transaction: (fn) => (bench.faults.transaction ?? inner.transaction.bind(inner))(fn),
    reopen: () => (bench.faults.reopen ?? inner.reopen.bind(inner))(),
    scrub: () => inner.scrub(),
    check: () => inner.check(),
    size: () => inner.size(),
    foreignVersion: () => inner.foreignVersion(),
    close: () => inner.close(),
  };
  const committed: LogState[] = [];
  const writer = new Writer({
    store,
    sources,
    sign: logSigner('5e'.repeat(32), testKey('log')),
    state: emptyLog('5e'.repeat(32)),
    onCommit: (state) => committed.push(state),
    fault: () => {},
  });
  return Object.assign(bench, { writer, store: inner, committed, [Symbol.asyncDispose]: () => inner.close() });
}

const unknown = (): SeedError =>
  new SeedError('commit_unknown', 'The disk went away.', { hint: '', data: { reason: 'x' } });

describe('a group whose commit failed', () => {
  const three = (writer: Writer): Promise<PromiseSettledResult<unknown>[]> =>
    Promise.allSettled(['a', 'b', 'c'].map((text) => writer.operate(NOTE, (op) => put(op, text))));
  const allThree = (holds: string): unknown[] => Array.from({ length: 3 }, () => ['commit_unknown', holds]);
  const reasons = (ends: readonly PromiseSettledResult<unknown>[]): unknown[] =>
    ends.map((end) =>
      end.status === 'rejected' ? [(end.reason as SeedError).code, (end.reason as SeedError).data['holds']] : 'ok',
    );

  it('leaves nothing behind of what its operations recalled', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    const { writer, store } = bench;
    const row = { target: 'a', model: '*', reason: 'overloaded', untilMs: 1, policyVersion: '1' } as const;
    const recalled = async (): Promise<number> =>
      (await writer.operate(NOTE, async (op) => (await op.recall(ALL_BENCHED)).length)).value;
    bench.faults.transaction = (fn) =>
      store.transaction(async (tx) => {
        await fn(tx);
        throw new SeedError('disk_full', 'No room.', { hint: '' });
      });
    const lost = writer.operate(NOTE, async (op) => {
      await setBenched(op, row);
      return (await op.recall(ALL_BENCHED)).length;
    });
    expect(await codeOf(lost)).toBe('disk_full');
    bench.faults = {};
    expect(await recalled()).toBe(0);
    // The control: what was kept is recalled.
    await writer.operate(NOTE, (op) => setBenched(op, row));
    expect(await recalled()).toBe(1);
  });

  it('[LOCK-RECEIPT-2] and is gone: all of it are told, and the log goes on where it was', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    bench.faults = {
      transaction: (fn) =>
        bench.store
          .transaction(async (tx) => {
            await fn(tx);
            throw new Error('the commit');
          })
          .catch(() => Promise.reject(unknown())),
    };
    expect(reasons(await three(bench.writer))).toEqual(allThree('no'));
    bench.faults = {};
    expect(await bench.writer.operate(NOTE, (op) => put(op, 'next'))).toMatchObject({ seq: 1 });
    expect(await contents(bench.store)).toBe(2);
  });

  it('[LOCK-RECEIPT-2] and in truth holds: all of it are told, and the log goes on behind it', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    bench.faults = {
      transaction: async (fn) => {
        await bench.store.transaction(fn);
        throw unknown();
      },
    };
    expect(reasons(await three(bench.writer))).toEqual(allThree('yes'));
    expect(bench.committed.at(-1)).toMatchObject({ size: 4 });
    bench.faults = {};
    expect(await bench.writer.operate(NOTE, (op) => put(op, 'next'))).toMatchObject({ seq: 4 });
    expect(await bench.store.read(readLogState)).toMatchObject({ size: 5 });
    expect(await contents(bench.store)).toBe(5);
  });

  it('of upkeep alone, which leaves the head as it was: nobody is told that it does not hold', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    const upkeep = (days: readonly string[]): Promise<PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(
        days.map((day) =>
          bench.writer.maintain((tx) => tx.run('INSERT INTO substrate_growth (day, bytes) VALUES (?, 1)', day)),
        ),
      );
    const kept = async (): Promise<number> =>
      (await bench.store.read((db) => db.all('SELECT day FROM substrate_growth'))).length;
    const commitThenFail: Store['transaction'] = async (fn) => {
      await bench.store.transaction(fn);
      throw unknown();
    };
    // In an empty log, and in one that has a head.
    bench.faults = { transaction: commitThenFail };
    expect(reasons(await upkeep(['a', 'b', 'c']))).toEqual(allThree('unknown'));
    expect(await kept()).toBe(3);
    bench.faults = {};
    await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    bench.faults = { transaction: commitThenFail };
    expect(reasons(await upkeep(['d', 'e', 'f']))).toEqual(allThree('unknown'));
    expect(await kept()).toBe(6);
    // With a receipt in the group its head says it for all of them.
    const [noted, ...rest] = await Promise.all([
      Promise.allSettled([bench.writer.operate(NOTE, (op) => put(op, 'second'))]),
      upkeep(['g', 'h']),
    ]);
    expect([...reasons(noted), ...rest.flatMap(reasons)]).toEqual(allThree('yes'));
    expect(bench.committed.map(({ size }) => size)).toEqual([1, 2]);
    bench.faults = {};
    expect(await bench.writer.operate(NOTE, (op) => put(op, 'next'))).toMatchObject({ seq: 2 });
  });

  it('would write over what holds, were the head not read again (the control)', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    const { seq } = await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    const stale = await bench.store.read(readLogState);
    bench.faults = {
      transaction: async (fn) => {
        await bench.store.transaction(fn);
        throw unknown();
      },
      read: () => Promise.resolve(stale as never),
    };
    expect(reasons(await three(bench.writer))).toEqual(allThree('no'));
    bench.faults = {};
    // What is told is wrong, and the next receipt would have a number that is taken.
    expect(await bench.store.read(readLogState)).toMatchObject({ size: seq + 4 });
    expect(await codeOf(bench.writer.operate(NOTE, (op) => put(op, 'next')))).not.toBe('none');
  });

  it('and cannot be looked up: nothing is written until it can', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    const broken = new SeedError('store_unwritable', 'Broken.', { hint: '' });
    bench.faults = { transaction: () => Promise.reject(unknown()), reopen: () => Promise.reject(broken) };
    expect(reasons(await three(bench.writer))).toEqual(allThree('unknown'));
    bench.faults = { reopen: () => Promise.reject(broken) };
    expect(await codeOf(bench.writer.operate(NOTE, (op) => put(op, 'too early')))).toBe('store_unwritable');
    expect(await codeOf(bench.writer.maintain(async () => {}))).toBe('store_unwritable');
    bench.faults = {};
    expect(await bench.writer.operate(NOTE, (op) => put(op, 'next'))).toMatchObject({ seq: 1 });
    expect(await contents(bench.store)).toBe(2);
  });

  it('and left another log than either: nothing is written any more', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    await bench.writer.operate(NOTE, (op) => put(op, 'first'));
    const real = await bench.store.read(readLogState);
    bench.faults = {
      transaction: () => Promise.reject(unknown()),
      read: () => Promise.resolve({ ...real, checkpoint: 'another' } as never),
    };
    expect(reasons(await three(bench.writer))).toEqual(allThree('unknown'));
    bench.faults = { read: bench.faults.read! };
    expect(await codeOf(bench.writer.operate(NOTE, (op) => put(op, 'never')))).toBe('log_forked');
    expect(await contents(bench.store)).toBe(1);
  });

  it('before the first receipt leaves an empty log', async () => {
    using dir = scratch();
    await using bench = openBench(dir);
    bench.faults = { transaction: () => Promise.reject(unknown()) };
    expect(reasons(await three(bench.writer))).toEqual(allThree('no'));
    bench.faults = {};
    expect(await bench.writer.operate(NOTE, (op) => put(op, 'first'))).toMatchObject({ seq: 0 });
  });
});
