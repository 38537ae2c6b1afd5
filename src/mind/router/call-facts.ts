import type { Part } from '../../substrate/transcript.ts';
import type { Asker, CompletionRequest } from './request.ts';

/** One call, as its transactions need it. */
export interface CallFacts {
  readonly id: string;
  readonly request: CompletionRequest;
  readonly asker: Asker;
  /** Content hash of the request, once it is kept. */
  readonly input: string | null;
  /** How many attempts were made already. */
  readonly attempts: number;
  /** What they were booked at, micro-dollars. */
  readonly costMicroUsd: number;
  readonly tried: ReadonlySet<string>;
  /** What earlier attempts said that stands, and the receipt of the last of them; see `continuation.ts`. */
  readonly kept: readonly Part[];
  readonly keptReceipt: number | null;
  /** Its session's epoch when it began; null before that, and outside a session. */
  readonly epoch: number | null;
}
