/**
 * What goes wrong on the way to a provider, in the router's words.
 *
 * A message here is made of our own words, a status and names out of a closed list: what a provider
 * writes into an error can repeat a credential or what was said, so none of it is passed on.
 */
import * as z from 'zod';
import { SeedError } from '../../../errors.ts';
import type { AnswerHeaders, FaultKind } from '../provider.ts';
import { ProviderFault } from '../provider.ts';

/** A provider's answer that is no stream. */
export interface Refusal {
  /** As the owner knows the provider. */
  readonly provider: string;
  readonly model: string;
  readonly status: number;
  readonly headers: AnswerHeaders;
  /** The beginning of the body, as text. */
  readonly body: string;
}

/** Longer waits are not believed; a target is tried again after a day at the latest. */
const RETRY_AFTER_MS_MAX = 24 * 60 * 60 * 1_000;

/** The fault of an answer with an error status. The provider did not take the request. */
export function statusFault({ provider, model, status, headers, body }: Refusal): ProviderFault {
  const { kind, what } = meaningOf(status, { model, body });
  const retryAfterMs = retryAfter(headers) ?? retryDelay(body);
  const wait = retryAfterMs === null ? '' : `; it asks to be left alone for ${retryAfterMs} ms`;
  return new ProviderFault(kind, `${provider} answered ${status}: ${what}${wait}.`, {
    status,
    retryAfterMs,
    mayBeBilled: false,
  });
}

function meaningOf(
  status: number,
  { model, body }: { model: string; body: string },
): { kind: FaultKind; what: string } {
  // Gemini answers a bad key with 400 and says so in the details.
  if (status === 401 || status === 403 || (status === 400 && body.includes('API_KEY_INVALID'))) {
    return { kind: 'unauthorized', what: 'the credential is missing, wrong or not allowed to do this' };
  }
  if (status === 429) return { kind: 'rate_limited', what: 'too many requests or tokens' };
  // 529 is Anthropic's; 503 is how Gemini and others say the same.
  if (status === 529 || status === 503) return { kind: 'overloaded', what: 'it is overloaded' };
  if (status >= 500) return { kind: 'server_error', what: 'it failed' };
  if (status === 404) return { kind: 'rejected', what: `there is no model ${model} at that address` };
  if (status === 413) return { kind: 'rejected', what: 'the request is too large for it' };
  if (status === 400 && /signature/i.test(body)) {
    return { kind: 'rejected', what: 'it refused a reasoning signature in the history' };
  }
  return { kind: 'rejected', what: 'it refused the request' };
}

/**
 * How long to wait, by the headers: `retry-after-ms`, or `retry-after` in seconds or as a date
 * (RFC 9110 §10.2.3). A date is measured from the answer's own `date`, whatever our clock says.
 */
function retryAfter(headers: AnswerHeaders): number | null {
  const ms = positive(headers.get('retry-after-ms'));
  if (ms !== null) return clampWait(ms);
  const after = headers.get('retry-after');
  const seconds = positive(after);
  if (seconds !== null) return clampWait(seconds * 1_000);
  const until = Date.parse(after ?? '');
  const from = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(until) || Number.isNaN(from) ? null : clampWait(until - from);
}

function positive(text: string | null): number | null {
  return text !== null && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : null;
}

function clampWait(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms), 0), RETRY_AFTER_MS_MAX);
}

/** `google.rpc.RetryInfo` (googleapis, `google/rpc/error_details.proto`): a duration such as `34.07s`. */
const RetryInfo = z.object({
  error: z.object({ details: z.array(z.looseObject({ retryDelay: z.string().max(40).optional() })).max(100) }),
});

function retryDelay(body: string): number | null {
  const parsed = RetryInfo.safeParse(tryJson(body));
  const delay = parsed.data?.error.details.find(({ retryDelay: text }) => text !== undefined)?.retryDelay;
  const seconds = positive(delay?.endsWith('s') === true ? delay.slice(0, -1) : null);
  return seconds === null ? null : clampWait(seconds * 1_000);
}

/** Gemini's streaming endpoint wraps an error in an array. */
function tryJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value[0] : value;
  } catch {
    return undefined;
  }
}

/** The fault of a signal: the router's own, a time-out, or a cancellation. */
export function abortFault(signal: AbortSignal, mayBeBilled: boolean): ProviderFault {
  const reason: unknown = signal.reason;
  const said = reason instanceof ProviderFault ? reason.kind : null;
  const isTimeout = said === 'timeout' || (reason instanceof Error && reason.name === 'TimeoutError');
  if (said !== null && reason instanceof ProviderFault) return new ProviderFault(said, reason.message, { mayBeBilled });
  return isTimeout
    ? new ProviderFault('timeout', 'It took too long.', { mayBeBilled })
    : new ProviderFault('cancelled', 'The call was cancelled.', { mayBeBilled });
}

/** Codes of a connection that never came to be, so that nothing was sent (Node.js and undici). */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** The fault of a `fetch` that gave no answer. */
export function connectionFault(thrown: unknown, provider: string): ProviderFault {
  if (thrown instanceof SeedError) return outboundFault(thrown);
  const code = codeOf(thrown);
  if (code !== null && NOT_CONNECTED.has(code)) {
    return new ProviderFault('unreachable', `${provider} cannot be reached (${code}).`, { mayBeBilled: false });
  }
  // It may have read the request before the connection broke.
  const why = code === null ? '' : ` (${code})`;
  return new ProviderFault('cut', `The connection to ${provider} broke before an answer${why}.`, { mayBeBilled: true });
}

/** The way out refused, or was closed while something was under way. */
function outboundFault({ code, message }: SeedError): ProviderFault {
  if (code === 'halted') return new ProviderFault('cancelled', message, { mayBeBilled: true });
  return new ProviderFault('unreachable', message, { mayBeBilled: false });
}

/** The code of an error, or of what caused it. */
function codeOf(thrown: unknown): string | null {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    const { code } = error as { code?: unknown };
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)) return code;
    // Several addresses were tried: each failed in its way, and one is enough to say.
    const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
    const inner = first === undefined ? null : codeOf(first);
    if (inner !== null) return inner;
  }
  return null;
}

/** What may be said about an answer that ended before its terminal marker. */
export function cutFault(provider: string): ProviderFault {
  return new ProviderFault('cut', `The answer of ${provider} ended without its terminal marker.`, {
    mayBeBilled: true,
  });
}

export function badChunk(provider: string): ProviderFault {
  return new ProviderFault('bad_chunk', `${provider} sent something that is not in its own format.`, {
    mayBeBilled: true,
  });
}

export function streamError(provider: string): ProviderFault {
  return new ProviderFault('stream_error', `${provider} reported an error in the middle of its answer.`, {
    mayBeBilled: true,
  });
}
