/** What operations remember: never other than what a read at that moment would say. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { SeedError } from '../../src/errors.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { ALL_BENCHED, bench } from '../../src/substrate/benched.ts';
import type { Benched } from '../../src/substrate/benched.ts';
import { NAMED } from '../../src/substrate/bus/inbox.ts';
import { FORCE, PAYER } from '../../src/substrate/identity/grants.ts';
import { NEWEST_DAY } from '../../src/substrate/ledger/sums.ts';
import { NOTED_POLICY } from '../../src/substrate/policy/policy.ts';
import { POLICY_SEALS } from '../../src/substrate/store/migrations/0003-policy.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import type { Reading } from '../../src/substrate/store/store.ts';
import { HALTED } from '../../src/substrate/switches.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { TABLE_WRITERS } from '../../src/substrate/tables.ts';
import { codeOf, DRIVERS, openSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { watched } from '../support/watched.ts';

const ACT = { action: 'note.put', actor: OWNER } as const;

function benched(target: string): Benched {
  return { target, model: '*', reason: 'overloaded', untilMs: 9_000_000_000_000, policyVersion: '1' };
}

/** A reading of who is benched that counts how often it is done. */
function counted(): { reading: Reading<string[]>; reads: () => number } {
  let reads = 0;
  const reading: Reading<string[]> = {
    tables: ALL_BENCHED.tables,
    read: async (db, key) => {
      reads += 1;
      return (await ALL_BENCHED.read(db, key)).map(({ target }) => target);
    },
  };
  return { reading, reads: () => reads };
}

describe.each(DRIVERS)('what operations recall on %s', (driver) => {
  const recalled = async (substrate: Substrate, reading: Reading<string[]>): Promise<string[]> =>
    (await substrate.operate(ACT, (op) => op.recall(reading))).value;

  it('is read once, and again when an operation has written it, also the one that asks', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { reading, reads } = counted();
    expect(await recalled(seed.substrate, reading)).toEqual([]);
    expect(await recalled(seed.substrate, reading)).toEqual([]);
    expect(reads()).toBe(1);
    const within = await seed.substrate.operate(ACT, async (op) => {
      await bench(op, benched('a'));
      return op.recall(reading);
    });
    expect(within.value).toEqual(['a']);
    expect(await recalled(seed.substrate, reading)).toEqual(['a']);
    expect(reads()).toBe(2);
  });

  it('is read again when another program has committed', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { reading, reads } = counted();
    await seed.substrate.operate(ACT, (op) => bench(op, benched('a')));
    expect(await recalled(seed.substrate, reading)).toEqual(['a']);
    const another = openConnection(driver, homePath(seed.home, 'database'));
    another.exec('DELETE FROM substrate_benched');
    another.close();
    expect(await recalled(seed.substrate, reading)).toEqual([]);
    expect(reads()).toBe(2);
  });

  it('is nothing of an operation that was undone, for those in its group and after it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { reading } = counted();
    const seen: string[][] = [];
    const see = async (op: { recall: <T>(what: Reading<T>) => Promise<T> }): Promise<void> => {
      seen.push(await op.recall(reading));
    };
    // All three in one group, before and after one that writes and is undone.
    const ends = await Promise.allSettled([
      seed.substrate.operate(ACT, see),
      seed.substrate.operate(ACT, async (op) => {
        await bench(op, benched('undone'));
        await see(op);
        throw new SeedError('conflict', 'No.', { hint: '' });
      }),
      seed.substrate.operate(ACT, see),
    ]);
    await seed.substrate.operate(ACT, see);
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(seen).toEqual([[], ['undone'], [], []]);
  });

  it('is kept apart by key, and of a handle that is closed there is nothing to be had', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const reading: Reading<string> = {
      tables: ['substrate_benched'],
      read: (_db, key) => Promise.resolve(`for ${key}`),
    };
    const { value } = await seed.substrate.operate(ACT, async (op) => [
      await op.recall(reading, 'a'),
      await op.recall(reading, 'b'),
      await op.recall(reading, 'a'),
    ]);
    expect(value).toEqual(['for a', 'for b', 'for a']);
    let late: (() => Promise<string>) | null = null;
    await seed.substrate.operate(ACT, async (op) => {
      late = () => op.recall(reading, 'a');
    });
    expect(await codeOf(late!())).toBe('handle_closed');
  });

  it('is kept for a bounded number of keys; the others are read each time', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const read: string[] = [];
    const reading: Reading<string> = {
      tables: ['substrate_benched'],
      read: (_db, key) => Promise.resolve(key).finally(() => read.push(key)),
    };
    await seed.substrate.operate(ACT, async (op) => {
      for (let key = 0; key <= 1_000; key++) await op.recall(reading, String(key));
      read.length = 0;
      for (const key of ['0', '999', '1000']) expect(await op.recall(reading, key)).toBe(key);
    });
    expect(read).toEqual(['1000']);
  });

  it('is not kept where it was written while it was read', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { reading } = counted();
    await seed.substrate.operate(ACT, async (op) => {
      // Read first, written before the answer is there.
      await Promise.all([op.recall(reading), bench(op, benched('a'))]);
    });
    expect(await recalled(seed.substrate, reading)).toEqual(['a']);
  });
});

/** Every reading of the program. */
const READINGS: Readonly<Record<string, Reading<unknown>>> = {
  NOTED_POLICY,
  ALL_BENCHED,
  NEWEST_DAY,
  FORCE,
  PAYER,
  NAMED,
  HALTED,
};

test('every reading of the program is looked at here', () => {
  const src = path.join(import.meta.dirname, '../../src');
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const declared = files.flatMap((name) =>
    [...readFileSync(path.join(src, name), 'utf8').matchAll(/^export const (\w+): Reading</gm)].map(
      ([, found]) => found,
    ),
  );
  expect(new Set(declared)).toEqual(new Set(Object.keys(READINGS)));
});

test.each(Object.entries(READINGS))('%s names every table that it reads', async (_name, reading) => {
  using dir = scratch();
  await using seed = await openSeed(dir, { driver: 'better-sqlite3' });
  const read = new Set<string>();
  await seed.substrate.read(async (db) => {
    await reading.read(
      watched(db, (sql) => {
        for (const table of Object.keys(TABLE_WRITERS)) if (new RegExp(`\\b${table}\\b`).test(sql)) read.add(table);
      }),
      'some-key',
    );
  });
  // Of the receipts only those of the actions that it names are looked at, and the first, which stays.
  if (reading.actions !== undefined) expect(POLICY_SEALS).toContain(reading.actions.join("', '"));
  const named = [...reading.tables, ...(reading.actions === undefined ? [] : ['substrate_receipts'])];
  expect([...read].filter((table) => !named.includes(table))).toEqual([]);
  expect(read.size).toBeGreaterThan(0);
});
