/** The doctor: what a start refuses it calls bad, and what is bad it names. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/substrate/health.ts';
import { examineHome } from '../../src/substrate/health.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { readSettings, writeSettings } from '../../src/substrate/home/settings.ts';
import { KEY_NAMES, keyPath } from '../../src/substrate/identity/keys.ts';
import { auditLog } from '../../src/substrate/receipts/audit.ts';
import { readLogState } from '../../src/substrate/receipts/log.ts';
import { getReceipt, listReceipts } from '../../src/substrate/receipts/query.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { openSqliteReader } from '../../src/substrate/store/sqlite.ts';
import { codeOf, CURSOR, DRIVERS, makeHome, openAgain } from '../support/home.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const RECEIPTS = 700;
const NEVER = new AbortController().signal;
const WORK = { signal: NEVER, onProgress: (): void => {} };

let room: Scratch;

beforeAll(async () => {
  room = scratch();
  await fill(room.at('model'), 'one');
  await fill(room.at('other'), 'two');
});

afterAll(() => room[Symbol.dispose]());

/** A home with some receipts, by two actors. */
async function fill(home: string, seed: string): Promise<void> {
  await makeHome(home, { sources: testSources(seed) });
  await using opened = await openAgain(home);
  const actors = [CURSOR, { ...CURSOR, id: 'claude' }] as const;
  const note = async (index: number): Promise<unknown> =>
    opened.substrate.operate({ action: 'note.put', actor: actors[index % 2] ?? CURSOR }, async () => {});
  await Promise.all(Array.from({ length: RECEIPTS - 1 }, (_, index) => note(index)));
}

/** A copy of the model home, damaged. */
function damaged(dir: Scratch, damage: (home: string) => void): string {
  const home = dir.at('home');
  cpSync(room.at('model'), home, { recursive: true });
  // A copy is as open as the user's mask has it.
  for (const folder of ['', 'keys', 'owner', 'credentials']) chmodSync(join(home, folder), 0o700);
  for (const name of KEY_NAMES) chmodSync(keyPath(homePath(home, 'keys'), name), 0o600);
  damage(home);
  return home;
}

async function examine(home: string, driver: SqliteDriver = 'better-sqlite3'): Promise<Finding[]> {
  let store: ReturnType<typeof openSqliteReader> | null = null;
  const read: ReturnType<typeof openSqliteReader>['read'] = async (fn) => {
    store ??= openSqliteReader(homePath(home, 'database'), driver);
    return store.read(fn);
  };
  try {
    return await examineHome({ home, driver, read, ...WORK });
  } finally {
    await (store as ReturnType<typeof openSqliteReader> | null)?.close();
  }
}

async function badOf(home: string): Promise<string[]> {
  const findings = await examine(home);
  const bad = findings.filter(({ verdict }) => verdict === 'bad');
  for (const { says, advice } of bad) {
    expect(says).not.toMatch(/defect|undefined/);
    expect(advice).not.toBe('');
    expect(advice).not.toContain('defect');
  }
  return bad.map(({ check, says }) => `${check}: ${says}`);
}

/** Whether a start would serve this home and write to it. */
async function starts(home: string): Promise<boolean> {
  try {
    await using seed = await openAgain(home);
    return seed.substrate.distrust === null;
  } catch {
    return false;
  }
}

function sql(...statements: readonly string[]): (home: string) => void {
  return (home) => {
    const db = new Database(homePath(home, 'database'));
    for (const statement of statements) db.exec(statement);
    db.close();
  };
}

const write =
  (name: string, text: string) =>
  (home: string): void =>
    writeFileSync(join(home, name), text);

const fromOther =
  (name: string) =>
  (home: string): void =>
    copyFileSync(join(room.at('other'), name), join(home, name));

