/** The log as the store keeps it, against the formats kernel; and the clock that cannot turn it back. */
import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { verifyProof } from '../../src/formats/proof.ts';
import { inclusionRanges, leafHash } from '../../src/formats/merkle.ts';
import { getContent, putContent } from '../../src/substrate/content.ts';
import { eraseDueContent } from '../../src/substrate/retention.ts';
import type { WritableLog } from '../../src/substrate/receipts/log.ts';
import { emptyLog, LogWriter, logSigner, readLogState } from '../../src/substrate/receipts/log.ts';
import { proveReceipt } from '../../src/substrate/receipts/prove.ts';
import { getReceiptLines } from '../../src/substrate/receipts/query.ts';
import { rangeHash } from '../../src/substrate/receipts/tree.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import type { Store } from '../../src/substrate/store/store.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { seededNumbers, testSources } from '../support/sources.ts';
import { buildLog, nodeSha, testKey, treeHash } from '../formats/build-log.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, makeHome, openAgain, openSeed, verifyExport } from '../support/home.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const DAY_MS = 86_400_000;
const NOTE = { action: 'note.put', actor: CURSOR } as const;

interface Log extends AsyncDisposable {
  readonly store: Store;
  /** Appends so many receipts, in groups of a size. */
  grow(count: number, group: number): Promise<WritableLog>;
}

const DRAFT = {
  actor: { id: 'a', kind: 'agent', grant: null },
  action: 'note.put',
  subject: { type: 'note', id: 'b' },
  outcome: 'ok',
  code: null,
  of: null,
  input: null,
  output: null,
  detail: {},
} as const;

const world = buildLog({ size: 1 });

function openLog(dir: Scratch, driver: SqliteDriver): Log {
  const store = openSqliteStore({ path: dir.at('seed.db'), driver, sources: testSources() });
  let state = emptyLog(world.seed);
  const sign = logSigner(world.seed, world.logKey);
  return {
    store,
    grow: async (count, group) => {
      for (let done = 0; done < count; done += group) {
        const log = new LogWriter(state, sign);
        state = await store.transaction(async (tx) => {
          for (let i = done; i < Math.min(count, done + group); i++) await log.append(tx, DRAFT, 1_000);
          return log.seal(tx);
        });
      }
      return state;
    },
    [Symbol.asyncDispose]: () => store.close(),
  };
}

async function leavesOf(store: Store): Promise<Uint8Array[]> {
  const lines = await store.read((db) => getReceiptLines(db, 0, 1_000_000));
  return lines.map((line) => leafHash(Buffer.from(line), nodeSha));
}

/** The drivers give blobs of two types. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** Checks the tree, as stored, against one computed anew from the leaves; resolves to how many checks were made. */
async function checkTree(store: Store, name: string): Promise<number> {
  const leaves = await leavesOf(store);
  const size = leaves.length;
  const random = seededNumbers(name);
  const edges = [0, 1, 254, 255, 256, 257, 511, 512, 65_535, 65_536, size - 2, size - 1].filter(
    (n) => n >= 0 && n < size,
  );
  const seqs = new Set([...edges, ...Array.from({ length: 8 }, () => random(size))]);
  const trust = { roots: world.roots, pinnedRoot: world.roots[0]!, sha: nodeSha };
  for (const seq of seqs) {
    for (const { start, end } of inclusionRanges(seq, size)) {
      expect(plain(await store.read((db) => rangeHash(db, start, end)))).toEqual(
        plain(treeHash(leaves.slice(start, end))),
      );
    }
    const proof = await store.read((db) => proveReceipt(db, seq));
    expect(verifyProof(proof, trust)).toMatchObject({ verdict: 'proven', size, receipt: { seq } });
  }
  expect(plain(await store.read((db) => rangeHash(db, 0, size)))).toEqual(plain(treeHash(leaves)));
  return seqs.size;
}

