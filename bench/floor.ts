/**
 * The least that two receipts a call can cost, written by hand: durable commits with a signed head of a log of
 * hashes, a receipt's row and a ledger entry, and nothing that looks at a call. What waits at the same turn shares
 * one commit, as in the seed. No goal; what a goal can be measured by.
 */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import BetterSqlite from 'better-sqlite3';

const SCHEMA = `
  CREATE TABLE receipts (seq INTEGER PRIMARY KEY, call TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
  CREATE TABLE heads (size INTEGER PRIMARY KEY, hash BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
  CREATE TABLE ledger (seq INTEGER PRIMARY KEY, call TEXT NOT NULL, micro_usd INTEGER NOT NULL) STRICT;
`;

/** As long as a receipt of a call is. */
const BODY = 'x'.repeat(700);

interface Waiting {
  readonly call: string;
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

export class FloorLog implements Disposable {
  readonly #key: KeyObject = generateKeyPairSync('ed25519').privateKey;
  readonly #database: BetterSqlite.Database;
  readonly #commit: (group: readonly Waiting[]) => void;
  #waiting: Waiting[] = [];
  #hash = Buffer.alloc(32);
  #size = 0;

  constructor(path: string) {
    this.#database = new BetterSqlite(path);
    this.#database.pragma('journal_mode = WAL');
    this.#database.pragma('synchronous = FULL');
    this.#database.exec(SCHEMA);
    this.#commit = this.#database.transaction(this.#writer());
  }

  /** Resolves when a receipt of a call and its ledger entry are durable. */
  append(call: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#waiting.push({ call, done: resolve, fail: reject }) === 1) setImmediate(() => this.#flush());
    return promise;
  }

  /** What a call leaves when it is asked and when it is answered, around `work`. */
  async around(call: string, work: () => Promise<void>): Promise<void> {
    await this.append(call);
    await work();
    await this.append(call);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #flush(): void {
    const group = this.#waiting;
    this.#waiting = [];
    try {
      this.#commit(group);
      for (const { done } of group) done();
    } catch (error) {
      for (const { fail } of group) fail(error);
    }
  }

  #writer(): (group: readonly Waiting[]) => void {
    const receipt = this.#database.prepare('INSERT INTO receipts VALUES (?, ?, ?, ?)');
    const entry = this.#database.prepare('INSERT INTO ledger VALUES (?, ?, ?)');
    const head = this.#database.prepare('INSERT INTO heads VALUES (?, ?, ?)');
    return (group) => {
      for (const { call } of group) {
        this.#size += 1;
        this.#hash = createHash('sha256').update(this.#hash).update(call).update(BODY).digest();
        receipt.run(this.#size, call, BODY, this.#hash);
        entry.run(this.#size, call, 1);
      }
      head.run(this.#size, this.#hash, sign(null, this.#hash, this.#key));
    };
  }
}
