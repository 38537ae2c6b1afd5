/**
 * What operations ask again and again, remembered from one transaction to the next.
 *
 * Every operation asks for the policy, for whom it acts, and so on; each answer is a few statements, and
 * all but a handful of times the same as before. It is kept until a table that it came from is written:
 * by this process, which is told at the statement, or by another one, which is seen at the next
 * transaction's first question.
 */
import type { ReadHandle, Reading, Transaction } from './store/store.ts';

/** Answers of one reading that are kept, at most. */
const KEYS_MAX = 1_000;

type AnyReading = Reading<unknown>;

interface Asked<T> {
  readonly reading: Reading<T>;
  readonly key: string;
}

export class Recollection {
  readonly #answers = new Map<AnyReading, Map<string, unknown>>();
  /** By table, and by action. */
  readonly #readers = new Map<string, Set<AnyReading>>();
  /** The transaction whose view the answers are of. */
  #view: Transaction | null = null;
  #foreignVersion: number | null = null;
  /** Grows whenever an answer may have become another one. */
  #writes = 0;

  /** What the reading comes to in that transaction, whose `db` it reads by. */
  async recall<T>(tx: Transaction, db: ReadHandle, { reading, key }: Asked<T>): Promise<T> {
    this.#look(tx);
    const answers = this.#answersOf(reading);
    if (answers.has(key)) return answers.get(key) as T;
    const before = this.#writes;
    const answer = await reading.read(db, key);
    // What was written while it was read may be in the answer, or not.
    if (this.#writes === before && answers.size < KEYS_MAX) answers.set(key, answer);
    return answer;
  }

  /** A table was written, or an action left its receipt. */
  wrote(name: string): void {
    const readers = this.#readers.get(name);
    if (readers === undefined) return;
    this.#writes += 1;
    for (const reading of readers) this.#answers.get(reading)?.clear();
  }

  /** What was written was undone: what was read of it meanwhile never was. */
  forget(): void {
    this.#writes += 1;
    for (const answers of this.#answers.values()) answers.clear();
    this.#view = null;
    this.#foreignVersion = null;
  }

  #look(tx: Transaction): void {
    if (this.#view === tx) return;
    const version = tx.foreignVersion();
    if (version !== this.#foreignVersion) this.forget();
    this.#view = tx;
    this.#foreignVersion = version;
  }

  #answersOf(reading: AnyReading): Map<string, unknown> {
    const known = this.#answers.get(reading);
    if (known !== undefined) return known;
    const answers = new Map<string, unknown>();
    this.#answers.set(reading, answers);
    for (const name of [...reading.tables, ...(reading.actions ?? [])]) {
      this.#readers.set(name, (this.#readers.get(name) ?? new Set()).add(reading));
    }
    return answers;
  }
}
