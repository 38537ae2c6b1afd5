/** What every driver of the store port must do alike. */
import { closeSync, copyFileSync, openSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from '../support/fast-check.ts';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { SeedError } from '../../src/errors.ts';
import { migrate, migrationChecksum } from '../../src/substrate/store/migrate.ts';
import { MIGRATIONS } from '../../src/substrate/store/migrations/index.ts';
import type { Migration } from '../../src/substrate/store/migrations/migration.ts';
import { openConnection, sqliteCode } from '../../src/substrate/store/connection.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { openSqliteReader, openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import type { ReadHandle, Store, Transaction, Value } from '../../src/substrate/store/store.ts';
import { startNode } from '../support/child.ts';
import { codeOf, DRIVERS } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const OUTSIDE = fileURLToPath(new URL('../support/outside.ts', import.meta.url));

interface OpenStore extends AsyncDisposable {
  readonly path: string;
  readonly store: Store;
}

/** A store with a table of one text column, `t`. */
async function openStore(driver: SqliteDriver, path: string, fault?: (point: string) => void): Promise<OpenStore> {
  const store = openSqliteStore({ path, driver, sources: testSources(), ...(fault === undefined ? {} : { fault }) });
  await store.transaction((tx) =>
    tx.run('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB, number INTEGER) STRICT'),
  );
  return { path, store, [Symbol.asyncDispose]: () => store.close() };
}

const add = (tx: Transaction, text: string): Promise<number> => tx.run('INSERT INTO t (text) VALUES (?)', text);

async function texts(store: Store): Promise<unknown[]> {
  const rows = await store.read((db) => db.all<{ text: string }>('SELECT text FROM t ORDER BY id'));
  return rows.map(({ text }) => text);
}

function codeOfOpening(driver: SqliteDriver, path: string): string {
  try {
    openSqliteStore({ path, driver, sources: testSources() });
    return 'none';
  } catch (error) {
    return (error as SeedError).code;
  }
}

describe.each(DRIVERS)('store on %s: transactions', (driver) => {
  it('keeps what a transaction did, and nothing of one that threw', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'kept'));
    const thrown = new Error('no');
    await expect(
      open.store.transaction(async (tx) => {
        await add(tx, 'lost');
        throw thrown;
      }),
    ).rejects.toBe(thrown);
    expect(await texts(open.store)).toEqual(['kept']);
  });

  it('undoes one savepoint and keeps the others', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction(async (tx) => {
      await tx.savepoint();
      await add(tx, 'first');
      await tx.release();
      await tx.savepoint();
      await add(tx, 'undone');
      await tx.rollback();
      await tx.savepoint();
      await add(tx, 'third');
      await tx.release();
    });
    expect(await texts(open.store)).toEqual(['first', 'third']);
  });

  it('undoes the first savepoint as well, with nothing before it, and keeps what follows', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction(async (tx) => {
      await tx.savepoint();
      await add(tx, 'undone');
      await tx.rollback();
      await tx.savepoint();
      await add(tx, 'undone too');
      await tx.rollback();
      await tx.savepoint();
      await add(tx, 'kept');
      await tx.release();
      await tx.savepoint();
      await add(tx, 'undone at last');
      await tx.rollback();
      await add(tx, 'and kept');
    });
    expect(await texts(open.store)).toEqual(['kept', 'and kept']);
  });

  it('runs transactions one after the other, in order', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
    await Promise.all(names.map((name) => open.store.transaction((tx) => add(tx, name))));
    expect(await texts(open.store)).toEqual(names);
  });

  it('never shows a reader what is not committed, nor what comes while it reads', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'old'));
    const seen: unknown[] = [];
    await open.store.transaction(async (tx) => {
      await add(tx, 'new');
      seen.push(...(await texts(open.store)));
      // The control: the writer's own connection does see it.
      expect(await tx.all('SELECT text FROM t')).toHaveLength(2);
    });
    expect(seen).toEqual(['old']);
    await open.store.read(async (db) => {
      expect(await db.all('SELECT text FROM t')).toHaveLength(2);
      const other = openConnection(driver, open.path);
      other.exec("INSERT INTO t (text) VALUES ('meanwhile')");
      other.close();
      expect(await db.all('SELECT text FROM t')).toHaveLength(2);
    });
    expect(await texts(open.store)).toEqual(['old', 'new', 'meanwhile']);
  });

  it('refuses a handle once its function has ended', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    let kept: Transaction | undefined;
    let reading: ReadHandle | undefined;
    await open.store.transaction(async (tx) => {
      kept = tx;
    });
    await open.store.read(async (db) => {
      reading = db;
    });
    expect(await codeOf(add(kept!, 'late'))).toBe('handle_closed');
    expect(await codeOf(reading!.get('SELECT 1'))).toBe('handle_closed');
    expect(await texts(open.store)).toEqual([]);
  });

  it('lets a reader write nothing, by whatever statement', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    const attempts = [
      "INSERT INTO t (text) VALUES ('x') RETURNING id",
      "WITH v AS (SELECT 'x' AS text) INSERT INTO t (text) SELECT text FROM v RETURNING id",
      'PRAGMA user_version = 7',
    ];
    for (const sql of attempts) await open.store.read((db) => db.all(sql)).catch(() => {});
    expect(await texts(open.store)).toEqual([]);
    expect(await open.store.read((db) => db.get('SELECT user_version FROM pragma_user_version'))).toMatchObject({
      user_version: 0,
    });
  });

  it('catches a reader that waits for something else', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    const forever = Promise.withResolvers<never>().promise;
    expect(await codeOf(open.store.read(() => forever))).toBe('foreign_wait');
    expect(await texts(open.store)).toEqual([]);
  });

  it('loses the whole transaction, and says so, where a statement ended it by itself', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => tx.run("INSERT INTO t (id, text) VALUES (1, 'old')"));
    const lost = open.store.transaction(async (tx) => {
      await tx.savepoint();
      await add(tx, 'before');
      await tx.release();
      await tx.savepoint();
      await tx.run("INSERT OR ROLLBACK INTO t (id, text) VALUES (1, 'twice')").catch(() => {});
      await tx.rollback().catch(() => {});
      // Without the guard these two would be a transaction of their own, committed by its release.
      await tx.savepoint().catch(() => {});
      await add(tx, 'after').catch(() => {});
      await tx.release().catch(() => {});
    });
    expect(await codeOf(lost)).toBe('commit_unknown');
    expect(await texts(open.store)).toEqual(['old']);
    await open.store.transaction((tx) => add(tx, 'on it goes'));
    expect(await texts(open.store)).toEqual(['old', 'on it goes']);
  });
});

