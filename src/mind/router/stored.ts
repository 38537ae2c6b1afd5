/** Calls as they are kept: what became of one, and whether a request is the one that it was made for. */
import { SeedError } from '../../errors.ts';
import type { StoredCall } from '../../substrate/calls.ts';
import { getContent } from '../../substrate/content.ts';
import { listBooked } from '../../substrate/ledger/booked.ts';
import type { ReadHandle } from '../../substrate/substrate.ts';
import { Message } from '../../substrate/transcript.ts';
import type { CallEnd } from './call.ts';
import { CallOutcome, RUNNING } from './outcome.ts';
import type { CompletionRequest } from './request.ts';
import { isTextOf } from './request.ts';

/** A call as it stands. */
export interface CallReport extends CallEnd {
  readonly id: string;
  /** What was said, or has been said so far. */
  readonly text: string;
}

/** A call that has ended just now. */
export function reportEnd(id: string, end: CallEnd): CallReport {
  const text = end.message?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') ?? '';
  return { id, ...end, text };
}

/** A call that is kept, as it stands. @throws SeedError `content_erased` */
export async function reportStored(db: ReadHandle, stored: StoredCall): Promise<CallReport> {
  const outcome = stored.status === 'in_doubt' ? await doubtOf(db, stored) : outcomeOf(stored);
  if (stored.output === null) return reportEnd(stored.id, { outcome, message: null });
  const kept = await getContent(db, stored.output);
  if (kept === null) throw erased();
  return reportEnd(stored.id, { outcome, message: Message.parse(JSON.parse(Buffer.from(kept).toString())) });
}

function outcomeOf({ status, outcome }: StoredCall): CallOutcome {
  if (outcome !== null) return CallOutcome.parse(JSON.parse(outcome));
  return { ...RUNNING, status };
}

/** Of a call that a stop cut off the ledger and the receipts say what it was booked at, and nothing how it ended. */
async function doubtOf(db: ReadHandle, { id, status }: StoredCall): Promise<CallOutcome> {
  const booked = await listBooked(db, id);
  const why = 'The seed stopped while the call ran; what is not known of it is booked in full.';
  return {
    ...RUNNING,
    status,
    attempts: booked.map(({ outcome, code, ...attempt }) => ({
      ...attempt,
      outcome: outcome ?? 'incomplete',
      code: code ?? 'interrupted',
      why,
    })),
    cost_micro_usd: booked.reduce((sum, attempt) => sum + attempt.cost_micro_usd, 0),
    receipt: booked.at(-1)?.receipt ?? null,
    code: 'in_doubt',
    message: 'The seed stopped while it ran; nobody knows how it ended, and it is not asked again by itself.',
    hint: 'Ask anew with another idempotency key if that is safe.',
  };
}

/** @throws SeedError `conflict` where the key belongs to another request, `content_erased` where nobody can tell */
export async function assertSameStored(
  db: ReadHandle,
  { input }: StoredCall,
  request: CompletionRequest,
): Promise<void> {
  const before = await getContent(db, input);
  if (before === null) throw erased();
  if (!isTextOf(Buffer.from(before).toString(), request)) throw otherRequest();
}

/** A key that was used for something else. */
export function otherRequest(): SeedError {
  return new SeedError('conflict', 'That idempotency key belongs to another request.', {
    hint: 'Use a new key for a new request.',
    data: { argument: 'idempotency_key' },
  });
}

function erased(): SeedError {
  return new SeedError('content_erased', 'What was asked or answered has been erased; the receipts remain.', {
    hint: 'Ask anew with another idempotency key.',
  });
}
