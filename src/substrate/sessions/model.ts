/** A session: a piece of work with one holder at a time, its transcript, and where it stands. */
import * as z from 'zod';

const Line = z.string().min(1).max(2_000);
const Lines = z.array(Line).max(100);

/** Where the work stands, in the words of whoever does it. What is missing stays as it was. */
export const CheckpointInput = z.strictObject({
  goal: z.string().min(1).max(4_000).optional(),
  acceptance: Lines.optional(),
  /** Kept and handed on word for word. */
  constraints: Lines.optional(),
  plan: Lines.optional(),
  done: Lines.optional(),
  next: z.string().max(2_000).optional(),
  open: Lines.optional(),
  decisions: z
    .array(z.strictObject({ what: Line, why: Line }))
    .max(100)
    .optional(),
  artefacts: Lines.optional(),
  memory: z.array(z.string().min(1).max(100)).max(32).optional(),
});
export type CheckpointInput = z.infer<typeof CheckpointInput>;

/** Where the work stands, whole. */
export interface Checkpoint {
  readonly goal: string;
  readonly acceptance: readonly string[];
  readonly constraints: readonly string[];
  readonly plan: readonly string[];
  readonly done: readonly string[];
  readonly next: string;
  readonly open: readonly string[];
  readonly decisions: readonly { readonly what: string; readonly why: string }[];
  readonly artefacts: readonly string[];
  /** Memory spaces that the work reads and writes. */
  readonly memory: readonly string[];
}

/** The largest checkpoint, in bytes of JSON: with the rest of a handoff package it fits what a client takes at once. */
export const CHECKPOINT_BYTES_MAX = 20_000;

export const NO_CHECKPOINT: Checkpoint = {
  goal: '',
  acceptance: [],
  constraints: [],
  plan: [],
  done: [],
  next: '',
  open: [],
  decisions: [],
  artefacts: [],
  memory: [],
};

export interface Session {
  readonly id: string;
  /** The grant of whoever holds it; null for the owner. */
  readonly holder: string | null;
  readonly holderName: string;
  /** Counts the holders: a write that names an earlier epoch is refused (fencing). */
  readonly epoch: number;
  readonly status: 'open' | 'closed';
  /** `native`, or where it was imported from, such as `imported:claude-code`. */
  readonly origin: string;
  /** What whoever holds it may do in its name; never more than their own grant allows. */
  readonly scopes: readonly string[];
  /** What its model calls may cost over its life, whole micro-dollars; null: the ceilings alone. */
  readonly budgetMicroUsd: number | null;
  /** What a handing over kept back, for good; budget + reserve stays what it was at the opening. */
  readonly reserveMicroUsd: number;
  /** ms since the epoch; null where there is none. */
  readonly deadline: number | null;
  readonly checkpoint: Checkpoint;
  /** Messages in the transcript. */
  readonly length: number;
  /** The transcript's running hash over all of them, hex. */
  readonly runningHash: string;
  /** The model call whose answer is still to be written into the transcript. */
  readonly stepCall: string | null;
  readonly createdAt: number;
  readonly changedAt: number;
}

/** A message as it is kept. */
export interface StoredMessage {
  readonly index: number;
  readonly epoch: number;
  /** Its canonical form; see `transcript.ts`. */
  readonly body: string;
  readonly at: number;
}

/** A tool call of the transcript and how far it has come: an `in_doubt` one is asked about, never repeated. */
export interface ToolState {
  readonly call: string;
  readonly name: string;
  readonly idempotencyKey: string;
  readonly state: 'not_started' | 'in_doubt' | 'done';
}