describe.each(DRIVERS)('store on %s: a transaction that a statement of its first operation ended', (driver) => {
  it.each(['release', 'rollback'] as const)('is lost, and %s says so', async (end) => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => tx.run("INSERT INTO t (id, text) VALUES (1, 'old')"));
    const seen: string[] = [];
    const lost = open.store.transaction(async (tx) => {
      await tx.savepoint();
      await add(tx, 'before');
      await tx.run("INSERT OR ROLLBACK INTO t (id, text) VALUES (1, 'twice')").catch(() => {});
      await tx[end]().catch((error: Error) => seen.push(error.name));
      // Without the guard this would commit by itself.
      await add(tx, 'after').catch((error: Error) => seen.push(error.name));
    });
    expect(await codeOf(lost)).toBe('commit_unknown');
    expect(seen).toEqual(['TransactionLost', 'TransactionLost']);
    expect(await texts(open.store)).toEqual(['old']);
  });
});

describe.each(DRIVERS)('store on %s: values', (driver) => {
  const value = {
    text: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom('', 'a\0b', 'Grüße 🌱', '\u{10ffff}', '\ufeff'),
      fc.constant(null),
    ),
    bytes: fc.oneof(fc.uint8Array({ maxLength: 5_000 }), fc.constant(null)),
    number: fc.oneof(
      fc.maxSafeInteger(),
      fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31, -(2 ** 31) - 1),
      fc.constant(null),
    ),
  };

  it('come back as they went in', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    const property = fc.asyncProperty(fc.record(value), async ({ text, bytes, number }) => {
      const params: readonly Value[] = [text, bytes, number];
      await open.store.transaction(async (tx) => {
        await tx.run('DELETE FROM t');
        await tx.run('INSERT INTO t (text, bytes, number) VALUES (?, ?, ?)', ...params);
      });
      const row = await open.store.read((db) => db.get<Record<string, Value>>('SELECT text, bytes, number FROM t'));
      expect({ ...row, bytes: row!['bytes'] === null ? null : new Uint8Array(row!['bytes'] as Uint8Array) }).toEqual({
        text,
        bytes,
        number,
      });
    });
    await fc.assert(property, { seed: 7, numRuns: 100 });
  });

  it('count changed rows, and nothing found is undefined or an empty list', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction(async (tx) => {
      expect(await add(tx, 'a')).toBe(1);
      expect(await add(tx, 'b')).toBe(1);
      expect(await tx.run("UPDATE t SET text = 'c'")).toBe(2);
      expect(await tx.run('DELETE FROM t WHERE id > 99')).toBe(0);
      expect(await tx.get('SELECT text FROM t WHERE id > 99')).toBeUndefined();
      expect(await tx.all('SELECT text FROM t WHERE id > 99')).toEqual([]);
    });
  });
});

