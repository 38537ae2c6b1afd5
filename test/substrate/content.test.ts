/** Content kept apart by hash, and gone without a trace when it is erased. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import {
  CONTENT_BYTES_MAX,
  contentHash,
  eraseContent,
  getContent,
  keepContent,
  putContent,
} from '../../src/substrate/content.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { exportLog } from '../../src/substrate/receipts/export.ts';
import { eraseDueContent } from '../../src/substrate/retention.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import { migrate } from '../../src/substrate/store/migrate.ts';
import { MIGRATIONS } from '../../src/substrate/store/migrations/index.ts';
import { openSqliteReader } from '../../src/substrate/store/sqlite.ts';
import type { ReadHandle, Value } from '../../src/substrate/store/store.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, openAgain, openSeed, verifyFolder } from '../support/home.ts';
import type { TestSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { seededBytes } from '../support/sources.ts';
import { watched } from '../support/watched.ts';

const NOTE = { action: 'note.put', actor: CURSOR } as const;
const ERASE = { action: 'note.erase', actor: CURSOR } as const;

/** Files of the home in which any of these bytes stand. */
function filesWith(home: string, needles: readonly Uint8Array[]): string[] {
  return readdirSync(home, { recursive: true, encoding: 'utf8' })
    .map((name) => join(home, name))
    .filter((path) => existsSync(path) && statSync(path).isFile())
    .filter((path) => {
      const bytes = readFileSync(path);
      return needles.some((needle) => bytes.includes(Buffer.from(needle)));
    })
    .map((path) => path.slice(home.length + 1));
}

/** Recognisable anywhere: 16 bytes out of each of its parts, as pages may cut it. */
function needlesOf(body: Uint8Array): Uint8Array[] {
  const needles: Uint8Array[] = [];
  for (let at = 0; at + 16 <= body.length; at += 1_000) needles.push(body.subarray(at, at + 16));
  return needles;
}

async function put(
  { substrate, sources }: TestSeed,
  body: Uint8Array,
  eraseAt: number | null = null,
): Promise<{ hash: string; seq: number }> {
  const { value, seq } = await substrate.operate(NOTE, async (op) => {
    const input = await putContent(op, body, { sources, eraseAt });
    op.receipt({ input });
    return input;
  });
  return { hash: value, seq };
}

async function churn({ substrate }: TestSeed, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => substrate.operate(NOTE, async () => {})));
}

describe.each(DRIVERS)('content on %s', (driver) => {
  it('is kept under the hash of its salt and itself', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const body = Buffer.from('Grüße 🌱');
    const [one, two] = [await put(seed, body), await put(seed, body)];
    expect(one.hash).not.toBe(two.hash);
    expect(Buffer.from((await seed.substrate.read((db) => getContent(db, one.hash)))!)).toEqual(body);
    const row = await seed.substrate.read((db) =>
      db.get<{ salt: Uint8Array }>('SELECT salt FROM substrate_content WHERE hash = ?', one.hash),
    );
    expect(createHash('sha256').update(row!.salt).update(body).digest('hex')).toBe(one.hash);
    expect(await seed.substrate.read((db) => getContent(db, 'ab'.repeat(32)))).toBeNull();
  });

  it('has a largest size', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const largest = new Uint8Array(CONTENT_BYTES_MAX).fill(7);
    const { hash } = await put(seed, largest);
    expect((await seed.substrate.read((db) => getContent(db, hash)))!.length).toBe(CONTENT_BYTES_MAX);
    expect(await codeOf(put(seed, new Uint8Array(CONTENT_BYTES_MAX + 1)))).toBe('too_large');
  });

  it.each([
    ['short', 40],
    ['of several pages', 50_000],
    ['large', 2_000_000],
  ])('%s is found nowhere once erased, and its receipt still verifies', async (_name, bytes) => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, home } = seed;
    const body = seededBytes(`content ${bytes}`)(bytes);
    const needles = needlesOf(body);
    await churn(seed, 50);
    const { hash, seq } = await put(seed, body);
    await put(seed, seededBytes('neighbour')(60_000));
    await churn(seed, 200);
    const salt = (await substrate.read((db) =>
      db.get<{ salt: Uint8Array }>('SELECT salt FROM substrate_content WHERE hash = ?', hash),
    ))!.salt;
    // The control: before, the same search does find it.
    expect(filesWith(home, needles)).not.toEqual([]);
    expect(filesWith(home, [salt])).not.toEqual([]);
    await substrate.operate(ERASE, async (op) => {
      expect(await eraseContent(op, [hash])).toBe(1);
    });
    await substrate.scrub();
    expect(filesWith(home, [...needles, salt])).toEqual([]);
    await churn(seed, 100);
    expect(filesWith(home, [...needles, salt])).toEqual([]);
    expect(await substrate.read((db) => getContent(db, hash))).toBeNull();
    expect((await allReceipts(substrate))[seq]).toMatchObject({ input: hash });
    const { size, checkpoint } = await substrate.log();
    const out = dir.at('out');
    await exportLog(substrate, { out, size, checkpoint, signal: new AbortController().signal, onProgress: () => {} });
    expect(verifyFolder(out, { pinnedRoot: seed.pinnedRoot })).toMatchObject({ verdict: 'proven' });
    expect(filesWith(out, [...needles, salt])).toEqual([]);
  });

  it('is found nowhere after a stop in between either: the next start scrubs', async () => {
    using dir = scratch();
    const seed = await openSeed(dir, { driver });
    const body = seededBytes('cut off')(30_000);
    const needles = needlesOf(body);
    const { hash } = await put(seed, body);
    await seed.substrate.operate(ERASE, (op) => eraseContent(op, [hash]));
    // Erased and not scrubbed, as when the process dies in between: the journal still has it.
    expect(filesWith(seed.home, needles)).toEqual(['seed.db-wal']);
    await using again = await openAgain(seed.home, { driver });
    expect(filesWith(seed.home, needles)).toEqual([]);
    await again.substrate.close();
    await seed.substrate.close();
    expect(filesWith(seed.home, needles)).toEqual([]);
  });

  it('goes when its time has come, and not before', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, sources } = seed;
    const start = sources.time;
    const bodies = Array.from({ length: 5 }, (_, index) => seededBytes(`due ${index}`)(5_000));
    for (const [index, body] of bodies.entries()) await put(seed, body, start + 1_000 * index);
    const kept = await put(seed, seededBytes('for ever')(5_000));
    expect(await eraseDueContent(substrate, start - 1)).toBe(0);
    // Two at once: more than one round.
    expect(await eraseDueContent(substrate, start + 2_000, 2)).toBe(3);
    expect(await eraseDueContent(substrate, start + 2_000, 2)).toBe(0);
    const found = bodies.map((body) => filesWith(seed.home, needlesOf(body)).length > 0);
    expect(found).toEqual([false, false, false, true, true]);
    expect(await substrate.read((db) => getContent(db, kept.hash))).not.toBeNull();
  });
});

