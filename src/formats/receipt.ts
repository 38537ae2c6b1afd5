/**
 * The receipt: one canonical JSON object, stored and hashed as the exact bytes that it was
 * written with. Encoding and parsing apply the same checks, so that a seed can write nothing
 * that a verifier refuses.
 */
import { type Sha256, sha256, toHex, utf8 } from './bytes.ts';
import { CANONICAL_LIMITS, canonicalize, type Json, parseJson, quote, refuseLongerThan } from './canonical.ts';
import { FormatError } from './error.ts';
import { isTime } from './time.ts';

/** Who may act. */
export const ACTOR_KINDS = ['human', 'agent', 'service', 'helper', 'substrate'] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];

/** What became of it. `claimed` is for what was done elsewhere and is only said to have happened. */
export const OUTCOMES = ['intent', 'ok', 'refused', 'failed', 'incomplete', 'claimed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface ReceiptActor {
  /** 1 to 200 UTF-16 units, as every id here. */
  readonly id: string;
  readonly kind: ActorKind;
  /** The grant it acted under; null for the owner and the substrate. */
  readonly grant: string | null;
}

/** What it was done to. */
export interface ReceiptSubject {
  readonly type: string;
  readonly id: string;
}

export interface Receipt {
  readonly v: 1;
  /** The seed's id, 64 hex digits. */
  readonly seed: string;
  /** From 0, without gaps; also the index of the leaf. */
  readonly seq: number;
  /** {@link receiptHash} of the receipt before; {@link GENESIS_PREV} for the first. */
  readonly prev: string;
  /** The `seq` of the intent that this settles. Always null for an intent. */
  readonly of: number | null;
  /** UTC with milliseconds, never before the predecessor's. */
  readonly time: string;
  readonly actor: ReceiptActor;
  /** `noun.verb`, further dots allowed after the first. */
  readonly action: string;
  readonly subject: ReceiptSubject;
  readonly outcome: Outcome;
  /** An error code, `[a-z0-9_]+`. */
  readonly code: string | null;
  /** Salted hash of what went in, 64 hex digits. */
  readonly input: string | null;
  /** Salted hash of what came out, 64 hex digits. */
  readonly output: string | null;
  /** Small facts; no content. */
  readonly detail: { readonly [key: string]: Json };
}

/** What the first receipt's `prev` says. */
export const GENESIS_PREV: string = '0'.repeat(64);

/** The largest receipt, in bytes of its line. */
export const RECEIPT_BYTES_MAX: number = CANONICAL_LIMITS.bytesMax;

const ID_UNITS_MAX = 200;
const HASH = /^[0-9a-f]{64}$/;
const CODE = /^[a-z0-9_]+$/;
const ACTION = /^[a-z_]+\.[a-z_.]+$/;
const KINDS: ReadonlySet<unknown> = new Set(ACTOR_KINDS);
const OUTCOME_SET: ReadonlySet<unknown> = new Set(OUTCOMES);
// `detail` stands one level inside the receipt.
const DETAIL_LIMITS = { ...CANONICAL_LIMITS, depthMax: CANONICAL_LIMITS.depthMax - 1 };

/**
 * The canonical line of a receipt, without newline. Equal to `canonicalize(receipt)`, but written
 * with the key order fixed, because every operation of a seed pays for it.
 * @throws FormatError `bad_receipt` naming the field, or `not_canonical` for what cannot stand in one.
 */
export function encodeReceipt(receipt: Receipt): string {
  check(receipt);
  const line = writeLine(receipt);
  refuseLongerThan(line, RECEIPT_BYTES_MAX);
  return line;
}

/**
 * The receipt of a line (without newline).
 * @throws FormatError `not_canonical` unless the line is byte for byte what {@link encodeReceipt}
 * writes, `bad_receipt` naming the first field (in canonical order) that has the wrong form.
 */
export function parseReceipt(line: string): Receipt {
  refuseLongerThan(line, RECEIPT_BYTES_MAX);
  const value: unknown = parseJson(line);
  check(value);
  if (writeLine(value) !== line) throw new FormatError('not_canonical', 'The line is not in canonical form.');
  return value;
}

/** SHA-256 of a line's bytes as hex: what the next receipt's `prev` says. */
export function receiptHash(line: string | Uint8Array, sha: Sha256 = sha256): string {
  return toHex(sha(typeof line === 'string' ? utf8(line) : line));
}

