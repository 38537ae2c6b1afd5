/** Why there is no answer: a call's end as an error, and what an error is over HTTP, before an API words it. */
import type { ErrorCode } from '../../errors.ts';
import { ERROR_CODES, fromWire, SeedError, toWire } from '../../errors.ts';
import type { CallEnd } from '../../mind/router/call.ts';
import type { FaultKind } from '../../mind/router/provider.ts';
import type { Reply } from './wire.ts';

/** Of the last attempt's faults those that say more than `provider_failed` does. */
const FAULTS: Readonly<Partial<Record<FaultKind, number>>> = {
  // What one provider cannot take, another attempt at the same will not make better.
  rejected: 400,
  cannot_carry: 400,
  rate_limited: 429,
  overloaded: 503,
  timeout: 504,
};

/** The end of a call that is not complete, as an error; its data says which fault, and which ceiling. */
export function errorOf({ outcome }: CallEnd): SeedError {
  const { code, message, hint, ceiling, retry_after_s: retryAfter, attempts, status } = outcome;
  const fault = attempts.at(-1)?.code ?? null;
  // Not a matter of time: what no model of the role can be sent stays so however often it is asked.
  if (code === 'no_candidate' && attempts.length > 0 && attempts.every((attempt) => attempt.code === 'cannot_carry')) {
    return new SeedError('invalid_input', message ?? 'No model of the role can be sent this.', {
      hint: 'Leave out what it says, or ask by another role; docs/gateway.md says which models are sent images.',
      data: { argument: 'messages' },
    });
  }
  return fromWire({
    code: code ?? 'provider_failed',
    message: message ?? `The call is ${status}.`,
    hint,
    data: {
      ...(ceiling !== null && { ...ceiling, name: undefined, ceiling: ceiling.name }),
      ...(retryAfter !== null && { retry_after_s: retryAfter }),
      ...(fault !== null && Object.hasOwn(FAULTS, fault) && { fault }),
    },
  });
}

/** Too much for now: whoever asks again a little later may get through. */
const OVERLOADED: ReadonlySet<ErrorCode> = new Set(['busy', 'no_candidate', 'stopping']);

/** An error as both APIs tell it. */
export interface Told {
  readonly status: number;
  readonly code: ErrorCode;
  /** What happened, and what to do. */
  readonly message: string;
  /** The field that is wrong, if it is a field. */
  readonly argument: string | null;
  readonly isOverload: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** For programs: our own code, and the figures. */
  readonly seed: { readonly code: ErrorCode; readonly data: SeedError['data'] };
}

/** What an outsider is told: never what a defect says. */
export function tell(error: SeedError): Told {
  const { code, message, hint, data } = toWire(error, { outside: true });
  const { fault, argument, retry_after_s: retryAfter } = data;
  const kind = typeof fault === 'string' ? (fault as FaultKind) : null;
  const { status } = ERROR_CODES[code];
  return {
    // 499 is for a client that has gone; whoever reads this is still there.
    status: kind !== null && code === 'provider_failed' ? (FAULTS[kind] ?? status) : status === 499 ? 503 : status,
    code,
    message: hint === '' ? message : `${message} ${hint}`,
    argument: typeof argument === 'string' ? argument : null,
    isOverload: OVERLOADED.has(code) || kind === 'overloaded',
    headers: {
      ...(typeof retryAfter === 'number' && { 'retry-after': String(Math.max(0, Math.ceil(retryAfter))) }),
      ...(isFinal(error) && { 'x-should-retry': 'false' }),
    },
    seed: { code, data },
  };
}

/**
 * Whether the SDKs, which ask twice more after a 409, a 429 or a 5xx by themselves, are not to: a day's ceiling does
 * not turn over in a second, and each try would be one more refusal on record. Where money is only held, it may.
 */
function isFinal({ code, data }: SeedError): boolean {
  if (code === 'over_ceiling') return (data['held_micro_usd'] ?? 0) === 0;
  return code === 'halted' || code === 'in_doubt' || ERROR_CODES[code].status === 409;
}

export function reply(status: number, body: unknown, headers: Reply['headers'] = {}): Reply {
  return { status, headers, body: JSON.stringify(body) };
}
