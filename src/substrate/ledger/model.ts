/** What the ledger takes and gives: an admission before a call, one settlement after it. */

/** Whose money a call spends: every ceiling that names one of these applies. */
export interface Spender {
  readonly role: string;
  /** The actor's id, as in its receipts. */
  readonly agent: string;
  readonly session: string | null;
  readonly labels: Readonly<Record<string, string>>;
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

/** An admitted attempt: money held until it is settled. */
export interface Hold {
  /** The attempt's id. */
  readonly id: string;
  readonly boundMicroUsd: number;
  /** What the answer may have at most: the bound's own, or fewer where the headroom is smaller. */
  readonly maxOutputTokens: number;
  readonly clamped: boolean;
}

/** How far a ceiling is used, in its present window. */
export interface CeilingUse {
  readonly ceiling: string;
  readonly spentMicroUsd: number;
  readonly heldMicroUsd: number;
  readonly limitMicroUsd: number;
  /** When the window turns over, ms since the epoch; null where it never does. */
  readonly resetsAt: number | null;
}