describe('content that was altered in the database', () => {
  it('is not shown as what the receipt stands for', async () => {
    using dir = scratch();
    const seed = await openSeed(dir);
    const { value: hash } = await seed.substrate.operate({ action: 'note.claim', actor: CURSOR }, async (op) =>
      putContent(op, Buffer.from('as it was'), { sources: seed.substrate.sources }),
    );
    expect(Buffer.from((await seed.substrate.read((db) => getContent(db, hash))) ?? []).toString()).toBe('as it was');
    await seed.substrate.close();
    const db = new Database(homePath(seed.home, 'database'));
    db.prepare('UPDATE substrate_content SET body = ?').run(Buffer.from('forged'));
    db.close();
    await using again = await openAgain(seed.home);
    expect(await codeOf(again.substrate.read((reader) => getContent(reader, hash)))).toBe('store_corrupt');
  });
});

describe('content of a home from before it was numbered', () => {
  /** A home as migrations up to the tenth left it, with content of all ages. */
  function oldHome(path: string, pieces: number): Map<string, string> {
    const db = openConnection('better-sqlite3', path);
    migrate(db, systemSources, MIGRATIONS.slice(0, 10));
    const insert = db.prepare('INSERT INTO substrate_content (hash, salt, body, erase_at) VALUES (?, ?, ?, ?)');
    const kept = new Map<string, string>();
    db.exec('BEGIN');
    for (let nth = 0; nth < pieces; nth++) {
      const [salt, body] = [seededBytes(`salt ${nth}`)(32), `piece ${nth}`];
      const hash = contentHash(salt, Buffer.from(body));
      insert.run(hash, salt, Buffer.from(body), nth % 3 === 0 ? null : nth);
      kept.set(hash, body);
    }
    // What was erased left gaps in the numbers, which stay.
    for (const hash of [...kept.keys()].filter((_, nth) => nth % 5 === 0)) {
      db.prepare('DELETE FROM substrate_content WHERE hash = ?').run(hash);
      kept.delete(hash);
    }
    db.exec('COMMIT');
    db.close();
    return kept;
  }

  it('is all there, with its salts and times, on every shelf', async () => {
    using dir = scratch();
    const kept = oldHome(dir.at('seed.db'), 9_000);
    const before = openConnection('better-sqlite3', dir.at('seed.db'));
    const rows = 'SELECT hash, hex(salt) AS salt, hex(body) AS body, erase_at FROM substrate_content ORDER BY hash';
    const was = before.prepare(rows).all();
    migrate(before, systemSources);
    expect(before.prepare(rows).all()).toEqual(was);
    // Three shelves, so that looking on the newest alone would not do.
    expect(before.scalar('SELECT count(DISTINCT id >> 12) FROM substrate_content')).toBe(3);
    before.exec('PRAGMA application_id = 0x53454544; PRAGMA journal_mode = WAL');
    before.close();
    const reader = openSqliteReader(dir.at('seed.db'), 'better-sqlite3');
    await reader.read(async (db) => {
      for (const [hash, body] of kept) expect(Buffer.from((await getContent(db, hash)) ?? []).toString()).toBe(body);
      expect(await getContent(db, contentHash(seededBytes('salt 0')(32), Buffer.from('piece 0')))).toBeNull();
    });
    await reader.close();
  });
});

