/** What a client says in its headers: its key, labels, its session, a trace, a key for repeats. */
import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import { SeedError } from '../../errors.ts';
import { explainIssues } from '../../tools/plain-words.ts';
import { Labels, LABELS_MAX } from '../../substrate/ledger/model.ts';
import { isLabelKey, LABEL_KEY_RULE } from './labels.ts';

/**
 * The access key, where these SDKs put it.
 *
 * @throws SeedError `unauthenticated` without one, and where two say different things
 */
export function shownKey({ authorization, 'x-api-key': apiKey }: IncomingHttpHeaders): string {
  const bearer = /^Bearer ([\w.~+/-]+=*)$/i.exec(authorization ?? '')?.[1];
  const plain = typeof apiKey === 'string' && /^[\w.~+/-]+=*$/.test(apiKey) ? apiKey : undefined;
  if (bearer !== undefined && plain !== undefined && bearer !== plain) {
    throw new SeedError('unauthenticated', 'Two different access keys came with the request.', {
      hint: 'Send one: as "Authorization: Bearer …" or as "x-api-key: …".',
    });
  }
  const key = bearer ?? plain;
  if (key !== undefined) return key;
  throw new SeedError('unauthenticated', 'An access key of the seed is needed.', {
    hint: 'Use the key that the owner gave you as the API key of the SDK.',
  });
}

/** Which conversation a request goes on with: a session by its id, a new one, none, or whichever it is. */
export type AskedSession = { readonly named: string } | 'new' | 'none' | 'any';

export interface AskedInHeaders {
  readonly session: AskedSession;
  readonly labels: Readonly<Record<string, string>>;
  readonly traceparent: string | null;
  readonly idempotencyKey: string | null;
}

const SESSION = /^[A-Za-z0-9_-]{1,64}$/;
/** W3C Trace Context, §3.2. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const IDEMPOTENCY_KEY = /^[!-~]{1,200}$/;
const LABEL_HEADER = 'x-seed-label-';

/** @throws SeedError `invalid_input` that names the header */
export function askedInHeaders(headers: IncomingHttpHeaders): AskedInHeaders {
  const traceparent = oneOf(headers, 'traceparent');
  return {
    session: sessionOf(oneOf(headers, 'x-seed-session')),
    labels: headerLabels(headers),
    // A trace is told, not asked for: one that is malformed is left out, as the specification has it (§4.3).
    traceparent: traceparent !== null && TRACEPARENT.test(traceparent) ? traceparent : null,
    idempotencyKey: idempotencyKeyOf(oneOf(headers, 'idempotency-key')),
  };
}

function oneOf(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}

function sessionOf(text: string | null): AskedSession {
  if (text === null) return 'any';
  if (text === 'new' || text === 'none') return text;
  if (SESSION.test(text)) return { named: text };
  throw wrong('x-seed-session', 'is a session’s id, "new" or "none"');
}

function idempotencyKeyOf(text: string | null): string | null {
  if (text === null || IDEMPOTENCY_KEY.test(text)) return text;
  throw wrong('idempotency-key', 'has 1 to 200 printable characters');
}

/** Node lowers the names of headers, so labels have keys in lower case at the gateway, whatever says them. */
function headerLabels(headers: IncomingHttpHeaders): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(LABEL_HEADER)) continue;
    const key = name.slice(LABEL_HEADER.length);
    if (typeof value !== 'string') throw wrong(name, 'comes once');
    if (!isLabelKey(key)) throw wrong(name, `cannot be a label: its name ${LABEL_KEY_RULE}`);
    labels[key] = textOf(value);
  }
  return labels;
}

/** Node reads a header's bytes as Latin-1 (RFC 9110, §5.5); nearly every client that has more to say sends UTF-8. */
function textOf(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : value;
}

/**
 * The labels of a call: those that headers say come before those of the body.
 *
 * @throws SeedError `invalid_input`
 */
export function mergedLabels(
  body: Readonly<Record<string, string>>,
  header: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const parsed = Labels.safeParse({ ...body, ...header });
  if (parsed.success) return parsed.data;
  const { argument, fault } = explainIssues(parsed.error.issues, { ...body, ...header });
  throw new SeedError('invalid_input', `${argument === '' ? 'The labels' : `The label ${argument}`} ${fault}.`, {
    hint: `At most ${LABELS_MAX}, by headers such as "X-Seed-Label-customer: acme" and by the body’s metadata.`,
    data: { argument: 'labels' },
  });
}

function wrong(header: string, what: string): SeedError {
  return new SeedError('invalid_input', `The header ${header} ${what}.`, {
    hint: 'See docs/gateway.md for the headers.',
    data: { argument: header },
  });
}
