/**
 * The errors of the seed: one class, one closed list of codes.
 *
 * Every code states once what kind of answer it is, so that the receipt log, the doors and the
 * CLI need no table of their own. No I/O here; any floor may import this file.
 */

/** What the receipt of an operation that ended with this error says. */
type ErrorKind = 'refused' | 'failed';

interface ErrorTraits {
  /** `refused`: the seed decided against it. `failed`: it could not be done. */
  readonly kind: ErrorKind;
  /** The HTTP status that a door answers with (RFC 9110). */
  readonly status: number;
  /** One line for the reference. */
  readonly meaning: string;
}

/** Every error code of the project. A new kind of error starts here. */
export const ERROR_CODES = {
  // asked wrongly
  invalid_input: { kind: 'refused', status: 400, meaning: 'An argument is missing or has the wrong form.' },
  not_found: { kind: 'refused', status: 404, meaning: 'There is nothing by that name or number.' },
  forbidden: { kind: 'refused', status: 403, meaning: 'This actor may not do that.' },
  unauthenticated: { kind: 'refused', status: 401, meaning: 'No valid access key came with the request.' },
  key_revoked: { kind: 'refused', status: 401, meaning: 'The access key, or the agent’s grant, was removed.' },
  key_expired: { kind: 'refused', status: 401, meaning: 'The access key has expired.' },
  halted: { kind: 'refused', status: 503, meaning: 'The owner has halted the seed for all outsiders.' },
  conflict: { kind: 'refused', status: 409, meaning: 'What is there contradicts what was asked.' },
  policy_invalid: { kind: 'refused', status: 409, meaning: 'The policy has something in it that does not parse.' },
  content_erased: { kind: 'refused', status: 410, meaning: 'The content was erased; its receipt remains.' },
  too_slow: { kind: 'refused', status: 408, meaning: 'The request took too long to arrive.' },
  too_large: { kind: 'refused', status: 413, meaning: 'The input is larger than its limit.' },
  unsupported_type: { kind: 'refused', status: 415, meaning: 'The body’s type or encoding is not taken here.' },
  over_ceiling: { kind: 'refused', status: 429, meaning: 'A ceiling of the owner’s policy leaves too little money.' },
  too_many: { kind: 'refused', status: 429, meaning: 'Too much at once under one key; nothing was done.' },
  inbox_full: { kind: 'refused', status: 429, meaning: 'A recipient’s inbox is full; nothing was sent to anybody.' },
  memory_full: { kind: 'refused', status: 507, meaning: 'A space, or whoever writes, keeps as much as it may.' },
  passphrase_required: {
    kind: 'refused',
    status: 403,
    meaning: 'An owner act that needs the owner passphrase, typed on a terminal.',
  },
  egress_refused: {
    kind: 'refused',
    status: 403,
    meaning: 'That may not be spoken to, or not with that credential.',
  },
  credential_unusable: {
    kind: 'refused',
    status: 409,
    meaning: 'A credential is missing, open to others, damaged, or its environment name is not set.',
  },
  busy: { kind: 'refused', status: 503, meaning: 'Too much is waiting already; nothing was done.' },
  stopping: { kind: 'refused', status: 503, meaning: 'The seed is stopping; nothing was done.' },
  // calls to models
  no_route: { kind: 'refused', status: 404, meaning: 'Policy names no usable way for that role.' },
  policy_changed: { kind: 'refused', status: 409, meaning: 'The policy was edited from outside at that moment.' },
  no_candidate: { kind: 'refused', status: 503, meaning: 'No candidate of the role can be asked now.' },
  in_doubt: { kind: 'failed', status: 409, meaning: 'A crash cut the call off; how it ended is not known.' },
  provider_failed: { kind: 'failed', status: 502, meaning: 'The last candidate failed, or its answer was cut off.' },
  // sessions and their handing over
  superseded: { kind: 'refused', status: 409, meaning: 'Somebody else holds the session by now.' },
  session_closed: { kind: 'refused', status: 409, meaning: 'The session is closed.' },
  deadline_passed: { kind: 'refused', status: 409, meaning: 'The session’s deadline has passed.' },
  handoff_unknown: { kind: 'refused', status: 404, meaning: 'No handoff has that token.' },
  handoff_audience: { kind: 'refused', status: 403, meaning: 'The handoff is for somebody else.' },
  handoff_expired: { kind: 'refused', status: 410, meaning: 'The handoff has expired.' },
  handoff_withdrawn: {
    kind: 'refused',
    status: 410,
    meaning: 'The handoff was withdrawn, or its offerer was removed.',
  },
  handoff_redeemed: { kind: 'refused', status: 409, meaning: 'The handoff was redeemed already.' },
  holder_alive: { kind: 'refused', status: 409, meaning: 'Whoever holds the session is still there.' },
  notifier_failed: { kind: 'failed', status: 502, meaning: 'A notifier could not be run, or ended with an error.' },
  // the home
  home_missing: { kind: 'failed', status: 500, meaning: 'There is no seed in that folder.' },
  home_foreign: { kind: 'failed', status: 500, meaning: 'That folder holds something that is not a seed.' },
  home_locked: { kind: 'failed', status: 503, meaning: 'Another process serves this home.' },
  home_unsuitable: { kind: 'failed', status: 500, meaning: 'A home cannot live in that folder.' },
  home_unwritable: { kind: 'failed', status: 500, meaning: 'The folder cannot be written.' },
  home_damaged: { kind: 'failed', status: 500, meaning: 'A file of the home is missing or does not parse.' },
  daemon_absent: { kind: 'failed', status: 503, meaning: 'No daemon serves this home.' },
  daemon_failed: { kind: 'failed', status: 500, meaning: 'The daemon did not start or did not answer.' },
  // the store
  store_corrupt: { kind: 'failed', status: 500, meaning: 'The database file is damaged or is not a seed database.' },
  store_newer: { kind: 'failed', status: 500, meaning: 'The database was written by a newer version.' },
  store_vanished: { kind: 'failed', status: 500, meaning: 'The database file was moved or deleted while in use.' },
  store_unwritable: { kind: 'failed', status: 500, meaning: 'The database cannot be written.' },
  disk_full: { kind: 'failed', status: 507, meaning: 'The disk is full.' },
  commit_unknown: { kind: 'failed', status: 500, meaning: 'The commit failed; whether it holds must be looked up.' },
  foreign_wait: { kind: 'failed', status: 500, meaning: 'An operation waited for something outside its transaction.' },
  handle_closed: { kind: 'failed', status: 500, meaning: 'A transaction handle was used after its transaction.' },
  volatile_only: {
    kind: 'failed',
    status: 500,
    meaning: 'A write without a receipt touched receipted state, or the reverse.',
  },
  // receipts
  not_canonical: { kind: 'failed', status: 500, meaning: 'A value cannot stand in a receipt.' },
  log_rolled_back: {
    kind: 'failed',
    status: 503,
    meaning: 'The log is older than the newest checkpoint kept outside it.',
  },
  log_forked: { kind: 'failed', status: 503, meaning: 'The log contradicts a checkpoint kept outside it.' },
  // work outside the seed
  probe_failed: { kind: 'failed', status: 409, meaning: 'What a probe is to look at is gone, or cannot be read.' },
  // everything else
  interrupted: { kind: 'failed', status: 499, meaning: 'Stopped before it was done.' },
  internal: { kind: 'failed', status: 500, meaning: 'A defect of the seed.' },
} as const satisfies Record<string, ErrorTraits>;

