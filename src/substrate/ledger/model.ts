/** What the ledger takes and gives: an admission before a call, one settlement after it. */
import * as z from 'zod';

/** Labels of one call, at most. */
export const LABELS_MAX = 8;
export const LABEL_KEY: RegExp = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * What a caller says a call is for, such as `customer: acme`. An empty value is no label. A key has no
 * `=`, so that a key and a value together have one reading.
 */
export const Labels = z
  .record(
    z.string().regex(LABEL_KEY, '1 to 64 letters, digits, dots, dashes or underscores'),
    z
      .string()
      .max(128)
      .refine((text) => text.isWellFormed(), 'text without lone surrogates'),
  )
  .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`);
export type Labels = Readonly<z.infer<typeof Labels>>;

/** Whose money a call spends: every ceiling that names one of these applies. */
export interface Spender {
  readonly role: string;
  /** The actor's id, as in its receipts. */
  readonly agent: string;
  readonly session: string | null;
  readonly labels: Labels;
}

/** What an attempt may cost at most, in the two parts that the formula has. */
export interface Bound {
  /** For the request: known before the call. */
  readonly inputMicroUsd: number;
  /** Price of a million output tokens, in micro-dollars. */
  readonly outputMicroUsdPerMtok: number;
  readonly maxOutputTokens: number;
  /** The policy's floor for clamping. */
  readonly minOutputTokens: number;
}

/** Under which sums money is held, and then booked. */
export interface Booking {
  readonly spender: Spender;
  readonly target: string;
  readonly model: string;
  /** The local day of the admission. */
  readonly day: string;
  readonly boundMicroUsd: number;
}

/** An admitted attempt: money held until it is settled. */
export interface Hold extends Booking {
  /** The attempt's id. */
  readonly id: string;
  /** What the answer may have at most: the bound's own, or fewer where the headroom is smaller. */
  readonly maxOutputTokens: number;
  readonly clamped: boolean;
}

/** Tokens as a provider reports them; `input` counts what was neither read from nor written to a cache. */
export interface TokenUsage {
  readonly input: number;
  readonly output: number;
  readonly cachedInput: number;
  readonly cacheWrite: number;
}

/** A settled attempt. */
export interface Settlement {
  readonly id: string;
  /** Whose money it was. */
  readonly spender: Spender;
  /** The local day it is booked on: that of its admission. */
  readonly day: string;
  readonly boundMicroUsd: number;
  readonly costMicroUsd: number;
  /** The provider reported more than the bound: booked as reported, and the model cannot be trusted. */
  readonly boundExceeded: boolean;
}

/** How far a ceiling is used, in its present window. */
export interface CeilingUse {
  readonly ceiling: string;
  /** Whose money is counted: the ceiling's scope, a `*` in it replaced by the value. */
  readonly scope: string;
  readonly spentMicroUsd: number;
  readonly heldMicroUsd: number;
  readonly limitMicroUsd: number;
  /** When the window turns over, ms since the epoch; null where it never does. */
  readonly resetsAt: number | null;
}
