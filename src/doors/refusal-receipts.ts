/**
 * Receipts of what was refused, or failed, outside an operation: an operation leaves its own.
 *
 * One each, but an actor that is refused over and over gets only so many a minute: what it may not
 * do must not be a way to fill the log.
 */
import type { SeedError } from '../errors.ts';
import { toSeedError } from '../errors.ts';
import type { Actor } from '../substrate/actor.ts';
import type { Substrate } from '../substrate/substrate.ts';

/** Of one grant, in one window of time. */
export const REFUSAL_RECEIPTS_MAX = 60;
const WINDOW_MS = 60_000;
/** Grants that are remembered; the one seen longest ago makes room. */
const GRANTS_MAX = 10_000;

interface Window {
  readonly since: number;
  receipts: number;
  /** Refusals without a receipt, told in the first one of the next window. */
  unrecorded: number;
}

export class RefusalReceipts {
  readonly #substrate: Substrate;
  readonly #windows = new Map<string, Window>();

  constructor(substrate: Substrate) {
    this.#substrate = substrate;
  }

  /** Leaves a receipt; resolves to the error as its actor is told it, with the receipt's number in it. */
  async leave(action: string, actor: Actor, error: SeedError): Promise<SeedError> {
    if (this.#substrate.distrust !== null) return error;
    const earlier = this.#admit(actor.grant);
    if (earlier === null) return error;
    try {
      await this.#substrate.operate({ action, actor }, (op) => {
        if (earlier > 0) op.receipt({ detail: { unrecorded: earlier } });
        return Promise.reject(error);
      });
    } catch (thrown) {
      const receipted = toSeedError(thrown);
      // The store may be full, busy or stopping: then what was wrong before is still what was wrong.
      if (receipted.data['receipt'] !== undefined) return receipted;
    }
    return error;
  }

  /** How many refusals went unrecorded before this one; null when this one does too. The owner has no limit. */
  #admit(grant: string | null): number | null {
    if (grant === null) return 0;
    const now = this.#substrate.sources.now();
    const last = this.#windows.get(grant);
    if (last !== undefined && now >= last.since && now < last.since + WINDOW_MS) {
      if (last.receipts >= REFUSAL_RECEIPTS_MAX) {
        last.unrecorded++;
        return null;
      }
      last.receipts++;
      return 0;
    }
    this.#windows.delete(grant);
    if (this.#windows.size >= GRANTS_MAX) this.#windows.delete(this.#windows.keys().next().value ?? '');
    this.#windows.set(grant, { since: now, receipts: 1, unrecorded: 0 });
    return last?.unrecorded ?? 0;
  }
}
