/**
 * What receipts say about one another: numbered without gaps, each naming the hash of the one
 * before, in order of time, and each intent settled at most once.
 *
 * Memory is two bits a receipt, so that a log of any length is checked in one pass.
 */
import { GENESIS_PREV, type Receipt } from './receipt.ts';
import { type Broken, broken } from './verdict.ts';

export class ReceiptChain {
  readonly #seed: string;
  readonly #intents: Bitmap = new Bitmap();
  readonly #settled: Bitmap = new Bitmap();
  #size = 0;
  #lastHash: string = GENESIS_PREV;
  #lastTime = '';

  /** @param seed The id that every receipt must carry. */
  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Receipts taken in, and the number of the next. */
  get size(): number {
    return this.#size;
  }

  /** What the next receipt's `prev` must say. */
  get lastHash(): string {
    return this.#lastHash;
  }

  /** Whether the receipt stands in its place: its number is next and it names the one before. */
  isNext(receipt: Receipt): boolean {
    return receipt.seq === this.#size && receipt.prev === this.#lastHash;
  }

  /** What else is wrong with a receipt, wherever it stands; null when nothing is. */
  problemOf(receipt: Receipt): Broken | null {
    if (receipt.time < this.#lastTime) {
      return broken(this.#size, 'time_backwards', `Receipt ${this.#size} is dated before the one in front of it.`);
    }
    return receipt.of === null ? null : this.#settlementProblem(receipt.of);
  }

  /** Whether a receipt is of the seed whose chain this is. */
  isOfSeed(receipt: Receipt): boolean {
    return receipt.seed === this.#seed;
  }

  /** Takes in a receipt that was found good. `hash` is its line's. */
  take(receipt: Receipt, hash: string): void {
    if (receipt.outcome === 'intent') this.#intents.set(this.#size);
    if (receipt.of !== null) this.#settled.set(receipt.of);
    this.#size += 1;
    this.#lastHash = hash;
    this.#lastTime = receipt.time;
  }

  #settlementProblem(of: number): Broken | null {
    const seq = this.#size;
    if (!this.#intents.has(of)) {
      return broken(seq, 'of_not_an_intent', `Receipt ${seq} settles receipt ${of}, which is not an intent before it.`);
    }
    if (this.#settled.has(of)) {
      return broken(seq, 'of_already_settled', `Receipt ${seq} settles the intent ${of} a second time.`);
    }
    return null;
  }
}

/** A set of small integers at one bit each. */
class Bitmap {
  #bytes: Uint8Array = new Uint8Array(1024);

  has(index: number): boolean {
    return ((this.#bytes[Math.floor(index / 8)] ?? 0) & (1 << (index % 8))) !== 0;
  }

  set(index: number): void {
    const at = Math.floor(index / 8);
    if (at >= this.#bytes.length) {
      const larger = new Uint8Array(Math.max(at + 1, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[at] = (this.#bytes[at] ?? 0) | (1 << (index % 8));
  }
}
