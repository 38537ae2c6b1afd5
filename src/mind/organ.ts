/**
 * What an organ is to the loop: it looks whether there is something to do, and does a bounded piece of it.
 *
 * An organ never decides by itself that it runs: `rules.ts` does, from what the organs see. A wake is a
 * hint (LOCK-MIND-1): `look` reads durable state, and `run` reads it again.
 */
import type { Actor } from '../substrate/actor.ts';
import type { ReadHandle } from '../substrate/substrate.ts';

/** What an organ sees when it looks. */
export interface Sight {
  /** Pieces of work that it could do now. */
  readonly waiting: number;
  /** When there will be more by the clock alone, ms since the epoch; null where only an event can bring it. */
  readonly nextAt: number | null;
  /** Why what waits cannot be done now, in words, such as `no usable model`; null where it can. */
  readonly held: string | null;
}

export const NOTHING_TO_SEE: Sight = { waiting: 0, nextAt: null, held: null };

/** One run of an organ. */
export interface OrganRun {
  /** Why it runs, as the log of decisions has it. */
  readonly because: string;
  /** Aborted when the organ is stopped: by the owner, at the end, or because it was silent for too long. */
  readonly signal: AbortSignal;
  /** A sign of life: an organ that gives none for `silenceMsMax` is stopped. */
  readonly alive: () => void;
}

/** What a run came to. */
export interface OrganReport {
  /** Pieces done. */
  readonly done: number;
  /** There was more than one run takes: it is to run again soon. */
  readonly more: boolean;
  /** In words, for the log; null where there is nothing to say. */
  readonly says: string | null;
}

export interface Organ {
  /** In lower case; what it does by itself it does as `seed-NAME` (`identity/service.ts`). */
  readonly name: string;
  /** What it is for, in one sentence for the owner. */
  readonly purpose: string;
  /** How long a run may give no sign of life, in milliseconds. */
  readonly silenceMsMax: number;
  /** Reads durable state; cheap, because the loop asks at each wake. */
  readonly look: (db: ReadHandle, now: number) => Promise<Sight>;
  /** The owner wants it looked at now: what would have its time later is due at once, one time. */
  readonly hurry?: () => void;
  /** Does a bounded piece of what waits. What it throws is put on record, and it is left alone for a while. */
  readonly run: (run: OrganRun) => Promise<OrganReport>;
}

/** The pipeline, as an organ uses it: a tool by its name, as an actor with that actor's scopes. */
export type Act = (
  tool: string,
  input: Readonly<Record<string, unknown>>,
  options: { readonly actor: Actor; readonly signal?: AbortSignal },
) => Promise<unknown>;