describe.each(DRIVERS)('the tree on %s', (driver) => {
  const sizes = [1, 2, 3, 64, 255, 256, 257, 300, 511, 512, 513, 768, 1_025];

  it('[LOCK-RECEIPT-1] is the one of the formats at every size, and proves every receipt', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    let have = 0;
    for (const size of sizes) {
      const state = await log.grow(size - have, 50);
      have = size;
      expect(state.size).toBe(size);
      expect(await checkTree(log.store, `${size}`)).toBeGreaterThan(0);
    }
    const state = await log.store.read(readLogState);
    expect(plain(state!.range.root())).toEqual(plain(treeHash(await leavesOf(log.store))));
  });

  it('[LOCK-RECEIPT-1] does not prove a receipt that was changed where it is stored (the control)', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    await log.grow(300, 50);
    await log.store.transaction((tx) =>
      tx.run(`UPDATE substrate_receipts SET bytes = replace(bytes, '"id":"a"', '"id":"c"') WHERE seq = 7`),
    );
    for (const seq of [7, 6])
      await expect(log.store.read((db) => proveReceipt(db, seq))).rejects.toMatchObject({ code: 'store_corrupt' });
    await expect(checkTree(log.store, 'control')).rejects.toThrow('altered in the database');
  });

  it('proves nothing that is not there', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    await expect(log.store.read((db) => proveReceipt(db, 0))).rejects.toMatchObject({ code: 'not_found' });
    await log.grow(3, 3);
    await expect(log.store.read((db) => proveReceipt(db, 3))).rejects.toMatchObject({ code: 'not_found' });
  });

  it.runIf(IS_LONG)('is right where the second level of tiles begins', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    await log.grow(65_534, 1_000);
    for (const step of [1, 1, 1, 255, 1, 1]) {
      await log.grow(step, 64);
      await checkTree(log.store, `long ${step}`);
    }
    await log.grow(66_000, 1_000);
    await checkTree(log.store, 'long end');
  });
});

describe.each(DRIVERS)('the log on %s', (driver) => {
  it('[LOCK-RECEIPT-1] is without gaps and verifies, whatever succeeds, fails and is refused in whatever groups', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, sources } = seed;
    let expected = (await substrate.log()).size;
    const step = fc.record({
      ends: fc.array(fc.constantFrom('ok', 'fails', 'intent', 'upkeep'), { maxLength: 70 }),
      clock: fc.integer({ min: -DAY_MS, max: DAY_MS }),
    });
    const property = fc.asyncProperty(step, async ({ ends, clock }) => {
      sources.time += clock;
      expected += ends.filter((end) => end !== 'upkeep').length;
      await Promise.allSettled(
        ends.map((end) =>
          end === 'upkeep'
            ? substrate.maintain(async () => {})
            : substrate.operate(NOTE, async (op) => {
                if (end === 'intent') op.receipt({ outcome: 'intent' });
                if (end === 'fails') throw new Error('no');
              }),
        ),
      );
      expect((await substrate.log()).size).toBe(expected);
    });
    await fc.assert(property, { seed: 11, numRuns: IS_LONG ? 100 : 15 });
    const verdict = await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot });
    expect(verdict).toMatchObject({ verdict: 'proven', size: expected, seed: substrate.seed });
    const root = await substrate.read((db) => rangeHash(db, 0, expected));
    expect(verdict.root).toBe(Buffer.from(root).toString('base64'));
    // The control: with another seed's root of trust the same export proves nothing.
    const other = await verifyExport(substrate, { out: dir.at('out2'), pinnedRoot: world.roots[0]! });
    expect(other.verdict).toBe('broken');
  });

  it('leaves the intents of the state before as they were, should its group be lost', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    const sign = logSigner(world.seed, world.logKey);
    const before = await log.grow(1, 1);
    const first = new LogWriter(before, sign);
    const open = await log.store.transaction(async (tx) => {
      await first.append(tx, { ...DRAFT, outcome: 'intent' }, 1_000);
      return first.seal(tx);
    });
    expect([...before.open, '|', ...open.open]).toEqual(['|', 1]);
    const lost = new LogWriter(open, sign);
    const work = log.store.transaction(async (tx) => {
      await lost.append(tx, { ...DRAFT, of: 1 }, 1_000);
      await lost.append(tx, { ...DRAFT, outcome: 'intent' }, 1_000);
      throw new Error('The group is lost.');
    });
    await expect(work).rejects.toThrow('The group is lost.');
    expect([...open.open]).toEqual([1]);
  });

  it('is stopped by one receipt that was counted and not stored', async () => {
    using dir = scratch();
    await using log = openLog(dir, driver);
    const state = await log.grow(255, 255);
    const writer = new LogWriter(state, logSigner(world.seed, testKey('log')));
    const work = log.store.transaction(async (tx) => {
      // The tile that receipt 255 completes cannot be stored.
      await tx.run("INSERT INTO substrate_tree (level, idx, hash) VALUES (1, 0, x'00')");
      await writer.append(tx, DRAFT, 1_000).catch(() => {});
      return writer.seal(tx);
    });
    await expect(work).rejects.toThrow('must not commit');
    expect(await log.store.read(readLogState)).toMatchObject({ size: 255 });
  });

  it('[LOCK-RECEIPT-1] has no gap where a receipt was counted and not stored: its whole group is lost', async () => {
    using dir = scratch();
    const home = dir.at('home');
    await makeHome(home, { driver });
    const meddle = async (sql: string): Promise<void> => {
      const store = openSqliteStore({ path: dir.at('home', 'seed.db'), driver, sources: testSources() });
      await store.transaction((tx) => tx.run(sql));
      await store.close();
    };
    // The tile that receipt 255 completes cannot be stored.
    await meddle("INSERT INTO substrate_tree (level, idx, hash) VALUES (1, 0, x'00')");
    const seed = await openAgain(home, { driver });
    const { substrate } = seed;
    const notes = (count: number): Promise<string[]> =>
      Promise.all(Array.from({ length: count }, () => codeOf(substrate.operate(NOTE, async () => {}))));
    expect(new Set(await notes(250))).toEqual(new Set(['none']));
    const before = await substrate.log();
    expect(before.size).toBe(251);
    // The first of these groups has receipts before and behind the one that goes wrong.
    for (const count of [10, 5, 6])
      expect([count, new Set(await notes(count))]).toEqual([count, new Set(['internal'])]);
    expect(await substrate.log()).toEqual(before);
    const seqs = (await allReceipts(substrate)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: 251 }, (_, seq) => seq));
    const trust = { pinnedRoot: seed.pinnedRoot };
    expect(await verifyExport(substrate, { out: dir.at('out'), ...trust })).toMatchObject({
      verdict: 'proven',
      size: 251,
    });
    await substrate.close();

    await meddle('DELETE FROM substrate_tree WHERE level = 1');
    await using again = await openAgain(home, { driver });
    expect(again.substrate.distrust).toBeNull();
    for (let seq = 251; seq < 260; seq++)
      expect(await again.substrate.operate(NOTE, async () => {})).toMatchObject({ seq });
    expect(await verifyExport(again.substrate, { out: dir.at('whole'), ...trust })).toMatchObject({
      verdict: 'proven',
      size: 260,
    });
  });
});

