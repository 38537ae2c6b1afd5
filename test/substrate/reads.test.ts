/** Reads that share a view: each sees what was committed before it was asked for, and none suffers for another. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from '../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { SeedError } from '../../src/errors.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import { openSqliteReader, openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import type { ReadHandle, Store } from '../../src/substrate/store/store.ts';
import { codeOf, DRIVERS } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

interface Counter extends AsyncDisposable {
  readonly store: Store;
  readonly path: string;
}

/** A store that holds one number. */
async function openCounter(driver: SqliteDriver, path: string): Promise<Counter> {
  const store = openSqliteStore({ path, driver, sources: testSources() });
  await store.transaction(async (tx) => {
    await tx.run('CREATE TABLE counter (n INTEGER NOT NULL) STRICT');
    await tx.run('INSERT INTO counter (n) VALUES (0)');
  });
  return { store, path, [Symbol.asyncDispose]: () => store.close() };
}

const raise = (store: Store): Promise<unknown> => store.transaction((tx) => tx.run('UPDATE counter SET n = n + 1'));

async function count(db: ReadHandle): Promise<number> {
  return (await db.get<{ n: number }>('SELECT n FROM counter'))?.n ?? -1;
}

describe.each(DRIVERS)('reads on %s', (driver) => {
  it('that wait together see one view; one that is asked for after a commit sees the commit', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const { store } = open;
    const later: Promise<number>[] = [];
    const first = store.read(async (db) => {
      const before = await count(db);
      await raise(store);
      later.push(store.read(count));
      return before;
    });
    expect([await first, await store.read(count)]).toEqual([0, 1]);
    expect(await Promise.all(later)).toEqual([1]);
    const together = [
      store.read(async (db) => {
        const before = await count(db);
        await raise(store);
        return before;
      }),
      // Asked for before the commit, so either would do; that it is the one before shows the shared view.
      store.read(count),
    ];
    expect(await Promise.all(together)).toEqual([1, 1]);
    expect(await store.read(count)).toBe(2);
  });

  it('see what another program committed before they were asked for, in the same turn', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const other = openConnection(driver, open.path);
    try {
      for (let n = 1; n <= 5; n++) {
        const under = open.store.read(count);
        other.exec('UPDATE counter SET n = n + 1');
        // The first one was asked for before it and not begun.
        expect(await Promise.all([open.store.read(count), under])).toEqual([n, n]);
      }
    } finally {
      other.close();
    }
  });

  it('never see less than was committed before they were asked for', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const { store } = open;
    const step = fc.constantFrom('read', 'read', 'read and fail', 'raise', 'turn');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const base = await store.read(count);
        let [begun, committed] = [base, base];
        const all: Promise<unknown>[] = [];
        for (const each of steps) {
          const least = committed;
          if (each === 'turn') await nextTurn();
          else if (each === 'raise') {
            begun++;
            all.push(raise(store).then(() => committed++));
          } else {
            const seen = store.read(async (db) => {
              const n = await count(db);
              if (each === 'read and fail') throw new RangeError(String(n));
              return n;
            });
            const settled = seen.catch((error: unknown) => Number((error as RangeError).message));
            all.push(
              settled.then((n) => {
                expect(n).toBeGreaterThanOrEqual(least);
                expect(n).toBeLessThanOrEqual(begun);
              }),
            );
          }
        }
        await Promise.all(all);
        expect(await store.read(count)).toBe(begun);
      }),
      { numRuns: 40 },
    );
  });

  it('are answered whatever becomes of the others that wait with them', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const { store } = open;
    const forever = Promise.withResolvers<never>().promise;
    const fates = [
      store.read(count),
      store.read(() => Promise.reject(new SeedError('not_found', 'There is none.', { hint: 'Look elsewhere.' }))),
      store.read(count),
      store.read(() => forever),
      store.read((db) => db.get('SELECT no_such_column FROM counter')),
      store.read(count),
    ];
    const codes = await Promise.all(fates.map(codeOf));
    expect([codes[0], codes[1], codes[2], codes[3], codes[5]]).toEqual([
      'none',
      'not_found',
      'none',
      'foreign_wait',
      'none',
    ]);
    await expect(fates[4]).rejects.toThrow('no such column');
    expect(await store.read(count)).toBe(0);
  });

  it('go on in a view of their own where the one before them lost its own', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const { store } = open;
    const ended = store.read((db) => db.all('ROLLBACK').catch(() => {}));
    const next = store.read(async (db) => [await count(db), await count(db)]);
    // Only one of the drivers lets a read end its transaction at all.
    if (driver === 'node:sqlite') await expect(ended).rejects.toThrow('no transaction is active');
    else await ended;
    expect(await next).toEqual([0, 0]);
    expect(await store.read(count)).toBe(0);
  });

  it('that are more than share one view are all answered, in their order', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    const order: number[] = [];
    const indexes = Array.from({ length: 200 }, (_, index) => index);
    await Promise.all(
      indexes.map(async (index) => {
        await open.store.read(count);
        order.push(index);
      }),
    );
    expect(order).toEqual(indexes);
  });

  it('leave no view open: the journal can be emptied as soon as they are answered', async () => {
    using dir = scratch();
    await using open = await openCounter(driver, dir.at('seed.db'));
    await Promise.all([open.store.read(count), open.store.read(count), raise(open.store)]);
    await open.store.scrub();
    expect(open.store.size().wal).toBe(0);
  });

  it('are answered before the store closes, and refused after', async () => {
    using dir = scratch();
    const { store, path } = await openCounter(driver, dir.at('seed.db'));
    const before = [store.read(count), store.read(count)];
    const closing = store.close();
    const after = [store.read(count), store.read(count)];
    expect(await Promise.all(before)).toEqual([0, 0]);
    await closing;
    // Asked for while the ones before were waiting still, they may have gone along with them.
    for (const each of after) expect(['none', 'stopping']).toContain(await codeOf(each));
    expect(await codeOf(store.read(count))).toBe('stopping');
    const reader = openSqliteReader(path, driver);
    expect(await Promise.all([reader.read(count), reader.read(count)])).toEqual([0, 0]);
    await reader.close();
  });
});
