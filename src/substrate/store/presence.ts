/**
 * Whether the database's files still have their names. A file that was moved or deleted would go on
 * taking commits that nobody finds again.
 */
import { statSync } from 'node:fs';
import path from 'node:path';

/** How long a look holds for what begins, in milliseconds: after each commit comes another look. */
const FRESH_MS = 50;
/** How long the folder's word is taken for its files', in milliseconds: not every file system gives it. */
const TRUST_MS = 1_000;

/** Identifies a file whatever its name; null when there is none at that path. */
function fileIdentity(file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

/**
 * Remembers which files the database and its write-ahead log were.
 *
 * A file that gets or loses its name changes its folder's time, so that after a commit one look at the folder
 * tells that nothing has happened to either. The journal itself is looked at no more often than that: a `stat`
 * of it makes the kernel give its next write a time of its own (Linux 6.13, multigrain timestamps), which
 * every fsync then has to carry to the disk as well.
 */
export class Presence {
  readonly #database: string;
  readonly #journal: string;
  readonly #folder: string;
  readonly #were: string;
  /** The folder's time before the files were last looked at; -1 when it has none. */
  #changedMs = -1;
  #lookedAtFilesMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #holds = true;

  constructor(database: string) {
    this.#database = database;
    this.#journal = `${database}-wal`;
    this.#folder = path.dirname(database);
    this.#were = this.#identities();
  }

  /** Before a transaction: whether both files were there {@link FRESH_MS} ago at the earliest. */
  seems(): boolean {
    return this.#holds && performance.now() - this.#lookedMs < FRESH_MS ? true : this.holds();
  }

  /** After a commit: whether both files are there, as the same files. */
  holds(): boolean {
    this.#lookedMs = performance.now();
    // Asked for before the files are looked at: what happens in between shows at the next look.
    const changedMs = statSync(this.#folder, { throwIfNoEntry: false })?.ctimeMs ?? -1;
    const isTold = changedMs === this.#changedMs && this.#lookedMs - this.#lookedAtFilesMs < TRUST_MS;
    if (this.#holds && isTold) return true;
    this.#changedMs = changedMs;
    this.#lookedAtFilesMs = this.#lookedMs;
    this.#holds = this.#identities() === this.#were;
    return this.#holds;
  }

  #identities(): string {
    return `${fileIdentity(this.#database)} ${fileIdentity(this.#journal)}`;
  }
}