describe('the system clock', () => {
  it('[LOCK-RECEIPT-1] set forward and back a week never turns a receipt back, and freezes nothing else', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const start = sources.time;
    const clocks: number[] = [];
    const seen: number[] = [];
    const dueIn = async (ms: number): Promise<string> => {
      const { value } = await substrate.operate(NOTE, (op) =>
        putContent(op, Buffer.from('short-lived'), { sources, eraseAt: op.now + ms }),
      );
      return value;
    };
    for (const shift of [0, 7 * DAY_MS, 1_000, -14 * DAY_MS, 1_000, 7 * DAY_MS, 60_000]) {
      sources.time += shift;
      clocks.push(sources.time);
      await substrate.operate(NOTE, async (op) => void seen.push(op.now));
    }
    expect(seen).toEqual(clocks);
    const times = (await allReceipts(substrate)).map(({ time }) => time);
    expect(times).toEqual([...times].sort());
    // The control: the clock itself did go back.
    expect(clocks).not.toEqual([...clocks].sort((a, b) => a - b));
    const newest = new Date(start + 7 * DAY_MS + 1_000).toISOString();
    expect(times.slice(-5)).toEqual(Array(5).fill(newest));
    // Set back a week: what is due in a minute is due in a minute, not in a week and a minute.
    sources.time = start;
    const hash = await dueIn(60_000);
    expect(await eraseDueContent(substrate, sources.now())).toBe(0);
    sources.time += 60_000;
    expect(await eraseDueContent(substrate, sources.now())).toBe(1);
    expect(await substrate.read((db) => getContent(db, hash))).toBeNull();
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
    });
  });
});
