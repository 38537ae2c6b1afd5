/**
 * What may stand in each field of a policy, for its file and for its rows alike, and in what words
 * a field that is wrong is spoken of.
 */
import * as z from 'zod';
import { parseBaseUrl } from '../origins.ts';
import type { NoticeEvent } from './model.ts';
import { NOTICE_EVENTS, PROVIDERS } from './model.ts';

/** Sizes of a policy; each is far above honest use. */
export const POLICY_LIMITS = {
  targets: 64,
  roles: 128,
  candidatesPerRole: 32,
  ceilings: 256,
  prices: 1_024,
  notices: 64,
} as const;

/** The largest policy file, in characters. */
export const DOCUMENT_CHARS_MAX: number = 128 * 1024;

const TOKENS_MAX = 1_000_000;
/** Smaller ones hold no conversation; larger ones are a slip. */
const CONTEXT_TOKENS_MIN = 1_024;
const CONTEXT_TOKENS_MAX = 100_000_000;
const WAIT_MS_MAX = 3_600_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const SCOPE =
  /^(?:seed|(?:role|agent|session):(?:\*|[^\p{Cc}\s*]{1,200})|label:[A-Za-z0-9._-]{1,64}=(?:\*|[^\p{Cc}*]{0,128}))$/u;

const WINDOWS = ['call', 'day', 'week', 'month', 'life'] as const;

function isBaseUrl(text: string): boolean {
  // The URL parser would trim the one and turn the other.
  if (/[\s\\]/.test(text)) return false;
  try {
    parseBaseUrl(text);
    return true;
  } catch {
    return false;
  }
}