describe.each(DRIVERS)('store on %s: errors', (driver) => {
  it('have one set of codes', () => {
    using dir = scratch();
    const db = openConnection(driver, dir.at('x.db'));
    const codes = [
      'CREATE TABLE u (a INTEGER PRIMARY KEY, b TEXT NOT NULL) STRICT',
      "INSERT INTO u VALUES (1, 'x')",
      "INSERT INTO u VALUES (1, 'x')",
      'INSERT INTO u VALUES (2, NULL)',
      'nonsense',
      "PRAGMA main.journal_mode = 'wal'; BEGIN IMMEDIATE",
    ].map((sql) => {
      try {
        db.exec(sql);
        return null;
      } catch (error) {
        return sqliteCode(error);
      }
    });
    expect(codes).toEqual([null, null, 'SQLITE_CONSTRAINT', 'SQLITE_CONSTRAINT', 'SQLITE_ERROR', null]);
    const second = openConnection(driver, dir.at('x.db'));
    expect(() => second.exec('BEGIN IMMEDIATE')).toThrow(
      expect.toSatisfy((e: unknown) => sqliteCode(e) === 'SQLITE_BUSY') as Error,
    );
    second.close();
    db.close();
    expect(sqliteCode(new Error('another'))).toBeNull();
  });

  it('name a file that is no database, one of another program, and a damaged one', async () => {
    using dir = scratch();
    writeFileSync(dir.at('text.db'), 'This is a letter to my aunt, and no database.');
    writeFileSync(dir.at('short.db'), 'x');
    const foreign = new DatabaseSync(dir.at('foreign.db'));
    foreign.exec('CREATE TABLE bookmarks (url TEXT)');
    foreign.close();
    await (await openStore(driver, dir.at('damaged.db'))).store.close();
    const bytes = Buffer.alloc(statSync(dir.at('damaged.db')).size, 0xa5);
    bytes.write('SQLite format 3\0', 'latin1');
    writeFileSync(dir.at('damaged.db'), bytes);
    for (const name of ['text.db', 'short.db', 'foreign.db', 'damaged.db']) {
      const before = statSync(dir.at(name)).mtimeMs;
      expect([name, codeOfOpening(driver, dir.at(name))]).toEqual([name, 'store_corrupt']);
      expect([name, statSync(dir.at(name)).mtimeMs]).toEqual([name, before]);
    }
    expect(codeOfOpening(driver, dir.folder)).toBe('store_unwritable');
    expect(codeOfOpening(driver, dir.at('no', 'such', 'folder.db'))).toBe('store_unwritable');
    expect(() => openSqliteReader(dir.at('foreign.db'), driver)).toThrow(
      expect.objectContaining({ code: 'store_corrupt' }) as Error,
    );
    expect(() => openSqliteReader(dir.at('none.db'), driver)).toThrow(
      expect.objectContaining({ code: 'store_unwritable' }) as Error,
    );
    // The control: an empty file is a new database.
    writeFileSync(dir.at('empty.db'), '');
    expect(codeOfOpening(driver, dir.at('empty.db'))).toBe('none');
  });

  it('name a page that is damaged while the store is open, and lose nothing acknowledged', async () => {
    using dir = scratch();
    const open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction(async (tx) => {
      for (let index = 0; index < 500; index++) await add(tx, `row ${index} ${'x'.repeat(200)}`);
    });
    await open.store.close();
    const healthy = new DatabaseSync(dir.at('seed.db'));
    const page = (healthy.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 't'").get() as { rootpage: number })
      .rootpage;
    healthy.close();
    const { store } = await openStore(driver, dir.at('seed.db'));
    const file = openSync(dir.at('seed.db'), 'r+');
    writeSync(file, Buffer.alloc(4096, 0xee), 0, 4096, (page - 1) * 4096);
    closeSync(file);
    expect(await codeOf(store.read((db) => db.all('SELECT text FROM t')))).toBe('store_corrupt');
    expect(await codeOf(store.transaction((tx) => add(tx, 'into the hole')))).toBe('commit_unknown');
    await store.close();
  });

  it('refuses to commit into a file that was moved away, and goes on when it is back', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'before'));
    renameSync(dir.at('seed.db'), dir.at('elsewhere.db'));
    await delay(100);
    expect(await codeOf(open.store.transaction((tx) => add(tx, 'lost')))).toBe('store_vanished');
    expect(await codeOf(open.store.reopen())).toBe('store_vanished');
    renameSync(dir.at('elsewhere.db'), dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'after'));
    expect(await texts(open.store)).toEqual(['before', 'after']);
  });

  it.each(['seed.db', 'seed.db-wal'])('does not acknowledge a commit right after %s was moved away', async (name) => {
    using dir = scratch();
    const { store } = await openStore(driver, dir.at('seed.db'));
    await store.transaction((tx) => add(tx, 'before'));
    renameSync(dir.at(name), dir.at('elsewhere'));
    const codes = [
      await codeOf(store.transaction((tx) => add(tx, 'lost'))),
      await codeOf(store.transaction((tx) => add(tx, 'more'))),
    ];
    // Whether the first is refused or in doubt depends on how long ago the last look was.
    expect(['store_vanished', 'commit_unknown']).toContain(codes[0]);
    expect(codes[1]).toBe('store_vanished');
    await store.close();
  });

  it('goes on while other files of its folder come and go', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    for (const name of ['one', 'two', 'three']) {
      writeFileSync(dir.at(name), name);
      await open.store.transaction((tx) => add(tx, name));
      rmSync(dir.at(name));
    }
    expect(await texts(open.store)).toEqual(['one', 'two', 'three']);
  });

  it.each(['seed.db', 'seed.db-wal'])('does not acknowledge a commit during which %s was deleted', async (name) => {
    using dir = scratch();
    const removed = { now: false };
    const open = await openStore(driver, dir.at('seed.db'), (point) => {
      if (point === 'store.commit.before' && removed.now) rmSync(dir.at(name));
    });
    removed.now = true;
    const lost = open.store.transaction((tx) => add(tx, 'into a file without a name'));
    await expect(lost).rejects.toMatchObject({ code: 'commit_unknown', data: { reason: 'store_vanished' } });
    removed.now = false;
    expect(await codeOf(open.store.transaction((tx) => add(tx, 'more')))).toBe('store_vanished');
    await open.store.close();
  });
});