describe('the doctor', () => {
  it.each(DRIVERS)('finds nothing bad in a home in order, and says what it read, on %s', async (driver) => {
    using dir = scratch();
    const findings = await examine(
      damaged(dir, () => {}),
      driver,
    );
    expect(findings.filter(({ verdict }) => verdict === 'bad')).toEqual([]);
    expect(findings.map(({ check }) => check)).toEqual([
      'home',
      'settings',
      'lock',
      'keys',
      'passphrase',
      'root',
      'database',
      'log',
      'disk',
    ]);
    expect(findings.find(({ check }) => check === 'log')?.says).toBe(
      `All ${RECEIPTS} receipts are as they were signed, and continue the checkpoint kept outside.`,
    );
  });

  it.each<[string, (home: string) => void, RegExp]>([
    [
      'a garbage log key',
      write('keys/log.pem', 'garbage'),
      /^keys: The key file .*log\.pem is missing or cannot be read/,
    ],
    ['another seed’s log key', fromOther('keys/log.pem'), /^keys: The log key is not the one/],
    ['another seed’s root', fromOther('root/1.json'), /^log: The database in .* belongs to another seed\.$/],
    ['a root that does not verify', write('root/1.json', '{}'), /^root: The root of trust .* does not verify/],
    ['another seed’s database', fromOther('seed.db'), /^log: The database in .* belongs to another seed\.$/],
    [
      'an empty database',
      (home) => truncateSync(homePath(home, 'database')),
      /^database: The database file is damaged/,
    ],
    ['a garbage database', write('seed.db', 'garbage '.repeat(999)), /^database: The database file is damaged/],
    ['no database', (home) => rmSync(homePath(home, 'database')), /^database: seed\.db is missing\.$/],
    [
      'a newer database',
      sql("INSERT INTO substrate_migrations VALUES (999, 'x', 'y', 'z')"),
      /^database: .*version 999/,
    ],
    [
      'an altered version',
      sql("UPDATE substrate_migrations SET checksum = '00' WHERE version = 1"),
      /^database: .* that this program does not know\.$/,
    ],
    [
      'a version taken out',
      sql('DELETE FROM substrate_migrations WHERE version > 1'),
      /^database: seed\.db is not as version 1 made it: /,
    ],
    ['no list of versions', sql('DROP TABLE substrate_migrations'), /^database: The tables .*: no such table/],
    [
      'a table dropped',
      sql('DROP TABLE substrate_log'),
      /^database: seed\.db is not as version \d+ made it: substrate_log/,
    ],
    ['a head that does not parse', sql("UPDATE substrate_log SET frontier = x'00'"), /^log: The head of the log/],
    [
      'a head that was put back',
      sql("UPDATE substrate_log SET prev = printf('%064d', 0)"),
      /^log: The 700 receipts in the database are not those that its own checkpoint covers\. The receipts from 0 on form a chain/,
    ],
    ['no head', sql('DELETE FROM substrate_log'), /^log: The 0 receipts in the database are not those/],
    [
      'a first receipt that does not parse',
      sql("UPDATE substrate_receipts SET bytes = 'x' WHERE seq = 0"),
      /^log: Receipt 0 was altered in the database: it cannot be read\.$/,
    ],
    [
      'no checkpoint outside',
      (home) => rmSync(homePath(home, 'checkpoint')),
      /^log: The checkpoint kept outside the log is missing/,
    ],
    ['another seed’s checkpoint', fromOther('checkpoint'), /^log: The checkpoint kept in .* is not this seed’s\./],
    [
      'a garbage passphrase file',
      write('keys/passphrase.json', '{}'),
      /^passphrase: The passphrase file .* cannot be read\.$/,
    ],
  ])('calls bad what a start refuses: %s', async (_name, damage, wanted) => {
    using dir = scratch();
    const home = damaged(dir, damage);
    expect((await badOf(home)).filter((line) => wanted.test(line))).toHaveLength(1);
    expect(await starts(home)).toBe(false);
  });

  it.each<[string, (home: string) => void, RegExp]>([
    ['a garbage lock', write('lock.db', 'garbage '.repeat(999)), /^lock: The lock file .* is damaged\.$/],
    ['a garbage issuer key', write('keys/issuer.pem', 'x'), /^keys: The key file .*issuer\.pem/],
    ['another seed’s issuer key', fromOther('keys/issuer.pem'), /^keys: The issuer key is not the one/],
    ['another seed’s root key', fromOther('keys/root.pem'), /^keys: Not the key that the root of trust names: root\.$/],
    ['another seed’s next root key', fromOther('keys/root-next.pem'), /^keys: Not the key .* names: root-next\.$/],
    ['settings that do not parse', write('config.json', '{'), /^settings: .* does not parse\.$/],
    ['no settings', (home) => rmSync(homePath(home, 'settings')), /^settings: .*config\.json is missing\.$/],
    [
      'another seed’s settings',
      (home) => writeSettings(home, { ...readSettings(home), seed: '0'.repeat(64) }),
      /^settings: config\.json is of another seed\.$/,
    ],
    [
      'a log that is a file',
      (home) => {
        rmSync(homePath(home, 'log'), { recursive: true });
        writeFileSync(homePath(home, 'log'), '');
      },
      /^home: A folder where a file belongs, or the reverse: log in /,
    ],
    ['a socket that is a folder', (home) => mkdirSync(homePath(home, 'agentSocket')), /^home: .*: agent\.sock in /],
    [
      'a trigger of somebody else’s',
      sql('CREATE TRIGGER extra AFTER INSERT ON substrate_receipts BEGIN SELECT 1; END'),
      /^database: seed\.db is not as version \d+ made it: extra\.$/,
    ],
    [
      'a column that hides a receipt from a filter',
      sql("UPDATE substrate_receipts SET actor = 'nobody' WHERE seq = 301"),
      /^log: Receipt 301 was altered in the database: its columns \(actor\) do not say what its signed bytes say\.$/,
    ],
    [
      'a receipt older than the hashes that a start looks at',
      sql(
        "UPDATE substrate_receipts SET bytes = replace(bytes, 'note.put', 'note.pet'), action = 'note.pet' WHERE seq = 9",
      ),
      /^log: Receipt 10 does not follow the one before it\.$/,
    ],
    [
      'a receipt taken out and its place closed',
      sql('DELETE FROM substrate_receipts WHERE seq = 9'),
      /^log: Receipt 9 is missing from the database\.$/,
    ],
  ])('calls bad what a start does not look at: %s', async (_name, damage, wanted) => {
    using dir = scratch();
    expect((await badOf(damaged(dir, damage))).filter((line) => wanted.test(line))).toHaveLength(1);
  });

  it('names the receipt behind a log that is not trusted', async () => {
    using dir = scratch();
    const home = damaged(dir, sql(`UPDATE substrate_receipts SET bytes = 'x' WHERE seq = ${RECEIPTS - 2}`));
    expect(await badOf(home)).toEqual([
      expect.stringMatching(/^log: The first 700 receipts are not those .* Receipt 698 was altered in the database/),
    ]);
  });
});

