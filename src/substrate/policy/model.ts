/**
 * What the owner's policy says, as values: targets, prices, candidates and ceilings.
 *
 * All of it lives in rows (LOCK-RUNTIME-1); nothing here is a default for anything.
 */

export const PROVIDERS = ['anthropic', 'gemini', 'nvidia', 'local-ollama'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

/** A place where models answer. */
export interface Target {
  readonly name: string;
  readonly provider: ProviderName;
  readonly baseUrl: string;
  /** The name of the credential it is called with; null where none is needed. */
  readonly credential: string | null;
}

/** Prices in whole micro-dollars for a million tokens. */
export interface Price {
  readonly input: number;
  readonly output: number;
  /** Input read from the provider's cache. */
  readonly cachedInput: number;
  /** Input written to the provider's cache. */
  readonly cacheWrite: number;
  /** Where the price comes from and which edition: `owner:3`, `genai-prices:0.1.8`, `local:0`. */
  readonly version: string;
}

export type Tier = 1 | 2 | 3;

/** How long an attempt may take, in milliseconds. */
export interface Timeouts {
  readonly firstTokenMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

/** One model that may answer for a role, in policy's order. */
export interface Candidate {
  readonly position: number;
  readonly target: Target;
  readonly model: string;
  readonly tier: Tier;
  /** Tokens that it takes in and gives out together; null where policy does not say, and nothing is made to fit. */
  readonly contextTokens: number | null;
  /** Null where policy has no price: then the candidate is skipped, because nothing bounds its cost. */
  readonly price: Price | null;
}

/** What policy says about a role, for one dispatch. */
export interface Routing {
  readonly role: string;
  readonly dispatch: 'any' | 'cron';
  readonly maxOutputTokens: number;
  /** Below this a clamped answer is of no use; then the candidate is refused instead. */
  readonly minOutputTokens: number;
  readonly timeouts: Timeouts;
  /** What to do when a ceiling refuses a candidate. */
  readonly onCeiling: 'stop' | 'next';
  readonly candidates: readonly Candidate[];
  /** The version of the policy that this was read from: `7`, or `7+2` with two outside edits since. */
  readonly policyVersion: string;
}

export type CeilingWindow = 'call' | 'day' | 'week' | 'month' | 'life';

/** What the owner can be told of, each in the words that a person would look it up by. */
export const NOTICE_EVENTS = {
  ceiling: 'half, four fifths or all of a ceiling is used',
  request: 'somebody asks for what only you can give',
  key: 'an access key is about to expire',
  stall: 'work of a subsystem has stopped, or drifts',
  dead_letter: 'a message could not be delivered',
  alert: 'a message to the seed was sorted as an alert',
  log: 'the log does not verify',
  disk: 'the disk is nearly full',
  mind: 'a part of the mind fails again and again',
} as const;
export type NoticeEvent = keyof typeof NOTICE_EVENTS;

/** Of what, and by which notifier, the owner wants to be told. */
export interface Notice {
  readonly event: NoticeEvent;
  /** A command of the home's configuration, or `desktop`. */
  readonly notifier: string;
}

/** A limit on money. */
export interface Ceiling {
  /** As the owner calls it in answers: its scope and window, such as `role:worker/day`. */
  readonly name: string;
  /** `seed`, `role:NAME`, `agent:NAME`, `session:ID`, `label:KEY=VALUE`; a `*` gives each value its own limit. */
  readonly scope: string;
  readonly window: CeilingWindow;
  readonly limitMicroUsd: number;
}