describe.each(DRIVERS)('store on %s: another journal', (driver) => {
  it('under the name of the one in use is taken for what it is', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'before'));
    copyFileSync(dir.at('seed.db-wal'), dir.at('other-wal'));
    renameSync(dir.at('other-wal'), dir.at('seed.db-wal'));
    // The name is there at every look; which file it is is looked at once in a while.
    const codes = new Set<string>();
    while (!codes.has('store_vanished') && !codes.has('commit_unknown')) {
      codes.add(await codeOf(open.store.transaction((tx) => add(tx, 'into a file without a name'))));
    }
    expect([...codes].filter((code) => code !== 'none')).toHaveLength(1);
    expect(await codeOf(open.store.transaction((tx) => add(tx, 'more')))).toBe('store_vanished');
  });
});

describe.each(DRIVERS)('store on %s: a program from outside', (driver) => {
  it('holding the write lock makes writes wait, and nothing else', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await using outside = startNode([OUTSIDE, open.path, 'write']);
    await outside.line((line) => line === 'holding');
    let written = false;
    const write = open.store.transaction((tx) => add(tx, 'patient')).then(() => (written = true));
    let turns = 0;
    while (turns < 200) {
      await nextTurn();
      turns++;
      if (turns % 20 === 0) expect(await texts(open.store)).toEqual([]);
    }
    expect({ written, turns }).toEqual({ written: false, turns: 200 });
    outside.tell('release');
    await write;
    expect(await texts(open.store)).toEqual(['patient']);
    expect(await outside.ended).toMatchObject({ code: 0 });
  });

  it('holding the write lock does not keep the store from opening', async () => {
    using dir = scratch();
    await (await openStore(driver, dir.at('seed.db'))).store.close();
    await using outside = startNode([OUTSIDE, dir.at('seed.db'), 'write']);
    await outside.line((line) => line === 'holding');
    const store = openSqliteStore({ path: dir.at('seed.db'), driver, sources: testSources() });
    expect(await texts(store)).toEqual([]);
    outside.tell('release');
    await store.transaction((tx) => add(tx, 'after'));
    expect(await texts(store)).toEqual(['after']);
    await store.close();
  });

  it('reading makes a scrub wait, during which others read and write', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await using outside = startNode([OUTSIDE, open.path, 'read']);
    await outside.line((line) => line === 'holding');
    await open.store.transaction((tx) => add(tx, 'one'));
    let scrubbed = false;
    const scrub = open.store.scrub().then(() => (scrubbed = true));
    await open.store.transaction((tx) => add(tx, 'two'));
    expect(await texts(open.store)).toEqual(['one', 'two']);
    expect(scrubbed).toBe(false);
    outside.tell('release');
    await scrub;
    expect(open.store.size().wal).toBe(0);
  });
});