/** A stable string; see {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Small typed facts about an error; never a secret, never content. */
export type ErrorData = Readonly<Record<string, string | number | boolean | null>>;

/** An error with a code a program can act on and a hint a person can act on. */
export class SeedError extends Error {
  override readonly name = 'SeedError';
  readonly code: ErrorCode;
  /** What to do next, in one sentence. */
  readonly hint: string;
  readonly data: ErrorData;

  constructor(code: ErrorCode, message: string, options: { hint: string; data?: ErrorData; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.data = options.data ?? {};
  }

  /** Whether the seed decided against it (`refused`) or could not do it (`failed`). */
  get kind(): ErrorKind {
    return ERROR_CODES[this.code].kind;
  }
}

/** Any thrown value as a SeedError; what is not one already is `internal`. */
export function toSeedError(thrown: unknown): SeedError {
  if (thrown instanceof SeedError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SeedError('internal', message, { hint: 'This is a defect; the log has the details.', cause: thrown });
}

/** An error as every door and command writes it. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly data: ErrorData;
}

/** A command of the owner's; `seed mcp` is what clients start. */
const OWNERS_COMMAND = /`seed (?!mcp\b)[a-z]/;
const FOR_OWNER = 'Tell the owner: ';

/**
 * An error for others to read; what a defect says stays with the owner (`outside: false`), and what
 * only the owner can run is told as such.
 */
export function toWire({ code, message, hint, data }: SeedError, { outside }: { outside: boolean }): WireError {
  if (!outside) return { code, message, hint, data };
  const isOwners = OWNERS_COMMAND.test(hint) && !/\bowner\b/.test(hint);
  return {
    code,
    message: code === 'internal' ? 'Something went wrong inside the seed.' : message,
    hint: isOwners ? FOR_OWNER + hint : hint,
    data,
  };
}

/** An error that somebody else wrote; what is not in the form of one is `internal`. */
export function fromWire(value: unknown): SeedError {
  const { code, message, hint, data } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    keyof WireError,
    unknown
  >;
  const known = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'internal';
  const text = typeof message === 'string' && message !== '' ? message : 'The seed failed without saying why.';
  const facts =
    typeof data === 'object' && data !== null ? Object.entries(data).filter(([, fact]) => isFact(fact)) : [];
  return new SeedError(known, text, {
    hint: typeof hint === 'string' ? hint : '',
    data: Object.fromEntries(facts),
  });
}

function isFact(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