function isTimezone(text: string): boolean {
  // An offset such as +01:00 is taken by Intl too, and has no calendar of its own.
  if (!/^[A-Za-z][\w+/-]{0,63}$/.test(text)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export const Name = z.string().regex(NAME);
/** As the provider names it. */
export const Model = z.string().regex(/^[A-Za-z0-9@][\w.:/@+-]{0,199}$/);
export const Provider = z.enum(PROVIDERS);
export const BaseUrl = z.string().refine(isBaseUrl);
export const Dispatch = z.enum(['any', 'cron']);
export const TierField = z.union([z.literal(1), z.literal(2), z.literal(3)]);
export const Timezone = z.string().refine(isTimezone);
export const ScopeField = z.string().regex(SCOPE);
export const Window = z.enum(WINDOWS);
export const NoticeEventField = z.enum(Object.keys(NOTICE_EVENTS) as [NoticeEvent, ...NoticeEvent[]]);
/** Which version of its source a price is from. */
export const Edition = z.string().regex(/^[A-Za-z0-9][\w.:+-]{0,63}$/);
/** The largest limit: a billion dollars. */
export const LimitMicroUsd = z.int().min(0).max(1e15);
/** The largest price: a million dollars for a million tokens. */
export const PriceMicroUsd = z.int().min(0).max(1e12);

/** Tokens of a model's whole context, at most. */
export const ContextTokens = z.int().min(CONTEXT_TOKENS_MIN).max(CONTEXT_TOKENS_MAX);

const Tokens = z.int().min(1).max(TOKENS_MAX);
const WaitMs = z.int().min(1).max(WAIT_MS_MAX);

/** What a role may leave out, each with its default (see {@link LIMIT_DEFAULTS}). */
export const LIMIT_FIELDS = {
  max_output_tokens: Tokens.optional(),
  min_output_tokens: Tokens.optional(),
  timeouts_ms: z
    .strictObject({ first_token: WaitMs.optional(), idle: WaitMs.optional(), total: WaitMs.optional() })
    .optional(),
  on_ceiling: z.enum(['stop', 'next']).optional(),
} as const;

export const Limits = z.strictObject(LIMIT_FIELDS);
export type Limits = z.infer<typeof Limits>;

/** What a role says that leaves a limit out. Of targets, models, tiers, prices and ceilings there is no default. */
export const LIMIT_DEFAULTS = {
  maxOutputTokens: 4_096,
  /** At most the role's own maximum. */
  minOutputTokens: 256,
  timeouts: { firstTokenMs: 20_000, idleMs: 15_000, totalMs: 120_000 },
  onCeiling: 'stop',
  timezone: 'UTC',
} as const;

/** Whether the floor for clamping lies above what the role allows. */
export function isFloorAboveMax({ max_output_tokens: max, min_output_tokens: min }: Limits): boolean {
  return min !== undefined && min > (max ?? LIMIT_DEFAULTS.maxOutputTokens);
}

const DOLLARS_WORDS = 'a decimal in quotes with at most six places, such as "5.00"';
const PRICE_WORDS = 'a decimal in quotes up to a million, with at most six places, such as "0.05"';
const MICRO_WORDS = 'a whole number of micro-dollars, neither negative nor beyond reason';
const TOKENS_WORDS = `a whole number from 1 to ${TOKENS_MAX}`;
const WAIT_WORDS = `a whole number of milliseconds from 1 to ${WAIT_MS_MAX}`;
const NAME_WORDS = 'a name of letters, digits, dots and dashes, at most 64';

/** What each field must be, in words that follow "must be". */
const WORDS: Readonly<Record<string, string>> = {
  version: '1, the only form of a policy that there is',
  timezone: 'an IANA time zone, such as "Europe/Berlin"',
  targets: 'a map of names to targets',
  roles: 'a map of names to roles',
  candidates: `a list of 1 to ${POLICY_LIMITS.candidatesPerRole} candidates`,
  ceilings: `a list of at most ${POLICY_LIMITS.ceilings} ceilings`,
  prices: `a list of at most ${POLICY_LIMITS.prices} prices`,
  notices: `a list of at most ${POLICY_LIMITS.notices} notices`,
  when: Object.keys(NOTICE_EVENTS).join(', '),
  event: Object.keys(NOTICE_EVENTS).join(', '),
  to: 'desktop, or the name of a notifier (`seed notify list`)',
  notifier: 'desktop, or the name of a notifier (`seed notify list`)',
  name: NAME_WORDS,
  role: NAME_WORDS,
  target: 'the name of a target',
  credential: NAME_WORDS,
  provider: `one of ${PROVIDERS.join(', ')}`,
  base_url: 'an https address, or http on this machine, without name, query or fragment',
  dispatch: 'any or cron',
  position: 'a whole number from 0',
  model: 'the model’s name at its provider: letters, digits and . : / @ + - _',
  tier: '1, 2 or 3',
  context_tokens: `a whole number from ${CONTEXT_TOKENS_MIN} to ${CONTEXT_TOKENS_MAX}`,
  limits: 'a JSON object of max_output_tokens, min_output_tokens, timeouts_ms and on_ceiling',
  max_output_tokens: TOKENS_WORDS,
  min_output_tokens: TOKENS_WORDS,
  timeouts_ms: 'a map of first_token, idle and total',
  first_token: WAIT_WORDS,
  idle: WAIT_WORDS,
  total: WAIT_WORDS,
  on_ceiling: 'stop or next',
  scope: 'seed, role:NAME, agent:NAME, session:ID or label:KEY=VALUE; a * stands for each value',
  window: WINDOWS.join(', ').replace(/, (\w+)$/, ' or $1'),
  limit_micro_usd: MICRO_WORDS,
  input: MICRO_WORDS,
  output: MICRO_WORDS,
  cached_input: MICRO_WORDS,
  cache_write: MICRO_WORDS,
  source: 'owner, catalogue or local',
  edition: 'a short word, such as 3 or 2026-11',
  usd: DOLLARS_WORDS,
  input_usd_per_mtok: PRICE_WORDS,
  output_usd_per_mtok: PRICE_WORDS,
  cached_input_usd_per_mtok: PRICE_WORDS,
  cache_write_usd_per_mtok: PRICE_WORDS,
};

const SHOWN_CHARS_MAX = 60;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

/** A sentence about one issue of zod; `value` is what stood at its path. */
export function sayIssue(issue: z.core.$ZodIssue, value: unknown): string {
  const field = issue.path.findLast((step) => typeof step === 'string') ?? '';
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.slice(0, 5).map(shown).join(', ');
    return `There is no ${keys} in ${field === '' ? 'a policy' : field}.`;
  }
  if (issue.code === 'invalid_key') return `${shown(field)} must be ${NAME_WORDS}.`;
  const wanted = Object.hasOwn(WORDS, field) ? WORDS[field] : 'a map with the fields of its kind';
  const subject = typeof issue.path.at(-1) === 'number' ? `An entry of ${field}` : field === '' ? 'The policy' : field;
  if (typeof issue.path.at(-1) === 'number') return `${subject} must be a map with the fields of its kind.`;
  if (value === undefined) return `${subject} is missing: ${wanted}.`;
  // Somebody may have put a secret there.
  if (field === 'base_url' || field === 'credential') return `${subject} must be ${wanted}.`;
  return `${subject} must be ${wanted}; it was ${shown(value)}.`;
}