describe.each(DRIVERS)('store on %s: migrations', (driver) => {
  const [first, second]: readonly [Migration, Migration] = [
    { version: 1, name: 'one', sql: 'CREATE TABLE one (a TEXT) STRICT' },
    { version: 2, name: 'two', sql: 'CREATE TABLE two (a TEXT) STRICT' },
  ];
  const sources = testSources();
  const applied = (path: string): unknown[] => {
    const db = new DatabaseSync(path);
    const rows = db.prepare('SELECT version, name, checksum FROM substrate_migrations ORDER BY version').all();
    db.close();
    return rows.map((row) => ({ ...row }));
  };
  const rowOf = (migration: Migration): object => ({
    version: migration.version,
    name: migration.name,
    checksum: migrationChecksum(migration),
  });

  it('apply once, in order, with their checksums', () => {
    using dir = scratch();
    const db = openConnection(driver, dir.at('x.db'));
    migrate(db, sources, [first]);
    migrate(db, sources, [first, second]);
    migrate(db, sources, [first, second]);
    db.close();
    expect(applied(dir.at('x.db'))).toEqual([first, second].map(rowOf));
  });

  it('are there whole or not at all', () => {
    using dir = scratch();
    const db = openConnection(driver, dir.at('x.db'));
    const broken = { ...second, sql: 'CREATE TABLE two (a TEXT) STRICT; CREATE TABLE one (b TEXT); nonsense' };
    expect(() => migrate(db, sources, [first, broken])).toThrow('one');
    expect(db.scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'two'")).toBe(0);
    migrate(db, sources, [first, second]);
    db.close();
    expect(applied(dir.at('x.db'))).toEqual([first, second].map(rowOf));
  });

  it('refuse a newer database, and one whose version is not the one known', () => {
    using dir = scratch();
    const db = openConnection(driver, dir.at('x.db'));
    migrate(db, sources, [first, second]);
    const refusal = (migrations: readonly Migration[]): unknown => {
      try {
        migrate(db, sources, migrations);
        return null;
      } catch (error) {
        return (error as SeedError).code;
      }
    };
    expect(refusal([first])).toBe('store_newer');
    expect(refusal([first, { ...second, sql: `${second.sql} ` }])).toBe('store_corrupt');
    expect(refusal([first, second])).toBeNull();
    db.close();
  });

  it('let a second program that migrates at the same time find them done', () => {
    using dir = scratch();
    const [mine, other] = [openConnection(driver, dir.at('x.db')), openConnection(driver, dir.at('x.db'))];
    let raced = 0;
    const racing = {
      ...mine,
      // Looks before the other begins and applies after it has ended, which is the race.
      exec: (sql: string) => {
        if (sql === 'BEGIN IMMEDIATE' && raced++ === 0) migrate(other, sources, [first, second]);
        mine.exec(sql);
      },
    };
    migrate(racing, sources, [first, second]);
    expect(raced).toBeGreaterThan(0);
    for (const db of [mine, other]) db.close();
    expect(applied(dir.at('x.db'))).toEqual([first, second].map(rowOf));
  });

  it('refuse to race with a program that knows other ones', () => {
    using dir = scratch();
    const [mine, other] = [openConnection(driver, dir.at('x.db')), openConnection(driver, dir.at('x.db'))];
    let raced = 0;
    const racing = {
      ...mine,
      exec: (sql: string) => {
        if (sql === 'BEGIN IMMEDIATE' && raced++ === 0)
          migrate(
            other,
            sources,
            [second].map((m) => ({ ...m, version: 1 })),
          );
        mine.exec(sql);
      },
    };
    expect(() => migrate(racing, sources, [first])).toThrow(
      expect.objectContaining({ code: 'store_corrupt' }) as Error,
    );
    expect(mine.scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'one'")).toBe(0);
    for (const db of [mine, other]) db.close();
  });

  it('make the schema of this version', async () => {
    using dir = scratch();
    await (await openStore(driver, dir.at('seed.db'))).store.close();
    expect(applied(dir.at('seed.db'))).toEqual(MIGRATIONS.map(rowOf));
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, index) => index + 1));
  });
});

describe.each(DRIVERS)('store on %s: the file', (driver) => {
  it('is closed to others from the start, with its journal', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    for (const name of ['seed.db', 'seed.db-wal', 'seed.db-shm']) {
      expect([name, statSync(dir.at(name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect(await open.store.check()).toEqual([]);
    // The control: SQLite by itself makes a file that others may read.
    const plain = new DatabaseSync(dir.at('plain.db'));
    plain.exec('CREATE TABLE a (b)');
    plain.close();
    expect(statSync(dir.at('plain.db')).mode & 0o077).not.toBe(0);
  });

  it('goes on after a reopening that failed, reads in between included', async () => {
    using dir = scratch();
    await using open = await openStore(driver, dir.at('seed.db'));
    await open.store.transaction((tx) => add(tx, 'before'));
    renameSync(dir.at('seed.db'), dir.at('elsewhere.db'));
    expect(await codeOf(open.store.reopen())).toBe('store_vanished');
    expect(await texts(open.store)).toEqual(['before']);
    renameSync(dir.at('elsewhere.db'), dir.at('seed.db'));
    await open.store.reopen();
    await open.store.transaction((tx) => add(tx, 'after'));
    expect(await texts(open.store)).toEqual(['before', 'after']);
  });
});
