/**
 * Whether the database's files still have their names. A file that was moved or deleted would go on
 * taking commits that nobody finds again.
 */
import { existsSync, statSync } from 'node:fs';

/** How old the last look at the journal's identity may be, in milliseconds. */
const LOOK_MS = 1_000;

/** Identifies a file whatever its name; null when there is none at that path. */
function fileIdentity(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

/**
 * Remembers which files the database and its write-ahead log were.
 *
 * The journal is compared but once in a while: a `stat` of it makes the kernel give its next write a
 * time of its own (Linux 6.13, multigrain timestamps), which every fsync then has to carry to the
 * disk as well; two a commit cost a sixth of the commit.
 */
export class Presence {
  readonly #path: string;
  readonly #journal: string;
  readonly #database: string | null;
  readonly #journalWas: string | null;
  #lookedMs: number;
  #lost = false;

  constructor(path: string) {
    this.#path = path;
    this.#journal = `${path}-wal`;
    this.#database = fileIdentity(path);
    this.#journalWas = fileIdentity(this.#journal);
    this.#lookedMs = performance.now();
  }

  /** A quick look before a commit: whether there is a database at all, as far as is known. */
  seems(): boolean {
    return this.#lost ? this.holds() : existsSync(this.#path);
  }

  /** After a commit: whether both files are there, the database as the same file. */
  holds(): boolean {
    this.#lost = !this.#look();
    return !this.#lost;
  }

  #look(): boolean {
    if (fileIdentity(this.#path) !== this.#database || !existsSync(this.#journal)) return false;
    const now = performance.now();
    if (!this.#lost && now - this.#lookedMs < LOOK_MS) return true;
    this.#lookedMs = now;
    return fileIdentity(this.#journal) === this.#journalWas;
  }
}
