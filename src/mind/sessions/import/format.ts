/** How a client's transcript is read: one record after the other, with little to remember in between. */
import type { Message } from '../../../substrate/transcript.ts';
import type { Tally } from './parts.ts';

/** What one record says. */
export interface Said {
  readonly messages: readonly Message[];
  /** The person's own words, where it has any. */
  readonly prompt?: string;
}

export const NOTHING: Said = { messages: [] };

export interface RecordReader {
  /** Reads the next record, a parsed line; what it leaves out it tells the tally. */
  read(record: unknown, tally: Tally): Said;
  /** What has to be known to go on behind this record: small, plain JSON. */
  carry(): Readonly<Record<string, string>>;
}

/** A format: makes a reader that goes on from what another one carried. */
export type Format = (carry: Readonly<Record<string, string>>) => RecordReader;

export const TRANSCRIPT_CLIENTS = ['claude-code', 'codex'] as const;
export type TranscriptClient = (typeof TRANSCRIPT_CLIENTS)[number];
