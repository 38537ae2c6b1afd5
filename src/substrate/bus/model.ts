/** Messages as the bus keeps them, and the limits that hold for everyone. */
import type { Actor } from '../actor.ts';
import type { Row } from '../store/store.ts';

/** Messages that may wait in one inbox, and how many of them from one sender: nobody fills it for all others. */
export const INBOX_MESSAGES_MAX = 1_000;
export const SENDER_MESSAGES_MAX = 500;
/** Recipients of one message, topics included. */
export const RECIPIENTS_MAX = 64;
/** A message that failed this often (lease lapsed, or handed back) goes to the dead letters. */
export const ATTEMPTS_MAX = 5;
/** A message's life while it waits, at most and unless said otherwise. */
export const LIFE_MS_MAX: number = 30 * 86_400_000;
/** How long a message is kept once its life is over: its content, and what became of it. */
export const KEPT_MS: number = 30 * 86_400_000;
/** A long poll ends after this long; clients hang up at about 60 s. */
export const WAIT_MS_MAX = 40_000;
/** Bodies in one answer, in bytes; a larger one comes alone. Hosts warn beyond some 10,000 tokens. */
export const ANSWER_BYTES_MAX = 32 * 1024;

/** How the body is to be read. */
export type BodyFormat = 'text' | 'json';

/** What becomes of a message in the end. */
export type SettledState = 'acked' | 'expired' | 'dead' | 'dropped';

/** What both tables of messages hold. */
export interface MessageRow extends Row {
  readonly inbox: number;
  /** Counts from 1 for each recipient, without a gap. */
  readonly seq: number;
  /** The receipt of its sending. */
  readonly receipt: number;
  /** Whose it is: a grant's id, `owner`, or `seed`. */
  readonly sender: string;
  readonly sender_name: string;
  readonly thread: string;
  readonly format: BodyFormat;
  /** Content hash. */
  readonly body: string;
  readonly sent_at: number;
  readonly expires_at: number;
  /** How often it was given out; fences off whoever had it before. */
  readonly lease: number;
  readonly failed: number;
  readonly reason: string | null;
}

export const MESSAGE_COLUMNS =
  'inbox, seq, receipt, sender, sender_name, thread, format, body, sent_at, expires_at, lease, failed, reason';

/** A message that waits, or is out on a lease. */
export interface WaitingRow extends MessageRow {
  /** 1 while it is out on a lease, lapsed or not. */
  readonly leased: number;
  /** When the lease lapses, or the delay is over; 0 for at once. */
  readonly not_before: number;
}

/** Whose inbox an actor's is: its grant's, whatever it is named; the owner's own by name. */
export function holderOf(actor: Actor): string {
  return actor.grant ?? actor.id;
}
