/** Whole answers on their way out: of calls that have ended, of repeats, and of errors outside either API. */
import type { ServerResponse } from 'node:http';
import { SeedError, toWire } from '../../errors.ts';
import type { CallEnd, CallReport } from '../../mind/router/router.ts';
import * as limits from '../limits.ts';
import { errorOf } from './errors.ts';
import { EVENTS } from './event-stream.ts';
import { openai } from './openai/wire.ts';
import type { AnswerFacts, Reply, Wire } from './wire.ts';

/**
 * What became of a call, for whoever asks again by its key. One that has no whole answer will not get one any more:
 * another try by that key could only hear the same.
 */
export function repeated(
  wire: Wire,
  call: CallReport,
  { facts, stream }: { facts: AnswerFacts; stream: boolean },
): Reply {
  if (call.outcome.status === 'complete') {
    if (!stream) return wire.answer(call, facts);
    return { status: 200, headers: { 'content-type': EVENTS }, body: wire.stream(facts).end(call) };
  }
  const { code, message, data } = errorOf(call);
  const over = new SeedError(code, `The call of that idempotency key has no whole answer: ${message}`, {
    hint: 'It is not made again by itself. Ask anew with a new idempotency key.',
    data: { ...data, retry_after_s: null },
  });
  const { headers, ...reply } = wire.error(over);
  return { ...reply, headers: { ...headers, 'x-should-retry': 'false' } };
}

/** The receipt that says how a call ended is known at its end alone: a stream’s headers are out by then. */
export function withReceipt(reply: Reply, headers: Readonly<Record<string, string>>, { outcome }: CallEnd): Reply {
  const receipt = outcome.receipt === null ? {} : { 'x-seed-receipt': String(outcome.receipt) };
  return { ...reply, headers: { ...headers, ...receipt, ...reply.headers } };
}

export function answer(response: ServerResponse, { status, headers, body }: Reply): void {
  // Whoever hung up may have been told so already.
  if (response.destroyed || response.headersSent) return;
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers, 'content-length': length });
  // Text goes out in one piece with the headers; bytes would be a second one, and a copy.
  response.end(body);
}

/** Whoever does not take the end of an answer must not keep it in memory for ever. */
export function endUnlessTaken(response: ServerResponse): void {
  if (response.destroyed || response.writableFinished) return;
  const timer = setTimeout(() => response.destroy(), limits.ANSWER_TAKEN_MS_MAX).unref();
  response.once('close', () => clearTimeout(timer));
}

/** `/metrics` is no part of either API. */
export function plainError(error: SeedError): Reply {
  const { code, message, hint } = toWire(error, { outside: true });
  const status = code === 'forbidden' ? 403 : error.kind === 'refused' ? openai.error(error).status : 500;
  return { status, headers: {}, body: JSON.stringify({ error: { code, message, hint } }) };
}
