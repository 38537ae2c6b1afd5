/**
 * What a publish with a receipt costs at least, whatever program keeps it: the rows, hashes and the signature that
 * its promises ask for, written by hand, with no reader, no rights and no second table to look after.
 */
import { generateKeyPairSync, hash, randomBytes, sign } from 'node:crypto';
import path from 'node:path';
import Database from 'better-sqlite3';
import type { Round } from '../ground/disk.ts';
import { timeEach } from '../ground/disk.ts';

/** About as long as a checkpoint's text, and as the rest of a receipt beside its hashes. */
const NOTE_CHARS = 150;
const RECEIPT_CHARS = 330;
const SALT_BYTES = 32;
const LIFE_MS = 30 * 86_400_000;

export interface Floor extends Disposable {
  /** `groups` commits of `messages` each, of that text. */
  readonly publish: (text: string, groups: number, messages: number) => Round;
  /** Takes out what was published, outside of what is measured. */
  readonly drain: () => void;
}

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE receipts (seq INTEGER PRIMARY KEY, bytes TEXT NOT NULL) STRICT;
  CREATE TABLE head (id INTEGER PRIMARY KEY, prev TEXT NOT NULL, checkpoint TEXT NOT NULL) STRICT;
  CREATE TABLE messages (
    inbox      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    receipt    INTEGER NOT NULL,
    sender     TEXT NOT NULL,
    thread     TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    hash       TEXT NOT NULL,
    salt       BLOB NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (inbox, seq)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO head (id, prev, checkpoint) VALUES (1, '', '');
`;

/** One commit: each message with its receipt, then the head and one signature for all of them. */
export function openFloor(folder: string): Floor {
  const db = new Database(path.join(folder, 'floor.db'));
  db.exec(SCHEMA);
  const addReceipt = db.prepare('INSERT INTO receipts (seq, bytes) VALUES (?, ?)');
  const addMessage = db.prepare('INSERT INTO messages VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)');
  const setHead = db.prepare('UPDATE head SET prev = ?, checkpoint = ? WHERE id = 1');
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')];
  const { privateKey } = generateKeyPairSync('ed25519');
  const sender = randomBytes(16).toString('hex');
  const rest = 'r'.repeat(RECEIPT_CHARS);
  let [seq, prev, root] = [0, '', ''];
  const post = (text: string): void => {
    seq++;
    const [salt, body] = [randomBytes(SALT_BYTES), Buffer.from(text)];
    const kept = hash('sha256', Buffer.concat([salt, body]));
    const receipt = JSON.stringify({ seq, prev, input: kept, rest });
    addReceipt.run(seq, receipt);
    addMessage.run(seq, seq, sender, `r${seq}`, Date.now() + LIFE_MS, kept, salt, body);
    prev = hash('sha256', receipt);
    // Of a tree that grows at its end a receipt costs its leaf and one node on average.
    root = hash('sha256', root + hash('sha256', `\0${receipt}`));
  };
  return {
    publish: (text, groups, messages) =>
      timeEach(groups, messages, () => {
        begin.run();
        for (let message = 0; message < messages; message++) post(text);
        const note = root.padEnd(NOTE_CHARS, 'n');
        setHead.run(prev, note + sign(null, Buffer.from(note), privateKey).toString('base64'));
        commit.run();
      }),
    drain: () => void db.exec('DELETE FROM messages'),
    [Symbol.dispose]: () => void db.close(),
  };
}
