/** Which table changes with a receipt, which without, and that no statement slips past the list. */
import { describe, expect, it } from 'vitest';
import type { Writer } from '../../src/substrate/tables.ts';
import { assertReading, assertWritable, TABLE_WRITERS } from '../../src/substrate/tables.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, openSeed, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const ATTEMPT = { action: 'note.put', actor: CURSOR } as const;

/** Tables that the list forgets, and entries that no table has. */
async function mismatches(
  substrate: Substrate,
  writers: Readonly<Record<string, readonly Writer[]>>,
): Promise<{ unlisted: string[]; absent: string[] }> {
  const rows = await substrate.read((db) =>
    db.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"),
  );
  const tables = new Set(rows.map(({ name }) => name));
  return {
    unlisted: [...tables].filter((name) => !Object.hasOwn(writers, name)),
    absent: Object.keys(writers).filter((name) => !tables.has(name)),
  };
}

function codeOfSync(work: () => void): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the list of tables', () => {
  it('[LOCK-RECEIPT-2] names every table of the schema and no other', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    expect(await mismatches(seed.substrate, TABLE_WRITERS)).toEqual({ unlisted: [], absent: [] });
    // The control: a list that forgets one, and one that invents one, are both found out.
    const { substrate_content: _, ...forgetful } = TABLE_WRITERS;
    expect(await mismatches(seed.substrate, forgetful)).toEqual({ unlisted: ['substrate_content'], absent: [] });
    const inventive = { ...TABLE_WRITERS, substrate_wishes: ['operation'] as const };
    expect(await mismatches(seed.substrate, inventive)).toEqual({ unlisted: [], absent: ['substrate_wishes'] });
  });

  it.each(Object.entries(TABLE_WRITERS))('%s is written by %j alone', (table, writers) => {
    for (const writer of ['operation', 'maintenance'] as const) {
      for (const sql of [`INSERT INTO ${table} VALUES (1)`, `UPDATE ${table} SET a = 1`, `DELETE FROM ${table}`]) {
        const expected = writers.includes(writer) ? 'none' : 'volatile_only';
        expect([writer, sql, codeOfSync(() => assertWritable(sql, writer))]).toEqual([writer, sql, expected]);
      }
    }
  });
});

