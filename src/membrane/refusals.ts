/**
 * Refusals before anybody is known: counted, and receipted together once a minute.
 *
 * One receipt each would let a stranger fill the log.
 */
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import { SEED } from '../substrate/actor.ts';
import type { Substrate } from '../substrate/substrate.ts';

const INTERVAL_MS = 60_000;

export class RefusalCounter {
  readonly #substrate: Substrate;
  readonly #onError: (error: SeedError) => void;
  #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(substrate: Substrate, onError: (error: SeedError) => void) {
    this.#substrate = substrate;
    this.#onError = onError;
  }

  /** Counts one refusal of a stranger at a door. */
  count(door: string, code: string): void {
    const reason = `${door}_${code}`;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.#timer ??= setTimeout(() => {
      this.flush().catch((error: unknown) => this.#onError(toSeedError(error)));
    }, INTERVAL_MS).unref();
  }

  /** Writes what was counted, if anything, as one receipt; a log that is not trusted takes none. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const counts = this.#counts;
    if (counts.size === 0 || this.#substrate.distrust !== null) return;
    this.#counts = new Map();
    await this.#substrate.operate({ action: 'membrane.refuse', actor: SEED }, async (op) => {
      op.receipt({ outcome: 'refused', detail: Object.fromEntries(counts) });
    });
  }
}
