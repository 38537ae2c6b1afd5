/** How a call stands and how it ended, as callers see it and as its row keeps it. */
import * as z from 'zod';
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
  cost_micro_usd: 0,
  receipt: null,
  code: null,
  message: null,
  hint: null,
  retry_after_s: null,
};
