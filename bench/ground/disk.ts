/** The disk, the database and the signature by themselves: what everything else is compared with. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';

/** One round of one measure: operations a second, and how long each took. */
export interface Round {
  readonly perSecond: number;
  readonly tookMs: readonly number[];
}

/** Runs `work` `count` times; each run stands for `weight` operations. */
export function timeEach(count: number, weight: number, work: (index: number) => void): Round {
  const tookMs: number[] = [];
  const start = performance.now();
  for (let index = 0; index < count; index++) {
    const before = performance.now();
    work(index);
    tookMs.push(performance.now() - before);
  }
  return { perSecond: (count * weight * 1_000) / (performance.now() - start), tookMs };
}

/** 4 KiB appended and forced to the disk, one after the other. */
export function rawSync(folder: string, count: number): Round {
  const file = openSync(path.join(folder, 'raw'), 'w');
  const block = Buffer.alloc(4_096, 1);
  try {
    return timeEach(count, 1, () => {
      writeSync(file, block);
      fdatasyncSync(file);
    });
  } finally {
    closeSync(file);
  }
}

/** About as long as a checkpoint's text. */
const NOTE_BYTES = 150;

/** About as long as a receipt. */
const ROW_CHARS = 450;

export interface BareDatabase extends Disposable {
  /** `groups` commits of `rows` rows each. */
  commit(groups: number, rows: number): Round;
  /**
   * The same with a signature and the log's head row in each commit: what is left when a receipted
   * operation does nothing but what it must.
   */
  commitSigned(groups: number, rows: number): Round;
}

/** About as long as the row of the log's head. */
const HEAD_CHARS = 900;

/** A table of texts, in the store's own mode of durability and with nothing else. */
export function openBare(folder: string): BareDatabase {
  const db = new Database(path.join(folder, 'bare.db'));
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE rows (seq INTEGER PRIMARY KEY, bytes TEXT NOT NULL) STRICT;
    CREATE TABLE head (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
    INSERT INTO head (id, text) VALUES (1, '');
  `);
  const insert = db.prepare('INSERT INTO rows (bytes) VALUES (?)');
  const setHead = db.prepare('UPDATE head SET text = ? WHERE id = 1');
  const text = 'r'.repeat(ROW_CHARS);
  const head = 'h'.repeat(HEAD_CHARS);
  const { privateKey } = generateKeyPairSync('ed25519');
  const note = Buffer.alloc(NOTE_BYTES, 'n');
  return {
    commit: (groups, rows) =>
      timeEach(groups, rows, () => {
        db.exec('BEGIN IMMEDIATE');
        for (let row = 0; row < rows; row++) insert.run(text);
        db.exec('COMMIT');
      }),
    commitSigned: (groups, rows) =>
      timeEach(groups, rows, () => {
        db.exec('BEGIN IMMEDIATE');
        for (let row = 0; row < rows; row++) insert.run(text);
        setHead.run(head + sign(null, note, privateKey).toString('base64'));
        db.exec('COMMIT');
      }),
    [Symbol.dispose]: () => {
      db.close();
    },
  };
}

/** Ed25519 over a text as long as a checkpoint. */
export function signatures(count: number): Round {
  const { privateKey } = generateKeyPairSync('ed25519');
  const note = Buffer.alloc(NOTE_BYTES, 'n');
  return timeEach(count, 1, () => {
    sign(null, note, privateKey);
  });
}