/** Only for a checked receipt: what the checks made plain ASCII is not escaped again. */
function writeLine(r: Receipt): string {
  const actor = `{"grant":${quoteOrNull(r.actor.grant)},"id":${quote(r.actor.id)},"kind":"${r.actor.kind}"}`;
  const subject = `{"id":${quote(r.subject.id)},"type":${quote(r.subject.type)}}`;
  return (
    `{"action":"${r.action}","actor":${actor},"code":${plainOrNull(r.code)},` +
    `"detail":${canonicalize(r.detail, DETAIL_LIMITS)},"input":${plainOrNull(r.input)},"of":${r.of},` +
    `"outcome":"${r.outcome}","output":${plainOrNull(r.output)},"prev":"${r.prev}","seed":"${r.seed}",` +
    `"seq":${r.seq},"subject":${subject},"time":"${r.time}","v":1}`
  );
}

function quoteOrNull(text: string | null): string {
  return text === null ? 'null' : quote(text);
}

function plainOrNull(text: string | null): string {
  return text === null ? 'null' : `"${text}"`;
}

/** Checks in canonical order of the keys, so that the field named is the first wrong one. */
function check(value: unknown): asserts value is Receipt {
  if (!isObject(value)) throw new FormatError('bad_receipt', 'A receipt is a JSON object.');
  const r = value as { readonly [K in keyof Receipt]?: unknown };
  checkAction(r.action);
  checkActor(r.actor);
  if (r.code !== null && !matches(r.code, CODE)) throw wrong('code', 'an error code or null');
  if (!isObject(r.detail)) throw wrong('detail', 'an object');
  checkHashOrNull(r.input, 'input');
  checkOf(r.of, r.seq, r.outcome);
  checkHashOrNull(r.output, 'output');
  checkHash(r.prev, 'prev');
  checkHash(r.seed, 'seed');
  checkSubject(r.subject);
  if (!isTime(r.time)) throw wrong('time', 'an instant such as 2026-11-21T07:00:00.000Z');
  if (r.v !== 1) throw wrong('v', '1');
  refuseOtherKeys(value, 14, '');
}

function checkAction(action: unknown): void {
  if (!matches(action, ACTION)) throw wrong('action', 'a name such as noun.verb');
}

function checkActor(value: unknown): void {
  if (!isObject(value)) throw wrong('actor', 'an object');
  const actor = value as { readonly [K in keyof ReceiptActor]?: unknown };
  if (actor.grant !== null) checkId(actor.grant, 'actor.grant');
  checkId(actor.id, 'actor.id');
  if (!KINDS.has(actor.kind)) throw wrong('actor.kind', `one of ${ACTOR_KINDS.join(', ')}`);
  refuseOtherKeys(value, 3, 'actor.');
}

function checkSubject(value: unknown): void {
  if (!isObject(value)) throw wrong('subject', 'an object');
  const subject = value as { readonly [K in keyof ReceiptSubject]?: unknown };
  checkId(subject.id, 'subject.id');
  checkId(subject.type, 'subject.type');
  refuseOtherKeys(value, 2, 'subject.');
}

/** `of`, `outcome` and `seq` depend on one another. */
function checkOf(of: unknown, seq: unknown, outcome: unknown): void {
  if (!isCount(seq)) throw wrong('seq', 'an integer from 0');
  if (!OUTCOME_SET.has(outcome)) throw wrong('outcome', `one of ${OUTCOMES.join(', ')}`);
  if (of === null) return;
  if (!isCount(of) || of >= seq) throw wrong('of', 'the seq of an earlier receipt, or null');
  if (outcome === 'intent') throw wrong('outcome', 'something else than intent where of is set');
}

function checkHash(value: unknown, field: string): void {
  if (!matches(value, HASH)) throw wrong(field, '64 lower-case hex digits');
}

function checkHashOrNull(value: unknown, field: string): void {
  if (value !== null && !matches(value, HASH)) throw wrong(field, '64 lower-case hex digits or null');
}

function checkId(value: unknown, field: string): void {
  if (typeof value !== 'string' || value.length < 1 || value.length > ID_UNITS_MAX) {
    throw wrong(field, `a string of 1 to ${ID_UNITS_MAX} characters`);
  }
}

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && value.length <= ID_UNITS_MAX && form.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuseOtherKeys(value: object, count: number, prefix: string): void {
  // All expected keys were read before, so a different number means that others stand beside them.
  if (Object.keys(value).length !== count) throw wrong(`${prefix}*`, `exactly its ${count} fields`);
}

function wrong(field: string, expected: string): FormatError {
  return new FormatError('bad_receipt', `${field} must be ${expected}.`, field);
}
