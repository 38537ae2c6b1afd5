/** How a call stands and how it ended, as callers see it and as its row keeps it. */
import * as z from 'zod';
import type { SeedError } from '../../errors.ts';
import { CALL_STATUSES } from '../../substrate/calls.ts';

/** One hop along policy's candidates, or one that was not taken. */
export const AttemptView = z.object({
  target: z.string(),
  model: z.string(),
  outcome: z.enum(['ok', 'failed', 'incomplete', 'refused', 'skipped']),
  /** An error code or a provider's fault; null for `ok`. */
  code: z.string().nullable(),
  why: z.string().nullable(),
  /** The receipt of how it ended. */
  receipt: z.int().nullable(),
  cost_micro_usd: z.int(),
});
export type AttemptView = z.infer<typeof AttemptView>;

/** The ceiling that refused, and how it stands. */
export const CeilingView = z.object({
  name: z.string(),
  spent_micro_usd: z.int(),
  held_micro_usd: z.int(),
  limit_micro_usd: z.int(),
});

/** The ceiling of an `over_ceiling`, from its data; null of any other error. */
export function ceilingOf({ code, data }: SeedError): z.infer<typeof CeilingView> | null {
  if (code !== 'over_ceiling') return null;
  return CeilingView.parse({ ...data, name: data['ceiling'] });
}

/** What is kept of a call beside its content. */
export const CallOutcome = z.object({
  status: z.enum(CALL_STATUSES),
  stop: z.string().nullable(),
  target: z.string().nullable(),
  model_requested: z.string().nullable(),
  model_returned: z.string().nullable(),
  tier: z.int().nullable(),
  attempts: z.array(AttemptView),
  usage: z
    .object({
      input_tokens: z.int(),
      output_tokens: z.int(),
      cached_input_tokens: z.int(),
      cache_write_tokens: z.int(),
    })
    .nullable(),
  /** What of the request the model that answered was not shown, or not as it was; in words. */
  losses: z.array(z.string()),
  /** All attempts together. */
  cost_micro_usd: z.int(),
  /** The receipt that says how the call ended. */
  receipt: z.int().nullable(),
  /** Why there is no whole answer: a code, what happened, and what to do. */
  code: z.string().nullable(),
  message: z.string().nullable(),
  hint: z.string().nullable(),
  /** Seconds after which it may be worth another try. */
  retry_after_s: z.int().nullable(),
  ceiling: CeilingView.nullable(),
});
export type CallOutcome = z.infer<typeof CallOutcome>;

export const RUNNING: CallOutcome = {
  status: 'running',
  stop: null,
  target: null,
  model_requested: null,
  model_returned: null,
  tier: null,
  attempts: [],
  usage: null,
  losses: [],
  cost_micro_usd: 0,
  receipt: null,
  code: null,
  message: null,
  hint: null,
  retry_after_s: null,
  ceiling: null,
};