describe('reading the log back', () => {
  it('starts at a tile at or before what was asked for, and ends at the signed root', async () => {
    const store = openSqliteReader(homePath(room.at('model'), 'database'), 'better-sqlite3');
    const state = await store.read(readLogState);
    if (state === null) throw new Error('no log');
    for (const [from, first] of [
      [0, 0],
      [255, 0],
      [256, 256],
      [600, 512],
    ] as const) {
      const steps: number[][] = [];
      const onProgress = (done: number, total: number): void => void steps.push([done, total]);
      expect(await auditLog(store.read, { state, from, signal: NEVER, onProgress })).toBe(first);
      expect(steps.at(-1)).toEqual([RECEIPTS - first, RECEIPTS - first]);
    }
    const signal = AbortSignal.abort();
    expect(await codeOf(auditLog(store.read, { ...WORK, state, from: 0, signal }))).toBe('interrupted');
    await store.close();
  });

  it.each([
    [
      'a kept hash before it',
      'UPDATE substrate_tree SET hash = zeroblob(32) WHERE level = 1 AND idx = 0',
      'from 512 on',
    ],
    ['the newest receipt', "UPDATE substrate_log SET prev = printf('%064d', 0)", 'from 512 on'],
  ])('finds %s altered, although every receipt follows the one before it', async (_name, statement, wanted) => {
    using dir = scratch();
    const home = damaged(dir, sql(statement));
    const store = openSqliteReader(homePath(home, 'database'), 'better-sqlite3');
    const state = await store.read(readLogState);
    if (state === null) throw new Error('no log');
    await expect(auditLog(store.read, { ...WORK, state, from: 600 })).rejects.toMatchObject({
      code: 'store_corrupt',
      message: expect.stringContaining(wanted) as string,
    });
    await store.close();
  });
});

describe('a receipt’s columns', () => {
  it.each([
    ['actor', "actor = 'nobody'"],
    ['grant_id', "grant_id = 'g'"],
    ['action', "action = 'seed.halt'"],
    ['outcome', "outcome = 'refused'"],
    ['of_seq', 'of_seq = 3'],
  ])('%s: what they say falsely no list shows', async (column, change) => {
    using dir = scratch();
    const home = damaged(dir, sql(`UPDATE substrate_receipts SET ${change} WHERE seq = 40`));
    const store = openSqliteReader(homePath(home, 'database'), 'better-sqlite3');
    const wanted = {
      code: 'store_corrupt',
      message: `Receipt 40 was altered in the database: its columns (${column}) do not say what its signed bytes say.`,
      data: { seq: 40 },
    };
    const list = store.read((db) => listReceipts(db, { from: 40, to: 40 }, { limit: 5 }));
    await expect(list).rejects.toMatchObject(wanted);
    await expect(store.read((db) => getReceipt(db, 40))).rejects.toMatchObject(wanted);
    // The control: its neighbours are shown.
    expect((await store.read((db) => listReceipts(db, { from: 41 }, { limit: 5 }))).receipts).toHaveLength(5);
    await store.close();
  });

  it('a row whose bytes cannot be read, or are another receipt’s, is named', async () => {
    using dir = scratch();
    const home = damaged(
      dir,
      sql(
        "UPDATE substrate_receipts SET bytes = 'garbage' WHERE seq = 40",
        'UPDATE substrate_receipts SET bytes = (SELECT bytes FROM substrate_receipts WHERE seq = 52) WHERE seq = 50',
      ),
    );
    const store = openSqliteReader(homePath(home, 'database'), 'better-sqlite3');
    const list = (seq: number): Promise<unknown> =>
      store.read((db) => listReceipts(db, { from: seq, to: seq }, { limit: 5 }));
    await expect(list(40)).rejects.toMatchObject({
      code: 'store_corrupt',
      message: 'Receipt 40 was altered in the database: it cannot be read.',
    });
    await expect(list(50)).rejects.toMatchObject({
      code: 'store_corrupt',
      message: 'Receipt 50 was altered in the database: its columns (seq) do not say what its signed bytes say.',
    });
    await store.close();
  });
});