describe('calls of a home from before', () => {
  it('that ran are found by the next start, and the queue is as it was', () => {
    using dir = scratch();
    const db = openConnection('better-sqlite3', dir.at('seed.db'));
    migrate(db, systemSources, MIGRATIONS.slice(0, 10));
    const insert = db.prepare(
      "INSERT INTO substrate_calls (id, actor, role, status, input, created_at) VALUES (?, 'ann', 'worker', ?, 'x', ?)",
    );
    const statuses = ['queued', 'running', 'complete', 'queued', 'in_doubt', 'running'];
    for (const [nth, status] of statuses.entries()) insert.run(`c${nth}`, status, 10 - nth);
    migrate(db, systemSources);
    expect(db.prepare('SELECT id FROM substrate_calls WHERE halfway IS NOT NULL ORDER BY id').all()).toEqual([
      { id: 'c1' },
      { id: 'c5' },
    ]);
    const queue = "SELECT id FROM substrate_calls WHERE status = 'queued' ORDER BY created_at, id LIMIT 9";
    expect(db.prepare(queue).all()).toEqual([{ id: 'c3' }, { id: 'c0' }]);
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${queue}`).all() as { detail: string }[];
    expect(plan.map(({ detail }) => detail)).toEqual([
      'SCAN substrate_calls USING COVERING INDEX substrate_calls_queued',
    ]);
    db.close();
  });
});

/** Reads as they are, with the plan of each as SQLite tells it. */
function planner({ home }: TestSeed): { spy: (db: ReadHandle) => ReadHandle; plans: string[] } {
  const plans: string[] = [];
  const explain = (sql: string, params: readonly Value[]): void => {
    const store = openConnection('better-sqlite3', homePath(home, 'database'), { readonly: true });
    const steps = store.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...params) as { detail: string }[];
    plans.push(...steps.map(({ detail }) => detail));
    store.close();
  };
  return { spy: (db) => watched(db, explain), plans };
}

describe('content on an old shelf', () => {
  it('is found, kept longer and erased like any other, and no piece of another shelf goes with it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [first, other] = [await put(seed, Buffer.from('first'), 1_000), await put(seed, Buffer.from('other'))];
    // As if so much had come since that there is a newer shelf, and one that is empty.
    await substrate.operate(NOTE, (op) =>
      op.run("INSERT INTO substrate_content (id, hash, salt, body) VALUES (9000, 'x', x'00', x'00')"),
    );
    const newest = await put(seed, Buffer.from('newest'));
    const found = async ({ hash }: { hash: string }): Promise<string | undefined> => {
      const body = await substrate.read((db) => getContent(db, hash));
      return body === null ? undefined : Buffer.from(body).toString();
    };
    expect(await Promise.all([first, other, newest].map(found))).toEqual(['first', 'other', 'newest']);
    await substrate.operate(NOTE, async (op) => {
      await keepContent(op, first.hash, 2_000);
      // Never shorter, and what is kept for ever stays so.
      await keepContent(op, first.hash, 500);
      await keepContent(op, other.hash, 3_000);
    });
    const times = await substrate.read((db) =>
      db.all('SELECT erase_at FROM substrate_content WHERE id < 9000 ORDER BY id'),
    );
    expect(times).toEqual([{ erase_at: 2_000 }, { erase_at: null }]);
    await substrate.operate(ERASE, async (op) => expect(await eraseContent(op, [first.hash, first.hash])).toBe(1));
    expect(await Promise.all([first, other, newest].map(found))).toEqual([undefined, 'other', 'newest']);
  });

  it('is looked for on every shelf, and among the few that stand on none: nothing else is gone through', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { spy, plans } = planner(seed);
    await seed.substrate.read((db) => getContent(spy(db), 'ab'.repeat(32)));
    expect(plans).toContain('SEARCH s USING PRIMARY KEY (shelf=? AND prefix=?)');
    expect(plans).toContain('SEARCH substrate_content USING INTEGER PRIMARY KEY (rowid>?)');
    expect(plans.filter((step) => /^SCAN (c|s|substrate_content)\b/.test(step))).toEqual([]);
  });

  it('is found on its shelf when it is due: no body is read for it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    await put(seed, Buffer.from('some'), 1_000);
    const { spy, plans } = planner(seed);
    await eraseDueContent(
      {
        read: (fn) => substrate.read((db) => fn(spy(db))),
        maintain: (fn) => substrate.maintain(fn),
        scrub: () => substrate.scrub(),
      },
      2_000,
    );
    expect(plans).toEqual([
      'SEARCH substrate_content',
      // Of the few that stand on none.
      'SEARCH substrate_content USING INTEGER PRIMARY KEY (rowid>?)',
      'SCALAR SUBQUERY 1',
      'SEARCH substrate_content',
      'SEARCH substrate_content_shelves USING PRIMARY KEY (shelf=?)',
    ]);
  });
});
