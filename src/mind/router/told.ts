/** What a caller is told of an attempt: of a refusal, of a fault and of what got lost on the way to the model. */
import type { ErrorCode, SeedError } from '../../errors.ts';
import type { Refused } from './admission.ts';
import type { AttemptView } from './outcome.ts';
import type { Loss, ProviderFault } from './provider.ts';
import { PAUSE_MS_MAX } from './settlement.ts';

/** A candidate that was not asked, because a ceiling refused it. */
export function refusedView({ refused }: Refused, error: SeedError, seq: number): AttemptView {
  const { target, model } = refused?.candidate ?? { target: { name: '' }, model: '' };
  return {
    target: target.name,
    model,
    outcome: 'refused',
    code: error.code,
    why: error.message,
    receipt: seq,
    cost_micro_usd: 0,
  };
}

/** What a caller is told when the last attempt failed. */
export function codeOfFault({ kind }: ProviderFault): ErrorCode {
  return kind === 'cancelled' ? 'interrupted' : 'provider_failed';
}

/** How long the provider asked to be left alone, in seconds. */
export function waitOfFault(fault: ProviderFault | undefined): number | null {
  const ms = fault?.retryAfterMs ?? null;
  return ms === null ? null : Math.ceil(Math.min(ms, PAUSE_MS_MAX) / 1_000);
}

/** What to do about it. */
export function hintOfFault({ kind }: ProviderFault): string {
  if (kind === 'cancelled') return 'Ask again if it is still wanted.';
  if (kind === 'rejected' || kind === 'cannot_carry') return 'Change the request, or use another role.';
  if (kind === 'unauthorized') return 'Ask the owner to run `seed target test` and to mend the credential.';
  return 'Try again later, or ask the owner to add a candidate to the role.';
}

/** Losses that an outcome names, at most. */
const LOSSES_MAX = 32;

/** What of the request the model was not shown, or not as it was. */
export function sayLosses(losses: readonly Loss[]): string[] {
  const said = losses
    .slice(0, LOSSES_MAX)
    .map(({ message, what }) => (message === null ? what : `message ${message + 1}: ${what}`));
  return losses.length > LOSSES_MAX ? [...said, `and ${losses.length - LOSSES_MAX} more`] : said;
}