describe('statements', () => {
  const slips = [
    'DELETE FROM main.substrate_receipts',
    'DELETE FROM main . substrate_receipts',
    'DELETE FROM "substrate_receipts"',
    'DELETE FROM [substrate_receipts]',
    'DELETE FROM `substrate_receipts`',
    'DELETE/* */FROM/* substrate_content */substrate_receipts',
    'DELETE FROM -- substrate_content\n substrate_receipts',
    '/* DELETE FROM substrate_content */ DELETE FROM substrate_receipts',
    'WITH a AS (SELECT 1) DELETE FROM substrate_receipts',
    'WITH substrate_content AS (SELECT 1) DELETE FROM substrate_receipts',
    'REPLACE INTO substrate_receipts SELECT * FROM substrate_receipts',
    'INSERT OR REPLACE INTO substrate_log SELECT * FROM substrate_log',
    "INSERT OR IGNORE INTO substrate_growth VALUES ('a', 1)",
    'UPDATE OR IGNORE substrate_log SET size = 0',
    'UPDATE OR REPLACE/**/substrate_log SET size = 0',
    'UPDATE substrate_receipts SET seq = 1 FROM substrate_content',
    'DELETE FROM substrate_content; DELETE FROM substrate_receipts',
    "DELETE FROM substrate_content WHERE hash = 'a' ; ROLLBACK",
    'UPDATE OR ROLLBACK substrate_content SET hash = 1',
    'INSERT OR ROLLBACK INTO substrate_content SELECT * FROM substrate_content',
    'DROP TABLE substrate_receipts',
    'ALTER TABLE substrate_receipts RENAME TO substrate_content',
    'CREATE TRIGGER t AFTER INSERT ON substrate_content BEGIN DELETE FROM substrate_receipts; END',
    'CREATE TEMP TABLE substrate_content (a)',
    'PRAGMA synchronous = OFF',
    "ATTACH DATABASE '/tmp/other.db' AS other",
    'SAVEPOINT a',
    'COMMIT',
    'ROLLBACK',
    'VACUUM',
    'DELETE FROM constructor',
    'DELETE FROM __proto__',
    '',
  ];

  it.each(slips)('of an operation may not be %j', (sql) => {
    expect(codeOfSync(() => assertWritable(sql, 'operation'))).toBe('volatile_only');
    expect(codeOfSync(() => assertReading(sql))).toBe('volatile_only');
  });

  it.each([
    'INSERT INTO substrate_receipts SELECT * FROM substrate_receipts RETURNING seq',
    'DELETE FROM substrate_content RETURNING hash',
    'WITH a AS (SELECT 1) INSERT OR IGNORE INTO substrate_content SELECT 1, 2, 3, 4 RETURNING hash',
    'WITH a AS (SELECT 1) UPDATE main.substrate_log SET size = 0 RETURNING size',
    'WITH a AS (SELECT 1) UPDATE "substrate_log" SET size = 0 RETURNING size',
    'WITH a AS (SELECT 1) UPDATE OR IGNORE substrate_log SET size = 0 RETURNING size',
    'WITH a AS (SELECT 1) DELETE/**/FROM substrate_receipts RETURNING seq',
    'WITH a AS (SELECT 1) REPLACE/**/INTO substrate_log SELECT * FROM substrate_log RETURNING size',
    'SELECT 1; DELETE FROM substrate_receipts',
    'EXPLAIN DELETE FROM substrate_receipts',
  ])('of a read may not be %j', (sql) => {
    expect(codeOfSync(() => assertReading(sql))).toBe('volatile_only');
  });

  it.each([
    'INSERT INTO substrate_content (hash) VALUES (?) ON CONFLICT (hash) DO UPDATE SET body = excluded.body',
    "UPDATE substrate_content SET hash = 'a; DELETE FROM substrate_receipts'",
    'DELETE FROM substrate_content WHERE hash IN (SELECT bytes FROM substrate_receipts) -- reads the log',
    '/* why */ delete from substrate_content',
  ])('of an operation may be %j', (sql) => {
    expect(codeOfSync(() => assertWritable(sql, 'operation'))).toBe('none');
  });

  it.each([
    'SELECT count(*) FROM substrate_receipts',
    "SELECT replace(bytes, 'DELETE FROM', 'UPDATE') AS a FROM substrate_receipts",
    "SELECT 'INSERT INTO t' AS a -- DELETE FROM\n",
    'WITH a AS (SELECT 1 AS b) SELECT b FROM a',
  ])('of a read may be %j', (sql) => {
    expect(codeOfSync(() => assertReading(sql))).toBe('none');
  });
});

describe.each(DRIVERS)('a handle on %s', (driver) => {
  it('[LOCK-RECEIPT-2] keeps receipted state to operations, volatile state to maintenance, the log to itself', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate } = seed;
    const statements = [
      'DELETE FROM substrate_receipts',
      'UPDATE substrate_log SET size = 0',
      'DELETE FROM substrate_tree',
      'DELETE FROM substrate_migrations',
      "WITH a AS (SELECT 1) UPDATE main.substrate_log SET checkpoint = 'x' RETURNING size",
      "PRAGMA secure_delete = 'off'",
    ];
    for (const sql of statements) {
      for (const verb of ['run', 'get', 'all'] as const) {
        const operation = codeOf(substrate.operate<unknown>(ATTEMPT, (op) => op[verb](sql)));
        const upkeep = codeOf(substrate.maintain<unknown>((tx) => tx[verb](sql)));
        expect([sql, await operation, await upkeep]).toEqual([sql, 'volatile_only', 'volatile_only']);
      }
    }
    const growth = "INSERT INTO substrate_growth (day, bytes) VALUES ('2026-11-21', 1)";
    const grant = "DELETE FROM substrate_grants WHERE id = 'x'";
    expect(await codeOf(substrate.operate(ATTEMPT, (op) => op.run(growth)))).toBe('volatile_only');
    expect(await codeOf(substrate.maintain((tx) => tx.run(growth)))).toBe('none');
    expect(await codeOf(substrate.maintain((tx) => tx.run(grant)))).toBe('volatile_only');
    expect(await codeOf(substrate.operate(ATTEMPT, (op) => op.run(grant)))).toBe('none');
    const receipts = await allReceipts(substrate);
    expect(receipts.filter(({ code }) => code === 'volatile_only')).toHaveLength(statements.length * 3 + 1);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
    });
  });
});
